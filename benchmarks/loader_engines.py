"""Samples a second of whole loaders: this one, PyTorch's own, grain's and SPDL's, on equal samples.

    python -m benchmarks.loader_engines     in an environment made by benchmarks/loader_peers.sh

All of them read the same samples with the same code and differ in who calls it, and in how batches
reach the training loop. Two processes or threads read, and the loop takes batches as fast as they
come. The last table shows scaling where there are few cores: the decode is replaced by a sleep.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

import mtfast
from benchmarks import data, table
from mtfast.loaders.reader import Reader, TrainingSample
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment

if TYPE_CHECKING:
    from mtfast.loaders.torch import Dataset

BATCH = 32
ROUNDS = 5
AUGMENTED = Augment(near=0.5, scale=(0.8, 1.25))
TURNED = Augment()
SLEEP = 0.02
"""Seconds that a sample takes where the decode is replaced, about those of an image."""

Epoch = Callable[[], int]
"""Goes through some batches and returns how many samples they had."""


def _loader(workers: int | str, dataset: "Dataset", batch: int) -> Iterator[Epoch]:
    from mtfast.loaders.torch import Loader

    with Loader(dataset, batch, workers=workers) as loader:
        yield lambda: sum(len(found["index"]) for found in loader)


def _torch_loader(dataset: "Dataset", batch: int) -> Iterator[Epoch]:
    from torch.utils.data import DataLoader

    from mtfast.loaders.torch import collate

    loader = DataLoader(
        dataset, batch, shuffle=True, num_workers=2, persistent_workers=True, collate_fn=collate
    )
    yield lambda: sum(len(found["index"]) for found in loader)


def _stack(samples: list[TrainingSample]) -> dict[str, Any]:
    """Make a batch of numpy arrays, which grain copies into memory that it shares."""
    instances = [sample.instances for sample in samples]
    return {
        "index": np.array([sample.index for sample in samples]),
        "image": np.stack([sample.image for sample in samples]),
        "semantic": np.stack([sample.semantic for sample in samples]),
        "counts": np.array([len(found.ids) for found in instances]),
        "masks": np.concatenate([found.masks for found in instances]),
        "boxes": np.concatenate([found.boxes for found in instances]),
        "labels": np.concatenate([found.labels for found in instances]),
    }


class _Positions:
    """What grain reads from: positions, of which workers make samples."""

    def __init__(self, n: int) -> None:
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, position: Any) -> int:
        return int(position)


def _grain(dataset: "Dataset", batch: int) -> Iterator[Epoch]:
    import grain

    batches = (
        grain.MapDataset.source(_Positions(len(dataset)))
        .shuffle(seed=0)
        .repeat()
        .map(dataset.reader.read)
        .batch(batch, batch_fn=_stack)
        .to_iter_dataset()
        .mp_prefetch(grain.multiprocessing.MultiprocessingOptions(num_workers=2))
    )
    iterator = iter(batches)
    n_batches = -(-len(dataset) // batch)
    yield lambda: sum(len(next(iterator)["index"]) for _ in range(n_batches))
    iterator.close()


def _spdl(dataset: "Dataset", batch: int) -> Iterator[Epoch]:
    from spdl.pipeline import PipelineBuilder

    from mtfast.loaders.torch import collate

    def epoch() -> int:
        order = np.random.default_rng().permutation(len(dataset)).tolist()
        pipeline = (
            PipelineBuilder()
            .add_source(order)
            .pipe(dataset.__getitem__, concurrency=2)
            .aggregate(batch)
            .pipe(collate)
            .add_sink(2)
            .build(num_threads=3)
        )
        with pipeline.auto_stop():
            return sum(len(found["index"]) for found in pipeline)

    yield epoch


ENGINES: dict[str, Callable[["Dataset", int], Iterator[Epoch]]] = {
    "mtfast, 2 processes": partial(_loader, 2),
    "mtfast, 2 threads": partial(_loader, "threads:2"),
    "torch DataLoader, 2 processes": _torch_loader,
    "grain, 2 processes": _grain,
    "SPDL, 2 threads": _spdl,
}
NEEDS = {"grain, 2 processes": "grain", "SPDL, 2 threads": "spdl"}


def race(
    job: str, dataset: "Dataset", batch: int, engines: list[str], rounds: int = ROUNDS
) -> Iterator[table.Row]:
    """Let the engines take turns; the first one is compared with the others.

    What an engine reads ahead in the turns of the others is used up before its own is timed.
    """
    taken: dict[str, list[float]] = {name: [] for name in engines}
    with ExitStack() as stack:
        epochs = {
            name: stack.enter_context(contextmanager(ENGINES[name])(dataset, batch))
            for name in engines
        }
        for turn in range(1 + rounds):
            for name, epoch in epochs.items():
                epoch()
                start = time.perf_counter()
                n = epoch() + epoch()
                taken[name] += [(time.perf_counter() - start) / n] if turn else []
    first, *others = engines
    for name in others:
        yield table.Row(job, median(taken[first]), name, median(taken[name]))


class Sleeper(Reader):
    """A reader of masks that sleeps as long as an image takes to decode."""

    def read(self, key: SampleKey | int) -> TrainingSample:
        time.sleep(SLEEP)
        return super().read(key)


def scaling(store: Path, n_images: int, workers: tuple[int, ...]) -> Iterator[tuple[str, ...]]:
    """Share of linear scaling that the loader has with more and more workers."""
    from mtfast.loaders.torch import Dataset, Loader

    rows = {}
    for n in workers:
        reader = Sleeper(store, crop=64, images=False, targets=["semantic"])
        reader.indices = np.resize(reader.indices, n_images)
        with Loader(Dataset.of(reader), BATCH, workers=n) as loader:
            list(loader)
            start = time.perf_counter()
            epochs = max(1, 2000 // n_images)
            met = sum(len(batch["index"]) for _ in range(epochs) for batch in loader)
            rows[n] = met / (time.perf_counter() - start)
        share = rows[n] / rows[workers[0]] * workers[0] / n
        yield f"{n_images:,}", str(n), f"{rows[n]:,.0f}", f"{share:.2f}"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.loader_engines", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--quick", action="store_true", help="few images, one round, few workers")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    given = parser.parse_args(arguments)
    from mtfast.loaders.torch import Dataset

    n_images = 32 if given.quick else given.images
    source = data.jpeg_set(data.Scale((1200, 1920), n_images, 0, 0))
    rounds = 1 if given.quick else ROUNDS
    engines = [name for name in ENGINES if find_spec(NEEDS.get(name, "mtfast"))]
    with data.scratch() as scratch:
        store = mtfast.convert(
            source, Path(scratch) / "set.zarr", splits=["train"], crop_index=True
        )
        rows = []
        for what, crop, augment in (
            ("512 px", 512, TURNED),
            ("256 px", 256, TURNED),
            ("512 px, near, scale and turns", 512, AUGMENTED),
        ):
            dataset = Dataset(store, crop=crop, augment=augment)
            rows += race(f"{what}, samples of {n_images} images", dataset, BATCH, engines, rounds)
        small = Dataset(store, crop=256, augment=TURNED)
        small.reader.indices = small.reader.indices[:24]
        rows += race("256 px, a set of 24 images", small, 8, engines, rounds)
        workers = (1, 2) if given.quick else (1, 2, 4, 8, 16)
        scaled = [row for n in (200, 2000) for row in scaling(store, n, workers)]
    text = table.grid(
        [
            ("job", "mtfast, 2 processes", "others", "times as fast"),
            ("---", "---:", "---", "---:"),
            *(row.cells() for row in rows),
        ]
    )
    text += "\n" + table.grid(
        [("images", "workers", "samples/s", "of linear"), ("---:", "---:", "---:", "---:"), *scaled]
    )
    text += f"\n{table.machine(('mtfast', 'numpy', 'torch', *map(_package, engines[3:])))}\n"
    print(text, file=sys.stdout)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")


def _package(engine: str) -> str:
    return NEEDS[engine]


if __name__ == "__main__":
    main()
