"""COCO RLE text -> the outlines of masks as polygons with holes, many at a time."""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.rles.batch import Int64, Rles, allocate, toggles_of
from mtfast.rles.morphology import split_components

__all__ = ["Polygons", "to_polygons"]


class Polygons(NamedTuple):
    """The polygons of a batch of masks in flat arrays: the layout of GeoArrow's multipolygons.

    Attributes
    ----------
    points : (n_points, 2) int64
        x and y of corners of pixels: (0, 0) is the upper left corner of the frame, and the pixel in
        row y and column x reaches from (x, y) to (x + 1, y + 1). C order.
    ring_offsets : (n_rings + 1,) int64
        Ring r is points[ring_offsets[r]:ring_offsets[r + 1]]. Its last point is joined with the
        first one, which is not repeated. Every point is a corner: no three are in a line.
    polygon_offsets : (n_polygons + 1,) int64
        Polygon p has the rings polygon_offsets[p] .. polygon_offsets[p + 1] - 1; the first is the
        outer one, the others are holes.
    mask_offsets : (n + 1,) int64
        Mask k has the polygons mask_offsets[k] .. mask_offsets[k + 1] - 1.
    """

    points: Int64
    ring_offsets: Int64
    polygon_offsets: Int64
    mask_offsets: Int64

    @property
    def n(self) -> int:
        """Number of masks."""
        return len(self.mask_offsets) - 1

    def rings(self) -> list[NDArray[np.int64]]:
        """Return all rings, each an (n_points, 2) view of :attr:`points`."""
        return [self.points[i:j] for i, j in pairwise(self.ring_offsets.tolist())]


def to_polygons(rles: Rles) -> Polygons:
    """Outline masks: polygons with holes, which cover exactly their pixels.

    Parameters
    ----------
    rles : Rles

    Returns
    -------
    Polygons
        One polygon for each component that is connected by the sides of its pixels, ordered by
        their first pixel in column-major order; an empty mask has none. In coordinates outer rings
        turn from the x axis to the y axis, which is clockwise in an image, as its y axis points
        down, and holes the other way; so the area by the shoelace formula is positive for outer
        rings. They are valid polygons of OGC's simple features: no ring meets itself, and two meet
        in corners alone.

    Raises
    ------
    RLEError
        If a text does not tile its frame.
    MtfastError
        If the polygons do not fit into memory.

    Examples
    --------
    >>> found = to_polygons(Rles.of([b"031"], [(2, 2)]))      # ##
    >>> found.points.tolist()                                 # #.
    [[0, 0], [2, 0], [2, 1], [1, 1], [1, 2], [0, 2]]
    >>> found.ring_offsets.tolist(), found.polygon_offsets.tolist(), found.mask_offsets.tolist()
    ([0, 6], [0, 1], [0, 1])

    Notes
    -----
    pycocotools draws outlines on a grid five times finer than the pixels, where integer coordinates
    are corners of pixels and horizontal edges toggle the pixels below: ``frPyObjects`` of the rings
    gives masks of which those of holes are taken off. The sum modulo 2 of all rings is the mask as
    well.
    """
    from mtfast.kernels.operations import contours

    parts, mask_offsets = split_components(toggles_of(rles, "rles"), 4)
    total = int(parts.offsets[-1])
    points = allocate(contours.N_NUMBERS * total)
    ring_offsets = allocate(3 * total + 1)
    polygon_offsets = allocate(parts.n + 1)
    n_points = contours.contours(
        *parts[:3],
        parts.longest,
        allocate(contours.N_SCRATCH * parts.longest),
        points,
        ring_offsets,
        polygon_offsets,
    )
    # A copy would take a fifth of the time.
    points.resize(2 * n_points, refcheck=False)
    ring_offsets.resize(int(polygon_offsets[-1]) + 1, refcheck=False)
    return Polygons(points.reshape(-1, 2), ring_offsets, polygon_offsets, mask_offsets)
