"""The kernels on the annotations of 64 images, compiled and run once in ``setup``."""

import numpy as np

import mtfast
from benchmarks import data
from mtfast.kernels.files import rle_pack
from mtfast.kernels.rle import coco_string
from mtfast.loaders.views import View
from mtfast.painting.instance_targets import measure_masks
from mtfast.ragged import offsets_of
from mtfast.rles import class_overlaps
from mtfast.rles.label_map import scan_labels
from mtfast.rles.polygons import rasterise
from mtfast.synth.shapes import flake
from mtfast.table import RunTable

IMAGES = 64
POLYGONS = 500


class CocoText:
    """COCO text <-> counts of every instance."""

    def setup(self) -> None:
        self.table = table = _table("synthetic")
        self.n_pixels = table.n_pixels
        self.places = table.scratch()
        parts = []
        for k in range(table.n_instances):
            start, stop = table.rle_offsets[k : k + 2].tolist()
            n = coco_string.decode_places(table.rle, start, stop, self.n_pixels[0], self.places)
            parts.append(np.diff(self.places[:n], prepend=0))
        self.all_counts = np.concatenate(parts)
        self.count_offsets = offsets_of([part.size for part in parts])
        self.text = np.empty(coco_string.MAX_CHARACTERS * self.all_counts.size, np.uint8)
        self.text_offsets = np.empty(table.n_instances + 1, np.int64)
        self.time_decode()
        self.time_encode()

    def time_decode(self) -> None:
        table = self.table
        coco_string.check_strings(
            table.rle, table.rle_offsets, table.image_offsets, self.n_pixels, self.places
        )

    def time_encode(self) -> None:
        coco_string.encode_batch(self.all_counts, self.count_offsets, self.text, self.text_offsets)


class BrushAlpha:
    """Brush strokes of Label Studio -> alpha: 10,000 runs of 100 words of the foreground."""

    def setup(self) -> None:
        n_runs, length = 10_000, 100
        run = f"1{2:02b}{length - 1:08b}{255:08b}"
        bits = f"{n_runs * length:032b}{7:05b}" + "".join(f"{k - 1:04b}" for k in (3, 4, 8, 16))
        bits += n_runs * run
        self.data = np.packbits(np.frombuffer(bits.encode(), np.uint8) - ord("0"))
        self.alpha = np.empty(n_runs * length // 4, np.uint8)
        assert rle_pack.decode_alpha(self.data, self.alpha) == len(bits)

    def time_decode(self) -> None:
        rle_pack.decode_alpha(self.data, self.alpha)


class Paint:
    """One image after another, and the floor: filling its frame."""

    params = ("synthetic", "real")
    param_names = ("flakes",)

    def setup(self, flakes: str) -> None:
        self.images = data.images_of(_table(flakes))
        self.frame = np.empty((1, *_size(self.images[0])), np.uint8)
        self.time_paint(flakes)

    def time_paint(self, flakes: str) -> None:
        for image in self.images:
            mtfast.semantic(image, out=self.frame)

    def time_fill(self, flakes: str) -> None:
        for _ in self.images:
            self.frame.fill(0)


class Measure:
    """Area and box of every instance."""

    def setup(self) -> None:
        self.table = _table("synthetic")
        self.time_area()
        self.time_bbox()

    def time_area(self) -> None:
        self.table.area()

    def time_bbox(self) -> None:
        self.table.bbox()


class Overlaps:
    """Pixels that instances of different classes share."""

    def setup(self) -> None:
        self.table = _table("synthetic")
        self.time_class_overlaps()

    def time_class_overlaps(self) -> None:
        class_overlaps(self.table)


class ScanLabels:
    """Label map -> COCO text of every label."""

    params = ("uint8", "uint16", "int32")
    param_names = ("dtype",)

    def setup(self, dtype: str) -> None:
        # Masks are as sparse as in a real image; a label is a category here.
        self.label_map = mtfast.semantic(_table("synthetic").images([0]))[0].astype(dtype)
        self.time_scan_labels(dtype)

    def time_scan_labels(self, dtype: str) -> None:
        scan_labels(self.label_map)


class Resize:
    """The window of a training sample: its image and four masks, mirrored and turned."""

    params = (1, 0.8, 1.25)
    param_names = ("scale",)

    def setup(self, scale: float) -> None:
        rng = np.random.default_rng(data.SEED)
        side = min(*data.scale.size, 512)
        size = round(side / scale)
        self.view = View(0, 0, size, size, side, side, mirrored=True, turns=1)
        self.image = rng.integers(0, 256, (size, size, 3), np.uint8)
        self.masks = rng.integers(0, 2, (4, size, size)).astype(bool)
        self.time_image(scale)
        self.time_masks(scale)
        self.time_measure_masks(scale)

    def time_image(self, scale: float) -> None:
        self.view.apply_to_image(self.image)

    def time_masks(self, scale: float) -> None:
        self.view.apply_to_labels(self.masks)

    def time_measure_masks(self, scale: float) -> None:
        measure_masks(self.masks)


class Polygon:
    """Rings -> COCO text."""

    def setup(self) -> None:
        rng = np.random.default_rng(data.SEED)
        height, width = data.scale.size
        centres = rng.random(POLYGONS) * width + 1j * rng.random(POLYGONS) * height
        rings = [flake(rng, height * width / 2000) + centre for centre in centres]
        self.masks = [[ring.view(np.float64).tolist()] for ring in rings]
        self.sizes = [(height, width)] * POLYGONS
        self.time_rasterise()

    def time_rasterise(self) -> None:
        rasterise(self.masks, self.sizes, str)


def _table(flakes: str) -> RunTable:
    if flakes == "synthetic":
        return data.label_table(data.scale).images(slice(IMAGES))
    table = data.demo_table()
    if table is None:
        # asv leaves a benchmark out whose setup raises this.
        raise NotImplementedError("no demo images at hand")
    return table


def _size(image: RunTable) -> tuple[int, int]:
    return int(image.heights[0]), int(image.widths[0])
