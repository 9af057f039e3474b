"""Stores in object storage, beside those on a disk; see also tests/work/test_bucket.py."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

import mtfast
from mtfast.addresses import Address
from mtfast.cli import main
from mtfast.conversion import convert as conversion
from mtfast.errors import MtfastError, RemoteError, SourceError, StoreError
from mtfast.remote import objects_at
from mtfast.store.writing.target import store_target
from mtfast.work import bucket
from storage import settings


@pytest.fixture
def target(watched, bucket) -> str:
    return f"{bucket}/sets/graphene.zarr"


def files_of(target: str | Path) -> dict[str, bytes]:
    """Return the bytes of all files or objects below a place."""
    if isinstance(target, Path):
        found = (path for path in target.rglob("*") if path.is_file())
        return {path.relative_to(target).as_posix(): path.read_bytes() for path in found}
    objects = objects_at(Address.parse(target))
    return {key: objects.read(key) for key, _ in objects.walk()}


def test_the_objects_are_the_files_of_a_disk(tiny_set, target, watched, tmp_path):
    options = {"splits": ["test"], "shard": 2, "crop_index": True, "workers": 2}
    on_disk = mtfast.convert(tiny_set, tmp_path / "s.zarr", **options)
    made = mtfast.convert(tiny_set, target, **options)
    assert str(made) == target
    assert files_of(target) == files_of(on_disk)
    put = watched.keys("PUT")
    # Each once, and what makes it a store last.
    assert sorted(put) == sorted(f"{made.host}/{made.key}/{key}" for key in files_of(on_disk))
    assert put[-1].endswith("graphene.zarr/zarr.json")
    assert mtfast.check_store(target).is_whole
    with pytest.raises(
        StoreError, match=r"is a complete store; .* pass overwrite=True, which remov"
    ):
        mtfast.convert(tiny_set, target)


KILLED = """
import sys
from mtfast.conversion import convert as conversion
import mtfast, mtfast.parallel
mtfast.parallel.MOST_PER_TASK = 1
write = conversion.write_shard
def told(job):
    print(job.number, flush=True)
    if job.number == 2:
        sys.stdin.read()
    return write(job)
conversion.write_shard = told
mtfast.convert(sys.argv[1], sys.argv[2], splits=["test"], shard=1, scheduler="sync")
"""


def test_a_run_that_is_killed_is_gone_on_with_by_processes(
    tiny_set, target, watched, tmp_path, monkeypatch
):
    """Spawned ones, of which none sees a file of the client's."""
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, tiny_set, target],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=settings(watched.url),
        text=True,
    )
    assert process.stdout is not None
    assert [process.stdout.readline() for _ in range(3)] == ["0\n", "1\n", "2\n"]
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    there = {key for key in files_of(target) if ".mtfast" not in key}
    assert there == {f"test/{name}" for k in (0, 1) for name in _shards(k)}
    with pytest.raises(SourceError, match=f"{target} is unfinished, .*; run what began it again"):
        mtfast.open_source(target)
    with pytest.raises(StoreError, match=f"{target} is unfinished, .*; run what began it again"):
        mtfast.open(target)
    watched.requests.clear()
    options = {"splits": ["test"], "shard": 1}
    mtfast.convert(tiny_set, target, scheduler="processes", workers=1, **options)
    sent = {key.partition("graphene.zarr/")[2] for key in watched.keys("PUT")}
    assert not sent & there
    assert files_of(target) == files_of(mtfast.convert(tiny_set, tmp_path / "s", **options))


def _shards(number: int) -> tuple[str, str]:
    return f"semantic/c.{number}.0.0", f"images/file/c.{number}.0"


