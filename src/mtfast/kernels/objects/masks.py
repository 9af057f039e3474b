"""Areas, boxes, overlaps and unions of a few masks, given as a list of dicts or as one dict.

Each function reads its masks into scratch, and calls the kernels that arrays of many masks are
given to. It returns False for all that is not usual, or malformed, or too much to hold the GIL for:
then the caller takes the way through Python.
"""

import numpy as np

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    N_WORDS,
    NO,
    argument,
    bytes_object,
    flags_of,
    floats,
    integers,
    is_true,
    octets,
    read_masks,
    scratch,
    unsigned,
    yes_or_no,
)
from mtfast.kernels.operations import boolean, iou
from mtfast.kernels.rle import coco_string, measure, toggle_lists

__all__ = ["MAX_CHARACTERS", "MAX_MASKS", "areas", "boxes", "merged", "overlaps"]

# More is left to kernels that release the GIL: it is held for a millisecond or two at most.
MAX_MASKS = 4096
MAX_CHARACTERS = 1 << 18
# Of texts that are compared, each with each.
MAX_COMPARED = 1 << 23

# Areas are unsigned integers of 32 bits, as those of pycocotools.
MAX_AREA = (1 << 32) - 1
MAX_PIXELS = 1 << 40

WORDS, TEXT, OFFSETS, HEIGHTS, WIDTHS, TOGGLES, TOGGLE_OFFSETS, OTHER = range(8)
FLAGS, FACTS, MADE = range(8, 11)

# Most of it is never touched, and takes no memory.
_SCRATCH = (
    np.zeros(N_WORDS, np.int64),
    np.empty(MAX_CHARACTERS, np.uint8),
    np.empty(MAX_MASKS + 1, np.int64),
    np.empty(MAX_MASKS, np.int64),
    np.empty(MAX_MASKS, np.int64),
    np.empty(MAX_CHARACTERS + MAX_MASKS, np.int64),
    np.empty(MAX_MASKS + 1, np.int64),
    np.empty(MAX_CHARACTERS + MAX_MASKS, np.int64),
    np.empty(MAX_MASKS, np.uint8),
    np.empty(iou.N_FACTS * MAX_MASKS, np.int64),
    np.empty(coco_string.MAX_CHARACTERS * (MAX_CHARACTERS + MAX_MASKS), np.uint8),
)


@builtin(_SCRATCH)
def areas(arrays, arguments, n_arguments):
    """areas(masks, out) -> bool: the areas of n masks, into (n,) uint32."""
    out = unsigned(argument(arguments, 1))
    text, offsets = octets(scratch(arrays, TEXT)), integers(scratch(arrays, OFFSETS))
    heights, widths = integers(scratch(arrays, HEIGHTS)), integers(scratch(arrays, WIDTHS))
    words, places = integers(scratch(arrays, WORDS)), integers(scratch(arrays, TOGGLES))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if n != out.size:
        return NO()
    for k in range(n):
        n_pixels = heights[k] * widths[k]
        if n_pixels > MAX_AREA:
            return NO()
        n_places = coco_string.decode_places(text, offsets[k], offsets[k + 1], n_pixels, places)
        if n_places < 0:
            return NO()
        out[k] = measure.area_of_places(places, n_places)
    return yes_or_no(True)


@builtin(_SCRATCH)
def boxes(arrays, arguments, n_arguments):
    """boxes(masks, out) -> bool: the boxes of n masks, into (n, 4) float64."""
    out = floats(argument(arguments, 1))
    text, offsets = octets(scratch(arrays, TEXT)), integers(scratch(arrays, OFFSETS))
    heights, widths = integers(scratch(arrays, HEIGHTS)), integers(scratch(arrays, WIDTHS))
    words, places = integers(scratch(arrays, WORDS)), integers(scratch(arrays, TOGGLES))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if 4 * n != out.size:
        return NO()
    for k in range(n):
        n_pixels = heights[k] * widths[k]
        n_places = coco_string.decode_places(text, offsets[k], offsets[k + 1], n_pixels, places)
        if n_places < 0:
            return NO()
        measure.bbox_of_places(places, n_places, heights[k], out[4 * k : 4 * k + 4])
    return yes_or_no(True)


@builtin(_SCRATCH)
def overlaps(arrays, arguments, n_arguments):
    """overlaps(dt, gt, iscrowd, out) -> bool: iou of m masks with n, into (m, n) float64."""
    out = floats(argument(arguments, 3))
    text, offsets = octets(scratch(arrays, TEXT)), integers(scratch(arrays, OFFSETS))
    heights, widths = integers(scratch(arrays, HEIGHTS)), integers(scratch(arrays, WIDTHS))
    words, crowd = integers(scratch(arrays, WORDS)), octets(scratch(arrays, FLAGS))
    m = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if m <= 0:
        return NO()
    n = read_masks(argument(arguments, 1), m, words, text, offsets, heights, widths) - m
    if n <= 0 or m * n != out.size or flags_of(argument(arguments, 2), words, crowd) != n:
        return NO()
    if n * offsets[m] + m * (offsets[m + n] - offsets[m]) > MAX_COMPARED:
        return NO()
    here = heights[: m + n], widths[: m + n]
    if toggle_lists.first_of_other_size(here[0], here[1], heights[0], widths[0]) >= 0:
        return NO()
    toggles, starts = integers(scratch(arrays, TOGGLES)), integers(scratch(arrays, TOGGLE_OFFSETS))
    n_toggles = toggle_lists.decode_lists(
        text, offsets, here[0], here[1], MAX_PIXELS, toggles, starts
    )
    if n_toggles < 0:
        return NO()
    facts = integers(scratch(arrays, FACTS))
    iou.ious(
        toggles,
        starts[: m + 1],
        toggles,
        starts[m : m + n + 1],
        heights[0],
        crowd,
        facts[: iou.N_FACTS * m],
        facts[iou.N_FACTS * m :],
        out,
    )
    return yes_or_no(True)


@builtin(_SCRATCH)
def merged(arrays, arguments, n_arguments):
    """merged(masks, intersect, size) -> bytes or False: the text of all masks as one.

    ``intersect`` is True or False. ``size`` is (2,) int64, out: height and width.
    """
    size = integers(argument(arguments, 2))
    text, offsets = octets(scratch(arrays, TEXT)), integers(scratch(arrays, OFFSETS))
    heights, widths = integers(scratch(arrays, HEIGHTS)), integers(scratch(arrays, WIDTHS))
    words = integers(scratch(arrays, WORDS))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if n <= 0:
        return NO()
    heights, widths = heights[:n], widths[:n]
    size[0], size[1] = heights[0], widths[0]
    if toggle_lists.first_of_other_size(heights, widths, size[0], size[1]) >= 0:
        return NO()
    toggles, starts = integers(scratch(arrays, TOGGLES)), integers(scratch(arrays, TOGGLE_OFFSETS))
    if toggle_lists.decode_lists(text, offsets, heights, widths, MAX_PIXELS, toggles, starts) < 0:
        return NO()
    if n == 1:
        return bytes_object(text, offsets[1])
    other, starts = integers(scratch(arrays, OTHER)), starts[: n + 1]
    if is_true(argument(arguments, 1)):
        n_toggles = boolean.intersect_all(toggles, starts, other) - 1
    else:
        if boolean.unite_all(toggles, starts, other):
            toggles = other
        n_toggles = starts[1] - 1
    n_counts = toggle_lists.counts_of_list(toggles, n_toggles, size[0] * size[1])
    made = octets(scratch(arrays, MADE))
    return bytes_object(made, coco_string.encode_counts(toggles, 0, n_counts, made, 0))
