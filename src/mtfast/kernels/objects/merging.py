"""Union and intersection of a few masks, given as a list of dicts."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_i64,
    as_u8,
    bytes_object,
    is_true,
    item,
    read_masks,
)
from mtfast.kernels.objects.scratch import (
    HEIGHTS,
    MADE,
    MAX_PIXELS,
    OFFSETS,
    OTHER,
    TEXT,
    THINGS,
    TOGGLE_OFFSETS,
    TOGGLES,
    WIDTHS,
    WORDS,
)
from mtfast.kernels.operations.boolean import intersect_all, unite_all
from mtfast.kernels.rle.coco_string import encode_counts
from mtfast.kernels.rle.toggle_lists import counts_of_list, decode_lists, first_of_other_size

__all__ = ["merged"]


@builtin(THINGS)
def merged(things, arguments, n_arguments):
    """merged(masks, intersect) -> bytes or False: the text of all masks as one.

    ``intersect`` is True or False.
    """
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    words = as_i64(item(things, WORDS))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if n <= 0:
        return NO()
    heights, widths = heights[:n], widths[:n]
    if first_of_other_size(heights, widths, heights[0], widths[0]) >= 0:
        return NO()
    toggles, starts = as_i64(item(things, TOGGLES)), as_i64(item(things, TOGGLE_OFFSETS))
    if decode_lists(text, offsets, heights, widths, MAX_PIXELS, toggles, starts) < 0:
        return NO()
    if n == 1:
        return bytes_object(text, offsets[1])
    other, starts = as_i64(item(things, OTHER)), starts[: n + 1]
    if is_true(argument(arguments, 1)):
        n_toggles = intersect_all(toggles, starts, other) - 1
    else:
        if unite_all(toggles, starts, other):
            toggles = other
        n_toggles = starts[1] - 1
    n_counts = counts_of_list(toggles, n_toggles, heights[0] * widths[0])
    made = as_u8(item(things, MADE))
    return bytes_object(made, encode_counts(toggles, 0, n_counts, made, 0))
