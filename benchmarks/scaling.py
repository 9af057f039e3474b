"""What each stage costs an image, for sets of a thousand to 400,000 images.

::

    python -m benchmarks.scaling [--quick | --full] [--markdown FILE]

Labels alone, but for one set with image files: the same few over and over. Each stage runs in a
process of its own, whose peak memory is measured. docs/SCALING.md says what the figures mean.
"""

import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

import mtfast
from benchmarks import data
from benchmarks.measuring import Usage, in_fresh_process
from benchmarks.table import amounts_parser, grid, machine
from mtfast.store import schema
from mtfast.store.reading.split import Split

PACKAGES = ("mtfast", "numpy", "zarr", "dask")
# Of images that repeat in a larger set, with numbers of their own.
PATTERNS = 512
READS = 300
PART = 10_000

SETTING = "import mtfast\nopen_store = lambda: mtfast.open(a[0])['train']\n---\n"
JOBS = {
    "read the JSON": ("import mtfast\n---\nmtfast.open_source(a[1]).table('train', 'annotations')"),
    "convert": "import mtfast\n---\nmtfast.convert(a[1], a[0], images=False)",
    "open, and the first mask": f"{SETTING}open_store().semantic(0)",
    "open, and the first instances": f"{SETTING}open_store().instances(0)",
    "the whole table": f"{SETTING}open_store().table()",
    f"the table in parts of {PART:,} images": (
        f"{SETTING}for part in open_store().tables({PART}): pass"
    ),
}
FILES = {
    "convert with image files": "import mtfast\n---\nmtfast.convert(a[1], a[0])",
    "the same with a crop index": "import mtfast\n---\nmtfast.convert(a[1], a[0], crop_index=True)",
}


@dataclass(frozen=True)
class Amount:
    """Numbers of images, how many of the set with image files, and the size of each."""

    images: tuple[int, ...]
    files: int = 1_000
    size: tuple[int, int] = (1200, 1920)


TINY = Amount((8, 20), 8, (96, 128))
QUICK = Amount((1_000, 10_000))
USUAL = Amount((1_000, 10_000, 42_274))
FULL = Amount((1_000, 10_000, 42_274, 400_000))


@dataclass(frozen=True)
class Measured:
    """Of a set: what its stages took, the bytes of its parts, and a random read."""

    images: int
    instances: int
    usages: dict[str, Usage]
    sizes: dict[str, int]
    mask_seconds: float


def make_coco(n: int, size: tuple[int, int]) -> Path:
    """Return a COCO file of n images, which is kept in the cache."""
    height, width = size
    path = data.cache() / f"scaling-{n}-{height}x{width}.json"
    if not path.exists():
        partial = path.with_suffix(".partial")
        with partial.open("w") as file:
            file.writelines(_document(n, size))
        partial.replace(path)
    return path


def _document(n: int, size: tuple[int, int]) -> Iterator[str]:
    scale = replace(data.SUITE, size=size, labels=min(n, PATTERNS))
    table = data.label_table(scale)
    height, width = size
    patterns = [_pattern(table.image(i)) for i in range(table.n_images)]
    yield '{"images":['
    for k in range(n):
        yield f'{"," * (k > 0)}{{"id":{k + 1},"width":{width},"height":{height},"file_name":'
        yield f'"{k:09d}.jpg"}}'
    yield '],"annotations":['
    number = 0
    for k in range(n):
        for pattern in patterns[k % len(patterns)]:
            number += 1
            yield f'{"," * (number > 1)}{{"id":{number},"image_id":{k + 1},{pattern}}}'
    named = ",".join(f'{{"id":{c.id},"name":"{c.name}"}}' for c in table.categories)
    yield f'],"categories":[{named}]}}'


def _pattern(image: mtfast.RunTable) -> list[str]:
    """Return the records of an image without their numbers."""
    records = []
    for k, (area, box) in enumerate(zip(image.area().tolist(), image.bbox().tolist(), strict=True)):
        text = image.text(k).decode("ascii").replace("\\", "\\\\")
        size = [int(image.heights[0]), int(image.widths[0])]
        records.append(
            f'"category_id":{image.category_ids[k]},"iscrowd":0,"area":{area},"bbox":{box},'
            f'"segmentation":{{"size":{size},"counts":"{text}"}}'
        )
    return records


def measure(n: int, size: tuple[int, int]) -> Measured:
    """Run all stages of a set of n images."""
    source = make_coco(n, size)
    with data.scratch() as folder:
        store = Path(folder) / "set.zarr"
        usages = {name: in_fresh_process(job, store, source) for name, job in JOBS.items()}
        sizes = {"JSON": source.stat().st_size, **_sizes(store / "train")}
        train = mtfast.open(store)["train"]
        n_instances = int(train.labels()[0].size)
        return Measured(n, n_instances, usages, sizes, _mask_seconds(train))


