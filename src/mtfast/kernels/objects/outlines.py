"""Texts of a few polygons, given as a list of lists of numbers."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_f64,
    as_i64,
    as_u8,
    bytes_object,
    item,
    read_rings,
    read_side,
)
from mtfast.kernels.objects.scratch import (
    FACTS,
    HEIGHTS,
    MADE,
    MASKS,
    OFFSETS,
    OTHER,
    POINTS,
    THINGS,
    TOGGLE_OFFSETS,
    TOGGLES,
    WIDTHS,
    WORDS,
)
from mtfast.kernels.operations.polygon import count_toggles, encode_rings, outline_rings
from mtfast.kernels.rle.sorting import sort_places

__all__ = ["MAX_TOGGLES", "outlined"]

# To sort so many takes one or two milliseconds, with the GIL held.
MAX_TOGGLES = 1 << 15


@builtin(THINGS)
def outlined(things, arguments, n_arguments):
    """outlined(rings, height, width, offsets) -> bytes or False: the texts of n rings.

    ``offsets`` is (n + 1,) int64, out: text k is the result[offsets[k]:offsets[k + 1]].
    """
    words, out = as_i64(item(things, WORDS)), as_i64(argument(arguments, 3))
    height, width = (
        read_side(argument(arguments, 1), words),
        read_side(argument(arguments, 2), words),
    )
    points, starts = as_f64(item(things, POINTS)), as_i64(item(things, OFFSETS))
    n = read_rings(argument(arguments, 0), words, points, starts)
    if n <= 0 or out.size != n + 1 or min(height, width) < 0:
        return NO()
    heights, widths = as_i64(item(things, HEIGHTS))[:n], as_i64(item(things, WIDTHS))[:n]
    heights[:] = height
    widths[:] = width
    masks, capacities = as_i64(item(things, MASKS))[: n + 1], as_i64(item(things, FACTS))[:n]
    total = count_toggles(points, starts, masks, widths, capacities)
    toggles, other = as_i64(item(things, TOGGLES)), as_i64(item(things, OTHER))
    if total < 0 or total > MAX_TOGGLES:
        return NO()
    ends = as_i64(item(things, TOGGLE_OFFSETS))[:n]
    outline_rings(points, starts, masks, heights, widths, toggles, ends)
    start = largest = 0
    for k in range(n):
        sort_places(toggles[start : ends[k]], other)
        start = ends[k]
        largest = max(largest, capacities[k])
    text = as_u8(item(things, MADE))
    return bytes_object(
        text,
        encode_rings(toggles, ends, masks, heights, widths, other[: 3 * largest], text, out),
    )
