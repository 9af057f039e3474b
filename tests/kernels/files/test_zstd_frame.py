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
from mtfast.kernels.files.zstd_corner import read_corner
from mtfast.kernels.files.zstd_frame import MAX_BLOCK, frame_capacity, write_frame, write_frames

GUARD = 0xA5


def frame_of_runs(runs: list[tuple[int, int, int]], n_pixels: int) -> bytes:
    """Write a frame with no more capacity than the kernel asks for."""
    columns = np.array(runs, np.int64).reshape(-1, 3).T.copy()
    out = np.full(frame_capacity(len(runs), n_pixels) + 4, GUARD, np.uint8)
    end = write_frame(*columns, 0, len(runs), n_pixels, out[:-2], 2)
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
def test_readers_read_the_pixels(cuts, values, after):
    runs = runs_of_cuts(cuts, values)
    n_pixels = max(cuts, default=0) + after
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
    for after in (0, 1, MAX_BLOCK):
        runs = [(before, before + length, 200)]
        n_pixels = before + length + after
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


def test_many_frames_a_call(rng):
    frames = rng.integers(0, 3, (5, 7, 11)) * (rng.random((5, 7, 11)) < 0.4)
    frames[1] = 0
    runs = [naive.row_runs(frame) for frame in frames]
    columns = np.array([run for part in runs for run in part], np.int64).T.copy()
    run_ends = np.cumsum([len(part) for part in runs])
    out = np.zeros(sum(frame_capacity(len(part), 77) for part in runs), np.uint8)
    ends = np.zeros(5, np.int64)
    assert write_frames(*columns, run_ends, 77, out, ends) == ends[-1] <= out.size
    found = [out[a:b].tobytes() for a, b in pairwise([0, *ends.tolist()])]
    assert found == [frame_of_runs(part, 77) for part in runs]
    for frame, pixels in zip(found, frames, strict=True):
        assert imagecodecs.zstd_decode(frame) == pixels.astype(np.uint8).tobytes()


def test_a_gap_between_equal_runs():
    runs = [(2, 4, 7), (5, 9, 7), (9, 10, 7)]
    frame = frame_of_runs(runs, 12)
    assert imagecodecs.zstd_decode(frame) == pixels_of_runs(runs, 12)
    assert naive.zstd_stretches(frame)[1] == [(2, 0), (2, 7), (1, 0), (5, 7), (2, 0)]


def corner_of(frame: bytes, down: int, across: int, height: int, width: int) -> np.ndarray | None:
    out = np.full(height * width + 2, GUARD, np.uint8)
    data = np.frombuffer(frame, np.uint8)
    painted = read_corner(data, down, across, width, out[1:-1])
    assert out[0] == out[-1] == GUARD
    return out[1:-1].reshape(height, width) if painted else None


@settings(deadline=None)
@given(
    st.lists(st.integers(0, 600), max_size=30),
    st.lists(st.integers(0, 255), min_size=30, max_size=30),
    st.tuples(st.integers(1, 30), st.integers(1, 30)),
    st.data(),
)
def test_corners_are_read(cuts, values, shape, drawn):
    n_pixels = shape[0] * shape[1]
    runs = runs_of_cuts([min(cut, n_pixels) for cut in cuts], values)
    frame = frame_of_runs(runs, n_pixels)
    height, width = (drawn.draw(st.integers(1, side)) for side in shape)
    pixels = np.frombuffer(imagecodecs.zstd_decode(frame), np.uint8).reshape(shape)
    assert np.array_equal(corner_of(frame, *shape, height, width), pixels[:height, :width])


def test_corner_of_a_large_frame():
    shape = 900, 700
    pixels = np.zeros(shape, np.uint8)
    pixels[400:, 10:600] = 7
    rows = [(y * 700 + 10, y * 700 + 600, 7) for y in range(400, 900)]
    frame = frame_of_runs(rows, pixels.size)
    assert np.array_equal(corner_of(frame, *shape, 500, 300), pixels[:500, :300])
    assert np.array_equal(corner_of(frame, *shape, *shape), pixels)


def test_other_frames_are_not_read_as_corners():
    pixels = np.random.default_rng(0).integers(0, 255, (8, 9), np.uint8)
    frame = frame_of_runs([(2, 5, 7), (5, 6, 1)], 72)
    assert corner_of(frame, 8, 9, 4, 4) is not None
    assert corner_of(frame, 9, 9, 4, 4) is None
    assert corner_of(frame + b"\0", 8, 9, 4, 4) is None
    assert corner_of(imagecodecs.zstd_encode(pixels, level=1), 8, 9, 4, 4) is None
    for end in range(len(frame)):
        assert corner_of(frame[:end], 8, 9, 4, 4) is None
    for at in range(len(frame)):
        # All but the values of blocks, which mean other pixels.
        if at not in (17, 21, 25, 29):
            damaged = bytearray(frame)
            damaged[at] ^= 0x80
            assert corner_of(bytes(damaged), 8, 9, 4, 4) is None
