"""A folder of images without annotations, to predict on."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mtfast.errors import SourceError
from mtfast.sources.bad_records import Ledger, LedgerPolicy, refusal
from mtfast.sources.coco.read import Reading
from mtfast.sources.coco.records import Records, records_of
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.image_size import read_size
from mtfast.sources.source import Source
from mtfast.table import RunTable

__all__ = ["ImagesOnly", "find_images"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
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
        return self.folder or self.files.root.name

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
        names=np.array(names, np.dtypes.StringDType()),
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
    """
    for folder in ("", "images"):
        if names := ImageFolder(files, folder).names():
            logger.info("%s holds %d images and no annotations", files.root.name, len(names))
            return ImagesOnly(files, folder)
    return None
