"""The annotations of a file, mended or left out."""

from __future__ import annotations

from collections.abc import Container, Iterable
from itertools import groupby
from typing import Any

from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.mending.ids import FreeNumbers, id_of, is_int64, whole
from mtfast.sources.coco.mending.listed import Categories, Images, Record
from mtfast.sources.coco.mending.masks import is_measure, mended_segmentation, unreadable

__all__ = ["Annotations"]

_BLOCK = 1 << 12


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
        self._numbers = FreeNumbers(taken)
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
        size = self._images.sizes[image]
        segmentation = mended_segmentation(record, size, place, words, self._ledger)
        if segmentation is None:
            return None
        crowd = record.get("iscrowd")
        if crowd is not None and whole(int(crowd) if isinstance(crowd, bool) else crowd) is None:
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
            found = id_of(value)
            if found and isinstance(found.key, int) and is_int64(found.key):
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
        found = id_of(value)
        if found is None:
            self._ledger.keep("malformed record", place, f"{words} has the id {value!r}")
            return None
        kind = found.kind
        if not kind and found.key in self._seen:
            kind = "annotation id twice"
            place = (place, number)
        if kind and not self._ledger.keep(kind, place, words):
            return None
        if is_int64(found.key) and found.key not in self._seen:
            new = int(found.key)
        else:
            new = self._numbers.next()
            self._ledger.number(kind, str(value) if value is not None else words, new)
        self._seen.add(new)
        return new

    def _measures(self, record: Record, place: Any, words: str) -> None:
        """Take out an area or a box that is none."""
        bad = [
            key for key in ("area", "bbox") if key in record and not is_measure(record[key], key)
        ]
        for key in bad:
            stated = record[key]
            record[key] = None
            said = f"{words} has the {key} {stated!r}"
            self._ledger.keep("area or bbox not a number", (place, key), said)

    def _with_sound_masks(self, block: list[tuple[int, Record, str]]) -> list[tuple[int, Record]]:
        """Leave out annotations whose mask cannot be read, block by block."""
        kept = []
        segmentations = [record["segmentation"] for _, record, _ in block]
        sizes = [self._images.sizes[record["image_id"]] for _, record, _ in block]
        reasons = unreadable(segmentations, sizes, [words for _, _, words in block])
        for (number, record, words), reason in zip(block, reasons, strict=True):
            if reason:
                rle = isinstance(record["segmentation"], dict)
                kind = "RLE that does not fill its frame" if rle else "malformed segmentation"
                self._ledger.keep(kind, record["id"], f"{words}: {reason}")
            else:
                kept.append((number, record))
        return kept
