"""Intersection over union of masks without pixels, and of boxes.

The boxes of most pairs of flakes are disjoint, and so are the masks. For the others the common area
is counted run by run, and the union follows from it and the two areas::

    first     . # # # . .      area 3
    second    . . # # # .      area 3
    common    . . # # . .      area 2, union 3 + 3 - 2, iou 2 / 4

Source: ``rleIou`` and ``bbIou`` in maskApi.c of pycocotools, to which the results are equal bit for
bit.
"""

from math import copysign

from mtfast.kernels.jit import f64, i64, kernel, read, u8, u64, write
from mtfast.kernels.rle.columns import column_of
from mtfast.kernels.rle.toggle_lists import ONE, TWO, ZERO

__all__ = ["N_FACTS", "bbox_ious", "ious", "overlaps"]

# The facts of a mask: first place, place after the last, first row, row after the last, area.
FIRST, END, TOP, BOTTOM, AREA = range(5)
N_FACTS = 5

INFINITY = float("inf")


@kernel(i64(read(i64), i64, write(i64)))
def facts_of_list(toggles, height, facts):
    """Write the facts of a mask.

    Parameters
    ----------
    toggles : int64
        Toggle list, and nothing after it.
    height : int
    facts : (N_FACTS,) int64, out
        A run that goes on into the next column has all rows. Zeros for an empty mask.

    Returns
    -------
    int
        0
    """
    facts[:] = 0
    if toggles.size == 1:
        return 0
    x = column = 0
    top = height
    bottom = 0
    area = 0
    i = ZERO
    end = u64(toggles.size - 1)
    while i < end:
        start = toggles[i]
        stop = toggles[i + ONE]
        i += TWO
        x, column = column_of(start, x, column, height)
        top = min(top, start - column)
        bottom = max(bottom, stop - column)
        area += stop - start
    facts[FIRST] = toggles[0]
    facts[END] = toggles[end - ONE]
    facts[TOP] = top if bottom <= height else 0
    facts[BOTTOM] = min(bottom, height)
    facts[AREA] = area
    return 0


@kernel(i64(read(i64), i64))
def runs_before(toggles, place):
    """Count the runs that end at a place or before it.

    Parameters
    ----------
    toggles : int64
        Toggle list, and nothing after it.
    place : int

    Returns
    -------
    int
    """
    # A binary search without a branch on what it finds.
    n = (toggles.size - 1) // 2
    first = 0
    while n > 0:
        half = (n + 1) // 2
        first += half * i64(toggles[2 * (first + half) - 1] <= place)
        n -= half
    return first


@kernel(i64(read(i64), read(i64)))
def common_area(first, second):
    """Count the pixels that two masks share.

    Of two runs, the one that ends first shares nothing with what comes after the other. Masks with
    a run in each column nearly always go on both at once, so that no step waits for a comparison.

    Parameters
    ----------
    first, second : int64
        Toggle lists, and nothing after them.

    Returns
    -------
    int
    """
    area = 0
    i = ZERO
    j = ZERO
    first_end = u64(first.size - 1)
    second_end = u64(second.size - 1)
    while i < first_end and j < second_end:
        i_stop = first[i + ONE]
        j_stop = second[j + ONE]
        area += max(min(i_stop, j_stop) - max(first[i], second[j]), 0)
        if first[i + TWO] >= j_stop and second[j + TWO] >= i_stop:
            i += TWO
            j += TWO
        else:
            next_first = u64(i_stop <= j_stop)
            i += TWO * next_first
            j += TWO - TWO * next_first
    return area


@kernel(i64(read(i64), read(i64), i64))
def common_area_from(first, second, start):
    """Count the pixels that two masks share, from the place where the later one begins.

    Parameters
    ----------
    first, second : int64
        Toggle lists of masks with a pixel, and nothing after them.
    start : int
        The larger of their first toggles.

    Returns
    -------
    int
    """
    # The mask that begins later has nothing to skip.
    if first[0] < start:
        first = first[2 * runs_before(first, start) :]
    else:
        second = second[2 * runs_before(second, start) :]
    return common_area(first, second)


