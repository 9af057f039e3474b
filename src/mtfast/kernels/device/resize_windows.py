"""Windows resized as Pillow does, in two passes, and then mirrored and turned.

See :mod:`mtfast.kernels.frames.resize`, whose weights these kernels are given.
"""

from mtfast.kernels.device.arithmetic import quotient, remainder
from mtfast.kernels.device.jpeg_pixels import orient
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
from mtfast.kernels.jit import i32, i64

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
        Of all windows, as :func:`mtfast.kernels.frames.resize.weigh` makes them.
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


@device_kernel("i64[] i32[] i64[] i64[] i32[] u8[] u8[]", threads=THREADS)
def resize_second(bx, by, t, scratch, windows, chosen, passes, starts, weights, between, out):
    """Resize windows along the other axis, mirror and turn them.

    Blocks and parameters are those of :func:`resize_first`; window k becomes the k-th of the frames
    of ``out``, which are of one size.
    """
    w = i64(chosen[by]) * FIELDS
    p = i64(by) * PASS_FIELDS
    down = i32(1 - passes[p + DOWN_FIRST])
    width, height = i32(windows[w + WIDTH]), i32(windows[w + HEIGHT])
    columns = width if down else i32(windows[w + VIEW_W])
    number = i32(bx * THREADS + t)
    y, x = quotient(number, width), remainder(number, width)
    if y >= height:
        return
    turns = i32(windows[w + TURNS])
    a, b = orient(y, x, height, width, i32(windows[w + MIRRORED]), turns)
    stride = height if turns & 1 else width
    at = 3 * (i64(chosen[by]) * height * width + i64(a) * stride + b)
    for channel in range(3):
        out[at + channel] = resized(
            passes, p, down, between, passes[p + BETWEEN], columns, y, x, channel, starts, weights
        )
