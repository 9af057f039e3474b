"""RunTable -> the dict of a COCO JSON file, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from io import BytesIO
from itertools import pairwise
from typing import NotRequired, TypedDict

import numpy as np

from mtfast.errors import SourceError, counted, one_of, shown
from mtfast.sources import open_source
from mtfast.sources.bad_records import Policy
from mtfast.sources.coco.read import read_coco
from mtfast.sources.coco.source import CocoFiles
from mtfast.table import RunTable

__all__ = ["CocoAnnotation", "CocoCategory", "CocoDict", "CocoImage", "CocoRle"]


class CocoImage(TypedDict):
    """An entry of "images"."""

    id: int
    width: int
    height: int
    file_name: str


class CocoRle(TypedDict):
    """A mask: the height and width of its frame, and COCO's compressed text."""

    size: list[int]
    counts: str


class CocoAnnotation(TypedDict):
    """An entry of "annotations"."""

    id: int
    image_id: int
    category_id: int
    segmentation: CocoRle
    area: NotRequired[float]
    bbox: NotRequired[list[float]]
    iscrowd: int


class CocoCategory(TypedDict):
    """An entry of "categories"."""

    id: int
    name: str


class CocoDict(TypedDict):
    """The content of a COCO JSON file."""

    images: list[CocoImage]
    annotations: list[CocoAnnotation]
    categories: list[CocoCategory]


def coco_of(table: RunTable, *, stated: bool = False) -> CocoDict:
    """Return a table as the content of a COCO file; see :meth:`mtfast.RunTable.to_coco`.

    Parameters
    ----------
    table : RunTable
    stated : bool
        Whether area and bbox are those that the table states.

    Returns
    -------
    dict

    Raises
    ------
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> coco_of(RunTable.of_texts((1, 6), [[b"132"]]), stated=True)["annotations"]
    [{'id': 1, 'image_id': 1, 'category_id': 1, 'segmentation': {'size': [1, 6], 'counts': '132'}, \
'iscrowd': 0}]
    """
    images = [
        CocoImage(id=id_, width=width, height=height, file_name=name)
        for id_, width, height, name in zip(
            *(column.tolist() for column in (table.image_ids, table.widths, table.heights)),
            table.names.tolist(),
            strict=True,
        )
    ]
    categories = [CocoCategory(id=c.id, name=c.name) for c in table.categories]
    annotations = list(_annotations(table, stated))
    return {"images": images, "annotations": annotations, "categories": categories}


def _annotations(table: RunTable, stated: bool) -> Iterator[CocoAnnotation]:
    if stated:
        table.check()
    areas = table.stated_area if stated else table.area()
    boxes = table.stated_bbox if stated else table.bbox()
    image = table.image_of_instance
    sizes = np.stack([table.heights, table.widths], axis=1)[image]
    columns = (table.instance_ids, table.image_ids[image], table.category_ids, sizes)
    text, ends = table.rle.tobytes().decode("ascii"), table.rle_offsets.tolist()
    for id_, image_id, category_id, size, area, bbox, iscrowd, (start, stop) in zip(
        *(column.tolist() for column in (*columns, areas, boxes, table.iscrowd)),
        pairwise(ends),
        strict=True,
    ):
        annotation: CocoAnnotation = {
            "id": id_,
            "image_id": image_id,
            "category_id": category_id,
            "segmentation": {"size": size, "counts": text[start:stop]},
            "area": area,
            "bbox": bbox,
            "iscrowd": iscrowd,
        }
        # NaN, which is stated for nothing, is the number that does not equal itself.
        if area != area:
            del annotation["area"]
        if bbox != bbox or any(side != side for side in bbox):
            del annotation["bbox"]
        yield annotation


def table_of(
    coco: CocoDict | Mapping[str, object] | str | os.PathLike[str],
    *,
    bad: Policy = "refuse",
    mapping: Mapping[int, int] | None = None,
) -> RunTable:
    """Read COCO annotations; see :meth:`mtfast.RunTable.from_coco`.

    Parameters
    ----------
    coco : dict, or path of a file
    bad, mapping : optional
        As for :func:`mtfast.open_source`.

    Returns
    -------
    RunTable

    Raises
    ------
    SourceError, RLEError
        If it is something else, or contradicts itself.

    Examples
    --------
    >>> table_of({"images": [], "annotations": [], "categories": []}).n_images
    0
    """
    if isinstance(coco, str | os.PathLike):
        return _table_of_file(coco, bad, mapping)
    one_of("bad", bad, ("refuse", "skip", "repair"))
    return read_coco(BytesIO(_json_of(coco)), "the dict", bad, mapping).table


def _json_of(coco: object) -> bytes:
    if not isinstance(coco, Mapping):
        n = f" of {counted(len(coco), 'record')}" if isinstance(coco, list) else ""
        raise SourceError(
            f"COCO annotations of type {type(coco).__name__}{n}; expected a dict with images, "
            f"annotations and categories, or the path of such a file; put results into the dict "
            f"of their images as its annotations, each with an id"
        )
    try:
        return json.dumps(coco, default=_plain).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise SourceError(
            f"the dict is no COCO content ({error}); expected what json.dump takes; correct it"
        ) from error


def _table_of_file(
    path: str | os.PathLike[str], bad: Policy, mapping: Mapping[int, int] | None
) -> RunTable:
    source = open_source(path, bad=bad, mapping=mapping)
    if not isinstance(source, CocoFiles) or not source.file:
        raise SourceError(
            f"{source.name} is a folder; expected a COCO .json file; write "
            f"mtfast.open_source(path).table(split, variant) for one of its files"
        )
    (split,) = source.splits
    (variant,) = source.variants(split)
    return source.table(split, variant)


def _plain(value: object) -> object:
    """Return what JSON has no word for: pycocotools' bytes, numpy's numbers and arrays."""
    if isinstance(value, bytes):
        return value.decode("ascii")
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"it holds {shown(value)}")
