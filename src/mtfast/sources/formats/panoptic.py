"""COCO panoptic: a JSON file, and a PNG for each image whose colours are the ids of segments.

::

    annotations/panoptic_val2017.json
    annotations/panoptic_val2017/000000000139.png     id = R + 256 G + 256² B, 0 is no segment
    val2017/000000000139.jpg

Things and stuff become instances, one for each segment. Their ids count from 1, as those of
segments repeat; these, ``isthing`` and all other keys are in
:meth:`~mtfast.sources.Source.records`.

Source: https://cocodataset.org/#format-data, section 4; ``rgb2id`` of panopticapi.
"""

from __future__ import annotations

import logging
import re
import struct
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.limits import check_pixels, max_file_bytes
from mtfast.rles.label_map import scan_labels
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.names import is_json, split_named, stem_of_json
from mtfast.sources.coco.peek import COCO, PANOPTIC, peek
from mtfast.sources.coco.source import CocoFiles, CocoSplit, coco_split
from mtfast.sources.coco.stream import BAD_INPUT
from mtfast.sources.files import FileTree
from mtfast.sources.formats.as_coco import AsCoco, CocoText, each_in_order
from mtfast.sources.split_names import in_order

__all__ = ["Panoptic", "decode_ids", "find_panoptic", "open_panoptic"]

logger = logging.getLogger(__name__)

_FOLDERS = ("annotations", "")
# Files that are opened to see what they are.
_MOST_LOOKS = 4
_CALLED_SO = re.compile(r"panoptic_|instances_")
_PNG = b"\x89PNG\r\n\x1a\n"
_RGB, _RGBA = 2, 6
_HEADER = 33


class _Image(msgspec.Struct, gc=False):
    id: int
    height: int
    width: int
    file_name: str


class _Segment(msgspec.Struct, gc=False):
    id: int
    category_id: int
    area: float | None = None
    bbox: list[float] | None = None
    iscrowd: int | bool = 0


class _Annotation(msgspec.Struct, gc=False):
    image_id: int
    file_name: str
    segments_info: list[msgspec.Raw]


class _Document(msgspec.Struct, gc=False):
    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw] = []


class _Masks(NamedTuple):
    """What was read of a PNG: the mask of each id in it, or what is wrong."""

    ids: list[int]
    texts: list[str]
    size: tuple[int, int] = (0, 0)
    fault: str = ""


_DOCUMENT = msgspec.json.Decoder(_Document)
_IMAGE = msgspec.json.Decoder(_Image)
_ANNOTATION = msgspec.json.Decoder(_Annotation)
_SEGMENT = msgspec.json.Decoder(_Segment)
_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])


@dataclass(frozen=True, repr=False)
class Panoptic(AsCoco, CocoFiles):
    """COCO's panoptic files; see :class:`mtfast.sources.Source`."""

    kind: ClassVar[str] = "coco_panoptic"

    def _write(self, split: str, file: str, text: CocoText, ledger: Ledger) -> None:
        ledger.expected = "segments as COCO's panoptic format describes them, and their PNG files"
        with self._open(file) as stream:
            document = _document(stream.read(), file)
        images = {}
        for number, record in enumerate(document.images):
            if image := _decoded(_IMAGE, record, f"image number {number}", ledger):
                images[image.id] = image
                text.record_of_image(record)
        annotations = [
            annotation
            for number, record in enumerate(document.annotations)
            if (annotation := _decoded(_ANNOTATION, record, f"annotation number {number}", ledger))
        ]
        folder = _folder_of_pngs(self.files, file, annotations)
        paths = (f"{folder}{annotation.file_name}" for annotation in annotations)
        masks = each_in_order(self._read_masks, paths)
        for annotation, found in zip(annotations, masks, strict=True):
            image = images.get(annotation.image_id)
            size = (image.height, image.width) if image else found.size
            if found.fault:
                ledger.keep("unreadable mask", annotation.file_name, found.fault)
            elif found.size != size:
                words = "{} is {} x {}, its image {} x {}".format(
                    annotation.file_name, *found.size, *size
                )
                ledger.keep("mask of another size", annotation.file_name, words)
            else:
                _add_segments(text, annotation, found, ledger)
        text.finish(document.categories)

    def _read_masks(self, path: str) -> _Masks:
        try:
            ids = decode_ids(self.files.read(path, max_file_bytes()), path)
        except FileNotFoundError:
            return _Masks([], [], fault=f"{path} is missing")
        except SourceError as error:
            return _Masks([], [], fault=str(error).partition(";")[0])
        labels, rles = scan_labels(ids)
        texts = [text.decode() for text in rles.texts()]
        return _Masks(labels.tolist(), texts, (ids.shape[0], ids.shape[1]))


