"""What a network is trained on, made of runs and inside a window only.

No frame of the image is painted: masks are cut as runs, those that leave the window are dropped,
and the pixels of what is left are the only ones that are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.painting.paint import frame_size
from mtfast.rles import Rles
from mtfast.rles import crop as crop_rles
from mtfast.table import RunTable
from mtfast.window import check_window

__all__ = ["InstanceTargets", "crop_table", "instance_targets"]


class InstanceTargets(NamedTuple):
    """The instances of one image, in the order of the annotation file.

    Attributes
    ----------
    masks : (n, height, width) bool, C order
    boxes : (n, 4) float32
        x and y of the first pixel, and of the one behind the last.
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


def crop_table(table: RunTable, window: Sequence[int]) -> RunTable:
    """Cut a window out of the instances of images; those with no pixel in it are dropped.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    window : (y, x, height, width)
        Of at least one pixel, inside the images.

    Returns
    -------
    RunTable
        Of images as large as the window. Areas and boxes are those of what is left.

    Raises
    ------
    MtfastError
        If the window leaves the images, or the sizes differ.
    RLEError
        If an RLE does not tile its frame.

    Examples
    --------
    >>> crop_table(train.instances(3), (100, 200, 512, 512))         # doctest: +SKIP
    RunTable(1 images, 4 instances, 10 categories)
    """
    y, x, h, w = check_window(window, *frame_size(table))
    rles, nonempty = crop_rles(Rles.of_table(table), y, x, h, w, drop_empty=True)
    n_before = np.append(0, np.cumsum(nonempty))
    columns: dict[str, Any] = {
        "names": table.names,
        "image_ids": table.image_ids,
        "heights": np.full(table.n_images, h),
        "widths": np.full(table.n_images, w),
        "image_offsets": n_before[table.image_offsets],
        "rle": rles.text,
        "rle_offsets": rles.offsets,
        "categories": table.categories,
    }
    for name in ("instance_ids", "category_ids", "iscrowd", "positions"):
        columns[name] = getattr(table, name)[nonempty]
    cut = RunTable.unchecked(**columns)
    columns |= {"stated_area": cut.area().astype(np.float64), "stated_bbox": cut.bbox()}
    for column in columns.values():
        if isinstance(column, np.ndarray):
            column.flags.writeable = False
    return RunTable.unchecked(**columns)


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
    >>> targets = instance_targets(train.instances(3), (100, 200, 512, 512))  # doctest: +SKIP
    >>> targets.masks.shape, targets.boxes[0]                                 # doctest: +SKIP
    ((4, 512, 512), array([ 17., 203.,  48., 241.], dtype=float32))
    """
    from mtfast.kernels.frames import paint

    if table.n_images != 1:
        raise MtfastError(
            f"a table of {table.n_images} images; expected one; take table[i] for image i"
        )
    table = crop_table(table, window or (0, 0, *frame_size(table)))
    height, width = frame_size(table)
    n = table.n_instances
    masks = np.empty((n, height, width), np.bool_)
    # Every instance is painted as if it were an image.
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
    boxes = table.stated_bbox.astype(np.float32)
    boxes[:, 2:] += boxes[:, :2]
    areas = table.stated_area.astype(np.int64)
    return InstanceTargets(masks, boxes, table.category_ids, areas, table.instance_ids)
