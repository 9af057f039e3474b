"""The pixels of a small mask, given as a dict."""

from mtfast.kernels.frames.decode import decode_columns
from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_i64,
    as_u8,
    as_u64,
    item,
    read_masks,
    side,
    yes_or_no,
)
from mtfast.kernels.objects.scratch import (
    BITS,
    HEIGHTS,
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
    """decoded(mask, out) -> bool: the pixels of a mask, into (height, width) uint8 in F order."""
    array = argument(arguments, 1)
    frame = as_u8(array)
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    n = read_masks(
        argument(arguments, 0), 0, as_i64(item(things, WORDS)), text, offsets, heights, widths
    )
    if n != 1 or heights[0] != side(array, 0) or widths[0] != side(array, 1):
        return NO()
    if frame.size > MAX_FRAME:
        return NO()
    n_words = min(offsets[1], (frame.size + 63) >> 6) + 2
    places = as_i64(item(things, TOGGLES))[: n_words + SCRATCH]
    bits = as_u64(item(things, BITS))[:n_words]
    return yes_or_no(decode_columns(text, 0, offsets[1], 1, False, places, bits, frame) >= 0)
