"""Zips become folders, and hostile ones nothing."""

from __future__ import annotations

import stat
import struct
import zipfile
from io import BytesIO

import pytest

from folders import names_in
from mtfast import atomic
from mtfast.errors import MtfastError, SourceError
from mtfast.fetching.extract import extract
from record_server import zip_of

FILES = {"train_images/a.jpg": b"a" * 5000, "RLE_annotations/x/b.json": b"{}", "c.txt": b""}


def unpacked(folder) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def write(tmp_path):
    """Write a zip, and return where it is and where its folder is to be."""

    def make(data: bytes):
        (tmp_path / "Real_X.zip").write_bytes(data)
        return tmp_path / "Real_X.zip", tmp_path / "Real_X"

    return make


@pytest.mark.parametrize("top", ["", "X/", "X/deep/"])
def test_flat_and_nested_zips(write, top):
    file, folder = write(zip_of({f"{top}{name}": data for name, data in FILES.items()}))
    assert extract(file, folder) == 3
    below = folder / "deep" if "deep" in top else folder
    assert unpacked(below) == FILES
    assert names_in(file.parent) == ["Real_X", "Real_X.zip"]


def test_folders_and_what_macos_adds(write):
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.mkdir("X/empty")
        archive.writestr("X/a.txt", b"a")
        archive.writestr("__MACOSX/X/._a.txt", b"fork")
    file, folder = write(out.getvalue())
    assert extract(file, folder) == 1
    assert unpacked(folder) == {"a.txt": b"a"}


@pytest.mark.parametrize(
    "name", ["../out.txt", "a/../../out.txt", "/out.txt", "a//b", "a\\..\\b", "./a", "a/."]
)
def test_names_that_lead_elsewhere(write, name):
    file, folder = write(zip_of({"fine.txt": b"", name: b"out"}))
    with pytest.raises(SourceError, match=r"a name that leads elsewhere; expected files of a set"):
        extract(file, folder)
    assert names_in(file.parent) == ["Real_X.zip"]


def test_links(write):
    link = zipfile.ZipInfo("a")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(link, b"/etc/passwd")
    file, folder = write(out.getvalue())
    with pytest.raises(SourceError, match=r"has 'a', which is a link or no file; expected files"):
        extract(file, folder)


@pytest.mark.parametrize("name", ["x/a", "X/A/b"])
def test_a_file_that_is_a_folder_too(write, name):
    file, folder = write(zip_of({"x/a/b/c.txt": b"1", "y": b"2", name: b"3"}))
    with pytest.raises(SourceError, match=r"has a file that is a folder too; expected files of a"):
        extract(file, folder)


def test_a_file_twice(write):
    file, folder = write(zip_of({"a.txt": b"1", "A.TXT": b"2"}))
    with pytest.raises(SourceError, match=r"has a file twice; expected files of a set"):
        extract(file, folder)


def test_more_bytes_than_the_zip_states(write):
    """A megabyte of zeros that says it is ten bytes."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb", bytes(1 << 20))
    data = bytearray(out.getvalue())
    entry = data.index(b"PK\x01\x02")
    struct.pack_into("<I", data, entry + 24, 10)
    file, folder = write(bytes(data))
    with pytest.raises(SourceError, match=r"is damaged \(.*\); expected a zip that can be"):
        extract(file, folder)
    assert names_in(file.parent) == ["Real_X.zip"]


def test_sizes_that_the_disk_has_no_room_for(write, monkeypatch):
    class Disk:
        total, free = 1 << 40, 4000

    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda _: Disk)
    file, folder = write(zip_of(FILES))
    with pytest.raises(MtfastError, match=r"^the files in Real_X\.zip take .*; expected room"):
        extract(file, folder)


@pytest.mark.parametrize("damage", ["cut", "bytes", "encrypted", "no zip"])
def test_damaged_zips(write, damage):
    data = bytearray(zip_of(FILES))
    if damage == "cut":
        del data[-40:]
    elif damage == "bytes":
        data[200] ^= 1
    elif damage == "encrypted":
        data[6] |= 1
        data[data.index(b"PK\x01\x02") + 8] |= 1
    else:
        data[:] = b"<html>"
    file, folder = write(bytes(data))
    with pytest.raises(
        SourceError, match=r"is damaged \(.*\); expected a zip that can be unpacked"
    ):
        extract(file, folder)
    assert names_in(file.parent) == ["Real_X.zip"]


def test_what_a_killed_run_left_is_removed(write):
    file, folder = write(zip_of(FILES))
    left = folder.with_name(".Real_X.partial-unpack")
    left.mkdir()
    (left / "old.txt").write_bytes(b"old")
    folder.mkdir()  # Empty, as the user may have made it.
    extract(file, folder)
    assert unpacked(folder) == FILES
    assert names_in(file.parent) == ["Real_X", "Real_X.zip"]
