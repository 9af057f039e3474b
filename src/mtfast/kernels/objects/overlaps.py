"""Intersection over union of a few masks with each other, given as lists of dicts."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_f64,
    as_i64,
    as_u8,
    flags_of,
    item,
    read_masks,
    yes_or_no,
)
from mtfast.kernels.objects.scratch import (
    FACTS,
    FLAGS,
    HEIGHTS,
    MAX_PIXELS,
    OFFSETS,
    TEXT,
    THINGS,
    TOGGLE_OFFSETS,
    TOGGLES,
    WIDTHS,
    WORDS,
)
from mtfast.kernels.operations.iou import N_FACTS, ious
from mtfast.kernels.rle.toggle_lists import decode_lists, first_of_other_size

__all__ = ["MAX_COMPARED", "overlaps"]

# Characters that are compared with each other: then the GIL is held for eight milliseconds if all
# masks overlap, and for a tenth of that if few do.
MAX_COMPARED = 1 << 23


@builtin(THINGS)
def overlaps(things, arguments, n_arguments):
    """overlaps(dt, gt, iscrowd, out) -> bool: iou of m masks with n, into (m, n) float64."""
    out = as_f64(argument(arguments, 3))
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    words, crowd = as_i64(item(things, WORDS)), as_u8(item(things, FLAGS))
    m = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if m <= 0:
        return NO()
    n = read_masks(argument(arguments, 1), m, words, text, offsets, heights, widths) - m
    if n <= 0 or m * n != out.size or flags_of(argument(arguments, 2), words, crowd) != n:
        return NO()
    if n * offsets[m] + m * (offsets[m + n] - offsets[m]) > MAX_COMPARED:
        return NO()
    heights, widths = heights[: m + n], widths[: m + n]
    if first_of_other_size(heights, widths, heights[0], widths[0]) >= 0:
        return NO()
    toggles, starts = as_i64(item(things, TOGGLES)), as_i64(item(things, TOGGLE_OFFSETS))
    if decode_lists(text, offsets, heights, widths, MAX_PIXELS, toggles, starts) < 0:
        return NO()
    facts = as_i64(item(things, FACTS))
    ious(
        toggles,
        starts[: m + 1],
        toggles,
        starts[m : m + n + 1],
        heights[0],
        crowd,
        facts[: N_FACTS * m],
        facts[N_FACTS * m :],
        out,
    )
    return yes_or_no(True)
