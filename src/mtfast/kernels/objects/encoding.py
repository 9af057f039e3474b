"""The text of a small mask that is given as an array, as of those that networks predict."""

from mtfast.kernels.frames.encode import encode_columns
from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_i64,
    as_u8,
    as_u64,
    bytes_object,
    is_frame,
    item,
)
from mtfast.kernels.objects.scratch import (
    ARRAY_TYPE,
    BITS,
    BOOL,
    MADE,
    MAX_FRAME,
    THINGS,
    TOGGLES,
    UINT8,
)
from mtfast.kernels.rle.toggle_words import SCRATCH

__all__ = ["encoded"]


@builtin(THINGS)
def encoded(things, arguments, n_arguments):
    """encoded(pixels) -> bytes or False: the text of (height, width) uint8 or bool in F order."""
    array = argument(arguments, 0)
    if not is_frame(array, item(things, ARRAY_TYPE), item(things, UINT8), item(things, BOOL)):
        return NO()
    frame = as_u8(array)
    if frame.size > MAX_FRAME:
        return NO()
    n_words = ((frame.size + 63) >> 6) + 1
    places = as_i64(item(things, TOGGLES))[: n_words + 2 * SCRATCH]
    made = as_u8(item(things, MADE))
    n = encode_columns(frame, places, as_u64(item(things, BITS))[:n_words], made)
    return bytes_object(made, n) if n >= 0 else NO()
