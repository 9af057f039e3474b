"""Many images or masks of a split in one call, in one array where they are alike."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import StoreError, counted
from mtfast.painting.frame import check_out
from mtfast.parallel import map_threads
from mtfast.store.reading.files import StoreFiles

__all__ = ["n_workers", "read_alike", "read_each", "read_known"]

# Where a read is a request that waits 20 ms for its answer, and decoding takes as long.
_REMOTE_WORKERS = 16

Pixels = NDArray[Any]
Indices = NDArray[np.int64]


class Read(Protocol):
    """Reads one image or mask into an array, or into a new one."""

    def __call__(self, image: int, out: Pixels | None = None, /) -> Pixels: ...


def n_workers(files: StoreFiles) -> int | None:
    """Return how many threads read several images; more than there are cores where they wait.

    Parameters
    ----------
    files : StoreFiles

    Returns
    -------
    int or None
        None for as many as there are cores.
    """
    return _REMOTE_WORKERS if files.is_remote else None


def read_known(
    read: Read,
    indices: Indices,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    out: Pixels | None,
    workers: int | None = None,
) -> Pixels:
    """Read pixels whose shape and type are known before.

    Parameters
    ----------
    read : callable
    indices : (n,) int64
        Of the images.
    shape : tuple of int
        Of each.
    dtype : numpy dtype
    out : (n, *shape) array or None
    workers : int, optional
        Threads; by default as many as there are cores.

    Returns
    -------
    (n, *shape) array, C order
        ``out`` if given.

    Raises
    ------
    StoreError
        If ``out`` does not fit, there is no memory for the pixels, or as ``read``.
    """
    frames = _frames(indices.size, shape, dtype, out)
    map_threads(lambda k: read(int(indices[k]), frames[k]), range(indices.size), workers)
    return frames


def read_alike(read: Read, indices: Indices, out: Pixels | None) -> Pixels | list[Pixels]:
    """Read pixels that are probably alike: the first one says what they are.

    Parameters
    ----------
    read : callable
    indices : (n,) int64
        Of the images; at least one.
    out : array or None

    Returns
    -------
    (n, *shape) array, C order, or list of n arrays
        ``out`` if given; a list if they are not alike.

    Raises
    ------
    StoreError
        If ``out`` does not fit, there is no memory for the pixels, or as ``read``.
    """
    first = read(int(indices[0]))
    frames = _frames(indices.size, first.shape, first.dtype, out)
    frames[0] = first

    def place(k: int) -> Pixels | None:
        pixels = read(int(indices[k]))
        if (pixels.shape, pixels.dtype) != (first.shape, first.dtype):
            return pixels
        frames[k] = pixels
        return None

    others = [None, *map_threads(place, range(1, indices.size))]
    if all(pixels is None for pixels in others):
        return frames
    _refuse_several(out, "types")
    return [frames[k] if pixels is None else pixels for k, pixels in enumerate(others)]


def read_each(
    read: Read, indices: Indices, out: Pixels | None, workers: int | None = None
) -> list[Pixels]:
    """Read pixels of several sizes.

    Parameters
    ----------
    read : callable
    indices : (n,) int64
        Of the images.
    out : None
        An array does not take them.
    workers : int, optional
        Threads; by default as many as there are cores.

    Returns
    -------
    list of n arrays

    Raises
    ------
    StoreError
        If there is an ``out``, or as ``read``.
    """
    _refuse_several(out, "sizes")
    return map_threads(read, indices.tolist(), workers)


def _refuse_several(out: Pixels | None, what: str) -> None:
    if out is not None:
        raise StoreError(
            f"out for images of several {what}; expected images that are alike; "
            f"leave it out to get a list"
        )


def _frames(n: int, shape: tuple[int, ...], dtype: np.dtype[Any], out: Pixels | None) -> Pixels:
    if out is not None:
        check_out(out, (n, *shape), (dtype,), error=StoreError)
        return out
    try:
        return np.empty((n, *shape), dtype)
    except (MemoryError, ValueError) as error:
        raise StoreError(
            f"{counted(n, 'image')} of {' x '.join(map(str, shape))}; expected them to fit into "
            f"memory; read fewer at a time"
        ) from error
