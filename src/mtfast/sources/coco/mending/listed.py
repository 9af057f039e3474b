"""The images and categories of a file, mended: what annotations refer to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mtfast.limits import max_pixels
from mtfast.sources.bad_records import TOO_MANY_PIXELS, Ledger
from mtfast.sources.coco.mending.ids import FreeNumbers, Id, id_of, is_int64, numbers_of, whole
from mtfast.sources.coco.parse import name_of_url

__all__ = ["Categories", "Images", "Record", "SizeOf"]

SizeOf = Callable[[str], tuple[int, int] | None]
"""Returns the height and width of an image file, None if it is missing or no image."""

Record = dict[str, Any]


class _Listed:
    """Images or categories: the records that are kept, and their new ids by the old ones."""

    what: str

    def __init__(self, records: Sequence[Any], ledger: Ledger) -> None:
        self.kept: list[Record] = []
        self.ids: dict[Any, int] = {}
        self._ledger = ledger
        self._numbers = FreeNumbers(numbers_of(records))

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
        found = id_of(value)
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
        found = id_of(record.get("id"))
        if found is None:
            self._ledger.keep("malformed record", place, f"{words} has the id {record['id']!r}")
            return None
        if not found.kind:
            return int(found.key)
        if not self._ledger.keep(found.kind, place, f"{words} has the id {record.get('id')!r}"):
            return None
        if is_int64(found.key):
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
            if isinstance(record, dict) and (found := id_of(record.get("id"))):
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
        found = id_of(record.get("id"))
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

    def _join(self, record: Record, found: Id | None, place: str, words: str) -> None:
        """Let a second record of one file stand for the first."""
        first = self._by_name[record["file_name"]]
        same = self.sizes[first] == (record["height"], record["width"])
        if self._ledger.keep("file name twice", (place, record["id"]), words, same):
            self.ids[found and found.key] = first
        else:
            self.left_out.add(found and found.key)

    def _mended(self, record: Record, place: str, words: str, found: Id | None) -> Record | None:
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
        sides = [whole(side) for side in stated]
        if None in sides or min(s for s in sides if s is not None) < 1:
            size = self._size_of(name)
            # As repr, or the text "90" would read like the number.
            example = f"{words} is {stated[0]!r} x {stated[1]!r}"
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
            if isinstance(record, dict) and (found := id_of(record.get("id"))):
                names.setdefault(found.key, set()).add(str(record.get("name")))
        self._ambiguous = {key for key, named in names.items() if len(named) > 1}
        for number, record in enumerate(records):
            self._add(record, number)

    def _add(self, record: Any, number: int) -> None:
        place, words = self.place(record, number)
        if not isinstance(record, dict):
            self._ledger.keep("malformed record", place, f"{words} is no object")
            return
        found = id_of(record.get("id"))
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
