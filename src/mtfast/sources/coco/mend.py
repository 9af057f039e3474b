"""Bad records of a COCO file -> records that the strict parser reads, and a list of what was wrong.

Each record is a Python object here, which takes ten times as long as in the strict parser: of large
files only those come here that it refuses, see :mod:`mtfast.sources.coco.sift`. What is wrong with
one is told to a :class:`~mtfast.sources.bad_records.Ledger`, which says whether it is mended or
left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
import numpy as np

from mtfast.errors import MtfastError
from mtfast.limits import max_pixels
from mtfast.ragged import offsets_of
from mtfast.sources.bad_records import TOO_MANY_PIXELS, Ledger
from mtfast.sources.coco.parse import name_of_url
from mtfast.sources.coco.segmentations import Rings, Rle, texts_of
from mtfast.sources.coco.stream import BOM
from mtfast.table import explain

__all__ = [
    "Annotations",
    "Categories",
    "Images",
    "Record",
    "SizeOf",
    "load_json",
    "mend",
    "numbers_of",
]

SizeOf = Callable[[str], tuple[int, int] | None]
"""Returns the height and width of an image file, None if it is missing or no image."""

Record = dict[str, Any]

_LARGEST = 2**63 - 1
_BLOCK = 1 << 12
_POINT = 2
_BOX = 4
_TRIANGLE = 6


def load_json(data: bytes) -> Any:
    """Parse any JSON, also with NaN, Infinity and numbers of any length.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    object
        None if it is not JSON.
    """
    try:
        return json.loads(data.removeprefix(BOM))
    except (ValueError, RecursionError):
        return None


def mend(document: Any, ledger: Ledger, size_of: SizeOf) -> bytes | None:
    """Mend the records of a COCO file, or leave them out.

    Parameters
    ----------
    document : object
        The content of the file.
    ledger : Ledger
        Is told of every bad record.
    size_of : callable
        Looks up the size of an image file.

    Returns
    -------
    bytes or None
        A COCO file of the records that are left, with all keys that are unknown here; None if it
        has no images or annotations.
    """
    if not isinstance(document, dict):
        return None
    images, annotations = (_records(document.get(key)) for key in ("images", "annotations"))
    categories = _records(document.get("categories") or [])
    if images is None or annotations is None or categories is None:
        return None
    kept_images = Images(images, ledger, size_of)
    kept_categories = Categories(categories, ledger)
    taken = numbers_of(annotations)
    kept = Annotations(kept_images, kept_categories, ledger, taken).mend(enumerate(annotations))
    mended = document | {
        "images": kept_images.kept,
        "categories": kept_categories.kept,
        "annotations": [record for _, record in kept],
    }
    try:
        return msgspec.json.encode(mended)
    except (UnicodeEncodeError, OverflowError, msgspec.EncodeError, RecursionError):
        return None


def _records(value: Any) -> list[Any] | None:
    """Return a list of records; LIVECell has an object of them, by their ids."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [
            {"id": int(key) if key.isdecimal() else key} | record
            if isinstance(record, dict)
            else record
            for key, record in value.items()
        ]
    return None


class _Id(NamedTuple):
    """An id as it is in the file: what is wrong with it, and what it is compared by."""

    kind: str
    key: Any


def _id_of(value: Any) -> _Id | None:
    """Make sense of an id; None if it is none."""
    if value is None:
        return _Id("id missing", None)
    if isinstance(value, str):
        return _Id("id of text", value)
    if isinstance(value, float) and value.is_integer():
        inner = _id_of(int(value))
        return inner and _Id(inner.kind or "whole number with a decimal point", inner.key)
    if isinstance(value, int) and not isinstance(value, bool):
        return _Id("" if -_LARGEST - 1 <= value <= _LARGEST else "id beyond 64 bits", value)
    return None


def numbers_of(records: Iterable[Any]) -> set[int | None]:
    """Return the numbers that ids of records stand for.

    Parameters
    ----------
    records : iterable of object
        As they are in a file.

    Returns
    -------
    set of int or None
        Numbers written as whole floats, too. None is there for ids that are no numbers.
    """
    return {_number_of(record.get("id")) for record in records if isinstance(record, dict)}


