"""Bad records of a COCO file -> records that the strict parser reads, and a list of what was wrong.

Each record is a Python object here, which takes ten times as long as in the strict parser: of large
files only those come here that it refuses, see :mod:`mtfast.sources.coco.sift`. What is wrong with
one is told to a :class:`~mtfast.sources.bad_records.Ledger`, which says whether it is mended or
left out.

``mend`` does it for a whole file. ``ids`` says what ids mean, ``listed`` mends images and
categories, ``annotations`` the annotations, and ``masks`` their segmentations.
"""
