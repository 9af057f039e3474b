"""Outlines of masks: rasterised again they are the masks; a naive walk has the same rings."""

from __future__ import annotations

import doctest
from itertools import pairwise

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from mtfast import RLEError, mask
from mtfast.kernels.operations import contours as kernels
from mtfast.kernels.rle import toggle_lists
from mtfast.rles import Rles, contours, to_polygons
from tables import make_table, random_masks, rles_of

SIDES = st.integers(1, 13)
SEEDS = st.integers(0, 2**32 - 1)
GUARD = -77


def painted(rings: list[np.ndarray], height: int, width: int) -> np.ndarray:
    """Rasterise each ring with pycocotools, (height, width, n_rings)."""
    return coco.decode(coco.frPyObjects([ring.ravel().tolist() for ring in rings], height, width))


def masks_of(found: contours.Polygons, sizes: list[tuple[int, int]]) -> list[np.ndarray]:
    """Rasterise polygons again: outer rings without their holes; and see that holes are inside."""
    rings, masks = found.rings(), []
    for (height, width), (first, last) in zip(sizes, pairwise(found.mask_offsets), strict=True):
        pixels = np.zeros((height, width), np.uint8)
        for start, stop in pairwise(found.polygon_offsets[first : last + 1]):
            outer, *holes = np.moveaxis(painted(rings[start:stop], height, width), 2, 0)
            for hole in holes:
                assert (outer >= hole).all()
                outer = outer - hole
            assert not (pixels & outer).any()
            pixels |= outer
        masks.append(pixels)
    return masks


def random_frames(rng: np.random.Generator, n: int) -> list[np.ndarray]:
    shapes = rng.integers(1, 14, (n, 2)).tolist()
    return [(rng.random(shape) < rng.random()).astype(np.uint8) for shape in shapes]


def test_thousands_of_masks_come_back(rng):
    masks = random_frames(rng, 4000)
    found = to_polygons(rles_of(masks))
    again = masks_of(found, [m.shape for m in masks])
    assert all((a == b).all() for a, b in zip(again, masks, strict=True))


def from_the_least(ring: list) -> list[tuple[int, int]]:
    points = [(int(x), int(y)) for x, y in ring]
    k = points.index(min(points))
    return points[k:] + points[:k]


def expect_rings(masks: list[np.ndarray], found: contours.Polygons) -> None:
    """Compare with a walk around the pixels of each component."""
    rings, ends = found.rings(), found.polygon_offsets
    polygons = [rings[i:j] for i, j in pairwise(ends)]
    parts = [naive.components(m, 4) for m in masks]
    assert found.mask_offsets.tolist() == np.cumsum([0, *map(len, parts)]).tolist()
    for part, (outer, *holes) in zip([p for of in parts for p in of], polygons, strict=True):
        expected = naive.rings(part)
        assert from_the_least(outer) == expected[0]
        assert sorted(map(from_the_least, holes)) == sorted(expected[1:])
        assert all(len(set(ring)) == len(ring) for ring in expected), "rings do not meet themselves"


@settings(deadline=None, max_examples=150)
@given(st.integers(1, 4), SEEDS)
def test_rings_are_those_of_a_walk_around_the_pixels(n, seed):
    rng = np.random.default_rng(seed)
    masks = random_frames(rng, n)
    expect_rings(masks, to_polygons(rles_of(masks, rng)))


@pytest.mark.parametrize(
    ("art", "n_points"),
    [
        ("###", [[4]]),
        ("... ...", []),
        ("#.. .#.", [[4], [4]]),
        # The hole meets the outer ring in a corner; it is no bay of it.
        ("### #.# ##.", [[6, 4]]),
        # Two holes that meet in a corner.
        ("#### #.## ##.# ####", [[4, 4, 4]]),
        # What is in a hole is a polygon of its own.
        ("##### #...# #.#.# #...# #####", [[4, 4], [4]]),
        # Whole columns, and runs that go on into the next one.
        (".###. .###. .###.", [[4]]),
        (".##. ##.. ####", [[10]]),
        ("..#. ##.. .#..", [[4], [6]]),
        ("####. #..#. ####.", [[4, 4]]),
    ],
)
def test_drawn_rings(art, n_points):
    pixels = naive.mask(art)
    found = to_polygons(rles_of([pixels]))
    sizes = np.diff(found.ring_offsets).tolist()
    polygons = [sizes[i:j] for i, j in pairwise(found.polygon_offsets)]
    assert sorted(polygons) == sorted(n_points)
    expect_rings([pixels], found)
    (again,) = masks_of(found, [pixels.shape])
    np.testing.assert_array_equal(again, pixels)


