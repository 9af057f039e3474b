"""Windows resized as Pillow does, in two passes, and then mirrored and turned.

See :mod:`mtfast.kernels.frames.resize`, whose weights and pixels these are.
"""

from mtfast.kernels.device.arithmetic import quotient, remainder
from mtfast.kernels.device.jpeg_pixels import STRIDE, TILE, orient, tile_at, write_pixels
from mtfast.kernels.device.jpeg_pixels import THREADS as TILE_THREADS
from mtfast.kernels.device.twice import device_function, device_kernel
from mtfast.kernels.device.window_table import (
    FIELDS,
    HEIGHT,
    MIRRORED,
    PIXELS,
    TURNS,
    VIEW_H,
    VIEW_W,
    WIDTH,
)
from mtfast.kernels.jit import f64, i32, i64, u32

__all__ = [
    "ACROSS_STARTS",
    "ACROSS_TAPS",
    "ACROSS_WEIGHTS",
    "BETWEEN",
    "DOWN_FIRST",
    "DOWN_STARTS",
    "DOWN_TAPS",
    "DOWN_WEIGHTS",
    "PASS_FIELDS",
    "THREADS",
    "resize_first",
    "resize_second",
    "weigh_windows",
]

THREADS = 128
# Of each resized window: whether columns are resized before rows; where its starts and its weights
# across begin, and the weights of a pixel, 0 where nothing changes; the same down; and the byte at
# which the result of the first pass begins.
DOWN_FIRST, ACROSS_STARTS, ACROSS_WEIGHTS, ACROSS_TAPS = 0, 1, 2, 3
DOWN_STARTS, DOWN_WEIGHTS, DOWN_TAPS, BETWEEN = 4, 5, 6, 7
PASS_FIELDS = 8
BITS = 22


@device_function
def mixed(source, at, stride, starts, weights, start, first, place, taps):
    """Return a sample of a resized line.

    The line begins at ``at``, and its samples are ``stride`` apart.
    """
    if taps == 0:
        return i32(source[at + i64(place) * stride])
    at += starts[start + place] * stride
    first += place * taps
    total = i32(1 << (BITS - 1))
    for k in range(taps):
        total = i32(total + i32(i32(source[at]) * weights[first + k]))
        at += stride
    return i32(min(max(i32(total >> i32(BITS)), i32(0)), i32(255)))


@device_function
def resized(passes, p, down, source, start, width, y, x, channel, starts, weights):
    """Return a sample of the result of a pass over rows of ``width`` pixels.

    ``down`` says whether it mixes rows.
    """
    stride = i64(3 * width)
    if down:
        at = start + 3 * x + channel
        return mixed(
            source, at, stride, starts, weights, passes[p + DOWN_STARTS], passes[p + DOWN_WEIGHTS],
            y, i32(passes[p + DOWN_TAPS]),
        )  # fmt: skip
    at = start + y * stride + channel
    return mixed(
        source, at, i64(3), starts, weights, passes[p + ACROSS_STARTS], passes[p + ACROSS_WEIGHTS],
        x, i32(passes[p + ACROSS_TAPS]),
    )  # fmt: skip


@device_kernel("i64[] i32[] i64[] i64[] i32[] u8[] u8[]", threads=THREADS)
def resize_first(bx, by, t, scratch, windows, chosen, passes, starts, weights, pixels, between):
    """Resize windows along one axis.

    Blocks: ``by`` counts the chosen windows, ``bx`` each THREADS pixels of the result.

    Parameters
    ----------
    windows : (n * FIELDS,) int64
        See :mod:`mtfast.kernels.device.window_table`.
    chosen : (n_chosen,) int32
        Numbers of windows.
    passes : (n_chosen * PASS_FIELDS,) int64
    starts, weights : int64 and int32
        Of all windows, as :func:`weigh_windows` makes them.
    pixels : uint8
        RGB; each window from its PIXELS on.
    between : uint8, out
    """
    w = i64(chosen[by]) * FIELDS
    p = i64(by) * PASS_FIELDS
    down = i32(passes[p + DOWN_FIRST])
    wd, width = i32(windows[w + VIEW_W]), i32(windows[w + WIDTH])
    rows = i32(windows[w + HEIGHT]) if down else i32(windows[w + VIEW_H])
    columns = wd if down else width
    number = i32(bx * THREADS + t)
    y, x = quotient(number, columns), remainder(number, columns)
    if y >= rows:
        return
    start = 3 * windows[w + PIXELS]
    at = passes[p + BETWEEN] + 3 * i64(number)
    for channel in range(3):
        between[at + channel] = resized(
            passes, p, down, pixels, start, wd, y, x, channel, starts, weights
        )


