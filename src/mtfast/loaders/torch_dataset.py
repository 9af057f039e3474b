"""The samples of a split as PyTorch's map-style dataset."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Self

import numpy as np
import torch.utils.data
from numpy.typing import NDArray

from mtfast.arguments import ImagesOption, as_integer
from mtfast.errors import MtfastError, shown
from mtfast.loaders.batches import PackedBatch, pack_batch, pack_dicts, unpack_batch
from mtfast.loaders.classes import ClassTable
from mtfast.loaders.forms import (
    FORMS,
    Formatted,
    apply_transform,
    check_form,
    check_image_format,
)
from mtfast.loaders.mixture import Mixture
from mtfast.loaders.reader import Reader
from mtfast.loaders.reader_arguments import TARGETS, Crowds, StoreLike
from mtfast.loaders.reads import MOST_EPOCHS, ReadCounts
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.seeding import seeded
from mtfast.loaders.views import Augment

__all__ = ["Dataset"]

Transform = Callable[..., Any]


class Dataset(torch.utils.data.Dataset[Any]):  # type: ignore[misc]
    """The samples of one split of a store, map-style.

    It pickles as what it was made with, and each process opens the store for itself, so it works
    in forked and in spawned workers, of :class:`Loader` and of every other loader.

    Parameters
    ----------
    store : path-like or Store
        A folder, an address such as ``s3://bucket/set.zarr``, or what :func:`mtfast.open` returned.
        A store written by :func:`mtfast.convert`.
    split : str
    form : {"tensors", "dicts", "tv_tensors", "torchvision", "detectron2", "mask2former"}
        What a sample is, see :mod:`mtfast.loaders.forms`.
    image_format : {"RGB", "BGR"}, optional
        Order of the channels; RGB by default. The forms "detectron2" and "mask2former" need it, as
        their configs differ.
    variant : str, optional
        Any annotation file of the split, n-shot subsets too; by default the one that the store's
        semantic masks were painted from. The images that it lists are the set.
    crop : int or (height, width), optional
        Size of the samples in pixels, one integer for squares; whole images without it.
    augment : Augment, optional
        How views vary; without it they are the middle of the images.
    targets : collection of str
        Any of "semantic" and "instances".
    images : bool, "keep" or "none"
        Whether images are read, not only masks.
    class_agnostic : bool
        Number all classes 1.
    classes : sequence of str or int, optional
        Names or category ids of the classes, in the order of their numbers; instances of others
        are left out. By default all that any split of the store lists, in the order of their ids.
    crowds : {"drop", "ignore", "keep"}
        What becomes of annotations with ``iscrowd`` 1, regions in which objects were not told
        apart: left out, as detectron2, mmdetection and Mask2Former do; pixels of the ignore value
        (255, or 65535 in a mask of uint16) in the semantic mask where no other instance is; or
        instances like others.
    intensity : (low, high), optional
        Images of 16 bits become 8 bits: values up to ``low`` are 0 and those from ``high`` on 255.
        Without it they stay uint16, (3, h, w) or (1, h, w).
    transform : callable, optional
        Called on each sample, in the process that reads it; see Notes.
    seed : int
        Order and views of every epoch follow from it; not negative.
    cache_bytes : int
        A set whose decoded images fit into this many bytes is decoded only once, in each process
        that reads from it; forked workers share what this process has decoded. Of a set that does
        not fit nothing is kept.

    Attributes
    ----------
    classes : tuple of ClassLabel
        Number, category id and name of each class. ``json.dumps(data.classes)`` is a table to be
        kept beside a checkpoint.

    Raises
    ------
    StoreError
        If there is no such store, split or variant, or it holds no images.
    MtfastError
        If another argument makes no sense, a library that the form needs is missing, or the crop
        does not fit into the images, however it is turned.

    Examples
    --------
    >>> data = Dataset("graphene.zarr", crop=64, augment=Augment(near=0.5))
    >>> data[7]["image"].shape, data[7]["semantic"].dtype
    (torch.Size([3, 64, 64]), torch.uint8)
    >>> [label.name for label in data.classes]
    ['1 layer', '2 layers', '3 layers', '4 layers']

    Notes
    -----
    A sample in the form "tensors" is a dict: ``image`` (3, h, w) uint8 RGB, a view of (h, w, 3)
    memory; ``semantic`` (h, w) uint8, or uint16 from 255 classes on; ``masks`` (n, h, w) bool,
    ``boxes`` (n, 4) float32, ``labels``, ``areas`` and ``ids`` (n,) int64; and ``index``, ``name``
    and ``view`` of the image. Details are in :mod:`mtfast.loaders.forms.tensors`.

    A seed promises the same views of the same images in every epoch, on every machine and in any
    process: a view follows from (seed, epoch, image), through words that numpy promises to keep.
    ``data[7]`` has no epoch: each time that an image is read its view is another, in this process
    and in all workers that share the dataset, also in those that live on from epoch to epoch. The
    k-th view is a function of the seed. :meth:`set_epoch` starts over in an epoch.

    A transform is given a dict of plain tensors, or (image, target) in the form "tv_tensors". It
    may change pixels, sizes and types, drop instances, and add tensors under other keys. The
    generators of torch, numpy and Python are seeded for each sample, and put back afterwards.
    Threads share them with the training loop: with ``workers="threads:4"`` the transform is called
    where batches are taken, between the steps of the loop.
    """

    def __init__(
        self,
        store: StoreLike,
        split: str = "train",
        *,
        form: str = "tensors",
        image_format: str | None = None,
        variant: str | None = None,
        crop: int | tuple[int, int] | None = None,
        augment: Augment | None = None,
        targets: Collection[str] = TARGETS,
        images: ImagesOption = True,
        class_agnostic: bool = False,
        classes: Sequence[str | int] | None = None,
        crowds: Crowds = "drop",
        intensity: tuple[float, float] | None = None,
        transform: Transform | None = None,
        seed: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        reader = Reader(
            store,
            split,
            variant=variant,
            crop=crop,
            augment=augment,
            targets=targets,
            images=images,
            class_agnostic=class_agnostic,
            classes=classes,
            crowds=crowds,
            intensity=intensity,
            seed=seed,
            cache_bytes=cache_bytes,
        )
        self._set(reader, form, image_format, transform)

    def _set(
        self, reader: Reader | Mixture, form: str, image_format: str | None, transform: Any
    ) -> None:
        if transform is not None and not callable(transform):
            raise MtfastError(f"transform is {shown(transform)}; expected a function; give one")
        self.form = check_form(form)
        self.image_format = check_image_format(form, image_format)
        self.transform: Transform | None = transform
        self.reader = reader
        self._reads = ReadCounts(len(reader))

    @classmethod
    def of(
        cls,
        reader: Reader,
        form: str = "tensors",
        *,
        image_format: str | None = None,
        transform: Transform | None = None,
    ) -> Self:
        """Make a dataset of the samples of a reader.

        Parameters
        ----------
        reader : Reader
        form : str
        image_format : {"RGB", "BGR"}, optional
        transform : callable, optional
            As for the class.

        Returns
        -------
        Dataset

        Raises
        ------
        MtfastError
            If there is no such form, or it needs an image_format.
        """
        dataset = cls.__new__(cls)
        dataset._set(reader, form, image_format, transform)
        return dataset

    @classmethod
    def mix(cls, datasets: Sequence[Dataset], shares: Sequence[float] | None = None) -> Self:
        """Mix the samples of several datasets.

        Parameters
        ----------
        datasets : sequence of Dataset
            Of equal forms, crops, targets, transforms and classes.
        shares : sequence of float, optional
            How many of the samples that :class:`Loader` draws are of each, relative to the others.
            By default each sample of each dataset comes once in an epoch.

        Returns
        -------
        Dataset
            Its samples also have ``member``, the number of the dataset that each is of; ``index``
            is that of the image in its own split.

        Raises
        ------
        MtfastError
            If the datasets do not go together.

        Examples
        --------
        >>> train, test = Dataset("graphene.zarr"), Dataset("graphene.zarr", "test")
        >>> both = Dataset.mix([train, test], shares=[0.9, 0.1])
        >>> len(both) == len(train) + len(test)
        True
        """
        sets = list(datasets)
        if not sets or not all(isinstance(data, Dataset) for data in sets):
            raise MtfastError(f"a mixture of {shown(datasets)}; expected datasets; give a list")
        first = sets[0]
        for name in ("form", "image_format", "transform"):
            found = [getattr(data, name) for data in sets]
            if any(value != found[0] for value in found):
                raise MtfastError(
                    f"a mixture of datasets whose {name} differs: {shown(found)}; expected one; "
                    f"make them alike"
                )
        readers = [data.reader for data in sets if isinstance(data.reader, Reader)]
        if len(readers) < len(sets):
            raise MtfastError("a mixture of mixtures; expected single datasets; mix all at once")
        mixture = cls.__new__(cls)
        mixture._set(Mixture(readers, shares), first.form, first.image_format, first.transform)
        return mixture

    def __repr__(self) -> str:
        return f"Dataset({self.reader!r}, form={self.form!r})"

    def __len__(self) -> int:
        return len(self.reader)

    @property
    def classes(self) -> ClassTable:
        """Number, category id and name of each class."""
        return self.reader.classes

    @property
    def ignore_value(self) -> int:
        """Value in semantic masks that a loss is to leave out: 255, or 65535 in uint16."""
        return self.reader.ignore_value

    def class_counts(self) -> NDArray[np.int64]:
        """Count the instances of each class in each image.

        Returns
        -------
        (n_images, n_classes) int64 array
            For :func:`mtfast.loaders.weights.repeat_factors`.
        """
        return self.reader.class_counts()

    def set_epoch(self, epoch: int) -> None:
        """Let samples that are asked for by their position be those of an epoch.

        Parameters
        ----------
        epoch : int
            From 0 on. If it is the current one, views go on varying as before.

        Raises
        ------
        MtfastError
            If it is not an integer, or negative.
        """
        self._reads.set_epoch(as_integer("epoch", epoch, 0, MOST_EPOCHS))

    def state_dict(self) -> dict[str, Any]:
        """Return which views this process has handed out, as plain numbers and text.

        Loaders that keep the state of a dataset use it, as ``torchdata.StatefulDataLoader`` does.
        :class:`Loader` does not need it.
        """
        return self._reads.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on with the views after those of a state.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned in the same worker.

        Raises
        ------
        MtfastError
            If it is another dataset's.
        """
        self._reads.load_state_dict(state)

    def __getitem__(self, key: SampleKey | int | slice) -> Formatted | list[Formatted]:
        """Read a sample.

        Parameters
        ----------
        key : int, slice or SampleKey
            A position in the set; negative ones count from its end. A key also says which epoch.

        Returns
        -------
        dict, or (image, target) in the forms "tv_tensors" and "torchvision"
            A list of them for a slice.

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or it is not an integer.
        """
        if isinstance(key, slice):
            return [self[k] for k in range(*key.indices(len(self)))]
        if not isinstance(key, tuple):
            position = self.reader.position(key)
            key = SampleKey(self._reads.epoch, position, self._reads.count(position))
        (sample,) = unpack_batch(self.read_batch([key]))
        return FORMS[self.form].convert(sample)

    def read_batch(
        self, keys: Sequence[SampleKey], out: NDArray[np.uint8] | None = None
    ) -> PackedBatch:
        """Read samples into one buffer.

        Parameters
        ----------
        keys : sequence of SampleKey
        out : (n_bytes,) uint8 array, optional
            A buffer to be used again, if it is large enough.

        Returns
        -------
        PackedBatch
        """
        if self.transform is None:
            return self.read_plain(keys, out)
        return self.transform_batch(keys, self.read_plain(keys), out)

    def read_plain(
        self, keys: Sequence[SampleKey], out: NDArray[np.uint8] | None = None
    ) -> PackedBatch:
        """Read samples into one buffer, without the transform.

        Parameters
        ----------
        keys : sequence of SampleKey
        out : (n_bytes,) uint8 array, optional

        Returns
        -------
        PackedBatch
        """
        self.fetch_ahead(keys)
        samples = [self.reader.read(key) for key in keys]
        return pack_batch(samples, out, self.image_format)

    def fetch_ahead(self, keys: Sequence[SampleKey]) -> None:
        """Start to request what samples need of a store elsewhere; returns at once.

        While the first ones are decoded, the others arrive.

        Parameters
        ----------
        keys : sequence of SampleKey
        """
        if self.reader.is_remote and self.reader.images and not self.reader.is_cached:
            for key in keys:
                self.reader.fetch_ahead(key.position)

    def transform_batch(
        self, keys: Sequence[SampleKey], batch: PackedBatch, out: NDArray[np.uint8] | None = None
    ) -> PackedBatch:
        """Call the transform on each sample of a batch.

        Parameters
        ----------
        keys : sequence of SampleKey
            Of the samples.
        batch : PackedBatch
            What :meth:`read_plain` returns for them.
        out : (n_bytes,) uint8 array, optional

        Returns
        -------
        PackedBatch
        """
        if self.transform is None:
            return batch
        samples = []
        for key, sample in zip(keys, unpack_batch(batch), strict=True):
            with seeded(self.reader.seed, *key):
                samples.append(apply_transform(self.form, sample, self.transform))
        return pack_dicts(samples, out)
