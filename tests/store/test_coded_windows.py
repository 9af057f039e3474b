"""Windows that are read all at once, compared with those that are read one by one."""

from __future__ import annotations

import random
import re
import shutil
import threading
from contextlib import closing

import numpy as np
import pytest

import mtfast
from coded_sets import HEIGHT, KINDS, LARGE, WIDTH, make_coded_set
from mtfast.arguments import Window
from mtfast.errors import StoreError
from mtfast.kernels.files import jpeg_windows
from mtfast.store import schema
from mtfast.store.file_frames import chunk_ranges, frame
from mtfast.store.reading.coded_windows import CodedWindows
from mtfast.store.reading.split_metadata import SplitMetadata

PLENTY = 1 << 20
# Of an index of the small images, at its step of 4 MCUs.
ONE_INDEX = 1000


@pytest.fixture(scope="module", params=[None, 1000], ids=["whole", "in pieces"])
def split(request, tmp_path_factory):
    """JPEGs of all kinds and of two sizes; in chunks of a thousand bytes too."""
    folder = tmp_path_factory.mktemp("coded")
    with pytest.MonkeyPatch.context() as patch:
        if request.param:
            patch.setattr(schema, "FILE_CHUNK", request.param)
        path = mtfast.convert(
            make_coded_set(folder, outlier=True), folder / "s.zarr", shard=5, crop_index=True
        )
    return mtfast.open(path)["train"]


def read_all(split, images, windows, n_bytes=PLENTY):
    """What was read of each window: words, bits, DCs and places; None where it cannot be cut."""
    n = split.n_images
    reader = CodedWindows([split], np.zeros(n, np.int64), np.arange(n), n_bytes)
    try:
        return read_with(reader, np.array(images), np.array(windows, np.int64))
    finally:
        reader.close()


def read_with(reader, images, windows):
    is_cut = reader.find(images)
    planned, coded = reader.read(
        images[is_cut], windows[is_cut], lambda n: np.full(n, 0xDEADBEEF, np.uint32)
    )
    found = iter(
        (
            coded.words[row[jpeg_windows.WORDS_AT] :][:n].tolist(),
            coded.bits[row[jpeg_windows.BITS_AT] : end[jpeg_windows.BITS_AT]].tolist(),
            coded.dcs.reshape(-1, 3)[
                row[jpeg_windows.BITS_AT] : end[jpeg_windows.BITS_AT]
            ].tolist(),
            row[[jpeg_windows.ROW, jpeg_windows.FIRST, jpeg_windows.PER_ROW]].tolist(),
        )
        for row, end, n in zip(
            planned.windows[:-1], planned.windows[1:], coded.n_words.tolist(), strict=True
        )
    )
    return [next(found) if cut else None for cut in is_cut.tolist()]


def read_one(split, image, window):
    coded = split.coded_window(image, Window(*window))
    if coded is None:
        return None
    place = [coded.first_row, coded.first_column, coded.per_row]
    return coded.words.tolist(), coded.bits.tolist(), coded.dcs.tolist(), place


def a_window(rng, image):
    height, width = (HEIGHT, WIDTH) if image < len(KINDS) else LARGE
    h, w = rng.randint(1, height), rng.randint(1, width)
    return rng.randint(0, height - h), rng.randint(0, width - w), h, w


def some_windows(rng, n, most):
    images = [rng.randrange(most) for _ in range(n)]
    return images, [a_window(rng, image) for image in images]


def test_windows_are_those_that_are_read_one_by_one(split):
    rng = random.Random(0)
    images, windows = some_windows(rng, 300, split.n_images)
    windows[:2] = [(0, 0, HEIGHT, WIDTH), (HEIGHT - 1, WIDTH - 1, 1, 1)]
    found = read_all(split, images, windows)
    for image, window, one in zip(images, windows, found, strict=True):
        assert one == read_one(split, image, window), (image, window)
    assert 0 < sum(one is None for one in found) < 150


@pytest.mark.parametrize("n_bytes", [0, ONE_INDEX, 3 * ONE_INDEX, 8 * ONE_INDEX])
def test_room_for_few_indexes_changes_nothing(split, n_bytes):
    rng = random.Random(1)
    n = split.n_images
    reader = CodedWindows([split], np.zeros(n, np.int64), np.arange(n), n_bytes)
    for size in (1, 3, 1, 12, 2, 40, 1, 5):
        images, windows = some_windows(rng, size, n)
        if not reader.find(np.array(images)).any():
            continue
        found = read_with(reader, np.array(images), np.array(windows, np.int64))
        assert found == [read_one(split, *pair) for pair in zip(images, windows, strict=True)]
    reader.close()


def test_an_index_is_read_once(split, monkeypatch):
    n = split.n_images
    reader = CodedWindows([split], np.zeros(n, np.int64), np.arange(n), PLENTY)
    first = reader.find(np.arange(n))
    monkeypatch.setattr(reader, "_head", None)
    assert np.array_equal(reader.find(np.arange(n)[::-1]), first[::-1])
    reader.close()


