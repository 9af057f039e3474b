"""Outlines of instances: a coloured line around each, between two dark ones.

Per instance, largest first::

    label map of the frame -> of the picture's pixels -> grown by the width of the line: what was
                                                         not of that label before is the line
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.painting.paint import semantic
from mtfast.pictures.palette import HALO, class_colour
from mtfast.table import RunTable

__all__ = ["Labels", "draw_outlines", "grow", "instance_labels", "outline_width", "places"]

UInt8 = NDArray[np.uint8]
# More instances have no number of 16 bits; they would be smaller than a pixel of any picture.
_MOST_INSTANCES = (1 << 16) - 1


class Labels(NamedTuple):
    """Which instance each pixel shows.

    Attributes
    ----------
    map : (height, width) uint8 or uint16, C order
        0 is background. Smaller instances have larger labels, and lie on top.
    category_ids : (n_labels + 1,) int64
        Class of each label; 0 for the background.
    """

    map: NDArray[Any]
    category_ids: NDArray[np.int64]

    @property
    def colours(self) -> UInt8:
        """RGB of each label, (n_labels + 1, 3) uint8: that of its class."""
        return np.array([class_colour(id_) for id_ in self.category_ids.tolist()], np.uint8)

    def classes(self) -> frozenset[int]:
        """Return the ids of the classes that show."""
        shown = np.unique(self.map)
        return frozenset(self.category_ids[shown[shown > 0]].tolist())

    def sample(self, window: Window, rows: int, columns: int) -> Labels:
        """Return the labels of a picture that shows a window.

        Parameters
        ----------
        window : Window
        rows, columns : int
            Size of the picture.

        Returns
        -------
        Labels
            Those in the middle of each pixel of the picture; where an instance is in the middle of
            none, those of its own pixels, so that no instance is lost.
        """
        small = self.map[np.ix_(*places(window, rows, columns))]
        top, left, height, width = window
        inside = self.map[top : top + height, left : left + width]
        is_lost = np.zeros(len(self.category_ids), bool)
        is_lost[np.unique(inside)] = True
        is_lost[np.unique(small)] = False
        if is_lost[1:].any():
            is_lost[0] = False
            y, x = np.nonzero(is_lost[inside])
            small[y * rows // height, x * columns // width] = inside[y, x]
        return Labels(small, self.category_ids)


def places(window: Window, rows: int, columns: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the pixel of the frame in the middle of each row and column of a picture.

    Parameters
    ----------
    window : Window
        What the picture shows.
    rows, columns : int
        Size of the picture.

    Returns
    -------
    (rows,) int64, (columns,) int64

    Examples
    --------
    >>> places(Window(10, 0, 4, 6), 2, 3)
    (array([11, 13]), array([1, 3, 5]))
    """
    y = (np.arange(rows) + 0.5) * window.height / rows
    x = (np.arange(columns) + 0.5) * window.width / columns
    return window.y + y.astype(np.int64), window.x + x.astype(np.int64)


def instance_labels(table: RunTable) -> Labels:
    """Number the instances of an image from the largest to the smallest, and paint them.

    Parameters
    ----------
    table : RunTable
        Of one image.

    Returns
    -------
    Labels

    Raises
    ------
    RLEError
        If an RLE does not tile its frame.
    """
    order = np.argsort(-table.area(), kind="stable")[:_MOST_INSTANCES]
    painted = table[order]
    numbered = replace(painted, category_ids=np.arange(1, order.size + 1))
    return Labels(semantic(numbered)[0], np.append(0, painted.category_ids))


def outline_width(height: int, width: int) -> int:
    """Return how wide outlines are to be on a picture that people see as wide as a page.

    Parameters
    ----------
    height, width : int
        Of the picture, in pixels.

    Returns
    -------
    int
        Pixels: two where 920 are shown.

    Examples
    --------
    >>> outline_width(1200, 1920), outline_width(64, 64)
    (4, 1)
    """
    return max(1, round(max(height, width) / 460))


def draw_outlines(picture: UInt8, labels: NDArray[Any], colours: UInt8, width: int) -> None:
    """Draw a line around every label, in its colour and with a dark one beside it.

    Lines lie outside of what has the label, on the background or on a smaller label.

    Parameters
    ----------
    picture : (height, width, 3) uint8, C order
        RGB; drawn on.
    labels : (height, width) uint8 or uint16, C order
        0 is background.
    colours : (n_labels + 1, 3) uint8, C order
        RGB of each label.
    width : int
        Of the line, in pixels; the dark ones are half as wide, so that small instances stay
        visible between them.
    """
    grown = grow(labels, width)
    line = grown > labels
    picture[grow(line, max(1, width // 2))] = HALO
    picture[line] = colours[grown[line]]


def grow(values: NDArray[Any], n: int) -> NDArray[Any]:
    """Return the largest value at most n rows and n columns away from each pixel.

    Parameters
    ----------
    values : (height, width) bool or unsigned
    n : int

    Returns
    -------
    array of the same shape and dtype

    Examples
    --------
    >>> grow(np.array([[0, 0, 3, 0, 1]], np.uint8), 1)
    array([[0, 3, 3, 3, 1]], dtype=uint8)
    """
    return _grow_down(_grow_down(values, n).T, n).T


def _grow_down(values: NDArray[Any], n: int) -> NDArray[Any]:
    """Return the largest of the 2 n + 1 values around each, down the columns, by doubling."""
    grown, reach = np.pad(values, ((n, n), (0, 0))), 1
    while 2 * reach <= 2 * n + 1:
        grown = np.maximum(grown[:-reach], grown[reach:])
        reach *= 2
    rest = 2 * n + 1 - reach
    largest: NDArray[Any] = np.maximum(grown[: len(values)], grown[rest : rest + len(values)])
    return largest
