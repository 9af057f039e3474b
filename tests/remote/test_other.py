"""Storage that fsspec knows and obstore does not: its own memory, beside what it says itself."""

from __future__ import annotations

import pickle

import fsspec
import pytest

import mtfast
from mtfast.addresses import Address
from mtfast.errors import MtfastError, RefusedError, RemoteError
from mtfast.remote import objects_at


@pytest.fixture
def memory():
    files = fsspec.filesystem("memory")
    yield files
    files.store.clear()
    files.pseudo_dirs[:] = [""]


def test_objects(memory):
    content = {"a.json": b"{}", "train/1.jpg": b"0123456789", "train/deep/2.jpg": b"x"}
    for name, data in content.items():
        memory.pipe_file(f"/sets/Graphene/{name}", data)
    objects = pickle.loads(pickle.dumps(objects_at(Address.parse("memory://sets/Graphene"))))
    assert {key: objects.read(key) for key, _ in objects.walk()} == content
    assert {key: stat.n_bytes for key, stat in objects.walk()} == {
        name: len(data) for name, data in content.items()
    }
    found, folders = objects.list("train")
    assert ([name for name, _ in found], folders) == (["1.jpg"], ["deep"])
    assert objects.list("none") == ([], [])
    assert objects.read_ranges("train/1.jpg", [3, 8], [4, 2]) == [b"3456", b"89"]
    for arguments, data in (((), b"0123456789"), ((2, 3), b"234"), ((None, 3), b"789")):
        assert objects.read_part("train/1.jpg", *arguments) == (data, objects.stat("train/1.jpg"))
    assert objects.read_part("train/1.jpg", None, 99)[0] == b"0123456789"
    stamp = objects.stat("a.json").stamp
    assert stamp
    with pytest.raises(RemoteError, match=r"a.json has sent 2 bytes from byte 0 on; expected 5"):
        objects.read_range("a.json", 0, 5)
    for read in (objects.stat, objects.read, lambda key: objects.read_range(key, 0, 1)):
        with pytest.raises(FileNotFoundError, match="memory://sets/Graphene/none"):
            read("none")
    with pytest.raises(FileNotFoundError):
        objects.stat("train")
    for write in (lambda: objects.write("b", b""), lambda: objects.delete(["a.json"])):
        with pytest.raises(MtfastError, match=r"begins with memory://, which is read alone"):
            write()


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (PermissionError("no"), RefusedError, "is refused \\(no\\)"),
        (OSError("cut"), RemoteError, "cannot be reached \\(cut\\)"),
        (ImportError("install paramiko"), MtfastError, "needs another package \\(install para"),
    ],
)
def test_errors_are_one_line(memory, monkeypatch, error, kind, words):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(type(memory), "cat_file", fail)
    with pytest.raises(kind, match=rf"^memory://sets/a {words}") as caught:
        objects_at(Address.parse("memory://sets")).read("a")
    assert len(str(caught.value).splitlines()) == 1


def test_a_dataset(memory, tiny_set):
    for path in tiny_set.rglob("*"):
        if path.is_file():
            memory.pipe_file(f"/sets/Graphene/{path.relative_to(tiny_set)}", path.read_bytes())
    source, here = mtfast.open_source("memory://sets/Graphene"), mtfast.open_source(tiny_set)
    name = str(here["test"].table().names[0])
    assert source["test"].table().names.tolist() == here["test"].table().names.tolist()
    assert source.read_image("test", name) == here.read_image("test", name)
