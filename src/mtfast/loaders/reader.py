"""One sample: the view of an image and of its masks, as numpy arrays."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, StoreError
from mtfast.loaders.order import Int64, Order, Pick
from mtfast.loaders.views import Augment, View, choose_view
from mtfast.painting.crop import crop_table
from mtfast.painting.paint import semantic, semantic_dtype
from mtfast.painting.targets import InstanceTargets, instance_targets
from mtfast.store.reading.store import Split, open_store
from mtfast.table import Category, RunTable

__all__ = ["TARGETS", "Item", "Reader"]

TARGETS = ("semantic", "instances")


@dataclass(frozen=True)
class Item:
    """One sample of an epoch; what was not asked for is None.

    Attributes
    ----------
    index : int
        Of the image in its split.
    name : str
    view : View
    image : (h, w, 3) uint8, RGB, C order
    semantic : (h, w) uint8 or uint16
        Number of the class of each pixel, 0 is background; uint16 if the set has more than 255.
    instances : InstanceTargets
        Those with a pixel in the view; labels are numbers of classes, from 1 on.
    """

    index: int
    name: str
    view: View
    image: NDArray[np.uint8] | None = None
    semantic: NDArray[Any] | None = None
    instances: InstanceTargets | None = None


class Reader:
    """Reads the samples of one split of a store. Pickles as what it was made with.

    Parameters
    ----------
    store : path-like
    split : str
    variant : str, optional
        Any annotation file of the split, n-shot subsets too; by default the one that the store's
        semantic masks were painted from. The images that it lists are the set.
    crop : int or (height, width), optional
        Size of the samples; whole images without it.
    augment : Augment, optional
        How views vary; without it they are the middle of the images.
    targets : collection of str
        Any of "semantic" and "instances".
    images : bool
        Whether images are read, not only masks.
    class_agnostic : bool
        Number all classes 1.
    seed : int
        Order and views of every epoch follow from it.
    cache_bytes : int
        A set whose decoded images fit into so many bytes is decoded only once, in each process
        that reads from it; a set that does not fit is not kept at all.

    Raises
    ------
    StoreError
        If there is no such store, split or variant, or it holds no images.
    MtfastError
        If another argument makes no sense.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        split: str = "train",
        *,
        variant: str | None = None,
        crop: int | tuple[int, int] | None = None,
        augment: Augment | None = None,
        targets: Collection[str] = TARGETS,
        images: bool = True,
        class_agnostic: bool = False,
        seed: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        if isinstance(targets, str) or not set(targets) <= set(TARGETS):
            raise MtfastError(f"targets {targets!r}; expected some of {TARGETS}; give a list")
        self.store = Path(store).absolute()
        self.split_name = split
        self.crop = (crop, crop) if isinstance(crop, int) else crop
        self.augment = augment
        self.targets = tuple(t for t in TARGETS if t in targets)
        self.images = images
        self.class_agnostic = class_agnostic
        self.seed = seed
        self.cache_bytes = cache_bytes
        # Opened now, so that what is wrong is said where the reader is made.
        self.variant = variant or self.split.semantic_variant
        self.indices: Int64 = self.split.images_of(self.variant)
        if images and not self.split.has_images:
            raise StoreError(
                f"split {split!r} of {self.store} holds masks only; expected images; convert the "
                f"set again with --images jpeg, or read with images=False"
            )

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("split", "_cache")}

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def split(self) -> Split:
        """The split, opened by the process that reads from it."""
        return open_store(self.store)[self.split_name]

    @cached_property
    def _cache(self) -> dict[int, NDArray[np.uint8]]:
        return {}

    @property
    def is_cached(self) -> bool:
        """Whether images are kept once they are decoded."""
        return self.images and len(self) * 3 * self.split.height * self.split.width <= (
            self.cache_bytes
        )

    @cached_property
    def categories(self) -> tuple[Category, ...]:
        """The classes as they are numbered here, from 1 on, in the order of the file's ids."""
        if self.class_agnostic:
            return (Category(1, "object"),)
        return tuple(Category(number, c.name) for number, c in enumerate(sorted(self._listed), 1))

    @cached_property
    def _listed(self) -> tuple[Category, ...]:
        return self.split.categories(self.variant)

    @property
    def semantic_dtype(self) -> np.dtype[Any]:
        """Of the semantic masks of all samples, whichever classes they show."""
        return semantic_dtype(np.array([0, len(self.categories)]))

    def order(self, shuffle: bool = True) -> Order:
        """Return the order of the samples."""
        shard = int(self.split.store.attributes.get("shard", 1))
        return Order(self.indices, shard, self.seed, shuffle)

    def read(self, pick: Pick | int) -> Item:
        """Read a sample; a plain number is a place in the set, in epoch 0.

        Raises
        ------
        IndexError
            If there is no such place.
        MtfastError
            If the image is smaller than the crop.
        """
        epoch, place = pick if isinstance(pick, tuple) else (0, pick)
        if not -len(self) <= place < len(self):
            raise IndexError(f"sample {place} of a set of {len(self)}")
        index = int(self.indices[place])
        table = self.numbered(self.split.instances(index, self.variant))
        view = choose_view(table, self.crop, self.augment, (self.seed, epoch, 1 + index))
        part = crop_table(table, view[:4])
        return Item(
            index,
            str(self.split.names[index]),
            view,
            view.lay_out_image(self._pixels(index, view)) if self.images else None,
            view.lay_out_labels(self._semantic(part)) if "semantic" in self.targets else None,
            _lay_out(instance_targets(part), view) if "instances" in self.targets else None,
        )

    def _semantic(self, part: RunTable) -> NDArray[Any]:
        frame = np.empty((1, *part.common_size()), self.semantic_dtype)
        semantic(part, out=frame)
        pixels: NDArray[Any] = frame[0]
        return pixels

    def fetch_ahead(self, place: int) -> None:
        """Ask the system for the bytes of a sample's image, which will be read soon."""
        self.split.fetch_ahead(int(self.indices[place]))

    def warm(self) -> None:
        """Load what processes that are forked after it share: kernels, columns, kept images."""
        if len(self):
            self.read(0)
        if self.is_cached:
            for index in self.indices.tolist():
                self._whole(index)

    def _pixels(self, index: int, view: View) -> NDArray[np.uint8]:
        y, x, h, w = view[:4]
        if self.is_cached:
            return self._whole(index)[y : y + h, x : x + w]
        if (h, w) == (self.split.height, self.split.width):
            return self.split.image(index)
        return self.split.crop(index, y, x, h, w).image

    def _whole(self, index: int) -> NDArray[np.uint8]:
        image = self._cache.get(index)
        if image is None:
            image = self._cache[index] = self.split.image(index)
        return image

    def numbered(self, table: RunTable) -> RunTable:
        """Replace the category ids of a table by the numbers of the classes."""
        if self.class_agnostic:
            return _with_categories(table, np.ones(table.n_instances, np.int64))
        ids = np.array(sorted(c.id for c in self._listed), np.int64)
        at = np.searchsorted(ids, table.category_ids)
        unlisted = ids[np.minimum(at, ids.size - 1)] != table.category_ids if ids.size else at >= 0
        if np.any(unlisted):
            k = int(np.argmax(unlisted))
            raise MtfastError(
                f"annotation {table.instance_ids[k]} has category {table.category_ids[k]}; "
                f"expected one of the {ids.size} that {self.variant} lists; correct the file, or "
                f"read it class-agnostic"
            )
        return _with_categories(table, at + 1)


