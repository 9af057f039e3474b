"""A MaskTerial folder, as in Zenodo record 15765514.

::

    NAME/
      RLE_annotations/                     or annotations/
        {split}_annotations….json          one file a variant
        {n}_shot/run_{r}/{split}_annotations….json
      {split}_images/                      JPEG
      {split}_semantic_masks/              PNG
      meta_data/{split}_set_name_to_uuid.json

Which splits and variants there are is read off the names of the files; any part may be missing
until it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import msgspec

from mtfast.errors import SourceError
from mtfast.sources.coco.parse import parse_coco
from mtfast.sources.coco.records import Records
from mtfast.sources.coco.stream import BAD_INPUT
from mtfast.sources.files import Files, Folder
from mtfast.sources.source import (
    SetNames,
    expect_one_of,
    find_listed,
    image_names,
    open_found,
    read_found,
    read_listed,
)
from mtfast.table import RunTable

__all__ = ["ANNOTATION_FOLDERS", "MaskTerial", "find_maskterial", "no_annotation_file"]

ANNOTATION_FOLDERS = ("RLE_annotations", "annotations")
_ANNOTATION_FILE = re.compile(r"(?P<split>[^_]+)_(?P<variant>annotations.*)\.json")
_FIRST_SPLITS = ("train", "test")


@dataclass(frozen=True)
class MaskTerial:
    """A MaskTerial folder; see :class:`mtfast.sources.Source`.

    ``found`` holds the variants of each split, ``folder`` the name of the folder they are in.
    """

    files: Files
    folder: str
    found: dict[str, tuple[str, ...]]
    kind: str = "maskterial"

    @property
    def path(self) -> Path:
        """Absolute path of the folder."""
        return self.files.root

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.files.root.name

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have annotation files, "train" and "test" before others."""
        return tuple(self.found)

    def variants(self, split: str) -> tuple[str, ...]:
        """Names of the annotation variants of a split, those of n-shot subsets last."""
        self._expect_split(split)
        return self.found[split]

    def variant_file(self, split: str, variant: str) -> str:
        """Path of the annotations of a variant, relative to the folder."""
        expect_one_of(variant, self.variants(split), f"variant of {split}", self.name)
        path = PurePosixPath(self.folder, variant)
        return str(path.with_name(f"{split}_{path.name}.json"))

    def table(self, split: str, variant: str) -> RunTable:
        """Read the annotations of a variant; see :meth:`mtfast.sources.Source.table`."""
        file = self.variant_file(split, variant)
        with open_found(self.files, file) as stream:
            return parse_coco(stream, file)

    def records(self, split: str, variant: str) -> Records:
        """Read the annotations of a variant as JSON text."""
        file = self.variant_file(split, variant)
        return Records(read_found(self.files, file), file)

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """Sorted names of the image files of a split; None if there is no folder of them."""
        self._expect_split(split)
        return image_names(self.files, f"{split}_images")

    def find_image(self, split: str, name: str) -> str | None:
        """Path of the file of an image; None if it is missing."""
        self._expect_split(split)
        return find_listed(self.files, f"{split}_images", name)

    def read_image(self, split: str, name: str) -> bytes:
        """Contents of the file of an image; SourceError if it is missing."""
        self._expect_split(split)
        return read_listed(self.files, f"{split}_images", name, "image")

    def set_names(self, split: str) -> SetNames:
        """Return the named sets of a split; empty where there is no file of them.

        Notes
        -----
        Two shapes are about: ``{"Set_A": ["<uuid>.png", …], …}`` and ``{"test sets": ["Set_A",
        …]}``, of which the second does not say which images belong to a set.
        """
        sets: list[str] = []
        members: dict[str, str] = {}
        for key, names in self.set_lists(split).items():
            if key.lower() in ("sets", f"{split} sets"):
                sets += names
            else:
                sets.append(key)
                members |= {PurePosixPath(name).stem: key for name in names}
        return SetNames(tuple(dict.fromkeys(sets)), members)

    def set_lists(self, split: str) -> dict[str, list[str]]:
        """Return the file of the named sets of a split as it is; empty where there is none."""
        self._expect_split(split)
        file = f"meta_data/{split}_set_name_to_uuid.json"
        if not self.files.exists(file):
            return {}
        try:
            return msgspec.json.decode(read_found(self.files, file), type=dict[str, list[str]])
        except BAD_INPUT as error:
            raise SourceError(
                f"{file}: {error}; expected names of sets with a list of names each; "
                f"correct the file, or remove it to go on without names of sets"
            ) from error

    def mask_names(self, split: str) -> tuple[str, ...] | None:
        """Sorted names of the semantic masks of a split; None if there is no folder of them."""
        self._expect_split(split)
        return image_names(self.files, f"{split}_semantic_masks")

    def find_mask(self, split: str, name: str) -> str | None:
        """Path of the file of a semantic mask; None if it is missing."""
        self._expect_split(split)
        return find_listed(self.files, f"{split}_semantic_masks", name)

    def read_mask(self, split: str, name: str) -> bytes:
        """Contents of the file of a semantic mask; SourceError if it is missing."""
        self._expect_split(split)
        return read_listed(self.files, f"{split}_semantic_masks", name, "mask")

    def _expect_split(self, split: str) -> None:
        expect_one_of(split, self.splits, "split", self.name)


