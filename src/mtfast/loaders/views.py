"""Which part of an image a training step sees, chosen before any pixel exists.

A view is a window of the image, the size that it is resized to, and how that is mirrored and
turned. Image and masks are laid out by the same view, so they stay together; a view follows from
(seed, epoch, image) alone, so it does not matter which worker makes it, or when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.loaders.order import random_words
from mtfast.table import RunTable

__all__ = ["Augment", "View", "choose_view"]


class View(NamedTuple):
    """A window of an image and how its pixels are laid out: resized, then mirrored, then turned.

    Attributes
    ----------
    y, x, h, w : int
        First row and column, height and width of the window.
    height, width : int
        Size of the window after resizing.
    mirrored : bool
        Whether left and right are swapped.
    turns : int
        Quarter turns to the left, 0 to 3.
    """

    y: int
    x: int
    h: int
    w: int
    height: int
    width: int
    mirrored: bool = False
    turns: int = 0

    @property
    def resized(self) -> bool:
        """Whether pixels are not those of the window itself."""
        return (self.h, self.w) != (self.height, self.width)

    def lay_out(self, pixels: NDArray[Any], axis: int = 0) -> NDArray[Any]:
        """Mirror and turn pixels whose rows and columns are ``axis`` and the next; nothing copied.

        Examples
        --------
        >>> View(0, 0, 2, 3, 2, 3, mirrored=True, turns=1).lay_out(np.arange(6).reshape(2, 3))
        array([[0, 3],
               [1, 4],
               [2, 5]])
        """
        if self.mirrored:
            pixels = np.flip(pixels, axis + 1)
        return np.rot90(pixels, self.turns, (axis, axis + 1)) if self.turns else pixels

    def lay_out_labels(self, labels: NDArray[Any]) -> NDArray[Any]:
        """Resize, mirror and turn (..., h, w) labels or masks: each pixel is the nearest one."""
        if self.resized:
            rows = (2 * np.arange(self.height) + 1) * self.h // (2 * self.height)
            columns = (2 * np.arange(self.width) + 1) * self.w // (2 * self.width)
            labels = labels[..., rows[:, None], columns]
        return np.ascontiguousarray(self.lay_out(labels, labels.ndim - 2))

    def lay_out_image(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Resize (bilinear, over all pixels that a new one covers), mirror and turn an image."""
        if self.resized:
            from PIL import Image

            size = (self.width, self.height)
            resized = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
            image = np.asarray(resized)
        return np.ascontiguousarray(self.lay_out(image))

    def lay_out_boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mirror and turn (n, 4) boxes [left, top, right, bottom] of the resized window."""
        left, top, right, bottom = boxes.T
        height, width = self.height, self.width
        if self.mirrored:
            left, right = width - right, width - left
        for _ in range(self.turns):
            left, top, right, bottom = top, width - right, bottom, width - left
            height, width = width, height
        return np.stack([left, top, right, bottom], axis=1)


@dataclass(frozen=True)
class Augment:
    """How the views of a training set vary.

    Attributes
    ----------
    near : float
        Share of the windows that are placed so that the middle of some instance lies in them;
        the others lie anywhere. Images without instances have windows anywhere.
    mirror : bool
        Half of the samples have left and right swapped.
    turn : bool
        Samples are turned by 0 to 3 quarter turns; together with ``mirror`` that is every way of
        laying out a square. Frames that are not square, taken whole, are turned by 0 or 2.
    scale : (low, high)
        Things appear larger by a factor between the two, all ratios being as likely: a smaller
        window is taken and resized, never one that leaves the image.

    Raises
    ------
    MtfastError
        If a share or a factor is out of range.
    """

    near: float = 0.0
    mirror: bool = True
    turn: bool = True
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        low, high = self.scale
        if not 0 <= self.near <= 1 or not 0 < low <= high:
            raise MtfastError(
                f"near {self.near} and scale {self.scale}; expected a share from 0 to 1, and two "
                f"ascending factors above 0; correct them"
            )


def choose_view(
    table: RunTable,
    crop: tuple[int, int] | None,
    augment: Augment | None,
    seed: tuple[int, ...],
) -> View:
    """Choose the view of an image.

    Parameters
    ----------
    table : RunTable
        Its instances, of one image.
    crop : (height, width), optional
        Size of the view, at most that of the image; the whole image without it.
    augment : Augment, optional
        The window in the middle of the image without it.
    seed : tuple of int
        Equal seeds choose equal views.

    Raises
    ------
    MtfastError
        If the image is smaller than the crop.
    """
    frame = int(table.heights[0]), int(table.widths[0])
    wanted = crop or frame
    if augment is None:
        _expect_inside(wanted, frame)
        (h, w), (height, width) = wanted, frame
        return View((height - h) // 2, (width - w) // 2, h, w, h, w)
    # Each choice has a number of its own, so that one does not move when another is switched off.
    down, across, is_near, which, mirror, turn, larger = _uniform(7, seed)
    mirrored = augment.mirror and mirror < 0.5
    turns = int(4 * turn) if augment.turn else 0
    if crop is None and frame[0] != frame[1]:
        turns &= 2
    size = wanted[::-1] if turns % 2 else wanted
    _expect_inside(size, frame)
    low, high = augment.scale
    # At the least scale the window is the largest that the image has.
    least = max(size[0] / frame[0], size[1] / frame[1])
    factor = max(low * (high / low) ** larger, least)
    h, w = (min(max(1, round(n / factor)), side) for n, side in zip(size, frame, strict=True))
    y, x = int(down * (frame[0] - h + 1)), int(across * (frame[1] - w + 1))
    if is_near < augment.near:
        boxes = table.bbox()
        boxes = boxes[boxes[:, 2] > 0]
        if len(boxes):
            left, top, width, height = boxes[int(which * len(boxes))]
            y = _around(top + height / 2, down, h, frame[0])
            x = _around(left + width / 2, across, w, frame[1])
    return View(y, x, h, w, *size, mirrored, turns)


def _around(middle: float, share: float, length: int, side: int) -> int:
    """Place a window so that a middle lies in it, at a random share of its length."""
    return min(max(int(middle) - int(share * length), 0), side - length)


def _uniform(n: int, seed: tuple[int, ...]) -> list[float]:
    uniform: list[float] = ((random_words(n, *seed) >> np.uint64(11)) * 2.0**-53).tolist()
    return uniform


def _expect_inside(size: tuple[int, int], frame: tuple[int, int]) -> None:
    if size[0] > frame[0] or size[1] > frame[1] or min(size) < 1:
        raise MtfastError(
            f"a crop of {size[0]} x {size[1]} from an image of {frame[0]} x {frame[1]} pixels; "
            f"expected one that lies in it, however it is turned; crop less"
        )
