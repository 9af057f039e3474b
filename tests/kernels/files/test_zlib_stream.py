"""Streams written from runs, read by zlib and by readers of PNG; and their codes."""

from __future__ import annotations

import io
import struct
import zlib
from dataclasses import replace
from itertools import pairwise

import imagecodecs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import naive
from mtfast.export.zlib_files import PngFiles, ZlibStreams, codes_up_to
from mtfast.kernels.files.zlib_stream import (
    ADLER_STEP,
    END,
    extend_adler,
    put_stretch,
    put_zeros,
    stream_capacity,
    write_streams,
)
from mtfast.painting import encode
from mtfast.painting.encode import encode_masks
from mtfast.painting.paint import semantic
from mtfast.pictures.palette import colour_table
from tables import make_table, random_masks

GUARD = 0xA5
GUARD_BYTES = 1 << 14


def streams_of(frames, row_prefix, largest=255):
    """Write one stream a frame, with no more capacity than the kernel asks for."""
    height, width = frames[0].shape
    runs = [naive.row_runs(frame) for frame in frames]
    columns = np.array([run for part in runs for run in part], np.int64).reshape(-1, 3).T.copy()
    n_bytes = height * (width + row_prefix)
    capacity = sum(stream_capacity(len(part), n_bytes) for part in runs)
    out = np.full(capacity + GUARD_BYTES, GUARD, np.uint8)
    ends = np.zeros(len(runs), np.int64)
    end = write_streams(
        *columns,
        np.cumsum([len(part) for part in runs]),
        height,
        width,
        row_prefix,
        *codes_up_to(largest),
        out[:-GUARD_BYTES],
        ends,
    )
    assert end == ends[-1]
    assert (out[-GUARD_BYTES:] == GUARD).all()
    return [out[a:b].tobytes() for a, b in pairwise([0, *ends.tolist()])]


def with_prefix(frame):
    return np.pad(frame, ((0, 0), (1, 0))).astype(np.uint8).tobytes()


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, 2**32),
    st.integers(1, 30),
    st.sampled_from([1, 2, 3, 7, 64, 257, 258, 259, 260, 261, 515, 517, 774, 1000]),
    st.sampled_from([1, 2, 10, 127, 255]),
)
def test_zlib_reads_the_bytes(seed, height, width, largest):
    rng = np.random.default_rng(seed)
    shape = (height, width)
    frames = [
        naive.semantic(random_masks(rng, shape, n), rng.integers(0, largest + 1, n), shape)
        for n in (0, 1, 4)
    ]
    for stream, frame in zip(streams_of(frames, 0, largest), frames, strict=True):
        assert zlib.decompress(stream) == frame.astype(np.uint8).tobytes()
        # Another inflate, which is not zlib's.
        assert imagecodecs.deflate_decode(stream, raw=False) == zlib.decompress(stream)
    for stream, frame in zip(streams_of(frames, 1, largest), frames, strict=True):
        assert zlib.decompress(stream) == with_prefix(frame)


@pytest.mark.parametrize("length", [*range(1, 12), *range(255, 264), *range(513, 521), 9000])
def test_stretches_of_any_length(length):
    frame = np.full((1, length + 2), 9)
    frame[0, -1] = 4
    frame[0, 0] = 3
    (stream,) = streams_of([frame], 0)
    assert zlib.decompress(stream) == frame.astype(np.uint8).tobytes()
    assert len(stream) <= stream_capacity(3, frame.size)


@pytest.mark.parametrize("length", [4, 12, 200, 257])
def test_runs_of_the_longest_codes(length):
    """Each run, and each gap, is a literal and a copy; values follow one another at random."""
    values = np.random.default_rng(length).integers(1, 256, 2000)
    frame = np.outer(values, np.repeat([0, 1], length)).reshape(1, -1)
    (stream,) = streams_of([frame], 0)
    assert zlib.decompress(stream) == frame.astype(np.uint8).tobytes()


