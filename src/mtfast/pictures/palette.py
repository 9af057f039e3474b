"""The colour of each class, the same in every picture: previews, reports, masks, TIFF tables.

The first eight are seven of Okabe and Ito's (without black, which outlines have around them) and a
violet: any two are at least 15 CIELAB units apart for people with normal vision, and for those who
lack one kind of cone. The others were chosen one by one, each as far as can be from all before it
in the worst of these four kinds of vision; of the 96, any two are at least 5 units apart.

Sources: Okabe and Ito, Color universal design, https://jfly.uni-koeln.de/color/; Glasbey et al.,
Colour displays for categorical images, 2007; Machado et al., A physiologically-based model for
simulation of color vision deficiency, 2009. ``tests/pictures`` makes the table again.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from mtfast.table import RunTable

__all__ = [
    "BACKGROUND",
    "DIFFERENCES",
    "HALO",
    "PALETTE",
    "RGB",
    "class_colour",
    "class_colours",
    "class_palette",
    "colour_table",
]

RGB = tuple[int, int, int]

_HEX = """
    d55e00 56b4e9 f0e442 963cff 0072b2 cc79a7 e69f00 009e73
    e1004b 9687ff c3d2f0 b4b469 695ad2 87c3a5 a54b87 ff4b78 f0c35a c30fa5 78694b
    b4963c 87e1d2 a587c3 a55a1e ff87f0 a569d2 9669ff 00d21e c3d296 a5b4d2 b44b78
    ff8796 b4e187 a5965a d2c369 c3a5b4 b4783c d20fe1 5a9600 b469a5 a5e1c3 87875a
    e1e1f0 5ab487 4bd2ff c38796 5a783c a5b478 ffb43c 9687d2 e15af0 f0e1b4 87f069
    87b4ff a57869 69b44b 78c3c3 f0783c d20087 697896 a5a5d2 785ac3 d2f01e 6996f0
    a54bb4 87d2a5 c396e1 69a5b4 00f0ff e1d21e d2b44b f0691e 78ff5a 5a78e1 878796
    1e7869 00872d d2e14b d23cff d20069 c300c3 961eff b48778 5ae178 b46987 5aa500
    c3b41e b4d2e1 f0965a 69d278 c35a2d b4b4e1 e1b496 ff1e69 c35ac3 b4c3e1 9687b4
"""
PALETTE: tuple[RGB, ...] = tuple((c[0], c[1], c[2]) for c in map(bytes.fromhex, _HEX.split()))
"""Of the classes 1, 2, ...: 96 colours, which repeat."""

DIFFERENCES: dict[str, RGB] = {
    "missing": (255, 255, 255),
    "extra": (165, 255, 135),
    "other": (0, 255, 180),
}
"""Of pixels in which two masks differ: at least 15 units from the first eight and each other."""

BACKGROUND: RGB = (30, 32, 38)
HALO: RGB = (12, 12, 14)
"""Around outlines: a colour is seen on any ground if there is dark on both sides of it."""


def class_colour(id_: int) -> RGB:
    """Return the colour of a class.

    Parameters
    ----------
    id_ : int
        Category id. Ids that are a multiple of 96 apart share a colour.

    Returns
    -------
    (int, int, int)
        Red, green and blue, 0 to 255.

    Examples
    --------
    >>> class_colour(1), class_colour(97)
    ((213, 94, 0), (213, 94, 0))
    """
    return PALETTE[(id_ - 1) % len(PALETTE)]


def class_palette(ids: Iterable[int]) -> dict[int, RGB]:
    """Return the colours of several classes.

    Parameters
    ----------
    ids : iterable of int
        Category ids in any order.

    Returns
    -------
    dict
        Colour of each id, ascending.

    Examples
    --------
    >>> class_palette([7, 2])
    {2: (86, 180, 233), 7: (230, 159, 0)}
    """
    return {id_: class_colour(id_) for id_ in sorted(set(ids))}


def class_colours(table: RunTable) -> dict[int, RGB]:
    """Return the colours of the classes of a table, listed or used.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    dict
        Colour of each id, ascending.
    """
    return class_palette({*(c.id for c in table.categories), *table.category_ids.tolist()})


def colour_table(n: int) -> NDArray[np.uint8]:
    """Make a lookup table from pixels of a mask to colours.

    Parameters
    ----------
    n : int
        Number of rows.

    Returns
    -------
    (n, 3) uint8, C order
        RGB; black for 0.

    Examples
    --------
    >>> colour_table(3).tolist()
    [[0, 0, 0], [213, 94, 0], [86, 180, 233]]
    """
    colours = np.array(PALETTE, np.uint8)[np.arange(-1, n - 1) % len(PALETTE)]
    colours[:1] = 0
    return colours
