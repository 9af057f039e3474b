"""mtfast.mask compared with other libraries: one process, equal inputs, equal answers.

::

    python -m benchmarks.peers [--quick] [--markdown FILE] [--picture FILE]

The answers to the first inputs are compared before anything is timed. The libraries take turns, and
the least of the medians of their turns are compared. Inputs change from call to call, and each call
gets a fresh copy, so that no library is faster for having seen it. A peer that is not installed is
left out; the group ``bench`` has them all.
"""

import argparse
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

import mtfast.mask
from benchmarks import data, libraries
from benchmarks.chart import draw
from benchmarks.data import Scale
from benchmarks.measuring import race
from benchmarks.table import FASTEST, FILLING, PeerRow, grid, machine
from mtfast.table import RunTable

INPUTS = 30
CHECKED = 3
# Masks in a frame, and in a list.
FEW = 30
MANY = 1000
# The size of frame that stands for real images.
REAL = (0, 0)
# Masks in lists besides those two.
NUMBERS = (1, 2, 5, 200)
# Pixels between a flake and its detection.
SHIFT = 4

ROUNDS = 7
# Ratios from here on count as no slower: runs differ by more.
NO_SLOWER = 0.98
# A turn is as many calls as take that long, at most MOST: jobs do not evict each other's caches.
TURN_SECONDS = 0.02
MOST = 20

# Jobs that the picture has no room for.
LEFT_OUT = re.compile(r", (2|5|200)( x \d+)?$")

DROP_IN = {"pycocotools": 1.0, FASTEST: 1.0}
ENCODE_GOALS = {
    "flake": {"pycocotools": 15, "rlemasklib": 2},
    "blob": {"pycocotools": 15, "rlemasklib": 1.5},
    "specks": {"pycocotools": 5, "rlemasklib": 4},
    "noise": {"pycocotools": 4, "rlemasklib": 7},
}
DECODE_GOALS = {
    "flake": {"pycocotools": 20, "rlemasklib": 1.1},
    "blob": {"pycocotools": 20, "rlemasklib": 1.1},
    "specks": {"pycocotools": 7, "rlemasklib": 2.5},
    "noise": {"pycocotools": 6, "rlemasklib": 2.5},
}


@dataclass(frozen=True)
class Job:
    """An operation on inputs of one kind."""

    name: str
    operation: str
    inputs: list[tuple]
    """Arguments of each call, used in turn."""
    own_inputs: list[tuple] | None = None
    """The inputs of mtfast, where it takes a type that no peer has."""
    frame: tuple[int, int] | None = None
    """Size of the frame that is the last argument, reused from call to call."""
    beside_filling: bool = False
    """Whether to time filling that frame as well: no decoder can be faster."""
    goals: dict[str, float] = field(default_factory=dict)
    """How many times as fast as each of these mtfast should be."""


def jobs(size: tuple[int, int], goals: bool) -> Iterator[Job]:
    """Make the jobs for frames of a size, with the goals of mtfast or without."""
    for job in (job for make in (_single, _frames, _lists, _numbers) for job in make(size)):
        yield job if goals else replace(job, goals={})


def real_jobs() -> Iterator[Job]:
    """Make the jobs for the masks of real images, all of one image at a time; none without them."""
    table = data.demo_table()
    if table is None:
        return
    sets = [
        [
            {"size": [int(height), int(width)], "counts": table.text(k)}
            for k in range(*table.image_offsets[i : i + 2].tolist())
        ]
        for i, (height, width) in enumerate(zip(table.heights, table.widths, strict=True))
    ]
    sets = [rles for rles in sets if rles]
    ones = [(rle,) for rles in sets for rle in rles]
    yield Job("area of an image's masks", "area", [(rles,) for rles in sets], goals=DROP_IN)
    yield Job("toBbox of an image's masks", "box", [(rles,) for rles in sets], goals=DROP_IN)
    yield Job("iou of them with each other", "iou", [(rles, rles) for rles in sets], goals=DROP_IN)
    yield Job("merge of them, or", "or", [(rles,) for rles in sets], goals=DROP_IN)
    yield Job("merge of them, and", "and", [(rles,) for rles in sets], goals=DROP_IN)
    yield Job("decode one, F order", "decode, F order", ones, goals=DROP_IN)
    pixels = [(mtfast.mask.decode(rle),) for (rle,) in ones[:INPUTS]]
    yield Job("encode one, F order", "encode, F order", pixels, goals=DROP_IN)


