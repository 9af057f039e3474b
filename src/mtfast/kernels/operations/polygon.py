"""Polygon rings -> toggles -> text, byte for byte as pycocotools rasterises them.

A ring is drawn on a grid five times finer than the pixels, edge by edge along the longer axis.
Wherever the outline passes the middle of a column of pixels it leaves a toggle; the inside is
between an odd toggle and the even one after it (even-odd rule)::

    . . ,-+-. .      +  the outline passes the middle of a column: toggle at the next pixel below
    . .+# # #+.
    . . '-+-' .      vertices with integer coordinates are corners of pixels

Source: ``rleFrPoly`` in maskApi.c of pycocotools.
"""

from mtfast.kernels.jit import f64, i64, kernel, read, u8, write
from mtfast.kernels.operations.boolean import OR, combine_lists
from mtfast.kernels.rle.coco_string import encode_counts
from mtfast.kernels.rle.toggle_lists import SENTINEL, counts_of_list, drop_pairs

__all__ = [
    "MAX_COORDINATE",
    "MAX_RINGS",
    "count_toggles",
    "encode_rings",
    "outline_rings",
    "outline_toggles",
]

SCALE = 5.0

MAX_COORDINATE = 2.0**20
# How often the edges of one mask may pass a column: a second or two of work.
MAX_CROSSINGS = 2**24
# The places of that many frames of the largest size have distinct numbers of 64 bits.
MAX_RINGS = 2**20


@kernel(i64(f64))
def _fine(coordinate):
    """Return a coordinate on the fine grid, rounded half up and truncated toward zero as in C."""
    return i64(SCALE * coordinate + 0.5)


@kernel(i64(read(f64), read(i64), read(i64), read(i64), write(i64)))
def count_toggles(points, ring_offsets, mask_offsets, widths, capacities):
    """Bound the number of toggles of each mask, with two values more for each ring.

    An edge passes the middles of at most dx + 2 columns, and of no more than the frame has.

    Parameters
    ----------
    points, ring_offsets, mask_offsets
        As in :func:`outline_rings`.
    widths : (n_masks,) int64
    capacities : (n_masks,) int64, out

    Returns
    -------
    int
        The sum of the capacities; or ~k if mask k has a ring without a point, a number that is not
        finite or larger than MAX_COORDINATE, more rings than MAX_RINGS, or edges that pass columns
        more often than MAX_CROSSINGS.
    """
    total = 0
    for k in range(widths.size):
        n_rings = mask_offsets[k + 1] - mask_offsets[k]
        if n_rings > MAX_RINGS:
            return ~k
        crossings = 0
        for r in range(mask_offsets[k], mask_offsets[k + 1]):
            ring = points[ring_offsets[r] : ring_offsets[r + 1]]
            n_points = ring.size // 2
            if n_points == 0:
                return ~k
            before = ring[2 * n_points - 2]
            for j in range(n_points):
                x = ring[2 * j]
                # One by one: max() may drop a NaN.
                for coordinate in (x, ring[2 * j + 1], before):
                    if not abs(coordinate) <= MAX_COORDINATE:
                        return ~k
                crossings += min(i64(abs(x - before)) + 3, widths[k])
                before = x
        if crossings > MAX_CROSSINGS:
            return ~k
        capacities[k] = crossings + 2 * n_rings + 2
        total += capacities[k]
    return total


