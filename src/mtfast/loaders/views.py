"""Which part of an image a training step sees, chosen before any pixel is decoded.

A view is a window of the image, the size that it is resized to, and how the result is mirrored and
turned. Image and masks are transformed by the same view, so they stay aligned. A view follows from
(seed, epoch, image) alone, so it does not matter which worker makes it, or when.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import check_factors, check_flag, check_share
from mtfast.errors import MtfastError
from mtfast.loaders.random_numbers import uniform
from mtfast.painting.frame import check_out
from mtfast.table import RunTable

__all__ = ["Augment", "View", "allowed_turns", "check_fits", "choose_view"]


class View(NamedTuple):
    """A window of an image and what becomes of it: resized, then mirrored, then turned.

    The window of an image that is smaller than the samples goes beyond it: ``y`` or ``x`` is 0 or
    negative then, and what is beyond is padding.

    Attributes
    ----------
    y, x, h, w : int
        First row and column, height and width of the window, in pixels of the image.
    height, width : int
        Size of the window after resizing, before it is turned.
    mirrored : bool
        Whether left and right are swapped.
    turns : int
        Quarter turns counterclockwise, 0 to 3.
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

    def orient(self, pixels: NDArray[Any], axis: int = 0) -> NDArray[Any]:
        """Mirror and turn pixels.

        Parameters
        ----------
        pixels : array of any type
        axis : int
            The axis of the rows; that of the columns is the next.

        Returns
        -------
        array
            A view of the pixels; rows and columns are swapped by an odd number of turns.

        Examples
        --------
        >>> View(0, 0, 2, 3, 2, 3, mirrored=True, turns=1).orient(np.arange(6).reshape(2, 3))
        array([[0, 3],
               [1, 4],
               [2, 5]])
        """
        if self.mirrored:
            pixels = np.flip(pixels, axis + 1)
        return np.rot90(pixels, self.turns, (axis, axis + 1)) if self.turns else pixels

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of the result, after it is turned."""
        return (self.width, self.height) if self.turns % 2 else (self.height, self.width)

    @property
    def _flips(self) -> tuple[bool, bool, bool]:
        """Whether the last column comes first, the last row, and whether the two change places."""
        turns = self.turns % 4
        return self.mirrored != (turns in (1, 2)), turns in (2, 3), turns % 2 == 1

    def apply_to_labels(
        self, labels: NDArray[Any], out: NDArray[Any] | None = None
    ) -> NDArray[Any]:
        """Resize, mirror and turn labels or masks; a new pixel is the nearest old one.

        Parameters
        ----------
        labels : (..., h, w) bool or numbers of 1, 2, 4 or 8 bytes
            Pixels of the window.
        out : (..., height, width) array of the same type, optional
            Takes the result; in C order, and not memory of the labels.

        Returns
        -------
        (..., height, width) array of the same type, C order
            Or (..., width, height) after an odd number of turns; ``out`` if given. Without it, and
            where nothing changes, it is the labels themselves.

        Raises
        ------
        MtfastError
            If the labels are not of the window's size, or ``out`` has another shape, type or
            memory order or is read-only.

        Examples
        --------
        >>> View(0, 0, 1, 2, 2, 4).apply_to_labels(np.array([[1, 2]]))
        array([[1, 1, 2, 2],
               [1, 1, 2, 2]])
        """
        from mtfast.kernels.frames.resize import BLOCK, lay_labels

        *others, h, w = labels.shape
        self._check_window(h, w)
        labels = np.ascontiguousarray(labels)
        result = _result(labels, (*others, *self.shape), self._is_plain, out)
        if self._is_plain:
            return result
        word = f"u{labels.itemsize}"
        lay_labels(
            labels.reshape(-1).view(word),
            *self[2:6],
            *self._flips,
            np.empty(self.width, np.int64),
            np.empty(BLOCK * self.width, word),
            result.reshape(-1).view(word),
        )
        return result

    def apply_to_image(self, image: NDArray[Any], out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Resize, mirror and turn an image; bilinear, antialiased where it shrinks, as Pillow does.

        Parameters
        ----------
        image : (h, w, 3) uint8, or (h, w, channels) uint16
            Pixels of the window.
        out : array, optional
            Takes the result; in C order, and not memory of the image.

        Returns
        -------
        (height, width, channels) array, C order
            Of the image's type; or (width, height, channels) after an odd number of turns; ``out``
            if given. Without it, and where nothing changes, it is the image itself.

        Raises
        ------
        MtfastError
            If the image is not of the window's size or not uint8, or ``out`` has another shape,
            type or memory order or is read-only.

        Examples
        --------
        >>> view = View(0, 0, 2, 2, 1, 1)
        >>> view.apply_to_image(np.full((2, 2, 3), 7, np.uint8)).tolist()
        [[[7, 7, 7]]]

        Notes
        -----
        Source: Pillow's ``Image.resize`` with ``Resampling.BILINEAR``, whose pixels these are.
        """
        from mtfast.kernels.frames.resize import BLOCK, lay_image, n_taps

        if image.dtype == np.uint16:
            return self._apply_to_wide(image, out)
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise MtfastError(
                f"an image of shape {image.shape}, {image.dtype}; expected three channels of "
                f"uint8; convert it"
            )
        self._check_window(*image.shape[:2])
        image = np.ascontiguousarray(image)
        result = _result(image, (*self.shape, 3), self._is_plain, out)
        if self._is_plain:
            return result
        flips = self._flips
        row = 3 * max(self.w, self.width)
        lay_image(
            image.reshape(-1),
            *self[2:6],
            *flips,
            *_weights(self.w, self.width, flips[0]),
            *_weights(self.h, self.height, False),
            np.empty(row * n_taps(self.h, self.height), np.uint8),
            np.empty(row, np.int32),
            np.empty(3 * BLOCK * self.width, np.uint8),
            result.reshape(-1),
        )
        return result

    @property
    def _is_plain(self) -> bool:
        """Whether the result is the window as it is."""
        return not self.resized and not any(self._flips)

    def _check_window(self, h: int, w: int) -> None:
        if (h, w) != (self.h, self.w):
            raise MtfastError(
                f"{h} x {w} pixels for a view of {self.h} x {self.w}; expected those of its "
                f"window; cut them out of the image first"
            )

    def _apply_to_wide(
        self, image: NDArray[np.uint16], out: NDArray[np.uint16] | None
    ) -> NDArray[np.uint16]:
        """Resize, mirror and turn an image of 16 bits, channel by channel in floating point."""
        from PIL import Image

        self._check_window(*image.shape[:2])
        if self.resized:
            size = self.width, self.height
            planes = [
                Image.fromarray(plane.astype(np.float32)) for plane in np.moveaxis(image, 2, 0)
            ]
            resized = [np.asarray(p.resize(size, Image.Resampling.BILINEAR)) for p in planes]
            image = np.rint(np.stack(resized, axis=2)).astype(np.uint16)
        pixels = np.ascontiguousarray(self.orient(image))
        if out is None:
            return pixels
        check_out(out, pixels.shape, (pixels.dtype,))
        out[...] = pixels
        return out

    def apply_to_boxes(self, boxes: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mirror and turn boxes.

        Parameters
        ----------
        boxes : (n, 4) float32
            [left, top, right, bottom] in pixels of the window after resizing.

        Returns
        -------
        (n, 4) float32

        Examples
        --------
        >>> box = np.array([[2, 1, 7, 3]], np.float32)
        >>> View(0, 0, 5, 8, 5, 8, mirrored=True).apply_to_boxes(box)
        array([[1., 1., 6., 3.]], dtype=float32)
        """
        left, top, right, bottom = boxes.T
        height, width = self.height, self.width
        if self.mirrored:
            left, right = width - right, width - left
        for _ in range(self.turns):
            left, top, right, bottom = top, width - right, bottom, width - left
            height, width = width, height
        return np.stack([left, top, right, bottom], axis=1)


def _result(
    pixels: NDArray[Any], shape: tuple[int, ...], plain: bool, out: NDArray[Any] | None
) -> NDArray[Any]:
    """Return the array that takes a result; pixels that do not change are in it already."""
    if out is None:
        return pixels if plain else np.empty(shape, pixels.dtype)
    check_out(out, shape, (pixels.dtype,))
    if plain:
        out[...] = pixels
    return out


def _weights(before: int, after: int, flipped: bool) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Return the pixels along one axis that each resized pixel is made of; empty if none is."""
    from mtfast.kernels.frames.resize import n_taps, weigh

    if before == after:
        return np.empty(0, np.int64), np.empty(0, np.int32)
    starts = np.empty(after, np.int64)
    weights = np.empty(after * n_taps(before, after), np.int32)
    weigh(before, after, flipped, starts, weights)
    return starts, weights


@dataclass(frozen=True)
class Augment:
    """How the views of a training set vary.

    Parameters
    ----------
    near : float
        Share of the windows, 0 to 1, that are placed so that the centre of the bounding box of
        some instance is inside; the others are placed anywhere. Images without instances have
        windows anywhere.
    mirror : bool
        Half of the samples have left and right swapped.
    turn : bool
        Samples are turned by 0 to 3 quarter turns, which together with ``mirror`` gives all eight
        orientations of a square. Where the turned window does not fit into the image, as with whole
        images that are not square, only 0 and 2 quarter turns are used.
    scale : (low, high)
        Things appear larger by a factor between the two, drawn uniformly in its logarithm: a
        smaller window is taken and resized. The window never leaves the image, so factors that
        would need a larger one are raised to the smallest that fits.

    Raises
    ------
    MtfastError
        If a share or a factor is out of range.

    Examples
    --------
    >>> Augment(near=0.5, scale=(0.8, 1.25))
    Augment(near=0.5, mirror=True, turn=True, scale=(0.8, 1.25))
    """

    near: float = 0.0
    mirror: bool = True
    turn: bool = True
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        check_share("near", self.near)
        check_flag("mirror", self.mirror)
        check_flag("turn", self.turn)
        check_factors("scale", self.scale)
        # Numbers of other types round elsewhere, and would give other views.
        low, high = self.scale
        object.__setattr__(self, "near", float(self.near))
        object.__setattr__(self, "scale", (float(low), float(high)))


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
        Without it the window is the middle of the image.
    seed : tuple of int
        Equal seeds choose equal views.

    Returns
    -------
    View
        Of the size of the crop after it is turned. Inside the image along each side that is large
        enough for it, and around the image along the others.
    """
    frame = int(table.heights[0]), int(table.widths[0])
    wanted = crop or frame
    if augment is None:
        (h, w), (height, width) = wanted, frame
        return View((height - h) // 2, (width - w) // 2, h, w, h, w)
    # Each choice has a number of its own, so that one does not move when another is switched off.
    down, across, is_near, which, mirror, turn, larger = uniform(7, *seed).tolist()
    mirrored = augment.mirror and mirror < 0.5
    # An image that is too small both ways may be turned as well.
    allowed = allowed_turns(wanted, frame) or (0, 1, 2, 3) if augment.turn else (0,)
    turns = allowed[int(len(allowed) * turn)]
    size = wanted[::-1] if turns % 2 else wanted
    low, high = augment.scale
    # At the smallest factor the window is the largest that the image has.
    sides = list(zip(size, frame, strict=True))
    smallest = max((n / side for n, side in sides if n <= side), default=0.0)
    factor = max(low * (high / low) ** larger, smallest)
    h, w = (_length(n, side, factor) for n, side in sides)
    y, x = _start(down, h, frame[0]), _start(across, w, frame[1])
    if is_near < augment.near:
        boxes = table.bbox()
        boxes = boxes[boxes[:, 2] > 0]
        if len(boxes):
            left, top, width, height = boxes[int(which * len(boxes))]
            y = _around(top + height / 2, down, h, frame[0])
            x = _around(left + width / 2, across, w, frame[1])
    return View(y, x, h, w, *size, mirrored, turns)


def _length(n: int, side: int, factor: float) -> int:
    """Return how much of a side a window shows: more than there is only if n is more."""
    length = max(1, round(n / factor))
    return min(length, side) if n <= side else length


def _start(share: float, length: int, side: int) -> int:
    """Return where a window starts, at a random share of what is left on either side."""
    if length <= side:
        return int(share * (side - length + 1))
    return -int(share * (length - side + 1))


def _around(centre: float, share: float, length: int, side: int) -> int:
    """Return the start of a window that holds a centre, at a random share of its length."""
    if length > side:
        return _start(share, length, side)
    return min(max(int(centre) - int(share * length), 0), side - length)


def allowed_turns(size: tuple[int, int], frame: tuple[int, int]) -> tuple[int, ...]:
    """Return the quarter turns after which a window of an image has a size.

    Parameters
    ----------
    size, frame : (height, width)
        Of the window after it is turned, and of the image.

    Returns
    -------
    tuple of int
        All of 0 to 3 if the window fits both ways; 0 and 2, or 1 and 3, if it fits one way; none
        if it does not fit.

    Examples
    --------
    >>> allowed_turns((480, 480), (480, 640)), allowed_turns((480, 640), (480, 640))
    ((0, 1, 2, 3), (0, 2))
    """
    upright, turned = _fits(size, frame), _fits(size[::-1], frame)
    return tuple(turns for turns in range(4) if (turned if turns % 2 else upright))


def _fits(size: tuple[int, int], frame: tuple[int, int]) -> bool:
    return size[0] <= frame[0] and size[1] <= frame[1]


def check_fits(size: tuple[int, int], frame: tuple[int, int], turned: bool = False) -> None:
    """Refuse a crop that is larger than an image.

    Parameters
    ----------
    size, frame : (height, width)
        Of the crop and of the image.
    turned : bool
        Whether it may be turned to fit.

    Raises
    ------
    MtfastError
        If it does not fit.

    Examples
    --------
    >>> check_fits((480, 640), (480, 640))
    >>> check_fits((640, 480), (480, 640), turned=True)
    """
    if not _fits(size, frame) and not (turned and _fits(size[::-1], frame)):
        raise MtfastError(
            f"a crop of {size[0]} x {size[1]} from an image of {frame[0]} x {frame[1]} pixels; "
            f"expected one that fits into it; crop less"
        )
