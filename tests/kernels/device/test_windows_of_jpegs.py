"""Windows of JPEG files of all kinds, compared with imagecodecs' pixels; and damaged ones."""

from __future__ import annotations

import random

import numpy as np
import pytest

import fuzz_windows
import fuzzing
from coded_windows import code_files, expected_window, make_windows
from image_samples import pixels
from jpegs import CASES, decoded, encoded, photograph
from mtfast.jpeg import device
from mtfast.jpeg.device import read_coded
from mtfast.jpeg.index import walk_scan
from mtfast.jpeg.layout import CannotCutError, read_layout
from mtfast.kernels.device import jpeg_blocks, plan
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.views import View
from strict_runs import run_strictly

ENTERED = [case for case in CASES if case[0] != "411"]


def whole(height: int, width: int) -> View:
    return View(0, 0, height, width, height, width)


@pytest.mark.parametrize(("kind", "options"), ENTERED)
def test_whole_images(kind, options):
    """All qualities; sizes that are a multiple of an MCU, one more and one less."""
    rng = random.Random(repr((kind, options)))
    for quality, height, width in (
        (25, 32, 48),
        (50, 33, 47),
        (75, 15, 17),
        (95, 31, 65),
        (100, 47, 31),
    ):
        data = encoded(photograph(rng, height, width), kind, quality, **options)
        for step in (1, 3, 200):
            made = make_windows(code_files([data], step), [0], [whole(height, width)])
            assert made.status.tolist() == [0]
            assert np.array_equal(made.pixels[0], decoded(data))


@pytest.mark.parametrize("kind", ["444", "422", "420", "440", "grey", "rgb"])
def test_small_images(kind):
    """From one pixel on; narrow ones with subsampled chroma are decoded on the CPU."""
    rng, n_refused = random.Random(3), 0
    for height in (1, 2, 3, 7, 9):
        for width in (1, 2, 4, 5, 6, 8, 9):
            data = encoded(photograph(rng, height, width), kind, 90)
            try:
                files = code_files([data], 1)
            except CannotCutError:
                n_refused += 1
                assert (kind, width < 5) in (("420", True), ("422", True))
                continue
            made = make_windows(files, [0], [whole(height, width)])
            assert np.array_equal(made.pixels[0], decoded(data)), (height, width)
    assert n_refused == (15 if kind in ("420", "422") else 0)


@pytest.mark.parametrize("kind", ["444", "420", "grey"])
def test_factors_of_16_bits(kind):
    data = fuzz_windows.with_deep_factors(encoded(pixels(), kind, 25))
    image = read_coded(data, 2)
    assert image.tables.lookup[jpeg_blocks.QUANTA : jpeg_blocks.NATURAL].max() > 255
    made = make_windows(code_files([data], 2), [0], [whole(*pixels().shape[:2])])
    assert np.array_equal(made.pixels[0], decoded(data))


def test_what_is_decoded_on_the_cpu():
    for kind, options, found in (
        ("411", {}, "4 x 1 luma samples"),
        ("420", {"progressive": True}, "SOF2"),
    ):
        with pytest.raises(CannotCutError, match=found):
            read_coded(encoded(pixels(), kind, **options), 2)


