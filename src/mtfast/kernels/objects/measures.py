"""Areas and boxes of a few masks, given as a list of dicts or as one dict."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_f64,
    as_i64,
    as_u8,
    as_u32,
    item,
    read_masks,
    u32_scalar,
    yes_or_no,
)
from mtfast.kernels.objects.scratch import (
    HEIGHTS,
    OFFSETS,
    TEXT,
    THINGS,
    TOGGLES,
    UINT32,
    WIDTHS,
    WORDS,
)
from mtfast.kernels.rle.measure import area_of_places, bbox_of_places
from mtfast.kernels.rle.places import places_of_text

__all__ = ["area", "areas", "boxes"]

# Areas are unsigned integers of 32 bits, as those of pycocotools.
MAX_AREA = (1 << 32) - 1


@builtin(THINGS)
def area(things, arguments, n_arguments):
    """area(mask) -> uint32 or False: the area of one mask."""
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    words, places = as_i64(item(things, WORDS)), as_i64(item(things, TOGGLES))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    n_pixels = heights[0] * widths[0]
    if n != 1 or n_pixels > MAX_AREA:
        return NO()
    n_places = places_of_text(text, 0, offsets[1], n_pixels, places)
    if n_places < 0:
        return NO()
    return u32_scalar(item(things, UINT32), area_of_places(places, n_places))


@builtin(THINGS)
def areas(things, arguments, n_arguments):
    """areas(masks, out) -> bool: the areas of n masks, into (n,) uint32."""
    out = as_u32(argument(arguments, 1))
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    words, places = as_i64(item(things, WORDS)), as_i64(item(things, TOGGLES))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if n != out.size:
        return NO()
    for k in range(n):
        n_pixels = heights[k] * widths[k]
        if n_pixels > MAX_AREA:
            return NO()
        n_places = places_of_text(text, offsets[k], offsets[k + 1], n_pixels, places)
        if n_places < 0:
            return NO()
        out[k] = area_of_places(places, n_places)
    return yes_or_no(True)


@builtin(THINGS)
def boxes(things, arguments, n_arguments):
    """boxes(masks, out) -> bool: the boxes of n masks, into (n, 4) float64."""
    out = as_f64(argument(arguments, 1))
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    words, places = as_i64(item(things, WORDS)), as_i64(item(things, TOGGLES))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if 4 * n != out.size:
        return NO()
    for k in range(n):
        n_pixels = heights[k] * widths[k]
        n_places = places_of_text(text, offsets[k], offsets[k + 1], n_pixels, places)
        if n_places < 0:
            return NO()
        bbox_of_places(places, n_places, heights[k], out[4 * k : 4 * k + 4])
    return yes_or_no(True)
