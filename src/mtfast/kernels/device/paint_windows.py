"""Runs of instances -> masks of windows, painted in the size and orientation of the result.

A thread makes a column of a window. The toggles of an instance are where its runs begin and end in
the frame, column by column, so those of a column are found by bisection::

    column of the frame     . . . # # # . . # .        toggles  3 6 8 9   (+ column * height)
    rows of the window          0 1 2 3 4 5            runs     1..3, none

Where a window is resized, a row of the result shows the row of the window that is nearest to its
middle, and likewise a column: see :func:`mtfast.kernels.frames.resize.lay_labels`.
"""

from mtfast.kernels.device.jpeg_pixels import orient
from mtfast.kernels.device.twice import DeviceKernel, device_function, device_kernel
from mtfast.kernels.device.window_table import (
    FIELDS,
    FRAME_HEIGHT,
    FRAME_WIDTH,
    HEIGHT,
    INSTANCES,
    INSTANCES_END,
    MIRRORED,
    TURNS,
    VIEW_H,
    VIEW_W,
    VIEW_X,
    VIEW_Y,
    WIDTH,
)
from mtfast.kernels.jit import i32, i64, u32

__all__ = [
    "MEASURES",
    "THREADS",
    "keep_instances",
    "measure_instances",
    "paint_instances",
    "paint_semantic",
    "paint_semantic_wide",
]

THREADS = 128
# Of an instance in a window: pixels, then first and last row and column in the window as it is
# resized, before it is turned.
MEASURES = 5
# Threads of the only block that numbers the instances of a batch.
KEEPERS = 256


@device_function
def first_after(toggles, low, high, place):
    """Return the first toggle after a place, in ``toggles[low:high]``."""
    while low < high:
        middle = (low + high) >> 1
        if i64(toggles[middle]) <= place:
            low = middle + 1
        else:
            high = middle
    return low


