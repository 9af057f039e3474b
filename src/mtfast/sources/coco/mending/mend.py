"""A whole COCO file, mended."""

from __future__ import annotations

from typing import Any

import msgspec

from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.mending.annotations import Annotations
from mtfast.sources.coco.mending.ids import numbers_of
from mtfast.sources.coco.mending.listed import Categories, Images, SizeOf

__all__ = ["mend"]


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