def _add_segments(text: CocoText, annotation: _Annotation, found: _Masks, ledger: Ledger) -> None:
    name = annotation.file_name
    texts = dict(zip(found.ids, found.texts, strict=True))
    for number, record in enumerate(annotation.segments_info):
        segment = _decoded(_SEGMENT, record, f"{name}: segment number {number}", ledger)
        if segment is None:
            # It cannot be told which pixels are its own.
            return
        counts = texts.pop(segment.id, None)
        where = f"segment {segment.id} of {name}"
        if counts is None:
            ledger.keep("segment without pixels", (name, segment.id), where)
            continue
        fields: dict[str, Any] = _FIELDS.decode(record)
        fields |= {
            "id": text.n + 1,
            "image_id": annotation.image_id,
            "segment_id": segment.id,
            "segmentation": {"size": found.size, "counts": counts},
            "iscrowd": int(segment.iscrowd),
        }
        text.record(msgspec.json.encode(fields))
    if texts:
        # A photograph has many ids.
        more = f" and {len(texts) - 1:,} more" if len(texts) > 1 else ""
        words = f"id {next(iter(texts))}{more} in {name}, without a segment"
        ledger.keep("pixels of no class", name, words)


def _document(data: bytes, file: str) -> _Document:
    try:
        return _DOCUMENT.decode(data)
    except BAD_INPUT as error:
        raise SourceError(
            f"{file} is no COCO panoptic file ({error}); expected images, annotations with "
            f"segments_info, and categories; check that it is the right file"
        ) from error


def _decoded(decoder: Any, record: msgspec.Raw, where: str, ledger: Ledger) -> Any:
    """Decode a record; None if it is bad, which is counted."""
    try:
        return decoder.decode(record)
    except BAD_INPUT as error:
        ledger.keep("malformed record", where, f"{where}: {error}")
        return None


def _folder_of_pngs(files: FileTree, file: str, annotations: list[_Annotation]) -> str:
    """Find the folder of the first PNG: that called as the JSON file, or beside it."""
    folder, slash, name = file.rpartition("/")
    stem = stem_of_json(name)
    beside = [f"{folder}{slash}{stem}/", f"{stem}/", f"{folder}{slash}panoptic/", "panoptic/"]
    places = [*dict.fromkeys((*beside, f"{folder}{slash}", "masks/", ""))]
    first = [annotation.file_name for annotation in annotations[:1]]
    there = (place for place in places if any(files.exists(f"{place}{name}") for name in first))
    return next(there, places[0])


def decode_ids(data: bytes, file: str) -> NDArray[np.int64]:
    """Decode a PNG whose colours are ids.

    Parameters
    ----------
    data : bytes
        The file.
    file : str
        Its name, for messages.

    Returns
    -------
    (height, width) int64
        R + 256 G + 256² B.

    Raises
    ------
    SourceError
        If it is no PNG of 8-bit colours, or is damaged.
    """
    import imagecodecs

    if data[:8] != _PNG or len(data) < _HEADER:
        raise SourceError(f"{file} is not a PNG; expected one whose colours are ids; save it again")
    width, height, depth, colour = struct.unpack_from(">IIBB", data, 16)
    check_pixels(f"{file} is a PNG", height, width, SourceError)
    if colour not in (_RGB, _RGBA) or depth != 8:
        raise SourceError(
            f"{file} is a PNG without 8-bit colours; expected red, green and blue, which make up "
            f"the id of a segment; save it in RGB"
        )
    try:
        pixels = imagecodecs.png_decode(data)
    except (ValueError, RuntimeError, MemoryError) as error:
        raise SourceError(
            f"{file} cannot be decoded ({error}); expected a whole PNG; copy it again"
        ) from error
    ids: NDArray[np.int64] = pixels[..., 2].astype(np.int64)
    for channel in (1, 0):
        ids <<= 8
        ids |= pixels[..., channel]
    return ids


def find_panoptic(files: FileTree) -> Panoptic | None:
    """Find COCO's panoptic files in a folder that has no COCO file of instances.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    Panoptic or None
        None if there are none.
    """
    for folder in _FOLDERS:
        names = [name for name in files.names(folder) or () if is_json(name)]
        if not any(map(_CALLED_SO.match, names)) and len(names) > _MOST_LOOKS:
            continue
        names = sorted(names, key=lambda name: _CALLED_SO.match(name) is None)[:_MOST_LOOKS]
        slash = "/" if folder else ""
        formats = {name: peek(files, f"{folder}{slash}{name}") for name in names}
        found = {
            split_named(name): f"{folder}{slash}{name}"
            for name, what in formats.items()
            if what == PANOPTIC
        }
        if found and COCO not in formats.values():
            logger.info("%s has COCO panoptic files of %s", files.name, ", ".join(found))
            splits = {split: _split(files, file, split, None) for split, file in found.items()}
            return Panoptic(files, in_order(splits))
    return None


def open_panoptic(files: FileTree, file: str, images: FileTree | None) -> Panoptic:
    """Open a panoptic file.

    Parameters
    ----------
    files : FileTree
    file : str
    images : FileTree, optional
        The folder of the images; by default it is looked for.

    Returns
    -------
    Panoptic
    """
    split = split_named(file)
    return Panoptic(files, {split: _split(files, file, split, images)}, file)


def _split(files: FileTree, file: str, split: str, images: FileTree | None) -> CocoSplit:
    folder, slash, _ = file.rpartition("/")
    # By the name of the file itself, the PNG files would be found.
    found = coco_split(files, {"annotations": f"{folder}{slash}{split}.json"}, split, images)
    return found._replace(variants={"annotations": file})