def _single(size: tuple[int, int]) -> Iterator[Job]:
    """One mask <-> pixels."""
    for kind in data.KINDS:
        rles = data.masks(kind, size, INPUTS)
        in_f = [(mtfast.mask.decode(rle),) for rle in rles]
        in_c = [(np.ascontiguousarray(pixels),) for (pixels,) in in_f]
        texts = [(rle,) for rle in rles]
        name = kind if kind in ("specks", "noise") else f"a {kind}"
        yield Job(f"decode {name}, F order", "decode, F order", texts)
        yield Job(
            f"decode {name}, C order", "decode, C order", texts, goals=DECODE_GOALS.get(kind, {})
        )
        yield Job(f"encode {name}, F order", "encode, F order", in_f)
        yield Job(
            f"encode {name}, C order", "encode, C order", in_c, goals=ENCODE_GOALS.get(kind, {})
        )
        if kind == "flake":
            yield Job(
                f"decode {name} into a frame",
                "decode into",
                texts,
                frame=size,
                beside_filling=True,
                goals={FILLING: 1 / 1.3},
            )


def _frames(size: tuple[int, int]) -> Iterator[Job]:
    """All masks of a frame <-> its label map."""
    sets = _windows(data.masks("flake", size, INPUTS + FEW), FEW)
    labels = list(range(1, FEW + 1))
    yield Job(
        f"{FEW} flakes into a frame",
        "paint",
        [(rles, labels) for rles in sets],
        frame=size,
        goals={"pycocotools": 300, "rlemasklib": 2},
    )
    maps = [mtfast.mask.to_label_map(rles, labels) for rles in sets]
    for order in "CF":
        yield Job(
            f"label map to {FEW} masks, {order} order",
            "labels",
            [(np.asarray(label_map, order=order),) for label_map in maps],
            goals={"rlemasklib": 3},
        )


def _lists(size: tuple[int, int]) -> Iterator[Job]:
    """Lists of masks."""
    many = data.masks("flake", size, MANY)
    rolled = [([*many[k:], *many[:k]],) for k in range(INPUTS)]
    tables = [(data.table_of(rles),) for (rles,) in rolled]
    for operation, name in (("area", "area"), ("box", "toBbox")):
        job = Job(f"{name} of {MANY:,} flakes", operation, rolled, goals={FASTEST: 1})
        yield job
        yield replace(
            job, name=f"{job.name}, as a RunTable", own_inputs=tables, goals={FASTEST: 10}
        )
    goals: dict[str, float] = {FASTEST: 1.5}
    for kind in ("flake", "blob"):
        gt = data.masks(kind, size, INPUTS + FEW)
        dt = data.masks(kind, size, INPUTS + FEW, SHIFT)
        sets, detected = _windows(gt, FEW), _windows(dt, FEW)
        pairs = list(zip(detected, sets, strict=True))
        yield Job(f"iou of {FEW} x {FEW} {kind}s", "iou", pairs, goals=goals)
        for operation in ("or", "and"):
            name = f"merge {FEW} {kind}s, {operation}"
            yield Job(name, operation, [(rles,) for rles in sets], goals=goals)
        if kind == "flake":
            boxes = [tuple(mtfast.mask.toBbox(side) for side in pair) for pair in pairs]
            yield Job(f"iou of {FEW} x {FEW} boxes", "box iou", boxes, goals=goals)
            outlines = _windows(data.rings(kind, size, INPUTS + FEW), FEW)
            polygons = [(rings, *size) for rings in outlines]
            yield Job(f"{FEW} polygons to masks", "polygons", polygons, goals=goals)
            height, width = size
            window = height // 4, width // 4, height // 2, width // 2
            yield Job(f"crop {FEW} flakes", "crop", [(rles, *window) for rles in sets])