def test_an_image_that_was_mended_is_taken(damaged, target):
    """As the error asked for."""
    names = mtfast.open_source(damaged).table("test", "annotations_with_class_200").names.tolist()
    path = damaged / "test_images" / names[3]
    sound = path.read_bytes()
    path.write_bytes(sound[: len(sound) // 2])
    options = {"splits": ["test"], "shard": 1, "scheduler": "sync"}
    with pytest.raises(MtfastError, match=f"{names[3]} .* kept below {target}/.mtfast; run"):
        mtfast.convert(damaged, target, **options)
    path.write_bytes(sound)
    mtfast.convert(damaged, target, **options)
    assert sound in files_of(target)["test/images/file/c.3.0"]


def test_other_objects_are_left_alone(target, bucket):
    def refuse(address=target):
        store_target(address).refuse_existing(overwrite=True)

    objects = objects_at(Address.parse(target))
    objects.write("notes.txt", b"mine")
    with pytest.raises(StoreError, match=r"has objects and is no mtfast store, such as notes.txt"):
        refuse()
    for no_place in (bucket, "https://host/graphene.zarr"):
        with pytest.raises(StoreError, match="is no place for a store; expected a folder or"):
            refuse(no_place)
    objects.delete(["notes.txt"])
    refuse()
    objects.write("zarr.json", b'{"zarr_format": 3, "node_type": "group"}')
    with pytest.raises(StoreError, match="is a Zarr group and no mtfast store; expected a new"):
        refuse()
    with pytest.raises(StoreError, match=f"/deep/x is inside {target}, which is a Zarr store"):
        refuse(f"{target}/deep/x")
    assert set(files_of(target)) == {"zarr.json"}


PLAN = b'{"command": "convert", "options": {"splits": ["test"]}, "inputs": {}, "version": "0"}'


@pytest.mark.parametrize("is_whole", [True, False])
def test_what_lies_beside_a_store_is_not_removed_with_it(tiny_set, target, is_whole):
    objects = objects_at(Address.parse(target))
    options = {"splits": ["test"], "images": False, "overwrite": True}
    if is_whole:
        mtfast.convert(tiny_set, target, **options)
    else:
        objects.write(".mtfast/run.json", b'{"work": "a", "run": "b"}')
        objects.write(".mtfast/a/plan.json", PLAN)
        objects.write("test/semantic/c.0.0.0", b"")
    for key in ("thesis.pdf", "photos/1.jpg"):
        objects.write(key, b"mine")
        before = files_of(target)
        with pytest.raises(StoreError, match=f"has {key.partition('/')[0]} beside a store or unf"):
            mtfast.convert(tiny_set, target, **options)
        assert files_of(target) == before
        objects.delete([key])
    mtfast.convert(tiny_set, target, **options)


def test_a_folder_that_a_run_left_does_not_make_a_place_of_stores(target):
    objects = objects_at(Address.parse(target))
    objects.write(".mtfast/probe-0", b"")
    store_target(target).refuse_existing(overwrite=True)
    objects.write("notes.txt", b"mine")
    with pytest.raises(StoreError, match=r"has objects and is no mtfast store, such as notes.txt"):
        store_target(target).refuse_existing(overwrite=True)


def test_who_may_not_write_is_told_before_the_work(tiny_set, target, watched, monkeypatch):
    def read(*_, **__):
        raise AssertionError("the annotations were read")

    monkeypatch.setattr(conversion, "read_splits", read)
    watched.fault = lambda asked: "403" if asked.method == "PUT" else None
    with pytest.raises(RemoteError, match=r"is refused .*; check AWS_ACCESS_KEY_ID"):
        mtfast.convert(tiny_set, target)
    watched.fault = lambda asked: None
    with pytest.raises(RemoteError, match="NoSuchBucket"):
        mtfast.convert(tiny_set, "s3://no-such-bucket/x.zarr")


def test_the_command_line(tiny_set, target, capsys):
    line = ["convert", str(tiny_set), target, "--split", "test", "--images", "none"]
    with pytest.raises(SystemExit) as ended:
        main(line)
    said = capsys.readouterr()
    assert ended.value.code == 0, said.err
    assert f"{target}: 4 test images; open it with mtfast.open('{target}')" in said.out + said.err
    objects_at(Address.parse(target)).write(".mtfast/run.json", b"{}")
    (found,) = mtfast.check_store(target).findings
    assert found.kind == "unfinished work"
    with pytest.raises(SystemExit) as ended:
        main([*line[:2], target.replace(".zarr", ".json")])
    assert ended.value.code == 2
    assert "expected a name without .json" in capsys.readouterr().err


def test_masks_are_written_to_disks_alone(tiny_set, target):
    with pytest.raises(
        MtfastError, match=r"is an address; expected a path on this machine; give one, and copy"
    ):
        mtfast.export_masks(tiny_set, target)


def test_a_store_is_replaced_and_no_file_left(tiny_set, target, tmp_path, monkeypatch):
    folders = []

    class Watched(bucket.TemporaryDirectory):
        def __init__(self, **options):
            super().__init__(dir=tmp_path, **options)
            folders.append(self.name)

    monkeypatch.setattr(bucket, "TemporaryDirectory", Watched)
    options = {"splits": ["test"], "images": False}
    mtfast.convert(tiny_set, target, **options, shard=1)
    mtfast.convert(tiny_set, target, **options, overwrite=True)
    assert len(folders) == 2
    assert not list(tmp_path.iterdir())
    assert files_of(target) == files_of(mtfast.convert(tiny_set, tmp_path / "s", **options))
