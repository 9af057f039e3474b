"""Training targets of instance segmentation, made from runs: masks, boxes, labels, areas.

Masks are cropped as runs, and those with no pixel in the window are dropped, so that only pixels
of the window are painted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.painting.crop import crop_table
from mtfast.table import RunTable

__all__ = ["InstanceTargets", "instance_targets", "measure_masks"]


class InstanceTargets(NamedTuple):
    """The instances of one image, in the order of the annotation file.

    Attributes
    ----------
    masks : (n, height, width) bool, C order
    boxes : (n, 4) float32
        [x1, y1, x2, y2] in pixels: the first column and row, and those after the last.
    labels : (n,) int64
        Category ids.
    areas : (n,) int64
        Pixels of each mask.
    ids : (n,) int64
        Annotation ids.
    """

    masks: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    labels: NDArray[np.int64]
    areas: NDArray[np.int64]
    ids: NDArray[np.int64]


def instance_targets(table: RunTable, window: Sequence[int] | None = None) -> InstanceTargets:
    """Make the targets of instance segmentation of one image, or of a window of it.

    Parameters
    ----------
    table : RunTable
        Of one image.
    window : (y, x, height, width), optional
        Of at least one pixel, inside the image. Instances with no pixel in it are dropped.

    Returns
    -------
    InstanceTargets

    Raises
    ------
    MtfastError
        If there is not one image, or the window leaves it.
    RLEError
        If an RLE does not tile its frame.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"501"]])                 # .###.. .....#
    >>> targets = instance_targets(table, (0, 2, 1, 3))
    >>> targets.masks, targets.boxes                                          # ##.
    (array([[[ True,  True, False]]]), array([[0., 0., 2., 1.]], dtype=float32))
    """
    from mtfast.kernels.frames import paint

    if table.n_images != 1:
        raise MtfastError(f"a table of {table.n_images} images; expected one; take table.image(i)")
    if window is not None:
        # Cropping measures them.
        table = crop_table(table, window)
        areas, boxes = table.stated_area.astype(np.int64), table.stated_bbox.copy()
    else:
        areas, boxes = table.area(), table.bbox()
    if not areas.all():
        table, areas, boxes = table[areas > 0], areas[areas > 0], boxes[areas > 0]
    height, width = table.common_size()
    n = table.n_instances
    masks = np.empty((n, height, width), np.bool_)
    # Every instance is painted as an image of its own.
    paint.paint_images(
        table.rle,
        table.rle_offsets,
        np.arange(n + 1),
        np.ones(n, np.int64),
        height,
        1,
        table.scratch(),
        np.empty(1, np.int64),
        masks.view(np.uint8).reshape(-1),
    )
    boxes[:, 2:] += boxes[:, :2]
    return InstanceTargets(
        masks, boxes.astype(np.float32), table.category_ids, areas, table.instance_ids
    )


def measure_masks(
    masks: NDArray[np.bool_],
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Measure areas and bounding boxes of masks.

    Parameters
    ----------
    masks : (n, height, width) bool, C order

    Returns
    -------
    areas : (n,) int64
        Pixels of each mask.
    boxes : (n, 4) float32
        [x1, y1, x2, y2] in pixels: the first column and row, and those after the last; zeros for
        an empty mask.

    Examples
    --------
    >>> areas, boxes = measure_masks(np.array([[[False, True], [False, True]]]))
    >>> areas, boxes
    (array([2]), array([[1., 0., 2., 2.]], dtype=float32))
    """
    from mtfast.kernels.frames.extents import extents

    n, height, width = masks.shape
    areas, boxes = np.empty(n, np.int64), np.empty((n, 4), np.int64)
    flat = np.ascontiguousarray(masks, np.bool_).view(np.uint8).reshape(-1)
    extents(flat, height, width, np.empty(width, np.uint8), areas, boxes.reshape(-1))
    return areas, boxes.astype(np.float32)
