"""A zstd frame of RLE blocks -> the pixels of its upper left corner.

The blocks are painted straight into the corner that is wanted; what lies outside is counted and not
painted. So a small mask takes as long in a large frame as in one of its own size: 9 us for 506 x
285 pixels of 2500 x 2500, of which zstd decodes all in 84 us.

The frames are those of :mod:`mtfast.kernels.files.zstd_frame`, which explains them.
"""

from mtfast.kernels.files.zstd_layout import (
    BLOCK_BYTES,
    DESCRIPTOR,
    HEADER_BYTES,
    KIND,
    LAST_BLOCK,
    MAGIC,
    RLE_BLOCK,
    WINDOW,
)
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

__all__ = ["read_corner"]


@kernel(i64(read(u8), i64))
def has_header(data, n_pixels):
    """Return 1 if data begins with the header of such a frame, else 0."""
    if data.size < HEADER_BYTES:
        return 0
    for i in range(4):
        if data[i] != MAGIC >> 8 * i & 255:
            return 0
    if data[4] != DESCRIPTOR or data[5] != WINDOW:
        return 0
    for i in range(8):
        if data[6 + i] != n_pixels >> 8 * i & 255:
            return 0
    return 1


@kernel(i64(read(u8), i64, i64, i64, write(u8)))
def read_corner(data, down, across, width, out):
    """Paint the upper left corner of the pixels of a frame of RLE blocks.

    Parameters
    ----------
    data : (n_bytes,) uint8
        The frame, and nothing else.
    down, across : int
        Rows and columns of the pixels of the frame.
    width : int
        Columns of the corner, 1 .. across.
    out : (height * width,) uint8, out
        Rows of the corner, one after another; at most as many as the frame has.

    Returns
    -------
    int
        1, or 0 if it has other blocks or another size, or is damaged: ``out`` may be half painted
        then.
    """
    n_pixels = down * across
    if has_header(data, n_pixels) == 0:
        return 0
    height = out.size // width
    at = HEADER_BYTES
    n_read = row = column = 0
    header = 0
    while header & LAST_BLOCK == 0:
        if at + BLOCK_BYTES > data.size:
            return 0
        # Unsigned, as in zstd_frame.write_stretch.
        i = u64(at)
        header = i64(data[i]) | i64(data[i + u64(1)]) << 8 | i64(data[i + u64(2)]) << 16
        value = data[i + u64(3)]
        at += BLOCK_BYTES
        left = header >> 3
        n_read += left
        if header & KIND != RLE_BLOCK or n_read > n_pixels:
            return 0
        while left > 0 and row < height:
            n = min(left, across - column)
            begin = u64(row * width + column)
            for k in range(min(n, width - column)):
                out[begin + u64(k)] = value
            left -= n
            column += n
            if column == across:
                column = 0
                row += 1
    return 1 if n_read == n_pixels and at == data.size else 0
