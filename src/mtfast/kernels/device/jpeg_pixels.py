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

__all__ = ["THREADS", "TILE", "make_pixels", "orient"]

TILE = 32
THREADS = 256
ROWS_AT_ONCE = THREADS // TILE


@device_function
def mixed(near, far, odd):
    """Mix two samples for a place nearer to the first one."""
    return i32(i32(i32(3) * near + far + i32(1) + odd) >> i32(2))


@device_function
def chroma_at(planes, start, stride, y, x, height, width, down, across, top, left):
    """Return a chroma sample at a pixel of the image.

    The plane has ``height`` x ``width`` samples, of which those from ``top`` and ``left`` on are
    at ``start``.
    """
    if down == 1 and across == 1:
        return i32(planes[start + i64(y - top) * stride + (x - left)])
    odd_y, odd_x = i32(y & 1), i32(x & 1)
    if across == 1:
        y = i32(y >> 1)
        far = i32(min(max(y - 1 + 2 * odd_y, 0), height - 1))
        a = i32(planes[start + i64(y - top) * stride + (x - left)])
        b = i32(planes[start + i64(far - top) * stride + (x - left)])
        return mixed(a, b, odd_y)
    x = i32(x >> 1)
    far_x = i32(min(max(x - 1 + 2 * odd_x, 0), width - 1))
    at_edge = far_x == x
    if down == 1:
        row = start + i64(y - top) * stride - left
        a = i32(planes[row + x])
        return a if at_edge else mixed(a, i32(planes[row + far_x]), odd_x)
    y = i32(y >> 1)
    far_y = i32(min(max(y - 1 + 2 * odd_y, 0), height - 1))
    row = start + i64(y - top) * stride - left
    far_row = start + i64(far_y - top) * stride - left
    here = i32(i32(3) * i32(planes[row + x]) + i32(planes[far_row + x]))
    if at_edge:
        return i32(i32(here * i32(4) + i32(8) - odd_x) >> i32(4))
    there = i32(i32(3) * i32(planes[row + far_x]) + i32(planes[far_row + far_x]))
    return i32(i32(here * i32(3) + there + i32(8) - odd_x) >> i32(4))


@device_function
def byte(value):
    """Clip a number to 0 .. 255."""
    return u32(min(max(value, i32(0)), i32(255)))


@device_function
def pixel_at(windows, w, planes, y, x):
    """Return the pixel of an image, red in the lowest of three bytes."""
    down, across = i32(windows[w + DOWN]), i32(windows[w + ACROSS])
    row, column = i32(windows[w + ROW]), i32(windows[w + COLUMN])
    stride = i32((windows[w + COLUMN_END] - column) * 8)
    rows = i32((windows[w + ROW_END] - row) * 8)
    start = windows[w + PLANES]
    top, left = i32(row * 8), i32(column * 8)
    luma_row = start + i64(y - top * down) * i32(stride * across)
    luma = i32(planes[luma_row + (x - left * across)])
    kind = windows[w + KIND]
    if kind == KIND_GREY:
        return u32(luma) | u32(luma) << u32(8) | u32(luma) << u32(16)
    height = quotient(windows[w + FRAME_HEIGHT] + down - 1, down)
    width = quotient(windows[w + FRAME_WIDTH] + across - 1, across)
    start += i64(stride * across) * i32(rows * down)
    a = chroma_at(planes, start, stride, y, x, height, width, down, across, top, left)
    start += i64(stride) * rows
    b = chroma_at(planes, start, stride, y, x, height, width, down, across, top, left)
    if kind == KIND_RGB:
        return u32(luma) | u32(a) << u32(8) | u32(b) << u32(16)
    a, b = i32(a - 128), i32(b - 128)
    half, shift = i32(32768), i32(16)
    red = byte(i32(luma + (i32(i32(91881) * b + half) >> shift)))
    blue = byte(i32(luma + (i32(i32(116130) * a + half) >> shift)))
    green = byte(i32(luma + (i32(i32(i32(-22554) * a + half) - i32(46802) * b) >> shift)))
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
def tile_of(windows, w, bx, oriented):
    """Return the tile of a block: its place and size in the window and in the result.

    Also how it is mirrored and turned; of no rows if there is no such tile.
    """
    h, wd = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_W])
    n_across = quotient(wd + TILE - 1, TILE)
    y, x = i32(quotient(bx, n_across) * TILE), i32(remainder(bx, n_across) * TILE)
    rows, columns = i32(max(min(TILE, h - y), 0)), i32(min(TILE, wd - x))
    mirrored, turns = i32(0), i32(0)
    if oriented:
        mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    # The corner of the result is that of two opposite corners.
    a, b = orient(y, x, h, wd, mirrored, turns)
    c, d = orient(i32(y + rows - 1), i32(x + columns - 1), h, wd, mirrored, turns)
    return y, x, rows, columns, i32(min(a, c)), i32(min(b, d)), mirrored, turns


@device_function
def write_tile(bx, by, t, scratch, windows, chosen, planes, oriented, out, out_words):
    """Write the tile, whole words where its rows begin with one."""
    number = i64(chosen[by])
    w = number * FIELDS
    _, _, rows, columns, top, left, _, turns = tile_of(windows, w, bx, oriented)
    h, wd = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_W])
    start = windows[w + PIXELS]
    if oriented:
        start = number * i64(h) * i64(wd)
    if turns & 1:
        rows, columns = columns, rows
        wd = h
    if rows <= 0:
        return
    start += i64(top) * wd + left
    if (start | wd | columns) & 3 == 0:
        n_words = i32((columns * 3) >> 2)
        start = (start >> 2) * 3
        stride = i32((wd * 3) >> 2)
        for k in range(t, rows * n_words, THREADS):
            row, word = quotient(k, n_words), remainder(k, n_words)
            p = quotient(4 * word, 3)
            shift = u32(8 * remainder(word, 3))
            at = i32(row * TILE + p)
            value = scratch[at] >> shift
            # A word holds the end of a pixel, and the beginning of the next one.
            value |= scratch[at + 1] << (u32(24) - shift)
            out_words[start + i64(row) * stride + word] = value
        return
    for k in range(t, rows * columns, THREADS):
        row, column = quotient(k, columns), remainder(k, columns)
        value = scratch[row * TILE + column]
        at = 3 * (start + i64(row) * wd + column)
        out[at] = value & u32(255)
        out[at + 1] = value >> u32(8) & u32(255)
        out[at + 2] = value >> u32(16)


@device_kernel(
    "i64[] i32[] u8[] i64 u8[] u32[]",
    threads=THREADS,
    scratch=("u32", TILE * TILE + 1),
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
    y, x, rows, columns, top, left, mirrored, turns = tile_of(windows, w, bx, oriented)
    h, wd = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_W])
    frame_y, frame_x = i32(windows[w + VIEW_Y]), i32(windows[w + VIEW_X])
    height, width = i32(windows[w + FRAME_HEIGHT]), i32(windows[w + FRAME_WIDTH])
    column = remainder(t, TILE)
    if column >= columns:
        return
    for row in range(quotient(t, TILE), rows, ROWS_AT_ONCE):
        yy, xx = i32(frame_y + y + row), i32(frame_x + x + column)
        value = u32(0)
        if 0 <= yy < height and 0 <= xx < width:
            value = pixel_at(windows, w, planes, yy, xx)
        a, b = orient(i32(y + row), i32(x + column), h, wd, mirrored, turns)
        scratch[i32(a - top) * TILE + i32(b - left)] = value
