"""Text of any length -> places, by the reader that suits its length."""

from mtfast.kernels.jit import i64, kernel, read, u8, write
from mtfast.kernels.rle.coco_string import TOO_SHORT, decode_places
from mtfast.kernels.rle.long_strings import BATCH, end_of_batch, read_places

__all__ = ["places_of_text"]


@kernel(i64(read(u8), i64, i64, i64, write(i64)))
def places_of_text(text, start, stop, n_pixels, places):
    """Decode ``text[start:stop]`` into places, or say that it cannot be.

    Accepts what :func:`mtfast.kernels.rle.coco_string.decode_places` accepts, and nothing else.
    Where numbers of one character and of two are mixed, half of the time of that is branches which
    are predicted wrongly: beyond 1,024 characters :mod:`mtfast.kernels.rle.long_strings` is up to
    1.7 times as fast, and 0.9 times where nearly all numbers have one.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, n_pixels : int
    places : (>= stop - start,) int64, out

    Returns
    -------
    int
        How many places were written, or a negative status.
    """
    if stop - start <= BATCH:
        return decode_places(text, start, stop, n_pixels, places)
    n = 0
    total = 0
    previous = 0
    before_previous = 0
    at = start
    while at < stop:
        end = end_of_batch(text, at, stop)
        found = places[n:]
        n_found = read_places(
            text, at, end, n_pixels, at - start, total, previous, before_previous, found
        )
        if n_found < 0:
            return n_found
        if n_found > 2:
            previous = found[n_found - 1] - found[n_found - 2]
            before_previous = found[n_found - 2] - found[n_found - 3]
        total = found[n_found - 1]
        at = end
        n += n_found
    return n if total == n_pixels else TOO_SHORT
