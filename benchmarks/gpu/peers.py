"""Other ways to samples: this package's loader on all cores, and the decoders of others."""

import os
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain, repeat
from typing import Any

import numpy as np

import mtfast
from benchmarks import data
from benchmarks.gpu.work import Cells, Work, kinds
from benchmarks.table import amount as shown
from mtfast.loaders.gpu import decode_jpegs
from mtfast.loaders.torch import Dataset, Loader

# Forking a process that uses a GPU is not safe.
START_METHOD = "forkserver"
Files = list[bytes]
Window = tuple[int, int, int, int]
"""Its first row and column, then the row and column after its last ones."""
Decode = Callable[[Files, list[Window]], Any]


def has_module(name: str) -> bool:
    """Tell whether a module is installed, of a package that may be missing too."""
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def cpu_loader(work: Work, crop: int, batch: int) -> Loader:
    """Make the loader of worker processes, one for each core."""
    dataset = Dataset(work.store, **kinds(work.amount)["usual"].options | {"crop": crop})
    return Loader(
        dataset,
        batch,
        workers=os.cpu_count() or 1 if work.has_gpu else 1,
        start_method=START_METHOD,
        prefetch=1,
        pin_memory=work.has_gpu,
        samples_per_epoch=100_000,
    )


def all_cores(work: Work, loader: Loader) -> Iterator[Cells]:
    """Time the loader of worker processes."""
    batches = chain.from_iterable(repeat(loader))
    for _ in range(2 + loader.num_workers):
        next(batches)
    n = max(work.amount.rounds * work.amount.turn, 4 * loader.num_workers)
    start = time.perf_counter()
    for _ in range(n):
        next(batches)
    taken = (time.perf_counter() - start) / n
    name = f"mtfast.loaders.torch, workers={loader.num_workers}"
    size = f"{loader.dataset.reader.crop[0]} px, batch {loader.batch_size}"
    yield f"{size}, {name}", shown(taken), f"{loader.batch_size / taken:,.0f}/s", "", ""


def decoders(work: Work) -> Iterator[Cells]:
    """Time the decoders of others that are installed, on the files of the set."""
    if not work.has_gpu:
        yield "decoders of others", "", "", "", "skipped: they need a GPU"
        return
    batch = work.amount.batches[0]
    split = mtfast.open(work.store)["train"]
    files = [split.image_bytes(i) for i in range(len(split))]
    for name, (module, make, is_window) in DECODERS.items():
        if not has_module(module):
            yield name, "", "", "", f"skipped: {module} is not installed"
            continue
        try:
            (taken,) = work.seconds(_job(work, files, make(batch)))
        except (RuntimeError, AttributeError, TypeError) as error:
            # A version of it that has other functions, or lacks a part of CUDA.
            yield name, "", "", "", f"failed: {' '.join(str(error).split())[:120]}"
            continue
        what = f"{work.amount.crops[1]} px" if is_window else "whole images"
        yield f"{what}, batch {batch}, {name}", shown(taken), f"{batch / taken:,.0f}/s", "", ""


def _job(work: Work, files: Files, decode: Decode) -> Callable[[int], object]:
    """Decode a batch of random windows of random files."""
    rng = np.random.default_rng(data.SEED)
    batch, crop, (height, width) = work.amount.batches[0], work.amount.crops[1], work.amount.size

    def job(_: int) -> object:
        chosen = [files[i] for i in rng.integers(0, len(files), batch)]
        tops = rng.integers(0, height - crop + 1, batch).tolist()
        lefts = rng.integers(0, width - crop + 1, batch).tolist()
        return decode(
            chosen, [(y, x, y + crop, x + crop) for y, x in zip(tops, lefts, strict=True)]
        )

    return job


def _nvjpeg(batch: int) -> Decode:
    return lambda files, windows: decode_jpegs(files, "cuda")


def _nvimagecodec(batch: int) -> Decode:
    from nvidia import nvimgcodec

    decoder = nvimgcodec.Decoder()

    def decode(files: Files, windows: list[Window]) -> Any:
        return decoder.decode(
            [
                nvimgcodec.CodeStream(file).get_sub_code_stream(region=nvimgcodec.Region(*window))
                for file, window in zip(files, windows, strict=True)
            ]
        )

    return decode


def _dali(batch: int) -> Decode:
    from nvidia.dali import fn, pipeline_def

    @pipeline_def(batch_size=batch, num_threads=os.cpu_count(), device_id=0)
    def regions() -> Any:
        files, starts, shapes = (fn.external_source(name=name) for name in ("f", "at", "shape"))
        return fn.decoders.image_slice(
            files,
            starts,
            shapes,
            device="mixed",
            axis_names="HW",
            normalized_anchor=False,
            normalized_shape=False,
        )

    pipeline = regions()
    pipeline.build()

    def decode(files: Files, windows: list[Window]) -> Any:
        pipeline.feed_input("f", [np.frombuffer(file, np.uint8) for file in files])
        pipeline.feed_input("at", [np.float32(window[:2]) for window in windows])
        pipeline.feed_input("shape", [np.float32(w[2:]) - np.float32(w[:2]) for w in windows])
        return pipeline.run()

    return decode


DECODERS = {
    "nvJPEG through torchvision": ("torchvision", _nvjpeg, False),
    "nvImageCodec": ("nvidia.nvimgcodec", _nvimagecodec, True),
    "DALI": ("nvidia.dali", _dali, True),
}
