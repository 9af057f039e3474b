"""Every format is read through a tree of files that need not be a folder."""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

import mtfast
from mtfast import sources
from mtfast.sources import Source
from mtfast.sources.files import FileTree
from other_tools import masks_of
from own_sets import make_own_sets, make_sets_of_tools


@dataclass(frozen=True)
class InMemory(FileTree):
    """The files below a folder, as they were when it was read."""

    root: Path
    contents: tuple[tuple[str, bytes], ...]
    inner: str = ""

    @classmethod
    def of(cls, root: Path) -> InMemory:
        files = [path for path in sorted(root.rglob("*")) if path.is_file()]
        contents = [(path.relative_to(root).as_posix(), path.read_bytes()) for path in files]
        return cls(root, tuple(contents))

    @property
    def location(self) -> Path:
        return self.root / self.inner

    @property
    def parent(self) -> FileTree | None:
        return replace(self, inner=self.inner.rpartition("/")[0]) if self.inner else None

    def _at(self, path: str) -> str:
        return "/".join(part for part in (self.inner, path) if part)

    def _entries(self, folder: str) -> list[tuple[str, bool]] | None:
        prefix = f"{self._at(folder)}/".lstrip("/")
        inside = [name[len(prefix) :] for name, _ in self.contents if name.startswith(prefix)]
        return list({(n.partition("/")[0], "/" in n): None for n in inside}) or None

    def _below(self, folder: str) -> FileTree:
        return replace(self, inner=self._at(folder))

    def _exists(self, path: str) -> bool:
        return self._at(path) in dict(self.contents)

    def _changed(self, folder: str) -> int | None:
        return None

    def _open(self, path: str) -> BinaryIO:
        if not self._exists(path):
            raise FileNotFoundError(path)
        return io.BytesIO(dict(self.contents)[self._at(path)])

    def _stamp(self, path: str) -> list[int | str]:
        return [len(dict(self.contents)[self._at(path)])]


@pytest.fixture(scope="module")
def sets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("sets")
    make_own_sets(folder)
    make_sets_of_tools(folder)
    return folder


def find(files: FileTree) -> Source:
    return next(found for look in sources._FOLDERS if (found := look(files)) is not None)


SETS = {
    "leaves": "yolo",
    "anything": "sa1b",
    "rooms": "coco_panoptic",
    "streets": "class_maps",
    "fruits": "coco",
}


@pytest.mark.parametrize("name", SETS)
def test_folders_of_a_tree(sets, name):
    source, expected = find(InMemory.of(sets / name)), mtfast.open_source(sets / name)
    assert source.kind == expected.kind == SETS[name]
    assert source.splits == expected.splits
    for split in source.splits:
        table = source.table(split, "annotations")
        assert masks_of(table) == masks_of(expected.table(split, "annotations"))
        assert table.n_instances
        assert source.read_image(split, table.names[0]) == expected.read_image(
            split, table.names[0]
        )
        pickle.loads(pickle.dumps(expected))


FILES = {
    "leaves": "data.yaml",
    "anything/sa_000020": "sa_1.json",
    "rooms/annotations": "panoptic_val.json",
}


@pytest.mark.parametrize("folder", FILES)
def test_files_of_a_tree(sets, folder):
    expected = mtfast.open_source(sets / folder / FILES[folder])
    source = sources._open_file(InMemory.of(sets / folder), FILES[folder], None, None)
    assert source.kind == expected.kind != "coco"
    split = source.splits[0]
    found, wanted = (s.table(split, "annotations") for s in (source, expected))
    assert masks_of(found) == masks_of(wanted)


def test_results_of_a_tree(sets):
    truth = InMemory.of(sets / "coco"), "annotations/instances_val2017.json"
    source = sources._open_file(InMemory.of(sets / "runs"), "predictions.json", None, truth)
    table = source.table("val2017", "annotations")
    n = mtfast.open_source(sets / "coco").table("val2017", "annotations").n_instances
    assert table.n_instances == n
    assert source.read_image("val2017", table.names[0])
    assert np.array_equal(np.sort(table.instance_ids), np.arange(1, n + 1))
