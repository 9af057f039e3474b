"""What annotation files state of their masks, against what is measured: areas and boxes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtfast.table import RunTable

__all__ = ["annotation_name", "area_differs", "bbox_differs", "describe_area", "describe_bbox"]

Int64 = NDArray[np.int64]

# How far a stated area (for each pixel of width and height) or a side of a box may be off: files of
# polygons state those of the outline, which passes through pixels.
HALF_A_PIXEL = 0.5
OUTLINE = 2.0


def area_differs(table: RunTable) -> Int64:
    """Instances whose stated area is not that of their RLE; none stated is no difference."""
    slack = OUTLINE * table.bbox()[:, 2:].sum(axis=1) if _of_outlines(table) else HALF_A_PIXEL
    return np.flatnonzero(np.abs(table.stated_area - table.area()) > slack)


def bbox_differs(table: RunTable) -> Int64:
    """Instances whose stated box is not that of their RLE; none stated is no difference."""
    slack = OUTLINE if _of_outlines(table) else HALF_A_PIXEL
    return np.flatnonzero((np.abs(table.stated_bbox - table.bbox()) > slack).any(axis=1))


def _of_outlines(table: RunTable) -> bool:
    """Whether a file states areas and boxes of outlines: those have fractions, pixels have none."""
    stated = np.column_stack([table.stated_area, table.stated_bbox])
    with np.errstate(invalid="ignore"):
        return bool(((stated % 1 > 0).any(axis=1)).sum() > table.n_instances / 10)


def describe_area(table: RunTable, instance: int) -> str:
    """Put a difference into words."""
    stated, area = table.stated_area[instance], _alone(table, instance).area()[0]
    return f"{annotation_name(table, instance)}: area {stated:g}, {area} px by its RLE"


def describe_bbox(table: RunTable, instance: int) -> str:
    """Put a difference into words."""
    stated, measured = table.stated_bbox[instance], _alone(table, instance).bbox()[0]
    words = (", ".join(f"{side:g}" for side in box) for box in (stated, measured))
    return "{}: bbox [{}], [{}] by its RLE".format(annotation_name(table, instance), *words)


def annotation_name(table: RunTable, instance: int) -> str:
    """Name an annotation by its id and its image."""
    image = int(np.searchsorted(table.image_offsets, instance, "right")) - 1
    return f"annotation {table.instance_ids[instance]} of {table.names[image]}"


def _alone(table: RunTable, instance: int) -> RunTable:
    return table.select(np.array([instance]))
