"""Frames written from runs, read by zstd itself and by a naive reader of the format."""

from __future__ import annotations

from itertools import pairwise

import imagecodecs
import numcodecs.zstd
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from conftest import make_table, random_masks
from mtfast.kernels import row_runs
from mtfast.kernels.zstd_frame import MAX_BLOCK, encode_images, frame_room, write_frame

GUARD = 0xA5


def frame_of_runs(runs: list[tuple[int, int, int]], n_pixels: int) -> bytes:
    """Write a frame with no more room than the kernel asks for."""
    columns = np.array(runs, np.int64).reshape(-1, 3).T.copy()
    out = np.full(frame_room(len(runs), n_pixels) + 4, GUARD, np.uint8)
    end = write_frame(*columns, len(runs), n_pixels, out[:-2], 2)
    assert (out[:2] == GUARD).all()
    assert (out[end:] == GUARD).all()
    return out[2:end].tobytes()


def pixels_of_runs(runs: list[tuple[int, int, int]], n_pixels: int) -> bytes:
    pixels = np.zeros(n_pixels, np.uint8)
    for start, stop, value in runs:
        pixels[start:stop] = value
    return pixels.tobytes()


def runs_of_cuts(cuts: list[int], values: list[int]) -> list[tuple[int, int, int]]:
    places = sorted(set(cuts))
    return [(a, b, v) for (a, b), v in zip(pairwise(places), values, strict=False)]


def test_golden_frame():
    """Checked by ``zstd -d`` of zstd 1.5.4."""
    assert frame_of_runs([(2, 5, 7), (5, 6, 1)], 300_000).hex(" ", 1) == (
        "28 b5 2f fd c0 38 e0 93 04 00 00 00 00 00 "
        "12 00 00 00 1a 00 00 07 0a 00 00 01 02 00 10 00 02 00 10 00 d3 9e 04 00"
    )


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 600), max_size=30),
    st.lists(st.integers(0, 255), min_size=30, max_size=30),
    st.integers(0, 100),
)
def test_readers_read_the_pixels(cuts, values, behind):
    runs = runs_of_cuts(cuts, values)
    n_pixels = max(cuts, default=0) + behind
    frame = frame_of_runs(runs, n_pixels)
    pixels = pixels_of_runs(runs, n_pixels)
    assert imagecodecs.zstd_decode(frame) == pixels
    if n_pixels:
        assert bytes(numcodecs.zstd.decompress(frame)) == pixels
        size, stretches = naive.zstd_stretches(frame)
        assert size == n_pixels
        assert all(a[1] != b[1] for a, b in pairwise(stretches))


@pytest.mark.parametrize("length", [MAX_BLOCK + d for d in (-1, 0, 1)] + [3 * MAX_BLOCK])
@pytest.mark.parametrize("before", [0, 1, MAX_BLOCK, MAX_BLOCK + 1])
def test_long_stretches_are_split(length, before):
    for behind in (0, 1, MAX_BLOCK):
        runs = [(before, before + length, 200)]
        n_pixels = before + length + behind
        frame = frame_of_runs(runs, n_pixels)
        assert imagecodecs.zstd_decode(frame) == pixels_of_runs(runs, n_pixels)
        assert bytes(numcodecs.zstd.decompress(frame)) == pixels_of_runs(runs, n_pixels)
        assert max(n for n, _ in naive.zstd_stretches(frame)[1]) <= MAX_BLOCK


def test_equal_neighbours_become_one_block():
    assert naive.zstd_stretches(frame_of_runs([(0, 4, 3), (4, 8, 3), (8, 9, 0)], 12)) == (
        12,
        [(8, 3), (4, 0)],
    )


def test_a_frame_of_no_pixels_has_an_empty_block():
    frame = frame_of_runs([], 0)
    assert frame[14:] == b"\x01\x00\x00"
    assert imagecodecs.zstd_decode(frame) == b""


def test_frames_above_four_gigabytes():
    n_pixels = 2**32 + 5
    size, stretches = naive.zstd_stretches(frame_of_runs([(2**32 - 1, 2**32 + 1, 8)], n_pixels))
    assert size == sum(length for length, _ in stretches) == n_pixels
    assert [stretch for stretch in stretches if stretch != (MAX_BLOCK, 0)] == [
        (MAX_BLOCK - 1, 0),
        (2, 8),
        (4, 0),
    ]


class Batch:
    """A table with the buffers of :func:`encode_images`."""

    def __init__(self, table, capacity, spare):
        height, width = int(table.heights[0]), int(table.widths[0])
        self.table, self.size = table, (height, width)
        longest = table.scratch().size
        self.scratch = np.zeros(row_runs.scratch_size(longest, height, capacity), np.int64)
        self.runs = np.zeros(6 * capacity, np.int64)
        self.frames = np.full(frame_room(2 * capacity, height * width) + spare, GUARD, np.uint8)
        self.ends = np.zeros(table.n_images, np.int64)

    def encode(self, first, category_ids=None, rle=None):
        table = self.table
        n = encode_images(
            table.rle if rle is None else rle,
            table.rle_offsets,
            table.image_offsets,
            table.category_ids if category_ids is None else np.array(category_ids),
            first,
            *self.size,
            self.scratch,
            self.runs,
            self.frames,
            self.ends,
        )
        ends = self.ends[:n].tolist()
        return [self.frames[a:b].tobytes() for a, b in zip([0, *ends], ends, strict=False)]


def test_many_images_a_call(rng):
    shape = (19, 27)
    masks = [random_masks(rng, shape, n) for n in (2, 0, 5, 1, 3)]
    table = make_table(masks, shape)
    frames = Batch(table, 4000, 1 << 16).encode(0)
    assert len(frames) == 5
    for frame, image, drawn in zip(frames, table, masks, strict=True):
        expected = naive.semantic(drawn, image.category_ids.tolist(), shape)
        assert imagecodecs.zstd_decode(frame) == expected.astype(np.uint8).tobytes()
    # Little by little, as there is room for.
    batch = Batch(table, 4000, 0)
    little = [batch.encode(first) for first in range(5)]
    assert [len(part) for part in little] == [1] * 5
    assert [part[0] for part in little] == frames
    assert len(Batch(table, 4000, len(frames[0])).encode(0)) == 2
    assert len(Batch(table, 4000, len(frames[0]) - 1).encode(0)) == 1


def test_ends_before_what_it_cannot_write(rng):
    shape = (4, 9)
    block = naive.mask("#" * 9 + " " + "#" * 9 + " " + "." * 9 + " " + "." * 9)
    table = make_table([[block], [block, block], [block]], shape)
    batch = Batch(table, 4, 1000)
    assert len(batch.encode(0)) == 3
    assert len(Batch(table, 3, 1000).encode(0)) == 1
    assert len(Batch(table, 3, 1000).encode(1)) == 0
    assert len(Batch(table, 3, 1000).encode(2)) == 1
    for value in (256, -1, 2**40, -(2**40)):
        assert len(batch.encode(0, category_ids=[1, 2, value, 3])) == 1
        assert len(batch.encode(0, category_ids=[1, 255, 0, value])) == 2
    broken = table.rle.copy()
    broken[table.rle_offsets[2]] = ord("p")
    assert len(batch.encode(0, rle=broken)) == 1
    assert len(batch.encode(1, rle=broken)) == 0
    assert batch.encode(2, rle=broken) == batch.encode(2)
    batch.frames = batch.frames[:1]
    assert batch.encode(0) == []
