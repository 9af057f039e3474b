"""Pixels of an image: chip, dirt and flakes drawn flat, then optics, light and camera noise.

::

    canvas    bare chip < glue < specks < thick flakes < annotated flakes    (flat colours)
    optics    blur of about one pixel with a faint bright rim, as lens and sharpening make it
    light     smooth unevenness of a few per cent
    camera    noise that neighbouring pixels share in part

Only the annotated flakes follow the masks; everything else is there because real images are dirty.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from mtfast.synth.palette import Colour, Palette
from mtfast.synth.scene import FULL_FRAME, Flake, Frame, ToggleList
from mtfast.synth.shapes import Ring, blob, flake

__all__ = ["label_map", "render"]

Plane = NDArray[np.float32]

# The optics along each axis: middle tap, then outwards; the negative ends make the rim.
_TAPS = (0.52, 0.26, 0.02, -0.04)
# Where the camera saturates.
_WHITE_LEVEL = 242.5
_GRIME: tuple[Colour, ...] = (
    (44, 38, 18),
    (84, 74, 34),
    (30, 24, 8),
    (124, 110, 52),
    (206, 196, 132),
    (96, 124, 170),
    (168, 96, 150),
)
# Standard deviation of the sum of four uniform bytes.
_FOUR_BYTES = math.sqrt(4 * (256**2 - 1) / 12)


def pixels_of(toggles: ToggleList, height: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows and columns of the foreground pixels of a mask."""
    stops = toggles[1::2]
    lengths = stops - toggles[:-1:2]
    # Position in the column-major frame = position among the foreground pixels + a shift per run.
    shifts = stops - np.cumsum(lengths)
    columns, rows = np.divmod(np.repeat(shifts, lengths) + np.arange(lengths.sum()), height)
    return rows, columns


def label_map(flakes: Sequence[Flake], frame: Frame, larger_than: int) -> NDArray[np.uint8]:
    """Paint category ids in file order, later over earlier.

    Parameters
    ----------
    flakes : sequence of Flake
    frame : Frame
    larger_than : int
        Flakes of this many pixels or fewer are left out.

    Returns
    -------
    (height, width) uint8
        0 is background.
    """
    labels = np.zeros((frame.height, frame.width), np.uint8)
    for category_id, toggles in flakes:
        if frame.area(toggles) > larger_than:
            labels[pixels_of(toggles, frame.height)] = category_id
    return labels


def render(
    rng: np.random.Generator, flakes: Sequence[Flake], frame: Frame, palette: Palette
) -> NDArray[np.uint8]:
    """Draw one photograph.

    Parameters
    ----------
    rng : numpy.random.Generator
    flakes : sequence of Flake
        The annotated ones, in paint order.
    frame : Frame
    palette : Palette

    Returns
    -------
    (height, width, 3) uint8
        RGB.
    """
    canvas = _Canvas(rng, frame, palette)
    canvas.draw_residue()
    canvas.draw_specks()
    canvas.draw_bulk([frame.bbox(toggles) for _, toggles in flakes])
    canvas.draw_grime()
    flat = np.array(canvas.image)
    for category_id, toggles in flakes:
        colour = palette.layer(category_id) + rng.normal(0.0, 1.0, 3)
        flat[pixels_of(toggles, frame.height)] = np.clip(colour + 0.5, 0, 241).astype(np.uint8)
    return _photograph(rng, flat, palette)


