"""What a batch needs, worked out on the host: the rows of its windows, of its instances and passes.

These kernels run on the CPU only, for a whole batch in one call.
"""

from mtfast.kernels.device.jpeg_blocks import WORDS_AHEAD
from mtfast.kernels.device.resize_windows import (
    ACROSS_STARTS,
    ACROSS_TAPS,
    ACROSS_WEIGHTS,
    BETWEEN,
    DOWN_FIRST,
    DOWN_STARTS,
    DOWN_TAPS,
    DOWN_WEIGHTS,
    PASS_FIELDS,
)
from mtfast.kernels.device.window_table import (
    ACROSS,
    COLUMN,
    COLUMN_END,
    DOWN,
    FIELDS,
    FRAME_HEIGHT,
    FRAME_WIDTH,
    HEIGHT,
    INSTANCES,
    INSTANCES_END,
    KIND,
    KIND_GREY,
    N_COLUMNS,
    PIXELS,
    PLANES,
    ROW,
    ROW_END,
    ROWS_AT,
    SOURCE,
    STEP,
    TURNS,
    VIEW_H,
    VIEW_W,
    VIEW_X,
    VIEW_Y,
    WIDTH,
    WORDS,
    WORDS_END,
)
from mtfast.kernels.frames.resize import columns_first
from mtfast.kernels.jit import i32, i64, kernel, read, u8, write

__all__ = [
    "COPIED",
    "PLAIN",
    "PLANE_BYTES",
    "RESIZED",
    "RESIZED_PIXELS",
    "ROWS",
    "STRETCHES",
    "TOTALS",
    "UNDECODED",
    "VIEW_FIELDS",
    "WINDOW_TILES",
    "find_pairs",
    "place_passes",
    "place_windows",
]

VIEW_FIELDS = 8
BLOCK = 8
TILE = 32
# Samples are written in words of four, in rows of eight.
ALIGNMENT = 16
# Totals of a batch: bytes of its planes and pixels of its resized windows; the most stretches and
# tiles that a window has; windows that are decoded in their size, decoded and resized, and not
# decoded here.
PLANE_BYTES, RESIZED_PIXELS, STRETCHES, WINDOW_TILES, PLAIN, RESIZED, UNDECODED = range(7)
# Words that the rows of all windows take, where they are copied; the most rows that a window has.
COPIED, ROWS = 7, 8
TOTALS = 9


@kernel(i64(write(i64), i64, i64, i64, i64, i64, i64, i64))
def find_mcus(windows, at, begin, end, blocks, n, start, stop):
    """Write the MCUs along one axis that pixels need: those from ``start`` to ``stop - 1``.

    Chroma is mixed over the edge of an MCU of more than one block.
    """
    first, last = i64(0), i64(0)
    if stop > start:
        mcu = BLOCK * blocks
        first, last = start // mcu, (stop + mcu - 1) // mcu
        if blocks > 1:
            first -= start % mcu == 0
            last += stop % mcu == 0
        first, last = max(first, 0), min(last, n)
    windows[at + begin] = first
    windows[at + end] = last
    return last - first


