r"""Outlines of flakes: closed rings of points in the complex plane (x + iy, in pixels).

Layered crystals cleave along straight lines, so an outline starts as a few corners. Each edge is
then bowed, roughened or left straight, and a corner may be pushed inwards, which makes most
outlines non-convex::

    corners    +-------+        edges     +~~~~~~~+
               |       |                  |        \
               +---+   |                  +---.     )
                    \  |                       \   |
                     +-+                        '--+
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ring", "blob", "flake", "half_plane", "ring_area"]

Ring = NDArray[np.complex128]

# Each edge is cut into this many pieces, whose ends may leave the straight line.
PIECES = 5
# Smallest area of a flake, in units of the mean squared distance of its ring from the origin: pi
# for a circle, 1 for a strip that is six times as long as wide.
MIN_FILL = 0.5
_ALONG = np.arange(PIECES) / PIECES
_BOW = 4 * _ALONG * (1 - _ALONG)


def ring_area(ring: Ring) -> float:
    """Return the area inside a ring, by the shoelace formula.

    Parameters
    ----------
    ring : (n,) complex128
        Corners, in pixels.

    Returns
    -------
    float
        Square pixels.

    Examples
    --------
    >>> ring_area(np.array([0, 4, 4 + 3j, 3j]))
    12.0
    """
    following = np.concatenate((ring[1:], ring[:1]))
    return abs(float(np.vdot(ring, following).imag)) / 2


def flake(rng: np.random.Generator, area: float) -> Ring:
    """Draw the outline of a cleaved flake around the origin.

    Parameters
    ----------
    rng : numpy.random.Generator
    area : float
        Square pixels inside the ring.

    Returns
    -------
    (n,) complex128

    Examples
    --------
    >>> round(ring_area(flake(np.random.default_rng(0), 800.0)), 6)
    800.0
    """
    while True:
        kind = rng.random()
        if kind < 0.2:
            corners = _strip(rng)
        else:
            corners = _shard(rng, 3 if kind < 0.3 else int(rng.integers(4, 9)))
        ring = _break_edges(rng, corners)
        inside = ring_area(ring)
        # Scaled to the area, a sliver would be far too long, and so would a ring whose loops cancel
        # each other.
        if inside > MIN_FILL * float(np.vdot(ring, ring).real) / ring.size:
            break
    ring *= math.sqrt(area / inside) * np.exp(2j * math.pi * rng.random())
    return ring


def blob(rng: np.random.Generator, radius: float, n_points: int = 9) -> Ring:
    """Draw a roundish outline around the origin: a hole, a speck, a drop of glue.

    Parameters
    ----------
    rng : numpy.random.Generator
    radius : float
        Mean distance of the corners along the longer axis, in pixels.
    n_points : int
        Corners.

    Returns
    -------
    (n_points,) complex128

    Examples
    --------
    >>> blob(np.random.default_rng(0), 5.0, 7).size
    7
    """
    angles = np.arange(n_points) * (2 * math.pi / n_points) + rng.random() * math.pi
    radii = radius * rng.uniform(0.7, 1.3, n_points)
    squeeze = rng.uniform(0.6, 1.0)
    ring = radii * (np.cos(angles) + 1j * squeeze * np.sin(angles))
    return np.asarray(ring * np.exp(2j * math.pi * rng.random()), dtype=np.complex128)


def half_plane(rng: np.random.Generator, through: complex, normal: complex, reach: float) -> Ring:
    """Draw everything within reach on one side of a slightly broken line: the step of a terrace.

    Parameters
    ----------
    rng : numpy.random.Generator
    through : complex
        A point of the line.
    normal : complex
        Unit vector that points into the half plane.
    reach : float
        How far the half plane needs to extend, in pixels.

    Returns
    -------
    (14,) complex128

    Examples
    --------
    >>> ring = half_plane(np.random.default_rng(0), 0j, 1j, 100.0)
    >>> bool(ring.imag.max() >= 100)
    True
    """
    along = 1j * normal
    line = np.linspace(-reach, reach, 12)
    wobble = rng.normal(0.0, 0.02 * reach, line.size) * (rng.random(line.size) < 0.4)
    step = through + along * line + normal * wobble
    far = through + np.array([reach, -reach]) * along + 2 * reach * normal
    return np.asarray(np.concatenate((step, far)), dtype=np.complex128)


def _shard(rng: np.random.Generator, n_corners: int) -> Ring:
    """Draw corners at increasing angles and uneven distances, stretched, often with a notch."""
    draws = rng.random((2, n_corners))
    angles = (np.arange(n_corners) + 0.8 * draws[0]) * (2 * math.pi / n_corners)
    radii = 0.6 + 0.8 * draws[1]
    if n_corners > 3 and rng.random() < 0.6:
        radii[rng.integers(n_corners)] *= rng.uniform(0.25, 0.6)
    stretch = 1.0 + 1.2 * rng.random() ** 2
    return np.asarray(radii * (stretch * np.cos(angles) + 1j * np.sin(angles)), np.complex128)


def _strip(rng: np.random.Generator) -> Ring:
    """Draw the corners of a long piece with slanted ends, like a torn ribbon."""
    length = rng.uniform(1.0, 3.0)
    slant = rng.normal(0.0, 0.25, 4)
    width = rng.uniform(0.6, 1.4, 2)
    x = np.array([-length, length, length, -length]) + slant
    y = np.array([-width[0], -width[1], width[1], width[0]]) / 2
    return np.asarray(x + 1j * y, dtype=np.complex128)


def _break_edges(rng: np.random.Generator, corners: Ring) -> Ring:
    """Cut every edge into pieces and move their ends sideways; some edges stay straight."""
    n = corners.size
    edges = np.concatenate((corners[1:], corners[:1])) - corners
    bow = rng.normal(0.0, 0.09, n) * (rng.random(n) < 0.5)
    rough = np.minimum(rng.exponential(0.035, n), 0.12) * (rng.random(n) < 0.7)
    sideways = bow[:, None] * _BOW + rough[:, None] * rng.normal(0.0, 1.0, (n, PIECES))
    sideways[:, 0] = 0.0
    return np.asarray(
        (corners[:, None] + edges[:, None] * (_ALONG + 1j * sideways)).ravel(), np.complex128
    )
