"""Image files of the usual kinds -> what their headers say, and pixels.

::

    first bytes ──► kind ──► read_header ──► bounds hold? ──► decode ──► turn
                      └────► any other kind: an error that names it

==================================  ===============================================================
:mod:`mtfast.image_files.files`     kind -> its module; what all kinds have in common
:mod:`mtfast.image_files.header`    what is said of a file, and what no file may claim
:mod:`mtfast.image_files.others`    names for files of other kinds
:mod:`mtfast.image_files.exif`      EXIF orientation, and pixels turned upright
:mod:`mtfast.image_files.upright`   files without an orientation, their pixels as they are
:mod:`mtfast.image_files.pixels`    samples of any layout -> RGB or 16-bit pixels
:mod:`mtfast.image_files.tiff_page` a page of a TIFF stack -> a file of its own
``jpeg``, ``png``, ``tiff``,        one kind each: ``recognises``, ``read_header`` and ``decode``
``webp``, ``bmp``
==================================  ===============================================================
"""

from mtfast.image_files.exif import shown_size, turn
from mtfast.image_files.files import KINDS, decode, read_header
from mtfast.image_files.header import ImageHeader
from mtfast.image_files.tiff_page import cut_page
from mtfast.image_files.upright import without_orientation

__all__ = [
    "KINDS",
    "ImageHeader",
    "cut_page",
    "decode",
    "read_header",
    "shown_size",
    "turn",
    "without_orientation",
]
