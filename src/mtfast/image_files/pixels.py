"""Samples as decoders return them -> the pixels that callers see, in a caller's array."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["fill", "fill_from_cmyk", "fill_from_palette"]

# Rows that are converted at a time, so that the copy between takes little memory.
_ROWS = 256


def fill(out: NDArray[Any], samples: NDArray[Any]) -> None:
    """Copy the colours of an image: grey to all three channels, alpha to none.

    Parameters
    ----------
    out : (H, W, 3) or (H, W) array
        Is overwritten.
    samples : (H, W) or (H, W, n) array
        Grey and 0 or more others, or red, green, blue and 0 or more others.

    Examples
    --------
    >>> out = np.empty((1, 2, 3), np.uint8)
    >>> fill(out, np.array([[[5, 0], [7, 255]]]))
    >>> out
    array([[[5, 5, 5],
            [7, 7, 7]]], dtype=uint8)
    """
    if samples.ndim == 2:
        samples = samples[..., None]
    if out.ndim == 2:
        out[...] = samples[..., 0]
        return
    is_grey = samples.shape[2] < 3
    # Channel by channel: one assignment of three takes five times as long.
    for channel in range(3):
        out[..., channel] = samples[..., 0 if is_grey else channel]


def fill_from_palette(
    out: NDArray[Any], palette: NDArray[Any], indices: NDArray[np.integer[Any]]
) -> None:
    """Look up the colours of an image.

    Parameters
    ----------
    out : (H, W, 3) array
        Is overwritten, in C order.
    palette : (n, 3) array
        Of the type of ``out``.
    indices : (H, W) integers
        The last colour is used for those beyond the palette.

    Examples
    --------
    >>> out = np.empty((1, 2, 3), np.uint8)
    >>> fill_from_palette(out, np.array([[1, 2, 3], [4, 5, 6]], np.uint8), np.array([[1, 0]]))
    >>> out[0].tolist()
    [[4, 5, 6], [1, 2, 3]]
    """
    np.take(palette, indices, axis=0, out=out, mode="clip")


def fill_from_cmyk(out: NDArray[np.uint8], inks: NDArray[np.uint8]) -> None:
    """Convert inks to RGB as Pillow does, which knows no colour profiles.

    Parameters
    ----------
    out : (H, W, 3) uint8
        Is overwritten.
    inks : (H, W, 4) uint8
        Cyan, magenta, yellow and black; 255 is all of the ink.

    Examples
    --------
    >>> out = np.empty((1, 2, 3), np.uint8)
    >>> fill_from_cmyk(out, np.array([[[0, 0, 0, 0], [255, 0, 0, 51]]], np.uint8))
    >>> out[0].tolist()
    [[255, 255, 255], [0, 204, 204]]
    """
    from PIL import Image

    for row in range(0, len(out), _ROWS):
        rows = Image.fromarray(np.ascontiguousarray(inks[row : row + _ROWS]), "CMYK")
        out[row : row + _ROWS] = np.asarray(rows.convert("RGB"))
