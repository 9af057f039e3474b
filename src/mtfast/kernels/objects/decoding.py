"""The pixels of a mask, given as a dict."""

from mtfast.kernels.frames.decode import decode_columns
from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_i64,
    as_u8,
    as_u64,
    is_true,
    item,
    read_masks,
    side,
    yes_or_no,
)
from mtfast.kernels.objects.scratch import (
    BITS,
    HEIGHTS,
    MAX_CLEAR_FRAME,
    MAX_FRAME,
    OFFSETS,
    TEXT,
    THINGS,
    TOGGLES,
    WIDTHS,
    WORDS,
)
from mtfast.kernels.rle.toggle_words import SCRATCH

__all__ = ["decoded"]


@builtin(THINGS)
def decoded(things, arguments, n_arguments):
    """decoded(mask, is_clear, out) -> bool: the pixels of a mask, into (height, width) uint8.

    ``out`` is in F order; ``is_clear`` is True if it is all 0 already, or False.
    """
    is_clear, array = is_true(argument(arguments, 1)), argument(arguments, 2)
    frame = as_u8(array)
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    n = read_masks(
        argument(arguments, 0), 0, as_i64(item(things, WORDS)), text, offsets, heights, widths
    )
    if n != 1 or heights[0] != side(array, 0) or widths[0] != side(array, 1):
        return NO()
    bits = as_u64(item(things, BITS))
    n_words = min(offsets[1], (frame.size + 63) >> 6) + 2
    if n_words > bits.size or frame.size > (MAX_CLEAR_FRAME if is_clear else MAX_FRAME):
        return NO()
    places = as_i64(item(things, TOGGLES))[: n_words + SCRATCH]
    bits = bits[:n_words]
    return yes_or_no(decode_columns(text, 0, offsets[1], 1, is_clear, places, bits, frame) >= 0)
