"""Semantic masks as chunks of an array in which images of several sizes have a place."""

from __future__ import annotations

from collections.abc import Iterator

from numpy.typing import DTypeLike

from mtfast.painting.crop import crop_table
from mtfast.painting.encode import encode_masks
from mtfast.ragged import stretches
from mtfast.store.file_frames import seal
from mtfast.store.mask_grid import MaskGrid
from mtfast.table import RunTable

__all__ = ["mask_chunks"]


def mask_chunks(table: RunTable, dtype: DTypeLike, grid: MaskGrid) -> Iterator[list[bytes | None]]:
    """Encode the semantic mask of every image.

    Parameters
    ----------
    table : RunTable
    dtype : uint8 or uint16
    grid : MaskGrid
        None of the images reaches beyond it.

    Yields
    ------
    list of grid.n_chunks bytes or None
        The chunks of an image, each followed by its checksum; None for those beyond the image.

    Raises
    ------
    RLEError, MtfastError
        As :func:`mtfast.painting.encode.encode_masks`.
    """
    fits = (table.heights <= grid.chunk[0]) & (table.widths <= grid.chunk[1])
    beyond: list[bytes | None] = [None] * (grid.n_chunks - 1)
    for start, stop in stretches(fits):
        if fits[start]:
            for chunk in encode_masks(table.images(slice(start, stop)), dtype, canvas=grid.chunk):
                yield [seal(chunk), *beyond]
        else:
            for image in range(start, stop):
                yield _chunks_of_image(table.image(image), dtype, grid)


def _chunks_of_image(table: RunTable, dtype: DTypeLike, grid: MaskGrid) -> list[bytes | None]:
    windows = grid.windows(*table.common_size())
    return [None if w is None else _chunk(crop_table(table, w), dtype, grid) for w in windows]


def _chunk(part: RunTable, dtype: DTypeLike, grid: MaskGrid) -> bytes:
    (chunk,) = encode_masks(part, dtype, canvas=grid.chunk)
    return seal(chunk)
