"""Samples of the components -> pixels of windows, upsampled, mirrored and turned.

A block of threads makes a tile of 32 x 32 pixels. It reads the samples in the order in which they
lie, and writes the pixels in the order of the result, which a turn makes another one::

    planes --rows of the window--> scratch: a tile of the result --rows of the result--> out

Chroma is mixed of the nearest samples with weights of 3 : 1 in each direction in which it is
subsampled ("fancy upsampling"), at the edges of the image of those that there are.
Source: jdsample.c and jdcolor.c of libjpeg-turbo.
"""

from mtfast.kernels.device.arithmetic import quotient, remainder
from mtfast.kernels.device.twice import device_function, device_kernel
from mtfast.kernels.device.window_table import (
    ACROSS,
    COLUMN,
    COLUMN_END,
    DOWN,
    FIELDS,
    FRAME_HEIGHT,
    FRAME_WIDTH,
    KIND,
    KIND_GREY,
    KIND_RGB,
    MIRRORED,
    PIXELS,
    PLANES,
    ROW,
    ROW_END,
    TURNS,
    VIEW_H,
    VIEW_W,
    VIEW_X,
    VIEW_Y,
)
from mtfast.kernels.jit import i32, i64, u32

__all__ = ["STRIDE", "THREADS", "TILE", "make_pixels", "orient", "tile_at", "write_pixels"]

TILE = 32
# A row of a tile in scratch memory; one more, so that columns are spread over its banks.
STRIDE = TILE + 1
# A thread makes four pixels of a row.
AT_ONCE = 4
THREADS = TILE * TILE // AT_ONCE


@device_function
def clamped(value, n):
    """Return the nearest number from 0 to n - 1."""
    return i32(min(max(value, i32(0)), i32(n - 1)))


@device_function
def mixed_rows(planes, near, far, column, is_mixed):
    """Return a sample of a row of chroma, mixed with that of another row, four times as large."""
    value = i32(planes[near + column])
    return i32(i32(3) * value + i32(planes[far + column])) if is_mixed else value


@device_function
def four_samples(planes, near, far, x, end, across, down, left, odd_y):
    """Return the chroma at four pixels of a row, from ``x`` on.

    ``near`` and ``far`` are where the two nearest rows of the plane begin, whose samples are those
    of the columns from ``left`` to ``end - 1``.
    """
    first = i32((x - 1) >> 1) if across == 2 else x
    is_mixed = down == 2
    a = mixed_rows(planes, near, far, clamped(first, end) - left, is_mixed)
    b = mixed_rows(planes, near, far, clamped(first + 1, end) - left, is_mixed)
    c = mixed_rows(planes, near, far, clamped(first + 2, end) - left, is_mixed)
    d = mixed_rows(planes, near, far, clamped(first + 3, end) - left, is_mixed)
    # The nearer sample of each pixel, and the other one.
    n0, n1, n2, n3, f0, f1, f2, f3 = a, b, c, d, a, b, c, d
    even, odd, shift = i32(0), i32(0), i32(2)
    if across == 2:
        even, odd = i32(1), i32(2)
        if x & 1:
            n0, n1, n2, n3, f0, f1, f2, f3 = a, b, b, c, b, a, c, b
        else:
            n0, n1, n2, n3, f0, f1, f2, f3 = b, b, c, c, a, c, b, d
        if is_mixed:
            even, odd, shift = i32(8), i32(7), i32(4)
        if x & 1:
            even, odd = odd, even
    elif is_mixed:
        even = odd = i32(4 + 4 * odd_y)
        shift = i32(4)
    return (
        i32(i32(i32(3) * n0 + f0 + even) >> shift),
        i32(i32(i32(3) * n1 + f1 + odd) >> shift),
        i32(i32(i32(3) * n2 + f2 + even) >> shift),
        i32(i32(i32(3) * n3 + f3 + odd) >> shift),
    )


@device_function
def byte(value):
    """Clip a number to 0 .. 255."""
    return u32(min(max(value, i32(0)), i32(255)))


