"""One sample: the view of an image and of its masks, as numpy arrays."""

from __future__ import annotations

import logging
import operator
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mtfast.addresses import Address
from mtfast.arguments import ImagesOption, as_integer, check_flag, check_size, wants_images
from mtfast.caching import cached_property
from mtfast.errors import MtfastError, StoreError, no_such, one_of
from mtfast.loaders.classes import AGNOSTIC, ClassTable, number_classes
from mtfast.loaders.cutting import (
    Inside,
    cut_instances,
    inside_of,
    pad_pixels,
    paint_labels,
    sample_pixels,
    transform_instances,
)
from mtfast.loaders.epoch_order import EpochOrder, Int64
from mtfast.loaders.reader_arguments import (
    CROWDS,
    TARGETS,
    Crowds,
    StoreLike,
    checked_augment,
    checked_intensity,
    checked_targets,
    place_of,
)
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment, View, allowed_turns, check_fits, choose_view
from mtfast.painting.instance_targets import InstanceTargets, instance_targets
from mtfast.store.reading.store import Split, Store, open_store
from mtfast.table import RunTable

__all__ = ["Reader", "TrainingSample", "checked_position"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainingSample:
    """One sample of an epoch; what was not asked for is None.

    Attributes
    ----------
    index : int
        Of the image in its split.
    name : str
        Of the image.
    view : View
    image : (h, w, 3) uint8, or (h, w, 1) or (h, w, 3) uint16; RGB or grey, C order
    semantic : (h, w) uint8 or uint16, C order
        Number of the class of each pixel, 0 is background; uint16 from 255 classes on.
    instances : InstanceTargets
        Those with a pixel in the view; labels are numbers of classes, from 1 on.
    member : int
        Number of the set that it is of, in a mixture of several.
    """

    index: int
    name: str
    view: View
    image: NDArray[Any] | None = None
    semantic: NDArray[Any] | None = None
    instances: InstanceTargets | None = None
    member: int | None = None


class Reader:
    """Reads the samples of one split of a store. Pickles as what it was made with.

    Parameters
    ----------
    store : path-like or Store
        A folder, an address such as ``s3://bucket/set.zarr``, or an opened store.
    split : str
    variant, crop, augment, targets, images, class_agnostic, classes, crowds, intensity
        As for :class:`mtfast.loaders.torch.Dataset`.
    seed, cache_bytes : int
        As there.

    Attributes
    ----------
    indices : (n,) int64
        Index in its split of each image of the set, in the order of the variant.

    Raises
    ------
    StoreError
        If there is no such store, split or variant, or it holds no images.
    MtfastError
        If another argument makes no sense, or the crop does not fit into any image.

    Examples
    --------
    >>> reader = Reader("graphene.zarr", crop=512, augment=Augment(near=0.5))    # doctest: +SKIP
    >>> sample = reader.read(SampleKey(epoch=0, position=7))                     # doctest: +SKIP
    >>> sample.image.shape, sample.instances.masks.shape                         # doctest: +SKIP
    ((512, 512, 3), (4, 512, 512))

    Notes
    -----
    What is chosen (variant, how windows are decoded) is logged at INFO.
    """

    def __init__(
        self,
        store: StoreLike,
        split: str = "train",
        *,
        variant: str | None = None,
        crop: int | tuple[int, int] | None = None,
        augment: Augment | None = None,
        targets: Collection[str] = TARGETS,
        images: ImagesOption = True,
        class_agnostic: bool = False,
        classes: Sequence[str | int] | None = None,
        crowds: Crowds = "drop",
        intensity: tuple[float, float] | None = None,
        seed: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        self._given = store if isinstance(store, Store) else None
        self.store = place_of(store)
        self.split_name = split
        self.crop = None if crop is None else check_size(crop, "crop")
        self.augment = checked_augment(augment)
        self.targets = checked_targets(targets)
        self.images = wants_images(images)
        check_flag("class_agnostic", class_agnostic)
        self.class_agnostic = bool(class_agnostic)
        one_of("crowds", crowds, CROWDS)
        self.crowds = crowds
        self.intensity = checked_intensity(intensity)
        self.seed = as_integer("seed", seed, 0)
        self.cache_bytes = as_integer("cache_bytes", cache_bytes, 0)
        # Opened now, so that errors are raised where the reader is made.
        where = f"split {split!r} of {self.store}"
        self.variant = self.split.semantic_variant if variant is None else variant
        if self.variant not in self.split.variants:
            raise StoreError(no_such("variant", str(variant), self.split.variants, where))
        self.indices: Int64 = self.split.images_of(self.variant)
        if not self.indices.size:
            raise StoreError(f"{where}: {self.variant} lists no image; expected some; pick another")
        if self.images and not self.split.has_images:
            raise StoreError(
                f"{where} holds masks only; expected images; convert the set again with "
                f"images='keep', or read with images=False"
            )
        if self.crop:
            self._check_crop(self.crop)
        self.classes = self._class_table(classes)
        self._log_choices()

    def __getstate__(self) -> dict[str, Any]:
        return {k: v for k, v in self.__dict__.items() if k not in ("_opened", "split", "_cache")}

    def __repr__(self) -> str:
        crop = f" cropped to {self.crop[0]} x {self.crop[1]}" if self.crop else ""
        return (
            f"<{len(self):,} images of {self.variant} in split {self.split_name} of {self.store}"
            f"{crop}, {len(self.classes)} classes>"
        )

    def __len__(self) -> int:
        return len(self.indices)

    @cached_property
    def _opened(self) -> Store:
        return open_store(self.store) if self._given is None else self._given

    @cached_property
    def split(self) -> Split:
        """The split, opened by the process that reads from it."""
        return self._opened[self.split_name]

    @property
    def is_remote(self) -> bool:
        """Whether the store is elsewhere, so that what is read is best asked for early."""
        return isinstance(self.store, Address)

    @cached_property
    def _cache(self) -> dict[int, NDArray[np.uint8]]:
        return {}

    def _check_crop(self, crop: tuple[int, int]) -> None:
        """Refuse a crop that is larger than every image, however it is turned."""
        turned = bool(self.augment and self.augment.turn)
        sizes = np.unique(self._sizes, axis=0)
        fits = [
            bool(allowed_turns(crop, (h, w))) if turned else h >= crop[0] and w >= crop[1]
            for h, w in sizes.tolist()
        ]
        if not any(fits):
            if len(sizes) == 1:
                check_fits(crop, self._frame, turned)
            height, width = self._frame
            raise MtfastError(
                f"a crop of {crop[0]} x {crop[1]} from images of up to {height} rows and {width} "
                f"columns, into none of which it fits; expected one that fits into some, as only "
                f"smaller images are padded; crop less"
            )

    @property
    def _sizes(self) -> Int64:
        """Height and width of each image of the set, (n, 2) int64."""
        return np.stack([self.split.heights, self.split.widths], axis=1)[self.indices]

    @property
    def has_one_size(self) -> bool:
        """Whether samples have one size, as those of a batch need."""
        return self.crop is not None or len(np.unique(self._sizes, axis=0)) == 1

    @property
    def _frame(self) -> tuple[int, int]:
        """Rows of the image that has most of them, and columns."""
        height, width = self._sizes.max(axis=0).tolist()
        return height, width

    @property
    def _decoded_bytes(self) -> int:
        """What the images of the set take when they are decoded."""
        return int(3 * self._sizes.prod(axis=1).sum())

    @property
    def is_cached(self) -> bool:
        """Whether images are kept once they are decoded."""
        return self.images and self._decoded_bytes <= self.cache_bytes

    def _class_table(self, classes: Sequence[str | int] | None) -> ClassTable:
        if self.class_agnostic and classes is None:
            return AGNOSTIC
        found = number_classes(self._opened, self.split, self.variant, classes)
        if not self.class_agnostic:
            return found
        raise MtfastError(
            "classes and class_agnostic; expected one of them; leave out the other one"
        )

    @property
    def ignore_value(self) -> int:
        """Value of pixels in semantic masks that a loss is to leave out: 255, or 65535."""
        return int(np.iinfo(self.semantic_dtype).max)

    @property
    def semantic_dtype(self) -> np.dtype[Any]:
        """Of the semantic masks of all samples, whichever classes they show."""
        # The largest value is the ignore value.
        return np.dtype(np.uint8 if len(self.classes) < 255 else np.uint16)

    def class_counts(self) -> Int64:
        """Count the instances of each class in each image.

        Returns
        -------
        (n_images, n_classes) int64
            In the orders of the set and of :attr:`classes`; without crowds, unless they are kept.
        """
        category_ids, offsets = self.split.labels(self.variant)
        numbers = self._numbers(category_ids)
        if self.crowds != "keep":
            numbers = np.where(self.split.crowds(self.variant), 0, numbers)
        image = np.repeat(np.arange(len(self)), np.diff(offsets))
        n = len(self.classes) + 1
        counts = np.bincount(image * n + numbers, minlength=len(self) * n)
        return counts.reshape(-1, n)[:, 1:]

    def epoch_order(
        self,
        shuffle: bool = True,
        weights: NDArray[np.float64] | None = None,
        n_samples: int | None = None,
    ) -> EpochOrder:
        """Return the order of the samples.

        Parameters
        ----------
        shuffle : bool
            Otherwise they come in the order of the variant.
        weights : (n_images,) float64, optional
            How often each image comes.
        n_samples : int, optional
            Length of an epoch.

        Returns
        -------
        EpochOrder
        """
        return EpochOrder(
            self.indices,
            self.shard,
            self.seed,
            shuffle,
            weights=weights,
            n_samples=n_samples,
        )

    def image_numbers(self) -> Int64:
        """Return the index in its split of each image of the set, (n_images,) int64."""
        return self.indices

    @property
    def sample_size(self) -> tuple[int, int]:
        """Height and width of the samples."""
        return self.crop or self._frame

    def position(self, position: Any) -> int:
        """Return a position in the set as a number from 0 on.

        Parameters
        ----------
        position : int
            Negative ones count from the end.

        Returns
        -------
        int

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or it is not an integer.
        """
        return checked_position(position, len(self))

    @property
    def shard(self) -> int:
        """Images in a shard of the store."""
        return int(self.split.store.attributes.get("shard", 1))

    def view_of(self, key: SampleKey | int) -> tuple[int, RunTable, View]:
        """Choose the view of a sample.

        Parameters
        ----------
        key : SampleKey or int
            An integer is a position in the set, in epoch 0; negative ones count from its end.

        Returns
        -------
        index : int
            Of the image in its split.
        table : RunTable
            The instances of the image, see :meth:`with_class_numbers`.
        view : View
            It goes beyond an image that is smaller than the crop.

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or it is not an integer.
        """
        key = SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, key)
        index = int(self.indices[self.position(key.position)])
        table = self.with_class_numbers(self.split.instances(index, self.variant))
        seed = (self.seed, key.epoch, 1 + index, *[key.repeat][: key.repeat])
        view = choose_view(self.without_ignored(table), self.crop, self.augment, seed)
        return index, table, view

    def read(self, key: SampleKey | int) -> TrainingSample:
        """Read a sample.

        Parameters
        ----------
        key : SampleKey or int
            An integer is a position in the set, in epoch 0; negative ones count from its end.

        Returns
        -------
        TrainingSample
            Beyond an image that is smaller than the crop, pixels are black, masks of instances
            empty, and the semantic mask has :attr:`ignore_value`.

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or it is not an integer.
        StoreError
            If the store is damaged.
        """
        index, table, view = self.view_of(key)
        cut, inside = cut_instances(table, view)
        image = labels = instances = None
        if self.images:
            image = view.apply_to_image(self._pixels(index, view, inside))
        if "semantic" in self.targets:
            painted = paint_labels(cut, inside, self.semantic_dtype, self.ignore_value)
            labels = view.apply_to_labels(painted)
        if "instances" in self.targets:
            instances = transform_instances(view, instance_targets(self.without_ignored(cut)))
        return TrainingSample(index, str(self.split.names[index]), view, image, labels, instances)

    def pixels(self, key: SampleKey | int) -> NDArray[Any]:
        """Read the image of a sample alone.

        Parameters
        ----------
        key : SampleKey or int
            As for :meth:`read`.

        Returns
        -------
        (h, w, channels) uint8 or uint16
            That of :meth:`read`.

        Raises
        ------
        IndexError, TypeError, StoreError
            As :meth:`read`.
        """
        index, table, view = self.view_of(key)
        return view.apply_to_image(self._pixels(index, view, inside_of(view, table)))

    def fetch_ahead(self, position: int) -> None:
        """Ask the system for the bytes of an image that will be read soon; returns at once.

        Parameters
        ----------
        position : int
            In the set.
        """
        self.split.fetch_ahead(int(self.indices[position]))

    def warm(self) -> None:
        """Load what worker processes share that are forked afterwards: kernels, columns, cache."""
        if len(self):
            self.read(0)
        if self.is_cached:
            for index in self.indices.tolist():
                self._whole(index)

    def _pixels(self, index: int, view: View, inside: Inside) -> NDArray[Any]:
        y, x, h, w = view[:4]
        top, left = max(y, 0), max(x, 0)
        if self.is_cached:
            # A copy, as training code may write into its samples.
            pixels = self._whole(index)[top : top + inside.h, left : left + inside.w].copy()
        elif inside[2:] == self.split.size(index):
            pixels = self.split.image(index)
        else:
            pixels = self.split.crop_image(index, top, left, inside.h, inside.w)
        return pad_pixels(sample_pixels(pixels, self.intensity), inside, h, w)

    def _whole(self, index: int) -> NDArray[Any]:
        image = self._cache.get(index)
        if image is None:
            image = self._cache[index] = self.split.image(index)
        return image

    def with_class_numbers(self, table: RunTable) -> RunTable:
        """Replace the category ids of a table by the numbers of the classes.

        Parameters
        ----------
        table : RunTable
            Of images of this set, with the category ids of the variant.

        Returns
        -------
        RunTable
            Its category ids are numbers of :attr:`classes`. Instances of other classes are left
            out, crowds too. If crowds are ignored they come first and have the ignore value.
        """
        numbers = self._numbers(table.category_ids)
        shown = numbers > 0
        if self.crowds != "keep" and np.any(crowd := table.iscrowd != 0):
            if self.crowds == "drop":
                shown &= ~crowd
            numbers[crowd] = self.ignore_value
            # Painted before all others of their image.
            order = np.lexsort((~crowd, table.image_of_instance))
            order = order[shown[order]]
            return _with_category_ids(table[order], numbers[order])
        if not np.all(shown):
            return _with_category_ids(table[shown], numbers[shown])
        return _with_category_ids(table, numbers)

    def _numbers(self, category_ids: Int64) -> Int64:
        if self.class_agnostic:
            return np.ones(len(category_ids), np.int64)
        return self.classes.numbers_of(category_ids)

    def without_ignored(self, table: RunTable) -> RunTable:
        """Leave out the crowds that only count in the semantic mask.

        Parameters
        ----------
        table : RunTable
            As :meth:`with_class_numbers` returns it.

        Returns
        -------
        RunTable
            The instances of samples, and those that windows may be near.
        """
        if self.crowds != "ignore" or not np.any(table.iscrowd):
            return table
        return table[table.iscrowd == 0]

    def _log_choices(self) -> None:
        where = f"split {self.split_name} of {self.store}"
        logger.info("%s: variant %s, %s images", where, self.variant, f"{len(self):,}")
        logger.info("%s: %s", where, self._decoding())
        n_crowds = int(np.count_nonzero(self.split.crowds(self.variant)))
        if n_crowds and self.crowds != "keep":
            logger.warning(
                "%s: %s of %s annotations are crowds and are %s; crowds='keep' takes them as "
                "ordinary instances",
                where,
                f"{n_crowds:,}",
                f"{len(self.split.labels(self.variant)[0]):,}",
                "left out" if self.crowds == "drop" else "ignored",
            )
        if self.images and self.cache_bytes and not self.is_cached:
            logger.warning(
                "%s: nothing is cached; cache_bytes is %s, the decoded images take %s",
                where,
                f"{self.cache_bytes:,}",
                f"{self._decoded_bytes:,}",
            )
        crop = self.sample_size
        small = self._sizes < crop
        if self.crop and np.any(small):
            logger.warning(
                "%s: %s of %s images are smaller than the crop and are padded; padding has the "
                "value %d in semantic masks",
                where,
                f"{np.count_nonzero(small.any(axis=1)):,}",
                f"{len(self):,}",
                self.ignore_value,
            )
        if self.augment and self.augment.turn and len(allowed_turns(crop, self._frame)) < 4:
            logger.info("%s: two of four turns, as the window fits one way only", where)

    def _decoding(self) -> str:
        """How images are decoded, and why, for the log."""
        if not self.images:
            return "masks only, no image is decoded"
        if self.is_cached:
            return f"each image is decoded once and kept, {self._decoded_bytes:,} bytes in all"
        scaled = self.augment is not None and self.augment.scale != (1, 1)
        if self.crop in (None, self._frame) and not scaled:
            return "whole images are decoded, as samples are whole images"
        if self.split.has_crop_index:
            return "windows are decoded with the crop index"
        return (
            "whole images are decoded for each window, as the store has no crop index; "
            "'mtfast index' adds one"
        )


def checked_position(position: Any, n: int) -> int:
    """Return a position in a set as a number from 0 on.

    Parameters
    ----------
    position : int
        Negative ones count from the end.
    n : int
        Samples of the set.

    Returns
    -------
    int

    Raises
    ------
    IndexError, TypeError
        If there is no such position, or it is not an integer.

    Examples
    --------
    >>> checked_position(-1, 5)
    4
    """
    number = operator.index(position)
    if not -n <= number < n:
        raise IndexError(f"sample {number} of a set of {n}")
    return number % n


def _with_category_ids(table: RunTable, category_ids: Int64) -> RunTable:
    category_ids.flags.writeable = False
    kept: dict[str, Any] = {name: getattr(table, name) for name in table.__dataclass_fields__}
    return RunTable.unchecked(**kept | {"category_ids": category_ids})