def _numbers(size: tuple[int, int]) -> Iterator[Job]:
    """Lists from one mask to hundreds."""
    height, width = size
    window = height // 4, width // 4, height // 2, width // 2
    all_masks = data.masks("flake", size, INPUTS + max(NUMBERS))
    all_moved = data.masks("flake", size, INPUTS + max(NUMBERS), SHIFT)
    all_rings = data.rings("flake", size, INPUTS + max(NUMBERS))
    for n in NUMBERS:
        sets, moved, rings = (
            _windows(items, n)[:INPUTS] for items in (all_masks, all_moved, all_rings)
        )
        lists = [(rles,) for rles in sets]
        pairs = list(zip(moved, sets, strict=True))
        yield Job(f"area, {n}", "area", lists, goals=DROP_IN)
        yield Job(f"toBbox, {n}", "box", lists, goals=DROP_IN)
        yield Job(f"iou, {n} x {n}", "iou", pairs, goals=DROP_IN)
        yield Job(f"merge, or, {n}", "or", lists, goals=DROP_IN)
        yield Job(f"merge, and, {n}", "and", lists, goals=DROP_IN)
        yield Job(f"polygons, {n}", "polygons", [(ring, *size) for ring in rings], goals=DROP_IN)
        yield Job(f"crop, {n}", "crop", [(rles, *window) for rles in sets], goals=DROP_IN)


def _windows(items: list, n: int) -> list[list]:
    return [items[k : k + n] for k in range(len(items) - n)]


def measure(
    scale: Scale, rounds: int, names: list[str]
) -> Iterator[tuple[tuple[int, int], PeerRow]]:
    """Measure every job with mtfast and those peers, for small and for large frames."""
    ours = libraries.mtfast()
    peers = {name: libraries.PEERS[name]() for name in names}
    for size in scale.frames:
        for job in jobs(size, goals=size == scale.frames[-1]):
            yield size, _measure(job, rounds, ours[job.operation], peers)
    for job in real_jobs():
        yield REAL, _measure(job, rounds, ours[job.operation], peers)


def _measure(
    job: Job, rounds: int, ours: Callable, peers: dict[str, dict[str, Callable]]
) -> PeerRow:
    able = {
        name: operations[job.operation]
        for name, operations in peers.items()
        if job.operation in operations
    }
    compare(job, ours, able)
    makers = [maker(job.own_inputs or job.inputs, job.frame)]
    makers += [maker(job.inputs, job.frame) for _ in able]
    functions = [ours, *able.values()]
    if job.beside_filling:
        functions.append(lambda rle, frame: frame.fill(0))
        makers.append(makers[0])
    calls = [lambda given, function=function: function(*given) for function in functions]
    turns = [
        max(1, min(MOST, int(TURN_SECONDS / _seconds(call, make))))
        for call, make in zip(calls, makers, strict=True)
    ]
    mine, *others = race(calls, rounds, turn=turns, inputs=makers, calmest=True)
    filling = others.pop() if job.beside_filling else None
    return PeerRow(job.name, mine, dict(zip(able, others, strict=True)), job.goals, filling)


def compare(job: Job, ours: Callable, peers: dict[str, Callable]) -> None:
    """Stop if the answers to the first inputs differ."""
    for k in range(CHECKED):
        expected = ours(*maker(job.own_inputs or job.inputs, job.frame)(k))
        for name, function in peers.items():
            if not same(expected, function(*maker(job.inputs, job.frame)(k))):
                raise SystemExit(f"{job.name}, input {k}: mtfast and {name} differ")


