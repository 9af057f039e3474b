"""Which flakes are on an image, as toggle lists: no frame of pixels is made here.

Everything is Boolean algebra on outlines. File order is paint order, later over earlier::

    hole        outline MINUS blob                       ##.##
    terrace     thicker layer = step AND parent,         11222   (after its parent in the file; the
                parent whole or MINUS the terrace        11222    parent either runs on below it or
                                                                  ends at the step)
    touching    second MINUS first: a common edge        11122
    overlap     second drawn across the first            11222   (both keep their pixels)
"""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.kernels.operations.boolean import AND, MINUS, combine_lists
from mtfast.kernels.operations.polygon import outline_toggles
from mtfast.kernels.rle.measure import area_of_places, bbox_of_places
from mtfast.kernels.rle.toggle_lists import SENTINEL, drop_pairs
from mtfast.synth.shapes import Ring, blob, flake, half_plane, ring_area

__all__ = ["Flake", "Frame", "draw_flakes"]

ToggleList = NDArray[np.int64]
"""See :mod:`mtfast.kernels.rle.toggle_lists`."""

# Areas are those of a full microscope frame; flakes shrink on smaller frames, see _area_scale.
FULL_FRAME = 1200 * 1920
MEDIAN_AREA = 1180.0
AREA_SPREAD = 1.25
MAX_AREA = 60_000.0
MAX_SHARE_OF_FRAME = 0.1

# Number of flakes: Poisson with a gamma-distributed rate, so that images differ in their density
# and about one in thirty is empty.
MAX_FLAKES = 20
RATE_SHAPE, RATE_SCALE = 2.4, 3.7

# The area limits of the annotation variants. A few flakes are trimmed to exactly these areas: a
# reader that confuses "larger than" with "at least" should meet the difference in every set.
LIMITS = (200, 300)
TRIM_WITHIN, TRIM_SHARE = 1.1, 0.4


class Flake(NamedTuple):
    """One annotated region: its category id (number of layers) and its mask."""

    category_id: int
    toggles: ToggleList


