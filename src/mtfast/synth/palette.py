"""What the chip, the flakes and the dirt look like: one palette per kind of chip and microscope.

All colours are RGB, 0 to 255. Each layer of a thin flake lets the share ``per_layer`` of the
background through, down to ``floor``; the figures were read off photographs of graphene on
oxidised silicon.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["PALETTES", "Amounts", "Colour", "Palette"]

Colour = tuple[int, int, int]


class Amounts(NamedTuple):
    """How much dirt there is on a full frame.

    Attributes
    ----------
    n_bulk, n_specks, n_trails, n_lumps : float
        Mean numbers of thick flakes, of specks, of trails of glue, of lumps of dirt.
    bulk_area, bulk_spread : float
        Median area of a thick flake in pixels, and the standard deviation of its logarithm.
    """

    n_bulk: float
    n_specks: float
    n_trails: float
    n_lumps: float
    bulk_area: float
    bulk_spread: float


@dataclass(frozen=True)
class Palette:
    """Colours and amounts of one kind of chip.

    Attributes
    ----------
    name : str
    background : Colour
        Of the bare chip.
    per_layer, floor : three floats
        Shares of the background in R, G and B, see :mod:`mtfast.synth.palette`.
    bulk, half_thick, line, rim : tuple of Colour
        Of thick flakes: faces, thinner parts of them, the line along their edge, the rim of light
        around it.
    specks, residue : tuple of Colour
        Of crumbs and of glue, on the bare chip.
    amounts : Amounts
    noise : three floats
        Standard deviation of the camera's noise in R, G and B.
    """

    name: str
    background: Colour
    per_layer: tuple[float, float, float]
    floor: tuple[float, float, float]
    bulk: tuple[Colour, ...]
    half_thick: tuple[Colour, ...]
    line: tuple[Colour, ...]
    rim: tuple[Colour, ...]
    specks: tuple[Colour, ...]
    residue: tuple[Colour, ...]
    amounts: Amounts
    noise: tuple[float, float, float]

    def layer(self, n_layers: int) -> NDArray[np.float64]:
        """Return the colour of a thin flake.

        Parameters
        ----------
        n_layers : int

        Returns
        -------
        (3,) float64
            RGB, 0 to 255.

        Examples
        --------
        >>> PALETTES[0].layer(1).round().tolist()
        [112.0, 96.0, 141.0]
        """
        floor = np.array(self.floor)
        # Each layer keeps the same share of what is above the floor.
        share = (np.array(self.per_layer) - floor) / (1 - floor)
        return np.asarray(np.array(self.background) * (floor + (1 - floor) * share**n_layers))


_WHITE: Colour = (241, 241, 241)

_PURPLE = Palette(
    name="purple",
    background=(130, 114, 156),
    per_layer=(0.865, 0.845, 0.905),
    floor=(0.20, 0.12, 0.52),
    bulk=(_WHITE,),
    half_thick=((92, 104, 226), (132, 142, 240), (182, 192, 250), (205, 212, 250)),
    line=((34, 24, 104), (26, 20, 84), (48, 40, 150)),
    rim=((150, 132, 198), (146, 126, 190)),
    specks=(
        (40, 30, 110),
        (30, 22, 70),
        (24, 18, 40),
        (66, 66, 190),
        (96, 92, 220),
        (70, 56, 140),
        (88, 76, 150),
        _WHITE,
    ),
    residue=((116, 106, 168), (122, 104, 150), (108, 100, 176)),
    amounts=Amounts(
        n_bulk=22, n_specks=450, n_trails=16, n_lumps=0.1, bulk_area=900, bulk_spread=1.3
    ),
    noise=(1.95, 1.45, 1.9),
)
_BLUE_VIOLET = replace(
    _PURPLE,
    name="blue-violet",
    background=(121, 108, 161),
    residue=((112, 104, 170), (116, 100, 152)),
    amounts=Amounts(
        n_bulk=5, n_specks=170, n_trails=7, n_lumps=0.05, bulk_area=1300, bulk_spread=1.2
    ),
    noise=(1.8, 1.3, 1.65),
)
_GREY = Palette(
    name="grey",
    background=(195, 196, 199),
    per_layer=(0.887, 0.926, 0.980),
    floor=(0.12, 0.36, 0.80),
    bulk=(_WHITE, _WHITE, (240, 240, 236)),
    half_thick=((150, 206, 232), (176, 226, 238), (108, 172, 222), (72, 122, 184)),
    line=((226, 150, 226), (150, 196, 226), (64, 84, 130), (228, 222, 120), (190, 190, 196)),
    rim=((240, 232, 198), (238, 226, 208), (234, 238, 232)),
    specks=(
        (66, 110, 176),
        (96, 140, 196),
        (140, 170, 205),
        (36, 84, 140),
        (150, 220, 236),
        (240, 240, 238),
        (240, 236, 196),
        (60, 56, 40),
        (110, 100, 70),
    ),
    residue=((224, 222, 222), (214, 222, 228), (236, 230, 228), (182, 184, 188)),
    amounts=Amounts(
        n_bulk=20, n_specks=520, n_trails=26, n_lumps=0.5, bulk_area=3000, bulk_spread=1.6
    ),
    noise=(2.4, 1.6, 2.1),
)
_GREY_BLUE = replace(
    _GREY,
    name="grey-blue",
    background=(198, 206, 212),
    residue=((232, 236, 238), (240, 236, 240), (222, 232, 238), (206, 222, 228)),
    amounts=Amounts(
        n_bulk=22, n_specks=380, n_trails=40, n_lumps=0.3, bulk_area=1500, bulk_spread=1.4
    ),
)
_BEIGE = replace(
    _GREY,
    name="beige",
    background=(194, 186, 182),
    residue=((186, 184, 186), (202, 194, 190), (184, 178, 178)),
    amounts=Amounts(
        n_bulk=9, n_specks=150, n_trails=12, n_lumps=0.1, bulk_area=1700, bulk_spread=1.3
    ),
    noise=(2.3, 1.55, 1.9),
)
_NAVY = Palette(
    name="navy",
    background=(48, 44, 78),
    per_layer=(0.80, 0.78, 0.89),
    floor=(0.34, 0.32, 0.46),
    bulk=((150, 142, 146), (166, 166, 216), (132, 124, 130), (176, 168, 160)),
    half_thick=((92, 104, 190), (120, 124, 204), (66, 76, 158)),
    line=((24, 20, 50), (64, 60, 140), (30, 26, 64)),
    rim=((56, 50, 96), (60, 56, 110)),
    specks=((52, 56, 140), (64, 74, 180), (20, 16, 44), (26, 22, 56), (40, 40, 104)),
    residue=((54, 50, 96), (44, 40, 70), (52, 50, 110)),
    amounts=Amounts(
        n_bulk=7, n_specks=180, n_trails=5, n_lumps=0.05, bulk_area=1300, bulk_spread=1.1
    ),
    noise=(1.05, 1.05, 1.35),
)

# Neighbours differ, since the exfoliation runs of a set take them in turn.
PALETTES = (_PURPLE, _GREY, _BLUE_VIOLET, _GREY_BLUE, _BEIGE, _NAVY)
