"""Conversions that were stopped and go on."""

from __future__ import annotations

import json
import os
import shutil
from functools import cache
from pathlib import Path
from secrets import token_hex

import pytest

import mtfast
from folders import names_in
from mtfast.atomic import PARTIAL
from mtfast.conversion import convert as conversion
from mtfast.errors import SourceError, StoreError
from mtfast.work.folder_state import unfinished

SHARD = 2


@pytest.fixture
def source(tiny_set, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_set, tmp_path / "set"))


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Shards:
    """Which shards are written, and after how many of them a run is stopped."""

    def __init__(self, monkeypatch) -> None:
        self.written: list[tuple[str, int]] = []
        self.most: int | None = None
        write = conversion.write_shard
        # Short jobs share a task, whose results come together.
        monkeypatch.setattr("mtfast.parallel.MOST_PER_TASK", 1)

        def write_shard(job):
            if self.most is not None and len(self.written) == self.most:
                raise KeyboardInterrupt
            self.written.append((job.split, job.number))
            return write(job)

        monkeypatch.setattr(conversion, "write_shard", write_shard)


@pytest.fixture
def shards(monkeypatch) -> Shards:
    return Shards(monkeypatch)


@pytest.fixture(scope="module")
def undisturbed(tiny_set, tmp_path_factory):
    """The files of the store that a run which nothing stops makes of the set, by its options."""
    folder = tmp_path_factory.mktemp("undisturbed")
    copied = shutil.copytree(tiny_set, folder / "set")

    @cache
    def made(**options) -> dict[str, bytes]:
        return files_of(convert(copied, folder / f"{token_hex(4)}.zarr", **options))

    return made


def convert(source: Path, out: Path, **options) -> Path:
    return mtfast.convert(source, out, **{"shard": SHARD, "scheduler": "sync"} | options)


def stop(shards: Shards, n: int, source: Path, out: Path, **options) -> None:
    """Convert until n shards are written."""
    shards.most = n
    with pytest.raises(KeyboardInterrupt):
        convert(source, out, **options)
    assert len(shards.written) == n
    shards.most = None
    shards.written.clear()


@pytest.mark.parametrize("n", [1, 4, 6])
@pytest.mark.parametrize("options", [{}, {"crop_index": True}, {"images": False}])
def test_only_what_is_left_is_written(source, tmp_path, undisturbed, shards, n, options, caplog):
    """10 and 4 images, 2 a shard: 7 shards. The store is that of an undisturbed run."""
    stop(shards, n, source, tmp_path / "store.zarr", **options)
    convert(source, tmp_path / "store.zarr", **options)
    assert len(shards.written) == 7 - n
    assert f"{n} of 7 parts had been made" in caplog.text
    assert files_of(tmp_path / "store.zarr") == undisturbed(**options)
    assert names_in(tmp_path) == ["set", "store.zarr"]


def test_workers_and_scheduler_may_differ(source, tmp_path, shards):
    stop(shards, 3, source, tmp_path / "store.zarr")
    convert(source, tmp_path / "store.zarr", scheduler="threads", workers=3)
    assert len(shards.written) == 4


@pytest.mark.parametrize("what", ["semantic/c.1.0.0", "images/file/c.1.0", "crop_index/bits/c.1.0"])
def test_a_shard_that_was_damaged_since_is_written_again(
    source, tmp_path, undisturbed, shards, what
):
    stop(shards, 4, source, tmp_path / "store.zarr", crop_index=True)
    (kept,) = unfinished(tmp_path / "store.zarr")
    path = kept / "content" / "train" / what
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    convert(source, tmp_path / "store.zarr", crop_index=True)
    assert shards.written[0] == ("train", 1)
    assert len(shards.written) == 4
    assert files_of(tmp_path / "store.zarr") == undisturbed(crop_index=True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shard": 5}, "with shard 2, not 5"),
        ({"images": False}, "with images true, not false"),
        ({"crop_index": True}, "with crop_index false, not true"),
        ({"variant": "annotations_300"}, "with variant .*_200.*, not .*annotations_300.*"),
        ({"splits": ["train"]}, r'with splits \["train","test"\], not \["train"\]'),
        ({"decode_check": True}, "with decode_check false, not true"),
        ({"orientation": "shown"}, 'with orientation unset, not "shown"'),
        ({"bad": "skip"}, 'with bad "refuse", not "skip"'),
    ],
)
def test_other_options_are_refused_by_name(source, tmp_path, shards, options, words):
    target = tmp_path / "store.zarr"
    stop(shards, 2, source, target)
    with pytest.raises(StoreError, match=f"is unfinished work on {target} {words}; expected"):
        convert(source, target, **options)
    assert not shards.written
    # Asked for, it begins anew.
    convert(source, target, overwrite=True, **options)
    assert names_in(tmp_path) == ["set", "store.zarr"]


