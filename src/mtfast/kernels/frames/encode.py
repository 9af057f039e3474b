"""Frame -> text, in one call.

::

    frame  -->  toggle words, in the scratch arrays  -->  text

Where the text may be too short nothing is written; the caller makes a longer one and goes on from
the toggle words.
"""

from mtfast.kernels.frames.column_order import toggles_of_columns
from mtfast.kernels.frames.row_order import bit_scratch_size, toggles_of_rows
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.toggle_words import SCRATCH, text_capacity, text_of_toggles

__all__ = ["MIN_CAPACITY", "encode_columns", "encode_rows", "encode_toggles", "scratch_sizes"]

# Characters that suffice for a mask without toggles.
MIN_CAPACITY = 32


def scratch_sizes(height: int, width: int, by_columns: bool) -> tuple[int, int]:
    """Return how many int64 and how many uint64 the encoders need as scratch.

    Parameters
    ----------
    height, width : int
        Pixels.
    by_columns : bool
        For :func:`encode_columns`, else :func:`encode_rows`.

    Returns
    -------
    n_places, n_bits : int
    """
    if by_columns:
        n_words = ((height * width + 63) >> 6) + 1
        return n_words + 2 * SCRATCH, n_words
    n_words = ((height + 63) >> 6) * width + 1
    return n_words + 2 * SCRATCH, n_words + bit_scratch_size(height, width)


@kernel(i64(i64, i64, write(i64), read(u64), write(u8)))
def encode_toggles(n_toggles, n_pixels, places, bits, text):
    """Write the text of a mask whose toggle words an encoder has left in its scratch arrays.

    Parameters
    ----------
    n_toggles, n_pixels : int
    places, bits : int64 and uint64, scratch
        Of the encoder.
    text : uint8, out

    Returns
    -------
    int
        How many characters were written, or -n_toggles if text is shorter than their
        :func:`~mtfast.kernels.rle.toggle_words.text_capacity`.
    """
    if text_capacity(n_toggles, n_pixels) > text.size:
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
    text : (>= MIN_CAPACITY,) uint8, out

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
    """Encode a mask in an F-order frame.

    Parameters
    ----------
    frame : (n_pixels,) uint8
        Columns one after another; nonzero is foreground.
    places, bits, text
        As in :func:`encode_rows`.

    Returns
    -------
    int
        As there.
    """
    n_toggles = toggles_of_columns(frame, places[2 * SCRATCH :], bits)
    return encode_toggles(n_toggles, frame.size, places, bits, text)