def maker(inputs: list[tuple], size: tuple[int, int] | None) -> Callable[[int], tuple]:
    """Return a function that makes the arguments of call k: fresh copies, and one shared frame."""
    frame = () if size is None else (np.empty(size, np.uint8),)
    return lambda k: (*_copy(inputs[k % len(inputs)]), *frame)


def _copy(given: Any) -> Any:
    if isinstance(given, dict):
        return {key: _copy(value) for key, value in given.items()}
    if isinstance(given, list | tuple):
        return type(given)(map(_copy, given))
    if isinstance(given, np.ndarray):
        return given.copy(order="K")
    if isinstance(given, RunTable):
        return replace(given, rle=given.rle.copy())
    return bytes(bytearray(given)) if isinstance(given, bytes) else given


def _seconds(call: Callable, make: Callable[[int], tuple]) -> float:
    given = make(0)
    start = perf_counter()
    call(given)
    return perf_counter() - start


def same(a: Any, b: Any) -> bool:
    """Whether two answers agree: masks byte for byte, pixels in the same memory order, numbers.

    Floating-point numbers may differ by a part in 10**12, or in 10**6 where one has 32 bits.
    """
    if isinstance(a, dict):
        return bytes(a["counts"]) == bytes(b["counts"]) and [*a["size"]] == [*b["size"]]
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or (a.dtype == np.uint8 and a.flags.c_contiguous != b.flags.c_contiguous):
        return False
    if "f" not in a.dtype.kind + b.dtype.kind:
        return np.array_equal(a, b)
    tolerance = 1e-6 if np.float32 in (a.dtype, b.dtype) else 1e-12
    return np.allclose(a, b, rtol=tolerance, atol=tolerance)


def markdown(rows: list[tuple[tuple[int, int], PeerRow]], names: list[str]) -> str:
    """Lay out a table for each size of frame, with the machine below."""
    headings = ["job", "mtfast", *names, "fastest peer", "goal"]
    aligned = ["---", "---:", *["---:"] * len(names), "---", "---"]
    parts = []
    for size in dict(rows):
        here = [row for row_size, row in rows if row_size == size]
        title = "Masks of ten microscope images" if size == REAL else f"{size[0]} x {size[1]}"
        cells = [row.cells(names) for row in here]
        parts.append(f"{title}\n\n{grid([headings, aligned, *cells])}\n{counted(here)}\n")
    return "\n".join([*parts, f"{machine(('mtfast', 'numpy', *names))}\n"])


def counted(rows: list[PeerRow]) -> str:
    """Say how many rows are no slower than pycocotools, and than the fastest peer."""
    parts = []
    for name, words in (("pycocotools", "pycocotools"), (FASTEST, "the fastest peer")):
        ratios = [ratio for row in rows if row.peers and (ratio := row.ratio(name)) is not None]
        ahead = sum(ratio >= NO_SLOWER for ratio in ratios)
        parts.append(f"{ahead} of {len(ratios)} rows are no slower than {words}")
    return f"{', '.join(parts)}.\n"


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.peers", description=__doc__.partition("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="few rounds")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there too")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw the ratios there")
    given = parser.parse_args(arguments)
    names = libraries.installed()
    for name in libraries.PEERS:
        if name not in names:
            print(f"{name} is not installed; left out.", file=sys.stderr)
    if data.demo_table() is None:
        print("The demo's masks are not there; left out.", file=sys.stderr)
    rows = []
    for size, row in measure(data.SUITE, 2 if given.quick else ROUNDS, names):
        rows.append((size, row))
        print(size, *row.cells(names), sep="  ", file=sys.stderr, flush=True)
    table = markdown(rows, names)
    print(table)
    if given.markdown:
        given.markdown.write_text(table, encoding="utf-8")
    if given.picture:
        large = data.SUITE.frames[-1]
        shown = [row for size, row in rows if size == large and not LEFT_OUT.search(row.job)]
        draw(shown, names, large, given.picture)


if __name__ == "__main__":
    main()
