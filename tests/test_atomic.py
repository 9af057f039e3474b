"""Files and folders that are whole or not there, and places that one run at a time writes to."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from folders import names_in
from mtfast import atomic
from mtfast.atomic import (
    PARTIAL,
    explain_errors,
    locked,
    move,
    new_file,
    sync_tree,
    write_file,
)
from mtfast.errors import MtfastError, StoreError
from mtfast.export.manifest import write_record
from mtfast.pictures.sheet import save_sheet
from mtfast.store.shard import write_shard


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# --- every kind of write, cut short


def file_of_a_block(folder: Path, fail) -> None:
    with new_file(folder / "out.txt") as partial:
        partial.write_bytes(b"half")
        fail()


def file_of_bytes(folder: Path, fail) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda path, data: path.touch() or fail())
        write_file(folder / "out.txt", b"whole")


def shard(folder: Path, fail) -> None:
    def chunks():
        yield b"first"
        fail()

    write_shard(folder / "out.txt", chunks(), 3)


def record(folder: Path, fail) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "write_bytes", lambda path, data: path.touch() or fail())
        write_record(folder, {"version": 1})


def picture(folder: Path, fail) -> None:
    class Sheet:
        def save(self, path, quality):
            path.write_bytes(b"half")
            fail()

    save_sheet(Sheet(), folder / "out.jpg")


WRITES = [
    file_of_a_block,
    file_of_bytes,
    shard,
    record,
    picture,
]
ERRORS = [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device"), ValueError("x")]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("write", WRITES, ids=lambda write: write.__name__)
def test_what_is_unfinished_is_removed(tmp_path, write, error):
    """On any error, Ctrl-C included, and what was there stays."""
    (tmp_path / "out.txt").write_bytes(b"before")
    (tmp_path / "masks.json").write_bytes(b"before")
    before = tree(tmp_path)
    partials = []

    def fail():
        partials.extend(tmp_path.rglob(f"{PARTIAL}*"))
        raise error

    expected = MtfastError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as caught:
        write(tmp_path, fail)
    assert len(partials) >= 1
    assert tree(tmp_path) == before
    assert not list(tmp_path.rglob(f"{PARTIAL}*"))
    if isinstance(error, OSError):
        assert "cannot be written: No space left on device" in str(caught.value)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("at_once", [True, False])
def test_bytes_are_on_the_disk_before_their_name_is(tmp_path, monkeypatch, at_once):
    """A disk that fails to take them leaves what was there."""
    (tmp_path / "out.txt").write_text("before")

    def fail(*_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(atomic, "_sync", fail)
    monkeypatch.setattr(atomic, "_syncfs", lambda: fail if at_once else None)
    with pytest.raises(MtfastError, match="Input/output error"):
        write_file(tmp_path / "out.txt", b"after")
    assert tree(tmp_path) == {"out.txt": b"before"}
    with pytest.raises(OSError, match="Input/output error"):
        sync_tree(tmp_path)


class Journal:
    """The order of what reaches the disk: syncs, by what they find, and renames."""

    def __init__(self, monkeypatch) -> None:
        self.events: list[tuple[str, str]] = []
        sync, replace, rename = os.fsync, os.replace, os.rename
        monkeypatch.setattr(atomic, "_syncfs", lambda: None)

        def fsync(descriptor):
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            self.events.append(("sync", self.shown(path)))
            sync(descriptor)

        def renamed(source, target, call):
            self.events.append(("rename", self.shown(source)))
            call(source, target)

        monkeypatch.setattr(os, "fsync", fsync)
        monkeypatch.setattr(os, "replace", lambda a, b: renamed(a, b, replace))
        monkeypatch.setattr(os, "rename", lambda a, b: renamed(a, b, rename))

    def shown(self, path) -> str:
        name = Path(path).name
        return "partial" if name.startswith(PARTIAL) else name


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")
def test_the_order_of_syncs_and_renames(tmp_path, monkeypatch):
    """Bytes, then the name, then the folder that holds the name."""
    folder = tmp_path / "here"
    folder.mkdir()
    journal = Journal(monkeypatch)
    file = [("sync", "partial"), ("rename", "partial"), ("sync", "here")]
    write_file(folder / "a.txt", b"a")
    assert journal.events == file
    journal.events.clear()
    write_shard(folder / "c.0", [b"chunk"], 1)
    assert journal.events == file
    journal.events.clear()
    (folder / "other").mkdir()
    move(folder / "a.txt", folder / "other" / "a.txt")
    assert journal.events[0] == ("rename", "a.txt")
    assert sorted(journal.events[1:]) == [("sync", "here"), ("sync", "other")]


def test_a_file_system_is_synced_at_once(tmp_path, monkeypatch):
    """Where the system can; an error of it is an error of the write."""
    called = []

    def syncfs(descriptor):
        called.append(os.fstat(descriptor).st_ino)
        return 0

    monkeypatch.setattr(atomic, "_syncfs", lambda: syncfs)
    sync_tree(tmp_path)
    assert called == [tmp_path.stat().st_ino]
    monkeypatch.setattr(atomic, "_syncfs", lambda: lambda descriptor: -1)
    monkeypatch.setattr("ctypes.get_errno", lambda: errno.EIO)
    with pytest.raises(OSError, match="Input/output error"):
        sync_tree(tmp_path)


# --- files


def test_new_files_keep_the_ending(tmp_path):
    """Libraries tell the kind of a picture by it."""
    for name in ("a.png", "no_ending", "b.tar.gz", "c.0.0"):
        with new_file(tmp_path / name) as partial:
            assert partial.suffix == Path(name).suffix
            assert partial.parent == tmp_path
            partial.touch()
    assert names_in(tmp_path) == ["a.png", "b.tar.gz", "c.0.0", "no_ending"]


def test_partial_names_differ(tmp_path):
    """So that two threads, or two machines, that write one file do not mix their bytes."""
    with new_file(tmp_path / "a.txt") as first, new_file(tmp_path / "a.txt") as second:
        assert first != second
        first.write_text("first")
        second.write_text("second")
    assert (tmp_path / "a.txt").read_text() == "first"


# --- folders


# --- what an error is about


def explained(error: OSError, out: Path, partial: Path) -> str:
    with pytest.raises(StoreError) as caught, explain_errors(out, partial, StoreError):
        raise error
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_errors_say_whether_a_read_or_a_write_failed(tmp_path):
    out, partial = tmp_path / "out" / "set.zarr", tmp_path / "out" / f"{PARTIAL}0123"
    denied = (errno.EACCES, "Permission denied")
    for path in (out, out / "train" / "c.0", partial, partial / "c.0", tmp_path / "out"):
        text = explained(OSError(*denied, str(path)), out, partial)
        assert text.startswith(f"{out} cannot be written: Permission denied; expected a folder")
    source = tmp_path / "set" / "a.jpg"
    text = explained(OSError(*denied, str(source)), out, partial)
    assert text.startswith(f"{source} cannot be read: Permission denied; expected a file")
    text = explained(OSError(*denied, os.fsencode(source)), out, partial)
    assert text.startswith(f"{source} cannot be read")
    text = explained(OSError(errno.EIO, "Input/output error"), out, partial)
    assert text.startswith(f"{out} is not finished: Input/output error, in a read or a write")
    # No disk runs out of space on a read.
    text = explained(OSError(errno.ENOSPC, "No space left", str(source)), out, partial)
    assert text.startswith(f"{out} cannot be written: No space left")
    text = explained(OSError(errno.EXDEV, "no link", str(source), None, str(out)), out, partial)
    assert text.startswith(f"{out} cannot be written: no link")


def test_a_block_that_cannot_read_its_source(tmp_path):
    gone = tmp_path / "elsewhere" / "gone.jpg"
    with (
        pytest.raises(MtfastError, match=r"gone.jpg cannot be read: No such"),
        new_file(tmp_path / "out"),
    ):
        gone.read_bytes()
    assert names_in(tmp_path) == []


# --- locks


def test_one_run_at_a_time(tmp_path):
    target = tmp_path / "store.zarr"
    with locked(target):
        for _ in range(2):
            with (
                pytest.raises(StoreError, match=r"being written by another run; .* be alone"),
                locked(target),
            ):
                pass
        with locked(tmp_path / "other.zarr"):
            pass
    with locked(target):
        pass
    with pytest.raises(ValueError, match="of the block"), locked(target):
        raise ValueError("of the block")
    with locked(target):
        pass
    assert names_in(tmp_path) == []


def test_a_lock_that_is_taken_is_not_waited_for(tmp_path, monkeypatch):
    def sleep(seconds):
        raise AssertionError("waits")

    with locked(tmp_path / "store.zarr"):
        monkeypatch.setattr(time, "sleep", sleep)
        with pytest.raises(StoreError, match="another run"), locked(tmp_path / "store.zarr"):
            pass


def test_a_place_that_cannot_be_locked(tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(StoreError, match="cannot be written: Not a directory"),
        locked(tmp_path / "file" / "store.zarr"),
    ):
        pass


HOLD = """
import sys
from pathlib import Path
from mtfast.atomic import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_the_lock_of_a_killed_process_is_free(tmp_path):
    target = tmp_path / "store.zarr"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, target], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(StoreError, match="being written by another run"), locked(target):
        pass
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    with locked(target):
        pass


