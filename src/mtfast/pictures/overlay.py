"""One image with its instances drawn on it, as large as it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import check_share
from mtfast.errors import MtfastError
from mtfast.pictures.outlines import Labels, draw_outlines, instance_labels, outline_width
from mtfast.table import RunTable

__all__ = ["as_8_bits", "overlay"]

UInt8 = NDArray[np.uint8]


def overlay(
    image: NDArray[Any], table: RunTable, *, alpha: float = 0.35, outlines: bool = True
) -> UInt8:
    """Draw the instances of an image on it, in the colours of their classes.

    Parameters
    ----------
    image : (height, width) or (height, width, 3), uint8 or uint16
        Grey or RGB; pixels of 16 bits are scaled as :func:`as_8_bits` does.
    table : RunTable
        Of this one image.
    alpha : float
        How much of an instance's pixels is colour, 0 to 1.
    outlines : bool
        Whether a line is drawn around each instance, as wide as it has to be to be seen when the
        picture is shrunk to a page.

    Returns
    -------
    (height, width, 3) uint8, C order
        RGB, an array of its own.

    Raises
    ------
    MtfastError
        If the table has another number of images than one or another size than the image, or alpha
        is not between 0 and 1.

    Examples
    --------
    >>> from mtfast import RunTable
    >>> grey = np.full((1, 6), 100, np.uint8)
    >>> table = RunTable.of_texts((1, 6), [[b"132"]])    # .###..
    >>> overlay(grey, table, alpha=1, outlines=False)[0, :2].tolist()
    [[100, 100, 100], [213, 94, 0]]
    """
    _check(image, table, alpha)
    pixels = as_8_bits(image)[0]
    picture = np.repeat(pixels[..., None], 3, axis=2) if pixels.ndim == 2 else pixels.copy()
    if not table.n_instances:
        return picture
    labels = instance_labels(table)
    _fill(picture, labels, alpha)
    if outlines:
        draw_outlines(picture, labels.map, labels.colours, outline_width(*labels.map.shape))
    return picture


def _fill(picture: UInt8, labels: Labels, alpha: float) -> None:
    """Mix the pixels of instances with their colours."""
    inside = labels.map > 0
    colours = labels.colours[labels.map[inside]]
    mixed = picture[inside] * np.float32(1 - alpha) + colours * np.float32(alpha)
    picture[inside] = mixed.round().astype(np.uint8)


def _check(image: NDArray[Any], table: RunTable, alpha: float) -> None:
    check_share("alpha", alpha)
    if table.n_images != 1:
        raise MtfastError(
            f"a table of {table.n_images} images; expected one of the image that is drawn on; "
            f"pass table.image(i)"
        )
    size = (int(table.heights[0]), int(table.widths[0]))
    if image.shape[:2] != size:
        raise MtfastError(
            f"an image of shape {image.shape} for masks of {size[0]} x {size[1]}; expected both of "
            f"one size; pass the image of the table"
        )


def as_8_bits(pixels: NDArray[Any]) -> tuple[UInt8, str]:
    """Make pixels of 16 bits pixels of 8 bits, to look at.

    Microscopes fill 16 bits by a small part, which differs from image to image: 1 in 1,000 samples
    of the image may be darker than black and 1 in 1,000 brighter than white.

    Parameters
    ----------
    pixels : (height, width, 3) uint8, or (height, width) or (height, width, 3) uint16

    Returns
    -------
    pixels : uint8 array of the same shape
    scaled : str
        What was done, in words; empty for pixels of 8 bits, which stay as they are.

    Examples
    --------
    >>> as_8_bits(np.array([[100, 300, 500]], np.uint16))
    (array([[  0, 127, 255]], dtype=uint8), '16 bits, 100-500 shown')
    """
    if pixels.dtype == np.uint8:
        return pixels, ""
    black, white = np.percentile(pixels, (0.1, 99.9), method="nearest").tolist()
    span = max(white - black, 1)
    lookup = np.clip((np.arange(65536) - black) * 255 // span, 0, 255).astype(np.uint8)
    return lookup[pixels], f"16 bits, {black}-{white} shown"
