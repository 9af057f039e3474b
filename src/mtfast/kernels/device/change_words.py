"""Frames -> change words: a bit for each pixel that differs from the one before it in its column.

COCO's runs go down the columns, and from the end of one into the next; frames lie row by row. A
thread takes 32 rows of one column, or of four, so that neighbouring threads read neighbouring
pixels, and makes a word of each column. Only the words are read again, an eighth of the bytes of a
mask::

    . # # .      columns    ..#    ##.    #..    ...
    . # . .      changes    ..#    .1#    ##.    ...        the first row is compared with the
    # . . .                   ^ bit 2 of the word           last one of the column before

Words are in the order frame, block of 32 rows, column. Rows below the frame repeat its last row,
which is no change.

Masks of floats are compared as the integers of their bits, in an order in which negative numbers
come first: a pixel is foreground if it is above ``low`` and not above ``high``, the order number of
infinity, which leaves out what is not a number.
"""

from mtfast.kernels.device.twice import (
    DeviceFunction,
    DeviceKernel,
    device_function,
    device_kernel,
)
from mtfast.kernels.jit import i32, i64, u32

__all__ = [
    "CHANGES_OF_LABELS",
    "CHANGES_OF_MASKS",
    "MAX_PIXELS",
    "ROWS",
    "THREADS",
    "changes_of_four_bytes",
    "order_number",
    "tile_of",
]

# Of a frame, so that 32 bits hold every place, also of the rows that a word has below the frame.
MAX_PIXELS = 2**31 - 64
# Bits of a word.
ROWS = 32
THREADS = 256


@device_function
def order_number(bits):
    """Return a number that is larger for the larger of two floats.

    Parameters
    ----------
    bits : int
        A float of any width, sign-extended to 32 bits; numbers from 0 on stay as they are.

    Returns
    -------
    int
    """
    return i32(i32(bits) ^ i32(i32(i32(bits) >> 31) & i32(0x7FFFFFFF)))


@device_function
def is_between(value, low, high):
    """Return 1 if the order number of a pixel is above ``low``, and not above ``high``."""
    number = order_number(value)
    return u32(i32(low < number) & i32(number <= high))


