"""Intersection over union of a few boxes with each other, given as arrays or lists of lists."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_f64,
    as_i64,
    as_u8,
    flags_of,
    item,
    read_boxes,
    yes_or_no,
)
from mtfast.kernels.objects.scratch import ARRAY_TYPE, FLAGS, FLOAT64, POINTS, THINGS, WORDS
from mtfast.kernels.operations.iou import bbox_ious

__all__ = ["MAX_PAIRS", "box_overlaps"]

# To compare so many takes a millisecond, with the GIL held.
MAX_PAIRS = 1 << 18


@builtin(THINGS)
def box_overlaps(things, arguments, n_arguments):
    """box_overlaps(dt, gt, iscrowd, out) -> bool: iou of m boxes with n, into (m, n) float64."""
    out = as_f64(argument(arguments, 3))
    words, crowd = as_i64(item(things, WORDS)), as_u8(item(things, FLAGS))
    array_type, dtype, points = (
        item(things, ARRAY_TYPE),
        item(things, FLOAT64),
        item(things, POINTS),
    )
    first = as_f64(points)
    m = read_boxes(argument(arguments, 0), array_type, dtype, words, first)
    if m <= 0:
        return NO()
    second = first[4 * m :]
    n = read_boxes(argument(arguments, 1), array_type, dtype, words, second)
    if n <= 0 or m * n != out.size or m * n > MAX_PAIRS:
        return NO()
    if flags_of(argument(arguments, 2), words, crowd) != n:
        return NO()
    bbox_ious(first[: 4 * m], second[: 4 * n], crowd, out)
    return yes_or_no(True)
