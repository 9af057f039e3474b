"""Instances cut to a window of their image, as runs: no pixel is made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mtfast.arguments import check_window
from mtfast.ragged import offsets_of
from mtfast.rles import Rles
from mtfast.rles import crop as crop_rles
from mtfast.rles import pad as pad_rles
from mtfast.table import RunTable

__all__ = ["crop_table", "pad_table"]


def crop_table(table: RunTable, window: Sequence[int]) -> RunTable:
    """Crop the instances of images to a window; those with no pixel in it are dropped.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    window : (y, x, height, width)
        Of at least one pixel, inside the images.

    Returns
    -------
    RunTable
        Of images of the size of the window. Stated areas and boxes are measured again.

    Raises
    ------
    MtfastError
        If the window leaves the images, or the sizes differ.
    RLEError
        If an RLE does not tile its frame.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132", b"501"]])        # .###.. .....#
    >>> window = crop_table(table, (0, 2, 1, 3))
    >>> window.instance_ids, window.text(0)                          # ##.
    (array([1]), b'021')
    """
    y, x, h, w = check_window(window, *table.common_size())
    rles, nonempty = crop_rles(Rles.of_table(table), y, x, h, w, drop_empty=True)
    n_before = offsets_of(nonempty)
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


def pad_table(table: RunTable, height: int, width: int, top: int = 0, left: int = 0) -> RunTable:
    """Add rows and columns around the instances of images.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    height, width : int
        Size of the new frames, at least that of the images.
    top, left : int
        Rows above and columns to the left; the others are below and to the right.

    Returns
    -------
    RunTable
        The same table if nothing is to be added.

    Raises
    ------
    MtfastError
        If the sizes differ, or the new one is smaller.
    RLEError
        If an RLE does not tile its frame.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132"]])                # .###..
    >>> pad_table(table, 1, 8).text(0)                               # .###....
    b'134'
    """
    h, w = table.common_size()
    if (h, w) == (height, width):
        return table
    rles = pad_rles(Rles.of_table(table), top, height - h - top, left, width - w - left)
    moved = table.stated_bbox + np.array([left, top, 0, 0])
    moved.flags.writeable = False
    return replace(
        table,
        stated_bbox=moved,
        heights=np.full(table.n_images, height),
        widths=np.full(table.n_images, width),
        rle=rles.text,
        rle_offsets=rles.offsets,
    )