def _number_of(value: Any) -> int | None:
    found = _id_of(value)
    return int(found.key) if found and _is_int64(found.key) else None


class _Numbers:
    """Free numbers, counted from 1, for records whose ids are none."""

    def __init__(self, taken: Container[int | None]) -> None:
        self._taken = taken
        self._last = 0

    def next(self) -> int:
        """Return the next one that no record has."""
        self._last += 1
        while self._last in self._taken:
            self._last += 1
        return self._last


def _is_int64(key: Any) -> bool:
    return isinstance(key, int) and -_LARGEST - 1 <= key <= _LARGEST


class _Listed:
    """Images or categories: the records that are kept, and their new ids by the old ones."""

    what: str

    def __init__(self, records: Sequence[Any], ledger: Ledger) -> None:
        self.kept: list[Record] = []
        self.ids: dict[Any, int] = {}
        self._ledger = ledger
        self._numbers = _Numbers(numbers_of(records))

    def place(self, record: Any, number: int) -> tuple[str, str]:
        """Name a record: for counting, and in words."""
        name = record.get(self.key) if isinstance(record, dict) else None
        if not isinstance(name, str):
            name = f"number {number}"
            return name, f"{self.what} {name}"
        return name, f"{self.what} {name!r}"

    key: str

    def look_up(self, value: Any) -> tuple[int | None, str]:
        """Return the new id that a reference means, and what is wrong with how it is written."""
        found = _id_of(value)
        if found is None or found.key is None:
            return None, ""
        if found.key in self.ids:
            return self.ids[found.key], found.kind if isinstance(value, float) else ""
        if isinstance(found.key, str):
            other: Any = int(found.key) if _is_decimal(found.key) else None
        else:
            other = str(found.key)
        return self.ids.get(other), found.kind or "id of text"

    def number(self, record: Record, place: str, words: str) -> int | None:
        """Return the id that a record gets; None if it is left out."""
        found = _id_of(record.get("id"))
        if found is None:
            self._ledger.keep("malformed record", place, f"{words} has the id {record['id']!r}")
            return None
        if not found.kind:
            return int(found.key)
        if not self._ledger.keep(found.kind, place, f"{words} has the id {record.get('id')!r}"):
            return None
        if _is_int64(found.key):
            return int(found.key)
        new = self._numbers.next()
        self._ledger.number(found.kind, str(record.get("id", place)), new)
        return new


