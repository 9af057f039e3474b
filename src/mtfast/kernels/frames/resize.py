"""Resize, mirror and turn a frame of pixels in one pass over it.

All eight orientations are at most two flips and then a transposition. The flips cost nothing: the
tables that say where the pixels of a line come from are made backwards, and the lines are written
from the last to the first. A frame that is to be transposed is made in blocks of lines, which are
still in the cache when they become columns::

    source     tables: 0 1 | 2       lines of a block        columns of the result
    a b c d    (a + b) / 2 | c  -->  p q   (or q p)    -->   p .
    e f g h                          . .                     q .

An image is resized as Pillow does with ``Image.Resampling.BILINEAR``, pixel for pixel: triangles
that grow with the scale where it shrinks, weights of 22 bits, and a first pass whose result is
rounded to a byte. The rows first, then the columns; as Pillow does from version 13 on, the columns
first where that leaves many fewer rows (:func:`columns_first`). Labels take the nearest pixel.

Source: Pillow, src/libImaging/Resample.c.
"""

from mtfast.kernels.intrinsics import mix4
from mtfast.kernels.jit import f64, i32, i64, kernel, read, u8, u16, u32, u64, write

__all__ = ["BLOCK", "columns_first", "lay_image", "lay_labels", "n_taps", "weigh"]

BITS = 22
"""Of a weight, as in Pillow: 8 bits of a pixel and 22 of a weight fit into an int32."""

BLOCK = 32
"""Lines that are transposed together; with 16 or 64 of 512 pixels it takes longer."""


