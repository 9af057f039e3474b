"""Sets of drawing tools are read through trees of files that have no paths on this machine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import mtfast
from mtfast.derivation import derive_dataset
from mtfast.sources.drawn.label_studio import find_label_studio
from mtfast.sources.drawn.labelme import find_labelme
from mtfast.sources.files import FileTree, Folder
from own_sets import make_label_studio_set, make_labelme_set


@dataclass(frozen=True)
class Elsewhere(Folder):
    """A folder whose files can be read and have no paths."""

    def local(self, path: str = "") -> Path | None:  # type: ignore[override]
        return None

    @property
    def parent(self) -> None:
        return None

    def _below(self, folder: str) -> FileTree:
        return Elsewhere(self.root / folder)


@pytest.mark.parametrize(
    ("make", "find"),
    [(make_labelme_set, find_labelme), (make_label_studio_set, find_label_studio)],
)
def test_a_set_is_read_through_any_tree(tmp_path, make, find):
    make(tmp_path / "set")
    here = mtfast.open_source(tmp_path / "set", bad="skip")
    source = replace(find(Elsewhere(tmp_path / "set")), bad="skip")
    table = source.table("train", "annotations")
    assert table.digest() == here.table("train", "annotations").digest()
    assert source.image_names("train") == here.image_names("train")
    derive_dataset(source, tmp_path / "derived", min_areas=(10,))
    for name in table.names.tolist():
        copied = tmp_path / "derived" / "train_images" / name
        assert copied.read_bytes() == here.read_image("train", name)
        assert copied.stat().st_nlink == 1
