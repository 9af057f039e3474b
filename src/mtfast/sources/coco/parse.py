"""The text of a COCO JSON file -> RunTable.

Records are decoded into typed structs, a few thousand at a time, and go straight into columns:
besides the table only one piece of the file is in memory. Unknown keys are skipped at every level.
A file that does not decode is read again as a whole, to say which record is bad.

Measured on 284,000 annotations in 95 MB: 1.3 s, and 66 MB for the table and 15 MB besides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from io import BytesIO
from itertools import chain
from typing import Annotated, Any, BinaryIO, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, RLEError, SourceError, counted
from mtfast.limits import check_pixels
from mtfast.ragged import gather_texts, offsets_of
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources.bad_records import READ_AS_BOX, Ledger
from mtfast.sources.coco.foreign import name_bytes
from mtfast.sources.coco.segmentations import Rings, Rle, texts_of
from mtfast.sources.coco.stream import (
    BAD_INPUT,
    BOM,
    Document,
    RecordFile,
    UnreadableError,
    ZeroByteError,
)
from mtfast.sources.stated import annotation_name
from mtfast.table import MAX_PIXELS, Category, RunTable

__all__ = [
    "ANNOTATIONS",
    "CATEGORIES",
    "CHUNK",
    "IMAGES",
    "AnnotationColumns",
    "CocoAnnotation",
    "Id",
    "ImageColumns",
    "NotTextError",
    "categories_of",
    "columns_of_images",
    "name_of_url",
    "parse_coco",
    "read_sound",
    "say_boxes",
]

Int64 = NDArray[np.int64]

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Side = Annotated[int, msgspec.Meta(ge=1, le=MAX_PIXELS)]


class CocoImage(msgspec.Struct, gc=False):
    """An entry of "images"."""

    id: Id
    height: Side
    width: Side
    file_name: str | None = None
    # LVIS has no file names.
    coco_url: str | None = None


class CocoAnnotation(msgspec.Struct, gc=False):
    """An entry of "annotations"."""

    id: Id
    image_id: Id
    category_id: Id
    segmentation: Rle | Rings | None = None
    area: float | None = None
    bbox: tuple[float, ...] | None = None
    iscrowd: Id | bool | None = None


class CocoCategory(msgspec.Struct, gc=False):
    """An entry of "categories"."""

    id: Id
    name: str | None = None


_DOCUMENT = msgspec.json.Decoder(Document)
IMAGES = msgspec.json.Decoder(list[CocoImage])
ANNOTATIONS = msgspec.json.Decoder(list[CocoAnnotation])
CATEGORIES = msgspec.json.Decoder(list[CocoCategory])

CHUNK = 1 << 12
"""Records in a piece of the file, at most."""
_START = 512
_NO_BOX = (np.nan,) * 4


def parse_coco(
    data: bytes | BinaryIO,
    file: str,
    ledger: Ledger | None = None,
    rasterizer: Rasterizer = "pycocotools",
) -> RunTable:
    """Parse and check the text of a COCO JSON file.

    Parameters
    ----------
    data : bytes, or binary file
        A file must be seekable.
    file : str
        Name of the file, for messages.
    ledger : Ledger, optional
        Is told of boxes in the place of polygons.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels polygons become; see :mod:`mtfast.rles.rasterizers`.

    Returns
    -------
    RunTable
        Images in file order, and the annotations of each image in file order. Polygons and
        uncompressed RLE become compressed RLE.

    Raises
    ------
    SourceError
        If it is not a COCO file, is cut off or contradicts itself.
    RLEError
        If a mask is malformed.

    Examples
    --------
    >>> table = parse_coco(
    ...     b'''{"images": [{"id": 5, "file_name": "a.jpg", "height": 2, "width": 3}],
    ...         "annotations": [{"id": 9, "image_id": 5, "category_id": 1,
    ...                          "segmentation": {"size": [2, 3], "counts": "132"}}],
    ...         "categories": [{"id": 1, "name": "flake"}]}''',
    ...     "a.json",
    ... )
    >>> table.names.tolist(), table.instance_ids.tolist(), table.area().tolist()
    (['a.jpg'], [9], [3])

    Notes
    -----
    Source: https://cocodataset.org/#format-data; masks as by ``COCO.annToRLE`` of pycocotools.
    """
    stream = BytesIO(data) if isinstance(data, bytes) else data
    try:
        return read_sound(stream, file, ledger, rasterizer)
    except UnreadableError as error:
        stream.seek(0)
        _explain(stream.read(), file)
        raise SourceError(
            f"{file} is not a COCO file; expected images, annotations and categories; check that "
            f"it is the right file"
        ) from error


def read_sound(
    stream: BinaryIO,
    file: str,
    ledger: Ledger | None = None,
    rasterizer: Rasterizer = "pycocotools",
) -> RunTable:
    """Parse a file as :func:`parse_coco` does, but do not look for the record that is bad.

    Parameters
    ----------
    stream : binary file
        Seekable.
    file : str
    ledger, rasterizer : optional
        As of :func:`parse_coco`.

    Returns
    -------
    RunTable

    Raises
    ------
    UnreadableError
        If some part of it does not decode.
    NotTextError
        If it cannot be JSON. Others may be mended.
    SourceError, RLEError
        As :func:`parse_coco`.
    """
    try:
        records = RecordFile(stream, CHUNK)
    except ZeroByteError as error:
        raise _not_text(stream, file, error.args[0]) from error
    table, boxes = _parse(records, file, rasterizer)
    try:
        table.check()
    except MtfastError as error:
        raise type(error)(f"{file}: {error}") from error
    if ledger is not None:
        say_boxes(ledger, table, boxes)
    return table


def say_boxes(ledger: Ledger, table: RunTable, ids: list[int]) -> None:
    """Count the annotations whose segmentation was read as boxes.

    Parameters
    ----------
    ledger : Ledger
    table : RunTable
    ids : list of int
        Of these annotations.
    """
    if ids:
        rows = np.flatnonzero(np.isin(table.instance_ids, ids))
        examples = (annotation_name(table, k) for k in rows.tolist())
        ledger.say(READ_AS_BOX, table.instance_ids[rows].tolist(), examples)


class NotTextError(SourceError):
    """A file that cannot be JSON, whatever becomes of its records."""


def _not_text(stream: BinaryIO, file: str, zero: int) -> NotTextError:
    stream.seek(0)
    found, advice = name_bytes(stream.read(_START)) or (
        f"no JSON: it has a zero byte after {counted(zero, 'byte')}",
        "copy it again, or save it in UTF-8",
    )
    return NotTextError(
        f"{file} is {found}; expected a COCO JSON file with images, annotations and categories; "
        f"{advice}"
    )


def _parse(records: RecordFile, file: str, rasterizer: Rasterizer) -> tuple[RunTable, list[int]]:
    """Return the table, and the ids of annotations that were read as boxes."""
    images = columns_of_images(
        [image for piece in records.read("images", IMAGES) for image in piece], file
    )
    categories = [c for piece in records.read("categories", CATEGORIES) for c in piece]
    _expect_unique([category.id for category in categories], "categories", "id", file)
    annotations = _read_annotations(records, images, file, rasterizer)
    boxes = annotations.box_ids()
    table = RunTable(
        **images._asdict(),
        **annotations.columns(len(images.image_ids)),
        categories=categories_of(categories),
    )
    return table, boxes


def categories_of(categories: list[CocoCategory]) -> tuple[Category, ...]:
    """Name categories, those without a name after their ids.

    Parameters
    ----------
    categories : list of CocoCategory

    Returns
    -------
    tuple of Category
    """
    return tuple(Category(c.id, c.name or str(c.id)) for c in categories)


class ImageColumns(NamedTuple):
    """The images of a file: the columns of a :class:`~mtfast.table.RunTable` of the same names."""

    image_ids: Int64
    names: NDArray[Any]
    heights: Int64
    widths: Int64


def columns_of_images(images: list[CocoImage], file: str) -> ImageColumns:
    """Check images, and put them into columns.

    Parameters
    ----------
    images : list of CocoImage
    file : str
        Its name, for messages.

    Returns
    -------
    ImageColumns

    Raises
    ------
    SourceError
        If ids or names are there twice, a name is missing, or an image has too many pixels.
    """
    image_ids = _integers([image.id for image in images])
    names = [image.file_name or "" for image in images]
    if not all(names):
        names = [_name_of(image, number, file) for number, image in enumerate(images)]
    _expect_unique(image_ids.tolist(), "images", "id", file)
    _expect_unique(names, "images", "file_name", file)
    for image, name in zip(images, names, strict=True):
        check_pixels(f"{file}: image {name!r}", image.height, image.width, SourceError)
    return ImageColumns(
        image_ids,
        np.array(names, np.dtypes.StringDType()),
        _integers([image.height for image in images]),
        _integers([image.width for image in images]),
    )


def _name_of(image: CocoImage, number: int, file: str) -> str:
    name = image.file_name or (image.coco_url and name_of_url(image.coco_url))
    if not name:
        raise SourceError(
            f"{file}: image {image.id} (number {number}): no file_name in the record; expected "
            f"image records as COCO describes them; correct or remove the image"
        )
    return name


def name_of_url(url: str) -> str:
    """Return the name of an image file that is known by its address.

    Parameters
    ----------
    url : str
        As ``coco_url`` of LVIS has it.

    Returns
    -------
    str
        The folder and the file.

    Examples
    --------
    >>> name_of_url("http://images.cocodataset.org/train2017/000000391895.jpg")
    'train2017/000000391895.jpg'
    """
    path = url.partition("://")[2] or url
    return "/".join(path.partition("?")[0].split("/")[1:][-2:]) or path


def _read_annotations(
    records: RecordFile, images: ImageColumns, file: str, rasterizer: Rasterizer
) -> AnnotationColumns:
    columns = AnnotationColumns(records.at_most("annotations"), records.n_bytes, rasterizer)
    rank = np.argsort(images.image_ids)
    for piece in records.read("annotations", ANNOTATIONS):
        start = columns.n

        def where(i: int, start: int = start, piece: Any = piece) -> str:
            return f"{file}: annotation {piece[i].id} (number {start + i})"

        image = _find(_integers([a.image_id for a in piece]), images.image_ids, rank, where)
        columns.append(piece, image, images, where)
    ids = columns.ids
    if not np.all(ids[:-1] < ids[1:]):
        _expect_unique(ids.tolist(), "annotations", "id", file)
    return columns


class AnnotationColumns:
    """Annotations as columns, in file order.

    Each column is allocated once, at its largest possible length; pages that are never written to
    take no memory.

    Parameters
    ----------
    n : int
        The most annotations that there can be.
    n_bytes : int
        Of their texts, at first.
    rasterizer : {"pycocotools", "pil", "cv2"}

    Attributes
    ----------
    n : int
        How many have been appended.
    """

    def __init__(self, n: int, n_bytes: int, rasterizer: Rasterizer = "pycocotools") -> None:
        self._rasterizer: Rasterizer = rasterizer
        self._columns: dict[str, NDArray[Any]] = {
            "image": np.empty(n, np.int64),
            "instance_ids": np.empty(n, np.int64),
            "category_ids": np.empty(n, np.int64),
            "iscrowd": np.empty(n, np.uint8),
            "stated_area": np.empty(n, np.float64),
            "stated_bbox": np.empty((n, 4), np.float64),
        }
        self._offsets = np.zeros(n + 1, np.int64)
        self._text = np.empty(n_bytes, np.uint8)
        self._boxes: list[int] = []
        self.n = 0

    def __getitem__(self, name: str) -> NDArray[Any]:
        """Return a column as far as it is filled."""
        return self._columns[name][: self.n]

    @property
    def ids(self) -> Int64:
        """The ids so far."""
        return self["instance_ids"]

    @property
    def texts(self) -> tuple[NDArray[np.uint8], Int64]:
        """COCO texts so far, and where each begins and the last one ends."""
        return self._text, self._offsets[: self.n + 1]

    def append(
        self,
        piece: Sequence[CocoAnnotation],
        image: Int64,
        images: ImageColumns,
        where: Callable[[int], str],
    ) -> None:
        """Append annotations; none of them if one is bad.

        Parameters
        ----------
        piece : sequence of n CocoAnnotation
        image : (n,) int64
            Index of the image of each.
        images : ImageColumns
        where : callable
            Called with i, returns the name of the i-th of them for messages.

        Raises
        ------
        SourceError, RLEError
            If a box or a mask is bad.
        """
        columns, here = self._columns, slice(self.n, self.n + len(piece))
        columns["instance_ids"][here] = [a.id for a in piece]
        columns["image"][here] = image
        columns["category_ids"][here] = [a.category_id for a in piece]
        # None becomes False, and NaN.
        columns["iscrowd"][here] = np.array([a.iscrowd for a in piece], np.bool_)
        columns["stated_area"][here] = np.array([a.area for a in piece], np.float64)
        columns["stated_bbox"][here] = _boxes([a.bbox or _NO_BOX for a in piece], where)
        sizes = list(
            zip(images.heights[image].tolist(), images.widths[image].tolist(), strict=True)
        )
        boxes: list[int] = []
        found = [a.segmentation for a in piece]
        texts = texts_of(found, sizes, where, boxes, self._rasterizer)
        self._boxes += [self.n + i for i in boxes]
        start = int(self._offsets[self.n])
        ends = start + np.cumsum(_integers([len(text) for text in texts]))
        self._offsets[self.n + 1 : self.n + 1 + len(piece)] = ends
        stop = int(self._offsets[self.n + len(piece)])
        if stop > self._text.size:
            # Only text made from polygons can be longer than the file.
            self._text.resize(stop + stop // 8, refcheck=False)
        self._text[start:stop] = np.frombuffer("".join(texts).encode("ascii"), np.uint8)
        self.n += len(piece)

    def box_ids(self, order: Int64 | None = None) -> list[int]:
        """Return the ids of annotations whose segmentation was read as boxes.

        Parameters
        ----------
        order : (n,) int64, optional
            As of :meth:`columns`, which is called after this.

        Returns
        -------
        list of int
        """
        boxes = np.array(self._boxes, np.int64)
        kept = boxes if order is None else np.intersect1d(boxes, order)
        ids: list[int] = self.ids[kept].tolist()
        return ids

    def columns(self, n_images: int, order: Int64 | None = None) -> dict[str, Any]:
        """Return the columns of a table, grouped by image; can be called once.

        Parameters
        ----------
        n_images : int
        order : (n,) int64, optional
            Which annotations there are in the file, in its order; by default all, as appended.

        Returns
        -------
        dict
        """
        n = self.n
        columns = {name: column[:n] for name, column in self._columns.items()}
        # Held nowhere else, so that each column is freed when its sorted copy replaces it.
        self._columns = {}
        image = columns.pop("image")
        offsets = self._offsets[: n + 1]
        self._text.resize(int(offsets[n]), refcheck=False)
        rle = self._text
        if order is None and np.all(image[:-1] <= image[1:]):
            # As in nearly every file: nothing moves, and the column of images can be reused.
            image_offsets = offsets_of(np.bincount(image, minlength=n_images))
            positions = image
            positions[:] = 1
            np.cumsum(positions, out=positions)
            positions -= 1
        else:
            image = image if order is None else image[order]
            image_offsets = offsets_of(np.bincount(image, minlength=n_images))
            positions = np.argsort(image, kind="stable")
            picks = positions if order is None else order[positions]
            rle, offsets = gather_texts(rle, offsets, picks)
            for name in columns:
                columns[name] = columns[name][picks]
        return columns | {
            "image_offsets": image_offsets,
            "positions": positions,
            "rle": rle,
            "rle_offsets": offsets,
        }


def _explain(data: bytes, file: str) -> None:
    """Raise what is wrong with the text of a file, if anything is."""
    document = _split(data.removeprefix(BOM), file)
    for records, kind, what in (
        (document.images, CocoImage, "image"),
        (document.categories or [], CocoCategory, "category"),
        (document.annotations, CocoAnnotation, "annotation"),
    ):
        decoder = msgspec.json.Decoder(kind)
        for i, record in enumerate(records):
            try:
                decoder.decode(record)
            except BAD_INPUT as error:
                found = _found(error, "the record")
                malformed = found.startswith("segmentation.counts")
                raise (RLEError if malformed else SourceError)(
                    f"{file}: {what} {_id_of(record)}(number {i}): {found}; "
                    f"expected {what} records as COCO describes them; correct or remove the {what}"
                ) from error


def _split(data: bytes, file: str) -> Document:
    """Split the text of a file into its records."""
    expected = "expected a COCO JSON file with images, annotations and categories"
    try:
        return _DOCUMENT.decode(data)
    except msgspec.ValidationError as error:
        found = _found(error, "the file")
    except BAD_INPUT as error:
        if named := name_bytes(data):
            raise SourceError(f"{file} is {named[0]}; {expected}; {named[1]}") from error
        if isinstance(error, RecursionError):
            raise SourceError(f"{file} is nested too deep; {expected}; correct it") from error
        if "truncated" in str(error):
            raise SourceError(
                f"{file} is cut off: its JSON ends unfinished after {len(data)} bytes; "
                f"expected a whole file; copy or unpack it again"
            ) from error
        found = f"not valid JSON: {str(error).removeprefix('JSON is malformed: ')}"
        if at := re.search(r"byte (\d+)", found):
            found += f" at {data[int(at[1]) :][:20].decode(errors='replace')!r}"
    raise SourceError(f"{file}: {found}; {expected}; check that it is the right file")


def _found(error: Exception, whole: str) -> str:
    """Describe what msgspec found and where; ``whole`` is what it was decoding."""
    message, _, path = str(error).partition(" - at `$.")
    path = path.rstrip("`") or whole
    if got := re.fullmatch(r"Expected `(.*)`, got `(.*)`", message):
        return f"{path} is of type {got[2]}, not {got[1].replace(' | null', '')}"
    if missing := re.fullmatch(r"Object missing required field `(.*)`", message):
        return f"no {missing[1]} in {path}"
    if bound := re.fullmatch(r"Expected `(?:int|float)` (.*)", message):
        return f"{path} is not {bound[1]}"
    return f"{path}: {message}"


def _id_of(record: msgspec.Raw) -> str:
    try:
        return f"{msgspec.json.decode(record)['id']!r} "
    except (*BAD_INPUT, LookupError, TypeError):
        return ""


def _integers(values: list[int]) -> Int64:
    return np.fromiter(values, np.int64, len(values))


def _boxes(boxes: list[tuple[float, ...]], where: Callable[[int], str]) -> NDArray[np.float64]:
    lengths = [len(box) for box in boxes]
    if set(lengths) - {4}:
        i, length = next((i, length) for i, length in enumerate(lengths) if length != 4)
        raise SourceError(
            f"{where(i)} has a bbox of {length} numbers; expected [x, y, width, height]; "
            f"correct or remove the bbox"
        )
    flat = np.fromiter(chain.from_iterable(boxes), np.float64, 4 * len(boxes))
    return flat.reshape(-1, 4)


def _find(wanted: Int64, image_ids: Int64, rank: Int64, where: Callable[[int], str]) -> Int64:
    """Index of the image of each wanted id; ``rank`` sorts the ids."""
    place = np.searchsorted(image_ids, wanted, sorter=rank)
    # An id above all others has its place after the last image.
    image = np.append(rank, -1)[place]
    missing = image < 0
    missing[~missing] = image_ids[image[~missing]] != wanted[~missing]
    if missing.any():
        i = int(np.argmax(missing))
        raise SourceError(
            f"{where(i)} belongs to image {wanted[i]}, which is not among the {rank.size} images; "
            f"expected the id of one of them as image_id; add the image or remove the annotation"
        )
    return image


def _expect_unique(values: list[Any], what: str, key: str, file: str) -> None:
    if len(set(values)) == len(values):
        return
    numbers: dict[Any, int] = {}
    for number, value in enumerate(values):
        if value in numbers:
            raise SourceError(
                f"{file}: {what} number {numbers[value]} and {number} both have {key} {value!r}; "
                f"expected each {key} once; renumber or remove one of them"
            )
        numbers[value] = number