@device_function
def first_row(row, h, height):
    """Return the first row of the result that shows a row of the window, or one after it."""
    if h == height:
        return i32(row)
    # Row r shows (2 r + 1) h // (2 height).
    return i32(max((2 * i64(height) * row - h + 2 * h - 1) // (2 * h), 0))


@device_function
def column_of(windows, w, column):
    """Return the column of the frame that a column of the result shows, before turns."""
    wd, width = i32(windows[w + VIEW_W]), i32(windows[w + WIDTH])
    if wd != width:
        column = i32((2 * i64(column) + 1) * wd // (2 * width))
    return i32(windows[w + VIEW_X] + column)


@device_function
def rows_inside(windows, w):
    """Return the rows of the frame that are in the window: the first one, and that after them."""
    y, h = i32(windows[w + VIEW_Y]), i32(windows[w + VIEW_H])
    return i32(max(y, 0)), i32(min(y + h, windows[w + FRAME_HEIGHT]))


@device_function
def fill_rows(windows, w, column, start, begin, end, value, out):
    """Write rows of a column of the result, from pixel ``start`` of ``out`` on."""
    height, width = i32(windows[w + HEIGHT]), i32(windows[w + WIDTH])
    mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    stride = height if turns & 1 else width
    y, x = orient(begin, column, height, width, mirrored, turns)
    at = start + i64(y) * stride + x
    y, x = orient(begin + 1, column, height, width, mirrored, turns)
    step = start + i64(y) * stride + x - at
    for _ in range(begin, end):
        out[at] = value
        at += step


@device_function
def fill_instance(windows, w, column, toggles, low, high, start, value, out):
    """Write the pixels of an instance in a column of the result."""
    frame_height = i64(windows[w + FRAME_HEIGHT])
    top, bottom = rows_inside(windows, w)
    base = column_of(windows, w, column) * frame_height
    begin, end = base + top, base + bottom
    if high <= low or i64(toggles[high - 1]) <= begin or i64(toggles[low]) >= end:
        return
    h, height = i32(windows[w + VIEW_H]), i32(windows[w + HEIGHT])
    shift = base + windows[w + VIEW_Y]
    k = first_after(toggles, low, high, begin)
    # An instance has as many toggles on as off.
    is_on = (k - low) & 1
    at = begin
    while at < end:
        until = end
        if k < high:
            until = min(i64(toggles[k]), end)
        if is_on:
            a = first_row(i32(at - shift), h, height)
            b = first_row(i32(until - shift), h, height)
            fill_rows(windows, w, column, start, a, b, value, out)
        if k >= high:
            return
        at = until
        is_on ^= 1
        k += 1


def semantic_column(
    bx, by, t, scratch, windows, toggles, starts, numbers, padding, width, height, out
):
    """Paint the numbers of the classes of all instances, later over earlier.

    Blocks: ``by`` is the window, ``bx`` counts each THREADS of its columns, before it is turned.

    Parameters
    ----------
    windows : (n * FIELDS,) int64
        See :mod:`mtfast.kernels.device.window_table`.
    toggles : uint32
        Where the runs of instances begin and end in their frames, column by column.
    starts : (n_instances + 1,) int64
        Where the toggles of each instance begin.
    numbers : (n_instances,) int32
        Of their classes.
    padding : int
        Value of pixels outside of the image; those without an instance are 0.
    width, height : int
        Of the results.
    out : (n * height * width,) uint8 or uint16, out
    """
    w = i64(by) * FIELDS
    column = i32(bx * THREADS + t)
    if column >= windows[w + WIDTH]:
        return
    start = i64(by) * width * height
    x = column_of(windows, w, column)
    rows = i32(windows[w + HEIGHT])
    if x < 0 or x >= windows[w + FRAME_WIDTH]:
        fill_rows(windows, w, column, start, i32(0), rows, padding, out)
        return
    top, bottom = rows_inside(windows, w)
    h, y = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_Y])
    a, b = first_row(i32(top - y), h, rows), first_row(i32(bottom - y), h, rows)
    fill_rows(windows, w, column, start, i32(0), a, padding, out)
    fill_rows(windows, w, column, start, a, b, 0, out)
    fill_rows(windows, w, column, start, b, rows, padding, out)
    for i in range(windows[w + INSTANCES], windows[w + INSTANCES_END]):
        fill_instance(windows, w, column, toggles, starts[i], starts[i + 1], start, numbers[i], out)


_SEMANTIC = "i64[] u32[] i64[] i32[] i64 i64 i64 "
paint_semantic = DeviceKernel(
    [device_function(semantic_column)], _SEMANTIC + "u8[]", THREADS, name="paint_semantic"
)
paint_semantic_wide = DeviceKernel(
    [device_function(semantic_column)], _SEMANTIC + "u16[]", THREADS, name="paint_semantic_wide"
)


@device_function
def sum_measures(bx, by, t, scratch, windows, toggles, starts, owners, instances, measures):
    """Add up what the threads of a block have measured."""
    if t:
        return
    area, top, bottom = scratch[0], scratch[THREADS], scratch[2 * THREADS]
    left, right = scratch[3 * THREADS], scratch[4 * THREADS]
    for k in range(1, THREADS):
        if scratch[k]:
            area += scratch[k]
            top = min(top, scratch[k + THREADS])
            bottom = max(bottom, scratch[k + 2 * THREADS])
            left = min(left, scratch[k + 3 * THREADS])
            right = max(right, scratch[k + 4 * THREADS])
    at = i64(bx) * MEASURES
    measures[at] = area
    measures[at + 1] = top
    measures[at + 2] = bottom
    measures[at + 3] = left
    measures[at + 4] = right


@device_kernel(
    "i64[] u32[] i64[] i32[] i32[] i32[]",
    threads=THREADS,
    scratch=("i32", MEASURES * THREADS),
    then=[sum_measures],
)
def measure_instances(bx, by, t, scratch, windows, toggles, starts, owners, instances, measures):
    """Measure instances in windows; nothing is painted.

    Blocks: ``bx`` is the number of a pair of a window and an instance.

    Parameters
    ----------
    windows, toggles, starts
        As for :func:`semantic_column`.
    owners, instances : (n_pairs,) int32
        The window and the instance of each pair.
    measures : (n_pairs * MEASURES,) int32, out
    """
    w = i64(owners[bx]) * FIELDS
    instance = i64(instances[bx])
    low, high = starts[instance], starts[instance + 1]
    frame_height = i64(windows[w + FRAME_HEIGHT])
    top, bottom = rows_inside(windows, w)
    h, height = i32(windows[w + VIEW_H]), i32(windows[w + HEIGHT])
    area = i32(0)
    first, last, left, right = i32(1 << 30), i32(-1), i32(1 << 30), i32(-1)
    for column in range(t, windows[w + WIDTH], THREADS):
        x = column_of(windows, w, i32(column))
        if x < 0 or x >= windows[w + FRAME_WIDTH]:
            continue
        base = x * frame_height
        shift = base + windows[w + VIEW_Y]
        end = base + bottom
        k = first_after(toggles, low, high, base + top)
        at = base + top
        if (k - low) & 1 == 0:
            if k >= high:
                continue
            at = i64(toggles[k])
            k += 1
        while at < end:
            until = min(i64(toggles[k]), end) if k < high else end
            a = first_row(i32(at - shift), h, height)
            b = first_row(i32(until - shift), h, height)
            if b > a:
                area = i32(area + b - a)
                first, last = i32(min(first, a)), i32(max(last, b - 1))
                left, right = i32(min(left, column)), i32(max(right, column))
            if k + 1 >= high:
                break
            at = i64(toggles[k + 1])
            k += 2
    scratch[t] = area
    scratch[t + THREADS] = first
    scratch[t + 2 * THREADS] = last
    scratch[t + 3 * THREADS] = left
    scratch[t + 4 * THREADS] = right


@device_function
def number_chunks(
    bx, by, t, scratch, windows, n, n_windows, owners, instances, measures, numbers, ids, places,
    boxes, areas, labels, kept_ids, counts,
):  # fmt: skip
    """Number the first instance of each chunk."""
    if t == 0:
        before = i32(0)
        for k in range(KEEPERS):
            n_kept = scratch[k]
            scratch[k] = before
            before = i32(before + n_kept)


@device_function
def write_kept(
    bx, by, t, scratch, windows, n, n_windows, owners, instances, measures, numbers, ids, places,
    boxes, areas, labels, kept_ids, counts,
):  # fmt: skip
    """Write the boxes, areas, labels and ids of the instances of a chunk that are kept."""
    size = (n + KEEPERS - 1) // KEEPERS
    place = i64(scratch[t])
    for pair in range(t * size, min((t + 1) * size, n)):
        at = pair * MEASURES
        if measures[at] == 0:
            places[pair] = -1
            continue
        places[pair] = place
        w = i64(owners[pair]) * FIELDS
        height, width = i32(windows[w + HEIGHT]), i32(windows[w + WIDTH])
        mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
        a, b = orient(measures[at + 1], measures[at + 3], height, width, mirrored, turns)
        c, d = orient(measures[at + 2], measures[at + 4], height, width, mirrored, turns)
        boxes[4 * place] = min(b, d)
        boxes[4 * place + 1] = min(a, c)
        boxes[4 * place + 2] = max(b, d) + 1
        boxes[4 * place + 3] = max(a, c) + 1
        areas[place] = measures[at]
        labels[place] = numbers[instances[pair]]
        kept_ids[place] = ids[instances[pair]]
        place += 1


@device_function
def count_kept(
    bx, by, t, scratch, windows, n, n_windows, owners, instances, measures, numbers, ids, places,
    boxes, areas, labels, kept_ids, counts,
):  # fmt: skip
    """Count the instances of each window that are kept."""
    for number in range(t, n_windows, KEEPERS):
        low, high = i64(0), n
        while low < high:
            middle = (low + high) >> 1
            if owners[middle] < number:
                low = middle + 1
            else:
                high = middle
        count = i32(0)
        while low < n and owners[low] == number:
            if measures[low * MEASURES]:
                count = i32(count + 1)
            low += 1
        counts[number] = count


@device_kernel(
    "i64[] i64 i64 i32[] i32[] i32[] i32[] i64[] i32[] f32[] i64[] i64[] i64[] i32[]",
    threads=KEEPERS,
    scratch=("i32", KEEPERS),
    then=[number_chunks, write_kept, count_kept],
)
def keep_instances(
    bx, by, t, scratch, windows, n, n_windows, owners, instances, measures, numbers, ids, places,
    boxes, areas, labels, kept_ids, counts,
):  # fmt: skip
    """Number the instances that have a pixel in their window; in one block.

    Parameters
    ----------
    windows : (n_windows * FIELDS,) int64
    n, n_windows : int
        Pairs and windows.
    owners, instances : (n,) int32
        The window and the instance of each pair, in the order of the windows.
    measures : (n * MEASURES,) int32
    numbers, ids : int32 and int64
        Class and annotation id of each instance of the set.
    places : (n,) int32, out
        Number of each pair among those that are kept, or -1.
    boxes, areas, labels, kept_ids : (4 * n,) float32 and (n,) int64, out
        Of those that are kept.
    counts : (n_windows,) int32, out
        How many each window has.
    """
    size = (n + KEEPERS - 1) // KEEPERS
    n_kept = i32(0)
    for pair in range(t * size, min((t + 1) * size, n)):
        if measures[pair * MEASURES]:
            n_kept = i32(n_kept + 1)
    scratch[t] = n_kept


@device_kernel("i64[] u32[] i64[] i32[] i32[] i32[] i64 i64 u8[]", threads=THREADS)
def paint_instances(
    bx, by, t, scratch, windows, toggles, starts, owners, instances, places, width, height, out
):
    """Paint each instance that is kept into a frame of its own.

    Blocks: ``bx`` is the pair, ``by`` counts each THREADS of the columns of its window.

    Parameters
    ----------
    windows, toggles, starts, owners, instances
        As for :func:`measure_instances`.
    places : (n_pairs,) int32
    width, height : int
        Of the results.
    out : (n * height * width,) uint8, out
        0 and 1.
    """
    place = i64(places[bx])
    w = i64(owners[bx]) * FIELDS
    column = i32(by * THREADS + t)
    if place < 0 or column >= windows[w + WIDTH]:
        return
    start = place * width * height
    fill_rows(windows, w, column, start, i32(0), i32(windows[w + HEIGHT]), 0, out)
    x = column_of(windows, w, column)
    if x < 0 or x >= windows[w + FRAME_WIDTH]:
        return
    instance = i64(instances[bx])
    fill_instance(
        windows, w, column, toggles, starts[instance], starts[instance + 1], start, 1, out
    )