@pytest.mark.parametrize("largest", [*range(6), 34, 35, 36, 98, 99, 100, 226, 227, 228, 254, 255])
def test_codes_are_complete_and_prefix_free(largest):
    head, head_bits, codes = codes_up_to(largest)
    assert head_bits // 8 + 1 == head.size
    used = [(f"{code >> 5:0{code & 31}b}"[::-1]) for code in codes[: END + 1].tolist() if code]
    assert len(used) == largest + 2
    assert not any(b.startswith(a) for a, b in pairwise(sorted(used)))
    # A stream of each literal once.
    frame = np.arange(largest + 1).reshape(1, -1)
    (stream,) = streams_of([frame], 0, largest)
    assert zlib.decompress(stream) == bytes(range(largest + 1))


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 70_000), st.integers(0, 255)), max_size=6))
def test_checksum(stretches):
    adler = 1
    for n, value in stretches:
        adler = extend_adler(adler, n, value)
    assert adler == zlib.adler32(b"".join(bytes([value]) * n for n, value in stretches))


def test_checksum_of_more_than_fits_into_64_bits_at_once():
    adler = 1
    for _ in range(3):
        adler = extend_adler(adler, ADLER_STEP, 255)
    adler = extend_adler(adler, 77, 255)
    assert extend_adler(1, 3 * ADLER_STEP + 77, 255) == adler
    assert extend_adler(1, ADLER_STEP + 5, 7) == zlib.adler32(b"\x07" * (ADLER_STEP + 5))


def test_zero_bits_overwrite_what_was_there():
    out = np.full(40, GUARD, np.uint8)
    out[0] = 0b101
    assert put_zeros(200, out, 3) == 203
    assert out[:26].tolist() == [0b101] + [0] * 25
    assert out[26] == GUARD
    _, _, codes = codes_up_to(3)
    assert put_stretch(0, 3, -1, codes, out, 5) == 5


# --- PNG files


def decoded_by_all(png):
    """Pixels of a grey PNG, on which all readers agree."""
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image)
        image.load()
    np.testing.assert_array_equal(imagecodecs.png_decode(png), pixels)
    try:
        import cv2
    except ImportError:
        return pixels
    by_cv2 = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    assert by_cv2.dtype == pixels.dtype
    np.testing.assert_array_equal(by_cv2, pixels)
    return pixels


def chunks_of(png):
    at, found = 8, []
    while at < len(png):
        (n,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + n]
        assert struct.unpack(">I", png[at + 8 + n : at + 12 + n])[0] == zlib.crc32(kind + data)
        found.append((kind.decode(), data))
        at += 12 + n
    return found


@settings(deadline=None, max_examples=40)
@given(
    st.integers(0, 2**32),
    st.tuples(st.integers(1, 20), st.sampled_from([1, 2, 5, 31, 258, 259, 600])),
    st.sampled_from([3, 255, 256, 65535]),
    st.booleans(),
)
def test_png_of_overlapping_masks(seed, shape, largest, many_runs):
    rng = np.random.default_rng(seed)
    table = make_table([random_masks(rng, shape, n) for n in (0, 3, 5)], shape)
    table = replace(table, category_ids=rng.integers(0, largest + 1, table.n_instances))
    dtype = np.uint8 if largest < 256 else np.uint16
    expected = semantic(table, out=np.empty((3, *shape), dtype))
    with pytest.MonkeyPatch.context() as patch:
        if many_runs:
            patch.setattr(encode, "MAX_RUNS", 3)
        for png, mask in zip(encode_masks(table, dtype, PngFiles(largest)), expected, strict=True):
            np.testing.assert_array_equal(decoded_by_all(png), mask)
            assert [kind for kind, _ in chunks_of(png)] == ["IHDR", "IDAT", "IEND"]
        strips = encode_masks(table, dtype, ZlibStreams(largest))
        for strip, mask in zip(strips, expected, strict=True):
            found = np.frombuffer(zlib.decompress(strip), np.dtype(dtype).newbyteorder("<"))
            np.testing.assert_array_equal(found.reshape(shape), mask)


@pytest.mark.parametrize("max_runs", [encode.MAX_RUNS, 2])
def test_png_with_a_palette(rng, monkeypatch, max_runs):
    monkeypatch.setattr(encode, "MAX_RUNS", max_runs)
    table = make_table([random_masks(rng, (19, 27), 5)], (19, 27), 12)
    colours = colour_table(13)
    assert colours.shape == (13, 3)
    assert colours[0].tolist() == [0, 0, 0]
    assert len(set(map(tuple, colours.tolist()))) == 13
    (png,) = encode_masks(table, np.uint8, PngFiles(12, colours))
    (mask,) = semantic(table)
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), mask)
        np.testing.assert_array_equal(np.asarray(image.convert("RGB")), colours[mask])