@device_function
def pixel(luma, a, b, kind):
    """Return a pixel of its components, red in the lowest of three bytes."""
    if kind == KIND_GREY:
        return u32(luma) | u32(luma) << u32(8) | u32(luma) << u32(16)
    if kind == KIND_RGB:
        return u32(luma) | u32(a) << u32(8) | u32(b) << u32(16)
    a, b = i32(a - 128), i32(b - 128)
    half, shift = i32(32768), i32(16)
    red = byte(i32(luma + i32(i32(i32(91881) * b + half) >> shift)))
    blue = byte(i32(luma + i32(i32(i32(116130) * a + half) >> shift)))
    mix = i32(i32(i32(-22554) * a + half) - i32(i32(46802) * b))
    green = byte(i32(luma + i32(mix >> shift)))
    return red | green << u32(8) | blue << u32(16)


@device_function
def orient(y, x, h, w, mirrored, turns):
    """Return where a pixel of an h x w window comes to lie."""
    if mirrored:
        x = i32(w - 1 - x)
    if turns == 1:
        return i32(w - 1 - x), i32(y)
    if turns == 2:
        return i32(h - 1 - y), i32(w - 1 - x)
    if turns == 3:
        return i32(x), i32(h - 1 - y)
    return i32(y), i32(x)


@device_function
def tile_at(number, h, wd, height, width, mirrored, turns):
    """Return a tile of ``height`` x ``width`` of a window, and where it comes to lie.

    These are its first row and column in the window, its size, of no rows if there is no such tile,
    and its first row and column in the result.
    """
    n_across = quotient(wd + width - 1, width)
    y = i32(quotient(number, n_across) * height)
    x = i32(remainder(number, n_across) * width)
    rows, columns = i32(max(min(height, h - y), 0)), i32(min(width, wd - x))
    # The corner of the result is that of two opposite corners.
    a, b = orient(y, x, h, wd, mirrored, turns)
    c, d = orient(i32(y + rows - 1), i32(x + columns - 1), h, wd, mirrored, turns)
    return y, x, rows, columns, i32(min(a, c)), i32(min(b, d))


@device_function
def write_pixels(scratch, t, start, stride, rows, columns, out, out_words):
    """Write a tile of pixels, whole words where its rows begin with one.

    ``start`` and ``stride`` count pixels.
    """
    row = i32(t >> 3)
    if row >= rows:
        return
    at = i32(row * STRIDE)
    first = start + i64(row) * stride
    if (start | stride | columns) & 3 == 0:
        first = (first >> 2) * 3
        for word in range(t & 7, (columns >> 2) * 3, 8):
            p = quotient(4 * word, 3)
            shift = u32(8 * remainder(word, 3))
            # A word holds the end of a pixel, and the beginning of the next one.
            value = scratch[at + p] >> shift | scratch[at + p + 1] << (u32(24) - shift)
            out_words[first + word] = value
        return
    for column in range(t & 7, columns, 8):
        value = scratch[at + column]
        place = 3 * (first + column)
        out[place] = value & u32(255)
        out[place + 1] = value >> u32(8) & u32(255)
        out[place + 2] = value >> u32(16)


@device_function
def write_tile(bx, by, t, scratch, windows, chosen, planes, oriented, out, out_words):
    """Write the tile that the threads of a block have made."""
    number = i64(chosen[by])
    w = number * FIELDS
    h, wd = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_W])
    mirrored, turns, start = i32(0), i32(0), windows[w + PIXELS]
    if oriented:
        mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
        start = number * h * i64(wd)
    _, _, rows, columns, top, left = tile_at(bx, h, wd, TILE, TILE, mirrored, turns)
    if rows <= 0:
        return
    stride = wd
    if turns & 1:
        rows, columns, stride = columns, rows, h
    start += i64(top) * stride + left
    write_pixels(scratch, t, start, stride, rows, columns, out, out_words)


