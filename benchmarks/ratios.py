"""How many times faster than the ordinary way: a table of docs/BENCHMARKS.md, measured in one run.

::

    python -m benchmarks.ratios [--quick | --full] [--markdown FILE] [--picture FILE]

Both sides of a row take turns on inputs that change from call to call; medians are compared. What
is written is removed again; the sets are kept, see :func:`benchmarks.data.cache`.
"""

import os
import shutil
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np

import mtfast
import mtfast.conversion.crop_index
from benchmarks import baselines, chart, data
from benchmarks.data import Scale
from benchmarks.measuring import Usage, in_fresh_process, processes_in_turns, race
from benchmarks.table import Row, amounts_parser, collected, markdown
from mtfast.painting.instance_targets import instance_targets
from mtfast.store.writing.crop_index import encode_index, n_entries
from mtfast.table import RunTable

QUICK = Scale((1200, 1920), 16, 512, 20_000)
USUAL = Scale((1200, 1920), 200, 4096, 20_000)
FULL = Scale((1200, 1920), 200, 42_274, 400_000)

# Images that the slow ordinary ways are measured on and scaled up from.
SLICE = 12

# Calls of one side in a turn: as in a loop, a job then finds its own data in the caches.
TURN = 12

# Height and width of what the README shows of an image.
SHOWCASE = 440, 700

# Runs of a job that has a process of its own.
PROCESSES = 3
IMPORTS = "import mtfast.conversion.convert, mtfast.kernels.rle.coco_string"


def measure(scale: Scale, rounds: int) -> Iterator[Row]:
    """Measure every row; ``rounds`` is the number of conversions, of reads there are many more."""
    with data.scratch() as folder:
        yield from _paint(scale, rounds)
        yield from _convert(scale, rounds, Path(folder))
        yield from _read(scale, rounds, Path(folder))
        yield from _crop(scale, rounds, Path(folder))
        yield from _labels(scale, Path(folder))


def _paint(scale: Scale, rounds: int) -> Iterator[Row]:
    """Seconds an image, from passes over all of them: real ones hold from 1 to 20 flakes."""
    masks = {"synthetic": data.label_table(scale).images(slice(SLICE)), "real": data.demo_table()}
    for kind, table in masks.items():
        if table is None:
            continue
        images = data.images_of(table)
        frame = np.empty((1, int(table.heights[0]), int(table.widths[0])), np.uint8)

        def paint(k: int, images: list[RunTable] = images, frame: Any = frame) -> None:
            for image in images:
                mtfast.semantic(image, out=frame)

        def loop(k: int, images: list[RunTable] = images) -> None:
            for image in images:
                baselines.paint_with_pycocotools(image)

        def fill(k: int, images: list[RunTable] = images, frame: Any = frame) -> None:
            for _ in images:
                frame.fill(0)

        job = f"paint a mask from RLE, mean of {len(images)} {kind} images"
        for way, other, n, turn in (
            ("pycocotools loop", loop, rounds, 4),
            ("filling the frame with 0", fill, 16 * rounds, 1),
        ):
            ours, ordinary = (t / len(images) for t in race([paint, other], n, turn=turn))
            yield Row(job, ours, way, ordinary)


def _convert(scale: Scale, rounds: int, folder: Path) -> Iterator[Row]:
    """Convert; the last store stays, for the jobs that read."""
    source = data.jpeg_set(scale)
    images, tables = _images_of(source)
    n = min(SLICE, len(images))
    number = count()

    def fresh() -> Path:
        return folder / f"written-{next(number)}"

    def convert(k: int) -> None:
        mtfast.convert(source, folder / "store")

    def copy(k: int) -> None:
        baselines.copy_and_sync(source / "train_images", fresh())

    def rewrite(k: int) -> None:
        chosen = [i % len(images) for i in range(k * n, (k + 1) * n)]
        baselines.decode_and_rewrite(
            [images[i] for i in chosen], [tables[i] for i in chosen], len(images), fresh()
        )

    def clean() -> None:
        shutil.rmtree(folder)
        folder.mkdir()
        # Writes of one job must not slow down the next.
        os.sync()

    ours, copied, rewritten = race([convert, copy, rewrite], rounds, before=clean)
    clean()
    convert(0)
    job = f"convert {len(images)} JPEG images and masks, {_cores()}"
    scaled = rewritten * len(images) / n
    way = f"decode and rewrite to Zarr, one thread, from {n} images"
    yield Row(job, ours, way, scaled)
    yield Row(job, ours, "cp -r of the images and sync", copied)


