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

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import ClassVar

import msgspec

from mtfast.errors import SourceError
from mtfast.limits import MAX_LIST_BYTES
from mtfast.paths import stem_of
from mtfast.sources.coco.stream import BAD_INPUT
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.source import SetNames, Source
from mtfast.sources.split_names import in_order

__all__ = ["ANNOTATION_FOLDERS", "MaskTerial", "find_maskterial", "no_annotation_file"]

logger = logging.getLogger(__name__)

ANNOTATION_FOLDERS = ("RLE_annotations", "annotations")
_ANNOTATION_FILE = re.compile(r"(?P<split>[^_]+)_(?P<variant>annotations.*)\.json")


@dataclass(frozen=True, repr=False)
class MaskTerial(Source):
    """A MaskTerial folder; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    folder : str
        Name of the folder of annotations.
    found : dict
        The variants of each split.
    """

    folder: str
    found: dict[str, tuple[str, ...]]
    kind: ClassVar[str] = "maskterial"

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have annotation files, "train" and "test" before others."""
        return tuple(self.found)

    def _variants(self, split: str) -> tuple[str, ...]:
        return self.found[split]

    def _annotations_at(self, split: str, variant: str) -> str:
        path = PurePosixPath(self.folder, variant)
        return str(path.with_name(f"{split}_{path.name}.json"))

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, f"{split}_images")

    def _mask_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, f"{split}_semantic_masks")

    def _set_names(self, split: str) -> SetNames:
        """Make sense of the file of the named sets.

        Two shapes are in use: ``{"Set_A": ["<uuid>.png", …], …}`` and ``{"test sets": ["Set_A",
        …]}``, of which the second does not say which images belong to a set.
        """
        sets: list[str] = []
        members: dict[str, str] = {}
        for key, names in self._set_lists(split).items():
            if key.lower() in ("sets", f"{split} sets"):
                sets += names
            else:
                sets.append(key)
                members |= {stem_of(name): key for name in names}
        return SetNames(tuple(dict.fromkeys(sets)), members)

    def _set_lists(self, split: str) -> dict[str, list[str]]:
        file = f"meta_data/{split}_set_name_to_uuid.json"
        if not self.files.exists(file):
            return {}
        try:
            return msgspec.json.decode(
                self.files.read(file, MAX_LIST_BYTES), type=dict[str, list[str]]
            )
        except BAD_INPUT as error:
            raise SourceError(
                f"{file}: {error}; expected names of sets with a list of names each; "
                f"correct the file, or remove it to go on without names of sets"
            ) from error


def find_maskterial(files: FileTree) -> MaskTerial | None:
    """Find a MaskTerial set in a folder, or in a folder inside it.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    MaskTerial or None
        None if there is none.

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
            f"{files.location} holds several datasets: {', '.join(s.name for s in inside)}; "
            f"expected one; give the path of one of them"
        )
    return inside[0] if inside else None


def no_annotation_file(files: FileTree) -> str | None:
    """Describe a folder of annotations in which no annotation file was found.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    str or None
        The message of an error; None if there is no such folder at all.
    """
    for root in (files, *_inside(files)):
        for folder in ANNOTATION_FOLDERS:
            names = root.names(folder)
            if names is None:
                continue
            jsons = [name for name in names if name.lower().endswith(".json")]
            others = f" of a MaskTerial set but {jsons[0]}" if jsons else ""
            advice = "unpack the dataset again"
            if jsons:
                # Sets of other layouts are not looked for further down.
                own = "open a COCO file by its own path"
                advice = own if root is files else f"give the path of a COCO set, {root.location}"
            return (
                f"{folder}/ of {root.location} holds no annotation file{others}; "
                f"expected {{split}}_annotations….json such as train_annotations_300.json; "
                f"{advice}"
            )
    return None


def _inside(files: FileTree) -> list[FileTree]:
    return [files.below(name) for name in files.folders()]


def _set_in(files: FileTree) -> MaskTerial | None:
    for folder in ANNOTATION_FOLDERS:
        found: dict[str, list[str]] = {}
        for inner, name in _walk(files, folder):
            if match := _ANNOTATION_FILE.fullmatch(name):
                found.setdefault(match["split"], []).append(inner + match["variant"])
        if found:
            found = in_order(found)
            logger.info(
                "%s is a MaskTerial set: %s/ has annotation files of %s",
                files.name,
                folder,
                ", ".join(f"{split} ({len(found[split])})" for split in found),
            )
            return MaskTerial(
                files, folder, {split: tuple(sorted(found[split], key=_rank)) for split in found}
            )
    return None


def _walk(files: FileTree, folder: str, inner: str = "") -> Iterator[tuple[str, str]]:
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
