"""The crop index of a file: its entries, and the bounds of what is read, written and accepted."""

from __future__ import annotations

import random

import numpy as np
import pytest

import naive
from jpegs import CASES, a_jpeg, encoded, flat, photograph, resized, with_scan
from mtfast.errors import MtfastError
from mtfast.jpeg import index as index_module
from mtfast.jpeg.index import build_index
from mtfast.jpeg.layout import read_layout
from mtfast.kernels.files import jpeg_scan

# Codes of the tables that Pillow writes without `optimize`, of T.81, tables K.3 and K.5: DCs of
# categories 0 and 11; the end of a block, 16 zeros, and 14 or 15 zeros before a coefficient of one
# bit.
DC_0, DC_11 = "00", "111111110"
END_OF_BLOCK, ZEROS_16 = "1010", "11111111001"
ZEROS_14, ZEROS_15 = "11111111111010110", "11111111111101010"


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


def test_steps_of_at_least_one_mcu():
    data = encoded(photograph(random.Random(0), 16, 16))
    with pytest.raises(MtfastError, match="every 0 MCUs; expected a step of 1 or more"):
        build_index(data, 0)
    assert build_index(data, 1000).positions.size == 2


# --- Bounds


@pytest.mark.parametrize("size", [(65_500, 65_500), (8, 40), (40, 8)])
def test_a_header_that_claims_more_blocks_than_there_can_be(size):
    """Five blocks, in a scan of a byte, are too many: refused before entries are allocated."""
    with pytest.raises(MtfastError, match="less coded data than blocks"):
        build_index(resized(flat(16, 16)[:-2], *size), 1)


def test_blocks_of_two_bits_each():
    """The shortest possible scan: four blocks a byte, with and without an end marker."""
    data = flat(16, 16)
    assert len(data) - read_layout(data).scan == 3
    for end in (b"", b"\xff\xd9"):
        index = build_index(data[:-2] + end, 1)
        start = 8 * read_layout(data).scan
        assert index.positions.tolist() == [start, start + 2, start + 4, start + 6, start + 8]
        assert not index.dcs.any()


@pytest.mark.parametrize("seed", range(8))
def test_a_scan_that_lacks_its_last_byte(seed):
    """The zeros of the margin must not pass for coded data."""
    data = a_jpeg(random.Random(seed), "grey" if seed % 2 else "420", {}, most=60)
    build_index(data[:-2], 2)
    with pytest.raises(MtfastError, match="no code|too early|less coded data"):
        build_index(data[:-3], 2)
    with pytest.raises(MtfastError, match="no code|too early|less coded data"):
        build_index(data[:-3] + data[-2:], 2)


def test_a_scan_that_lacks_one_block():
    """Zeros, as in the margin, are codes here, but the scan ends at its end marker."""
    data = flat(64, 64)
    bits = "00" * 64
    build_index(with_scan(data, bits), 3)
    with pytest.raises(MtfastError, match="coded data that ends too early"):
        build_index(with_scan(data, bits[8:]) + bytes(9), 3)


def test_a_file_of_more_bits_than_a_store_holds(monkeypatch):
    data = encoded(photograph(random.Random(1), 40, 40))
    last = int(build_index(data, 2).positions[-1])
    monkeypatch.setattr(index_module, "MAX_BITS", last)
    assert build_index(data, 2).positions[-1] == last
    monkeypatch.setattr(index_module, "MAX_BITS", last - 1)
    with pytest.raises(MtfastError, match=f"a JPEG with {last} bits"):
        build_index(data, 2)


def test_positions_fit_into_what_a_store_holds():
    largest = np.iinfo(np.uint32).max
    assert largest == index_module.MAX_BITS


@pytest.mark.parametrize(("n", "sign"), [(16, 1), (17, 1), (16, -1), (17, -1)])
def test_dcs_that_fit_into_16_bits(n, sign):
    """Sixteen jumps of 2047 do, seventeen do not."""
    data = resized(encoded(photograph(random.Random(2), 8, 8), "grey"), 8, 8 * n)
    jump = "1" * 11 if sign > 0 else "0" * 11
    data = with_scan(data, (DC_11 + jump + END_OF_BLOCK) * n)
    if n == 16:
        expected = sign * 2047 * np.arange(17)
        assert build_index(data, 1).dcs.tolist() == [expected.tolist(), [0] * 17, [0] * 17]
        assert build_index(data, 16).dcs[0].tolist() == [0, sign * 32_752]
    else:
        for step in (1, 16, 17):
            with pytest.raises(MtfastError, match="a brightness out of range"):
                build_index(data, step)


