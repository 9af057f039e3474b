"""Text -> frame, in one call.

The text is read and checked to its end before the first pixel is written. A small mask is painted
pixel by pixel, others 64 pixels at a time::

    text  -->  places        -->  frame of any type     small masks, and frames of wide pixels
    text  -->  toggle words  -->  frame of bytes        all others
"""

from mtfast.kernels.frames.column_order import columns_of_toggles
from mtfast.kernels.frames.paint import paint_places
from mtfast.kernels.frames.row_order import bit_scratch_size, rows_of_toggles
from mtfast.kernels.jit import i64, kernel, read, u8, u16, u32, u64, write
from mtfast.kernels.rle.coco_string import decode_places
from mtfast.kernels.rle.measure import area_of_places
from mtfast.kernels.rle.toggle_words import SCRATCH, toggles_of_text

__all__ = [
    "SMALL_PART",
    "TOO_LARGE",
    "decode_columns",
    "decode_rows",
    "decode_small",
    "scratch_sizes",
]

# A mask is small if its text is one batch and its area at most a 128th of the frame: painting a
# pixel takes as long as filling a hundred.
SMALL_PART = 128

# What decode_small returns besides what decode_places does.
TOO_LARGE = -9


def scratch_sizes(length: int, height: int, width: int, by_columns: bool) -> tuple[int, int]:
    """Return how many int64 and how many uint64 the decoders need as scratch.

    Parameters
    ----------
    length : int
        Characters of the text.
    height, width : int
        Pixels.
    by_columns : bool
        For :func:`decode_columns`, else :func:`decode_rows`.

    Returns
    -------
    n_places, n_bits : int
    """
    if by_columns:
        n_words = min(length, (height * width + 63) >> 6) + 2
        return n_words + SCRATCH, n_words
    n_words = min(length, ((height + 63) >> 6) * width) + 2
    return n_words + SCRATCH, n_words + bit_scratch_size(height, width)


@kernel(
    i64(read(u8), i64, i64, i64, i64, i64, i64, write(i64), write(u8)),
    i64(read(u8), i64, i64, i64, i64, i64, i64, write(i64), write(u16)),
    i64(read(u8), i64, i64, i64, i64, i64, i64, write(i64), write(u32)),
)
def decode_small(text, start, stop, height, largest, value, is_clear, places, frame):
    """Decode ``text[start:stop]`` into a C-order frame, run by run.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, height : int
    largest : int
        With more foreground pixels than this the mask is TOO_LARGE.
    value : int
        Of the foreground; the background becomes 0.
    is_clear : int
        Nonzero if the frame is all 0 already.
    places : (>= stop - start,) int64, scratch
    frame : (height * width,) uint8, uint16 or uint32, out

    Returns
    -------
    int
        A negative status or TOO_LARGE, with nothing written, or another number.
    """
    n = decode_places(text, start, stop, frame.size, places)
    if n < 0:
        return n
    if area_of_places(places, n) > largest:
        return TOO_LARGE
    if not is_clear:
        frame[:] = 0
    return paint_places(places, n, height, value, frame)


@kernel(i64(read(u8), i64, i64, i64, i64, u8, write(i64), write(u64), write(u8)))
def decode_rows(text, start, stop, height, width, value, places, bits, frame):
    """Decode ``text[start:stop]`` into a C-order frame.

    Parameters
    ----------
    text : (n,) uint8
    start, stop, height, width : int
    value : uint8
        Of the foreground; the background becomes 0.
    places, bits : int64 and uint64, scratch
        See :func:`scratch_sizes`.
    frame : (height * width,) uint8, out

    Returns
    -------
    int
        A negative status, with nothing written, or another number.
    """
    bases = places[SCRATCH:]
    words = bits[: bases.size]
    n = toggles_of_text(text, start, stop, height, height * width, places[:SCRATCH], bases, words)
    if n >= 0:
        rows_of_toggles(bases, words, height, width, value, bits[bases.size :], frame)
    return n


@kernel(i64(read(u8), i64, i64, u8, i64, write(i64), write(u64), write(u8)))
def decode_columns(text, start, stop, value, is_clear, places, bits, frame):
    """Decode ``text[start:stop]`` into an F-order frame.

    Parameters
    ----------
    text : (n,) uint8
    start, stop : int
    value : uint8
        Of the foreground; the background becomes 0.
    is_clear : int
        Nonzero if the frame is all 0 already.
    places, bits : int64 and uint64, scratch
        See :func:`scratch_sizes`.
    frame : (n_pixels,) uint8, out
        Columns one after another.

    Returns
    -------
    int
        A negative status, with nothing written, or another number.
    """
    batch = places[:SCRATCH]
    bases = places[SCRATCH:]
    n = toggles_of_text(text, start, stop, frame.size, frame.size, batch, bases, bits)
    if n >= 0:
        columns_of_toggles(bases, bits, value, is_clear, frame)
    return n
