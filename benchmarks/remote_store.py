"""What it costs that a store is on a server: requests, processor time, and the rate of loaders.

::

    python -m benchmarks.remote_store [--images 40] [--rounds 5] [--latency 0.02]

The server is on loopback, in a process of its own, and waits before each answer. Loaders of the
folder and of the server take turns; what a store keeps of image files in memory is limited to less
than the set, so that each epoch requests all of it again.
"""

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import mtfast
from benchmarks import data
from benchmarks.data import Scale
from mtfast.store.reading import remote_files
from mtfast.store.reading.store import Split

SERVER = """
import sys
from pathlib import Path
from faulty_server import faulty_server
with faulty_server(Path(sys.argv[1])) as server:
    print(server.url, flush=True)
    for line in sys.stdin:
        n, n_bytes = len(server.requests), sum(asked.n_bytes for asked in server.requests)
        server.requests.clear()
        server.latency = float(line)
        print(n, n_bytes, flush=True)
"""

# Image files that a loader keeps in memory: fewer than it reads in an epoch.
AHEAD_BYTES = 48 << 20


class Cost(NamedTuple):
    """Of one call: seconds of the processor and of the clock, requests and bytes."""

    cpu: float
    wall: float
    n_requests: float
    n_bytes: float

    def __str__(self) -> str:
        mb = self.n_bytes / 1e6
        return (
            f"{1e3 * self.cpu:6.2f} ms CPU, {1e3 * self.wall:6.2f} ms, {self.n_requests:.2f} "
            f"requests, {mb:.2f} MB"
        )


class Server:
    """A server in another process."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process
        self.url = self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def begin(self, latency: float) -> tuple[int, int]:
        """Set the latency; return the requests and bytes since the last call."""
        assert self._process.stdin is not None
        print(latency, file=self._process.stdin, flush=True)
        n, n_bytes = map(int, self._line().split())
        return n, n_bytes


@contextmanager
def server_of(folder: Path) -> Iterator[Server]:
    """Serve a folder."""
    tests = Path(__file__).parents[1] / "tests"
    code = f"import sys; sys.path.insert(0, {str(tests)!r})\n{SERVER}"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Server(process)
        assert process.stdin is not None
        process.stdin.close()


def cost(server: Server, read: Callable[[int], object], n: int, latency: float) -> Cost:
    """Measure a read of each of n images."""
    server.begin(latency)
    cpu, wall = time.process_time(), time.perf_counter()
    for k in range(n):
        read(k)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    n_requests, n_bytes = server.begin(0)
    return Cost(cpu / n, wall / n, n_requests / n, n_bytes / n)


def reads(server: Server, path: Path, n: int) -> Iterator[str]:
    """Measure single reads, in the folder and on the server, after each shard was read from."""
    for where, place in (("folder", str(path)), ("server", f"{server.url}/{path.name}")):
        train = mtfast.open(place)["train"]
        jobs: dict[str, Callable[[int], object]] = {
            "image file": train.image_bytes,
            "mask": train.semantic,
            "window of 512 x 512": partial(crop, train),
        }
        for k in range(0, n, int(train.store.shard)):
            for read in jobs.values():
                read(k)
        for job, read in jobs.items():
            yield f"{where}  {job:20} {cost(server, read, n, 0)}"


def crop(train: Split, k: int) -> object:
    """Decode a window of an image."""
    height, width = train.size(k)
    return train.crop_image(k, height // 4, width // 4, *(min(512, height // 2),) * 2)


def rates(
    server: Server, path: Path, workers: int | str, latency: float, rounds: int, batch: int
) -> tuple[list[float], list[float], list[float]]:
    """Measure samples a second of loaders, in turns.

    Of the folder; of the server at once, whose work and transfers take the same cores; and of the
    server with latency, of which reading ahead should leave nothing to be seen.
    """
    from mtfast.loaders import Augment
    from mtfast.loaders.torch import Dataset, Loader

    elsewhere = f"{server.url}/{path.name}"
    places = (str(path), elsewhere, elsewhere)
    side = min(512, mtfast.open(path)["train"].height // 2)
    sets = [Dataset(place, crop=side, augment=Augment()) for place in places]
    loaders = [Loader(each, batch, workers=workers) for each in sets]
    found: tuple[list[float], list[float], list[float]] = ([], [], [])
    for number in range(1 + rounds):
        for loader, those, wait in zip(loaders, found, (0, 0, latency), strict=True):
            server.begin(wait)
            start = time.perf_counter()
            n = sum(len(batch["image"]) for batch in loader)
            if number:
                those.append(n / (time.perf_counter() - start))
    for loader in loaders:
        loader.close()
    return found


def _ratio(some: list[float], others: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(some, others, strict=True))


def main(arguments: list[str] | None = None) -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=160)
    parser.add_argument("--height", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--latency", type=float, default=0.02)
    parser.add_argument("--batch", type=int, default=8)
    chosen = parser.parse_args(arguments)
    size = chosen.height, chosen.height * 8 // 5
    source = data.jpeg_set(Scale(size, chosen.images, 16, 16))
    remote_files.AHEAD_BYTES = AHEAD_BYTES
    with data.scratch() as folder:
        path = mtfast.convert(source, Path(folder) / "set.zarr", crop_index=True, shard=16)
        with server_of(path.parent) as server:
            for line in reads(server, path, chosen.images):
                print(line)
            for workers in (2, "threads:2"):
                local, near, far = rates(
                    server, path, workers, chosen.latency, chosen.rounds, chosen.batch
                )
                print(
                    f"workers={workers}: {statistics.median(local):.0f} samples/s of the folder, "
                    f"{statistics.median(near):.0f} of the server at once, "
                    f"{statistics.median(far):.0f} with {1e3 * chosen.latency:.0f} ms: "
                    f"{_ratio(near, local):.2f} and {_ratio(far, local):.2f} of the folder's, "
                    f"{_ratio(far, near):.2f} of the server's"
                )


if __name__ == "__main__":
    main()
