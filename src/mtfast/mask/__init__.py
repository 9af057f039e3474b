"""Everything that ``pycocotools.mask`` has, and more: COCO RLE masks as dicts.

A mask is ``{"size": [height, width], "counts": …}``, its counts the compressed text (``bytes``, or
``str`` as JSON has it) or the list of run lengths (uncompressed). Results have ``bytes``. Wherever
a list of masks is expected a :class:`mtfast.RunTable` does as well, and no object is made for a
mask of it::

    import mtfast.mask as mask          # instead of: import pycocotools.mask as mask

Malformed input raises :class:`mtfast.RLEError` or :class:`mtfast.MtfastError`, both ``ValueError``,
before anything is written; the message says which mask of the list it is.

Source of the names and of what they mean: mask.py, _mask.pyx and maskApi.c of pycocotools.
"""

from mtfast.mask.conversion import frPyObjects, to_uncompressed
from mtfast.mask.label_maps import from_label_map, to_label_map
from mtfast.mask.measures import area, iou, toBbox
from mtfast.mask.monkey_patch import install, uninstall
from mtfast.mask.operations import boundary, components, crop, erode, flip, merge, pad, rot90
from mtfast.mask.pixels import decode, encode
from mtfast.mask.validation import validate

__all__ = [
    "area",
    "boundary",
    "components",
    "crop",
    "decode",
    "encode",
    "erode",
    "flip",
    "frPyObjects",
    "from_label_map",
    "install",
    "iou",
    "merge",
    "pad",
    "rot90",
    "toBbox",
    "to_label_map",
    "to_uncompressed",
    "uninstall",
    "validate",
]
