"""The areas and boxes that annotation files state, compared with those of the masks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mtfast.table import RunTable

__all__ = ["annotation_name", "area_differs", "bbox_differs", "describe_area", "describe_bbox"]

Int64 = NDArray[np.int64]

# How far a stated area or box may be off, in pixels. Files of polygons state those of the outline,
# which passes through pixels: a side may be off by OUTLINE, an area by OUTLINE for each pixel of
# width and height.
HALF_A_PIXEL = 0.5
OUTLINE = 2.0


def area_differs(table: RunTable) -> Int64:
    """Find the instances whose stated area is not that of their RLE.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    (n,) int64
        Indices of instances. Those without a stated area do not differ.
    """
    slack = OUTLINE * table.bbox()[:, 2:].sum(axis=1) if _of_outlines(table) else HALF_A_PIXEL
    return np.flatnonzero(np.abs(table.stated_area - table.area()) > slack)


def bbox_differs(table: RunTable) -> Int64:
    """Find the instances whose stated box is not that of their RLE.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    (n,) int64
        Indices of instances. Those without a stated box do not differ.
    """
    slack = OUTLINE if _of_outlines(table) else HALF_A_PIXEL
    return np.flatnonzero((np.abs(table.stated_bbox - table.bbox()) > slack).any(axis=1))


def _of_outlines(table: RunTable) -> bool:
    """Whether a file states areas and boxes of outlines, which have fractions; pixels have none."""
    stated = np.column_stack([table.stated_area, table.stated_bbox])
    with np.errstate(invalid="ignore"):
        return bool(((stated % 1 > 0).any(axis=1)).sum() > table.n_instances / 10)


def describe_area(table: RunTable, instance: int) -> str:
    """Describe how the stated area of an instance differs.

    Parameters
    ----------
    table : RunTable
    instance : int
        Its index.

    Returns
    -------
    str
    """
    stated, area = table.stated_area[instance], _alone(table, instance).area()[0]
    return f"{annotation_name(table, instance)}: area {stated:g}, {area} px by its RLE"


def describe_bbox(table: RunTable, instance: int) -> str:
    """Describe how the stated box of an instance differs.

    Parameters
    ----------
    table : RunTable
    instance : int
        Its index.

    Returns
    -------
    str
    """
    stated, measured = table.stated_bbox[instance], _alone(table, instance).bbox()[0]
    words = (", ".join(f"{side:g}" for side in box) for box in (stated, measured))
    return "{}: bbox [{}], [{}] by its RLE".format(annotation_name(table, instance), *words)


def annotation_name(table: RunTable, instance: int) -> str:
    """Name an annotation by its id and its image.

    Parameters
    ----------
    table : RunTable
    instance : int
        Its index.

    Returns
    -------
    str
    """
    image = int(np.searchsorted(table.image_offsets, instance, "right")) - 1
    return f"annotation {table.instance_ids[instance]} of {table.names[image]}"


def _alone(table: RunTable, instance: int) -> RunTable:
    return table[[instance]]
