"""Frame -> COCO text, in one call."""

from mtfast.kernels.frames.column_order import toggles_of_columns
from mtfast.kernels.frames.row_order import scratch_size, toggles_of_rows
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.toggle_words import SCRATCH, text_of_toggles, text_room

# Enough for a mask without toggles.
LEAST_ROOM = 32


def scratch_sizes(height: int, width: int, by_columns: bool) -> tuple[int, int]:
    """Return how many int64 and how many uint64 the encoders need as scratch."""
    if by_columns:
        n_words = ((height * width + 63) >> 6) + 1
        return n_words + 2 * SCRATCH, n_words
    n_words = ((height + 63) >> 6) * width + 1
    return n_words + 2 * SCRATCH, n_words + scratch_size(height, width)


@kernel(i64(i64, i64, write(i64), read(u64), write(u8)))
def encode_toggles(n_toggles, n_pixels, places, bits, text):
    """Write the text of a mask whose toggles an encoder has left in its scratch.

    Returns
    -------
    int
        How many characters were written, or -n_toggles if text is shorter than their
        :func:`~mtfast.kernels.rle.toggle_words.text_room`.
    """
    if text_room(n_toggles, n_pixels) > text.size:
        return -n_toggles
    return text_of_toggles(
        places[2 * SCRATCH :],
        bits,
        n_pixels,
        places[:SCRATCH],
        places[SCRATCH : 2 * SCRATCH],
        text,
    )


@kernel(i64(read(u8), i64, i64, write(i64), write(u64), write(u8)))
def encode_rows(frame, height, width, places, bits, text):
    """Encode a mask in a C-order frame.

    Parameters
    ----------
    frame : (height * width,) uint8
        Rows one after another; nonzero is foreground.
    height, width : int
    places, bits : int64 and uint64, scratch
        See :func:`scratch_sizes`.
    text : (>= LEAST_ROOM,) uint8, out

    Returns
    -------
    int
        How many characters were written, or minus the number of toggles if the text may be too
        short for them: then :func:`encode_toggles` goes on from there.
    """
    n_words = ((height + 63) >> 6) * width + 1
    n_toggles = toggles_of_rows(
        frame, height, width, bits[n_words:], places[2 * SCRATCH :], bits[:n_words]
    )
    return encode_toggles(n_toggles, height * width, places, bits, text)


@kernel(i64(read(u8), write(i64), write(u64), write(u8)))
def encode_columns(frame, places, bits, text):
    """Encode a mask in an F-order frame; see :func:`encode_rows`."""
    n_toggles = toggles_of_columns(frame, places[2 * SCRATCH :], bits)
    return encode_toggles(n_toggles, frame.size, places, bits, text)
