"""Encoding and decoding of whole frames, against pycocotools and the naive twins."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mtfast.mask as mask
import naive
from mtfast.errors import RLEError
from mtfast.kernels.rle import coco_string, long_strings, toggle_words

# Around the 64 pixels that are handled at once, and what has a word to spare.
SIDES = st.one_of(st.integers(1, 12), st.sampled_from([31, 63, 64, 65, 127, 128, 129, 200]))
DENSITIES = st.sampled_from([0.0, 0.002, 0.05, 0.5, 0.98, 1.0])
SEEDS = st.integers(0, 2**32 - 1)


def pixels_of(seed: int, height: int, width: int, density: float) -> np.ndarray:
    """Noise, or in every second case blocks of it, whose runs are long."""
    rng = np.random.default_rng(seed)
    block = 1 if seed % 2 else int(rng.integers(2, 40))
    coarse = rng.random((height // block + 1, width // block + 1)) < density
    return coarse.repeat(block, 0).repeat(block, 1)[:height, :width].astype(np.uint8)


def rle_of(pixels: np.ndarray) -> dict:
    return coco.encode(np.asfortranarray(pixels))


@settings(deadline=None, max_examples=200)
@given(SEEDS, SIDES, SIDES, DENSITIES)
@example(1, 200, 200, 0.5)  # text of several batches
def test_both_ways(seed, height, width, density):
    pixels = pixels_of(seed, height, width, density)
    rle = rle_of(pixels)
    assert mask.encode(pixels) == mask.encode(np.asfortranarray(pixels)) == rle
    for order in ("C", "F"):
        frame = mask.decode(rle, order=order)
        assert frame.flags.c_contiguous if order == "C" else frame.flags.f_contiguous
        np.testing.assert_array_equal(frame, pixels)


@settings(deadline=None)
@given(
    SEEDS,
    SIDES,
    SIDES,
    st.sampled_from([bool, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint64]),
    st.sampled_from(["C", "F", "strided", "mirrored", "read-only"]),
)
def test_any_array_is_encoded(seed, height, width, dtype, layout):
    pixels = pixels_of(seed, height, width, 0.3)
    values = np.random.default_rng(seed).integers(1, 100, pixels.shape) * pixels
    given_ = values.astype(dtype)
    if layout == "F":
        given_ = np.asfortranarray(given_)
    elif layout == "strided":
        given_ = np.repeat(given_, 3, axis=1)[:, ::3]
    elif layout == "mirrored":
        given_ = np.ascontiguousarray(given_[::-1, ::-1])[::-1, ::-1]
    elif layout == "read-only":
        given_.flags.writeable = False
    assert mask.encode(given_) == rle_of(pixels)


@settings(deadline=None)
@given(
    SEEDS,
    SIDES,
    SIDES,
    DENSITIES,
    st.sampled_from([(np.uint8, 1), (np.uint8, 255), (np.uint16, 300), (np.uint32, 70000)]),
    st.sampled_from("CF"),
)
def test_frames_are_used_again(seed, height, width, density, kind, order):
    dtype, value = kind
    first, second = (pixels_of(s, height, width, density) for s in (seed, seed + 1))
    out = np.full((height, width), 7, dtype, order)
    for pixels in (first, second):
        assert mask.decode(rle_of(pixels), order=order, out=out, value=value) is out
        np.testing.assert_array_equal(out, pixels * np.array(value, dtype))


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("size", [(0, 0), (0, 5), (5, 0), (1, 1), (70000, 1), (1, 70000)])
def test_frames_without_width_or_height(size, order):
    empty = np.zeros(size, np.uint8, order)
    full = np.ones(size, np.uint8, order)
    for pixels in (empty, full):
        rle = mask.encode(pixels)
        assert rle["counts"] == naive.text_of_mask(pixels)
        np.testing.assert_array_equal(mask.decode(rle, order=order), pixels)


def test_few_long_runs():
    # Counts of nine characters, in a frame that is never touched but where it has to be.
    rle = {"size": [2**20, 2**19], "counts": naive.text_of_counts([2**39])}
    assert mask.area([rle]).tolist() == [0]
    (text,) = (mask.to_uncompressed(rle),)
    assert text["counts"] == [2**39]
    assert mask.frPyObjects(text, *rle["size"]) == rle


def long_text(seed: int) -> tuple[bytes, int, int]:
    """Text of several batches, with runs of no length strewn in."""
    rng = np.random.default_rng(seed)
    height, width = rng.integers(60, 140, 2).tolist()
    counts = naive.counts_of_mask(pixels_of(seed | 1, height, width, 0.4))
    return naive.text_of_counts(naive.counts_with_empty_runs(counts, rng)), height, width


@settings(deadline=None, max_examples=40)
@given(SEEDS)
def test_long_texts_with_empty_runs(seed):
    text, height, width = long_text(seed)
    assert len(text) > 2 * toggle_words.BATCH
    counts = naive.counts_of_text(text)
    expected = naive.mask_of_counts(counts, height, width)
    for order in ("C", "F"):
        rle = {"size": [height, width], "counts": text}
        np.testing.assert_array_equal(mask.decode(rle, order=order), expected)


@settings(deadline=None, max_examples=300)
@given(SEEDS, st.sampled_from(["character", "byte", "cut", "double", "drop"]), st.data())
def test_malformed_long_texts(seed, damage, data):
    text, height, width = long_text(seed % 5)
    at = data.draw(st.integers(0, len(text) - 1))
    if damage in ("character", "byte"):
        low, high = (48, 111) if damage == "character" else (0, 255)
        bad = text[:at] + bytes([data.draw(st.integers(low, high))]) + text[at + 1 :]
    elif damage == "cut":
        bad = text[:at]
    elif damage == "double":
        bad = text[:at] + text[max(at - 50, 0) :]
    else:
        bad = text[:at] + text[at + data.draw(st.integers(1, 100)) :]
    counts = naive.counts_of_text(bad)
    sound = counts is not None and counts.sum() == height * width
    out = np.full((height, width), 7, np.uint8)
    # In a buffer of several texts others follow, and are none of its business.
    rles = [{"size": [height, width], "counts": t} for t in (bad, b"o" * 100, text)]
    if sound:
        expected = naive.mask_of_counts(counts, height, width)
        np.testing.assert_array_equal(mask.decode(rles[0], order="C", out=out), expected)
    else:
        for order in ("C", "F"):
            with pytest.raises(RLEError, match="RLE 0"):
                mask.decode(rles[0], order=order, out=out if order == "C" else None)
        assert (out == 7).all()
    with pytest.raises(RLEError, match="RLE 1" if sound else "RLE 0"):
        mask.decode(rles)


@settings(deadline=None)
@given(st.lists(st.integers(-(2**44), 2**44 - 1), max_size=300), st.booleans(), st.data())
def test_numbers_in_batches(numbers, short, data):
    if short:
        numbers = [n % 32 - 16 for n in numbers]
    text = np.zeros(9 * len(numbers) + 8, np.uint8)
    end = long_strings.write_numbers(np.array(numbers, np.int64), len(numbers), text, 0)
    written = text[:end].tobytes()
    assert written == b"".join(map(naive.text_of_number, numbers))
    # What follows the text may be anything.
    after = data.draw(st.binary(max_size=90))
    joined = np.frombuffer(written + after, np.uint8)
    read = np.empty(end, np.int64)
    assert long_strings.read_numbers(joined, 0, int(end), read) == len(numbers)
    assert read[: len(numbers)].tolist() == numbers


@pytest.mark.parametrize("front", [0, 63, 64, 200])
@pytest.mark.parametrize("after", [0, 100])
@pytest.mark.parametrize(
    ("end", "status"),
    [
        (b"\x2f", coco_string.BAD_CHARACTER),
        (b"p", coco_string.BAD_CHARACTER),
        (b"P", coco_string.TRUNCATED),
        (b"P" * 13 + b"0", coco_string.OVERLONG),
    ],
)
def test_malformed_numbers(front, after, end, status):
    text = b"1" * front + end
    data = np.frombuffer(text + b"1" * after, np.uint8)
    numbers = np.empty(len(text), np.int64)
    assert long_strings.read_numbers(data, 0, len(text), numbers) == status
    places = np.empty(len(text), np.int64)
    assert coco_string.decode_places(data, 0, len(text), 10**6, places) == status