def test_dcs_that_are_out_of_range_between_two_entries():
    """Only the DCs of entries are kept, so those of other MCUs may be anything."""
    data = resized(encoded(photograph(random.Random(2), 8, 8), "grey"), 8, 8 * 20)
    up, down = (DC_11 + bit * 11 + END_OF_BLOCK for bit in "10")
    data = with_scan(data, up * 17 + down * 3)
    assert build_index(data, 20).dcs[0].tolist() == [0, 14 * 2047]
    with pytest.raises(MtfastError, match="a brightness out of range"):
        build_index(data, 17)


def test_a_block_of_more_than_64_coefficients():
    data = encoded(photograph(random.Random(2), 8, 8), "grey")
    for codes in (ZEROS_16 * 3 + ZEROS_14, ZEROS_16 * 3 + END_OF_BLOCK):
        build_index(with_scan(data, DC_0 + codes), 1)
    for codes in (ZEROS_16 * 3 + ZEROS_15, ZEROS_16 * 4, ZEROS_16 * 4 + END_OF_BLOCK):
        with pytest.raises(MtfastError, match="bits that are no code"):
            build_index(with_scan(data, DC_0 + codes), 1)


def guard_unstuff(monkeypatch, scan: bytes) -> MtfastError | None:
    """Index a file with that scan; every buffer is followed by guard values."""
    unstuff = jpeg_scan.unstuff
    seen = []

    def guarded(data, start, stop, out, at, dropped):
        wide, many = np.full(out.size + 64, 0xA5, np.uint8), np.full(dropped.size + 8, -7)
        n = unstuff(data, start, stop, wide[:-64], at, many[:-8])
        assert (wide[-64:] == 0xA5).all()
        assert (many[-8:] == -7).all()
        assert n < 0 or out.size - n >= jpeg_scan.MARGIN
        # The kernels that read it stop there.
        seen.append(jpeg_scan.FAR in many)
        out[:], dropped[:] = wide[:-64], many[:-8]
        return n

    monkeypatch.setattr(jpeg_scan, "unstuff", guarded)
    try:
        build_index(with_scan(flat(8, 8), "")[:-2] + scan, 1)
    except MtfastError as error:
        return error
    finally:
        assert seen == [True]
    return None


@pytest.mark.parametrize("n", [1, 2, 7, 200])
@pytest.mark.parametrize("pair", [b"\xff\x00", b"\xff\xd0"])
def test_all_that_can_be_dropped_is_noted(monkeypatch, n, pair):
    """The list of what was dropped takes as much as a file can hold, and its end."""
    assert guard_unstuff(monkeypatch, pair * n) is not None


def test_a_copy_without_stuffing_has_its_margin(monkeypatch):
    assert guard_unstuff(monkeypatch, bytes(300)) is None


def test_a_kernel_may_read_the_margin():
    """The largest MCU: ten blocks, each of a DC of 27 bits and 63 ACs of 26 or less."""
    assert jpeg_scan.MARGIN > 10 * (27 + 63 * 31) // 8 + 8


# --- Damage


def damaged() -> dict[str, bytes]:
    sound = encoded(photograph(random.Random(2), 48, 64))
    scan = read_layout(sound).scan
    return {
        "damaged Huffman tables": sound.replace(
            b"\xff\xc4\x00\x1f\x00\x00", b"\xff\xc4\x00\x1f\x00\xff"
        ),
        "no decoder takes": sound.replace(
            b"\xff\xc4\x00\x1f\x00\x00\x01", b"\xff\xc4\x00\x1f\x00\x01\x00"
        ),
        "coded data that ends too early": sound[: scan + 300] + b"\xff\xd9",
        "a marker in its coded data": sound[: scan + 300] + b"\xff\xda" + sound[scan + 300 :],
        "restart marker in the wrong place": sound[: scan + 300]
        + b"\xff\xd0"
        + sound[scan + 300 :],
        "restart marker in the wrong place ": sound[:-2] + b"\xff\xd0" + sound[-2:],
    }


@pytest.mark.parametrize("words", damaged())
def test_damaged_files_are_refused(words):
    with pytest.raises(MtfastError, match=f"{words.strip()}.*; expected .*; fetch the image again"):
        build_index(damaged()[words], 4)


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
