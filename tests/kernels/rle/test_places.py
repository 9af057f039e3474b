"""Texts longer than a batch, decoded into places."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from mtfast.kernels.rle import coco_string, places
from mtfast.kernels.rle.long_strings import BATCH, SCRATCH


def places_of(text: bytes, n_pixels: int) -> tuple[int, list[int]]:
    found = np.full(len(text), -7)
    n = places.places_of_text(np.frombuffer(text, np.uint8), 0, len(text), n_pixels, found)
    return n, found[: max(n, 0)].tolist()


def short_way(text: bytes, n_pixels: int) -> tuple[int, list[int]]:
    found = np.full(len(text), -7)
    n = coco_string.decode_places(np.frombuffer(text, np.uint8), 0, len(text), n_pixels, found)
    return n, found[: max(n, 0)].tolist()


@pytest.mark.parametrize("longest", [2, 15, 40, 900, 2**33])
@pytest.mark.parametrize("n_characters", [1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 7, 9 * BATCH])
def test_counts_of_any_length(rng, longest, n_characters):
    counts: list[int] = []
    while len(naive.text_of_counts(counts)) < n_characters:
        counts += rng.integers(0, longest, 64).tolist()
    text = naive.text_of_counts(counts)
    assert places_of(text, sum(counts)) == (len(counts), np.cumsum(counts).tolist())


def test_a_number_across_the_end_of_a_batch(rng):
    """Batches that end in each character of a number, also of one that is too long to be one."""
    for before in range(BATCH - 14, BATCH + 2):
        text = b"1" * before + b"ooooo1" + b"N" + b"0" * 200
        n, found = short_way(text, 2**40)
        assert places_of(text, 2**40) == (n, found)
        assert places_of(b"1" * before + b"o" * SCRATCH + b"1", 2**40)[0] < 0


def test_malformed(rng):
    """What decode_places refuses is refused, with any character changed or lost."""
    counts = rng.integers(1, 60, 2500)
    text, n_pixels = naive.text_of_counts(counts.tolist()), int(counts.sum())
    assert len(text) > 2 * BATCH
    refused = 0
    for at in rng.integers(0, len(text), 300).tolist():
        changed = bytes([*text[:at], rng.integers(30, 128), *text[at + 1 :]])
        for damaged in (changed, text[:at], text[:at] + text[at + 1 :]):
            expected = short_way(damaged, n_pixels)
            refused += expected[0] < 0
            got = places_of(damaged, n_pixels)
            assert got == expected or (got[0] < 0 and expected[0] < 0)
    assert refused > 700