class Frame:
    """Turns rings into masks of a frame of one size, and combines them.

    Parameters
    ----------
    height, width : int
        Pixels.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width
        self.n_pixels = height * width

    def rasterise(self, ring: Ring) -> ToggleList:
        """Turn the inside of a ring into a mask, as ``pycocotools.mask.frPyObjects`` does.

        Parameters
        ----------
        ring : (n,) complex128
            Corners, in pixels; they may be outside of the frame.

        Returns
        -------
        int64
            Toggle list.

        Examples
        --------
        >>> Frame(4, 5).rasterise(np.array([1 + 1j, 3 + 1j, 3 + 3j, 1 + 3j]))[:-1].tolist()
        [5, 7, 9, 11]
        """
        points = ring.view(np.float64)
        # The x extents of all edges bound the number of columns that they cross.
        following = np.concatenate((ring[1:], ring[:1]))
        capacity = int(np.abs(following.real - ring.real).sum()) + 2 * ring.size
        toggles = np.empty(capacity, np.int64)
        n = outline_toggles(points, ring.size, self.height, self.width, toggles)
        toggles[:n].sort()
        n = drop_pairs(toggles, n)
        return np.append(toggles[:n], SENTINEL)

    def combine(self, first: ToggleList, second: ToggleList, table: int) -> ToggleList:
        """Combine two masks.

        Parameters
        ----------
        first, second : int64
            Toggle lists.
        table : int
            A truth table of :mod:`mtfast.kernels.operations.boolean`.

        Returns
        -------
        int64
            Toggle list.
        """
        toggles = np.empty(first.size + second.size, np.int64)
        return toggles[: combine_lists(first, second, table, toggles)]

    def area(self, toggles: ToggleList) -> int:
        """Count the foreground pixels.

        Parameters
        ----------
        toggles : int64
            Toggle list.

        Returns
        -------
        int
        """
        return int(area_of_places(toggles, toggles.size - 1))

    def bbox(self, toggles: ToggleList) -> tuple[float, float, float, float]:
        """Return the smallest box around a mask.

        Parameters
        ----------
        toggles : int64
            Toggle list.

        Returns
        -------
        x, y, width, height : float
            Pixels; zeros for an empty mask.
        """
        box = np.empty(4, np.float64)
        bbox_of_places(toggles, toggles.size - 1, self.height, box)
        x, y, width, height = box.tolist()
        return x, y, width, height


def draw_flakes(rng: np.random.Generator, frame: Frame, n_classes: int) -> list[Flake]:
    """Draw the annotated flakes of one image, in file order; none of them is empty.

    Parameters
    ----------
    rng : numpy.random.Generator
    frame : Frame
    n_classes : int
        Category ids run from 1 to n_classes; the larger one is, the rarer it is.

    Returns
    -------
    list of Flake
        0 to MAX_FLAKES, 8 on average.

    Examples
    --------
    >>> len(draw_flakes(np.random.default_rng(1), Frame(240, 320), 4))
    9
    """
    wanted = min(MAX_FLAKES, int(rng.poisson(rng.gamma(RATE_SHAPE, RATE_SCALE))))
    flakes: list[Flake] = []
    while len(flakes) < wanted:
        group = _draw_group(rng, frame, n_classes)
        flakes += group[: wanted - len(flakes)]
    return flakes


def _draw_group(rng: np.random.Generator, frame: Frame, n_classes: int) -> list[Flake]:
    """Draw a speck, a flake, a terraced flake or a pair of flakes."""
    kind = rng.random()
    category = _draw_category(rng, n_classes)
    place = complex(frame.width * rng.random(), frame.height * rng.random())
    if kind < 0.10:
        speck = frame.rasterise(blob(rng, rng.uniform(1.0, 6.0)) + place)
        return _present(frame, (category, speck))

    outline = flake(rng, _draw_area(rng, frame))
    toggles = frame.rasterise(outline + place)
    if rng.random() < 0.12:
        toggles = _pierce(rng, frame, toggles, outline, place)
    toggles = _trim(rng, frame, toggles)
    if kind < 0.60:
        return _present(frame, (category, toggles))
    if kind < 0.80 and n_classes > 1:
        category = min(category, n_classes - 1)
        return _terrace(rng, frame, toggles, outline + place, category, n_classes)

    # A pair: the centre of the neighbour is about where the first flake ends.
    radius = math.sqrt(ring_area(outline) / math.pi)
    distance = radius * rng.uniform(0.7, 1.3)
    beside = place + cmath.rect(distance, 2 * math.pi * rng.random())
    neighbour = frame.rasterise(flake(rng, _draw_area(rng, frame)) + beside)
    if kind < 0.90:
        neighbour = frame.combine(neighbour, toggles, MINUS)
    return _present(
        frame, (category, toggles), (_draw_category(rng, n_classes), _trim(rng, frame, neighbour))
    )


def _present(frame: Frame, *regions: tuple[int, ToggleList]) -> list[Flake]:
    """Keep the regions that have a pixel in the frame."""
    return [Flake(category, toggles) for category, toggles in regions if frame.area(toggles)]


def _draw_category(rng: np.random.Generator, n_classes: int) -> int:
    """Draw a number of layers k with probability proportional to 1/k: thin flakes are common."""
    if n_classes == 1:
        return 1
    shares = np.cumsum(1.0 / np.arange(1, n_classes + 1))
    return 1 + int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))


def _area_scale(frame: Frame) -> float:
    """Return the factor of areas on a small frame.

    Flakes shrink less than the frame does, so that most stay above the area limits.
    """
    return min(1.0, math.sqrt(math.sqrt(frame.n_pixels / FULL_FRAME)))


def _draw_area(rng: np.random.Generator, frame: Frame) -> float:
    """Draw a log-normal area in pixels."""
    area = MEDIAN_AREA * _area_scale(frame) * math.exp(rng.normal(0.0, AREA_SPREAD))
    return min(area, MAX_AREA, MAX_SHARE_OF_FRAME * frame.n_pixels)


def _pierce(
    rng: np.random.Generator, frame: Frame, toggles: ToggleList, outline: Ring, place: complex
) -> ToggleList:
    """Take one to three holes out of a flake."""
    radius = math.sqrt(ring_area(outline) / math.pi)
    for _ in range(int(rng.integers(1, 4))):
        # Between the middle of the flake and one of its corners.
        towards = complex(outline[rng.integers(outline.size)]) * rng.uniform(0.0, 0.5)
        hole = blob(rng, radius * rng.uniform(0.12, 0.3)) + (place + towards)
        toggles = frame.combine(toggles, frame.rasterise(hole), MINUS)
    return toggles


def _terrace(
    rng: np.random.Generator,
    frame: Frame,
    toggles: ToggleList,
    outline: Ring,
    category: int,
    n_classes: int,
) -> list[Flake]:
    """Divide a flake by parallel steps, each of which adds layers."""
    normal = cmath.rect(1.0, 2 * math.pi * rng.random())
    depths = (outline * normal.conjugate()).real
    low, high = float(depths.min()), float(depths.max())
    reach = float(np.abs(outline - outline.mean()).max()) * 2
    middle = complex(outline.mean())
    middle_depth = (middle * normal.conjugate()).real
    ends_at_step = rng.random() < 0.5

    regions = [(category, toggles)]
    at = rng.uniform(0.25, 0.6)
    while category < n_classes and len(regions) < 4:
        through = middle + (low + at * (high - low) - middle_depth) * normal
        step = frame.rasterise(half_plane(rng, through, normal, reach))
        above = frame.combine(regions[-1][1], step, AND)
        if not frame.area(above):
            break
        if ends_at_step:
            parent_category, parent = regions[-1]
            regions[-1] = (parent_category, frame.combine(parent, step, MINUS))
        category = min(n_classes, category + int(rng.integers(1, 3)))
        regions.append((category, above))
        at += rng.uniform(0.15, 0.4)
        if at > 0.9:
            break
    return _present(frame, *regions)


def _trim(rng: np.random.Generator, frame: Frame, toggles: ToggleList) -> ToggleList:
    """Now and then trim a flake that is slightly larger than a limit to exactly the limit.

    The pixels that come last in column order are removed, so the new edge is a straight one on the
    right.
    """
    area = frame.area(toggles)
    for limit in LIMITS:
        if limit < area <= TRIM_WITHIN * limit and rng.random() < TRIM_SHARE:
            inside = np.cumsum(toggles[1::2] - toggles[:-1:2])
            last = int(np.searchsorted(inside, limit))
            trimmed = toggles[: 2 * last + 3].copy()
            trimmed[2 * last + 1] -= inside[last] - limit
            trimmed[2 * last + 2] = SENTINEL
            return trimmed
    return toggles