@kernel(
    i64(*4 * (read(i64),), i64, read(u8), write(i64), write(i64), write(f64)),
)
def ious(dt, dt_offsets, gt, gt_offsets, height, iscrowd, dt_facts, gt_facts, out):
    """Intersection over union of every mask of one batch with every mask of another.

    Parameters
    ----------
    dt, dt_offsets : int64 and (m + 1,) int64
        Toggle lists of the detections.
    gt, gt_offsets : int64 and (n + 1,) int64
        Toggle lists of the ground truth.
    height : int
        All masks have frames of one size.
    iscrowd : (n,) uint8
        Nonzero: the area of the detection takes the place of the union.
    dt_facts, gt_facts : (N_FACTS * m,) and (N_FACTS * n,) int64, scratch
    out : (m * n,) float64, out
        Row by row, a row for each detection.

    Returns
    -------
    int
        m * n
    """
    m = dt_offsets.size - 1
    n = gt_offsets.size - 1
    for d in range(m):
        list_ = dt[dt_offsets[d] : dt_offsets[d + 1]]
        facts_of_list(list_, height, dt_facts[N_FACTS * d : N_FACTS * (d + 1)])
    for g in range(n):
        list_ = gt[gt_offsets[g] : gt_offsets[g + 1]]
        facts_of_list(list_, height, gt_facts[N_FACTS * g : N_FACTS * (g + 1)])
    for d in range(m):
        d_first = dt_facts[N_FACTS * d + FIRST]
        d_end = dt_facts[N_FACTS * d + END]
        d_top = dt_facts[N_FACTS * d + TOP]
        d_bottom = dt_facts[N_FACTS * d + BOTTOM]
        d_area = dt_facts[N_FACTS * d + AREA]
        for g in range(n):
            out[d * n + g] = 0.0
            # As in overlaps: as a function of its own it would take twice the time.
            start = max(d_first, gt_facts[N_FACTS * g + FIRST])
            if start >= min(d_end, gt_facts[N_FACTS * g + END]):
                continue
            if d_top >= gt_facts[N_FACTS * g + BOTTOM] or gt_facts[N_FACTS * g + TOP] >= d_bottom:
                continue
            first = dt[dt_offsets[d] : dt_offsets[d + 1]]
            second = gt[gt_offsets[g] : gt_offsets[g + 1]]
            common = common_area_from(first, second, start)
            union = d_area if iscrowd[g] else d_area + gt_facts[N_FACTS * g + AREA] - common
            out[d * n + g] = common / union
    return m * n


@kernel(i64(*5 * (read(i64),), *4 * (write(i64),)))
def overlaps(toggles, offsets, image_offsets, heights, labels, facts, first, second, n_pixels):
    """Find the pairs of masks of one image that share pixels and have different labels.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists of the masks of all images.
    image_offsets : (n_images + 1,) int64
        The masks of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    heights : (n_images,) int64
    labels : (n,) int64
    facts : (N_FACTS * n,) int64, scratch
    first, second, n_pixels : int64, out
        The two masks of each pair, in ascending order, and how many pixels they share.

    Returns
    -------
    int
        The number of pairs, of which only those that fit into the outputs were written.
    """
    found = 0
    for image in range(heights.size):
        stop = image_offsets[image + 1]
        for k in range(image_offsets[image], stop):
            list_ = toggles[offsets[k] : offsets[k + 1]]
            facts_of_list(list_, heights[image], facts[N_FACTS * k : N_FACTS * (k + 1)])
        for a in range(image_offsets[image], stop):
            a_first = facts[N_FACTS * a + FIRST]
            a_end = facts[N_FACTS * a + END]
            a_top = facts[N_FACTS * a + TOP]
            a_bottom = facts[N_FACTS * a + BOTTOM]
            for b in range(a + 1, stop):
                start = max(a_first, facts[N_FACTS * b + FIRST])
                if labels[a] == labels[b] or start >= min(a_end, facts[N_FACTS * b + END]):
                    continue
                if a_top >= facts[N_FACTS * b + BOTTOM] or facts[N_FACTS * b + TOP] >= a_bottom:
                    continue
                one = toggles[offsets[a] : offsets[a + 1]]
                other = toggles[offsets[b] : offsets[b + 1]]
                common = common_area_from(one, other, start)
                if common == 0:
                    continue
                if found < first.size:
                    first[found] = a
                    second[found] = b
                    n_pixels[found] = common
                found += 1
    return found


@kernel(f64(f64, f64))
def _smaller(a, b):
    """Return the smaller of two, or the one that is a number, as C's fmin does."""
    return a if a < b or b != b else b


@kernel(f64(f64, f64))
def _larger(a, b):
    """Return the larger of two, or the one that is a number, as C's fmax does."""
    return a if a > b or b != b else b


@kernel(i64(read(f64), read(f64), read(u8), write(f64)))
def bbox_ious(dt, gt, iscrowd, out):
    """Intersection over union of boxes [x, y, width, height].

    Parameters
    ----------
    dt, gt : (4 * m,) and (4 * n,) float64
        Pixels.
    iscrowd : (n,) uint8
        Nonzero: the area of the detection takes the place of the union.
    out : (m * n,) float64, out
        Row by row, a row for each detection.

    Returns
    -------
    int
        m * n
    """
    m = dt.size // 4
    n = gt.size // 4
    for d in range(m):
        dx = float(dt[4 * d])
        dy = float(dt[4 * d + 1])
        dw = float(dt[4 * d + 2])
        dh = float(dt[4 * d + 3])
        for g in range(n):
            gx = float(gt[4 * g])
            gy = float(gt[4 * g + 1])
            gw = float(gt[4 * g + 2])
            gh = float(gt[4 * g + 3])
            value = 0.0
            w = _smaller(dw + dx, gw + gx) - _larger(dx, gx)
            if not w <= 0:
                h = _smaller(dh + dy, gh + gy) - _larger(dy, gy)
                if not h <= 0:
                    common = w * h
                    union = dw * dh if iscrowd[g] else dw * dh + gw * gh - common
                    # Division by zero as in C; Python raises for it.
                    value = common * copysign(INFINITY, union)
                    if union != 0:
                        value = common / union
            out[d * n + g] = value
    return m * n