# Whoever holds the lock makes a file that must not be there, and removes it: a second holder finds
# it. Between release and the next try there is nothing, so that all of them meet there.
RACE = """
import os, sys
from pathlib import Path
from mtfast.atomic import locked
from mtfast.errors import StoreError
target, inside = Path(sys.argv[1]), sys.argv[2]
held = tries = 0
sys.stdin.readline()
while held < 400 and tries < 1_000_000:
    tries += 1
    try:
        with locked(target):
            os.close(os.open(inside, os.O_CREAT | os.O_EXCL))
            held += 1
            os.unlink(inside)
    except StoreError:
        pass
print(held)
"""


def test_two_processes_never_hold_one_lock(tmp_path):
    command = [sys.executable, "-c", RACE, tmp_path / "store.zarr", tmp_path / "inside"]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    racers = [subprocess.Popen(command, text=True, **pipes) for _ in range(3)]
    said = []
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        out, errors = racer.communicate(timeout=300)
        said.append((out.strip(), errors))
    assert said == [("400", "")] * 3


def test_pictures_and_masks_are_read_back(tmp_path):
    """Whatever is written by these rules is what was to be written."""
    write_shard(tmp_path / "c.0", [b"a", b"bc"], 2)
    raw = (tmp_path / "c.0").read_bytes()
    assert raw[:3] == b"abc"
    assert np.frombuffer(raw[3:35], "<u8").tolist() == [0, 1, 1, 2]