@kernel(i64(read(f64), i64, i64, i64, write(i64)))
def outline_toggles(ring, n_points, height, width, toggles):
    """Write the toggles of a ring, unsorted.

    The middle of column c is between the fine columns 5 * c + 2 and 5 * c + 3; of the two points
    of the outline there, the upper one counts. Only these points are computed: the work grows with
    the columns that an edge passes, not with its length.

    Parameters
    ----------
    ring : (>= 2 * n_points,) float64
        x, y, x, y, ... in pixels.
    n_points, height, width : int
    toggles : int64, out
        Places. An edge passes each column once: n_points * width values at most.

    Returns
    -------
    int
        The number of toggles, which is even.
    """
    n = 0
    for j in range(n_points):
        k = j + 1 if j + 1 < n_points else 0
        xs = _fine(ring[2 * j])
        ys = _fine(ring[2 * j + 1])
        xe = _fine(ring[2 * k])
        ye = _fine(ring[2 * k + 1])
        dx = abs(xe - xs)
        dy = abs(ye - ys)
        flat = dx >= dy
        if (flat and xs > xe) or (not flat and ys > ye):
            xs, xe = xe, xs
            ys, ye = ye, ys
        if dx == 0:
            continue
        slope = (ye - ys) / dx if flat else (xe - xs) / dy
        left = min(xs, xe)
        right = max(xs, xe)
        first = 0 if left <= 2 else (left + 2) // 5
        last = min((right - 3) // 5, width - 1)
        for column in range(first, last + 1):
            u = 5 * column + 2
            if flat:
                t = u - xs
                v = min(i64(ys + slope * t + 0.5), i64(ys + slope * (t + 1) + 0.5))
            else:
                # The last step on this side of the middle: the solution of
                # xs + slope * t + 0.5 = u + 1, corrected for rounding.
                t = i64((u + 0.5 - xs) / slope)
                rising = xe > xs
                while t > 0 and (i64(xs + slope * t + 0.5) > u) == rising:
                    t -= 1
                while t + 1 < dy and (i64(xs + slope * (t + 1) + 0.5) > u) != rising:
                    t += 1
                v = ys + t
            row = min(max((v + 2) // 5, 0), height)
            toggles[n] = column * height + row
            n += 1
    return n


@kernel(i64(read(f64), *4 * (read(i64),), write(i64), write(i64)))
def outline_rings(points, ring_offsets, mask_offsets, heights, widths, toggles, ends):
    """Write the toggles of all rings such that one sort sorts those of each ring.

    Parameters
    ----------
    points : (n,) float64
        x, y, x, y, ... of all rings.
    ring_offsets : int64
        Ring r has the numbers points[ring_offsets[r]:ring_offsets[r + 1]], two for each point; an
        odd one at the end is ignored.
    mask_offsets : (n_masks + 1,) int64
        Mask k has the rings mask_offsets[k] .. mask_offsets[k + 1] - 1.
    heights, widths : (n_masks,) int64
    toggles : int64, out
        Places, plus the sizes of the frames of all rings before, and one more for each ring.
    ends : (n_rings,) int64, out
        Where in toggles those of each ring end.

    Returns
    -------
    int
        How many toggles were written.
    """
    n = 0
    base = 0
    first = mask_offsets[0]
    for k in range(heights.size):
        for r in range(mask_offsets[k], mask_offsets[k + 1]):
            ring = points[ring_offsets[r] : ring_offsets[r + 1]]
            own = toggles[n:]
            n_own = outline_toggles(ring, ring.size // 2, heights[k], widths[k], own)
            for i in range(n_own):
                own[i] += base
            base += heights[k] * widths[k] + 1
            n += n_own
            ends[r - first] = n
    return n


@kernel(i64(*5 * (read(i64),), write(i64), write(u8), write(i64)))
def encode_rings(toggles, ends, mask_offsets, heights, widths, scratch, text, offsets):
    """Write masks as text; a mask is the union of its rings.

    Parameters
    ----------
    toggles, ends : int64
        As made by :func:`outline_rings`, the toggles sorted.
    mask_offsets, heights, widths
        As there.
    scratch : int64
        Three arrays of the largest of the capacities of :func:`count_toggles`.
    text : uint8, out
        MAX_CHARACTERS for each value of their sum.
    offsets : (n_masks + 1,) int64, out

    Returns
    -------
    int
        The number of characters written.
    """
    size = scratch.size // 3
    ring = scratch[:size]
    union = scratch[size : 2 * size]
    merged = scratch[2 * size : 3 * size]
    at = 0
    start = 0
    base = 0
    offsets[0] = 0
    for k in range(heights.size):
        n_pixels = heights[k] * widths[k]
        n_union = 0
        for r in range(mask_offsets[k] - mask_offsets[0], mask_offsets[k + 1] - mask_offsets[0]):
            n = ends[r] - start
            for i in range(n):
                ring[i] = toggles[start + i] - base
            start = ends[r]
            base += n_pixels + 1
            n = drop_pairs(ring, n)
            ring[n] = SENTINEL
            if n_union == 0:
                n_union = n
                union, ring = ring, union
            else:
                n_union = combine_lists(union, ring, OR, merged) - 1
                union, merged = merged, union
        n_counts = counts_of_list(union, n_union, n_pixels)
        at = encode_counts(union, 0, n_counts, text, at)
        offsets[k + 1] = at
    return at