def change_size(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def change_time(path: Path) -> None:
    stat = path.stat()
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def change_an_annotation(path: Path) -> None:
    content = json.loads(path.read_text())
    content["annotations"][-1]["area"] += 1
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("folder", "change"),
    [
        ("train_images", change_size),
        ("test_images", change_time),
        ("RLE_annotations", change_an_annotation),
    ],
)
def test_a_source_that_changed_is_refused_by_name(source, tmp_path, shards, folder, change):
    stop(shards, 2, source, tmp_path / "store.zarr")
    path = sorted((source / folder).glob("*.*"))[-1]
    change(path)
    with pytest.raises(StoreError, match=rf"from \S*{path.name}, which has changed since"):
        convert(source, tmp_path / "store.zarr")
    assert not shards.written


def test_an_image_that_was_mended_is_taken(source, tmp_path, shards):
    """As the error asked for; an image that is stored already must not have changed."""
    target = tmp_path / "store.zarr"
    names = mtfast.open_source(source).table("train", "annotations_with_class_200").names.tolist()
    stored, damaged = (source / "train_images" / names[k] for k in (0, 9))
    sound = damaged.read_bytes()
    damaged.write_bytes(sound[: len(sound) // 2])
    with pytest.raises(SourceError, match=f"{names[9]} .*; what is done is kept in"):
        convert(source, target)
    assert len(shards.written) == 5
    shards.written.clear()
    damaged.write_bytes(sound)
    time = stored.stat().st_mtime_ns
    change_time(stored)
    with pytest.raises(StoreError, match=f"{names[0]}, which has changed since"):
        convert(source, target)
    os.utime(stored, ns=(time, time))
    convert(source, target)
    assert shards.written[0] == ("train", 4)
    assert len(shards.written) == 3
    assert mtfast.open(target)["train"].image_bytes(9) == sound


def test_a_store_is_replaced_by_a_run_that_goes_on(source, tmp_path, shards):
    target = convert(source, tmp_path / "store.zarr", shard=4)
    before = files_of(target)
    shards.written.clear()
    stop(shards, 5, source, target, overwrite=True)
    assert files_of(target) == before
    convert(source, target, overwrite=True)
    assert len(shards.written) == 2
    assert names_in(tmp_path) == ["set", "store.zarr"]


def test_a_link_is_followed(source, tmp_path, shards):
    """Not replaced by a store: people link to another disk."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "store.zarr")
    stop(shards, 2, source, tmp_path / "link")
    assert all(PARTIAL in name for name in names_in(tmp_path / "disk"))
    convert(source, tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    convert(source, tmp_path / "link", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert len(mtfast.open(tmp_path / "disk" / "store.zarr")["train"]) == 10
    assert names_in(tmp_path / "disk") == ["store.zarr"]


def test_a_folder_that_is_there_stays_the_same_one(source, tmp_path, undisturbed, shards):
    """A shell may be in it, or it is a disk."""
    target = tmp_path / "store.zarr"
    target.mkdir()
    inode = target.stat().st_ino
    stop(shards, 2, source, target)
    with pytest.raises(StoreError):
        mtfast.open(target)
    convert(source, target)
    assert len(shards.written) == 5
    assert target.stat().st_ino == inode
    assert files_of(target) == undisturbed()
    assert names_in(tmp_path) == ["set", "store.zarr"]
