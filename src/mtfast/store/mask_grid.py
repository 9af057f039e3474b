"""How the masks of images of several sizes share one array.

The array reaches as far as the largest image. An inner chunk has the usual size, so that a set with
one outlier keeps small chunks, and an image of the usual size is one chunk. Chunks beyond an image
are absent, and what is in a chunk beyond its image is 0.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window

__all__ = ["MaskGrid"]

_OUTLIER = 8
"""Chunks along a side of the largest image, at most, where it is an outlier."""


class MaskGrid(NamedTuple):
    """The chunks of the masks of a split.

    Attributes
    ----------
    height, width : int
        Of the largest image, side by side.
    chunk : (height, width)
        Of an inner chunk, in pixels.
    """

    height: int
    width: int
    chunk: tuple[int, int]

    @classmethod
    def of(cls, heights: NDArray[np.integer], widths: NDArray[np.integer]) -> MaskGrid:
        """Choose the chunks for images of some sizes.

        Parameters
        ----------
        heights, widths : (n,) int
            In pixels; at least one.

        Returns
        -------
        MaskGrid

        Examples
        --------
        >>> MaskGrid.of(np.array([480, 640]), np.array([640, 480]))
        MaskGrid(height=640, width=640, chunk=(640, 640))
        >>> outlier = np.array([480] * 99 + [20_000])
        >>> MaskGrid.of(outlier, outlier).chunk
        (2500, 2500)
        """
        chunk = _usual(heights), _usual(widths)
        return cls(int(heights.max()), int(widths.max()), chunk)

    @property
    def shape(self) -> tuple[int, int]:
        """Chunks down and across."""
        return -(-self.height // self.chunk[0]), -(-self.width // self.chunk[1])

    @property
    def n_chunks(self) -> int:
        """Chunks of an image that is as large as the array."""
        return self.shape[0] * self.shape[1]

    def windows(self, height: int, width: int) -> list[Window | None]:
        """Return which part of an image each chunk shows.

        Parameters
        ----------
        height, width : int
            Of the image.

        Returns
        -------
        list of n_chunks Window or None
            In the order of the array; None for a chunk beyond the image.

        Examples
        --------
        >>> MaskGrid(100, 150, (100, 100)).windows(80, 120)
        [Window(y=0, x=0, height=80, width=100), Window(y=0, x=100, height=80, width=20)]
        """
        h, w = self.chunk
        down, across = self.shape
        return [
            Window(y, x, min(h, height - y), min(w, width - x))
            if y < height and x < width
            else None
            for y in range(0, down * h, h)
            for x in range(0, across * w, w)
        ]


def _usual(sides: NDArray[np.integer]) -> int:
    """Return a side that most images fit into, and of which the largest takes a few."""
    top = int(sides.max())
    most = int(np.quantile(sides, 0.95, method="higher"))
    return top if top <= 2 * most else max(most, -(-top // _OUTLIER))