class _Canvas:
    """The flat drawing of everything that is not annotated."""

    def __init__(self, rng: np.random.Generator, frame: Frame, palette: Palette) -> None:
        self.rng = rng
        self.frame = frame
        self.palette = palette
        self.image = Image.new("RGB", (frame.width, frame.height), palette.background)
        self.pen = ImageDraw.Draw(self.image)
        self.shrink = min(1.0, math.sqrt(frame.n_pixels / FULL_FRAME))
        # Some images are much dirtier than others.
        self.dirt = min(rng.lognormal(-0.15, 0.55), 2.2)

    def draw_residue(self) -> None:
        """Draw thin lines and dotted trails of dried glue, most of them in one region."""
        rng, palette = self.rng, self.palette
        region = self._anywhere()
        for _ in range(self._how_many(palette.amounts.n_trails)):
            colour = self._pick(palette.residue)
            n = int(rng.integers(6, 40))
            heading = 2 * math.pi * rng.random() + np.cumsum(rng.normal(0.0, 0.35, n))
            strides = rng.uniform(3.0, 12.0) * np.exp(1j * heading)
            start = self._near(region, 0.15) if rng.random() < 0.6 else self._anywhere()
            trail = start + np.cumsum(strides)
            if rng.random() < 0.4:
                self.pen.line(_points(trail), fill=colour, width=1)
                continue
            size = rng.uniform(0.8, 2.2)
            for dot in trail[rng.random(n) < 0.7].tolist():
                ring = self._near(dot, 0.002) + blob(rng, size * rng.uniform(0.5, 1.8), 6)
                self._fill(ring, colour)
                if rng.random() < 0.2:
                    self._outline(ring, self._pick(palette.rim), 1)

    def draw_specks(self) -> None:
        """Draw crumbs of crystal and dust, half of them in swarms."""
        rng, palette = self.rng, self.palette
        n = self._how_many(palette.amounts.n_specks)
        swarms = [self._anywhere() for _ in range(4)]
        radii = np.minimum(np.exp(rng.normal(0.3, 0.65, n)), 12.0)
        for radius in radii.tolist():
            if rng.random() < 0.45:
                place = self._near(swarms[int(4 * rng.random())], 0.09)
            else:
                place = self._anywhere()
            ring = place + (blob(rng, radius, 6) if radius < 2.5 else flake(rng, 2.5 * radius**2))
            colour = self._pick(palette.specks)
            self._fill(ring, colour)
            if radius > 2 and sum(colour) > 450:
                self._outline(ring, self._pick(palette.line), 1)

    def draw_bulk(self, boxes: Sequence[tuple[float, float, float, float]]) -> None:
        """Draw thick flakes: some beside annotated ones, none over the middle of one."""
        rng, palette = self.rng, self.palette
        middles = np.array([complex(x + w / 2, y + h / 2) for x, y, w, h in boxes])
        radii = np.array([math.sqrt(w * h) / 2 for _, _, w, h in boxes])
        for _ in range(self._how_many(palette.amounts.n_bulk)):
            area = (
                palette.amounts.bulk_area
                * self.shrink
                * rng.lognormal(0.0, palette.amounts.bulk_spread)
            )
            ring = flake(rng, min(area, 0.09 * self.frame.n_pixels))
            reach = float(np.abs(ring).max())
            for _ in range(8):
                place = self._anywhere()
                if middles.size and rng.random() < 0.3:
                    one = int(rng.integers(middles.size))
                    away = 0.8 * reach + radii[one]
                    place = complex(middles[one] + cmath.rect(away, 2 * math.pi * rng.random()))
                if not middles.size or float(np.abs(middles - place).min()) > 0.8 * reach:
                    self._draw_thick_flake(ring + place)
                    break

    def draw_grime(self) -> None:
        """Draw a dark lump of dirt with glints, on some images."""
        rng = self.rng
        for _ in range(int(rng.poisson(self.palette.amounts.n_lumps * self.shrink))):
            place, radius = self._anywhere(), rng.uniform(8.0, 36.0) * math.sqrt(self.shrink)
            lump = place + blob(rng, radius, 14)
            self._outline(lump, self._pick(self.palette.rim), 4)
            self._fill(lump, _GRIME[0])
            for _ in range(int(radius * 2)):
                glint = place + cmath.rect(
                    0.8 * radius * math.sqrt(rng.random()), 2 * math.pi * rng.random()
                )
                self._fill(glint + blob(rng, rng.uniform(0.6, 3.5), 6), self._pick(_GRIME))

    def _draw_thick_flake(self, ring: Ring) -> None:
        """Draw rim, edge line and face of a thick flake; the face may be of two thicknesses."""
        rng, palette = self.rng, self.palette
        n = ring.size
        ring = np.roll(ring, int(rng.integers(n)))
        self._outline(ring, self._pick(palette.rim), 5)
        face, other = self._pick(palette.bulk), self._pick(palette.half_thick)
        size = float(np.abs(ring - ring.mean()).max())
        # Small pieces are thin enough for colour more often than large ones.
        if rng.random() < 8.0 / (size + 25.0):
            face, other = other, face
        self._fill(ring, face)
        draws = rng.random(4)
        if draws[0] < 20.0 / (size + 25.0):
            self._fill(ring[: int(rng.integers(n // 4 + 2, n // 2 + 2))], other)
        if draws[1] < 0.3:
            ends = ring[rng.integers(0, n, 2)]
            middle = ends.mean() + complex(*rng.normal(0.0, 4.0, 2))
            crack = np.array([ends[0], middle, ends[1]])
            self.pen.line(_points(crack), fill=self._pick(palette.line), width=1)
        self._outline(ring, self._pick(palette.line), 2)
        if draws[2] < 0.6:
            stretch = ring[: int(rng.integers(2, n))]
            self.pen.line(_points(stretch), fill=self._pick(palette.line), width=2)
        if draws[3] < 5.0 / (size + 25.0):
            self._fill(ring[:4] + complex(*rng.normal(0.0, 2.0, 2)), (34, 30, 24))

    def _how_many(self, mean: float) -> int:
        return min(int(self.rng.poisson(mean * self.dirt * self.shrink)), int(4 * mean) + 4)

    def _anywhere(self) -> complex:
        x, y = self.rng.random(2).tolist()
        return complex(x * self.frame.width, y * self.frame.height)

    def _near(self, place: complex, share_of_width: float) -> complex:
        spread = share_of_width * self.frame.width
        return place + complex(*self.rng.normal(0.0, spread, 2).tolist())

    def _pick(self, colours: tuple[Colour, ...]) -> Colour:
        return colours[int(self.rng.random() * len(colours))]

    def _fill(self, ring: Ring, colour: Colour) -> None:
        self.pen.polygon(_points(ring), fill=colour)

    def _outline(self, ring: Ring, colour: Colour, width: int) -> None:
        self.pen.line(_points(np.append(ring, ring[:2])), fill=colour, width=width)


def _points(ring: Ring) -> list[float]:
    """Flatten a ring to x, y, x, y, ... as Pillow takes it."""
    flat: list[float] = np.ascontiguousarray(ring).view(np.float64).tolist()
    return flat


def _photograph(
    rng: np.random.Generator, flat: NDArray[np.uint8], palette: Palette
) -> NDArray[np.uint8]:
    """Take a picture of a flat drawing: optics, light, camera noise, channel by channel."""
    height, width, _ = flat.shape
    light = _light(rng, height, width)
    gain = rng.uniform(0.96, 1.08)
    photograph = np.empty_like(flat)
    for channel in range(3):
        plane = _optics(flat[:, :, channel])
        plane *= light
        plane *= _tint(rng, height)[:, None]
        plane *= _tint(rng, width)
        grain = _grain(rng, height, width)
        grain *= np.float32(gain * palette.noise[channel])
        plane += grain
        np.clip(plane, 0.0, _WHITE_LEVEL, out=plane)
        plane += np.float32(0.5)
        photograph[:, :, channel] = plane
    return photograph


def _optics(plane: NDArray[np.uint8]) -> Plane:
    """Convolve with the taps along both axes; edge pixels are repeated."""
    reach = len(_TAPS) - 1
    blurred = np.pad(plane, reach, mode="edge").astype(np.float32)
    for _ in range(2):
        n = blurred.shape[0] - 2 * reach
        out = blurred[reach : reach + n] * np.float32(_TAPS[0])
        for k in range(1, reach + 1):
            pair = blurred[reach - k : reach - k + n] + blurred[reach + k : reach + k + n]
            pair *= np.float32(_TAPS[k])
            out += pair
        blurred = out.T
    return blurred


def _light(rng: np.random.Generator, height: int, width: int) -> Plane:
    """Draw the unevenness of the light: a tilt, darker corners and one slow wave across."""
    y = np.linspace(-1.0, 1.0, height)[:, None]
    x = np.linspace(-1.0, 1.0, width)
    tilt_y, tilt_x, wave_y, wave_x = rng.normal(0.0, 0.004, 4)
    corners = rng.uniform(0.0, 0.006)
    phase_y, phase_x = rng.uniform(0.0, 2 * math.pi, 2)
    down = 1.0 + tilt_y * y - corners * y * y + wave_y * np.cos(4.0 * y + phase_y)
    across = tilt_x * x - corners * x * x + wave_x * np.cos(5.0 * x + phase_x)
    return np.asarray(down.astype(np.float32) + across.astype(np.float32), np.float32)


def _tint(rng: np.random.Generator, length: int) -> Plane:
    """Draw how one channel's share of the light drifts along one axis."""
    phase, wavelength = rng.uniform(0.0, 2 * math.pi), rng.uniform(2.0, 5.0)
    drift = np.cos(wavelength * np.linspace(-1.0, 1.0, length) + phase)
    return (1.0 + 0.0025 * drift).astype(np.float32)


def _grain(rng: np.random.Generator, height: int, width: int) -> Plane:
    """Draw noise of unit variance, correlated by one half between neighbours.

    The sum of the four random bytes around a pixel's corners is close to normal, and neighbours
    share two of them: what demosaicing does to a sensor's noise, at a fraction of the time that
    drawing normal numbers takes.
    """
    n = (height + 1) * (width + 1)
    raw = rng.bit_generator.random_raw((n + 7) // 8)
    draws = np.asarray(raw, np.uint64).view(np.uint8)[:n].reshape(height + 1, width + 1)
    pairs = draws[:-1].astype(np.int16) + draws[1:]
    grain = (pairs[:, :-1] + pairs[:, 1:]).astype(np.float32)
    grain -= np.float32(4 * 127.5)
    grain *= np.float32(1 / _FOUR_BYTES)
    return grain
