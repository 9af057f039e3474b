"""COCO: ``annotations/instances_SPLIT.json``, masks as compressed RLE, and ``images/SPLIT/``."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from mtfast.interchange.annotation_format import AnnotationFormat
from mtfast.interchange.inputs import SplitInput
from mtfast.sources.coco.records import Records, edited, records_of
from mtfast.sources.split import SourceSplit

__all__ = ["Coco"]


class Coco(AnnotationFormat):
    """Writes COCO files, with all that those of a source have besides.

    Area and box are measured from the masks, ``iscrowd`` is 0 or 1.
    """

    holds_ids = True
    holds_scores = True

    def image_folder(self, split: str) -> str:
        """Return the folder of the images of a split: where Datumaro looks, too."""
        return f"images/{split}"

    def whole_files(self, splits: Sequence[SplitInput]) -> dict[str, bytes]:
        """Write a file for each split."""
        return {
            f"annotations/instances_{split.name}.json": _content(split, _records(split))
            for split in splits
        }


def _records(split: SplitInput) -> Records:
    if isinstance(split.view, SourceSplit):
        return split.view.source.records(split.name, split.variant)
    return records_of(split.table, split.name)


def _content(split: SplitInput, records: Records) -> bytes:
    values: dict[str, Any] = {"images": _images(split, records)}
    values["annotations"] = _annotations(split, records)
    ids = [msgspec.json.decode(record).get("id") for record in records.categories]
    if ids != [category.id for category in split.table.categories]:
        # Classes have got other numbers.
        values["categories"] = [{"id": c.id, "name": c.name} for c in split.table.categories]
    return records.encode(**values)


def _images(split: SplitInput, records: Records) -> list[Any]:
    """Give images the names of the files that are beside the annotations."""
    file_of = dict(zip(split.table.names.tolist(), split.files, strict=True))
    return [
        record if file_of.get(name, name) == name else edited(record, file_name=file_of[name])
        for record, name in zip(records.images, records.image_keys.names, strict=True)
    ]


def _annotations(split: SplitInput, records: Records) -> list[Any]:
    table = split.table
    # Record k is that of the instance with the k-th of the positions.
    order = np.argsort(table.positions, kind="stable").tolist()
    image = table.image_of_instance
    sizes = np.stack([table.heights, table.widths], axis=1)[image].tolist()
    text, ends = table.rle.tobytes().decode("ascii"), list(pairwise(table.rle_offsets.tolist()))
    columns = (table.category_ids, table.area(), table.bbox(), table.iscrowd)
    class_ids, areas, boxes, crowds = (column.tolist() for column in columns)
    return [
        edited(
            record,
            category_id=class_ids[k],
            segmentation={"size": sizes[k], "counts": text[slice(*ends[k])]},
            area=areas[k],
            bbox=boxes[k],
            iscrowd=int(crowds[k]),
        )
        for record, k in zip(records.annotations, order, strict=True)
    ]
