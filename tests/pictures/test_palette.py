"""The colours of classes: as people see them who lack one kind of cone, how they were chosen."""

from __future__ import annotations

import numpy as np

from mtfast.pictures.palette import (
    DIFFERENCES,
    PALETTE,
    class_colour,
    class_colours,
    class_palette,
    colour_table,
)
from tables import make_table

# Of linear RGB, severity 1.0: Machado, Oliveira and Fernandes, A physiologically-based model for
# simulation of color vision deficiency, IEEE TVCG 15 (6), 2009, table 1.
MACHADO = {
    "normal": np.eye(3),
    "protanopia": np.array(
        [
            [0.152286, 1.052583, -0.204868],
            [0.114503, 0.786281, 0.099216],
            [-0.003882, -0.048116, 1.051998],
        ]
    ),
    "deuteranopia": np.array(
        [
            [0.367322, 0.860646, -0.227968],
            [0.280085, 0.672501, 0.047413],
            [-0.011820, 0.042940, 0.968881],
        ]
    ),
    "tritanopia": np.array(
        [
            [1.255528, -0.076749, -0.178779],
            [-0.078411, 0.930809, 0.147602],
            [0.004733, 0.691367, 0.303900],
        ]
    ),
}
# sRGB to XYZ at D65, IEC 61966-2-1.
XYZ = np.array(
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
WHITE = np.array([0.95047, 1, 1.08883])


def linear(colours: np.ndarray) -> np.ndarray:
    share = np.asarray(colours) / 255
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)


def cielab(rgb: np.ndarray) -> np.ndarray:
    """Return L*, a* and b* of linear RGB, CIE 1976."""
    share = rgb @ XYZ.T / WHITE
    x, y, z = np.where(
        share > (6 / 29) ** 3, np.cbrt(share), share / (3 * (6 / 29) ** 2) + 4 / 29
    ).T
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=1)


def seen(colours) -> list[np.ndarray]:
    """Return the colours as four kinds of people see them."""
    rgb = linear(colours)
    return [cielab(np.clip(rgb @ matrix.T, 0, 1)) for matrix in MACHADO.values()]


def distances(some, others) -> np.ndarray:
    """Return how far colours are apart for those who see the least difference."""
    pairs = zip(seen(some), seen(others), strict=True)
    return np.min([np.linalg.norm(a[:, None] - b, axis=2) for a, b in pairs], axis=0)


def least(colours) -> float:
    apart = distances(colours, colours)
    np.fill_diagonal(apart, np.inf)
    return float(apart.min())


def test_the_first_eight_are_told_apart_by_all():
    assert least(PALETTE[:8]) >= 15
    assert least(PALETTE[:4]) >= 30
    # Red and green of equal lightness are not: the test can fail.
    assert least([(200, 60, 60), (120, 110, 60)]) < 15


def test_colours_of_differences_are_those_of_no_class():
    assert least([*PALETTE[:8], *DIFFERENCES.values()]) >= 15
    assert not set(DIFFERENCES.values()) & set(PALETTE)


def test_the_rest_are_chosen_one_by_one_as_far_as_can_be_from_all_before():
    assert len(set(PALETTE)) == 96
    steps = range(0, 256, 15)
    grid = np.array([(r, g, b) for r in steps for g in steps for b in steps])
    lightness = cielab(linear(grid))[:, 0]
    grid = grid[(lightness >= 45) & (lightness <= 90)]
    views = seen(grid)
    nearest = distances(grid, [*PALETTE[:8], *DIFFERENCES.values()]).min(axis=1)
    for colour in PALETTE[8:]:
        best = int(nearest.argmax())
        assert tuple(grid[best].tolist()) == colour
        from_it = np.min([np.linalg.norm(view - view[best], axis=1) for view in views], axis=0)
        nearest = np.minimum(nearest, from_it)
    assert least(PALETTE) >= 5


def test_a_class_has_its_colour_in_every_table(rng):
    masks = [[np.ones((3, 4), np.uint8)] * 3]
    few, many = (make_table(masks, (3, 4), n_categories=n) for n in (2, 7))
    assert class_colours(few).items() <= class_colours(many).items()
    assert class_palette([97, 5]) == {5: PALETTE[4], 97: PALETTE[0]}
    table = colour_table(256)
    assert table[0].tolist() == [0, 0, 0]
    assert all(tuple(table[k].tolist()) == class_colour(k) for k in range(1, 256))
