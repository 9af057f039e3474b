"""The text of a mask that is given as a list of run lengths."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_i64,
    as_u8,
    bytes_object,
    item,
    read_counts,
    read_side,
)
from mtfast.kernels.objects.scratch import MADE, MAX_CHARACTERS, THINGS, TOGGLES, WORDS
from mtfast.kernels.rle.coco_string import encode_counts

__all__ = ["compressed"]


@builtin(THINGS)
def compressed(things, arguments, n_arguments):
    """compressed(counts, height, width) -> bytes or False: the text of runs that fill the frame."""
    words, counts = as_i64(item(things, WORDS)), as_i64(item(things, TOGGLES))[:MAX_CHARACTERS]
    height = read_side(argument(arguments, 1), words)
    width = read_side(argument(arguments, 2), words)
    n = read_counts(argument(arguments, 0), words, counts)
    if n < 0 or min(height, width) < 0:
        return NO()
    left = height * width
    for k in range(n):
        if counts[k] < 0 or counts[k] > left:
            return NO()
        left -= counts[k]
    text = as_u8(item(things, MADE))
    return NO() if left > 0 else bytes_object(text, encode_counts(counts, 0, n, text, 0))
