"""A batch of masks as text, and as the lists of toggles that operations work on."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, RLEError, shown
from mtfast.ragged import gather_texts
from mtfast.table import MAX_PIXELS, RunTable, explain

__all__ = [
    "MAX_BYTES",
    "Rles",
    "ToggleLists",
    "allocate",
    "common_height",
    "refuse_sizes",
    "rles_of_toggles",
    "toggles_of",
]

Int64 = NDArray[np.int64]

# A mask of whole columns is one run however large its frame is, and may turn into a run for each
# column: such a result is refused before the memory is full.
MAX_BYTES = 2**31


class Rles(NamedTuple):
    """A batch of masks as COCO text.

    Attributes
    ----------
    text : (n_bytes,) uint8
        COCO's compressed RLE text of all masks.
    offsets : (n + 1,) int64
        The text of mask k is text[offsets[k]:offsets[k + 1]].
    heights, widths : (n,) int64
        Frame of each mask, in pixels.

    Examples
    --------
    >>> rles = Rles.of([b"124", b"7"], [(1, 7), (7, 1)])      # .##.... and nothing
    >>> rles.texts(), rles.sizes()
    ([b'124', b'7'], [(1, 7), (7, 1)])
    """

    text: NDArray[np.uint8]
    offsets: Int64
    heights: Int64
    widths: Int64

    @classmethod
    def of(cls, texts: Sequence[bytes], sizes: Sequence[Sequence[int]]) -> Rles:
        """Make a batch.

        Parameters
        ----------
        texts : sequence of n bytes
        sizes : sequence of n (height, width)

        Returns
        -------
        Rles

        Raises
        ------
        MtfastError
            If there is not one pair of integers for each text.
        """
        n = len(texts)
        try:
            sides = np.fromiter(map(operator.index, chain.from_iterable(sizes)), np.int64)
        except (TypeError, OverflowError):
            sides = np.empty(0, np.int64)
        if sides.size != 2 * n or len(sizes) != n:
            raise MtfastError(
                f"{n} texts and the sizes {shown(sizes)}; expected a pair of integers for each; "
                f"give them as (height, width)"
            )
        offsets = np.fromiter(accumulate(map(len, texts), initial=0), np.int64, n + 1)
        text = np.frombuffer(b"".join(texts), np.uint8)
        return cls(text, offsets, sides[::2].copy(), sides[1::2].copy())

    @classmethod
    def of_table(cls, table: RunTable) -> Rles:
        """Make a batch of all instances of a table; the text is not copied.

        Parameters
        ----------
        table : RunTable

        Returns
        -------
        Rles
        """
        n_instances = np.diff(table.image_offsets)
        return cls(
            table.rle,
            table.rle_offsets,
            np.repeat(table.heights, n_instances),
            np.repeat(table.widths, n_instances),
        )

    @property
    def n(self) -> int:
        """Number of masks."""
        return len(self.heights)

    def texts(self) -> list[bytes]:
        """Return the text of each mask."""
        text, ends = self.text.tobytes(), self.offsets.tolist()
        return [text[start:stop] for start, stop in pairwise(ends)]

    def sizes(self) -> list[tuple[int, int]]:
        """Return the height and width of each mask."""
        return list(zip(self.heights.tolist(), self.widths.tolist(), strict=True))

    def taken(self, indices: Int64) -> Rles:
        """Return some of the masks.

        Parameters
        ----------
        indices : (k,) int64

        Returns
        -------
        Rles
        """
        text, offsets = gather_texts(self.text, self.offsets, indices)
        return Rles(text, offsets, self.heights[indices], self.widths[indices])


class ToggleLists(NamedTuple):
    """A batch of masks as lists of toggles; see :mod:`mtfast.kernels.rle.toggle_lists`.

    Attributes
    ----------
    toggles : int64
        Where masks begin and end in their column-major frames.
    offsets : (n + 1,) int64
        The list of mask k is toggles[offsets[k]:offsets[k + 1]].
    heights, widths : (n,) int64
        Frame of each mask, in pixels.
    longest : int
        Length of the longest list.
    """

    toggles: Int64
    offsets: Int64
    heights: Int64
    widths: Int64
    longest: int

    @property
    def n(self) -> int:
        """Number of masks."""
        return len(self.heights)


def toggles_of(rles: Rles, name: str) -> ToggleLists:
    """Check a batch and decode it.

    Parameters
    ----------
    rles : Rles
    name : str
        Of the argument that it is, for the message.

    Returns
    -------
    ToggleLists

    Raises
    ------
    MtfastError
        If the arrays do not fit together.
    RLEError
        If a text does not tile its frame.
    """
    from mtfast.kernels.rle import toggle_lists

    text = _column(rles.text, np.uint8, f"{name}.text")
    offsets = _column(rles.offsets, np.int64, f"{name}.offsets")
    heights = _column(rles.heights, np.int64, f"{name}.heights")
    widths = _column(rles.widths, np.int64, f"{name}.widths")
    n = heights.size
    if widths.size != n or offsets.size != n + 1:
        raise MtfastError(
            f"{name} has {n} heights, {widths.size} widths and {offsets.size} offsets; expected "
            f"n, n and n + 1; give every mask one of each"
        )
    start, stop = int(offsets[0]), int(offsets[-1])
    if not 0 <= start <= stop <= text.size:
        raise MtfastError(
            f"{name}.offsets run from {start} to {stop}; expected ascending offsets in the "
            f"{text.size} bytes of the text; recompute them from the lengths"
        )
    toggles, toggle_offsets = allocate(stop - start + n), np.empty(n + 1, np.int64)
    longest = toggle_lists.decode_lists(
        text, offsets, heights, widths, MAX_PIXELS, toggles, toggle_offsets
    )
    if longest < 0:
        _malformed(name, rles, ~longest)
    return ToggleLists(toggles, toggle_offsets, heights, widths, longest)


def rles_of_toggles(toggles: Int64, offsets: Int64, heights: Int64, widths: Int64) -> Rles:
    """Encode lists of toggles, which are overwritten.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        As in :class:`ToggleLists`.
    heights, widths : (n,) int64

    Returns
    -------
    Rles
    """
    from mtfast.kernels.rle import coco_string, toggle_lists

    text = allocate(coco_string.MAX_CHARACTERS * int(offsets[-1]), np.uint8)
    text_offsets = np.empty(len(offsets), np.int64)
    n = toggle_lists.encode_lists(toggles, offsets, heights, widths, text, text_offsets)
    return Rles(text[:n].copy(), text_offsets, heights, widths)


def allocate(n: int, dtype: Any = np.int64) -> NDArray[Any]:
    """Allocate an uninitialised array, within reason; pages that stay untouched take no memory.

    Parameters
    ----------
    n : int
        Number of values.
    dtype : dtype

    Returns
    -------
    (n,) array

    Raises
    ------
    MtfastError
        If it would have more than 2**31 bytes, or there is no memory for it.
    """
    try:
        if n * np.dtype(dtype).itemsize <= MAX_BYTES:
            return np.empty(n, dtype)
    except MemoryError:
        pass
    raise MtfastError(
        f"up to {n} runs; expected no more than fit into memory; work on smaller frames or fewer "
        f"masks at a time"
    )


def _column(array: Any, dtype: Any, name: str) -> NDArray[Any]:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.ndim != 1:
        found = (
            f"{array.ndim}-dimensional {array.dtype}" if hasattr(array, "dtype") else type(array)
        )
        raise MtfastError(
            f"{name} is {found}; expected a one-dimensional array of {np.dtype(dtype)}; convert it"
        )
    return np.ascontiguousarray(array)


def _malformed(name: str, rles: Rles, k: int) -> NoReturn:
    height, width = int(rles.heights[k]), int(rles.widths[k])
    start, stop = int(rles.offsets[k]), int(rles.offsets[k + 1])
    if min(height, width) < 0 or max(height, width, height * width) > MAX_PIXELS:
        reason = (
            f"a frame of {height} x {width} pixels; expected sides of at least 0 and at most "
            f"2**40 pixels in all; correct its size"
        )
    elif not start <= stop <= rles.offsets[-1]:
        reason = (
            f"a text from byte {start} to {stop}; expected ascending offsets; recompute them from "
            f"the lengths"
        )
    else:
        reason = explain(rles.text[start:stop].tobytes(), height, width)
    raise RLEError(f"{name}[{k}]: {reason}")


def common_height(**batches: ToggleLists) -> int:
    """Return the height of the frame that all masks of one or more batches share; 0 of no masks.

    Parameters
    ----------
    **batches : ToggleLists
        The arguments of the caller, by their names, for the message.

    Returns
    -------
    int

    Raises
    ------
    MtfastError
        If sizes differ.
    """
    from mtfast.kernels.rle import toggle_lists

    some = {name: lists for name, lists in batches.items() if lists.n}
    if not some:
        return 0
    model_name, model = next(iter(some.items()))
    height, width = int(model.heights[0]), int(model.widths[0])
    for name, lists in some.items():
        k = toggle_lists.first_of_other_size(lists.heights, lists.widths, height, width)
        if k >= 0:
            refuse_sizes(f"{model_name}[0]", model, 0, f"{name}[{k}]", lists, k)
    return height


def refuse_sizes(
    a: str, first: ToggleLists, i: int, b: str, second: ToggleLists, j: int
) -> NoReturn:
    """Raise the error for two masks of different sizes.

    Parameters
    ----------
    a, b : str
        Names of the masks, for the message.
    first, second : ToggleLists
        Their batches.
    i, j : int
        Their indices.

    Raises
    ------
    MtfastError
        Always.
    """
    raise MtfastError(
        f"{a} has {first.heights[i]} x {first.widths[i]} pixels and {b} "
        f"{second.heights[j]} x {second.widths[j]}; expected one size; combine masks of one image"
    )
