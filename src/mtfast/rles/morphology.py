"""Connected components, erosion and boundaries: operations on the neighbours of pixels."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mtfast.errors import MtfastError, one_of, shown
from mtfast.rles.arguments import as_array
from mtfast.rles.batch import Int64, Rles, ToggleLists, allocate, rles_of_toggles, toggles_of
from mtfast.table import MAX_PIXELS


class Components(NamedTuple):
    """The connected components of a batch of masks.

    Attributes
    ----------
    rles : Rles
        One mask for each component.
    offsets : (n + 1,) int64
        The components of mask k are offsets[k] .. offsets[k + 1] - 1.
    """

    rles: Rles
    offsets: Int64


def components(rles: Rles, connectivity: Literal[4, 8] = 4) -> Components:
    """Split masks into their connected components.

    Parameters
    ----------
    rles : Rles
    connectivity : 4 or 8
        Whether pixels that share no more than a corner are connected (8) or not (4).

    Returns
    -------
    Components
        The components of each mask, ordered by their first pixel in column-major order. An empty
        mask has none.

    Raises
    ------
    MtfastError
        If the connectivity is neither 4 nor 8.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> corners = Rles.of([b"123"], [(2, 3)])      # .#.
    >>> components(corners, 4).rles.texts()        # #..
    [b'114', b'213']
    >>> components(corners, 8).rles.texts()
    [b'123']

    Notes
    -----
    Source: union-find over runs, as in L. He, Y. Chao, K. Suzuki, A run-based two-scan labeling
    algorithm, IEEE Trans. Image Process. 17 (2008).
    """
    connectivity = one_of("connectivity", connectivity, (4, 8))
    parts, offsets = split_components(toggles_of(rles, "rles"), connectivity)
    found = rles_of_toggles(*parts[:4])
    return Components(found, offsets)


def split_components(lists: ToggleLists, connectivity: int) -> tuple[ToggleLists, Int64]:
    """Split lists of toggles; see :func:`components`.

    Parameters
    ----------
    lists : ToggleLists
    connectivity : 4 or 8

    Returns
    -------
    parts : ToggleLists
        One list for each component.
    offsets : (n + 1,) int64
        The components of mask k are offsets[k] .. offsets[k + 1] - 1.
    """
    from mtfast.kernels.operations import components as kernels

    longest, total = lists.longest, lists.toggles.size
    starts, stops, parents, ends = allocate(4 * longest).reshape(4, longest)
    out, out_offsets, component_offsets = (
        allocate(3 * total),
        allocate(total + 1),
        allocate(lists.n + 1),
    )
    n = kernels.components(
        *lists[:3],
        connectivity,
        starts,
        stops,
        parents,
        ends,
        out,
        out_offsets,
        component_offsets,
    )
    owners = np.repeat(np.arange(lists.n), np.diff(component_offsets))
    out_offsets = out_offsets[: n + 1]
    parts = ToggleLists(
        out,
        out_offsets,
        lists.heights[owners],
        lists.widths[owners],
        int(np.diff(out_offsets).max(initial=0)),
    )
    return parts, component_offsets


def erode(
    rles: Rles,
    n: int | ArrayLike = 1,
    connectivity: Literal[4, 8] = 8,
    border: Literal[0, 1] = 0,
) -> Rles:
    """Take n layers of pixels off masks.

    Parameters
    ----------
    rles : Rles
    n : int or (n_masks,) int
        How often each mask is eroded.
    connectivity : 4 or 8
        Whether a pixel goes if one of its four neighbours is background, or one of its eight. The
        time grows with n for 4, and with its logarithm for 8.
    border : 0 or 1
        What the pixels outside the frame are: with 0 masks are eroded from the edges of the frame
        as well, as in boundary IoU; with 1 they are not, as by default in ``cv2.erode``.

    Returns
    -------
    Rles

    Raises
    ------
    MtfastError
        If n is negative, or connectivity or border is none of the above.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> full = Rles.of([b"0<"], [(3, 4)])
    >>> erode(full).texts(), erode(full, border=1).texts()
    ([b'41202'], [b'0<'])
    """
    return _eroded(rles, n, connectivity, border, lost=False)


def boundary(
    rles: Rles,
    width: int | ArrayLike = 1,
    *,
    ratio: float | None = None,
    connectivity: Literal[4, 8] = 8,
) -> Rles:
    """Keep the pixels of masks that erosion takes away; outside the frame is background.

    Parameters
    ----------
    rles : Rles
    width : int or (n,) int
        Pixels from the outline inwards.
    ratio : float, optional
        The width as a fraction of the frame's diagonal, rounded, at least 1 pixel. Boundary IoU
        takes 0.02.
    connectivity : 4 or 8
        As in :func:`erode`.

    Returns
    -------
    Rles

    Raises
    ------
    MtfastError
        If the width or ratio is negative, or the connectivity is neither 4 nor 8.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> boundary(Rles.of([b"0<"], [(3, 4)])).texts()
    [b'041N02']

    Notes
    -----
    Source: B. Cheng et al., Boundary IoU, CVPR 2021, and ``mask_to_boundary`` of its code.
    """
    return _eroded(rles, width, connectivity, 0, lost=True, ratio=ratio)


def _layers(lists: ToggleLists, n: int | ArrayLike, ratio: float | None) -> Int64:
    """Return how many layers of pixels each mask loses, (n,) int64."""
    if ratio is not None:
        is_number = np.ndim(ratio) == 0 and np.asarray(ratio).dtype.kind in "iuf"
        if not is_number or not 0 <= ratio < math.inf:
            raise MtfastError(
                f"ratio {shown(ratio)}; expected a number from 0 on; boundary IoU takes 0.02"
            )
        diagonals = np.sqrt(lists.heights.astype(float) ** 2 + lists.widths.astype(float) ** 2)
        n = np.clip(np.rint(ratio * diagonals), 1, MAX_PIXELS).astype(np.int64)
    sizes = as_array("n", n)
    if sizes.dtype.kind not in "iu" or sizes.shape not in ((), (lists.n,)) or (sizes < 0).any():
        raise MtfastError(
            f"a width of {shown(n)}; expected an integer from 0 on, or one for each of the "
            f"{lists.n} masks; give it in pixels"
        )
    # The bound must be a number of the same dtype.
    sizes = np.minimum(sizes, min(MAX_PIXELS, np.iinfo(sizes.dtype).max))
    return np.ascontiguousarray(np.broadcast_to(sizes, (lists.n,)), np.int64)


def _eroded(
    rles: Rles,
    n: int | ArrayLike,
    connectivity: int,
    border: int,
    *,
    lost: bool,
    ratio: float | None = None,
) -> Rles:
    from mtfast.kernels.operations import erode

    connectivity = one_of("connectivity", connectivity, (4, 8))
    border = one_of("border", border, (0, 1))
    lists = toggles_of(rles, "rles")
    sizes = _layers(lists, n, ratio)
    offsets = allocate(lists.n + 1)
    # Adjacent whole columns are one run, which may become a run for each column.
    capacity = 4 * lists.longest + 2 * min(int(lists.widths.max(initial=0)), 2**14) + 8
    total = 4 * lists.toggles.size + capacity
    while True:
        out = allocate(total)
        end = erode.erosions(
            *lists[:4],
            sizes,
            connectivity,
            border,
            lost,
            allocate(erode.N_SCRATCH * capacity),
            out,
            offsets,
        )
        if end >= 0:
            return rles_of_toggles(out, offsets, lists.heights, lists.widths)
        capacity, total = 2 * capacity, 2 * total
