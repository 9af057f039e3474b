"""A set of the shape of COCO val2017: is every pixel that of pycocotools, and how fast is it.

::

    python -m benchmarks.coco_shape [--quick] [--markdown FILE]

The set has 5,000 images of 2,000 sizes and 36,000 annotations: polygons, some of several rings, and
crowds as uncompressed RLE, of 80 classes with gaps in their ids. It is converted, read and written
as masks, and every mask of it is compared with ``annToMask``. Then reads of it take turns with
reads of the same set with one image of 20,000 x 20,000 pixels more.
"""

import contextlib
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

import mtfast
import mtfast.mask
from benchmarks import data
from benchmarks.measuring import Usage, in_fresh_process, processes_in_turns, race
from benchmarks.table import Row, amounts_parser, collected, markdown
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.store.mask_grid import MaskGrid
from mtfast.store.reading.split import Split
from mtfast.store.writing.masks import mask_chunks
from mtfast.table import RunTable

IMPORTS = (
    "import mtfast.export, mtfast.kernels.operations.row_runs, mtfast.kernels.files.zstd_frame"
)


# COCO's: 80 of 1 to 90.
CATEGORY_IDS = sorted({*range(1, 91)} - {12, 26, 29, 30, 45, 66, 68, 69, 71, 83})
LONGEST = 640
USUAL_SIZES = ((480, 640), (640, 480), (427, 640), (640, 427))
# Shares of all images, and of all annotations, as in val2017.
USUAL, EMPTY, GREY, PNG = 0.45, 0.01, 0.02, 0.01
CROWD, SEVERAL_RINGS = 0.0125, 0.12

FORMATS = ("zarr", "png", "tiff")
ROUNDS = 5
TURN = 50
WINDOW = 200


@dataclass(frozen=True)
class Shape:
    """How much there is in a set.

    ``one_size`` makes all images 480 x 640; ``outlier`` adds a square image of that side.
    """

    images: int
    annotations: int
    one_size: bool = False
    outlier: int = 0
    seed: int = data.SEED


TINY = Shape(60, 430)
QUICK = Shape(500, 3_600)
VAL2017 = Shape(5_000, 36_000)
OUTLIER = 20_000
SPLIT, VARIANT = "val2017", "annotations"


def make_set(shape: Shape) -> Path:
    """Return the annotation file of a set, which is kept in the cache."""
    name = f"coco-shape-{shape.images}-{shape.annotations}-{shape.seed}"
    name += "-one-size" * shape.one_size + f"-{shape.outlier}" * bool(shape.outlier)
    folder = data.cache() / name
    file = folder / "annotations" / "instances_val2017.json"
    if not file.exists():
        partial_folder = folder.with_name(f"{folder.name}.partial")
        shutil.rmtree(partial_folder, ignore_errors=True)
        write_set(partial_folder, shape)
        partial_folder.replace(folder)
    return file