def find_maskterial(files: Folder) -> MaskTerial | None:
    """Find a MaskTerial set in a folder, or in a folder of its own inside; None if there is none.

    Raises
    ------
    SourceError
        If there are several.
    """
    if here := _set_in(files):
        return here
    inside = [found for root in _inside(files) if (found := _set_in(root))]
    if len(inside) > 1:
        raise SourceError(
            f"{files.root.name} holds several datasets: {', '.join(s.name for s in inside)}; "
            f"expected one; give the path of one of them"
        )
    return inside[0] if inside else None


def no_annotation_file(files: Folder) -> str | None:
    """Say so if a folder has a folder of annotations without any; None if it has none at all."""
    for root in (files, *_inside(files)):
        for folder in ANNOTATION_FOLDERS:
            names = root.names(folder)
            if names is None:
                continue
            jsons = [name for name in names if name.lower().endswith(".json")]
            others = f" of a MaskTerial set but {jsons[0]}" if jsons else ""
            return (
                f"{folder}/ of {root.root.name} holds no annotation file{others}; "
                f"expected {{split}}_annotations….json such as train_annotations_300.json; "
                f"{'open a COCO file by its own path' if jsons else 'unpack the dataset again'}"
            )
    return None


def _inside(files: Folder) -> list[Folder]:
    return [Folder(files.root / name) for name in files.folders()]


def _set_in(files: Files) -> MaskTerial | None:
    for folder in ANNOTATION_FOLDERS:
        found: dict[str, list[str]] = {}
        for inner, name in _walk(files, folder):
            if match := _ANNOTATION_FILE.fullmatch(name):
                found.setdefault(match["split"], []).append(inner + match["variant"])
        if found:
            splits = [split for split in _FIRST_SPLITS if split in found]
            splits += sorted(found.keys() - set(splits))
            return MaskTerial(
                files, folder, {split: tuple(sorted(found[split], key=_rank)) for split in splits}
            )
    return None


def _walk(files: Files, folder: str, inner: str = "") -> Iterator[tuple[str, str]]:
    """Yield each file below a folder as its path there, ending in "/" if not empty, and name."""
    for name in files.names(f"{folder}/{inner}") or ():
        yield inner, name
    for name in files.folders(f"{folder}/{inner}"):
        yield from _walk(files, folder, f"{inner}{name}/")


def _rank(variant: str) -> tuple[bool, list[str | int], str]:
    """Sort key: files at the top first, then folder by folder with numbers compared as such."""
    inner, _, name = variant.rpartition("/")
    parts = [int(part) if part.isdecimal() else part for part in re.split(r"([0-9]+)", inner)]
    return bool(inner), parts, name