def test_tables_of_equal_files_are_kept_once_and_take_room(split):
    """Each file that was optimised has tables of its own, 17 KB of them."""
    n = split.n_images
    with closing(CodedWindows([split], np.zeros(n, np.int64), np.arange(n), PLENTY)) as reader:
        reader.find(np.arange(n))
        kept = reader.indexes.tables
        by_bytes = {k: b"".join(part.tobytes() for part in kept[k]) for k in kept}
        assert (
            1
            < len({id(tables) for tables in kept.values()})
            == len({*by_bytes.values()})
            < len(kept)
        )
        reader.find(np.arange(3))
        assert len(reader.indexes.tables) == len(kept)
    tables_alone = sum(map(len, {*by_bytes.values()}))
    with closing(CodedWindows([split], np.zeros(n, np.int64), np.arange(n), tables_alone)) as few:
        for k in kept:
            few.find(np.array([k]))
        assert len(few.indexes.tables) < len(kept)


def test_no_flipped_bit_is_read(split, tmp_path):
    """Of the bytes of a window: each is an error that names the image, or not one of its bits."""
    path = tmp_path / "s.zarr"
    shutil.copytree(split.store.path, path)
    rng = random.Random(2)
    image, window = 0, (10, 20, 20, 30)
    expected = read_all(split, [image], [window])
    (file, *_) = sorted((path / "train/images/file").rglob("*[0-9]"))
    sound = file.read_bytes()
    errors = []
    for _ in range(60):
        at = rng.randrange(int(split.file_sizes[0]))
        changed = bytearray(sound)
        changed[at] ^= 1 << rng.randrange(8)
        file.write_bytes(changed)
        damaged = mtfast.open(path)["train"]
        try:
            found = read_all(damaged, [3, image], [(0, 0, 5, 5), window])[1:]
        except StoreError as error:
            errors.append(str(error))
        else:
            assert found == expected
    assert 5 < len(errors) < 60
    assert all(re.match(r"image 0 (in|of) ", text) for text in errors), errors


def test_a_failed_read_ends_when_all_of_its_threads_have(split, monkeypatch):
    """The next one moves the indexes that they read; they wrote outside of their arrays."""
    running, others = 0, threading.Event()

    def fill(self, images, planned, parts, coded, share):
        nonlocal running
        running += 1
        if share[0] == 0:
            raise StoreError("the first share")
        others.wait(0.2)
        running -= 1

    monkeypatch.setattr(CodedWindows, "_fill", fill)
    n = split.n_images
    with closing(CodedWindows([split], np.zeros(n, np.int64), np.arange(n), PLENTY)) as reader:
        images, windows = map(np.array, some_windows(random.Random(1), 40, 1))
        is_cut = reader.find(images)
        with pytest.raises(StoreError, match="the first share"):
            reader.read(images[is_cut], windows[is_cut], lambda n: np.empty(n, np.uint32))
        assert running == 1


def test_a_size_that_is_not_the_one_of_the_file_is_damage(split, monkeypatch):
    """Windows inside of the stated frame would be planned beyond the entries of the file."""
    monkeypatch.setattr(SplitMetadata, "size", lambda *_: (HEIGHT + 320, WIDTH))
    with pytest.raises(StoreError, match=rf"is a JPEG of {HEIGHT} x {WIDTH}; expected the size"):
        split.coded_head(0)


def test_a_file_that_ends_too_early(split, tmp_path):
    path = tmp_path / "s.zarr"
    shutil.copytree(split.store.path, path)
    images, windows = [4, 0], [(0, 0, HEIGHT, WIDTH)] * 2
    opened = mtfast.open(path)["train"]
    n = split.n_images
    reader = CodedWindows([opened], np.zeros(n, np.int64), np.arange(n), PLENTY)
    reader.find(np.array(images))
    # Cut off in place, after it was opened.
    with (path / "train/images/file/c.0.0").open("r+b") as file:
        file.truncate(200)
    with pytest.raises(StoreError, match=r"ends at byte \d+; expected"):
        read_with(reader, np.array(images), np.array(windows))
    reader.close()


@pytest.mark.parametrize("piece", [1000, 1 << 17, 300_000, 1 << 22])
def test_ranges_of_chunks_hold_the_bytes_of_the_file(piece, rng):
    """As the frames of the chunks have them."""
    data = rng.integers(0, 256, 400_001, np.uint8)
    chunks = [
        np.frombuffer(b"".join(frame(data[at : at + piece].tobytes(), piece)), np.uint8)
        for at in range(0, data.size, piece)
    ]
    starts = rng.integers(0, data.size, 50)
    stops = np.minimum(starts + rng.integers(1, 150_000, 50), data.size)
    found = chunk_ranges(starts, stops, np.full(50, piece))
    assert (np.diff(found.number) >= 0).all()
    for number in range(50):
        parts = [
            chunks[found.chunk[k]][found.first[k] :][: found.length[k]]
            for k in np.flatnonzero(found.number == number)
        ]
        assert np.array_equal(np.concatenate(parts), data[starts[number] : stops[number]])
        at = found.at[found.number == number]
        assert at[0] == starts[number]
        assert np.array_equal(np.diff(at), found.length[found.number == number][:-1])
