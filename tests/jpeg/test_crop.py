"""Windows cut out of JPEG files: their pixels are those of the whole file, decoded."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

import naive
from jpegs import KINDS, OPTIONS, a_jpeg, decoded, encoded, photograph
from mtfast.errors import MtfastError
from mtfast.jpeg.crop import cut_window
from mtfast.jpeg.huffman import read_tables
from mtfast.jpeg.index import CropIndex, build_index
from mtfast.jpeg.layout import CannotCutError, read_layout
from mtfast.window import Window

CASES = [(k, o) for k, o in itertools.product(KINDS, OPTIONS) if k not in ("440", "411") or not o]


def cut(data: bytes, index: CropIndex, window: Window) -> np.ndarray:
    """The pixels of a window, read from the ranges of the file that are asked for."""
    small = cut_window(lambda ranges: b"".join(data[a:b] for a, b in ranges), index, window)
    pixels = decoded(small.data)
    assert pixels.shape == (small.height, small.width, 3)
    _, _, height, width = window
    assert pixels.size <= 3 * (height + 64) * (width + 64)
    return pixels[small.y : small.y + height, small.x : small.x + width]


def windows(rng: random.Random, height: int, width: int, n: int) -> list[Window]:
    """Windows of any size and place, many at the edges of MCUs and of the image."""
    found = [Window(0, 0, height, width), Window(height - 1, width - 1, 1, 1)]
    for _ in range(n):
        h, w = rng.randint(1, height), rng.randint(1, width)
        y, x = rng.randint(0, height - h), rng.randint(0, width - w)
        kind = rng.randrange(4)
        if kind == 1:
            y, x = y // 8 * 8, x // 8 * 8
        elif kind == 2:
            y, x = rng.choice((0, height - h)), rng.choice((0, width - w))
        found.append(Window(y, x, h, w))
    return found


def check(data: bytes, index: CropIndex, window: Window, pixels: np.ndarray) -> None:
    y, x, height, width = window
    found = cut(data, index, window)
    np.testing.assert_array_equal(found, pixels[y : y + height, x : x + width], err_msg=f"{window}")


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_windows_are_the_pixels(kind, options):
    rng = random.Random(f"{kind}{options}")
    for _ in range(2):
        data = a_jpeg(rng, kind, options)
        pixels = decoded(data)
        index = build_index(data, rng.choice((1, 2, 3, 8)))
        for window in windows(rng, *pixels.shape[:2], 12):
            check(data, index, window, pixels)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_the_index_is_that_of_its_twin(kind, options):
    rng = random.Random(f"{kind}{options}")
    data = a_jpeg(rng, kind, options, most=60)
    layout, twin = read_layout(data), naive.jpeg_entries(data)
    rows, columns = layout.n_rows, layout.n_columns
    assert len(twin) == rows * columns + 1
    for step in (1, 2, 4, 8):
        kept = [r * columns + c for r in range(rows) for c in range(0, columns, step)]
        expected = [twin[k] for k in [*kept, rows * columns]]
        index = build_index(data, step)
        assert index.positions.tolist() == [position for position, _ in expected]
        assert index.dcs.T.tolist() == [dcs for _, dcs in expected]
        coarser, again = index.coarser(layout), build_index(data, 2 * step)
        assert coarser.step == again.step
        np.testing.assert_array_equal(coarser.positions, again.positions)
        np.testing.assert_array_equal(coarser.dcs, again.dcs)


@pytest.mark.parametrize("width", [17, 18, 20, 31, 33, 34, 36])
def test_a_last_column_of_few_pixels(width):
    """Decoders do not mix samples of an image that is as narrow as the last column of MCUs."""
    data = encoded(photograph(random.Random(width), 40, width), "420")
    pixels = decoded(data)
    for x in range(width):
        check(data, build_index(data, 1), Window(3, x, 20, width - x), pixels)


def test_a_dc_category_that_the_file_lacks():
    """A flat picture with one step has hardly any code for differences of DCs."""
    pixels = np.full((64, 64, 3), 30, np.uint8)
    pixels[32:, :32] = 40
    pixels[40:, 40:] = 250
    data = encoded(pixels, "420", optimize=True)
    tables = dict(read_layout(data).codes.tables)
    assert len(tables[0].symbols) == 12
    lacking = data[data.find(b"\xff\xc4") :]
    assert len(read_tables(lacking[4 : 2 + int.from_bytes(lacking[2:4], "big")])[0].symbols) < 6
    whole = decoded(data)
    for y, x in itertools.product(range(0, 48, 5), repeat=2):
        check(data, build_index(data, 2), Window(y, x, 16, 16), whole)


def test_only_what_is_needed_is_read():
    data = encoded(photograph(random.Random(0), 600, 900), "420", 100)
    asked: list[tuple[int, int]] = []

    def read(ranges):
        asked.extend(ranges)
        return b"".join(data[a:b] for a, b in ranges)

    index = build_index(data, 4)
    cut_window(read, index, Window(200, 300, 64, 64))
    n = sum(stop - start for start, stop in asked)
    assert n < 0.06 * len(data)
    assert asked[0] == (0, read_layout(data).scan)


def test_bytes_after_the_end_and_segments_between():
    rng = random.Random(1)
    data = encoded(photograph(rng, 50, 70), "420", exif=b"Exif\0\0" + bytes(3000), comment=b"note")
    pixels = decoded(data)
    data += b"appended by a camera\xff\xd9"
    for window in windows(rng, 50, 70, 20):
        check(data, build_index(data, 2), window, pixels)


def unsuitable() -> dict[str, bytes]:
    pixels = photograph(random.Random(2), 48, 64)
    sound = encoded(pixels)
    frame, tables = sound.find(b"\xff\xc0"), sound.find(b"\xff\xc4")
    scan = read_layout(sound).scan
    return {
        "SOF2": encoded(pixels, progressive=True),
        "SOF9": sound[:frame] + b"\xff\xc9" + sound[frame + 2 :],
        "components of 8 bits": sound[: frame + 4] + b"\x0c" + sound[frame + 5 :],
        "sampling factors": sound[: frame + 11] + b"\x00" + sound[frame + 12 :],
        "by a fraction": sound[: frame + 11] + b"\x31\x00\x02\x21" + sound[frame + 15 :],
        "several scans": sound[: scan - 10] + b"\x02" + sound[scan - 9 :],
        "without its Huffman table": sound[:tables] + sound[tables + 33 :],
        "damaged Huffman tables": sound[: tables + 5] + b"\xff" + sound[tables + 6 :],
        "no decoder takes": sound[: tables + 5] + b"\x01\x00" + sound[tables + 7 :],
        "coded data that ends too early": sound[: scan + 300] + b"\xff\xd9",
        "a marker in its coded data": sound[: scan + 300] + b"\xff\xda" + sound[scan + 300 :],
        "wrong place": sound[: scan + 300] + b"\xff\xd0" + sound[scan + 300 :],
    }


@pytest.mark.parametrize("words", unsuitable())
def test_what_cannot_be_cut_is_refused(words):
    with pytest.raises(MtfastError, match=words):
        build_index(unsuitable()[words], 4)


def test_restart_markers_in_the_wrong_place():
    data = encoded(photograph(random.Random(3), 48, 64), restart_marker_blocks=2)
    build_index(data, 4)
    first, second = data.find(b"\xff\xd0"), data.find(b"\xff\xd1")
    for broken in (
        data[:first] + b"\xff\xd1" + data[first + 2 :],
        data[:first] + data[first + 2 :],
        data[:second] + b"\xff\xd1" + data[second:],
    ):
        with pytest.raises(MtfastError, match="restart|no code"):
            build_index(broken, 4)


def test_an_index_of_another_file():
    rng = random.Random(4)
    data = encoded(photograph(rng, 64, 96))
    index = build_index(data, 2)
    window = Window(10, 10, 20, 20)
    with pytest.raises(MtfastError, match="expected 13; make it again"):
        cut(data, index._replace(positions=index.positions[:-1]), window)
    with pytest.raises(MtfastError, match="inside an image of 64 x 96"):
        cut(data, index, window._replace(x=77))
    with pytest.raises(MtfastError, match="descends"):
        cut(data, index._replace(positions=np.roll(index.positions, 2)), window)
    with pytest.raises(MtfastError, match="cut off|shorter than its crop index"):
        cut(data[: len(data) // 4], index, window)


def test_a_jump_in_brightness_that_has_no_code():
    """DCs of a damaged index: the window cannot be cut, and nothing else happens."""
    data = encoded(photograph(random.Random(5), 64, 96))
    index = build_index(data, 2)
    index.dcs[:, 1] = 30_000
    with pytest.raises(CannotCutError, match="no code for a jump in brightness.* decode .* whole"):
        cut(data, index, Window(0, 0, 64, 40))
