"""Semantic masks as chunks of an array in which images of several sizes have a place."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mtfast.arguments import Window
from mtfast.painting.crop import crop_table, pad_table
from mtfast.painting.encode import encode_masks
from mtfast.store.file_frames import seal
from mtfast.store.mask_grid import MaskGrid
from mtfast.table import RunTable

__all__ = ["mask_chunks", "places_of"]


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
    fits = (table.heights == grid.chunk[0]) & (table.widths == grid.chunk[1])
    image = 0
    while image < table.n_images:
        if grid.n_chunks == 1 and fits[image]:
            # Images that fill a chunk are encoded together.
            stop = image + int(np.argmin(np.append(fits[image:], False)))
            for chunk in encode_masks(table[image:stop], dtype):
                yield [seal(chunk)]
            image = stop
        else:
            yield _chunks_of_image(table[image], dtype, grid)
            image += 1


def places_of(table: RunTable, grid: MaskGrid) -> NDArray[np.bool_]:
    """Return which chunks the masks of images have.

    Parameters
    ----------
    table : RunTable
    grid : MaskGrid

    Returns
    -------
    (n_images * grid.n_chunks,) bool
    """
    sizes = zip(table.heights.tolist(), table.widths.tolist(), strict=True)
    return np.array([w is not None for size in sizes for w in grid.windows(*size)], bool)


def _chunks_of_image(table: RunTable, dtype: DTypeLike, grid: MaskGrid) -> list[bytes | None]:
    size = table.common_size()
    windows = grid.windows(*size)
    return [None if w is None else _chunk(table, size, w, dtype, grid) for w in windows]


def _chunk(
    table: RunTable, size: tuple[int, int], window: Window, dtype: DTypeLike, grid: MaskGrid
) -> bytes:
    part = table if window[2:] == size else crop_table(table, window)
    (chunk,) = encode_masks(pad_table(part, *grid.chunk), dtype)
    return seal(chunk)
