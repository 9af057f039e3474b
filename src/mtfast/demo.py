"""The main job on a small set made for it: convert, check random reads, draw, time."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.atomic import check_new_folder
from mtfast.conversion.convert import convert
from mtfast.errors import MtfastError
from mtfast.painting.paint import semantic
from mtfast.paths import local_path, stem_of
from mtfast.progress import Progress, shows_progress
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


@shows_progress
def run_demo(
    folder: str | os.PathLike[str],
    *,
    workers: int | None = None,
    progress: Progress | None = None,
    tell: Callable[[str], None] = print,
) -> list[Rate]:
    """Make a set, convert it, check random reads against the source, draw it and time it.

    A set that an earlier demo has made is used again.

    Parameters
    ----------
    folder : path-like
        New, empty, or that of an earlier demo; gets ``set/``, ``set.zarr`` and ``preview.png``.
    workers : int, optional
        Threads or processes, by default enough to keep all cores busy.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).
    tell : callable
        Called with a line about each thing that is done.

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
        tell(f"using the set in {source_path}")
    else:
        _make_folder(place)
        make_set(source_path, train=TRAIN, test=TEST, workers=workers, progress=progress)
        size = sum(file.stat().st_size for file in source_path.rglob("*") if file.is_file())
        tell(f"made {TRAIN + TEST} images, {size / 1e6:.0f} MB, in {source_path}")

    start = time.perf_counter()
    convert(source_path, store_path, overwrite=True, workers=workers, progress=progress)
    seconds = time.perf_counter() - start
    tell(f"converted to {store_path} in {seconds:.1f} s")

    source = open_source(source_path)
    train = open_store(store_path)["train"]
    table = source.table("train", train.semantic_variant)
    chosen = np.random.default_rng(0).integers(0, len(train), READS).tolist()
    _check(train, source, table, chosen)
    tell(f"{READS} random reads equal the source: image, file, mask by pycocotools, instances")

    preview(store_path, picture, n=9, progress=progress)
    tell(f"drew {picture}")
    return _time(train, source, table, chosen)


def _make_folder(folder: Path) -> None:
    check_new_folder(folder.absolute())
    folder.mkdir(parents=True, exist_ok=True)
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
        image = table.image(name)
        with Image.open(io.BytesIO(data)) as picture:
            pixels = np.asarray(picture)
        painted = paint_with_pycocotools(image)
        for what, equal in {
            "file": train.image_bytes(name) == data,
            "image": np.array_equal(train.image(name), pixels),
            "mask": np.array_equal(train.semantic(name), painted),
            "instances": train.instances(name).rle.tobytes() == image.rle.tobytes(),
        }.items():
            _expect_equal(what, name, equal)


def _expect_equal(what: str, name: str, equal: bool) -> None:
    if not equal:
        raise MtfastError(
            f"the {what} of {name} differs between store and source; expected both equal; "
            f"report this as a bug, with the demo's folder"
        )


def _time(train: Split, source: Source, table: RunTable, chosen: list[int]) -> list[Rate]:
    """Time each job against the ordinary way, in turns, and take medians.

    The ordinary ways read the files of the set from the disk, as people do, with packages that
    mtfast itself needs: the rows are the same wherever it runs.
    """
    import zarr
    from PIL import Image

    frame = np.empty((1, train.height, train.width), np.uint8)
    opened: Any = zarr.open_array(train.store.path / "train" / "semantic", mode="r")
    images = [table.image(i) for i in chosen]
    names = [str(train.names[i]) for i in chosen]
    masks = Path(source.files.where("train_semantic_masks"))
    pngs = [masks / f"{stem_of(name)}.png" for name in names]
    jpegs = source.find_images("train", names)

    def paint(k: int) -> object:
        return semantic(images[k], out=frame)

    def loop(k: int) -> object:
        return paint_with_pycocotools(images[k])

    def read(k: int) -> object:
        return train.semantic(chosen[k])

    def read_zarr(k: int) -> object:
        return opened[chosen[k]]

    def read_png(k: int) -> NDArray[np.uint8]:
        with Image.open(pngs[k]) as picture:
            return np.asarray(picture)

    def full(k: int) -> object:
        return train.image(chosen[k]), train.semantic(chosen[k])

    def full_ordinary(k: int) -> object:
        with Image.open(jpegs[names[k]]) as picture:
            return np.asarray(picture), loop(k)

    for k, i in enumerate(chosen):
        _expect_equal("mask", names[k], np.array_equal(train.semantic(i), read_png(k)))
    return [
        Rate("paint a mask from RLE", *_race(paint, loop), "pycocotools loop"),
        Rate("read a random mask", *_race(read, read_zarr), "zarr-python"),
        Rate("read a random mask", *_race(read, read_png), "PNG file, Pillow"),
        Rate("read image and mask", *_race(full, full_ordinary), "JPEG file, Pillow; pycocotools"),
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
