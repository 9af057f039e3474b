"""CPU time of a training sample: mtfast and files, litdata, webdataset and MDS.

    python -m benchmarks.loaders            in an environment made by benchmarks/loader_peers.sh

All readers make the same kind of sample: a random window of a random image, its semantic mask and
its instances. Each peer stores the bytes of the JPEG files and COCO's RLE, decodes both whole and
crops them, as its users do. What is timed is the CPU time of one process, in turns, after a turn
that warms up. Peers that are not installed are left out, and named below the table.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from itertools import chain, islice, repeat
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

import mtfast
from benchmarks import data, table
from mtfast.loaders.bench.plain import PlainReader, WholeImage, decode_file
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment

PEERS = ("litdata", "webdataset", "streaming")
PACKAGES = ("mtfast", "numpy", "imagecodecs", "pycocotools", "opencv-python-headless")
ROUNDS = 5
FULL = 42_274


class _PeerReader(PlainReader):
    """Samples from the records of another library: position, JPEG file and annotations."""

    def __init__(self, plain: PlainReader) -> None:
        self.__dict__.update(plain.__dict__)
        self.get_record: Callable[[int], Any] | None = None

    def records(self) -> Iterator[dict[str, Any]]:
        for position, index in enumerate(self.indices.tolist()):
            rles = [
                ({**rle, "counts": rle["counts"].decode()}, label, number)
                for rle, label, number in self._annotations[index]
            ]
            yield {
                "position": position,
                "jpeg": self._files[index].read_bytes(),
                "annotations": json.dumps(rles).encode(),
            }

    def load(self, position: int) -> WholeImage:
        import cv2

        assert self.get_record is not None
        record = self.get_record(position)
        pixels = cv2.imdecode(np.frombuffer(record["jpeg"], np.uint8), cv2.IMREAD_COLOR)
        annotations = json.loads(bytes(record["annotations"]))
        return WholeImage(int(record["position"]), pixels[:, :, ::-1], annotations)


def _litdata(reader: _PeerReader, folder: Path) -> None:
    import litdata

    litdata.optimize(
        fn=dict,
        inputs=list(reader.records()),
        output_dir=str(folder),
        chunk_bytes="64MB",
        num_workers=1,
        verbose=False,
    )
    reader.get_record = litdata.StreamingDataset(str(folder)).__getitem__


def _webdataset(reader: _PeerReader, folder: Path) -> None:
    import webdataset

    folder.mkdir()
    with webdataset.ShardWriter(f"{folder}/%06d.tar", maxcount=64, verbose=0) as writer:
        for record in reader.records():
            files = {"jpg": record["jpeg"], "json": record["annotations"]}
            writer.write({"__key__": f"{record['position']:06d}", **files})
    shards = sorted(map(str, folder.glob("*.tar")))
    # It has no random access: it reads shard after shard and shuffles a buffer.
    samples = chain.from_iterable(
        webdataset.WebDataset(shards, shardshuffle=False).shuffle(64) for _ in repeat(None)
    )

    def next_record(_: int) -> dict[str, Any]:
        sample = next(samples)
        return {
            "position": int(sample["__key__"]),
            "jpeg": sample["jpg"],
            "annotations": sample["json"],
        }

    reader.get_record = next_record


def _streaming(reader: _PeerReader, folder: Path) -> None:
    # It imports torchvision for its own datasets, which does not import with every PyTorch.
    sys.modules.setdefault("streaming.vision", ModuleType("streaming.vision"))
    import streaming

    columns = {"position": "int", "jpeg": "bytes", "annotations": "bytes"}
    with streaming.MDSWriter(out=str(folder), columns=columns) as writer:
        for record in reader.records():
            writer.write(record)
    reader.get_record = streaming.StreamingDataset(local=str(folder), batch_size=1).__getitem__


WRITERS = {"litdata": _litdata, "webdataset": _webdataset, "streaming": _streaming}


def cpu_seconds(read: Callable[[SampleKey], object], keys: list[SampleKey]) -> list[float]:
    """Return the CPU time of each call, of all threads of this process."""
    taken = []
    for key in keys:
        start = time.process_time()
        read(key)
        taken.append(time.process_time() - start)
    return taken


def race(
    readers: dict[str, Callable[[SampleKey], object]], n: int, samples: int
) -> dict[str, float]:
    """Let the readers take turns; return the mean CPU time of a sample of each."""
    rng = np.random.default_rng(data.SEED)
    taken: dict[str, list[float]] = {name: [] for name in readers}
    for turn in range(1 + ROUNDS):
        keys = [SampleKey(turn, int(k)) for k in rng.integers(0, n, -(-samples // ROUNDS))]
        for name, read in readers.items():
            seconds = cpu_seconds(read, keys)
            # The first turn warms up.
            taken[name] += seconds if turn else []
    return {name: statistics.fmean(seconds) for name, seconds in taken.items()}


def measure(
    store: Path, folder: Path, samples: int, crops: tuple[int, ...], peers: tuple[str, ...]
) -> Iterator[table.Row]:
    """Time the jobs; the folder gets what the other readers read."""
    windows = Augment(mirror=False, turn=False)
    reader = Reader(store, crop=crops[0], augment=windows)
    (folder / "files").mkdir(parents=True)
    plain = PlainReader(reader, folder / "files")
    readers = {"mtfast": reader, plain.method: plain}
    for peer in peers:
        readers[peer] = _PeerReader(plain)
        WRITERS[peer](readers[peer], folder / peer)
    for crop in crops:
        for each in readers.values():
            each.crop = (crop, crop)
        yield from _rows(
            f"{crop} px window and its instances",
            race({name: each.read for name, each in readers.items()}, len(reader), samples),
        )
    yield from _frames(store, folder, plain, samples)


def worker_processes(store: Path, crop: int) -> Iterator[table.Row]:
    """Wall time of a sample in an epoch read by worker processes; needs PyTorch."""
    if find_spec("torch") is None:
        return
    from mtfast.loaders.torch import Dataset, Loader

    loaders = [
        Loader(Dataset(store, crop=crop, augment=Augment()), 8, workers=workers)
        for workers in (2, 1)
    ]
    taken: tuple[list[float], ...] = ([], [])
    for turn in range(1 + ROUNDS):
        for loader, seconds in zip(loaders, taken, strict=True):
            start = time.perf_counter()
            n = sum(len(batch["index"]) for batch in loader)
            seconds += [(time.perf_counter() - start) / n] if turn else []
    for loader in loaders:
        loader.close()
    two, one = map(statistics.median, taken)
    job = f"{crop} px window, wall time, two worker processes"
    yield table.Row(job, two, "one of them", one)


def start_up(store: Path) -> Iterator[table.Row]:
    """Time the first batch of a store, after imports, in a new process; needs PyTorch."""
    if find_spec("torch") is None:
        return
    program = (
        "import sys, time; from mtfast.loaders.torch import Dataset, Loader; "
        "start = time.perf_counter(); "
        "data = Dataset(sys.argv[1], crop=512, images=False); next(iter(Loader(data, 8))); "
        "print(len(data), time.perf_counter() - start)"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", program, str(store)], check=True, capture_output=True, text=True
        ).stdout.split()
        for _ in range(ROUNDS)
    ]
    seconds = statistics.median(float(taken) for _, taken in runs)
    yield table.Row(f"first batch after import, {int(runs[0][0]):,} images", seconds)


def _frames(store: Path, folder: Path, plain: PlainReader, samples: int) -> Iterator[table.Row]:
    import cv2

    split = mtfast.open(store)["train"]
    masks = {index: folder / f"{index}.png" for index in plain.indices.tolist()}
    for index, file in masks.items():
        cv2.imwrite(str(file), split.semantic(index))
    whole = Reader(store, targets=["semantic"])
    every = PlainReader(whole, folder / "files")

    def with_png(key: SampleKey) -> object:
        index = int(plain.indices[key.position])
        return decode_file(plain._files[index]), cv2.imread(str(masks[index]), 0)

    frames = {"mtfast": whole.read, "JPEG and PNG files, cv2": with_png, every.method: every.read}
    frames["the decode alone"] = lambda key: split.image(key.position)
    yield from _rows("whole image and semantic mask", race(frames, len(whole), samples))
    pixels = {
        "mtfast": lambda key: split.semantic(key.position),
        "PNG files, cv2": lambda key: cv2.imread(str(masks[key.position]), 0),
    }
    yield from _rows("semantic mask, random order", race(pixels, len(whole), 10 * samples))


def _rows(job: str, seconds: dict[str, float]) -> Iterator[table.Row]:
    for name in islice(seconds, 1, None):
        yield table.Row(job, seconds["mtfast"], name, seconds[name])


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.loaders", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--source", type=Path, help="a dataset to read, instead of a synthetic one")
    parser.add_argument(
        "--full", action="store_true", help=f"also time the first batch of {FULL:,} images"
    )
    parser.add_argument(
        "--markdown", type=Path, metavar="FILE", help="also write the table to a file"
    )
    given = parser.parse_args(arguments)
    source = given.source or data.jpeg_set(data.Scale((1200, 1920), given.images, 0, 0))
    peers = tuple(peer for peer in PEERS if find_spec(peer))
    with data.scratch() as scratch:
        store = mtfast.convert(
            source, Path(scratch) / "set.zarr", splits=["train"], crop_index=True
        )
        jobs = [
            measure(store, Path(scratch) / "peers", given.samples, (512, 256), peers),
            worker_processes(store, 512),
        ]
        if given.full:
            large = data.label_set(data.Scale((1200, 1920), 0, FULL, 0))
            masks = Path(scratch) / "large.zarr"
            jobs.append(start_up(mtfast.convert(large, masks, splits=["train"], images="none")))
        rows = []
        for row in chain.from_iterable(jobs):
            rows.append(row)
            print(*row.cells(), sep="  ", file=sys.stderr, flush=True)
    text = "CPU time of a sample in one process, means, unless a row says otherwise.\n\n"
    text += table.grid(
        [
            ("job", "mtfast", "other way", "times as fast"),
            ("---", "---:", "---", "---:"),
            *(row.cells() for row in rows),
        ]
    )
    text += f"\n{table.machine((*PACKAGES, *(_distribution(peer) for peer in peers)))}"
    missing = sorted(set(PEERS) - set(peers))
    text += f" Not installed: {', '.join(missing)}." if missing else ""
    print(text)
    if given.markdown:
        given.markdown.write_text(text + "\n", encoding="utf-8")


def _distribution(peer: str) -> str:
    return "mosaicml-streaming" if peer == "streaming" else peer


if __name__ == "__main__":
    main()