def measure_files(n: int, size: tuple[int, int]) -> Measured:
    """Convert a set of n images with their files, without and with a crop index."""
    with data.scratch() as scratch:
        folder = Path(scratch)
        source = folder / "set" / "annotations.json"
        _link_images(source, n, size)
        usages, sizes = {}, {}
        for name, job in FILES.items():
            store = folder / f"{len(usages)}.zarr"
            usages[name] = in_fresh_process(job, store, source)
        sizes["image files"] = _bytes_below(store / "train" / schema.FILE)
        sizes["crop index"] = _bytes_below(store / "train" / schema.CROP_GROUP)
        return Measured(n, 0, usages, sizes, 0.0)


def _link_images(source: Path, n: int, size: tuple[int, int]) -> None:
    """Make a set whose images are the same few files, under names of their own."""
    source.parent.mkdir()
    source.symlink_to(make_coco(n, size))
    some = sorted((data.jpeg_set(replace(data.SUITE, size=size)) / "train_images").iterdir())
    for k in range(n):
        (source.parent / f"{k:09d}.jpg").hardlink_to(some[k % len(some)])


def _sizes(split: Path) -> dict[str, int]:
    masks = list((split / schema.SEMANTIC).glob("c*"))
    text = split / "instances" / "rle"
    return {
        "masks": sum(path.stat().st_size for path in masks),
        "files of masks": len(masks),
        "RLE text": _bytes_below(text),
        "columns": sum(_bytes_below(split / name) for name in ("columns", "name", "variants"))
        + _bytes_below(split / "instances")
        - _bytes_below(text),
    }


def _bytes_below(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _mask_seconds(train: Split) -> float:
    """Return the median time of a random mask, once all shard indexes have been read."""
    rng = np.random.default_rng(data.SEED)
    out = np.empty((train.height, train.width), train.semantic_dtype)
    for shard in range(0, len(train), schema.SHARD):
        train.semantic(shard, out)
    taken = []
    for image in rng.integers(len(train), size=READS).tolist():
        start = time.perf_counter()
        train.semantic(image, out)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def lay_out(measured: list[Measured], files: Measured | None = None) -> str:
    """Lay out the tables of time, memory and bytes, and that of the set with image files."""
    heads = [f"{m.images:,} images" for m in measured]
    lines = [["stage", *heads], ["---", *["---:"] * len(measured)]]
    lines += [[job, *(_usage(m.usages[job], m.images) for m in measured)] for job in JOBS]
    lines.append(["a random mask", *(f"{m.mask_seconds * 1e6:.0f} µs" for m in measured)])
    sizes = [["bytes an image", *heads], ["---", *["---:"] * len(measured)]]
    for part in measured[0].sizes:
        digits = 3 if part.startswith("files") else 0
        sizes.append([part, *(f"{m.sizes[part] / m.images:,.{digits}f}" for m in measured)])
    sizes.append(["instances", *(f"{m.instances / m.images:.1f}" for m in measured)])
    tables = [lines, sizes]
    if files:
        tables.append([["with image files", f"{files.images:,} images"], ["---", "---:"]])
        tables[-1] += [[job, _usage(usage, files.images)] for job, usage in files.usages.items()]
        tables[-1] += [
            [f"{part}, bytes an image", f"{n_bytes / files.images:,.0f}"]
            for part, n_bytes in files.sizes.items()
        ]
    return "\n".join([*map(grid, tables), f"{machine(PACKAGES)}\n"])


def _usage(usage: Usage, n: int) -> str:
    peak = "" if usage.peak_bytes is None else f", {usage.peak_bytes / 1e6:,.0f} MB"
    return f"{usage.seconds:.2f} s, {usage.seconds / n * 1e6:,.0f} µs an image{peak}"


def main() -> None:
    """Measure, and print the tables."""
    about = __doc__ or ""
    parser = amounts_parser("benchmarks.scaling", about, "10,000 images at most", "400,000 too")
    options = parser.parse_args()
    amount = QUICK if options.quick else FULL if options.full else USUAL
    measured = []
    for n in amount.images:
        measured.append(measure(n, amount.size))
        print(lay_out(measured[-1:]), file=sys.stderr, flush=True)
    text = lay_out(measured, measure_files(amount.files, amount.size))
    print(text)
    if options.markdown:
        options.markdown.write_text(text)


if __name__ == "__main__":
    main()