@kernel(i64(read(i64), read(i64), read(i64), read(i64), i64, write(i64), write(i32), write(i64)))
def place_windows(images, row_words, numbers, views, is_copied, windows, lists, totals):
    """Place the windows of a batch.

    Parameters
    ----------
    images : (n_images * FIELDS,) int64
        Of each image of the set, what all its windows share.
    row_words : int64
        The word in which each row of MCUs of an image begins, from its first one on, and in which
        the last one ends; those of an image from its ROWS_AT on.
    numbers : (n,) int64
        Image of each window.
    is_copied : int
        Whether the rows of the windows are copied to the device.
    views : (n * VIEW_FIELDS,) int64
        See :class:`mtfast.loaders.views.View`.
    windows : (n * FIELDS,) int64, out
        See :mod:`mtfast.kernels.device.window_table`.
    lists : (3 * n,) int32, out
        Numbers of the windows that are decoded in their size; from n on, of those that are resized
        after that; from 2 n on, of those that are not decoded here.
    totals : (TOTALS,) int64, out

    Returns
    -------
    int
        0
    """
    n = numbers.size
    totals[:] = 0
    for k in range(n):
        w = k * FIELDS
        image = numbers[k] * FIELDS
        for field in range(FIELDS):
            windows[w + field] = images[image + field]
        for field in range(VIEW_FIELDS):
            windows[w + VIEW_Y + field] = views[k * VIEW_FIELDS + field]
        y, x, h, wd = (
            windows[w + VIEW_Y],
            windows[w + VIEW_X],
            windows[w + VIEW_H],
            windows[w + VIEW_W],
        )
        windows[w + TURNS] &= 3
        is_resized = h != windows[w + HEIGHT] or wd != windows[w + WIDTH]
        kind = windows[w + KIND]
        if kind == 0:
            lists[2 * n + totals[UNDECODED]] = k
            totals[UNDECODED] += 1
            continue
        down, across = windows[w + DOWN], windows[w + ACROSS]
        height, width = windows[w + FRAME_HEIGHT], windows[w + FRAME_WIDTH]
        n_rows = (height + BLOCK * down - 1) // (BLOCK * down)
        stop = min(y + h, height)
        rows = find_mcus(windows, w, ROW, ROW_END, down, n_rows, max(y, 0), stop)
        n_columns = windows[w + N_COLUMNS]
        stop = min(x + wd, width)
        columns = find_mcus(windows, w, COLUMN, COLUMN_END, across, n_columns, max(x, 0), stop)
        blocks = down * across
        if kind != KIND_GREY:
            blocks += 2
        windows[w + PLANES] = totals[PLANE_BYTES]
        size = rows * columns * blocks * BLOCK * BLOCK
        totals[PLANE_BYTES] += (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
        step = windows[w + STEP]
        if rows and columns:
            n_stretches = (windows[w + COLUMN_END] - 1) // step + 1 - windows[w + COLUMN] // step
            totals[STRETCHES] = max(totals[STRETCHES], rows * n_stretches)
            totals[ROWS] = max(totals[ROWS], rows)
            if is_copied:
                at = windows[w + ROWS_AT]
                first = row_words[at + windows[w + ROW]]
                end = row_words[at + windows[w + ROW_END]] + 1 + WORDS_AHEAD
                end = min(end, windows[w + WORDS_END] - windows[w + WORDS])
                # The words of the file before those rows are left out.
                windows[w + SOURCE] = windows[w + WORDS]
                windows[w + WORDS] = totals[COPIED] - first
                windows[w + WORDS_END] = totals[COPIED] + end - first
                totals[COPIED] += end - first
        else:
            windows[w + ROW_END] = windows[w + ROW]
        n_tiles = ((h + TILE - 1) // TILE) * ((wd + TILE - 1) // TILE)
        totals[WINDOW_TILES] = max(totals[WINDOW_TILES], n_tiles)
        if is_resized:
            windows[w + PIXELS] = totals[RESIZED_PIXELS]
            totals[RESIZED_PIXELS] += (h * wd + 3) // 4 * 4
            lists[n + totals[RESIZED]] = k
            totals[RESIZED] += 1
        else:
            lists[totals[PLAIN]] = k
            totals[PLAIN] += 1
    return 0


@kernel(i64(i64, i64))
def taps_of(before, after):
    """Return how many pixels each resized one is made of, 0 where none is resized."""
    return 0 if before == after else min(max((2 * before + after - 1) // after, 2), before)


@kernel(i64(read(i64), read(i32), write(i64), write(i64)))
def place_passes(windows, chosen, passes, totals):
    """Place the weights of resized windows, and what their first passes make.

    Parameters
    ----------
    windows : int64
    chosen : (n,) int32
        Numbers of windows.
    passes : (n * PASS_FIELDS,) int64, out
        See :mod:`mtfast.kernels.device.resize_windows`.
    totals : (3,) int64, out
        Starts, weights, and bytes between the passes.

    Returns
    -------
    int
        The most pixels that the first pass makes of a window.
    """
    totals[:] = 0
    most = 0
    for k in range(chosen.size):
        w, p = i64(chosen[k]) * FIELDS, k * PASS_FIELDS
        h, wd = windows[w + VIEW_H], windows[w + VIEW_W]
        height, width = windows[w + HEIGHT], windows[w + WIDTH]
        down_first = wd == width or columns_first(h, wd, height, width) > 0
        passes[p + DOWN_FIRST] = 1 if down_first else 0
        taps = taps_of(wd, width)
        passes[p + ACROSS_STARTS], passes[p + ACROSS_WEIGHTS] = totals[0], totals[1]
        passes[p + ACROSS_TAPS] = taps
        totals[0] += width
        totals[1] += width * taps
        taps = taps_of(h, height)
        passes[p + DOWN_STARTS], passes[p + DOWN_WEIGHTS] = totals[0], totals[1]
        passes[p + DOWN_TAPS] = taps
        totals[0] += height
        totals[1] += height * taps
        passes[p + BETWEEN] = totals[2]
        first = height * wd if down_first else h * width
        totals[2] += 3 * first
        most = max(most, first)
    return most


@kernel(i64(read(i64), read(i64), read(u8), write(i32), write(i32)))
def find_pairs(windows, boxes, shown, owners, instances):
    """Find the instances whose boxes meet a window.

    Parameters
    ----------
    windows : (n * FIELDS,) int64
    boxes : (4 * n_instances,) int64
        [left, top, width, height] of each instance of the set.
    shown : (n_instances,) uint8
        Whether an instance is one of the targets.
    owners, instances : int32, out
        Capacity for all instances of the windows' images.

    Returns
    -------
    int
        The number of pairs.
    """
    n = 0
    for k in range(windows.size // FIELDS):
        w = k * FIELDS
        y, x = windows[w + VIEW_Y], windows[w + VIEW_X]
        for i in range(windows[w + INSTANCES], windows[w + INSTANCES_END]):
            left, top = boxes[4 * i], boxes[4 * i + 1]
            right, bottom = left + boxes[4 * i + 2], top + boxes[4 * i + 3]
            if not shown[i] or right <= x or left >= x + windows[w + VIEW_W]:
                continue
            if bottom <= y or top >= y + windows[w + VIEW_H]:
                continue
            owners[n], instances[n] = k, i
            n += 1
    return n
