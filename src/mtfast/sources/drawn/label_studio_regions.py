"""The regions of Label Studio -> pixels.

================  =================================================================================
polygon           ``points``, in percent of width and height
rectangle         ``x``, ``y``, ``width``, ``height`` in percent, turned about its first corner
ellipse           ``x``, ``y``, ``radiusX``, ``radiusY`` in percent, turned about its middle
brush             ``rle``: see :mod:`mtfast.kernels.files.rle_pack`; where alpha is more than 0
bitmask           ``imageDataURL``, a PNG: where alpha is more than 0
key points, …     no mask
================  =================================================================================

What a region is shows in what its value holds: the names of types differ between control tags.

Source: ``label_studio_sdk/converter``, labelstud.io/tags.
"""

from __future__ import annotations

import math
from io import BytesIO
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.rles.pixels import encode_mask
from mtfast.sources.drawn.table import decode_png, ring_of_ellipse

__all__ = ["ALPHA_OVER", "NULL", "NoMask", "Value", "mask_of_region"]

ALPHA_OVER = 0
"""The alpha of foreground is more than this, as in Label Studio's own conversion to COCO."""

NULL = msgspec.Raw(b"null")
"""A value that is not there: of a union with Raw, msgspec would decode nothing else."""

_REASONS = {
    -1: "its brush RLE ends before the last pixel",
    -2: "its brush RLE is of another number of pixels",
    -3: "its brush RLE has words of more than 8 bits",
    -4: "its brush RLE goes on after the last pixel",
}
_BYTES = msgspec.json.Decoder(list[Annotated[int, msgspec.Meta(ge=0, le=255)]])


class Value(msgspec.Struct, rename="camel"):
    """The "value" of a region, as far as it is drawn."""

    points: list[tuple[float, float]] | None = None
    closed: bool | None = None
    x: float | None = None
    y: float | None = None
    width: float | None = None
    height: float | None = None
    radius_x: float | None = None
    radius_y: float | None = None
    rotation: float | None = None
    rle: msgspec.Raw = NULL
    image_data_url: str | None = msgspec.field(default=None, name="imageDataURL")


class NoMask(Exception):  # noqa: N818 - it is no error
    """What is drawn has no area: a key point or an open line."""


def mask_of_region(value: Value, size: tuple[int, int]) -> list[list[float]] | bytes | None:
    """Return what a region covers.

    Parameters
    ----------
    value : Value
    size : (height, width)
        Of the image, in pixels.

    Returns
    -------
    list of rings, bytes, or None
        Rings to rasterise, or COCO's compressed text; None if nothing is drawn.

    Raises
    ------
    NoMask
        If it has no area.
    SourceError
        If it is malformed; in words that go after its name.

    Examples
    --------
    >>> mask_of_region(Value(x=50, y=0, width=25, height=50, rotation=0), (4, 8))
    [[4.0, 0.0, 6.0, 0.0, 6.0, 2.0, 4.0, 2.0]]
    """
    height, width = size
    if bytes(memoryview(value.rle)[:4]) != b"null":
        return _brush(value.rle, size)
    if value.image_data_url is not None:
        return _bitmask(value.image_data_url, size)
    if value.points is not None:
        return [_polygon(value, size)]
    if value.x is None or value.y is None:
        return None
    x, y = value.x * width / 100, value.y * height / 100
    turned = value.rotation or 0.0
    if value.radius_x is not None and value.radius_y is not None:
        radii = value.radius_x * width / 100, value.radius_y * height / 100
        return [ring_of_ellipse(x, y, *radii, turned)]
    if value.width is None or value.height is None:
        raise NoMask
    w, h = value.width * width / 100, value.height * height / 100
    cos, sin = math.cos(math.radians(turned)), math.sin(math.radians(turned))
    corners = [(0.0, 0.0), (w, 0.0), (w, h), (0.0, h)]
    return [[n for u, v in corners for n in (x + u * cos - v * sin, y + u * sin + v * cos)]]


def _polygon(value: Value, size: tuple[int, int]) -> list[float]:
    height, width = size
    points = value.points or []
    if value.closed is False:
        raise NoMask
    if len(points) < 3:
        raise SourceError(f"a polygon of {len(points)} points; expected 3 or more")
    return [n for x, y in points for n in (x * width / 100, y * height / 100)]


def _brush(rle: msgspec.Raw, size: tuple[int, int]) -> bytes:
    from mtfast.kernels.files.rle_pack import decode_alpha

    try:
        data = np.array(_BYTES.decode(rle), np.uint8)
    except msgspec.MsgspecError as error:
        raise SourceError(f"its brush RLE is no list of bytes ({error}); expected one") from error
    alpha = np.zeros(size, np.uint8)
    n = decode_alpha(data, alpha.reshape(-1))
    if n < 0:
        raise SourceError(f"{_REASONS[n]}; expected {size[0]} x {size[1]} of 4 words each")
    return _foreground(alpha)


def _bitmask(text: str, size: tuple[int, int]) -> bytes:
    alpha = decode_png(text, size, _alpha_of_png)
    if alpha.shape != size:
        raise SourceError(
            f"its mask is of {alpha.shape[0]} x {alpha.shape[1]} pixels, its image of {size[0]} x "
            f"{size[1]}; expected the same"
        )
    return _foreground(alpha)


def _alpha_of_png(data: bytes, what: str) -> NDArray[Any]:
    """Return the alpha of a PNG; of one without alpha its grey values."""
    # The plugin itself: Image.open warns of sizes that have been checked.
    from PIL.PngImagePlugin import PngImageFile

    try:
        with PngImageFile(BytesIO(data)) as image:
            if image.has_transparency_data:
                return np.asarray(image.convert("RGBA").getchannel("A"))
            return np.asarray(image.convert("L"))
    except (ValueError, OSError, SyntaxError, MemoryError) as error:
        raise SourceError(f"{what} cannot be decoded ({error}); expected a whole PNG") from error


def _foreground(alpha: NDArray[Any]) -> bytes:
    return encode_mask(alpha > ALPHA_OVER)[0]