@device_kernel(
    "i64[] i32[] u8[] i64 u8[] u32[]",
    threads=THREADS,
    scratch=("u32", TILE * STRIDE + 1),
    then=[write_tile],
)
def make_pixels(bx, by, t, scratch, windows, chosen, planes, oriented, out, out_words):
    """Make the pixels of windows.

    Blocks: ``by`` counts the chosen windows, ``bx`` the tiles of a window, row by row.

    Parameters
    ----------
    windows : (n * FIELDS,) int64
        See :mod:`mtfast.kernels.device.window_table`.
    chosen : int32
        Numbers of windows.
    planes : uint8
        As :func:`mtfast.kernels.device.jpeg_blocks.decode_stretches` writes them.
    oriented : int
        1 to mirror and turn, and write window k as the k-th of frames of one size; 0 to write it
        as it is, from its PIXELS on.
    out : uint8, out
        RGB. What is outside of the image is black.
    out_words : uint32, out
        The same memory; where it holds no whole number of words the last bytes are missing.
    """
    w = i64(chosen[by]) * FIELDS
    h, wd = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_W])
    mirrored, turns = i32(0), i32(0)
    if oriented:
        mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    y, x, rows, columns, top, left = tile_at(bx, h, wd, TILE, TILE, mirrored, turns)
    y, x = i32(y + (t >> 3)), i32(x + AT_ONCE * (t & 7))
    if i32(t >> 3) >= rows or i32(AT_ONCE * (t & 7)) >= columns:
        return
    # Where the pixels are in the result, and how far apart.
    a, b = orient(y, x, h, wd, mirrored, turns)
    c, d = orient(y, i32(x + 1), h, wd, mirrored, turns)
    place = i32(i32(a - top) * STRIDE + i32(b - left))
    apart = i32(i32(c - a) * STRIDE + i32(d - b))
    n = i32(min(AT_ONCE, wd - x))
    y, x = i32(y + windows[w + VIEW_Y]), i32(x + windows[w + VIEW_X])
    height, width = i32(windows[w + FRAME_HEIGHT]), i32(windows[w + FRAME_WIDTH])
    # Where none of the pixels are in the image, there may be no samples at all.
    if y < 0 or y >= height or x + n <= 0 or x >= width:
        for k in range(n):
            scratch[place + k * apart] = 0
        return
    down, across, kind = i32(windows[w + DOWN]), i32(windows[w + ACROSS]), i32(windows[w + KIND])
    row, column = i32(windows[w + ROW]), i32(windows[w + COLUMN])
    stride = i32((windows[w + COLUMN_END] - column) * 8)
    n_rows = i32((windows[w + ROW_END] - row) * 8)
    start = windows[w + PLANES]
    # Samples of pixels after the window may not be there; they are not needed either.
    end = i32(min(width, i64(column * 8 + stride) * across))
    luma = start + i64(y - row * 8 * down) * i32(stride * across) - column * 8 * across
    l0 = i32(planes[luma + clamped(x, end)])
    l1 = i32(planes[luma + clamped(x + 1, end)])
    l2 = i32(planes[luma + clamped(x + 2, end)])
    l3 = i32(planes[luma + clamped(x + 3, end)])
    a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = i32(0)
    if kind != KIND_GREY:
        size = i64(n_rows) * stride
        start += size * (down * across)
        odd_y = i32(y & 1)
        near, far = y, y
        if down == 2:
            near = i32(y >> 1)
            far = clamped(near - 1 + 2 * odd_y, (height + 1) >> 1)
        end = width if across == 1 else i32((width + 1) >> 1)
        end = i32(min(end, column * 8 + stride))
        near = start + i64(near - row * 8) * stride
        far = start + i64(far - row * 8) * stride
        left = i32(column * 8)
        a0, a1, a2, a3 = four_samples(planes, near, far, x, end, across, down, left, odd_y)
        b0, b1, b2, b3 = four_samples(
            planes, near + size, far + size, x, end, across, down, left, odd_y
        )
    # Columns outside of the image are black.
    scratch[place] = pixel(l0, a0, b0, kind) if 0 <= x < width else u32(0)
    if n > 1:
        scratch[place + apart] = pixel(l1, a1, b1, kind) if 0 <= x + 1 < width else u32(0)
    if n > 2:
        scratch[place + 2 * apart] = pixel(l2, a2, b2, kind) if 0 <= x + 2 < width else u32(0)
    if n > 3:
        scratch[place + 3 * apart] = pixel(l3, a3, b3, kind) if 0 <= x + 3 < width else u32(0)
