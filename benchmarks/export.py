"""Exported masks: time from JSON to finished masks, against the usual loop, and memory.

::

    python -m benchmarks.export [--quick | --full] [--markdown FILE]

The loop is COCO(), annToMask and cv2.imwrite, on a slice of the set, in turns with mtfast on all of
it; ratios are of seconds per image. Files hold as many small flakes as those of a published set.
"""

import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import mtfast
from benchmarks import data
from benchmarks.measuring import Usage, in_fresh_process, processes_in_turns
from benchmarks.table import Row, amounts_parser, collected, markdown

FORMATS = ("zarr", "png", "tiff")


@dataclass(frozen=True)
class Amount:
    """How many images are written, and how many of them by the loop."""

    size: tuple[int, int]
    images: Sequence[int]
    slice: int
    rounds: int


TINY = Amount((96, 128), (8, 12), 4, 1)
QUICK = Amount((1200, 1920), (512,), 50, 1)
USUAL = Amount((1200, 1920), (4096,), 100, 3)
FULL = Amount((1200, 1920), (42_274, 10_000, 200_000), 500, 3)

# Images of the set whose annotations are repeated in the files.
LABELS = 4096
IMPORTS = "import mtfast.export, mtfast.kernels.operations.row_runs, tifffile, zarr, dask"


class Masks:
    """A whole set: from its annotations to finished masks."""

    params = FORMATS
    param_names = ("format",)
    number = 1

    def setup(self, form: str) -> None:
        self.source = data.label_set(data.scale)
        self.scratch = data.scratch()
        self.numbers = count()
        self.time_masks(form)

    def teardown(self, form: str) -> None:
        self.scratch.cleanup()

    def time_masks(self, form: str) -> None:
        out = Path(self.scratch.name) / str(next(self.numbers))
        mtfast.export_masks(self.source, out, format=form)


def measure(amount: Amount) -> Iterator[Row]:
    """Measure every row; the first number of images is the one that formats are compared at."""
    first, *others = amount.images
    with data.scratch() as scratch:
        folder = Path(scratch)
        small = write_coco(amount.slice, amount.size)

        def loop() -> Usage:
            imports = "from pathlib import Path\nfrom benchmarks import baselines\nimport cv2"
            (folder / "loop").mkdir()
            line = "baselines.pngs_from_coco(a[0], Path(a[1]))"
            return _clean(folder / "loop", f"{imports}\n---\n{line}", small, folder / "loop")

        def ours(n: int, form: str) -> Usage:
            line = "mtfast.export_masks(a[0], a[1], format=a[2])"
            out = folder / "ours"
            return _clean(out, f"{IMPORTS}\n---\n{line}", write_coco(n, amount.size), out, form)

        jobs = [lambda form=form: ours(first, form) for form in FORMATS]
        *found, ordinary = processes_in_turns([*jobs, loop], amount.rounds)
        way = f"COCO(), annToMask, cv2.imwrite, from {amount.slice} images"
        for form, usage in zip(FORMATS, found, strict=True):
            job = f"masks of {first:,} images to {form}, from JSON"
            yield Row(job, usage.seconds, our_peak=usage.peak_bytes)
            an_image = ordinary.seconds / amount.slice
            yield Row(f"the same, an image ({form})", usage.seconds / first, way, an_image)
        for n in others:
            for form in FORMATS:
                usage = ours(n, form)
                job = f"masks of {n:,} images to {form}, from JSON"
                yield Row(job, usage.seconds, our_peak=usage.peak_bytes)


def write_coco(n_images: int, size: tuple[int, int]) -> Path:
    """Return a COCO file of so many images with all their flakes above 200 pixels."""
    height, width = size
    path = data.cache() / f"masks-{n_images}-{height}x{width}.json"
    if path.exists():
        return path
    labels = min(LABELS, n_images)
    table = data.label_table(data.Scale(size, 0, labels, 0))
    bbox, area = table.bbox().tolist(), table.area().tolist()
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="ascii") as file:
        images = (
            {"id": i + 1, "width": width, "height": height, "file_name": f"{i:06d}.jpg"}
            for i in range(n_images)
        )
        file.write('{"images": [' + ", ".join(map(json.dumps, images)) + '], "annotations": [')
        number = 0
        for i in range(n_images):
            for k in range(*table.image_offsets[i % labels : i % labels + 2].tolist()):
                record = {
                    "id": number + 1,
                    "image_id": i + 1,
                    "category_id": int(table.category_ids[k]),
                    "segmentation": {"size": [height, width], "counts": table.text(k).decode()},
                    "area": area[k],
                    "bbox": bbox[k],
                    "iscrowd": 0,
                }
                file.write(", " * bool(number) + json.dumps(record))
                number += 1
        categories = [{"id": c.id, "name": c.name} for c in table.categories]
        file.write(f'], "categories": {json.dumps(categories)}}}')
    return partial.replace(path)


def table_bytes(n_images: int, size: tuple[int, int]) -> int:
    """Return what the RunTable of such a file takes by itself."""
    table = mtfast.open_source(write_coco(n_images, size)).table("train", "annotations")
    columns = (getattr(table, name) for name in table.__dataclass_fields__ if name != "categories")
    return sum(column.nbytes for column in columns) + sum(len(n) for n in table.names.tolist())


def _clean(folder: Path, job: str, *arguments: object) -> Usage:
    try:
        return in_fresh_process(job, *arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str] | None = None) -> None:
    parser = amounts_parser(
        "benchmarks.export",
        __doc__,
        quick="few images, one round",
        full="a full set, and five times as many",
    )
    given = parser.parse_args(arguments)
    chosen = QUICK if given.quick else FULL if given.full else USUAL
    rows = collected(measure(chosen))
    text = markdown(rows)
    for n in sorted(chosen.images):
        text += f"\nThe RunTable of {n:,} images takes {table_bytes(n, chosen.size) / 1e6:,.0f} MB."
    print(text)
    if given.markdown:
        given.markdown.write_text(text + "\n", encoding="utf-8")
    print(f"The files are kept in {data.cache()}.", file=sys.stderr)


if __name__ == "__main__":
    main()
