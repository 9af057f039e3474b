"""Outputs that cannot be written are refused before anything is read or made."""

from __future__ import annotations

import os
import re
import shutil
from collections import namedtuple
from pathlib import Path

import pytest

import mtfast
from commands import invoke
from folders import names_in
from mtfast import atomic

FILES = [
    ["preview", "SET", "OUT.png"],
    ["verify", "SET", "--picture", "OUT.png"],
    ["info", "SET", "--areas", "OUT.csv"],
    ["info", "SET", "--plots", "OUT.html"],
]
FOLDERS = [
    ["convert", "SET", "OUT"],
    ["masks", "SET", "OUT"],
    ["export", "SET", "OUT"],
    ["derive", "SET", "OUT", "--min-area", "300"],
    ["synth", "OUT"],
    ["demo", "OUT"],
]


def refused(line: list[str], given: Path, out: str) -> str:
    arguments = [word.replace("SET", str(given)).replace("OUT", out) for word in line]
    status, said, errors = invoke(*arguments)
    # No line about progress comes before it.
    assert (status, said, errors.count("\n")) == (2, "", 1)
    return errors.removeprefix("mtfast: error: ")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def skip_without_matplotlib(line: list[str]) -> None:
    if "--plots" in line:
        pytest.importorskip("matplotlib")


@pytest.mark.parametrize("line", FILES, ids=" ".join)
def test_a_folder_that_is_missing(tiny_set, here, line):
    skip_without_matplotlib(line)
    said = refused(line, tiny_set, "no/such")
    assert f"cannot be written: {here / 'no'} is no folder; expected one that is there" in said
    assert not names_in(here)


@pytest.mark.parametrize("line", FILES, ids=" ".join)
def test_a_folder_where_a_file_should_be(tiny_set, here, line):
    skip_without_matplotlib(line)
    folder = here / f"a{Path(line[-1]).suffix}"
    folder.mkdir()
    assert f"{folder.name} is a folder; expected the name of a file" in refused(line, tiny_set, "a")


@pytest.mark.parametrize("line", FOLDERS, ids=" ".join)
def test_a_file_where_a_folder_should_be(tiny_set, here, line):
    (here / "file").touch()
    said = refused(line, tiny_set, "file/new")
    assert f"new cannot be made: {here / 'file'} is a file; expected a folder" in said
    said = refused(line, tiny_set, "file")
    assert re.search("exists and|is not empty|is a file", said)
    assert names_in(here) == ["file"]


@pytest.mark.parametrize("line", [*FILES, *FOLDERS], ids=" ".join)
def test_a_folder_without_the_right_to_write(tiny_set, here, monkeypatch, line):
    skip_without_matplotlib(line)
    (here / "locked").mkdir()
    touch = Path.touch

    def refuse(path: Path, *arguments: object, **options: object) -> None:
        if path.parent.name == "locked":
            raise PermissionError(13, os.strerror(13), str(path))
        touch(path, *arguments, **options)

    monkeypatch.setattr(Path, "touch", refuse)
    said = refused(line, tiny_set, "locked/new")
    assert "cannot be written: Permission denied; expected a folder with room and the right" in said
    assert not names_in(here / "locked")


@pytest.mark.parametrize("line", FOLDERS[:2], ids=" ".join)
def test_folders_above_an_output_are_made(tiny_set, here, line):
    arguments = [w.replace("SET", str(tiny_set)).replace("OUT", "a/b/c") for w in line]
    assert invoke(*arguments, "--split=test", "--quiet") == (0, "", "")
    assert (here / "a/b/c").is_dir()


Usage = namedtuple("Usage", "total used free")


def test_a_disk_that_is_too_small(tiny_set, here, monkeypatch):
    size = sum(f.stat().st_size for f in (tiny_set / "train_images").iterdir())
    size += sum(f.stat().st_size for f in (tiny_set / "test_images").iterdir())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, size - 1))
    said = rf"^the image files take 0.1 MB, 1 byte more than are free in {here}; expected"
    with pytest.raises(mtfast.StoreError, match=said):
        mtfast.convert(tiny_set, "a.zarr")
    assert not names_in(here)
    mtfast.convert(tiny_set, "without.zarr", images="none")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, size))
    mtfast.convert(tiny_set, "a.zarr")


@pytest.mark.parametrize(
    ("n_bytes", "said"),
    [
        (4_096, "4,096 bytes, 3,096 bytes more"),
        (12_345_678, "12.3 MB, 12.3 MB more"),
        (999_999_999, "1,000.0 MB, 1,000.0 MB more"),
        (51_234_567_890, "51.2 GB, 51.2 GB more"),
    ],
)
def test_room_that_is_missing_is_said_in_a_unit_that_shows_it(here, monkeypatch, n_bytes, said):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 0, 1000))
    with pytest.raises(mtfast.MtfastError, match=rf"^all files take {said} than are free in"):
        atomic.check_room(here, n_bytes, "all files")


def test_a_disk_that_tells_no_size(here, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 0))
    atomic.check_room(here, 10**12, "all files")
