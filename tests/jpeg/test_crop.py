"""Windows cut out of JPEG files: their pixels are those of the whole file, decoded."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from jpegs import CASES, a_jpeg, decoded, encoded, photograph
from mtfast.arguments import Window
from mtfast.errors import MtfastError
from mtfast.jpeg.crop import cut_window
from mtfast.jpeg.header import segments
from mtfast.jpeg.huffman import read_tables
from mtfast.jpeg.index import CropIndex, build_index
from mtfast.jpeg.layout import CannotCutError, read_layout
from mtfast.kernels.files import jpeg_crop, jpeg_scan


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
    # Rows of a narrow image are so near each other that they are read at once.
    data = encoded(photograph(random.Random(0), 600, 60), "420", 50)
    asked.clear()
    cut_window(read, build_index(data, 4), Window(200, 10, 200, 20))
    assert len(asked) == 2


def test_bytes_after_the_end_and_segments_between():
    rng = random.Random(1)
    data = encoded(photograph(rng, 50, 70), "420", exif=b"Exif\0\0" + bytes(3000), comment=b"note")
    pixels = decoded(data)
    data += b"appended by a camera\xff\xd9"
    for window in windows(rng, 50, 70, 20):
        check(data, build_index(data, 2), window, pixels)


def test_an_index_of_another_file():
    rng = random.Random(4)
    data = encoded(photograph(rng, 64, 96))
    index = build_index(data, 2)
    window = Window(10, 10, 20, 20)
    with pytest.raises(MtfastError, match="expected 13; make it again"):
        cut(data, index._replace(positions=index.positions[:-1]), window)
    with pytest.raises(MtfastError, match="expected 13; make it again"):
        cut(data, index._replace(dcs=index.dcs[:, :-1]), window)
    with pytest.raises(MtfastError, match="expected 25; make it again"):
        cut(data, index._replace(step=1), window)
    with pytest.raises(MtfastError, match="of 0 entries, one every 2 MCUs"):
        cut(data, index._replace(positions=index.positions[:0]), window)
    with pytest.raises(MtfastError, match="of 13 entries, one every 0 MCUs"):
        cut(data, index._replace(step=0), window)
    with pytest.raises(MtfastError, match="inside an image of 64 x 96"):
        cut(data, index, window._replace(x=77))
    with pytest.raises(MtfastError, match="descends"):
        cut(data, index._replace(positions=np.roll(index.positions, 2)), window)
    with pytest.raises(MtfastError, match="cut off|shorter than its crop index"):
        cut(data[: len(data) // 4], index, window)


def test_entries_after_those_of_the_file_are_ignored():
    """A store pads the entries of all images to one number."""
    data = encoded(photograph(random.Random(6), 64, 96))
    index = build_index(data, 2)
    padded = CropIndex(2, np.pad(index.positions, (0, 9)), np.pad(index.dcs, ((0, 0), (0, 9))))
    for window in windows(random.Random(7), 64, 96, 10):
        check(data, padded, window, decoded(data))


def test_a_read_that_lacks_a_byte():
    data = encoded(photograph(random.Random(8), 64, 96))

    def read(ranges):
        found = b"".join(data[a:b] for a, b in ranges)
        return found if ranges[0][0] == 0 else found[:-1]

    with pytest.raises(MtfastError, match="shorter than its crop index"):
        cut_window(read, build_index(data, 2), Window(10, 10, 20, 20))


@pytest.mark.parametrize("kind", ["444", "420", "grey"])
def test_frames_of_extended_type(kind):
    """What is baseline in all but its marker is cut like a baseline file."""
    data = encoded(photograph(random.Random(9), 60, 80), kind)
    data = data.replace(b"\xff\xc0\x00", b"\xff\xc1\x00", 1)
    for window in windows(random.Random(10), 60, 80, 8):
        check(data, build_index(data, 2), window, decoded(data))


GUARD = 0xA5
GUARD_BYTES = 1 << 13


@pytest.fixture
def guarded(monkeypatch):
    """Give the kernel guard bytes after each of its buffers, and see that it leaves them alone."""
    crop_scan = jpeg_crop.crop_scan
    calls = []

    def guarded_crop_scan(*arguments):
        plain, bits, out, at = arguments[7:]
        rows = arguments[1].reshape(-1, jpeg_crop.ROW_FIELDS)
        longest = int(((rows[:, 2] + 7 >> 3) - (rows[:, 0] >> 3)).max())
        assert plain.size >= longest + jpeg_scan.MARGIN
        # Each row may get three DC codes of 27 bits; put_bits overwrites seven bytes more.
        assert bits.size >= arguments[0].size + 10 * len(rows) + 8
        assert out.size - at >= 2 * (bits.size - 8) + 7
        buffers = [
            np.full(buffer.size + GUARD_BYTES, GUARD, np.uint8) for buffer in arguments[7:10]
        ]
        inside = [buffer[:-GUARD_BYTES] for buffer in buffers]
        inside[2][:] = out
        end = crop_scan(*arguments[:7], *inside, at)
        out[:] = inside[2]
        for buffer in buffers:
            assert (buffer[-GUARD_BYTES:] == GUARD).all()
        calls.append(end)
        return end

    monkeypatch.setattr(jpeg_crop, "crop_scan", guarded_crop_scan)
    yield
    assert calls


def test_windows_whose_scan_is_longer_than_in_the_file(guarded):
    """In the file the first DC of a row is that of the block before; in the window it never is."""
    n_rows, width = 40, 1600
    pixels = np.random.default_rng(0).integers(0, 256, (8 * n_rows, width, 3)).astype(np.uint8)
    shades = np.where(np.arange(n_rows + 1) % 2, 255, 0).repeat(8)[:, None, None]
    # The last block of a row is like the first one of the next, which is black or white in turn.
    pixels[:, :8] = shades[:-8]
    pixels[:, -8:] = shades[8:]
    data = encoded(pixels, "444", 100, optimize=True)
    whole, index = decoded(data), build_index(data, 1)
    # Rows are so far apart that nothing else is read.
    assert np.diff(index.positions[:: width // 8]).min() > 8 * 4096
    for x in (0, width - 8):
        check(data, index, Window(0, x, 8 * n_rows, 8), whole)
    check(data, build_index(data, 2), Window(5, 0, 300, 8), whole)


def a_file_of_short_codes(n_rows: int, n_columns: int) -> bytes:
    """In the file all DCs have a code of one bit; their differences need codes of sixteen."""
    sound = encoded(np.zeros((8 * n_rows, 8 * n_columns, 3), np.uint8), "444", 100)
    # One bit for the category 10, and twelve for 0, so that those which are added get sixteen.
    dc = bytes([1, *[0] * 10, 1, 0, 0, 0, 0, 10, 0])
    ac = bytes([0, 1, *[0] * 14, 0])
    tables = b"".join(bytes([n]) + dc + bytes([0x10 | n]) + ac for n in (0, 1))
    data = b"\xff\xd8"
    for marker, content, _ in segments(sound):
        if marker == 0xDA:
            data += b"\xff\xdd\x00\x04\x00\x01"
            data += b"\xff\xc4" + (len(tables) + 2).to_bytes(2, "big") + tables
        if marker != 0xC4:
            data += bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
    for n in range(n_rows * n_columns):
        value = "1" * 10 if n % 2 else "0" * 10
        bits = f"0{value}00" * 3 + "1"
        mcu = int(bits, 2).to_bytes(5, "big").replace(b"\xff", b"\xff\0")
        data += bytes([0xFF, 0xD0 + (n - 1) % 8]) + mcu if n else mcu
    return data + b"\xff\xd9"


def test_scans_without_restarts_that_are_longer_than_with_them(guarded):
    data = a_file_of_short_codes(3, 101)
    whole = decoded(data)
    assert (whole[0, 0] != whole[0, 8]).all()
    for step in (1, 2, 64):
        for window in (Window(0, 0, 24, 808), Window(9, 16, 4, 700)):
            check(data, build_index(data, step), window, whole)


def test_buffers_of_windows_without_stuffing(guarded):
    """The scan of smooth shades has no byte FF, so nothing of a stretch is dropped."""
    rng = random.Random(11)
    y, x = np.mgrid[:120, :200]
    pixels = np.dstack([(3 * y + x) % 64 + 60] * 3).astype(np.uint8)
    data = encoded(pixels, "444", 40)
    whole = decoded(data)
    for step in (1, 3):
        index = build_index(data, step)
        for window in windows(rng, 120, 200, 60):
            check(data, index, window, whole)


@pytest.mark.parametrize(("kind", "options"), CASES[::3])
def test_buffers_of_any_window(guarded, kind, options):
    rng = random.Random(f"{kind}{options}")
    data = a_jpeg(rng, kind, options)
    pixels = decoded(data)
    for window in windows(rng, *pixels.shape[:2], 8):
        check(data, build_index(data, 1), window, pixels)


@pytest.mark.parametrize("width", [308, 200])
def test_bits_between_two_entries_are_copied_without_a_look(width):
    """Hence a walk that is not needed, which costs time, shows where there are no codes."""
    data = encoded(photograph(random.Random(13), 64, 308), "444", 90)
    index = build_index(data, 4)
    n = read_layout(data).entries_in_row(4)
    start, stop = index.positions[[n + 2, n + 4]] // 8
    # Bytes FE need no stuffing, and soon lead to bits that are no code.
    broken = data[: start + 1] + b"\xfe\xfe" * ((stop - start) // 2 - 1)
    broken += data[len(broken) :]
    with pytest.raises(MtfastError, match="no code"):
        build_index(broken, 4)

    def read(ranges):
        return b"".join(broken[a:b] for a, b in ranges)

    small = cut_window(read, index, Window(0, 0, 64, width))
    whole = cut_window(
        lambda ranges: b"".join(data[a:b] for a, b in ranges), index, Window(0, 0, 64, width)
    )
    assert small.data.size > 0.9 * whole.data.size


def test_an_entry_inside_the_mcu_before():
    """Of a damaged index: the MCU ends after all that is read, or after the next one begins."""
    data = encoded(photograph(random.Random(14), 64, 96), "444")
    index = build_index(data, 1)
    positions = index.positions.copy()
    positions[3] = positions[2] + 3
    damaged = index._replace(positions=positions)
    with pytest.raises(CannotCutError, match="coded data that ends too early"):
        cut(data, damaged, Window(0, 16, 8, 8))
    index = build_index(data, 2)
    positions = index.positions.copy()
    positions[2] = positions[1] + 3
    damaged = index._replace(positions=positions)
    with pytest.raises(CannotCutError, match="bits that are no code"):
        cut(data, damaged, Window(0, 16, 8, 24))


def test_codes_that_an_index_leads_into():
    """A position inside a code: the window is refused, or decoded to anything of its size."""
    data = encoded(photograph(random.Random(12), 64, 96))
    index = build_index(data, 1)
    reasons = set()
    for shift in range(1, 40):
        moved = index.positions + shift
        moved[0] = index.positions[0]
        try:
            cut(data, index._replace(positions=moved), Window(20, 20, 30, 60))
        except CannotCutError as error:
            reasons.add(str(error))
        except MtfastError as error:
            assert "shorter than its crop index" in str(error)  # noqa: PT017
        except RuntimeError:
            pass
    assert any(jpeg_scan.STATUSES[jpeg_scan.BAD_CODE] in reason for reason in reasons)


def test_a_jump_in_brightness_that_has_no_code():
    """DCs of a damaged index: the window cannot be cut, and nothing else happens."""
    data = encoded(photograph(random.Random(5), 64, 96))
    index = build_index(data, 2)
    index.dcs[:, 1] = 30_000
    with pytest.raises(CannotCutError, match="no code for a jump in brightness.* decode .* whole"):
        cut(data, index, Window(0, 0, 64, 40))
