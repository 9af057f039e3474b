"""Everything that ``pycocotools.mask`` has, and more: COCO RLE masks as dicts.

A mask is ``{"size": [height, width], "counts": …}``, its counts the compressed text (``bytes``, or
``str`` as JSON has it) or the list of run lengths (uncompressed). Results have ``bytes``. Every
function that takes a list of masks also takes a :class:`mtfast.RunTable`, and makes no object for
each of its masks::

    import mtfast.mask as mask          # instead of: import pycocotools.mask as mask

Malformed input raises :class:`mtfast.RLEError` or :class:`mtfast.MtfastError`, both ``ValueError``,
before anything is written; the message names the first bad mask of a list.

===================  ================================================================
:mod:`.pixels`       encode, decode
:mod:`.measures`     area, toBbox, iou
:mod:`.operations`   merge, components, erode, boundary, crop, pad, flip, rot90
:mod:`.label_maps`   to_label_map, from_label_map
:mod:`.outlines`     polygons
:mod:`.overlay`      paint: into a frame that keeps its background
:mod:`.py_objects`   frPyObjects (polygons, boxes), to_uncompressed
:mod:`.validation`   validate
:mod:`.monkey_patch` install, uninstall: run code that calls pycocotools on mtfast
===================  ================================================================

Source of the names and of their meaning: mask.py, _mask.pyx and maskApi.c of pycocotools.
"""

from mtfast.mask.label_maps import from_label_map, to_label_map
from mtfast.mask.measures import area, iou, toBbox
from mtfast.mask.monkey_patch import install, uninstall
from mtfast.mask.operations import boundary, components, crop, erode, flip, merge, pad, rot90
from mtfast.mask.outlines import Polygon, polygons
from mtfast.mask.overlay import paint
from mtfast.mask.pixels import decode, encode
from mtfast.mask.py_objects import frPyObjects, to_uncompressed
from mtfast.mask.validation import validate
from mtfast.public import public_names

__all__ = [
    "Polygon",
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
    "paint",
    "polygons",
    "rot90",
    "toBbox",
    "to_label_map",
    "to_uncompressed",
    "uninstall",
    "validate",
]


def __dir__() -> list[str]:
    return public_names(globals())