def write_set(folder: Path, shape: Shape) -> None:
    """Write a set into a new folder, as COCO's own tree."""
    rng = np.random.default_rng(shape.seed)
    images = folder / "val2017"
    images.mkdir(parents=True)
    (folder / "annotations").mkdir()
    sizes = [USUAL_SIZES[0]] * shape.images if shape.one_size else _sizes(rng, shape.images)
    numbers = np.sort(rng.choice(600_000, len(sizes), replace=False)).tolist()
    records = []
    for number, size in zip(numbers, sizes, strict=True):
        records.append(_image_record(number, f"{number:012d}.{_kind(rng)}", size))
        _picture(rng, size).save(images / records[-1]["file_name"], quality=75)
    annotations = _annotations(rng, records, shape.annotations)
    if shape.outlier:
        side = shape.outlier
        # In the middle, so that images before and after it share its shard.
        record = _image_record(600_000, "large.tif", (side, side))
        records.insert(len(records) // 2, record)
        annotations.append(_annotation(rng, record, crowd=False) | {"id": 1})
        _write_large(images / record["file_name"], side)
    document = {
        "info": {"description": "The shape of COCO val2017"},
        "licenses": [],
        "images": records,
        "annotations": annotations,
        "categories": [
            {"supercategory": "thing", "id": number, "name": f"class {number}"}
            for number in CATEGORY_IDS
        ],
    }
    (folder / "annotations" / "instances_val2017.json").write_text(json.dumps(document))


def _sizes(rng: np.random.Generator, n: int) -> list[tuple[int, int]]:
    """Draw sizes: many of a few, most of the rest as long as the longest, and some of any."""
    sizes = []
    for _ in range(n):
        if rng.random() < USUAL:
            sizes.append(USUAL_SIZES[rng.choice(4, p=(0.5, 0.2, 0.2, 0.1))])
            continue
        long = LONGEST if rng.random() < 0.4 else int(rng.integers(300, LONGEST + 1))
        size = int(rng.integers(200, long + 1)), long
        sizes.append(size[::-1] if rng.random() < 0.25 else size)
    return sizes


def _kind(rng: np.random.Generator) -> str:
    return "png" if rng.random() < PNG else "jpg"


def _image_record(number: int, name: str, size: tuple[int, int]) -> dict[str, Any]:
    url = f"http://images.cocodataset.org/val2017/{name}"
    return {
        "id": number,
        "file_name": name,
        "height": size[0],
        "width": size[1],
        "coco_url": url,
        "license": 1,
    }


def _picture(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Draw ellipses on a ground: small files, of which no two are alike."""
    height, width = size
    grey = rng.random() < GREY

    def colour() -> Any:
        return int(rng.integers(256)) if grey else tuple(rng.integers(256, size=3).tolist())

    image = Image.new("L" if grey else "RGB", (width, height), colour())
    draw = ImageDraw.Draw(image)
    for _ in range(4):
        x, y = rng.integers(width), rng.integers(height)
        w, h = rng.integers(20, 200, 2)
        draw.ellipse([int(x), int(y), int(x + w), int(y + h)], fill=colour())
    return image


def _write_large(path: Path, side: int) -> None:
    """Write a grey image tile by tile, so that it is never in memory."""
    tile = 512
    flat = np.full((tile, tile), 90, np.uint8)
    across = -(-side // tile)
    tiles = (flat for _ in range(across * across))
    form = {"shape": (side, side), "dtype": "uint8", "photometric": "minisblack"}
    tifffile.imwrite(path, tiles, tile=(tile, tile), compression="zlib", **form)


def _annotations(rng: np.random.Generator, images: list[Any], n: int) -> list[dict[str, Any]]:
    """Draw annotations, in an order that is not that of the images, as in COCO's own files."""
    filled = np.flatnonzero(rng.random(len(images)) >= EMPTY)
    weights = rng.exponential(size=filled.size)
    others = rng.choice(filled, n - filled.size, p=weights / weights.sum())
    chosen = rng.permutation(np.concatenate([filled, others]))
    ids = rng.choice(900_000_000, n, replace=False).tolist()
    crowds = rng.random(n) < CROWD
    return [
        _annotation(rng, images[i], crowd) | {"id": number}
        for i, number, crowd in zip(chosen.tolist(), ids, crowds.tolist(), strict=True)
    ]


def _annotation(rng: np.random.Generator, image: dict[str, Any], crowd: bool) -> dict[str, Any]:
    size = image["height"], image["width"]
    segmentation, area, box = _crowd(rng, size) if crowd else _polygons(rng, size)
    return {
        "segmentation": segmentation,
        "area": area,
        "iscrowd": int(crowd),
        "image_id": image["id"],
        "bbox": box,
        "category_id": int(rng.choice(CATEGORY_IDS)),
    }


def _polygons(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Any, float, list[float]]:
    """Draw rings around points of the image, cut at its borders."""
    height, width = size
    centre = rng.random(2) * (width, height)
    radius = min(10 ** rng.uniform(0.6, 2.4), max(size) / 2)
    rings, area = [], 0.0
    for _ in range(int(rng.integers(2, 4)) if rng.random() < SEVERAL_RINGS else 1):
        n = int(rng.integers(4, 60))
        angles = np.sort(rng.random(n)) * 2 * np.pi
        reach = radius * rng.uniform(0.5, 1, n)
        points = centre + np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
        points = np.round(np.clip(points, 0, (width, height)), 2)
        x, y = points.T
        area += abs(float(x @ np.roll(y, 1) - y @ np.roll(x, 1))) / 2
        rings.append(points.ravel().tolist())
        centre = centre + rng.normal(size=2) * radius
    corners = np.concatenate([np.reshape(ring, (-1, 2)) for ring in rings])
    low, high = corners.min(0), corners.max(0)
    return rings, round(area, 4), np.round([*low, *(high - low)], 2).tolist()


def _crowd(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Any, float, list[float]]:
    """Draw discs, as run lengths down the columns, the first one of background."""
    y, x = np.ogrid[: size[0], : size[1]]
    mask = np.zeros(size, bool)
    for _ in range(int(rng.integers(3, 12))):
        v, u, radius = rng.random() * size[0], rng.random() * size[1], rng.uniform(4, 30)
        mask |= (y - v) ** 2 + (x - u) ** 2 < radius**2
    flat = mask.ravel(order="F")
    edges = np.flatnonzero(np.diff(flat, prepend=False))
    counts = np.diff(edges, prepend=0, append=flat.size).tolist()
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = [columns[0], rows[0], np.ptp(columns) + 1, np.ptp(rows) + 1]
    return {"counts": counts, "size": list(size)}, float(mask.sum()), [float(v) for v in box]


def paint_plainly(file: Path) -> Iterator[tuple[dict[str, Any], list[Any], Any]]:
    """Paint the masks of a file as its users do; yield each image, its instances and its mask."""
    with contextlib.redirect_stdout(None):
        coco = COCO(file)
    for image in coco.dataset["images"]:
        annotations = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        masks = [coco.annToMask(annotation) for annotation in annotations]
        painted = np.zeros((image["height"], image["width"]), np.uint8)
        for annotation, mask in zip(annotations, masks, strict=True):
            painted[mask > 0] = annotation["category_id"]
        yield image, list(zip(annotations, masks, strict=True)), painted


def differences(file: Path, folder: Path) -> Counter[str]:
    """Convert and export a set into a new folder; count the images that differ, by what differs.

    Masks are compared with pycocotools', pixels with Pillow's. Every kind is among the keys.
    """
    train = mtfast.open(mtfast.convert(file, folder / "set.zarr", crop_index=True))[SPLIT]
    table = mtfast.open_source(file).table(SPLIT, VARIANT)
    for form in FORMATS:
        mtfast.export_masks(file, folder / form, format=form)
    shipped = folder / "shipped" / f"{SPLIT}_semantic_masks"
    shipped.mkdir(parents=True)
    found: Counter[str] = Counter()
    with _Exported(folder) as exported:
        for i, (image, instances, painted) in enumerate(paint_plainly(file)):
            name = image["file_name"]
            Image.fromarray(painted).save((shipped / name).with_suffix(".png"), compress_level=1)
            found["semantic"] += not _same(train.semantic(name), painted)
            found["painted from the file"] += not _same(mtfast.semantic(table.image(i))[0], painted)
            found["instances"] += not _same_instances(train.instances(name), instances)
            found["window"] += not _same_window(train, i, painted)
            with Image.open(file.parents[1] / SPLIT / name) as opened:
                found["image"] += not _same(train.image(name), np.asarray(opened.convert("RGB")))
            for form in FORMATS:
                found[form] += not _same(exported.read(form, i, painted.shape, name), painted)
    annotations = shipped.parent / "annotations" / f"{SPLIT}_annotations.json"
    annotations.parent.mkdir()
    annotations.symlink_to(file)
    found["verify"] += mtfast.verify(shipped.parent).n_different
    return found


class _Exported:
    """Exported masks, read by the usual libraries."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.array: Any = zarr.open_array(folder / "zarr" / SPLIT / "semantic", mode="r")
        self.stack = tifffile.TiffFile(folder / "tiff" / f"{SPLIT}_semantic_masks.tif")

    def __enter__(self) -> "_Exported":
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()

    def read(self, form: str, i: int, size: tuple[int, ...], name: str) -> Any:
        if form == "zarr":
            return self.array[i, : size[0], : size[1]]
        if form == "tiff":
            return self.stack.pages[i].asarray()
        png = self.folder / "png" / f"{SPLIT}_semantic_masks" / Path(name).with_suffix(".png")
        with Image.open(png) as opened:
            return np.asarray(opened)


def _same(found: Any, expected: Any) -> bool:
    return bool(found.dtype == expected.dtype and np.array_equal(found, expected))


def _same_instances(table: Any, instances: list[Any]) -> bool:
    """Whether the instances of an image are those of pycocotools, pixels and numbers."""
    if table.n_instances != len(instances):
        return False
    columns = table.instance_ids, table.category_ids, table.iscrowd
    size = table.common_size()
    return all(
        (int(id_), int(category), int(crowd))
        == (annotation["id"], annotation["category_id"], annotation["iscrowd"])
        and _same(mtfast.mask.decode({"size": size, "counts": table.text(k)}), mask)
        for k, (id_, category, crowd, (annotation, mask)) in enumerate(
            zip(*columns, instances, strict=True)
        )
    )


def _same_window(train: Split, i: int, painted: Any) -> bool:
    y, x, h, w = _window(*painted.shape)
    sample = train.crop(i, y, x, h, w)
    inside = slice(y, y + h), slice(x, x + w)
    return _same(sample.semantic, painted[inside]) and _same(sample.image, train.image(i)[inside])


def _window(height: int, width: int) -> tuple[int, int, int, int]:
    """Return a window in the middle of an image."""
    h, w = min(WINDOW, height), min(WINDOW, width)
    return (height - h) // 2, (width - w) // 2, h, w


def measure(shape: Shape, rounds: int) -> Iterator[Row]:
    """Time the set beside the plain loop, then reads of it beside an outlier, an image each."""
    file = make_set(shape)
    yield from _whole_set(file, shape.images, rounds)
    yield from _random_reads(file, rounds)
    for one_size in (False, True):
        yield from _beside_outlier(replace(shape, one_size=one_size), rounds)


def _whole_set(file: Path, n: int, rounds: int) -> Iterator[Row]:
    """Time all masks of a file, from its JSON, each way in a process of its own."""
    lines = {
        "paint the masks": (
            f"t = mtfast.open_source(a[0]).table({SPLIT!r}, {VARIANT!r})\n"
            "for i in range(t.n_images): mtfast.semantic(t[i])"
        ),
        **{f"masks to {f}": f"mtfast.export_masks(a[0], a[1], format={f!r})" for f in FORMATS},
        "convert images and masks": "mtfast.convert(a[0], a[1])",
        "the same with a crop index": "mtfast.convert(a[0], a[1], crop_index=True)",
    }
    plain = "import benchmarks.coco_shape as b\n---\nfor _ in b.paint_plainly(a[0]): pass"
    *found, loop = processes_in_turns(
        [partial(_fresh, f"{IMPORTS}\n---\n{line}", file) for line in lines.values()]
        + [partial(_fresh, plain, file)],
        rounds,
    )
    for job, usage in zip(lines, found, strict=True):
        seconds = usage.seconds / n, "COCO(), annToMask, paint", loop.seconds / n
        yield Row(f"{job}, from JSON", *seconds, usage.peak_bytes, loop.peak_bytes)


def _fresh(job: str, file: Path) -> Usage:
    with data.scratch() as folder:
        usage = in_fresh_process(job, file, Path(folder) / "out")
    # Writes of one job must not slow down the next.
    os.sync()
    return usage


def _random_reads(file: Path, rounds: int) -> Iterator[Row]:
    with data.scratch() as folder, contextlib.redirect_stdout(None):
        coco = COCO(file)
        train = mtfast.open(mtfast.convert(file, Path(folder) / "set.zarr"))[SPLIT]
        images = coco.dataset["images"]
        order = np.random.default_rng(data.SEED).permutation(len(images)).tolist()

        def annotations(k: int) -> list[Any]:
            image = images[order[k % len(order)]]
            return list(map(coco.annToMask, coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))))

        def painted(k: int) -> None:
            image = images[order[k % len(order)]]
            frame = np.zeros((image["height"], image["width"]), np.uint8)
            for annotation in coco.loadAnns(coco.getAnnIds(imgIds=image["id"])):
                frame[coco.annToMask(annotation) > 0] = annotation["category_id"]

        def pillow(k: int) -> None:
            with Image.open(
                file.parents[1] / SPLIT / images[order[k % len(order)]]["file_name"]
            ) as i:
                np.asarray(i.convert("RGB"))

        def instances(k: int) -> None:
            table = train.instances(order[k % len(order)])
            size = table.common_size()
            mtfast.mask.decode(
                [{"size": size, "counts": table.text(j)} for j in range(table.n_instances)]
            )

        for job, ours, way, plain in (
            (
                "semantic mask",
                lambda k: train.semantic(order[k % len(order)]),
                "annToMask",
                painted,
            ),
            ("masks of all instances", instances, "annToMask", annotations),
            ("image", lambda k: train.image(order[k % len(order)]), "PIL", pillow),
        ):
            seconds, other = race([ours, plain], rounds, turn=TURN)
            yield Row(f"{job} of a random image", seconds, way, other)


def _beside_outlier(shape: Shape, rounds: int) -> Iterator[Row]:
    """Compare reads of the same images, in a store with an outlier and in one without."""
    kind = "one size" if shape.one_size else "several sizes"
    way = f"without an image of {OUTLIER} x {OUTLIER}"
    files = [make_set(replace(shape, outlier=side)) for side in (OUTLIER, 0)]
    with data.scratch() as folder:
        line = "mtfast.convert(a[0], a[1], crop_index=True)"
        job = f"import benchmarks.data\n{IMPORTS}\n---\n{line}"
        found = processes_in_turns([partial(_fresh, job, file) for file in files], rounds)
        stores = [
            mtfast.convert(file, Path(folder) / f"{k}.zarr", crop_index=True)
            for k, file in enumerate(files)
        ]
        tables = [mtfast.open_source(file).table(SPLIT, VARIANT) for file in files]
        reads = [_reads(*pair) for pair in zip(stores, tables, strict=True)]
        seconds = [usage.seconds for usage in found], [usage.peak_bytes for usage in found]
        yield Row(f"{kind}: convert the set", seconds[0][0], way, seconds[0][1], *seconds[1])
        for name, read in reads[0].items():
            taken = race([read, reads[1][name]], 4 * rounds, turn=TURN)
            yield Row(f"{kind}: {name}", taken[0], way, taken[1])


def _reads(store: Path, table: RunTable) -> dict[str, Callable[[int], object]]:
    """Return ways to read an image of a store by a number that counts all but an outlier."""
    train = mtfast.open(store)[SPLIT]
    usual = np.flatnonzero(train.heights <= LONGEST)
    order = usual[np.random.default_rng(data.SEED).permutation(usual.size)].tolist()
    readers = {
        f"loader sample, {what}": Reader(store, SPLIT, crop=crop)
        for what, crop in (("a window", WINDOW), ("whole", None))
    }
    grid = MaskGrid.of(table.heights, table.widths)

    def at(k: int) -> int:
        return order[k % len(order)]

    def sample(k: int) -> object:
        one = train[at(k)]
        return one.image, one.semantic, one.instances

    def crop(k: int) -> object:
        one = train.crop(at(k), *_window(*train.size(at(k))))
        return one.image, one.semantic

    return {
        "semantic(i)": lambda k: train.semantic(at(k)),
        "image(i)": lambda k: train.image(at(k)),
        "instances(i)": lambda k: train.instances(at(k)),
        "train[i]": sample,
        f"crop of {WINDOW} x {WINDOW}": crop,
        **{
            name: lambda k, reader=reader: reader.read(SampleKey(0, at(k)))
            for name, reader in readers.items()
        },
        "encode the mask for zarr": lambda k: list(mask_chunks(table.image(at(k)), np.uint8, grid)),
    }


def main(arguments: list[str] | None = None) -> None:
    parser = amounts_parser(
        "benchmarks.coco_shape",
        __doc__,
        quick="few images, few rounds",
        full="more rounds",
    )
    given = parser.parse_args(arguments)
    shape = QUICK if given.quick else VAL2017
    with data.scratch() as folder:
        found = differences(make_set(shape), Path(folder))
    print("images that differ:", ", ".join(f"{what} {n}" for what, n in found.items()))
    rows = collected(measure(shape, 2 if given.quick else 2 * ROUNDS if given.full else ROUNDS))
    text = markdown(rows)
    print(text)
    if given.markdown:
        given.markdown.write_text(text, encoding="utf-8")
    print(f"The sets are kept in {data.cache()}.", file=sys.stderr)
    if found.total():
        raise SystemExit(1)


if __name__ == "__main__":
    main()
