"""How many samples a second the loader and a plain reader make of the same store."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError
from mtfast.loaders.bench.plain import PlainReader
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import Sampler
from mtfast.loaders.views import Augment
from mtfast.progress import Progress, shows_progress, track
from mtfast.store.reading.store import open_store

__all__ = ["LoaderRates", "measure_rates"]


@dataclass(frozen=True)
class LoaderRates:
    """Samples a second of mtfast and of the plain reader.

    Attributes
    ----------
    path, split, variant : str
    crop : (height, width) or None
        Size of the samples in pixels; None for whole images of several sizes.
    workers, n_samples : int
    rate, plain_rate : float
        Samples a second.
    plain_method : str
        What the plain reader decodes with.
    """

    path: str
    split: str
    variant: str
    crop: tuple[int, int] | None
    workers: int
    n_samples: int
    rate: float
    plain_rate: float
    plain_method: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings."""
        return asdict(self)


@shows_progress
def measure_rates(
    store: str | os.PathLike[str],
    *,
    split: str | None = None,
    variant: str | None = None,
    crop: int | tuple[int, int] | None = 512,
    workers: int = 0,
    n_samples: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> LoaderRates:
    """Time the loader on a store, and a plain reader on the same windows of the same images.

    The plain reader decodes whole image files (with OpenCV, or Pillow without it) and the whole
    mask of every instance (with pycocotools) and crops both.

    Parameters
    ----------
    store : path-like
    split : str, optional
        By default the first.
    variant : str, optional
        By default the one that the store's semantic masks were painted from.
    crop : int or (height, width), optional
        Size of the windows in pixels; whole images without it.
    workers : int
        Processes of PyTorch's DataLoader; 0 reads in this one, without PyTorch.
    n_samples : int
        At least 1; at most as many as the variant lists are read.
    batch_size : int
    seed : int
        The images and their windows follow from it.
    progress : bool or callable, optional
        Called with what is timed, how many samples are done and how many there are.

    Returns
    -------
    LoaderRates

    Raises
    ------
    StoreError
        If there is no such store, split or variant.
    MtfastError
        If an argument makes no sense, the crop fits into none of the images, or there is no
        PyTorch for workers.

    Examples
    --------
    >>> measure_rates("graphene.zarr", crop=256).rate                # doctest: +SKIP
    512.3

    Notes
    -----
    Of each reader a whole epoch is timed, after one that warms up: kernels are compiled, worker
    processes started, and the files are in the page cache.
    """
    n_samples = as_integer("n_samples", n_samples, 1)
    batch_size = as_integer("batch_size", batch_size, 1)
    workers = as_integer("workers", workers, 0)
    split = next(iter(open_store(store))) if split is None else split
    windows = Augment(mirror=False, turn=False)
    reader = Reader(store, split, variant=variant, crop=crop, augment=windows, seed=seed)
    if not len(reader):
        raise MtfastError(f"{reader.variant} lists no image; expected some; pick another variant")
    reader.indices = reader.indices[reader.epoch_order().of_epoch(0)[:n_samples]]
    with tempfile.TemporaryDirectory(prefix="mtfast-bench-") as folder:
        plain = PlainReader(reader, Path(folder))
        rate = _time(reader, batch_size, workers, "timing mtfast", progress)
        plain_rate = _time(plain, batch_size, workers, f"timing {plain.method}", progress)
    return LoaderRates(
        str(store),
        split,
        reader.variant,
        _size_of(reader),
        workers,
        len(reader),
        rate,
        plain_rate,
        plain.method,
    )


def _size_of(reader: Reader) -> tuple[int, int] | None:
    """Return the size of all samples; None where they differ."""
    sizes = {reader.split.size(index) for index in reader.indices.tolist()}
    return reader.crop or (sizes.pop() if len(sizes) == 1 else None)


def _time(
    reader: Reader, batch_size: int, workers: int, what: str, progress: Progress | None
) -> float:
    """Return the samples a second of a reader, with or without worker processes."""
    if workers:
        from mtfast.loaders.torch import Dataset, Loader

        # Lists, as whole images of several sizes fit into no batch of one shape.
        form = "dicts" if _size_of(reader) is None else "tensors"
        with Loader(Dataset.of(reader, form), batch_size, workers=workers) as loader:
            return _rate(lambda: loader, len(reader), what, progress)

    def epoch() -> Iterable[object]:
        for keys in Sampler(reader.epoch_order(), batch_size):
            yield [reader.read(key) for key in keys]

    return _rate(epoch, len(reader), what, progress)


def _rate(
    epoch: Callable[[], Iterable[object]], n_samples: int, what: str, progress: Progress | None
) -> float:
    """Return the samples a second of the second of two epochs; the first one warms up."""
    for _ in track(range(2), what, progress, 2 * n_samples, lambda _: n_samples):
        start = time.perf_counter()
        for _ in epoch():
            pass
        seconds = time.perf_counter() - start
    return n_samples / seconds
