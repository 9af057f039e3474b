"""Runs of instances -> masks of windows, painted in the size and orientation of the result.

A thread makes some rows of a column in a tile of scratch memory. The toggles of an instance are
where its runs begin and end in the frame, column by column, so those of a column are found by
bisection::

    column of the frame     . . . # # # . . # .        toggles  3 6 8 9   (+ column * height)
    rows of the window          0 1 2 3 4 5            runs     1..3, none

Where a window is resized, a row of the result shows the row of the window that is nearest to its
middle, and likewise a column: see :func:`mtfast.kernels.frames.resize.lay_labels`.
"""

from mtfast.kernels.device.arithmetic import quotient, remainder
from mtfast.kernels.device.jpeg_pixels import orient, tile_at
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
    "COLUMNS",
    "MEASURES",
    "ROWS",
    "THREADS",
    "keep_instances",
    "measure_instances",
    "paint_instances",
    "paint_semantic",
    "paint_semantic_wide",
]

# A tile of a window, before it is turned.
ROWS, COLUMNS = 128, 32
ROWS_OF_THREAD = 32
THREADS = COLUMNS * ROWS // ROWS_OF_THREAD
# A row of it in scratch memory, standing and lying; one more, so that columns are spread over the
# banks.
STANDING, LYING = COLUMNS + 1, ROWS + 1
TILE = max(ROWS * STANDING, COLUMNS * LYING)
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
def fill_rows(scratch, place, apart, begin, end, low, high, value):
    """Write those of the rows ``begin`` to ``end - 1`` that are from ``low`` to ``high - 1``.

    Row ``low`` is at ``place`` of the scratch memory, and rows are ``apart``.
    """
    for row in range(max(begin, low), min(end, high)):
        scratch[place + i32(row - low) * apart] = value


@device_function
def fill_instance(scratch, place, apart, low, high, windows, w, base, toggles, first, last, value):
    """Write the pixels of an instance in a column of a tile, which begins at ``base`` of the frame.

    Its toggles are those from ``first`` to ``last - 1``; the others as for :func:`fill_rows`.
    """
    h, height = i32(windows[w + VIEW_H]), i32(windows[w + HEIGHT])
    top, bottom = rows_inside(windows, w)
    begin, end = base + top, base + bottom
    shift = base + windows[w + VIEW_Y]
    if h == height:
        # Rows are those of the window: none outside of the tile are looked at.
        begin, end = max(begin, shift + low), min(end, shift + high)
    if last <= first or i64(toggles[last - 1]) <= begin or i64(toggles[first]) >= end:
        return
    k = first_after(toggles, first, last, begin)
    # An instance has as many toggles on as off.
    is_on = (k - first) & 1
    at = begin
    while at < end:
        until = end
        if k < last:
            until = min(i64(toggles[k]), end)
        if is_on:
            a = first_row(i32(at - shift), h, height)
            b = first_row(i32(until - shift), h, height)
            fill_rows(scratch, place, apart, a, b, low, high, value)
        if k >= last:
            return
        at = until
        is_on ^= 1
        k += 1


