"""Operations on masks that stay runs: no pixel is made on the way, and none is made in the end.

All of them work on a batch of masks, check every text first, and return canonical RLE: what
``pycocotools.mask.encode`` makes of the same pixels.

==========================================  =====================================================
:func:`iou`, :func:`bbox_iou`               how much masks, or boxes, overlap
:func:`class_overlaps`                      which instances of a table do, by how many pixels
:func:`first_overlap`                       whether any two masks of a group share a pixel
:func:`merge`, :func:`combine`              all masks into one; masks in pairs
:func:`union_areas`                         how much groups of masks cover
:func:`components`                          the connected parts of masks
:func:`erode`, :func:`boundary`             what is left of masks, what they lose
:func:`crop`, :func:`pad`, :func:`flip`,    moving masks as their images are moved
:func:`rot90`
==========================================  =====================================================
"""

from mtfast.rles.batch import Rles
from mtfast.rles.boolean import combine, merge, minus, xor
from mtfast.rles.measures import (
    SharedPixels,
    bbox_iou,
    class_overlaps,
    first_overlap,
    iou,
    union_areas,
)
from mtfast.rles.morphology import Components, boundary, components, erode
from mtfast.rles.transforms import crop, flip, pad, rot90

__all__ = [
    "Components",
    "Rles",
    "SharedPixels",
    "bbox_iou",
    "boundary",
    "class_overlaps",
    "combine",
    "components",
    "crop",
    "erode",
    "first_overlap",
    "flip",
    "iou",
    "merge",
    "minus",
    "pad",
    "rot90",
    "union_areas",
    "xor",
]