def _is_decimal(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


class Images(_Listed):
    """The images of a file, mended.

    Parameters
    ----------
    records : sequence of object
        As they are in the file.
    ledger : Ledger
    size_of : callable
        Looks up the size of an image file.

    Attributes
    ----------
    kept : list of dict
    ids : dict
        The new id of each image that is kept, by its old one.
    sizes : dict
        Height and width of each, by its new id.
    left_out : set
        Old ids of the others.
    """

    what, key = "image", "file_name"

    def __init__(self, records: Sequence[Any], ledger: Ledger, size_of: SizeOf) -> None:
        super().__init__(records, ledger)
        self.sizes: dict[int, tuple[int, int]] = {}
        self.left_out: set[Any] = set()
        self._size_of = size_of
        self._by_name: dict[str, int] = {}
        files: dict[Any, set[str]] = {}
        for record in records:
            if isinstance(record, dict) and (found := _id_of(record.get("id"))):
                files.setdefault(found.key, set()).add(_file_name(record) or "")
        self._ambiguous = {
            key for key, names in files.items() if key is not None and len(names) > 1
        }
        for number, record in enumerate(records):
            self._add(record, number)

    @classmethod
    def sound(cls, sizes: Mapping[int, tuple[int, int]], ledger: Ledger) -> Images:
        """Return images with which nothing is wrong, without their records.

        Parameters
        ----------
        sizes : mapping
            Height and width of each, by its id.
        ledger : Ledger

        Returns
        -------
        Images
        """
        images = cls([], ledger, lambda name: None)
        images.sizes.update(sizes)
        images.ids.update(zip(sizes, sizes, strict=True))
        return images

    def _add(self, record: Any, number: int) -> None:
        place, words = self.place(record, number)
        if not isinstance(record, dict):
            self._ledger.keep("malformed record", place, f"{words} is no object")
            return
        found = _id_of(record.get("id"))
        kept = self._mended(record, place, words, found)
        if kept is None:
            self.left_out.add(found and found.key)
            return
        name = kept["file_name"]
        if name in self._by_name:
            self._join(kept, found, place, words)
            return
        self.kept.append(kept)
        self._by_name[name] = kept["id"]
        self.sizes[kept["id"]] = kept["height"], kept["width"]
        if found and found.key is not None:
            self.ids[found.key] = kept["id"]

    def _join(self, record: Record, found: _Id | None, place: str, words: str) -> None:
        """Let a second record of one file stand for the first."""
        first = self._by_name[record["file_name"]]
        same = self.sizes[first] == (record["height"], record["width"])
        if self._ledger.keep("file name twice", (place, record["id"]), words, same):
            self.ids[found and found.key] = first
        else:
            self.left_out.add(found and found.key)

    def _mended(self, record: Record, place: str, words: str, found: _Id | None) -> Record | None:
        ledger = self._ledger
        name = _file_name(record)
        if name is None:
            ledger.keep("file name missing", place, words)
            return None
        if (
            found
            and found.key is not None
            and (found.key in self.ids or found.key in self._ambiguous)
        ):
            can = found.key not in self._ambiguous
            ledger.keep(
                "image id twice", (place, len(self.kept)), f"{words} has the id {found.key!r}", can
            )
            return None
        id_ = self.number(record, place, words)
        if id_ is None:
            return None
        size = self._size(record, name, place, words)
        if size is None:
            return None
        return record | {"id": id_, "file_name": name, "height": size[0], "width": size[1]}

    def _size(self, record: Record, name: str, place: str, words: str) -> tuple[int, int] | None:
        stated = [record.get(side) for side in ("height", "width")]
        sides = [_whole(side) for side in stated]
        if None in sides or min(s for s in sides if s is not None) < 1:
            size = self._size_of(name)
            example = f"{words} is {stated[0]} x {stated[1]}"
            return (
                size
                if self._ledger.keep("image size missing", place, example, bool(size))
                else None
            )
        height, width = int(sides[0] or 0), int(sides[1] or 0)
        if height * width > max_pixels():
            self._ledger.keep(TOO_MANY_PIXELS, place, f"{words} is {height} x {width}")
            return None
        if any(isinstance(side, float) for side in stated):
            kind = "whole number with a decimal point"
            if not self._ledger.keep(
                kind, (place, "size"), f"{words} is {stated[0]} x {stated[1]}"
            ):
                return None
        return height, width


def _file_name(record: Record) -> str | None:
    name = record.get("file_name")
    if isinstance(name, str) and name and _is_text(name):
        return name
    url = record.get("coco_url")
    return name_of_url(url) if isinstance(url, str) and url else None


def _is_text(value: str) -> bool:
    """Whether a string is Unicode; JSON can have halves of characters."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _whole(value: Any) -> int | None:
    return int(value) if _is_number(value) and value == int(value) else None


def _is_number(value: Any) -> bool:
    """Whether a value is a finite number that fits into 64 bits."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool) and _is_int64(value)


class Categories(_Listed):
    """The categories of a file, mended.

    Parameters
    ----------
    records : sequence of object
        As they are in the file.
    ledger : Ledger

    Attributes
    ----------
    kept : list of dict
    ids : dict
        The new id of each category that is kept, by its old one.
    """

    what, key = "category", "name"

    def __init__(self, records: Sequence[Any], ledger: Ledger) -> None:
        super().__init__(records, ledger)
        names: dict[Any, set[Any]] = {}
        for record in records:
            if isinstance(record, dict) and (found := _id_of(record.get("id"))):
                names.setdefault(found.key, set()).add(str(record.get("name")))
        self._ambiguous = {key for key, named in names.items() if len(named) > 1}
        for number, record in enumerate(records):
            self._add(record, number)

    def _add(self, record: Any, number: int) -> None:
        place, words = self.place(record, number)
        if not isinstance(record, dict):
            self._ledger.keep("malformed record", place, f"{words} is no object")
            return
        found = _id_of(record.get("id"))
        if (
            found
            and found.key is not None
            and (found.key in self.ids or found.key in self._ambiguous)
        ):
            can = found.key not in self._ambiguous
            self._ledger.keep(
                "category id twice", (place, number), f"{words} has the id {found.key!r}", can
            )
            return
        id_ = self.number(record, place, words)
        if id_ is None:
            return
        name = record.get("name")
        self.kept.append(record | {"id": id_, "name": name if name is None else str(name)})
        if found and found.key is not None:
            self.ids[found.key] = id_


class Annotations:
    """Mends annotations of a file.

    Parameters
    ----------
    images : Images
    categories : Categories
    ledger : Ledger
    taken : container of int
        The numbers that are ids of annotations of the file, see :func:`numbers_of`.
    """

    def __init__(
        self,
        images: Images,
        categories: Categories,
        ledger: Ledger,
        taken: Container[int | None],
    ) -> None:
        self._images = images
        self._categories = categories
        self._ledger = ledger
        self._numbers = _Numbers(taken)
        self._seen: set[int] = set()

    def mend(self, records: Iterable[tuple[int, Any]]) -> list[tuple[int, Record]]:
        """Mend records, or leave them out.

        Parameters
        ----------
        records : iterable of (int, object)
            With their numbers in the file, ascending. The ids of others must not be theirs.

        Returns
        -------
        list of (int, dict)
            Those that are kept, with their numbers.
        """
        kept: list[tuple[int, Record]] = []
        for _, block in groupby(records, lambda numbered: numbered[0] // _BLOCK):
            mended = [
                (number, *found)
                for number, record in block
                if (found := self._one(record, number)) is not None
            ]
            kept += self._with_sound_masks(mended)
        return kept

    def _one(self, record: Any, number: int) -> tuple[Record, str] | None:
        ledger = self._ledger
        if not isinstance(record, dict):
            ledger.keep("malformed record", number, f"annotation (number {number}) is no object")
            return None
        id_ = record.get("id")
        words = f"annotation {'' if id_ is None else f'{id_!r} '}(number {number})"
        place = id_ if isinstance(id_, int | str) else f"number {number}"
        if "caption" in record and not record.get("segmentation") and "category_id" not in record:
            ledger.keep("caption among instances", place, words)
            return None
        image = self._image(record, place, words)
        if image is None:
            return None
        category = self._category(record, place, words)
        if category is None:
            return None
        segmentation = self._segmentation(record, self._images.sizes[image], place, words)
        if segmentation is None:
            return None
        crowd = record.get("iscrowd")
        if crowd is not None and _whole(int(crowd) if isinstance(crowd, bool) else crowd) is None:
            ledger.keep("malformed record", place, f"{words} has iscrowd {crowd!r}")
            return None
        new = self._id(record, place, number, words)
        if new is None:
            return None
        mended = record | {
            "id": new,
            "image_id": image,
            "category_id": category,
            "segmentation": segmentation,
        }
        if isinstance(crowd, float):
            mended["iscrowd"] = int(crowd)
        self._measures(mended, place, words)
        return mended, words

    def _image(self, record: Record, place: Any, words: str) -> int | None:
        value = record.get("image_id")
        image, kind = self._images.look_up(value)
        if image is None:
            out = value in self._images.left_out if isinstance(value, int | str) else False
            which = f"image {value!r}, which {'was left out' if out else 'is not listed'}"
            self._ledger.keep("annotation without image", place, f"{words} is of {which}")
            return None
        if kind and not self._ledger.keep(kind, (place, "image"), f"{words} is of image {value!r}"):
            return None
        return image

    def _category(self, record: Record, place: Any, words: str) -> int | None:
        value = record.get("category_id")
        category, kind = self._categories.look_up(value)
        if category is None:
            # Numbers that no category has are counted for all files alike, once there is a table.
            found = _id_of(value)
            if found and isinstance(found.key, int) and _is_int64(found.key):
                category, kind = found.key, found.kind
            else:
                said = f"{words} has category_id {value!r}"
                self._ledger.keep("annotation without category", place, said)
                return None
        if kind and not self._ledger.keep(kind, (place, "class"), f"{words} is of class {value!r}"):
            return None
        return category

    def _id(self, record: Record, place: Any, number: int, words: str) -> int | None:
        value = record.get("id")
        found = _id_of(value)
        if found is None:
            self._ledger.keep("malformed record", place, f"{words} has the id {value!r}")
            return None
        kind = found.kind
        if not kind and found.key in self._seen:
            kind = "annotation id twice"
            place = (place, number)
        if kind and not self._ledger.keep(kind, place, words):
            return None
        if _is_int64(found.key) and found.key not in self._seen:
            new = int(found.key)
        else:
            new = self._numbers.next()
            self._ledger.number(kind, str(value) if value is not None else words, new)
        self._seen.add(new)
        return new

    def _measures(self, record: Record, place: Any, words: str) -> None:
        """Take out an area or a box that is none."""
        bad = [
            key for key in ("area", "bbox") if key in record and not _is_measure(record[key], key)
        ]
        for key in bad:
            stated = record[key]
            record[key] = None
            said = f"{words} has the {key} {stated!r}"
            self._ledger.keep("area or bbox not a number", (place, key), said)

    def _segmentation(
        self, record: Record, size: tuple[int, int], place: Any, words: str
    ) -> Record | Rings | None:
        found = record.get("segmentation")
        if isinstance(found, list) and len(found) == 1 and isinstance(found[0], dict):
            if not self._ledger.keep("RLE in a list", place, words):
                return None
            found = found[0]
        if isinstance(found, dict):
            return self._rle(found, size, place, words)
        if not (found is None or isinstance(found, list)):
            self._ledger.keep("malformed segmentation", place, f"{words}: {type(found).__name__}")
            return None
        rings = _Ringed.of(found or [])
        if rings is None:
            self._ledger.keep("malformed segmentation", place, f"{words} has no numbers in it")
            return None
        if not rings.rings:
            return self._rectangle(record, place, words)
        for kind in rings.kinds:
            if not self._ledger.keep(kind, place, words):
                return None
        return rings.rings

    def _rle(self, found: Record, size: tuple[int, int], place: Any, words: str) -> Record | None:
        size_given = found.get("size")
        stated: list[Any] = size_given if isinstance(size_given, list) else []
        sides = [_whole(side) for side in stated]
        if len(sides) != 2 or None in sides or not isinstance(found.get("counts"), str | list):
            self._ledger.keep(
                "malformed segmentation", place, f"{words} has an RLE without size or counts"
            )
            return None
        if tuple(sides) != size:
            said = f"{words} has an RLE of size {sides}, its image {list(size)}"
            self._ledger.keep("RLE of another size", place, said)
            return None
        if any(isinstance(side, float) for side in stated):
            kind = "whole number with a decimal point"
            if not self._ledger.keep(kind, (place, "size"), f"{words} has an RLE of size {stated}"):
                return None
        return found | {"size": sides}

    def _rectangle(self, record: Record, place: Any, words: str) -> Rings | None:
        box = record.get("bbox")
        if not box or not _is_measure(box, "bbox") or min(box[2:]) <= 0:
            self._ledger.keep("no segmentation and no box", place, words)
            return None
        if not self._ledger.keep("no segmentation", place, words):
            return None
        x, y, w, h = box
        return [[x, y, x, y + h, x + w, y + h, x + w, y]]

    def _with_sound_masks(self, block: list[tuple[int, Record, str]]) -> list[tuple[int, Record]]:
        """Leave out annotations whose mask cannot be read, block by block."""
        kept = []
        reasons = self._reasons([(record, words) for _, record, words in block])
        for (number, record, words), reason in zip(block, reasons, strict=True):
            if reason:
                rle = isinstance(record["segmentation"], dict)
                kind = "RLE that does not fill its frame" if rle else "malformed segmentation"
                self._ledger.keep(kind, record["id"], f"{words}: {reason}")
            else:
                kept.append((number, record))
        return kept

    def _reasons(self, block: list[tuple[Record, str]]) -> list[str]:
        """Say what is wrong with each mask; empty where nothing is."""
        try:
            found = msgspec.convert(
                [record["segmentation"] for record, _ in block], list[Rle | Rings], strict=True
            )
            sizes = [self._images.sizes[record["image_id"]] for record, _ in block]
            texts = [text.encode() for text in texts_of(found, sizes, lambda i: block[i][1])]
        except (MtfastError, msgspec.ValidationError, UnicodeEncodeError) as error:
            if len(block) == 1:
                return [str(error).partition(";")[0].removeprefix(f"{block[0][1]} has ")]
            half = len(block) // 2
            return self._reasons(block[:half]) + self._reasons(block[half:])
        return list(_untiled(texts, sizes))


def _untiled(texts: Sequence[bytes], sizes: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Say of each text why its runs do not fill their frame; empty where they do."""
    from mtfast.kernels.rle import measure

    start = 0
    while start < len(texts):
        here = texts[start:]
        offsets = offsets_of([len(text) for text in here])
        pixels = np.array([h * w for h, w in sizes[start:]], np.int64)
        scratch = np.empty(max(map(len, here)), np.int64)
        out = np.empty(len(here), np.int64)
        text = np.frombuffer(b"".join(here), np.uint8)
        bad = measure.areas(text, offsets, np.arange(len(here) + 1), pixels, scratch, out)
        yield from [""] * (len(here) if bad < 0 else bad)
        if bad < 0:
            return
        yield explain(here[bad], *sizes[start + bad]).partition(";")[0]
        start += bad + 1


class _Ringed(NamedTuple):
    """Polygons as rings, and what was wrong with how they were nested."""

    rings: Rings
    kinds: tuple[str, ...]

    @classmethod
    def of(cls, found: list[Any]) -> _Ringed | None:
        """Make sense of nested lists of numbers; None if there is something else in them."""
        depth = _depth(found)
        if depth < 0:
            return None
        rings = [ring for ring in _rings(found) if ring]
        kinds = []
        if depth == 1 and rings:
            kinds.append("flat polygon")
        elif depth > 2 or (depth == 2 and _is_points(found)):
            kinds.append("polygon nested too deep")
        boxes = depth == 2 and all(len(ring) == _BOX for ring in rings)
        if boxes and not kinds:
            return cls(rings, ())
        real = [ring for ring in rings if len(ring) >= _TRIANGLE]
        if len(real) < len(rings) and real:
            kinds.append("polygon of two points")
        return cls(real, tuple(kinds))


def _depth(found: Any) -> int:
    """How deep lists are nested; -1 if there is something else than numbers in them."""
    if not isinstance(found, list):
        return 0 if _is_number(found) else -1
    depths = [_depth(inner) for inner in found]
    if not depths:
        return 1
    if min(depths) < 0 or (0 in depths and max(depths) > 0):
        return -1
    return 1 + max(depths)


def _is_points(found: list[Any]) -> bool:
    """Whether a polygon is a list of pairs."""
    return len(found) > _POINT and all(
        isinstance(point, list) and len(point) == 2 and not isinstance(point[0], list)
        for point in found
    )


def _rings(found: list[Any]) -> list[list[float]]:
    if not found:
        return []
    if not isinstance(found[0], list):
        return [found]
    if _is_points(found):
        return [[side for point in found for side in point]]
    return [ring for inner in found for ring in _rings(inner)]


def _is_measure(value: Any, key: str) -> bool:
    if value is None:
        return True
    if key == "area":
        return _is_number(value)
    return isinstance(value, list) and len(value) in (0, 4) and all(map(_is_number, value))