@device_function
def write_tile(bx, by, t, scratch, windows, chosen, passes, starts, weights, between, out, words):
    """Write the tile that the threads of a block have made."""
    number = i64(chosen[by])
    w = number * FIELDS
    height, width = i32(windows[w + HEIGHT]), i32(windows[w + WIDTH])
    mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    _, _, rows, columns, top, left = tile_at(bx, height, width, TILE, TILE, mirrored, turns)
    if rows <= 0:
        return
    start = number * height * i64(width)
    stride = width
    if turns & 1:
        rows, columns, stride = columns, rows, height
    start += i64(top) * stride + left
    write_pixels(scratch, t, start, stride, rows, columns, out, words)


@device_kernel(
    "i64[] i32[] i64[] i64[] i32[] u8[] u8[] u32[]",
    threads=TILE_THREADS,
    scratch=("u32", TILE * STRIDE + 1),
    then=[write_tile],
)
def resize_second(
    bx, by, t, scratch, windows, chosen, passes, starts, weights, between, out, words
):
    """Resize windows along the other axis, mirror and turn them.

    Blocks: ``by`` counts the chosen windows, ``bx`` the tiles of a window, before it is turned.

    The other parameters are those of :func:`resize_first`; window k becomes the k-th of the frames
    of ``out``, which are of one size. ``words`` is the same memory.
    """
    w = i64(chosen[by]) * FIELDS
    p = i64(by) * PASS_FIELDS
    down = i32(1 - passes[p + DOWN_FIRST])
    width, height = i32(windows[w + WIDTH]), i32(windows[w + HEIGHT])
    line = width if down else i32(windows[w + VIEW_W])
    mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    y, x, rows, columns, top, left = tile_at(bx, height, width, TILE, TILE, mirrored, turns)
    start = passes[p + BETWEEN]
    row = i32(t >> 3)
    if row >= rows:
        return
    y = i32(y + row)
    # Threads side by side make pixels side by side.
    for column in range(t & 7, columns, 8):
        at = i32(x + column)
        value = u32(0)
        for channel in range(3):
            found = resized(passes, p, down, between, start, line, y, at, channel, starts, weights)
            value |= u32(found) << u32(8 * channel)
        a, b = orient(y, at, height, width, mirrored, turns)
        scratch[i32(a - top) * STRIDE + i32(b - left)] = value


@device_function(on_device="dmul_rn")
def product(a, b):
    """Multiply, and round before anything is added, as a CPU does."""
    return a * b


@device_function
def weight_of(j, centre, narrowing):
    """Return the height of a triangle at a pixel."""
    return max(1.0 - abs(product(j - centre + 0.5, narrowing)), 0.0)


@device_kernel("i64[] i32[] i64[] i64[] i32[]", threads=THREADS)
def weigh_windows(bx, by, t, scratch, windows, chosen, passes, starts, weights):
    """Find of which pixels each resized one is made, as :func:`mtfast.kernels.frames.resize.weigh`.

    Blocks: ``by`` counts the chosen windows, ``bx`` each THREADS of the pixels of a row and of a
    column of the result. Parameters are those of :func:`resize_first`.
    """
    w = i64(chosen[by]) * FIELDS
    p = i64(by) * PASS_FIELDS
    i = i32(bx * THREADS + t)
    before, after = i32(windows[w + VIEW_W]), i32(windows[w + WIDTH])
    start_at, weight_at = passes[p + ACROSS_STARTS], passes[p + ACROSS_WEIGHTS]
    taps = i32(passes[p + ACROSS_TAPS])
    if i >= after:
        i = i32(i - after)
        before, after = i32(windows[w + VIEW_H]), i32(windows[w + HEIGHT])
        start_at, weight_at = passes[p + DOWN_STARTS], passes[p + DOWN_WEIGHTS]
        taps = i32(passes[p + DOWN_TAPS])
    if i >= after or taps == 0:
        return
    scale = f64(before) / f64(after)
    support = max(scale, 1.0)
    narrowing = 1.0 / support
    centre = product(i + 0.5, scale)
    begin = max(i64(centre - support + 0.5), 0)
    end = min(i64(centre + support + 0.5), before)
    # In this order, as Pillow adds: another rounding is another pixel.
    total = 0.0
    for j in range(begin, end):
        total += weight_of(j, centre, narrowing)
    first = min(begin, before - taps)
    starts[start_at + i] = first
    for k in range(taps):
        weight = 0.0
        if begin <= first + k < end:
            weight = weight_of(first + k, centre, narrowing) / total
        weights[weight_at + i * taps + k] = i32(0.5 + product(weight, f64(1 << BITS)))
