"""A folder of images without annotations, to predict on."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mtfast.errors import SourceError, counted
from mtfast.paths import stem_of
from mtfast.ragged import as_strings
from mtfast.sources.bad_records import Ledger, LedgerPolicy, refusal
from mtfast.sources.coco.read import Reading
from mtfast.sources.coco.records import Records, records_of
from mtfast.sources.files import FileTree
from mtfast.sources.foreign import name_folder
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.image_size import read_size
from mtfast.sources.source import Source
from mtfast.table import RunTable

__all__ = ["ImagesOnly", "find_images"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class ImagesOnly(Source):
    """A folder of images; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    folder : str
        Where they are in :attr:`files`.
    """

    folder: str
    kind: ClassVar[str] = "images"

    def _annotations_at(self, split: str, variant: str) -> str:
        return self.folder or self.files.name

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, self.folder)

    def _read(self, split: str, file: str, policy: LedgerPolicy) -> Reading:
        ledger = Ledger(file, policy)
        names, sizes = [], []
        for name in self.image_names(split) or ():
            try:
                size = read_size(self.read_image(split, name), name)
            except SourceError as error:
                ledger.keep("unreadable image", name, str(error).partition(";")[0])
                continue
            names.append(name)
            sizes.append((size.height, size.width))
        ledger.say("image without annotations", names, map(repr, names))
        found = ledger.found()
        if message := refusal(ledger, found):
            raise SourceError(message)
        return Reading(_table(names, sizes), found)

    def _read_records(self, split: str, file: str) -> Records:
        return records_of(self._read(split, file, self.bad).table, file)


def _table(names: list[str], sizes: list[tuple[int, int]]) -> RunTable:
    sides = np.array(sizes, np.int64).reshape(-1, 2)
    return replace(
        RunTable.of_texts((1, 1), [[] for _ in names]),
        names=as_strings(names),
        heights=sides[:, 0],
        widths=sides[:, 1],
    )


def find_images(files: FileTree) -> ImagesOnly | None:
    """Find images in a folder, or in ``images/`` inside it.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    ImagesOnly or None
        None if there are none.

    Raises
    ------
    SourceError
        If they are the images or the masks of a dataset that the folder is part of, are in several
        folders, or have annotations of another format: all their masks would be empty.
    """
    for folder in ("", "images"):
        if names := ImageFolder(files, folder).names():
            _expect_no_part(files, folder)
            if message := name_folder(files):
                raise SourceError(message)
            logger.info("%s holds %s and no annotations", files.name, counted(len(names), "image"))
            return ImagesOnly(files, folder)
    inside = [f"{name}/" for name in files.folders() if ImageFolder(files, name).names()]
    if inside:
        _expect_no_part(files, "")
        if message := name_folder(files):
            raise SourceError(message)
        raise SourceError(
            f"{files.location} holds folders of images and no annotations: {', '.join(inside)}; "
            f"expected one folder of images; give the path of one of them"
        )
    return None


def _expect_no_part(files: FileTree, folder: str) -> None:
    """Refuse a folder of masks, and one of images whose masks lie beside it."""
    here = files.below(folder)
    above = here.parent
    if above is None:
        return
    for inner, outer in ((here, above), (above, above.parent)):
        if outer is None:
            break
        if _OF_MASKS.search(inner.name):
            raise SourceError(
                f"{here.location} holds masks, as {inner.name}/ says; expected images; "
                f"give the path of the dataset, {outer.where()}"
            )
        if inner.name == "images" and outer.names(_MASKS) is not None:
            raise SourceError(
                f"{here.location} holds images whose masks are in {_MASKS}/; expected the folder "
                f"of both; give the path {outer.where()}"
            )
    split = here.name.removesuffix("_images")
    for beside in _OF_ANNOTATIONS:
        files_there = [name for name in above.names(beside) or () if name.endswith(".json")]
        if any(split in stem_of(name).split("_") for name in files_there):
            raise SourceError(
                f"{here.location} holds images whose annotations are in {beside}/; expected the "
                f"dataset; give the path {above.where()}"
            )


_MASKS = "instance_masks"
_OF_ANNOTATIONS = ("RLE_annotations", "annotations")

_OF_MASKS = re.compile(r"(^|_)masks?$", re.IGNORECASE)
