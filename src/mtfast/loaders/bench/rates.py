"""How many samples a second come from a store, beside the plain way of making the same ones."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mtfast.errors import MtfastError
from mtfast.loaders.bench.plain import PlainReader
from mtfast.loaders.order import Sampler
from mtfast.loaders.reader import Reader
from mtfast.loaders.views import Augment
from mtfast.progress import Progress, track

__all__ = ["LoaderRates", "measure_rates"]


@dataclass(frozen=True)
class LoaderRates:
    """Samples a second of both ways.

    Attributes
    ----------
    path, split, variant : str
    crop : (height, width)
    workers, n_samples : int
    rate, plain_rate : float
        Samples a second.
    plain_way : str
        What the plain way does.
    """

    path: str
    split: str
    variant: str
    crop: tuple[int, int]
    workers: int
    n_samples: int
    rate: float
    plain_rate: float
    plain_way: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and strings."""
        return asdict(self)


def measure_rates(
    store: str | os.PathLike[str],
    *,
    split: str = "train",
    variant: str | None = None,
    crop: int | tuple[int, int] | None = 512,
    workers: int = 0,
    n_samples: int = 64,
    batch_size: int = 8,
    seed: int = 0,
    progress: Progress | None = None,
) -> LoaderRates:
    """Time the loader on a store, and the plain way on the same windows of the same images.

    The plain way decodes whole JPEG files (with OpenCV, or Pillow without it) and the whole mask of
    every instance (with pycocotools) and crops both.

    Parameters
    ----------
    store : path-like
    split : str
    variant : str, optional
        By default the one that the store's semantic masks were painted from.
    crop : int or (height, width), optional
        Size of the windows; whole images without it.
    workers : int
        Processes of PyTorch's DataLoader; 0 reads in this one.
    n_samples : int
        At most as many as the split has.
    batch_size, seed : int
    progress : callable, optional

    Returns
    -------
    LoaderRates

    Raises
    ------
    StoreError
        If there is no such store, split or variant.
    MtfastError
        If the images are smaller than the crop, or there is no PyTorch for workers.

    Examples
    --------
    >>> measure_rates("graphene.zarr", crop=256).rate                # doctest: +SKIP
    512.3
    """
    windows = Augment(mirror=False, turn=False)
    reader = Reader(store, split, variant=variant, crop=crop, augment=windows, seed=seed)
    if not len(reader):
        raise MtfastError(f"{reader.variant} lists no image; expected some; pick another variant")
    order = reader.order().of_epoch(0)[:n_samples]
    reader.indices = reader.indices[order]
    with tempfile.TemporaryDirectory(prefix="mtfast-bench-") as folder:
        plain = PlainReader(reader, Path(folder))
        rate = _time(reader, batch_size, workers, "timing mtfast", progress)
        plain_rate = _time(plain, batch_size, workers, f"timing {plain.way}", progress)
    size = reader.crop or (reader.split.height, reader.split.width)
    return LoaderRates(
        str(store),
        split,
        reader.variant,
        size,
        workers,
        len(reader),
        rate,
        plain_rate,
        plain.way,
    )


def _time(
    reader: Reader, batch_size: int, workers: int, what: str, progress: Progress | None
) -> float:
    """Return samples a second of a whole epoch, after another one that warms up."""
    if workers:
        from mtfast.loaders.torch import Dataset, Loader

        with Loader(Dataset.of(reader), batch_size, workers=workers) as loader:
            return _rate(lambda: loader, len(reader), what, progress)

    def epoch() -> Iterable[object]:
        for picks in Sampler(reader.order(), batch_size).batches():
            yield [reader.read(pick) for pick in picks]

    return _rate(epoch, len(reader), what, progress)


def _rate(
    epoch: Callable[[], Iterable[object]], n_samples: int, what: str, progress: Progress | None
) -> float:
    for _ in track(range(2), what, progress, 2 * n_samples, lambda _: n_samples):
        start = time.perf_counter()
        for _ in epoch():
            pass
        seconds = time.perf_counter() - start
    return n_samples / seconds