def test_coded_data_whose_bits_32_bits_do_not_count(monkeypatch):
    data = encoded(pixels(), "420")
    n_bytes = walk_scan(data, 2, read_layout(data)).n_bytes
    monkeypatch.setattr(device, "_MOST_BYTES", n_bytes + 1)
    assert read_coded(data, 2).words.size == -(-n_bytes // 4)
    monkeypatch.setattr(device, "_MOST_BYTES", n_bytes)
    with pytest.raises(CannotCutError, match=f"{n_bytes:,} bytes of coded data; .* on the CPU$"):
        read_coded(data, 2)


def test_every_window_of_an_image():
    """Of all places and some sizes, which begin and end at every border of an MCU."""
    rng = random.Random(5)
    data = encoded(photograph(rng, 40, 44), "420", restart_marker_blocks=2)
    files, image = code_files([data], 2), decoded(data)
    for h, w in ((1, 1), (3, 17), (18, 2)):
        places = [(y, x) for y in range(-2, 41) for x in range(-2, 45, 3)]
        views = [View(y, x, h, w, h, w) for y, x in places]
        made = make_windows(files, [0] * len(views), views)
        for found, view in zip(made.pixels, views, strict=True):
            assert np.array_equal(found, expected_window(image, view)), view


@pytest.mark.parametrize(("y", "x"), [(-16, 0), (0, -16), (45, 70), (0, 90), (60, 5)])
@pytest.mark.parametrize("is_copied", [False, True])
def test_windows_outside_of_the_image_are_black(y, x, is_copied):
    """Nothing is read for them, beside a window that is inside; where they are resized too."""
    data = encoded(pixels(), "420")
    files = code_files([data] * 2, 1)
    for size in ((16, 16), (8, 24)):
        outside, inside = View(y, x, 16, 16, *size), View(3, 2, *size, *size)
        made = make_windows(files, [0, 1], [outside, inside], is_copied, run_strictly)
        assert not made.pixels[0].any()
        assert np.array_equal(made.pixels[1], expected_window(decoded(data), inside))
        assert not made.status.any()


def test_rows_are_copied_as_far_as_they_are_needed():
    """Windows whose files lie elsewhere: a few words of the rows, in another order."""
    rng = random.Random(8)
    data = [encoded(photograph(rng, 90, 120), kind) for kind in ("420", "444", "grey")]
    files = code_files(data, 4)
    views = [View(y, 40, 16, 24, 16, 24) for y in (64, 0, 33)]
    made = make_windows(files, range(3), views, is_copied=True)
    for found, view, file in zip(made.pixels, views, data, strict=True):
        assert np.array_equal(found, expected_window(decoded(file), view))
    windows = made.windows.reshape(-1, fields.FIELDS)
    copied = (windows[:, fields.WORDS_END] - windows[:, fields.WORDS]).sum()
    assert files.words.size > copied


def test_resized_windows():
    """As Pillow resizes them, in both orders of the passes and along one axis only."""
    rng = random.Random(2)
    image = photograph(rng, 60, 70)
    data = encoded(image, "444", 100)
    files, image = code_files([data], 8), decoded(data)
    for view in (
        View(3, 4, 20, 30, 40, 15, True, 1),
        View(-5, -9, 90, 100, 15, 40, False, 0),
        View(0, 0, 60, 8, 6, 9, False, 2),
        View(1, 2, 30, 30, 30, 31, True, 3),
        View(1, 2, 30, 30, 7, 30, False, 1),
        View(9, 9, 1, 1, 33, 65, False, 0),
    ):
        made = make_windows(files, [0], [view])
        assert np.array_equal(made.pixels[0], expected_window(image, view)), view


def test_a_short_run_of_the_fuzzer():
    trials = [fuzz_windows.make_trial(0, number) for number in range(250)]
    assert [p for trial in trials if (p := fuzzing.judge(trial)[1])] == []
    names = {trial.function.__name__ for trial in trials}
    assert names == {"windows_agree", "damaged_windows", "windows_of_indexes"}


def test_the_fuzzer_tells_other_pixels():
    """What it compares with has to matter."""
    numbers, views = [0, 1], [View(0, 0, 4, 4, 4, 4)] * 2
    assert fuzz_windows.windows_agree(numbers, views, 2, "device")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fuzz_windows, "pixels_of", lambda k: decoded(fuzz_windows.a_file(k)) ^ 1)
        assert not fuzz_windows.windows_agree(numbers, views, 2, "device")


def test_there_are_thirty_kinds():
    assert len(fuzz_windows.FILE_KINDS) == 30


