"""Crop, pad, flip and rotate masks as their images are cropped, padded, flipped and rotated."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, one_of
from mtfast.rles.batch import Int64, Rles, ToggleLists, allocate, rles_of_toggles, toggles_of
from mtfast.table import MAX_PIXELS


def crop(
    rles: Rles, y: int, x: int, h: int, w: int, drop_empty: bool = False
) -> tuple[Rles, NDArray[np.bool_]]:
    """Crop all masks of a batch to one window.

    Parameters
    ----------
    rles : Rles
    y, x, h, w : int
        First row and column, height and width of the window, which must be inside every frame. It
        may have no pixels.
    drop_empty : bool
        Leave out masks that have no pixel in the window.

    Returns
    -------
    rles : Rles
        Masks of h x w pixels.
    nonempty : (n,) bool
        Which of the masks have a pixel in the window.

    Raises
    ------
    MtfastError
        If the window leaves a frame.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> both = Rles.of([b"132", b"042"], [(1, 6), (1, 6)])      # .###.. and ####..
    >>> cut, nonempty = crop(both, 0, 3, 1, 2)
    >>> cut.texts(), nonempty
    ([b'011', b'011'], array([ True,  True]))
    """
    from mtfast.kernels.operations import transform

    y, x, h, w = (
        as_integer(name, v, 0, MAX_PIXELS) for name, v in zip("yxhw", (y, x, h, w), strict=True)
    )
    lists = toggles_of(rles, "rles")
    nonempty = np.empty(lists.n, np.int64)
    out, offsets = allocate(3 * lists.toggles.size), allocate(lists.n + 1)
    n = transform.crops(
        *lists[:4],
        y,
        x,
        h,
        w,
        drop_empty,
        *_column_pieces(lists),
        nonempty,
        out,
        offsets,
    )
    if n < 0:
        raise MtfastError(
            f"a window of {h} x {w} pixels from row {y}, column {x} on; expected it inside the "
            f"frame of rles[{~n}], {lists.heights[~n]} x {lists.widths[~n]} pixels; pad the masks "
            f"or move the window"
        )
    heights, widths = np.empty((2, n), np.int64)
    heights[:], widths[:] = h, w
    return rles_of_toggles(out, offsets[: n + 1], heights, widths), nonempty.astype(bool)


def pad(rles: Rles, top: int, bottom: int, left: int, right: int, value: Literal[0, 1] = 0) -> Rles:
    """Add rows and columns around all masks of a batch.

    Parameters
    ----------
    rles : Rles
    top, bottom, left, right : int
        How many rows or columns to add on each side, 0 or more.
    value : 0 or 1
        Background or foreground.

    Returns
    -------
    Rles

    Raises
    ------
    MtfastError
        If a number is negative, or a frame would have more than 2**40 pixels.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> pad(Rles.of([b"01"], [(1, 1)]), 1, 1, 1, 0).texts()
    [b'411']
    """
    from mtfast.kernels.operations import transform
    from mtfast.kernels.rle import column_pieces

    names = ("top", "bottom", "left", "right")
    given = (top, bottom, left, right)
    top, bottom, left, right = (
        as_integer(a, b, 0, MAX_PIXELS) for a, b in zip(names, given, strict=True)
    )
    one_of("value", value, (0, 1))
    lists = toggles_of(rles, "rles")
    sizes = [
        (height + top + bottom, width + left + right)
        for height, width in dict.fromkeys(rles.sizes())
    ]
    for height, width in sizes:
        if max(height, width, height * width) > MAX_PIXELS:
            raise MtfastError(
                f"a frame of {height} x {width} pixels after padding; expected at most 2**40 "
                f"pixels; add less"
            )
    heights, widths = lists.heights + (top + bottom), lists.widths + (left + right)
    if value:
        lists = _complement(lists)
    n_runs = lists.toggles.size
    if top or bottom:
        n_runs = column_pieces.all_column_runs(lists.toggles, lists.offsets, lists.heights)
    out, offsets = allocate(2 * n_runs + lists.n), allocate(lists.n + 1)
    transform.pads(
        *lists[:3],
        top,
        bottom,
        left,
        *_column_pieces(lists),
        out,
        offsets,
    )
    padded = ToggleLists(out, offsets, heights, widths, 0)
    if value:
        padded = _complement(padded)
    return rles_of_toggles(*padded[:4])


def flip(rles: Rles, axis: Literal["horizontal", "vertical"]) -> Rles:
    """Mirror all masks of a batch.

    Parameters
    ----------
    rles : Rles
    axis : "horizontal" or "vertical"
        "horizontal" swaps left and right, as ``numpy.fliplr``; "vertical" swaps top and bottom.

    Returns
    -------
    Rles

    Raises
    ------
    MtfastError
        If the axis is neither.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> flip(Rles.of([b"015"], [(2, 3)]), "horizontal").texts()
    [b'411']
    """
    from mtfast.kernels.operations import transform

    one_of("axis", axis, ("horizontal", "vertical"))
    lists = toggles_of(rles, "rles")
    out, offsets = allocate(3 * lists.toggles.size), allocate(lists.n + 1)
    transform.flips(
        *lists[:4],
        axis == "vertical",
        *_column_pieces(lists),
        out,
        offsets,
    )
    return rles_of_toggles(out, offsets, lists.heights, lists.widths)


def rot90(rles: Rles, k: int = 1) -> Rles:
    """Turn all masks of a batch by k quarter turns counterclockwise, as ``numpy.rot90`` does.

    Parameters
    ----------
    rles : Rles
    k : int
        Negative numbers turn clockwise.

    Returns
    -------
    Rles

    Raises
    ------
    MtfastError
        If k is not an integer.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> turned = rot90(Rles.of([b"015"], [(2, 3)]))
    >>> turned.texts(), turned.sizes()
    ([b'213'], [(3, 2)])
    """
    from mtfast.kernels.operations import rotate, transform
    from mtfast.kernels.rle import coco_string

    k = as_integer("k", k) % 4
    lists = toggles_of(rles, "rles")
    offsets = allocate(lists.n + 1)
    if k == 0:
        return rles_of_toggles(*lists[:4])
    if k == 2:
        out = allocate(lists.toggles.size)
        transform.half_turns(*lists[:4], out, offsets)
        return rles_of_toggles(out, offsets, lists.heights, lists.widths)
    height = int(lists.heights.max(initial=0))
    # Flakes mostly have about as many row runs as column runs; counting them would take time.
    most, total = 2 * lists.longest, 2 * lists.toggles.size
    end = coco_string.OUTPUT_FULL
    while end < 0:
        rows, starts, stops, order = allocate(4 * most).reshape(4, most)
        out = allocate(total)
        end = rotate.quarter_turns(
            *lists[:4],
            k == 1,
            *allocate(3 * (height + 1)).reshape(3, -1),
            rows,
            starts,
            stops,
            order,
            out,
            offsets,
        )
        if end < 0:
            n_runs = allocate(lists.n)
            most = rotate.most_row_runs(*lists[:3], n_runs)
            total = 2 * int(n_runs.sum()) + lists.n
    return rles_of_toggles(out, offsets, lists.widths, lists.heights)


def _complement(lists: ToggleLists) -> ToggleLists:
    from mtfast.kernels.rle import toggle_lists

    out, offsets = allocate(lists.toggles.size + 2 * lists.n), allocate(lists.n + 1)
    toggle_lists.complements(*lists[:4], out, offsets)
    return ToggleLists(out, offsets, lists.heights, lists.widths, lists.longest + 2)


def _column_pieces(lists: ToggleLists) -> Int64:
    """Make scratch for the column pieces of any one mask, (3, n)."""
    size = 3 * (lists.longest // 2)
    return allocate(3 * size).reshape(3, size)
