"""Polygons of masks against cv2.findContours: processor time of a mask.

::

    python -m benchmarks.contours [--quick]

cv2 has one thread, and gives holes and corners alone (RETR_CCOMP, CHAIN_APPROX_SIMPLE). Its rings
go through the middles of pixels: rasterised again, they give other masks. Frames are
decoded by mtfast; the last column counts the time of that, too. All take turns.
"""

import argparse
from collections.abc import Callable, Iterator
from itertools import product
from statistics import median
from time import process_time

from benchmarks import data
from benchmarks.table import amount, grid, machine, times
from mtfast import mask
from mtfast.mask.dicts import rles_of
from mtfast.rles import to_polygons

MASKS = 24
ROUNDS = 15
HEADINGS = ("masks", "frame", "mtfast", "as flat arrays", "cv2", "times as fast", "with decoding")


def measure(sizes: list[tuple[int, int]], n: int, rounds: int) -> Iterator[list[str]]:
    """Time every kind of masks in frames of every size, and yield the cells of a row."""
    import cv2

    cv2.setNumThreads(1)
    for size, kind in product(sizes, data.KINDS[:3]):
        rles = data.masks(kind, size, n)
        frames = [mask.decode(rle, order="C") for rle in rles]

        def contours(frames: list = frames) -> list:
            how = cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
            return [cv2.findContours(frame, *how) for frame in frames]

        def decoded(rles: list = rles) -> list:
            return [mask.decode(rle, order="C") for rle in rles]

        ours, flat, theirs, decoding = seconds_of(
            [
                lambda rles=rles: mask.polygons(rles),
                lambda rles=rles: to_polygons(rles_of(rles)),
                contours,
                decoded,
            ],
            rounds,
        )
        cells = [amount(seconds / n) for seconds in (ours, flat, theirs)]
        ratios = [times(theirs / ours), times((theirs + decoding) / ours)]
        yield [kind, f"{size[0]} x {size[1]}", *cells, *ratios]


def seconds_of(jobs: list[Callable[[], object]], rounds: int) -> list[float]:
    """Run the jobs in turns and return the median processor time of each."""
    taken: list[list[float]] = [[] for _ in jobs]
    for _ in range(1 + rounds):
        for job, seconds in zip(jobs, taken, strict=True):
            start = process_time()
            job()
            seconds.append(process_time() - start)
    return [median(seconds[1:]) for seconds in taken]


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m benchmarks.contours", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="tiny frames, one round")
    given = parser.parse_args(arguments)
    scale, n, rounds = (data.TINY, 3, 1) if given.quick else (data.SUITE, MASKS, ROUNDS)
    rows = measure(list(scale.frames), n, rounds)
    print(grid([HEADINGS, ["---", "---", *["---:"] * 5], *rows]))
    print(machine(("mtfast", "numpy", "opencv-python-headless")))


if __name__ == "__main__":
    main()
