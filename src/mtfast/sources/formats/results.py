"""COCO results: a list of what a model found, without images and classes.

::

    [{"image_id", "category_id", "segmentation", "score", "bbox"}, …]

Images and classes come from the ground truth, a COCO file that is named, or that is the only one
beside the list. ``score`` and all other keys are in :meth:`~mtfast.sources.Source.records`, and so
in the files that ``derive`` writes.

Source: https://cocodataset.org/#format-results, ``COCO.loadRes`` of pycocotools.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import ClassVar

import msgspec

from mtfast.errors import SourceError
from mtfast.paths import base_name
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.names import is_json, split_named
from mtfast.sources.coco.peek import COCO, peek
from mtfast.sources.coco.records import Records
from mtfast.sources.coco.source import CocoFiles, coco_split
from mtfast.sources.coco.stream import BAD_INPUT
from mtfast.sources.files import FileTree
from mtfast.sources.formats.as_coco import AsCoco, CocoText

__all__ = ["CocoResults", "open_results"]

logger = logging.getLogger(__name__)

_LIST = msgspec.json.Decoder(list[msgspec.Raw])
_MOST_LOOKS = 48
_BESIDE = ("", "annotations")


@dataclass(frozen=True, repr=False, kw_only=True)
class CocoResults(AsCoco, CocoFiles):
    """Results with the images of a ground truth; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    truth : FileTree
        The folder of the ground truth.
    truth_file : str
        The ground truth, in that.
    """

    truth: FileTree
    truth_file: str
    kind: ClassVar[str] = "coco_results"

    def _write(self, split: str, file: str, text: CocoText, ledger: Ledger) -> None:
        with self._open(file) as stream:
            data = stream.read()
        try:
            results = _LIST.decode(data)
        except BAD_INPUT as error:
            raise SourceError(
                f"{file} is no list of COCO results ({error}); expected JSON; copy it again"
            ) from error
        truth = _records_of(self.truth, self.truth_file)
        for image in truth.images:
            text.record_of_image(image)
        for number, result in enumerate(results, 1):
            text.record(_numbered(number, bytes(result)))
        text.finish(truth.categories)


def _records_of(files: FileTree, name: str) -> Records:
    folder, _, file = name.rpartition("/")
    split = coco_split(files, {"annotations": name}, "train")
    source = CocoFiles(files.below(folder) if folder else files, {"train": split}, file)
    with source._open(file) as stream:
        return Records(stream.read(), name)


def _numbered(number: int, record: bytes) -> bytes:
    """Give a result an id, unless it has one: the last of two values of a key counts."""
    inside = record[1:].lstrip()
    if record[:1] != b"{" or inside[:1] == b"}":
        return record
    return b'{"id":%d,%b' % (number, inside)


def open_results(
    files: FileTree, file: str, truth: tuple[FileTree, str] | None, images: FileTree | None
) -> CocoResults:
    """Open a list of results.

    Parameters
    ----------
    files : FileTree
    file : str
    truth : (FileTree, str), optional
        The ground truth; by default it is looked for beside the list.
    images : FileTree, optional
        The folder of the images; by default that of the ground truth.

    Returns
    -------
    CocoResults

    Raises
    ------
    SourceError
        If there is no ground truth, or several may be it.
    """
    where, name = truth or (files, _truth_beside(files, file))
    if not name:
        raise SourceError(
            f"{where.name} is a folder; expected the COCO file of the images and classes of "
            f"{file}; give its path, or make one of another set with mtfast export SRC OUT"
        )
    logger.info("%s: images and classes of %s", file, name)
    split = split_named(base_name(name))
    found = coco_split(where, {"annotations": name}, split, images)
    found = found._replace(variants={"annotations": file})
    return CocoResults(files=files, found={split: found}, file=file, truth=where, truth_file=name)


def _truth_beside(files: FileTree, file: str) -> str:
    names = [
        f"{folder}/{name}" if folder else name
        for folder in _BESIDE
        for name in files.names(folder) or ()
        if is_json(name) and name != file
    ]
    coco = [name for name in names[:_MOST_LOOKS] if peek(files, name) == COCO]
    if len(coco) == 1:
        return coco[0]
    beside = (
        f"several COCO files beside it ({', '.join(coco[:3])})"
        if coco
        else "no COCO file beside it"
    )
    raise SourceError(
        f"{file} is a list of COCO results, with {beside}; expected the COCO file of their images "
        f"and classes; name it with ground_truth=…"
    )
