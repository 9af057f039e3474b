"""The main job on a small set made for it: convert, check random reads, draw, time."""

from __future__ import annotations

import os
import shutil
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.conversion.convert import convert
from mtfast.errors import MtfastError
from mtfast.painting.paint import semantic
from mtfast.paths import local_path
from mtfast.progress import Progress
from mtfast.report.preview import preview
from mtfast.sources import Source, open_source
from mtfast.store.reading.store import Split, open_store
from mtfast.synth import make_set
from mtfast.table import RunTable

__all__ = ["Rate", "run_demo"]

TRAIN, TEST = 48, 8
READS = 24


class Rate(NamedTuple):
    """Time of one job on one image, and of the ordinary way of doing it.

    Attributes
    ----------
    job : str
    ours, ordinary : float
        Milliseconds, medians.
    ordinary_way : str
        Library or format that ``ordinary`` is of.
    """

    job: str
    ours: float
    ordinary: float
    ordinary_way: str


def run_demo(
    folder: str | os.PathLike[str], *, workers: int | None = None, progress: Progress | None = None
) -> list[Rate]:
    """Make a set, convert it, check random reads against the source, draw it and time it.

    A set that an earlier demo has made is used again.

    Parameters
    ----------
    folder : path-like
        New, empty, or that of an earlier demo; gets ``set/``, ``set.zarr`` and ``preview.png``.
    workers : int, optional
        Threads or processes, by default enough to keep all cores busy.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    list of Rate

    Raises
    ------
    MtfastError
        If the folder cannot be used, or a read differs from the source.
    """
    place = local_path(folder)
    source_path, store_path, picture = place / "set", place / "set.zarr", place / "preview.png"
    if source_path.exists():
        _say(f"using the set in {source_path}")
    else:
        _make_folder(place)
        make_set(source_path, train=TRAIN, test=TEST, workers=workers, progress=progress)
        size = sum(file.stat().st_size for file in source_path.rglob("*") if file.is_file())
        _say(f"made {TRAIN + TEST} images, {size / 1e6:.0f} MB, in {source_path}")

    start = time.perf_counter()
    convert(source_path, store_path, overwrite=True, workers=workers, progress=progress)
    seconds = time.perf_counter() - start
    _say(f"converted to {store_path} in {seconds:.1f} s")

    source = open_source(source_path)
    train = open_store(store_path)["train"]
    table = source.table("train", train.semantic_variant)
    chosen = np.random.default_rng(0).integers(0, len(train), READS).tolist()
    _check(train, source, table, chosen)
    _say(f"{READS} random reads equal the source: image, file, mask by pycocotools, instances")

    preview(store_path, picture, n=9, progress=progress)
    _say(f"drew {picture}")

    rates = _time(train, table, chosen)
    _print(rates)
    _say(f"\nnext: mtfast.open({str(store_path)!r})['train'].semantic(0)")
    return rates


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MtfastError(
            f"{folder} cannot be made: {error.strerror}; expected a folder for the demo; "
            f"choose another one"
        ) from error
    if any(folder.iterdir()):
        raise MtfastError(
            f"{folder} is not empty; expected a new folder, or that of an earlier demo; "
            f"choose another one"
        )


def paint_with_pycocotools(table: RunTable) -> NDArray[np.uint8]:
    """Paint one image in the usual way: decode every instance into a frame of its own."""
    from pycocotools import mask

    size = [int(table.heights[0]), int(table.widths[0])]
    frame = np.zeros(size, np.uint8)
    for k in range(table.n_instances):
        pixels = mask.decode({"size": size, "counts": table.text(k)})
        frame[pixels > 0] = table.category_ids[k]
    return frame


def _check(train: Split, source: Source, table: RunTable, chosen: list[int]) -> None:
    import io

    from PIL import Image

    for i in chosen:
        name = str(train.names[i])
        data = source.read_image("train", name)
        image = table[int(np.flatnonzero(table.names == name)[0])]
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture)
        painted = paint_with_pycocotools(image)
        for what, equal in {
            "file": train.image_bytes(name) == data,
            "image": np.array_equal(train.image(name), pixels),
            "mask": np.array_equal(train.semantic(name), painted),
            "instances": train.instances(name).rle.tobytes() == image.rle.tobytes(),
        }.items():
            if not equal:
                raise MtfastError(
                    f"the {what} of {name} differs between store and source; expected both equal; "
                    f"report this as a bug, with the demo's folder"
                )


def _time(train: Split, table: RunTable, chosen: list[int]) -> list[Rate]:
    """Time each job against the ordinary way, in turns, and take medians."""
    import imagecodecs
    import zarr

    frame = np.empty((1, train.height, train.width), np.uint8)
    opened: Any = zarr.open_array(train.store.path / "train" / "semantic", mode="r")
    images = [table[i] for i in chosen]
    pngs = [imagecodecs.png_encode(semantic(image)[0]) for image in images]

    def paint(k: int) -> object:
        return semantic(images[k], out=frame)

    def loop(k: int) -> object:
        return paint_with_pycocotools(images[k])

    def read(k: int) -> object:
        return train.semantic(chosen[k])

    def read_zarr(k: int) -> object:
        return opened[chosen[k]]

    def read_png(k: int) -> object:
        return imagecodecs.png_decode(pngs[k])

    def full(k: int) -> object:
        return train.image(chosen[k]), train.semantic(chosen[k])

    def full_ordinary(k: int) -> object:
        return imagecodecs.jpeg8_decode(train.image_bytes(chosen[k])), loop(k)

    return [
        Rate("paint a mask from RLE", *_race(paint, loop), "pycocotools loop"),
        Rate("read a random mask", *_race(read, read_zarr), "zarr-python"),
        Rate("read a random mask", *_race(read, read_png), "PNG file"),
        Rate("image and mask", *_race(full, full_ordinary), "JPEG + pycocotools"),
    ]


def _race(ours: Callable[[int], object], ordinary: Callable[[int], object]) -> tuple[float, float]:
    times: tuple[list[float], list[float]] = ([], [])
    for k in range(READS):
        for job, taken in zip((ours, ordinary), times, strict=True):
            start = time.perf_counter()
            job(k)
            taken.append(1e3 * (time.perf_counter() - start))
    # The first few only warm the caches of both.
    first, second = (statistics.median(taken[READS // 4 :]) for taken in times)
    return first, second


def _print(rates: list[Rate]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("one image, one thread")
    table.add_column("mtfast", justify="right")
    table.add_column("ordinary way", justify="right")
    table.add_column("", justify="left")
    table.add_column("faster", justify="right")
    for rate in rates:
        table.add_row(
            rate.job,
            f"{rate.ours:.2f} ms",
            f"{rate.ordinary:.2f} ms",
            rate.ordinary_way,
            f"{rate.ordinary / rate.ours:,.1f}x",
        )
    Console(width=min(shutil.get_terminal_size().columns, 100)).print("\n", table, sep="")


def _say(line: str) -> None:
    print(line, flush=True)