@device_function
def fill_tile(number, t, scratch, windows, w, toggles, starts, numbers, first, last, only, padding):
    """Paint the instances ``first`` to ``last - 1`` into a tile in scratch memory.

    ``only`` is the value of all instances, or -1 for that of each.
    """
    height, width = i32(windows[w + HEIGHT]), i32(windows[w + WIDTH])
    mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    y, x, rows, columns, top, left = tile_at(number, height, width, ROWS, COLUMNS, mirrored, turns)
    # A thread makes some rows of a column.
    low = i32(y + (t // COLUMNS) * ROWS_OF_THREAD)
    high = i32(min(low + ROWS_OF_THREAD, y + rows))
    column = i32(x + t % COLUMNS)
    if column >= x + columns or low >= high:
        return
    stride = LYING if turns & 1 else STANDING
    a, b = orient(low, column, height, width, mirrored, turns)
    c, d = orient(i32(low + 1), column, height, width, mirrored, turns)
    place = i32(i32(a - top) * stride + i32(b - left))
    apart = i32(i32(c - a) * stride + i32(d - b))
    frame_x = column_of(windows, w, column)
    if frame_x < 0 or frame_x >= windows[w + FRAME_WIDTH]:
        fill_rows(scratch, place, apart, low, high, low, high, padding)
        return
    inside, outside = rows_inside(windows, w)
    h, frame_y = i32(windows[w + VIEW_H]), i32(windows[w + VIEW_Y])
    begin = first_row(i32(inside - frame_y), h, height)
    end = first_row(i32(outside - frame_y), h, height)
    for row in range(low, high):
        scratch[place + i32(row - low) * apart] = 0 if begin <= row < end else padding
    base = frame_x * i64(windows[w + FRAME_HEIGHT])
    for i in range(first, last):
        value = numbers[i] if only < 0 else only
        fill_instance(
            scratch, place, apart, low, high, windows, w, base, toggles, starts[i], starts[i + 1],
            value,
        )  # fmt: skip


@device_function
def write_labels(number, t, scratch, windows, w, frame, has_words, out, out_words):
    """Write a tile into the frame that begins at an element of the result."""
    height, width = i32(windows[w + HEIGHT]), i32(windows[w + WIDTH])
    mirrored, turns = i32(windows[w + MIRRORED]), i32(windows[w + TURNS])
    _, _, rows, columns, top, left = tile_at(number, height, width, ROWS, COLUMNS, mirrored, turns)
    if rows <= 0:
        return
    in_tile, stride = i32(STANDING), width
    if turns & 1:
        rows, columns, in_tile, stride = columns, rows, i32(LYING), height
    start = frame + i64(top) * stride + left
    if has_words and (start | stride | columns) & 3 == 0:
        n_words = i32(columns >> 2)
        for k in range(t, rows * n_words, THREADS):
            row, word = quotient(k, n_words), remainder(k, n_words)
            at = i32(row * in_tile + 4 * word)
            out_words[(start + i64(row) * stride + 4 * word) >> 2] = (
                u32(scratch[at])
                | u32(scratch[at + 1]) << u32(8)
                | u32(scratch[at + 2]) << u32(16)
                | u32(scratch[at + 3]) << u32(24)
            )
        return
    for k in range(t, rows * columns, THREADS):
        row, column = quotient(k, columns), remainder(k, columns)
        out[start + i64(row) * stride + column] = scratch[row * in_tile + column]


@device_function
def write_semantic(
    bx, by, t, scratch, windows, toggles, starts, numbers, padding, has_words, out, out_words
):
    """Write the tile of a semantic mask."""
    w = i64(by) * FIELDS
    frame = i64(by) * windows[w + HEIGHT] * windows[w + WIDTH]
    write_labels(bx, t, scratch, windows, w, frame, has_words, out, out_words)


def semantic_tile(
    bx, by, t, scratch, windows, toggles, starts, numbers, padding, has_words, out, out_words
):
    """Paint the numbers of the classes of all instances, later over earlier.

    Blocks: ``by`` is the window, ``bx`` counts its tiles of ROWS x COLUMNS, before it is turned.

    Parameters
    ----------
    windows : (n * FIELDS,) int64
        See :mod:`mtfast.kernels.device.window_table`; of one size after they are turned.
    toggles : uint32
        Where the runs of instances begin and end in their frames, column by column.
    starts : (n_instances + 1,) int64
        Where the toggles of each instance begin.
    numbers : (n_instances,) int32
        Of their classes.
    padding : int
        Value of pixels outside of the image; those without an instance are 0.
    has_words : int
        Whether four elements of the result are a word.
    out : (n * height * width,) uint8 or uint16, out
    out_words : uint32, out
        The same memory.
    """
    w = i64(by) * FIELDS
    first, last = windows[w + INSTANCES], windows[w + INSTANCES_END]
    fill_tile(
        bx, t, scratch, windows, w, toggles, starts, numbers, first, last, i32(-1), i32(padding)
    )


_SEMANTIC = "i64[] u32[] i64[] i32[] i64 i64 {} u32[]"
_PHASES = device_function(semantic_tile), write_semantic
paint_semantic = DeviceKernel(
    _PHASES, _SEMANTIC.format("u8[]"), THREADS, ("u16", TILE), name="paint_semantic"
)
paint_semantic_wide = DeviceKernel(
    _PHASES, _SEMANTIC.format("u16[]"), THREADS, ("u16", TILE), name="paint_semantic_wide"
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
        As for :func:`semantic_tile`.
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


@device_function
def write_instance(
    bx, by, t, scratch, windows, toggles, starts, owners, instances, places, out, out_words
):
    """Write the tile of the mask of an instance."""
    place = i64(places[bx])
    w = i64(owners[bx]) * FIELDS
    if place >= 0:
        frame = place * windows[w + HEIGHT] * windows[w + WIDTH]
        write_labels(by, t, scratch, windows, w, frame, 1, out, out_words)


@device_kernel(
    "i64[] u32[] i64[] i32[] i32[] i32[] u8[] u32[]",
    threads=THREADS,
    scratch=("u16", TILE),
    then=[write_instance],
)
def paint_instances(
    bx, by, t, scratch, windows, toggles, starts, owners, instances, places, out, out_words
):
    """Paint each instance that is kept into a frame of its own.

    Blocks: ``bx`` is the pair, ``by`` counts the tiles of its window.

    Parameters
    ----------
    windows, toggles, starts, owners, instances
        As for :func:`measure_instances`.
    places : (n_pairs,) int32
    out : (n * height * width,) uint8, out
        0 and 1.
    out_words : uint32, out
        The same memory.
    """
    instance = i64(instances[bx])
    if places[bx] >= 0:
        w = i64(owners[bx]) * FIELDS
        # The numbers of classes are not read.
        fill_tile(
            by, t, scratch, windows, w, toggles, starts, owners, instance, instance + 1, i32(1),
            i32(0),
        )  # fmt: skip
