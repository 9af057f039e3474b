"""Windows of a few masks, given as a list of dicts or as one dict."""

from mtfast.kernels.objects.builtin import builtin
from mtfast.kernels.objects.reading import (
    NO,
    argument,
    as_i64,
    as_u8,
    bytes_object,
    item,
    read_masks,
    read_side,
)
from mtfast.kernels.objects.scratch import (
    FACTS,
    HEIGHTS,
    MADE,
    MAX_PIXELS,
    OFFSETS,
    OTHER,
    TEXT,
    THINGS,
    TOGGLE_OFFSETS,
    TOGGLES,
    WIDTHS,
    WORDS,
)
from mtfast.kernels.operations.transform import crops
from mtfast.kernels.rle.toggle_lists import decode_lists, encode_lists

__all__ = ["cropped"]


@builtin(THINGS)
def cropped(things, arguments, n_arguments):
    """cropped(masks, y, x, h, w, offsets) -> bytes or False: the texts of n masks in a window.

    ``offsets`` is (n + 1,) int64, out: text k is the result[offsets[k]:offsets[k + 1]].
    """
    words, out = as_i64(item(things, WORDS)), as_i64(argument(arguments, 5))
    y, x = read_side(argument(arguments, 1), words), read_side(argument(arguments, 2), words)
    h, w = read_side(argument(arguments, 3), words), read_side(argument(arguments, 4), words)
    text, offsets = as_u8(item(things, TEXT)), as_i64(item(things, OFFSETS))
    heights, widths = as_i64(item(things, HEIGHTS)), as_i64(item(things, WIDTHS))
    n = read_masks(argument(arguments, 0), 0, words, text, offsets, heights, widths)
    if n <= 0 or out.size != n + 1 or min(y, x, h, w) < 0:
        return NO()
    heights, widths = heights[:n], widths[:n]
    toggles, starts = as_i64(item(things, TOGGLES)), as_i64(item(things, TOGGLE_OFFSETS))
    longest = decode_lists(text, offsets, heights, widths, MAX_PIXELS, toggles, starts)
    moved, facts = as_i64(item(things, OTHER)), as_i64(item(things, FACTS))
    # Three pieces for each run, and as many runs in the window.
    lists, pieces = toggles[: starts[n]], toggles[starts[n] :]
    n_pieces = 3 * (longest // 2 + 1)
    if longest < 0 or 3 * n_pieces > pieces.size or 3 * lists.size > moved.size:
        return NO()
    columns, tops = pieces[:n_pieces], pieces[n_pieces : 2 * n_pieces]
    bottoms, ends = pieces[2 * n_pieces :], facts[n : 2 * n + 1]
    n_cut = crops(
        lists, starts, heights, widths, y, x, h, w, 0, columns, tops, bottoms, facts, moved, ends
    )
    if n_cut < 0:
        return NO()
    heights[:] = h
    widths[:] = w
    made = as_u8(item(things, MADE))
    return bytes_object(made, encode_lists(moved, ends, heights, widths, made, out))