def _read(scale: Scale, rounds: int, folder: Path) -> Iterator[Row]:
    import cv2
    import zarr

    source = data.jpeg_set(scale)
    images, tables = _images_of(source)
    pngs = [source / "train_semantic_masks" / f"{path.stem}.png" for path in images]
    store = mtfast.open(folder / "store")
    train = store["train"]
    opened: Any = zarr.open_array(store.path / "train" / "semantic", mode="r")
    order = np.random.default_rng(data.SEED).permutation(len(train)).tolist()

    def at(k: int) -> int:
        return order[k % len(order)]

    def read_png(k: int) -> Any:
        return cv2.imread(str(pngs[at(k)]), cv2.IMREAD_UNCHANGED)

    for k in range(SLICE):
        assert np.array_equal(train.semantic(at(k)), read_png(k))
    ours, from_zarr, from_png = race(
        [lambda k: train.semantic(at(k)), lambda k: opened[at(k)], read_png], rounds, turn=TURN
    )
    yield Row("read a random mask", ours, "zarr-python, array opened before", from_zarr)
    yield Row("read a random mask", ours, "cv2.imread of a PNG file", from_png)
    ours, ordinary = race(
        [lambda k: train.image(at(k)), lambda k: baselines.read_with_pil(images[at(k)])],
        rounds,
        turn=TURN,
    )
    yield Row("read a random image", ours, "PIL, JPEG file", ordinary)
    ours, ordinary = race(
        [
            lambda k: (train.image(at(k)), train.semantic(at(k))),
            lambda k: baselines.read_and_paint(images[at(k)], tables[at(k)]),
        ],
        rounds,
        turn=TURN,
    )
    way = "cv2.imread, pycocotools loop"
    yield Row("read a random image and its mask", ours, way, ordinary)
    (seconds,) = race([lambda k: train.instances(at(k))], rounds, turn=TURN)
    yield Row("read the instances of a random image", seconds)


def _crop(scale: Scale, rounds: int, folder: Path) -> Iterator[Row]:
    """Windows of the last store, which gets its index here; caches are warm for both sides."""
    (indexed,) = mtfast.conversion.crop_index.add_crop_index(folder / "store")
    train = mtfast.open(folder / "store")["train"]
    n_bytes = sum(len(train.image_bytes(i)) for i in range(len(train)))
    files = [train.image_bytes(i) for i in range(min(SLICE, len(train)))]
    size = train.height, train.width

    def index(k: int) -> None:
        encode_index(files[k % len(files)], size, n_entries(size))

    def decode(k: int) -> None:
        imagecodecs.jpeg8_decode(files[k % len(files)], outcolorspace="RGB")

    ours, ordinary = race([index, decode], rounds, turn=TURN)
    job = f"index an image for windows, {indexed.n_bytes / n_bytes:.1%} of its bytes"
    yield Row(job, ours, "decoding it", ordinary)
    rng = np.random.default_rng(data.SEED)
    for side in (512, 256):
        h, w = (min(side, whole) for whole in size)
        windows = [
            (int(rng.integers(len(train))), *rng.integers((size[0] - h + 1, size[1] - w + 1)), h, w)
            for _ in range((rounds + 1) * TURN)
        ]

        def crop(k: int, windows: Any = windows) -> Any:
            return train.crop(*windows[k]).image

        def whole(k: int, windows: Any = windows) -> Any:
            i, y, x, h, w = windows[k]
            return train.image(i)[y : y + h, x : x + w]

        def targets(k: int, windows: Any = windows) -> Any:
            i, *window = windows[k]
            return instance_targets(train.instances(i), window)

        assert all(np.array_equal(crop(k), whole(k)) for k in range(SLICE))
        ours, ordinary, masks = race([crop, whole, targets], rounds, turn=TURN)
        job = f"a random window of {side} x {side} pixels"
        yield Row(job, ours, "the whole image, then cut", ordinary)
        yield Row(f"{job}: its instance masks, boxes, areas", masks)


