"""The forms of a mask by hand, and what the decoder of many texts refuses."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from mtfast.kernels.frames.label_map import lists_of_runs
from mtfast.kernels.operations.polygon import MAX_RINGS, count_toggles
from mtfast.kernels.operations.rotate import n_row_runs
from mtfast.kernels.operations.row_runs import NONE, append_row_runs
from mtfast.kernels.rle import coco_string, column_pieces, columns, toggle_lists, toggle_words
from mtfast.kernels.rle.toggle_lists import SENTINEL, decode_lists

# The example of mtfast.kernels.
MASK = naive.mask("""
    .##.
    ..#.
    #...
""")
TEXT = b"22202"
COUNTS = [2, 2, 2, 2, 4]
LIST = [2, 4, 6, 8, SENTINEL]
GUARD = -77


def text_of(*texts: bytes) -> tuple[np.ndarray, np.ndarray]:
    return np.frombuffer(b"".join(texts), np.uint8), np.cumsum([0, *map(len, texts)])


def test_counts_and_places_of_the_example():
    assert naive.counts_of_mask(MASK) == COUNTS
    assert naive.text_of_counts(COUNTS) == TEXT
    places = np.full(6, GUARD)
    assert coco_string.decode_places(text_of(TEXT)[0], 0, 5, 12, places) == 5
    assert places.tolist() == [2, 4, 6, 8, 12, GUARD]


def test_toggle_list_of_the_example():
    toggles = np.full(7, GUARD)
    assert toggle_lists.decode_list(text_of(TEXT)[0], 0, 5, 12, toggles) == 4
    assert toggles[:5].tolist() == LIST
    assert toggles[6] == GUARD
    assert toggle_lists.counts_of_list(toggles, 4, 12) == 5
    assert toggles[:5].tolist() == COUNTS


def test_toggle_words_of_the_example():
    bases, words = np.full(7, GUARD), np.zeros(7, np.uint64)
    places = np.empty(toggle_words.SCRATCH, np.int64)
    n = toggle_words.toggles_of_text(text_of(TEXT)[0], 0, 5, 3, 12, places, bases, words)
    assert bases[: n + 1].tolist()[:4] == [0, 3, 6, 12]
    assert words[:3].tolist() == [0b100, 0b010, 0b101]


def test_column_pieces_of_the_example():
    pieces = np.full((3, 6), GUARD)
    assert column_pieces.column_pieces(np.array(LIST), 3, 0, SENTINEL, *pieces) == 3
    assert pieces[:, :3].tolist() == [[0, 1, 2], [2, 0, 0], [3, 1, 2]]
    assert column_pieces.n_column_runs(np.array(LIST), 3) == 3


def test_row_runs_of_the_example():
    runs = np.full((3, 6), GUARD)
    changes, opened = np.zeros(4, np.int64), np.full(4, NONE)
    assert append_row_runs(np.array(LIST), 3, changes, opened, *runs, 0) == 3
    assert runs[:, :3].tolist() == [[0, 1, 2], [1, 2, 0], [3, 3, 1]]
    assert n_row_runs(np.array(LIST), 3) == 3


def test_label_runs_become_lists():
    """The map of mtfast.kernels.frames.label_map: ..11 over .221, labels 1 and 2 by number."""
    owners, starts, stops = np.array([1, 0, 1, 0]), np.array([3, 4, 5, 6]), np.array([4, 5, 6, 8])
    toggles, offsets = np.full(10, GUARD), np.empty(3, np.int64)
    assert lists_of_runs(owners, starts, stops, np.empty(2, np.int64), toggles, offsets) == 10
    assert offsets.tolist() == [0, 5, 10]
    assert toggles.tolist() == [4, 5, 6, 8, SENTINEL, 3, 4, 5, 6, SENTINEL]


def test_whole_columns_are_one_piece():
    """The sketch of mtfast.kernels.rle.column_pieces."""
    pieces = np.full((3, 3), GUARD)
    toggles = np.array([6, 18, SENTINEL])
    assert column_pieces.column_pieces(toggles, 4, 0, SENTINEL, *pieces) == 3
    assert pieces.tolist() == [[1, 2, 4], [2, 0, 0], [4, 8, 2]]
    assert column_pieces.n_column_runs(toggles, 4) == 4


@pytest.mark.parametrize("place", range(12, 40))
def test_column_of_a_place(place):
    assert columns.column_of(place, 3, 12, 4) == (place // 4, place // 4 * 4)


LIMIT = 100


def decoded(
    texts: list[bytes], sizes: list[tuple[int, int]], offsets: list[int] | None = None
) -> tuple[int, list[int]]:
    text, ends = text_of(*texts)
    ends = ends if offsets is None else np.array(offsets)
    heights, widths = np.array(sizes, np.int64).reshape(-1, 2).T.copy()
    toggles = np.full(int(ends[-1] - ends[0]) + len(sizes) + 1, GUARD)
    out = np.full(len(sizes) + 1, GUARD)
    longest = decode_lists(text, ends, heights, widths, LIMIT, toggles[:-1], out)
    assert toggles[-1] == GUARD
    return longest, out.tolist()


def test_the_longest_list_counts_its_sentinel():
    assert decoded([TEXT, b"<", b"0<"], [(3, 4)] * 3) == (5, [0, 5, 6, 9])
    assert decoded([], []) == (0, [0])


@pytest.mark.parametrize(
    "size",
    [(-1, 0), (0, -1), (-1, -1), (-3, -4), (LIMIT + 1, 0), (0, LIMIT + 1), (101, 1), (2, 51)],
)
def test_a_frame_that_is_none(size):
    """Not even with a text that has as many pixels."""
    n_pixels = max(size[0] * size[1], 0)
    texts = [naive.text_of_counts([12]), naive.text_of_counts([n_pixels])]
    assert decoded(texts, [(3, 4), size])[0] == ~1


def test_the_largest_frame():
    assert decoded([naive.text_of_counts([LIMIT])] * 3, [(10, 10), (1, 100), (100, 1)])[0] == 1
    assert decoded([b"0"] * 2, [(LIMIT, 0), (0, LIMIT)])[0] == 1


@pytest.mark.parametrize(
    ("offsets", "bad"),
    [([0, 3, 1, 2], 0), ([0, 1, 0, 2], 1), ([0, 1, 3, 2], 1), ([0, 2, 1, 3], 1)],
)
def test_offsets_that_do_not_ascend(offsets, bad):
    """Of frames without pixels, for which any number of zeros is a text, and so is none."""
    assert decoded([b"0", b"0", b"0"], [(0, 5)] * 3, offsets)[0] == ~bad


def test_a_bad_text_is_named():
    assert decoded([b"1", b"2", b"1"], [(1, 1)] * 3)[0] == ~1


def test_too_many_rings():
    """They are counted before one is looked at."""
    arguments = np.empty(0), np.empty(0, np.int64)
    capacities = np.empty(1, np.int64)
    offsets = np.array([0, MAX_RINGS + 1])
    assert count_toggles(*arguments, offsets, np.array([5]), capacities) == ~0


@pytest.mark.parametrize(
    ("heights", "widths", "other"),
    [([3, 3], [4, 4], -1), ([3, 3], [4, 5], 1), ([2, 3], [4, 4], 0), ([3, 4], [4, 3], 1)],
)
def test_first_of_other_size(heights, widths, other):
    sides = np.array(heights), np.array(widths)
    assert toggle_lists.first_of_other_size(*sides, 3, 4) == other


def test_a_window_cuts_its_first_and_last_run():
    pieces = np.full((3, 3), GUARD)
    assert column_pieces.column_pieces(np.array([2, 10, SENTINEL]), 4, 3, 9, *pieces) == 3
    assert pieces.tolist() == [[0, 1, 2], [3, 0, 0], [4, 4, 1]]
