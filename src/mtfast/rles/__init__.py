"""Operations on batches of RLE masks that work on runs alone: no pixel is made.

All of them check every text first and return canonical RLE: what ``pycocotools.mask.encode`` makes
of the same pixels. A batch is an :class:`Rles`.

==========================================  =====================================================
:func:`iou`, :func:`bbox_iou`               intersection over union of masks, or boxes
:func:`class_overlaps`                      which instances of a table overlap, by how many pixels
:func:`first_overlap`                       whether any two masks of a group share a pixel
:func:`merge`, :func:`combine`              merge all masks into one; combine masks in pairs
:func:`union_areas`                         how many pixels groups of masks cover
:func:`components`                          split masks into connected components
:func:`to_polygons`                         outline masks: rings and holes
:func:`erode`, :func:`boundary`             what erosion leaves of masks, what it takes away
:func:`crop`, :func:`pad`, :func:`flip`,    transform masks as their images are transformed
:func:`rot90`
==========================================  =====================================================
"""

from mtfast.rles.batch import Rles
from mtfast.rles.boolean import combine, merge, minus, xor
from mtfast.rles.contours import Polygons, to_polygons
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
    "Polygons",
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
    "to_polygons",
    "union_areas",
    "xor",
]
