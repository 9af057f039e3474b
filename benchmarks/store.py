"""Writing a store and reading it at random."""

from itertools import count, cycle
from pathlib import Path

import numpy as np

import mtfast
from benchmarks import data
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.view_batches import ViewBatches
from mtfast.loaders.views import Augment
from mtfast.painting.encode import encode_masks
from mtfast.painting.instance_targets import instance_targets
from mtfast.store.writing.crop_index import encode_index, n_entries


class Open:
    """Open a store, and read the first mask after that."""

    def setup(self) -> None:
        self.scratch = data.scratch()
        self.store = mtfast.convert(
            data.label_set(data.scale), Path(self.scratch.name) / "store", images="none"
        )

    def teardown(self) -> None:
        self.scratch.cleanup()

    def time_open(self) -> None:
        mtfast.open(self.store)

    def time_open_and_read(self) -> None:
        mtfast.open(self.store)["train"].semantic(0)

    def time_open_and_read_instances(self) -> None:
        mtfast.open(self.store)["train"].instances(0)


class Read:
    """One random image of an open store a call."""

    def setup(self) -> None:
        self.scratch = data.scratch()
        store = mtfast.convert(data.jpeg_set(data.scale), Path(self.scratch.name) / "store")
        self.train = mtfast.open(store)["train"]
        self.order = cycle(np.random.default_rng(data.SEED).permutation(len(self.train)).tolist())
        self.mask = np.empty((self.train.height, self.train.width), np.uint8)
        self.time_semantic()
        self.time_image()
        self.time_instances()

    def teardown(self) -> None:
        self.scratch.cleanup()

    def time_semantic(self) -> None:
        self.train.semantic(next(self.order))

    def time_semantic_into_buffer(self) -> None:
        self.train.semantic(next(self.order), out=self.mask)

    def time_image(self) -> None:
        self.train.image(next(self.order))

    def time_instances(self) -> None:
        self.train.instances(next(self.order))


class Crop:
    """A random window of one image a call, and the index that makes it fast."""

    params = (256, 512)
    param_names = ("side",)

    def setup(self, side: int) -> None:
        self.scratch = data.scratch()
        path = Path(self.scratch.name) / "store"
        mtfast.convert(data.jpeg_set(data.scale), path, crop_index=True)
        self.train = mtfast.open(path)["train"]
        self.size = self.train.height, self.train.width
        height, width = (min(side, whole) for whole in self.size)
        rng = np.random.default_rng(data.SEED)
        low, high = (0, 0, 0), (len(self.train), *np.subtract(self.size, (height, width)) + 1)
        places = rng.integers(low, high, (64, 3)).tolist()
        self.windows = cycle([(*place, height, width) for place in places])
        self.file = self.train.image_bytes(0)
        self.time_image(side)
        self.time_semantic(side)
        self.time_instances(side)
        self.time_index(side)

    def teardown(self, side: int) -> None:
        self.scratch.cleanup()

    def time_image(self, side: int) -> None:
        self.train.crop_image(*next(self.windows))

    def time_semantic(self, side: int) -> None:
        _ = self.train.crop(*next(self.windows)).semantic

    def time_instances(self, side: int) -> None:
        image, *window = next(self.windows)
        instance_targets(self.train.instances(image), window)

    def time_index(self, side: int) -> None:
        encode_index(self.file, self.size, n_entries(self.size))


class ChooseViews:
    """The views of a batch of training samples, near instances and scaled."""

    params = (32, 256)
    param_names = ("batch",)

    def setup(self, batch: int) -> None:
        self.scratch = data.scratch()
        path = Path(self.scratch.name) / "store"
        mtfast.convert(data.label_set(data.scale), path, images="none")
        augment = Augment(near=0.5, scale=(0.8, 1.25))
        self.reader = Reader(path, crop=32, augment=augment, images=False)
        self.planner = ViewBatches(self.reader)
        positions = np.random.default_rng(data.SEED).integers(0, len(self.reader), batch)
        self.keys = [SampleKey(0, position) for position in positions.tolist()]
        self.time_views(batch)

    def teardown(self, batch: int) -> None:
        self.scratch.cleanup()

    def time_views(self, batch: int) -> None:
        self.planner.views(self.keys)

    def time_plan(self, batch: int) -> None:
        ViewBatches(self.reader)


class Convert:
    """A whole set: annotations alone, or with its image files."""

    params = ("none", "keep")
    param_names = ("images",)
    # A conversion is a second of work; it needs no repetition inside a sample.
    number = 1

    def setup(self, images: str) -> None:
        self.source = (data.label_set if images == "none" else data.jpeg_set)(data.scale)
        self.scratch = data.scratch()
        self.numbers = count()
        self.time_convert(images)

    def teardown(self, images: str) -> None:
        self.scratch.cleanup()

    def time_convert(self, images: str) -> None:
        self._convert(images)

    def peakmem_convert(self, images: str) -> None:
        self._convert(images)

    def _convert(self, images: str) -> None:
        mtfast.convert(
            self.source, Path(self.scratch.name) / str(next(self.numbers)), images=images
        )


class EncodeMasks:
    """The mask chunks of a set, without files."""

    def setup(self) -> None:
        self.table = data.label_table(data.scale)
        self.time_encode_masks()

    def time_encode_masks(self) -> None:
        for _ in encode_masks(self.table, np.uint8):
            pass
