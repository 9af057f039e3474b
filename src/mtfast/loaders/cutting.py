"""What a window shows of an image and of its masks, padded where it goes beyond the image."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.loaders.views import View
from mtfast.painting.crop import crop_table, pad_table
from mtfast.painting.instance_targets import InstanceTargets, measure_masks
from mtfast.painting.paint import semantic
from mtfast.table import RunTable

__all__ = [
    "Inside",
    "cut_instances",
    "inside_of",
    "pad_pixels",
    "paint_labels",
    "sample_pixels",
    "transform_instances",
]


class Inside(NamedTuple):
    """The part of a window that is inside the image: first row and column in it, and its size."""

    y: int
    x: int
    h: int
    w: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns in the window."""
        return slice(self.y, self.y + self.h), slice(self.x, self.x + self.w)


def inside_of(view: View, table: RunTable) -> Inside:
    """Return the part of a view that is inside the image of a table.

    Parameters
    ----------
    view : View
    table : RunTable
        Of one image.

    Returns
    -------
    Inside
    """
    y, x, h, w = view[:4]
    height, width = table.common_size()
    top, left = max(y, 0), max(x, 0)
    return Inside(top - y, left - x, min(y + h, height) - top, min(x + w, width) - left)


def cut_instances(table: RunTable, view: View) -> tuple[RunTable, Inside]:
    """Cut the instances of an image to a window, and pad them where it goes beyond the image.

    Parameters
    ----------
    table : RunTable
        Of one image.
    view : View

    Returns
    -------
    table : RunTable
        In the frame of the window.
    inside : Inside
    """
    y, x, h, w = view[:4]
    inside = inside_of(view, table)
    cut = crop_table(table, (inside.y + y, inside.x + x, inside.h, inside.w))
    return pad_table(cut, h, w, inside.y, inside.x), inside


def paint_labels(
    table: RunTable, inside: Inside, dtype: np.dtype[Any], ignore_value: int
) -> NDArray[Any]:
    """Paint the semantic mask of a window.

    Parameters
    ----------
    table : RunTable
        As :func:`cut_instances` returns it.
    inside : Inside
    dtype : numpy dtype
    ignore_value : int
        Of pixels beyond the image.

    Returns
    -------
    (h, w) array of ``dtype``
    """
    frame = np.empty((1, *table.common_size()), dtype)
    semantic(table, out=frame)
    pixels: NDArray[Any] = frame[0]
    if inside[2:] == pixels.shape:
        return pixels
    padded = np.full_like(pixels, ignore_value)
    padded[inside.slices] = pixels[inside.slices]
    return padded


def sample_pixels(pixels: NDArray[Any], intensity: tuple[float, float] | None) -> NDArray[Any]:
    """Give pixels of 16 bits a channel axis and, if that is asked for, 8 bits.

    Parameters
    ----------
    pixels : (h, w, 3) uint8, or (h, w) or (h, w, 3) uint16
    intensity : (low, high) or None
        The values that become 0 and 255.

    Returns
    -------
    (h, w, 3) uint8, or (h, w, 1) or (h, w, 3) uint16

    Examples
    --------
    >>> sample_pixels(np.array([[0, 50, 100]], np.uint16), (0, 100))[0, :, 0]
    array([  0, 128, 255], dtype=uint8)
    """
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.ndim == 2:
        pixels = pixels[:, :, np.newaxis]
    if intensity is None:
        return pixels
    low, high = intensity
    scaled = (pixels.astype(np.float32) - low) * (255 / (high - low))
    narrow = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return np.repeat(narrow, 3, axis=2) if narrow.shape[2] == 1 else narrow


def pad_pixels(pixels: NDArray[Any], inside: Inside, h: int, w: int) -> NDArray[Any]:
    """Make pixels as large as the window; those beyond the image are black.

    Parameters
    ----------
    pixels : (inside.h, inside.w, channels) array
    inside : Inside
    h, w : int
        Of the window.

    Returns
    -------
    (h, w, channels) array
        The pixels themselves, if all of the window is inside.
    """
    if inside[2:] == (h, w):
        return pixels
    padded = np.zeros((h, w, pixels.shape[2]), pixels.dtype)
    padded[inside.slices] = pixels
    return padded


def transform_instances(view: View, targets: InstanceTargets) -> InstanceTargets:
    """Mirror, turn and scale the instances of a window as a view does.

    Parameters
    ----------
    view : View
    targets : InstanceTargets
        Of its window.

    Returns
    -------
    InstanceTargets
        Without those of which resizing leaves nothing.
    """
    masks = view.apply_to_labels(targets.masks)
    if not view.resized:
        return targets._replace(masks=masks, boxes=view.apply_to_boxes(targets.boxes))
    areas, boxes = measure_masks(masks)
    labels, ids = targets.labels, targets.ids
    if not areas.all():
        kept = areas > 0
        masks, boxes, labels, areas, ids = (
            masks[kept],
            boxes[kept],
            labels[kept],
            areas[kept],
            ids[kept],
        )
    return InstanceTargets(masks, boxes, labels, areas, ids)