@device_function
def tile_of(k, height, width):
    """Return the frame, first row and column of tile k, each of which is 32 rows of a column.

    Parameters
    ----------
    k, height, width : int32

    Returns
    -------
    (int32, int32, int32)
    """
    n_blocks = i32(i32(height + 31) >> 5)
    line = i32(u32(k) // u32(width))
    frame = i32(u32(line) // u32(n_blocks))
    top = i32(i32(line - i32(frame * n_blocks)) << 5)
    return frame, top, i32(k - i32(line * width))


@device_function
def steps(row, last, stride):
    """Return how far away a row is, or the last one if that comes first."""
    return i32(min(i32(row), last) * stride)


@device_function
def place_before(row, column, height, width):
    """Return where the pixel before (row, column) is in a row-major frame; -1 if there is none."""
    if row > 0:
        return i32(i32(i32(row - 1) * width) + column)
    return i32(i32(i32(height - 1) * width) + i32(column - 1)) if column > 0 else i32(-1)


@device_function
def mask_changes(bx, by, t, scratch, frames, height, width, n_words, low, high, words):
    """Write the change words of masks; a thread takes 32 rows of a column.

    Parameters
    ----------
    frames : (n * height * width,) array
        Masks, C order; floats are viewed as integers.
    height, width : int
    n_words : int
        Of all masks.
    low, high : int
        Order numbers between which a pixel is foreground; 0 and 255 for masks of bytes.
    words : (n_words,) uint32, out
    """
    # The first pixel of a mask is compared with background.
    k = i32(i32(bx * THREADS) + t)
    if k < n_words:
        h, w, least, most = i32(height), i32(width), i32(low), i32(high)
        frame, top, column = tile_of(k, h, w)
        start = i64(frame) * i64(i32(h * w))
        last = i32(i32(h - 1) - top)
        before = place_before(top, column, h, w)
        above = u32(0)
        if before >= 0:
            above = is_between(frames[start + before], least, most)
        at = start + i32(i32(top * w) + column)
        bits = u32(0)
        for row in range(32):
            pixel = frames[at + steps(row, last, w)]
            bits = u32(bits | u32(is_between(pixel, least, most) << u32(row)))
        words[k] = u32(bits ^ u32(u32(bits << u32(1)) | above))


@device_function
def label_changes(bx, by, t, scratch, frames, height, width, n_words, words):
    """Write the change words of label maps; the first pixel of each counts as a change.

    Parameters
    ----------
    frames : (n * height * width,) array of integers
        Label maps, C order.
    height, width, n_words, words
        As in :func:`mask_changes`.
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_words:
        h, w = i32(height), i32(width)
        frame, top, column = tile_of(k, h, w)
        start = i64(frame) * i64(i32(h * w))
        last = i32(i32(h - 1) - top)
        before = place_before(top, column, h, w)
        at = start + i32(i32(top * w) + column)
        label = frames[at]
        bits = u32(1)
        if before >= 0:
            bits = u32(label != frames[start + before])
        for row in range(1, 32):
            below = frames[at + steps(row, last, w)]
            bits = u32(bits | u32(u32(below != label) << u32(row)))
            label = below
        words[k] = bits


@device_function
def lit_bytes(word):
    """Return 0x80 in each byte of a word that is not 0."""
    return u32(u32(u32(u32(word & u32(0x7F7F7F7F)) + u32(0x7F7F7F7F)) | word) & u32(0x80808080))


@device_function
def lit_in_eight_rows(fours, at, stride, last):
    """Return a byte for each of four columns, in which bit k says whether row k is not 0."""
    bits = u32(0)
    for row in range(8):
        word = fours[at + steps(row, last, stride)]
        bits = u32(u32(bits >> u32(1)) | lit_bytes(word))
    return bits


@device_function
def byte_of(word, j, to):
    """Return byte j of a word as byte ``to`` of another."""
    return u32(u32(u32(word >> u32(8 * j)) & u32(255)) << u32(8 * to))


@device_function
def column_of_four(a, b, c, d, above, j):
    """Put byte j of four words together, and mark its changes; the bit above is 0x80 in byte j."""
    low = u32(byte_of(a, j, 0) | byte_of(b, j, 1))
    high = u32(byte_of(c, j, 2) | byte_of(d, j, 3))
    bits = u32(low | high)
    return u32(bits ^ u32(u32(bits << u32(1)) | u32(u32(above >> u32(8 * j + 7)) & u32(1))))


@device_kernel("u32[] i64 i64 i64 u32[]", threads=THREADS)
def changes_of_four_bytes(bx, by, t, scratch, fours, height, width, n_words, words):
    """Write the change words of masks of bytes whose width is a multiple of 4.

    Four pixels are read at once, and four columns of 32 rows made of 33 reads.

    Parameters
    ----------
    fours : (n * height * width // 4,) uint32
        Masks, C order; the lowest byte is the first pixel.
    height, width, n_words, words
        As in :func:`mask_changes`.
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_words >> 2:
        h, w = i32(height), i32(i32(width) >> 2)
        frame, top, column = tile_of(k, h, w)
        start = i64(frame) * i64(i32(h * w))
        last = i32(i32(h - 1) - top)
        at = start + i32(i32(top * w) + column)
        above = u32(0)
        if top > 0:
            above = lit_bytes(fours[at - w])
        else:
            bottom = at + i32(last * w)
            above = u32(lit_bytes(fours[bottom]) << u32(8))
            if column > 0:
                above = u32(above | u32(lit_bytes(fours[bottom - 1]) >> u32(24)))
        # Rows below the frame are taken from above, which finds the last one.
        a = lit_in_eight_rows(fours, at, w, last)
        b = lit_in_eight_rows(fours, at + i32(8 * w), w, i32(last - 8))
        c = lit_in_eight_rows(fours, at + i32(16 * w), w, i32(last - 16))
        d = lit_in_eight_rows(fours, at + i32(24 * w), w, i32(last - 24))
        to = i64(k) << 2
        words[to] = column_of_four(a, b, c, d, above, 0)
        words[to + 1] = column_of_four(a, b, c, d, above, 1)
        words[to + 2] = column_of_four(a, b, c, d, above, 2)
        words[to + 3] = column_of_four(a, b, c, d, above, 3)


def _by_dtype(body: DeviceFunction, kinds: tuple[str, ...], types: str) -> dict[str, DeviceKernel]:
    """Make a kernel of a body for each type of pixel."""
    return {
        kind: DeviceKernel([body], f"{kind}[] {types}", THREADS, name=f"{body.__name__}_{kind}")
        for kind in kinds
    }


# By the type of a pixel.
CHANGES_OF_MASKS = _by_dtype(mask_changes, ("u8", "i16", "i32"), "i64 i64 i64 i64 i64 u32[]")
CHANGES_OF_LABELS = _by_dtype(label_changes, ("u8", "i16", "i32", "i64"), "i64 i64 i64 u32[]")
