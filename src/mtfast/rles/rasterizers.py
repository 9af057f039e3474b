"""How polygons become pixels: the rules that the field's tools have, by their names.

===============  ==============================================================================
``pycocotools``  pixels whose middle is inside, on a grid five times finer: COCO's own masks
``pil``          coordinates cut to integers, the outline drawn too: labelme's masks
``cv2``          coordinates rounded to integers, the outline drawn too: many training scripts
===============  ==============================================================================

A mask is the union of its rings, each drawn by itself. The last two make a mask larger, by half a
pixel all along its outline.

Source: ``rleFrPoly`` of pycocotools, ``ImageDraw.polygon`` of Pillow, ``fillPoly`` of OpenCV.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, one_of
from mtfast.rles.pixels import encode_part

__all__ = ["RASTERIZERS", "Rasterizer", "draw_rings", "expect_rasterizer"]

Rasterizer = Literal["pycocotools", "pil", "cv2"]

RASTERIZERS: tuple[Rasterizer, ...] = get_args(Rasterizer)
"""All of them, the default first."""

Points = NDArray[np.int64]


def expect_rasterizer(rasterizer: str) -> None:
    """Check that there is a rasterizer of that name, and the library that it needs.

    Parameters
    ----------
    rasterizer : str

    Raises
    ------
    MtfastError

    Examples
    --------
    >>> expect_rasterizer("gdi")                                # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mtfast.errors.MtfastError: rasterizer is 'gdi'; expected one of ('pycocotools', 'pil', ...
    """
    one_of("rasterizer", rasterizer, RASTERIZERS)
    if rasterizer == "cv2" and find_spec("cv2") is None:
        raise MtfastError(
            "no OpenCV, for the rasterizer cv2; expected it to be installed; "
            "pip install 'mtfast[cv2]', or choose another rasterizer"
        )


def draw_rings(
    rings: Sequence[Sequence[float]], size: tuple[int, int], rasterizer: Rasterizer
) -> bytes:
    """Draw the rings of a mask as Pillow or OpenCV does.

    Parameters
    ----------
    rings : sequence of [x, y, x, y, ...]
        Finite numbers of at most 2**20; an odd one at the end is ignored.
    size : (height, width)
        Of the frame; what is outside is cut off.
    rasterizer : {"pil", "cv2"}

    Returns
    -------
    bytes
        COCO's compressed text.

    Examples
    --------
    >>> draw_rings([[1.9, 1, 3.9, 1, 3.9, 2, 1.9, 2]], (4, 5), "pil")
    b'5220003'
    """
    height, width = size
    corners = [_integers(ring, rasterizer) for ring in rings]
    every = np.concatenate(corners)
    left, top = every.min(axis=0).clip(0, (width, height)).tolist()
    right, bottom = (every.max(axis=0) + 1).clip((left, top), (width, height)).tolist()
    if left == right or top == bottom:
        return encode_part(np.zeros((0, 0)), 0, 0, size)
    # Never shifted: Pillow rounds where lines cross rows in another way then.
    draw = _draw_pil if rasterizer == "pil" else _draw_cv2
    return encode_part(draw(corners, (left, top, right, bottom)), top, left, size)


def _integers(ring: Sequence[float], rasterizer: Rasterizer) -> Points:
    """Return the corners as a tool takes them, (n, 2) of x and y; Pillow cuts floats itself."""
    points = np.array(ring[: len(ring) // 2 * 2], np.float64).reshape(-1, 2)
    # Pillow cuts floats itself, toward zero; here it is done before they are shifted.
    return (np.trunc(points) if rasterizer == "pil" else np.rint(points)).astype(np.int64)


def _draw_pil(rings: Sequence[Points], box: tuple[int, int, int, int]) -> NDArray[Any]:
    from PIL import Image, ImageDraw

    canvas = Image.new("L", box[2:])
    draw = ImageDraw.Draw(canvas)
    for ring in rings:
        xy = ring.ravel().tolist()
        # Pillow refuses one point alone, which is a polygon of one pixel.
        draw.polygon(xy * 2 if len(xy) == 2 else xy, outline=1, fill=1)
    return np.asarray(canvas.crop(box))


def _draw_cv2(rings: Sequence[Points], box: tuple[int, int, int, int]) -> NDArray[Any]:
    import cv2

    left, top, right, bottom = box
    canvas = np.zeros((bottom, right), np.uint8)
    for ring in rings:
        cv2.fillPoly(canvas, [ring.astype(np.int32)], 1)
    return canvas[top:, left:]