def _with_categories(table: RunTable, category_ids: Int64) -> RunTable:
    category_ids.flags.writeable = False
    kept: dict[str, Any] = {name: getattr(table, name) for name in table.__dataclass_fields__}
    return RunTable.unchecked(**kept | {"category_ids": category_ids})


def _lay_out(targets: InstanceTargets, view: View) -> InstanceTargets:
    masks = view.lay_out_labels(targets.masks)
    if not view.resized:
        return targets._replace(masks=masks, boxes=view.lay_out_boxes(targets.boxes))
    # Resizing moves edges, and may leave nothing of a small instance.
    areas = np.count_nonzero(masks, axis=(1, 2))
    kept = areas > 0
    return InstanceTargets(
        masks[kept],
        boxes_of(masks[kept]),
        targets.labels[kept],
        areas[kept],
        targets.ids[kept],
    )


def boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Measure the boxes [left, top, right, bottom] of (n, h, w) masks, none of which is empty."""
    columns: NDArray[np.bool_] = np.any(masks, axis=1)
    rows: NDArray[np.bool_] = np.any(masks, axis=2)
    return np.stack(
        [
            columns.argmax(axis=1),
            rows.argmax(axis=1),
            columns.shape[1] - columns[:, ::-1].argmax(axis=1),
            rows.shape[1] - rows[:, ::-1].argmax(axis=1),
        ],
        axis=1,
    ).astype(np.float32)