def n_taps(before: int, after: int) -> int:
    """Return how many pixels along one axis each resized pixel is made of.

    Parameters
    ----------
    before, after : int
        Pixels along the axis.

    Returns
    -------
    int

    Examples
    --------
    >>> n_taps(447, 512), n_taps(600, 512), n_taps(1, 512)
    (2, 3, 1)
    """
    return min(max(-(-2 * before // after), 2), before)


@kernel(i64(i64, i64, i64, i64))
def columns_first(h, w, height, width):
    """Tell whether columns are resized before rows.

    Parameters
    ----------
    h, w, height, width : int
        Size before and after.

    Returns
    -------
    int
    """
    return h > height and h - height > 2 * (w - width)


@kernel(i64(i64, i64, i64, write(i64), write(i32)))
def weigh(before, after, flipped, starts, weights):
    """Find which pixels along one axis each resized pixel is made of, and their weights.

    Parameters
    ----------
    before, after : int
        Pixels along the axis.
    flipped : int
        Whether the first pixel comes last.
    starts : (after,) int64, out
        First of the pixels. All of them are in the frame, so some may have no weight.
    weights : (after * n_taps,) int32, out
        In units of 2 ** -BITS.

    Returns
    -------
    int
        0
    """
    taps = weights.size // after
    scale = f64(before) / after
    support = max(scale, 1.0)
    narrowing = 1.0 / support
    for i in range(after):
        at = after - 1 - i if flipped else i
        centre = (i + 0.5) * scale
        start = max(int(centre - support + 0.5), 0)
        stop = min(int(centre + support + 0.5), before)
        # In this order, as Pillow adds: another rounding is another pixel.
        total = 0.0
        for j in range(start, stop):
            total += max(1.0 - abs((j - centre + 0.5) * narrowing), 0.0)
        starts[at] = min(start, before - taps)
        for k in range(taps):
            j = starts[at] + k
            weight = 0.0
            if start <= j < stop:
                weight = max(1.0 - abs((j - centre + 0.5) * narrowing), 0.0) / total
            weights[at * taps + k] = int(0.5 + weight * (1 << BITS))
    return 0


@kernel(i64(read(u8), read(i64), read(i32), write(u8)))
def resize_line(row, starts, weights, line):
    """Resize a row of pixels.

    Parameters
    ----------
    row : (3 * w,) uint8
    starts, weights : (width,) int64 and (width * n_taps,) int32
        As :func:`weigh` makes them.
    line : (3 * width,) uint8, out

    Returns
    -------
    int
        0
    """
    taps = weights.size // starts.size
    half = i32(1 << (BITS - 1))
    for x in range(starts.size):
        start = 3 * starts[x]
        first = taps * x
        # Four bytes at a time, where there is one after the pixels. Counts that are constants are
        # unrolled: 0.35 ms instead of 0.43 for 447 rows.
        if start + 3 * taps < row.size and x + 1 < starts.size:
            if taps == 2:
                mix4(row, start, weights, first, 2, BITS, line, 3 * x)
            elif taps == 3:
                mix4(row, start, weights, first, 3, BITS, line, 3 * x)
            else:
                mix4(row, start, weights, first, taps, BITS, line, 3 * x)
            continue
        for c in range(3):
            mixed = half
            for j in range(taps):
                mixed = i32(mixed + i32(row[start + 3 * j + c]) * weights[first + j])
            line[3 * x + c] = mixed >> BITS
    return 0


@kernel(i64(read(u8), i64, read(i32), write(i32), write(u8)))
def mix_lines(lines, start, weights, sums, line):
    """Make a line of those above each other.

    Parameters
    ----------
    lines : (n * line.size,) uint8
        Lines one after another; line k is at k modulo n.
    start : int
        First of the lines that are mixed.
    weights : (n_taps,) int32
        In units of 2 ** -BITS.
    sums : (line.size,) int32, scratch
    line : uint8, out

    Returns
    -------
    int
        0
    """
    size = line.size
    n = lines.size // size
    half = i32(1 << (BITS - 1))
    at = start % n * size
    one = lines[at : at + size]
    a = weights[0]
    if weights.size == 1:
        for i in range(size):
            line[i] = i32(half + i32(one[i]) * a) >> BITS
        return 0
    at = (start + 1) % n * size
    two = lines[at : at + size]
    b = weights[1]
    if weights.size == 2:
        for i in range(size):
            line[i] = i32(i32(half + i32(one[i]) * a) + i32(two[i]) * b) >> BITS
        return 0
    for i in range(size):
        sums[i] = i32(i32(half + i32(one[i]) * a) + i32(two[i]) * b)
    for j in range(2, weights.size):
        at = (start + j) % n * size
        one = lines[at : at + size]
        a = weights[j]
        for i in range(size):
            sums[i] = i32(sums[i] + i32(one[i]) * a)
    for i in range(size):
        line[i] = sums[i] >> BITS
    return 0


@kernel(i64(read(u8), i64, write(u8)))
def copy_line(row, flipped, line):
    """Copy a row of pixels of three bytes.

    Parameters
    ----------
    row : (3 * width,) uint8
    flipped : int
        Whether the first pixel comes last.
    line : (3 * width,) uint8, out

    Returns
    -------
    int
        0
    """
    if not flipped:
        for i in range(line.size):
            line[i] = row[i]
        return 0
    at = u64(0)
    for to in range(line.size - 3, -1, -3):
        line[u64(to)] = row[at]
        line[u64(to + 1)] = row[at + u64(1)]
        line[u64(to + 2)] = row[at + u64(2)]
        at += u64(3)
    return 0


@kernel(i64(read(u8), i64, i64, i64, write(u8)))
def transpose_lines(block, n, start, height, out):
    """Write lines of pixels of three bytes as columns.

    Parameters
    ----------
    block : (>= 3 * n * width,) uint8
        The lines one after another.
    n : int
    start : int
        Column of the first of them.
    height : int
        Columns of the result.
    out : (3 * width * height,) uint8, out

    Returns
    -------
    int
        0
    """
    width = out.size // (3 * height)
    for x in range(width):
        to = u64(3 * (x * height + start))
        at = u64(3 * x)
        for _ in range(n):
            out[to] = block[at]
            out[to + u64(1)] = block[at + u64(1)]
            out[to + u64(2)] = block[at + u64(2)]
            to += u64(3)
            at += u64(3 * width)
    return 0


TABLES = (read(i64), read(i32))


@kernel(
    i64(
        read(u8),
        *6 * (i64,),
        i64,
        *TABLES,
        *TABLES,
        write(u8),
        write(i32),
        write(u8),
        write(u8),
    )
)
def lay_image(
    source,
    h,
    w,
    height,
    width,
    mirrored,
    upended,
    transposed,
    x_starts,
    x_weights,
    y_starts,
    y_weights,
    kept,
    sums,
    block,
    out,
):
    """Resize an image, flip it and transpose the result.

    Parameters
    ----------
    source : (h * w * 3,) uint8
        Rows one after another.
    h, w, height, width : int
        Size before, and after resizing.
    mirrored, upended, transposed : int
        Whether the first column comes last; the first row; whether rows become columns then.
    x_starts, x_weights
        As :func:`weigh` makes them of w and width, flipped if ``mirrored``; not read if the two
        are equal.
    y_starts, y_weights
        Of h and height, not flipped; not read if the two are equal.
    kept : uint8, scratch
        ``n_taps(h, height)`` rows of the wider of the two sizes.
    sums : int32, scratch
        A row of the wider.
    block : (3 * BLOCK * width,) uint8, scratch
        Not used unless ``transposed``.
    out : (height * width * 3,) uint8, out

    Returns
    -------
    int
        0
    """
    size = 3 * width
    before = 3 * w
    taps = y_weights.size // max(y_starts.size, 1)
    down_first = w == width or columns_first(h, w, height, width)
    ready = 0
    for top in range(0, height, BLOCK):
        n = min(BLOCK, height - top)
        for k in range(n):
            y = top + k
            if transposed:
                to = size * (n - 1 - k if upended else k)
                line = block[to : to + size]
            else:
                to = size * (height - 1 - y if upended else y)
                line = out[to : to + size]
            if h == height:
                row = source[y * before : (y + 1) * before]
                if w == width:
                    copy_line(row, mirrored, line)
                else:
                    resize_line(row, x_starts, x_weights, line)
                continue
            weights = y_weights[y * taps : (y + 1) * taps]
            if down_first:
                mixed = kept[:before]
                mix_lines(source, y_starts[y], weights, sums[:before], mixed)
                if w == width:
                    copy_line(mixed, mirrored, line)
                else:
                    resize_line(mixed, x_starts, x_weights, line)
                continue
            while ready < y_starts[y] + taps:
                at = ready % taps * size
                row = source[ready * before : (ready + 1) * before]
                resize_line(row, x_starts, x_weights, kept[at : at + size])
                ready += 1
            mix_lines(kept[: taps * size], y_starts[y], weights, sums[:size], line)
        if transposed:
            start = height - top - n if upended else top
            transpose_lines(block, n, start, height, out)
    return 0


@kernel(
    i64(read(u8), *7 * (i64,), write(i64), write(u8), write(u8)),
    i64(read(u16), *7 * (i64,), write(i64), write(u16), write(u16)),
    i64(read(u32), *7 * (i64,), write(i64), write(u32), write(u32)),
    i64(read(u64), *7 * (i64,), write(i64), write(u64), write(u64)),
)
def lay_labels(source, h, w, height, width, mirrored, upended, transposed, columns, block, out):
    """Resize labels to the nearest, flip them and transpose the result.

    Parameters
    ----------
    source : (n * h * w,) of any unsigned type
        Frames one after another, each row by row.
    h, w, height, width : int
        Size before, and after resizing.
    mirrored, upended, transposed : int
        Whether the first column comes last; the first row; whether rows become columns then.
    columns : (width,) int64, scratch
    block : (BLOCK * width,) of the same type, scratch
        Not used unless ``transposed``.
    out : (n * height * width,) of the same type, out

    Returns
    -------
    int
        0
    """
    for x in range(width):
        columns[width - 1 - x if mirrored else x] = (2 * x + 1) * w // (2 * width)
    size = height * width
    for k in range(out.size // size):
        frame = source[k * h * w : (k + 1) * h * w]
        result = out[k * size : (k + 1) * size]
        for top in range(0, height, BLOCK):
            n = min(BLOCK, height - top)
            for j in range(n):
                y = top + j
                if transposed:
                    to = width * (n - 1 - j if upended else j)
                    line = block[to : to + width]
                else:
                    to = width * (height - 1 - y if upended else y)
                    line = result[to : to + width]
                at = (2 * y + 1) * h // (2 * height) * w
                row = frame[at : at + w]
                if w != width:
                    for x in range(width):
                        line[x] = row[u64(columns[x])]
                elif mirrored:
                    for x in range(width):
                        line[x] = row[u64(width - 1 - x)]
                else:
                    for x in range(width):
                        line[x] = row[u64(x)]
            if transposed:
                start = height - top - n if upended else top
                for x in range(width):
                    to = u64(x * height + start)
                    at = u64(x)
                    for _ in range(n):
                        result[to] = block[at]
                        to += u64(1)
                        at += u64(width)
    return 0