def _labels(scale: Scale, folder: Path) -> Iterator[Row]:
    source, store = data.label_set(scale), folder / "labels"
    images = data.images_of(data.label_table(scale).images(slice(2 * SLICE)))

    def convert() -> Usage:
        shutil.rmtree(store, ignore_errors=True)
        line = "mtfast.convert(a[0], a[1], images='none')"
        return in_fresh_process(f"{IMPORTS}\n---\n{line}", source, store)

    def write_pngs() -> Usage:
        (seconds,) = race([lambda k: baselines.pngs_from_rle(images, folder)], 1)
        return Usage(seconds * scale.labels / len(images), None)

    ours, ordinary = processes_in_turns([convert, write_pngs], PROCESSES)
    way = f"pycocotools loop and cv2.imwrite, one thread, from {len(images)} images"
    job = f"RLE of {scale.labels:,} images to a store, {_cores()}"
    yield Row(job, ours.seconds, way, ordinary.seconds, ours.peak_bytes)

    file = data.coco_file(scale)

    def parse() -> Usage:
        line = "mtfast.open_source(a[0]).table('train', 'annotations')"
        return in_fresh_process(f"{IMPORTS}\n---\n{line}", file)

    def parse_ordinary() -> Usage:
        return in_fresh_process("from pycocotools.coco import COCO\n---\nCOCO(a[0])", file)

    ours, ordinary = processes_in_turns([parse, parse_ordinary], PROCESSES)
    job = f"read a COCO file, {scale.annotations:,} annotations, {file.stat().st_size / 1e6:.0f} MB"
    peaks = ours.peak_bytes, ordinary.peak_bytes
    yield Row(job, ours.seconds, "pycocotools COCO", ordinary.seconds, *peaks)


def showcase(scale: Scale) -> tuple[Any, Any]:
    """The window of most classes: with outlines of its instances, and its mask in their colours."""
    from mtfast.pictures.overlay import overlay
    from mtfast.pictures.palette import colour_table

    images, tables = _images_of(data.jpeg_set(scale))
    k, y, x = _busiest(tables)
    window = slice(y, y + SHOWCASE[0]), slice(x, x + SHOWCASE[1])
    image = overlay(baselines.read_with_pil(images[k]), tables[k], alpha=0)
    return image[window], colour_table(256)[mtfast.semantic(tables[k])[0][window]]


def _busiest(tables: list[RunTable]) -> tuple[int, int, int]:
    """Image, top and left of the window with the most classes, then the most instances."""
    best = (0, 0), (0, 0, 0)
    for k, table in enumerate(tables):
        centres = table.bbox()[:, :2] + table.bbox()[:, 2:] / 2
        room = (int(table.heights[0]) - SHOWCASE[0], int(table.widths[0]) - SHOWCASE[1])
        for x, y in centres:
            top = int(np.clip(y - SHOWCASE[0] / 2, 0, room[0]))
            left = int(np.clip(x - SHOWCASE[1] / 2, 0, room[1]))
            inside = (
                abs(centres - (left + SHOWCASE[1] / 2, top + SHOWCASE[0] / 2))
                < (SHOWCASE[1] / 2, SHOWCASE[0] / 2)
            ).all(1)
            found = len(set(table.category_ids[inside])), int(inside.sum())
            best = max(best, (found, (k, top, left)))
    return best[1]


def _images_of(source: Path) -> tuple[list[Path], list[RunTable]]:
    """Image files of a set and the masks of each."""
    table = mtfast.open_source(source).table("train", "annotations_with_class_200")
    files = [source / "train_images" / str(name) for name in table.names]
    return files, data.images_of(table)


def _cores() -> str:
    return f"{os.cpu_count()} cores"


def main(arguments: list[str] | None = None) -> None:
    parser = amounts_parser(
        "benchmarks.ratios",
        __doc__,
        quick="few images, few rounds",
        full="a full set of annotations",
    )
    parser.add_argument("--picture", type=Path, metavar="FILE", help="draw six of the ratios there")
    given = parser.parse_args(arguments)
    scale = QUICK if given.quick else FULL if given.full else USUAL
    rows = collected(measure(scale, 2 if given.quick else 5))
    table = markdown(rows)
    print(table)
    if given.markdown:
        given.markdown.write_text(table, encoding="utf-8")
    if given.picture:
        chart.draw_showcase(rows, *showcase(scale), given.picture)
    print(f"The sets are kept in {data.cache()}.", file=sys.stderr)


if __name__ == "__main__":
    main()
