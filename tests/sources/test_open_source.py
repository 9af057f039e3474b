"""What open_source says about paths that hold no dataset, and the files below a folder."""

from __future__ import annotations

import os

import pytest

import mtfast
from mtfast.errors import SourceError
from mtfast.sources.files import Folder


def test_no_such_path(tmp_path):
    with pytest.raises(
        SourceError, match=r"^no such file or folder: .*nowhere; expected .*; check"
    ):
        mtfast.open_source(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["set.zip", "README"])
def test_files_that_are_no_json(tmp_path, name):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=rf"^{name} is a .* file; expected .*; unpack it"):
        mtfast.open_source(tmp_path / name)


def test_a_folder_without_a_dataset(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(SourceError) as caught:
        mtfast.open_source(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"no dataset in {tmp_path.name}; expected ")
    for part in ("RLE_annotations/", "annotations/", "images/", "instance_masks/", ".json"):
        assert part in message
    (tmp_path / "coco.json").touch()
    with pytest.raises(SourceError, match=rf"; perhaps {tmp_path.name}/coco.json$"):
        mtfast.open_source(tmp_path)
    (tmp_path / "zarr.json").touch()
    with pytest.raises(SourceError, match=r"is a Zarr store; .*; open a store with mtfast.open$"):
        mtfast.open_source(tmp_path)


def test_instance_masks_beside_other_annotations(tmp_path):
    for name in ("images", "instance_masks", "annotations"):
        (tmp_path / name).mkdir()
    assert mtfast.open_source(tmp_path).kind == "label_png"


def test_folder(tmp_path):
    for name in ("b.txt", "a.txt", ".hidden", "sub/c.txt", "sub/deep/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = Folder(tmp_path)
    assert files.names() == ["a.txt", "b.txt"]
    assert files.names("sub") == ["c.txt"]
    assert files.names("none") is None
    assert files.names("a.txt") is None
    assert files.folders() == ["sub"]
    assert files.folders("sub") == ["deep"]
    assert files.folders("none") == []
    assert files.exists("sub/c.txt")
    assert not any(map(files.exists, ("sub", "none", "../x", "a\0", "")))
    assert files.read("sub/deep/d.txt") == b"sub/deep/d.txt"
    for path in ("none", "none/x", "a.txt/x", f"../{tmp_path.name}/a.txt", str(tmp_path / "a.txt")):
        with pytest.raises(FileNotFoundError):
            files.read(path)
    with pytest.raises(SourceError, match=r"^sub cannot be read \(Is a directory\); expected a re"):
        files.read("sub")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files(tmp_path):
    (tmp_path / "a.txt").touch(mode=0)
    (tmp_path / "sub").mkdir(mode=0)
    for call in (lambda f: f.read("a.txt"), lambda f: f.names("sub")):
        with pytest.raises(SourceError, match=r"cannot be read \(Permission denied\)"):
            call(Folder(tmp_path))