@pytest.mark.parametrize("seed", range(5))
def test_damage_stays_inside_of_the_arrays(seed):
    """Run as plain Python, where each place that is read or written is checked."""
    rng = random.Random(seed)
    files = code_files(
        [fuzz_windows.a_file(rng.randrange(90)) for _ in range(2)], rng.choice((1, 4))
    )
    is_copied = seed % 2 == 1
    files = fuzz_windows.damaged(rng, files, is_copied)
    view = View(-1, -2, 18, 20, 18, 20, True, 1)
    made = make_windows(files, [0, 1], [view, view], is_copied, run_strictly)
    again = make_windows(files, [0, 1], [view, view], is_copied)
    assert made.status.tolist() == again.status.tolist()
    sound = made.status == 0
    assert np.array_equal(made.pixels[sound], again.pixels[sound])


def test_statuses():
    """Bits that are no code; data that ends too early; a stretch that ends elsewhere."""
    data = encoded(pixels(), "grey")
    files, view = code_files([data], 2), whole(*pixels().shape[:2])
    ones = files._replace(words=np.full_like(files.words, 2**32 - 1))
    assert make_windows(ones, [0], [view]).status.tolist() == [jpeg_blocks.BAD_CODE]
    images = files.images.copy()
    images[fields.WORDS_END] = 1
    short = files._replace(images=images)
    assert make_windows(short, [0], [view]).status.tolist() == [jpeg_blocks.TOO_SHORT]
    bits = files.bits.copy()
    bits[-1] += 1
    assert make_windows(files._replace(bits=bits), [0], [view]).status.tolist() == [
        jpeg_blocks.BAD_END
    ]
    # Entries after the file, of which there is one at most in a sound one.
    far = files._replace(bits=np.full_like(files.bits, 2**32 - 1))
    assert make_windows(far, [0], [view], run=run_strictly).status.tolist() != [0]


def test_tables_lead_to_long_codes_that_are_there():
    """The kernels do not check it: each mark LONG is made with its 64 entries, see read_coded."""
    n_long = 0
    for number in range(len(fuzz_windows.FILE_KINDS)):
        tables = read_coded(fuzz_windows.a_file(number), 1).tables
        codes = tables.lookup[: jpeg_blocks.QUANTA]
        marked = codes[codes & jpeg_blocks.LONG > 0] & ~np.uint16(jpeg_blocks.LONG)
        assert tables.long_codes.size % 64 == 0
        assert np.array_equal(np.sort(marked), np.arange(tables.long_codes.size // 64))
        plain = np.concatenate([codes[codes & jpeg_blocks.LONG == 0], tables.long_codes])
        assert (plain >> 8).max() <= 16
        assert np.array_equal(np.sort(tables.lookup[jpeg_blocks.NATURAL :]), np.arange(64))
        n_long += marked.size
    assert n_long > 0


def test_plans_count_what_kernels_write():
    """The memory of planes, which each window has a part of."""
    files = code_files([encoded(pixels(), kind) for kind in ("420", "grey", "444")], 2)
    views = [View(5, 6, 20, 30, 20, 30)] * 3
    windows, lists, totals = (
        np.empty(n, t)
        for n, t in ((3 * fields.FIELDS, np.int64), (9, np.int32), (plan.TOTALS, np.int64))
    )
    plan.place_windows(
        files.images, files.row_words, np.arange(3), np.array(views).reshape(-1).astype(np.int64),
        0, windows, lists, totals,
    )  # fmt: skip
    starts = windows.reshape(3, -1)[:, fields.PLANES]
    assert (starts % plan.ALIGNMENT == 0).all()
    sizes = []
    for row, blocks in zip(windows.reshape(3, -1), (6, 1, 3), strict=True):
        mcus = (row[fields.ROW_END] - row[fields.ROW]) * (
            row[fields.COLUMN_END] - row[fields.COLUMN]
        )
        sizes.append(mcus * 64 * blocks)
    assert starts.tolist() == np.cumsum([0, *sizes[:-1]]).tolist()
    assert totals[plan.PLANE_BYTES] == sum(sizes)
    assert lists[:3].tolist() == [0, 1, 2]
