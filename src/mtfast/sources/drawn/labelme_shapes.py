"""The shapes of labelme -> pixels, as labelme itself makes masks of them.

======================  ===========================================================================
polygon                 its ring
rectangle               the ring of its corners; two opposite ones are given, in any order
oriented_rectangle      the ring of its four corners
circle                  middle and a point of the outline: a ring of 360 corners
line, linestrip         drawn 10 pixels wide
point                   a disc of 5 pixels around it
mask                    pixels, from a corner on
points                  no mask
======================  ===========================================================================

By the rasterizer "pil" all are those of labelme's ``shape_to_mask``, pixel by pixel: there rings
and circles are drawn with their outlines, which pass through the pixels of the points. Lines and
points have no area of their own, and are drawn so by every rasterizer.

Source: ``labelme/utils/shape.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mtfast.errors import SourceError
from mtfast.rles.pixels import encode_part
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources.drawn.table import decode_png, ring_of_ellipse
from mtfast.sources.label_png import decode_labels

__all__ = ["WITHOUT_MASK", "mask_of_shape"]

WITHOUT_MASK = "points"
"""The type of shape that labelme makes no mask of."""

Point = tuple[float, float]

_LINE_WIDTH = 10
_POINT_RADIUS = 5
# Of any coordinate: what is drawn here is drawn by Pillow, which takes integers of 32 bits.
_FARTHEST = 2.0**20


def mask_of_shape(
    kind: str,
    points: Sequence[Point],
    png: str | None,
    size: tuple[int, int],
    rasterizer: Rasterizer,
) -> list[list[float]] | bytes:
    """Return what a shape covers.

    Parameters
    ----------
    kind : str
        Its type.
    points : sequence of (x, y)
    png : str or None
        The base64 of a mask.
    size : (height, width)
        Of the image.
    rasterizer : {"pycocotools", "pil", "cv2"}

    Returns
    -------
    list of rings, or bytes
        Rings to rasterise, or COCO's compressed text.

    Raises
    ------
    SourceError
        If it is no shape of that type; in words that go after its name.

    Examples
    --------
    >>> mask_of_shape("rectangle", [(4, 3), (1, 1)], None, (4, 5), "pycocotools")
    [[1, 1, 4, 1, 4, 3, 1, 3]]
    """
    if kind not in _POINTS:
        raise SourceError(f"its type is {kind!r}; expected one of labelme's")
    fewest, most = _POINTS[kind]
    if not fewest <= len(points) <= most:
        expected = f"{fewest}" if fewest == most else f"{fewest} or more"
        raise SourceError(f"{len(points)} points; expected {expected}")
    if not all(abs(x) <= _FARTHEST and abs(y) <= _FARTHEST for x, y in points):
        raise SourceError("a coordinate is no number, or beyond 2**20; expected pixels")
    if kind == "mask":
        return _pixels(points, png, size)
    if kind in _PILLOW and (kind not in _RINGS or rasterizer == "pil"):
        return _drawn(_PILLOW[kind], points, size)
    return [_RINGS.get(kind, _flat)(points)]


_MANY = 1 << 20
# How many points a shape of each type has, at least and at most.
_POINTS = {
    "polygon": (3, _MANY),
    "rectangle": (2, 2),
    "oriented_rectangle": (4, 4),
    "circle": (2, 2),
    "line": (2, 2),
    "linestrip": (1, _MANY),
    "point": (1, 1),
    "mask": (2, 2),
}


def _flat(points: Sequence[Point]) -> list[float]:
    return [number for point in points for number in point]


def _corners(points: Sequence[Point]) -> list[float]:
    (left, right), (top, bottom) = map(sorted, zip(*points, strict=True))
    return [left, top, right, top, right, bottom, left, bottom]


def _round(points: Sequence[Point]) -> list[float]:
    (x, y), (px, py) = points
    radius = math.hypot(px - x, py - y)
    return ring_of_ellipse(x, y, radius, radius)


_RINGS: dict[str, Callable[[Sequence[Point]], list[float]]] = {
    "rectangle": _corners,
    "circle": _round,
}


def _pixels(points: Sequence[Point], png: str | None, size: tuple[int, int]) -> bytes:
    """Place the pixels of a mask, which are cut to the corners if these are whole numbers."""
    if png is None:
        raise SourceError("it has no mask; expected the pixels of one")
    part = decode_png(png, size, decode_labels)
    (x1, y1), (x2, y2) = points
    if all(float(number).is_integer() for number in (x1, y1, x2, y2)):
        part = part[: max(int(y2 - y1) + 1, 0), : max(int(x2 - x1) + 1, 0)]
    return encode_part(part, round(y1), round(x1), size)


def _drawn(
    draw: Callable[[Any, Sequence[Point]], None], points: Sequence[Point], size: tuple[int, int]
) -> bytes:
    """Draw a shape with Pillow, in as much of the image as it may reach from the corner on."""
    height, width = size
    reach = _reach(points)
    (left, right), (top, bottom) = (
        (min(middles) - reach, max(middles) + reach) for middles in zip(*points, strict=True)
    )
    box = (
        min(max(math.floor(left), 0), width),
        min(max(math.floor(top), 0), height),
        min(max(math.ceil(right) + 1, 0), width),
        min(max(math.ceil(bottom) + 1, 0), height),
    )
    if box[0] >= box[2] or box[1] >= box[3]:
        return encode_part(np.zeros((0, 0)), 0, 0, size)
    canvas = Image.new("L", box[2:])
    draw(ImageDraw.Draw(canvas), points)
    part: NDArray[Any] = np.asarray(canvas.crop(box))
    return encode_part(part, box[1], box[0], size)


def _reach(points: Sequence[Point]) -> float:
    """How far from its points a shape may reach; a circle as far as they are from each other."""
    (x, y), (px, py) = points[0], points[-1]
    return 2 * _LINE_WIDTH + (math.hypot(px - x, py - y) if len(points) == 2 else 0)


def _draw_circle(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    (x, y), (px, py) = points
    radius = math.sqrt((x - px) ** 2 + (y - py) ** 2)
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=1, fill=1)


def _draw_rectangle(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    (left, right), (top, bottom) = map(sorted, zip(*points, strict=True))
    draw.rectangle((left, top, right, bottom), outline=1, fill=1)


def _draw_line(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    draw.line(_flat(points), fill=1, width=_LINE_WIDTH)


def _draw_point(draw: ImageDraw.ImageDraw, points: Sequence[Point]) -> None:
    ((x, y),) = points
    r = _POINT_RADIUS
    draw.ellipse((x - r, y - r, x + r, y + r), outline=1, fill=1)


_PILLOW: dict[str, Callable[[Any, Sequence[Point]], None]] = {
    "circle": _draw_circle,
    "rectangle": _draw_rectangle,
    "line": _draw_line,
    "linestrip": _draw_line,
    "point": _draw_point,
}
