"""Polygon rings -> counts, byte for byte as pycocotools rasterises them.

A ring is drawn on a grid five times finer than the pixels, edge by edge along the longer axis.
Wherever the outline passes the middle of a column of pixels it leaves a toggle; between an odd and
an even toggle of the column-major frame lies the inside (even-odd rule)::

    . . ,-+-. .      +  outline meets the middle of a column: toggle at the next pixel below
    . .+# # #+.
    . . '-+-' .      vertices with integer coordinates act as corners of pixels

Source: ``rleFrPoly`` in maskApi.c of pycocotools.
"""

from mtfast._jit import f64, i64, kernel, read, u8, write
from mtfast.kernels.coco_string import encode_counts
from mtfast.kernels.setops import OR, combine_counts

SCALE = 5.0


@kernel(i64(f64))
def _fine(coordinate):
    """Coordinate on the fine grid, rounded half up and truncated toward zero as in C."""
    return i64(SCALE * coordinate + 0.5)


@kernel(i64(read(f64), i64, i64, i64, write(i64)))
def outline_toggles(ring, n_points, height, width, toggles):
    """Write the toggles of a ring of n_points (x, y) pairs, unsorted; return how many.

    An edge passes each column once: ``toggles`` needs room for n_points * (width + 1) values.
    """
    n = 0
    first = True
    last_u = 0
    last_v = 0
    for j in range(n_points):
        k = j + 1 if j + 1 < n_points else 0
        xs = _fine(ring[2 * j])
        ys = _fine(ring[2 * j + 1])
        xe = _fine(ring[2 * k])
        ye = _fine(ring[2 * k + 1])
        dx = abs(xe - xs)
        dy = abs(ye - ys)
        flip = (dx >= dy and xs > xe) or (dx < dy and ys > ye)
        if flip:
            xs, xe = xe, xs
            ys, ye = ye, ys
        steps = max(dx, dy)
        slope = 0.0
        if steps > 0:
            slope = (ye - ys) / dx if dx >= dy else (xe - xs) / dy
        for d in range(steps + 1):
            t = steps - d if flip else d
            if dx >= dy:
                u = xs + t
                v = i64(ys + slope * t + 0.5)
            else:
                v = ys + t
                u = i64(xs + slope * t + 0.5)
            if not first and u != last_u:
                x = ((u if u < last_u else u - 1) + 0.5) / SCALE - 0.5
                column = i64(x)
                if x >= 0 and column == x and column <= width - 1:
                    y = (min(v, last_v) + 0.5) / SCALE - 0.5
                    y = min(max(y, 0.0), f64(height))
                    row = i64(y)
                    if row < y:
                        row += 1
                    toggles[n] = column * height + row
                    n += 1
            first = False
            last_u = u
            last_v = v
    return n


@kernel(i64(read(i64), i64, i64, write(i64)))
def counts_of_toggles(toggles, n, n_pixels, counts):
    """Write the counts (at most n + 1) between n toggles in ascending order; return how many.

    Two toggles at one place cancel: the runs on either side of them become one.
    """
    m = 0
    previous = 0
    cancelled = False
    for i in range(n + 1):
        position = toggles[i] if i < n else n_pixels
        length = position - previous
        previous = position
        if cancelled:
            counts[m - 1] += length
            cancelled = False
        elif length == 0 and i > 0:
            cancelled = True
        else:
            counts[m] = length
            m += 1
    return m


@kernel(i64(write(i64), i64))
def sort_ascending(values, n):
    """Sort the first n values in place, by heap sort, which has no bad case; return n."""
    root = n // 2
    end = n
    while end > 1:
        if root > 0:
            root -= 1
            value = values[root]
        else:
            end -= 1
            value = values[end]
            values[end] = values[0]
        hole = root
        child = 2 * hole + 1
        while child < end:
            if child + 1 < end and values[child + 1] > values[child]:
                child += 1
            if values[child] <= value:
                break
            values[hole] = values[child]
            hole = child
            child = 2 * hole + 1
        values[hole] = value
    return n


@kernel(
    i64(
        read(f64),
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        write(i64),
        write(u8),
        write(i64),
    )
)
def encode_polygons(points, ring_offsets, mask_offsets, heights, widths, scratch, text, offsets):
    """Rasterise masks of one or more rings each, whose union they are, into COCO text.

    Parameters
    ----------
    points : (n,) float64
        x, y, x, y, ... of all rings.
    ring_offsets : (n_rings + 1,) int64
        Ring r has the numbers points[ring_offsets[r]:ring_offsets[r + 1]], two a point.
    mask_offsets : (n_masks + 1,) int64
        Mask k has the rings mask_offsets[k] .. mask_offsets[k + 1] - 1.
    heights, widths : (n_masks,) int64
    scratch : int64
        Four parts of equal size; one part holds the toggles of all rings of any one mask, and
        two values more for each ring.
    text : uint8, out
        Room for MAX_CHARACTERS for each of those.
    offsets : (n_masks + 1,) int64, out

    Returns
    -------
    int
        The number of characters written.
    """
    part = scratch.size // 4
    toggles = scratch[:part]
    counts = scratch[part : 2 * part]
    union = scratch[2 * part : 3 * part]
    merged = scratch[3 * part : 4 * part]
    at = 0
    offsets[0] = 0
    for k in range(heights.size):
        height = heights[k]
        width = widths[k]
        n_union = 0
        for r in range(mask_offsets[k], mask_offsets[k + 1]):
            ring = points[ring_offsets[r] : ring_offsets[r + 1]]
            n = outline_toggles(ring, ring.size // 2, height, width, toggles)
            sort_ascending(toggles, n)
            if n_union == 0:
                n_union = counts_of_toggles(toggles, n, height * width, union)
            else:
                n_counts = counts_of_toggles(toggles, n, height * width, counts)
                n_union = combine_counts(union, n_union, counts, n_counts, OR, merged)
                union, merged = merged, union
        at = encode_counts(union, 0, n_union, text, at)
        offsets[k + 1] = at
    return at