@settings(deadline=None)
@given(SEEDS)
def test_orientation_is_that_of_geojson(seed):
    found = to_polygons(rles_of(random_frames(np.random.default_rng(seed), 5)))
    first = set(found.polygon_offsets.tolist())
    for k, ring in enumerate(found.rings()):
        x, y = ring.T
        area = (x * np.roll(y, -1) - np.roll(x, -1) * y).sum()
        assert (area > 0) == (k in first)
        steps = np.roll(ring, -1, axis=0) - ring
        assert ((steps == 0).sum(axis=1) == 1).all(), "corners only, none in a line"
        assert ((steps[:, 0] == 0) != (np.roll(steps[:, 0], 1) == 0)).all()


def test_frames_of_a_size_that_nobody_could_decode():
    """Whole columns side by side are one piece."""
    rle = {"size": [2**20, 2**20], "counts": [2**21, 2**39, 2**40 - 2**21 - 2**39]}
    (polygon,) = mask.polygons(rle)
    x = 2 + 2**19
    assert polygon.outer.tolist() == [[2, 0], [x, 0], [x, 2**20], [2, 2**20]]


def test_empty_frames_and_no_masks():
    for rles in (Rles.of([], []), Rles.of([b"0"], [(0, 7)]), Rles.of([b"0"], [(7, 0)])):
        found = to_polygons(rles)
        assert found.points.shape == (0, 2)
        assert found.mask_offsets.tolist() == [0] * (rles.heights.size + 1)
        assert found.rings() == []


def test_the_kernel_stays_in_its_buffers(rng):
    """With guards after each array, for the densest list of toggles."""
    for height, width in [(1, 9), (2, 9), (3, 5), (9, 1)]:
        for pixels in [np.ones((height, width), np.uint8), *random_masks(rng, (height, width), 9)]:
            for part in naive.components(pixels, 4):
                places = np.cumsum(naive.counts_of_mask(part))
                toggles = np.append(places[: places.size // 2 * 2], toggle_lists.SENTINEL)
                n = toggles.size
                scratch = np.full(kernels.N_SCRATCH * n + 1, GUARD)
                points = np.full(kernels.N_NUMBERS * n + 1, GUARD)
                rings = np.full(3 * n + 2, GUARD)
                ends = np.full(3, GUARD)
                kernels.contours(
                    toggles,
                    np.array([0, n]),
                    np.array([height]),
                    n,
                    scratch[:-1],
                    points[:-1],
                    rings[:-1],
                    ends[:-1],
                )
                guards = scratch[-1], points[-1], rings[-1], ends[-1]
                assert guards == (GUARD,) * 4


def test_malformed_texts_are_refused():
    with pytest.raises(RLEError, match=r"rles\[1\]"):
        to_polygons(Rles.of([b"4", b"5"], [(2, 2), (2, 2)]))


def test_the_friendly_face(rng):
    masks = random_masks(rng, (9, 11), 8)
    rles = coco.encode(np.asfortranarray(np.stack(masks, axis=2)))
    flat = to_polygons(rles_of(masks))
    several = mask.polygons(rles)
    of_table = mask.polygons(make_table([masks[:3], masks[3:]], (9, 11)))
    one_by_one = [mask.polygons(rle) for rle in rles]
    for found in (several, of_table, one_by_one):
        rings = [ring for ps in found for p in ps for ring in (p.outer, *p.holes)]
        assert [r.tolist() for r in rings] == [r.tolist() for r in flat.rings()]
        assert list(map(len, found)) == np.diff(flat.mask_offsets).tolist()


def test_examples_of_docstrings():
    for module in (contours, mask.outlines):
        assert doctest.testmod(module).failed == 0
