"""Masks as polygons with holes."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from mtfast import rles as operations
from mtfast.mask.dicts import Mask, Masks, rles_of

__all__ = ["Polygon", "polygons"]


class Polygon(NamedTuple):
    """A connected part of a mask.

    Attributes
    ----------
    outer : (n_points, 2) int64
        x and y of the corners of its outline; the last one is joined with the first.
    holes : tuple of (n_points, 2) int64
        The same of each hole.
    """

    outer: NDArray[np.int64]
    holes: tuple[NDArray[np.int64], ...]


@overload
def polygons(rleObjs: Mask) -> list[Polygon]: ...


@overload
def polygons(rleObjs: Masks) -> list[list[Polygon]]: ...


def polygons(rleObjs: Mask | Masks) -> list[Polygon] | list[list[Polygon]]:
    """Outline masks: polygons with holes, which cover exactly their pixels.

    Parameters
    ----------
    rleObjs : dict, or list of dicts, or RunTable

    Returns
    -------
    list of Polygon, or for each mask such a list
        A polygon for each component that is connected by the sides of its pixels, as of
        :func:`components`; none for an empty mask. Coordinates are corners of pixels: (0, 0) is the
        upper left corner of the frame, and the pixel in row y and column x reaches from (x, y) to
        (x + 1, y + 1). Outer rings are clockwise as seen in the image, holes counterclockwise.
        Shapely and GeoJSON take them as they are; :func:`frPyObjects` of the rings, without the
        pixels of the holes, gives the masks again.

    Raises
    ------
    RLEError
        If a mask is malformed.
    MtfastError
        If the polygons do not fit into memory.

    Examples
    --------
    >>> import numpy as np
    >>> from mtfast.mask import encode, polygons
    >>> frame = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], np.uint8)
    >>> (polygon,) = polygons(encode(frame))
    >>> polygon.outer.tolist(), polygon.holes[0].tolist()
    ([[0, 0], [3, 0], [3, 3], [0, 3]], [[1, 2], [2, 2], [2, 1], [1, 1]])

    See Also
    --------
    mtfast.rles.to_polygons : the same as flat arrays with offsets, the layout of GeoArrow.
    """
    found = operations.to_polygons(rles_of(rleObjs))
    rings = found.rings()
    ends = found.polygon_offsets.tolist()
    all_polygons = [Polygon(rings[i], tuple(rings[i + 1 : j])) for i, j in pairwise(ends)]
    if isinstance(rleObjs, Mapping):
        return all_polygons
    return [all_polygons[i:j] for i, j in pairwise(found.mask_offsets.tolist())]
