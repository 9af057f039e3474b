"""A PyTorch dataset of a store, and a loader of its batches that can stop and resume anywhere."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from multiprocessing import get_all_start_methods, get_context
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

# Compiled code takes most of a second to load: here, not in the first batch.
import mtfast.kernels.operations.transform  # noqa: F401
from mtfast.arguments import ImagesOption, as_integer, check_flag
from mtfast.errors import MtfastError, no_such, shown
from mtfast.loaders.classes import ClassTable
from mtfast.loaders.mixture import Mixture
from mtfast.loaders.read_ahead import read_ahead
from mtfast.loaders.reader import TARGETS, Crowds, Reader, StoreLike
from mtfast.loaders.sampler import Epoch, SampleKey, Sampler
from mtfast.loaders.slots import Slots
from mtfast.loaders.views import Augment
from mtfast.loaders.weights import ClassWeights, weights_by_class

try:
    import torch.distributed
    import torch.utils.data
except ImportError:
    raise MtfastError(
        "a loader for PyTorch, but no 'torch'; expected it to be installed; "
        "run: pip install 'mtfast[torch]'"
    ) from None

from mtfast.loaders.batches import PackedBatch, pack_batch, pack_dicts, unpack_batch
from mtfast.loaders.forms import (
    FORMS,
    Formatted,
    apply_transform,
    check_form,
    check_image_format,
    collate,
    format_batch,
)
from mtfast.loaders.reads import MOST_EPOCHS, ReadCounts
from mtfast.loaders.seeding import seeded
from mtfast.loaders.workers import Pending, Team, Workers
from mtfast.loaders.world import distributed_world
from mtfast.public import public_names

__all__ = ["Dataset", "Loader", "collate"]

logger = logging.getLogger(__name__)

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
        What becomes of annotations with ``iscrowd`` 1: left out, as most training code does;
        pixels of the ignore value (255, or 65535 in a mask of uint16) in the semantic mask where
        no other instance is; or instances like others.
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


class Loader:
    """Batches of a dataset, in an order that follows from its seed alone.

    Each iteration goes through the next epoch, however far the one before came. Several may run at
    a time. Where a training loop calls :meth:`set_epoch`, iterations go through that epoch until
    the next call. A loaded state lets the next iteration resume where it was saved.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
        Samples in a batch of this rank.
    shuffle : bool
        Otherwise every epoch has the order of the annotation file.
    drop_last : bool
        Leave out the samples at the end of an epoch that do not fill a batch on every rank.
    pad : bool, optional
        Whether all ranks get equally many samples, as training needs: up to ``ranks - 1`` of the
        epoch's first samples come once more. Otherwise every sample comes exactly once, as
        validation needs. By default as ``shuffle``.
    workers : int or str
        Processes that read, or threads as "threads:4"; 0 reads where batches are taken.
    num_workers : int or str, optional
        The same under the name that PyTorch uses.
    start_method : {"fork", "spawn", "forkserver"}, optional
        How processes are started; by default Python's default on this system.
    prefetch : int
        Batches that each worker reads ahead of what the caller has taken; at least 1.
    pin_memory : bool
        Keep batches in page-locked memory, from which they reach a GPU faster. It is used again
        when the GPU's current stream has done what it was given until the batch was dropped, so
        ``to(device, non_blocking=True)`` is safe there.
    rank, ranks : int, optional
        Number of this process, from 0 on, and how many there are; give both or neither. By
        default ``torch.distributed`` is asked when an epoch begins.
    read_ahead : int
        The system is asked for the bytes of this many samples beyond those that the workers have
        prefetched, rounded up to whole batches; 0 switches it off.
    weights : (n,) array or mapping, optional
        How often each image comes, relative to the others: a number for each sample of the
        dataset, or name or number of a class -> weight of the images that show it (others have
        1). :func:`mtfast.loaders.weights.repeat_factors` makes those of LVIS.
    samples_per_epoch : int, optional
        Length of an epoch, on all ranks together; by default as many samples as the dataset has.
        Epochs of another length take up where the one before ended, unless there are weights.

    Attributes
    ----------
    dataset : Dataset
    sampler, batch_sampler : Sampler
        The order, and how far samples were handed out.
    batch_size, num_workers : int
    drop_last, pin_memory : bool

    Raises
    ------
    MtfastError
        If an argument makes no sense.

    Examples
    --------
    >>> data = Dataset("graphene.zarr", crop=64, augment=Augment(near=0.5))
    >>> with Loader(data, batch_size=4) as loader:
    ...     for batch in loader:
    ...         state = loader.state_dict()     # counts the samples that the loop has seen
    >>> batch["image"].shape, state["epoch"], state["handed"]
    (torch.Size([2, 3, 64, 64]), 1, 0)

    Notes
    -----
    A batch in the form "tensors" is a dict: ``image`` (B, 3, h, w) uint8 in the memory format
    channels_last, ``semantic`` (B, h, w), ``view`` (B, 8) and ``index`` (B,) int64, and lists of
    one element a sample under the other keys of a sample. The other forms give lists, as their
    libraries expect. All samples of a batch have one size.

    A worker reads a whole batch into memory that is used again when the caller holds none of its
    tensors any more; the tensors of a batch are views of it. Workers go on with the next epoch
    while the last batches of this one are used.

    The order of an epoch, and every sample, are the same for any number of workers and ranks and
    for every batch size. So a state resumes on another number of any of them.

    With several ranks an iteration that is left after its first batch does not count, so that a
    look at one batch on one rank leaves all ranks in step.

    Workers live as long as the loader; :meth:`close`, or its end, ends them. What the loader
    chooses is logged at INFO.
    """

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        pad: bool | None = None,
        workers: int | str = 0,
        num_workers: int | str | None = None,
        start_method: str | None = None,
        prefetch: int = 2,
        pin_memory: bool = False,
        rank: int | None = None,
        ranks: int | None = None,
        read_ahead: int = 64,
        weights: ClassWeights | NDArray[np.float64] | None = None,
        samples_per_epoch: int | None = None,
    ) -> None:
        if not isinstance(dataset, Dataset):
            raise MtfastError(
                f"a loader of {shown(dataset)}; expected an mtfast.loaders.torch.Dataset; make one"
            )
        for name, flag in (("shuffle", shuffle), ("drop_last", drop_last)):
            check_flag(name, flag)
        if pad is not None:
            check_flag("pad", pad)
        reader = dataset.reader
        if dataset.form == "tensors" and batch_size > 1 and not reader.has_one_size:
            raise MtfastError(
                "batches of images of several sizes in the form 'tensors'; expected one size; give "
                "the dataset crop=, or form='dicts' for lists"
            )
        self.dataset = dataset
        self.workers = Workers.of(workers, num_workers)
        self.start_method = _checked_start_method(start_method)
        self.pin_memory = pin_memory
        self._prefetch = as_integer("prefetch", prefetch, 1)
        if isinstance(weights, Mapping):
            weights = weights_by_class(reader.class_counts(), reader.classes, weights)
        order = reader.epoch_order(shuffle, weights, samples_per_epoch)
        sampler_type = Sampler if shuffle else _SequentialSampler
        self.sampler = self.batch_sampler = sampler_type(
            order,
            batch_size,
            world=_world_of(rank, ranks),
            drop_last=drop_last,
            pad=shuffle if pad is None else pad,
        )
        n_ahead = as_integer("read_ahead", read_ahead, 0)
        self._n_ahead = n_ahead if reader.images and not reader.is_cached else 0
        self._team: Any = None
        self._slots: Slots | None = None
        # Batches of the epochs to come, that no iteration has taken yet.
        self._upcoming: _Stream | None = None
        self._n_running = 0
        logger.info(
            "%s batches of %d samples an epoch, read by %s; %s",
            f"{len(self):,}",
            self.batch_size,
            self.workers,
            f"{n_ahead} samples are read ahead" if self._n_ahead else "nothing is read ahead",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        running = {"_team": None, "_slots": None, "_upcoming": None, "_n_running": 0}
        return self.__dict__ | running

    def __repr__(self) -> str:
        return (
            f"Loader({self.dataset!r}, batch_size={self.batch_size}): {len(self):,} batches an "
            f"epoch, read by {self.workers}; next is epoch {self.sampler.upcoming[0]}"
        )

    def __len__(self) -> int:
        """Batches in a whole epoch of this rank."""
        return len(self.sampler)

    @property
    def batch_size(self) -> int:
        """Samples in a batch."""
        return self.sampler.batch_size

    @property
    def drop_last(self) -> bool:
        """Whether samples that do not fill a batch are left out."""
        return self.sampler.drop_last

    @property
    def num_workers(self) -> int:
        """Number of processes or threads that read."""
        return self.workers.n

    @property
    def classes(self) -> ClassTable:
        """Number, category id and name of each class."""
        return self.dataset.classes

    @property
    def epoch(self) -> int:
        """The current epoch, or the next one if it is over."""
        return self.sampler.epoch

    def __iter__(self) -> Iterator[Formatted]:
        return _Batches(self)

    def start(self, epoch: int) -> None:
        """Let the next iteration go through an epoch, and those after it through the next ones.

        Parameters
        ----------
        epoch : int
            From 0 on.

        Raises
        ------
        MtfastError
            If it is not an integer, or negative.
        """
        self.sampler.start(epoch)

    def set_epoch(self, epoch: int) -> None:
        """Let all iterations go through an epoch, until the next call.

        Parameters
        ----------
        epoch : int
            From 0 on. The epoch of a state that was just loaded is resumed where it was left.

        Raises
        ------
        MtfastError
            If it is not an integer, or negative.
        """
        self.sampler.set_epoch(epoch)

    def state_dict(self) -> dict[str, int]:
        """Return how far samples were handed out, as plain numbers for JSON or a checkpoint.

        It is the place of the newest iteration that has handed out a batch. What workers have
        prefetched does not count. The state is the same on every rank after each step, and any
        number of ranks and workers can resume from it.
        """
        return self.sampler.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Let the next iteration resume at the first sample that was not handed out.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned, from JSON or a checkpoint too.

        Raises
        ------
        MtfastError
            If the state is that of another set, seed or order.
        """
        self.sampler.load_state_dict(state)

    def close(self) -> None:
        """End the workers; another iteration starts new ones."""
        if self._upcoming is not None and self._upcoming.team.is_alive:
            self._upcoming.close()
        if self._team is not None:
            self._team.close()
        self._upcoming = self._team = self._slots = None

    def _open(self) -> Any:
        """Return the workers; start them, unless they live."""
        if self._team is None or self._slots is None or not self._team.is_alive:
            processes = self.workers.n > 0 and not self.workers.are_threads
            if processes and get_context(self.start_method).get_start_method() == "fork":
                self.dataset.reader.warm()
            # Those being read, the one that the caller has, and some that it has kept.
            n_slots = self._depth + 4
            self._slots = Slots(n_slots, self._batch_bytes(), shared=processes)
            if self.pin_memory:
                _pin(self._slots)
            self._upcoming = None
            read = self.dataset.read_plain if self._transforms_here else self.dataset.read_batch
            fetch = self.dataset.fetch_ahead if self._fetches_in_workers else None
            n_turns = -(-self._n_ahead // max(1, self.batch_size * self.workers.n))
            self._team = Team(self.workers, read, self._slots, self.start_method, fetch, n_turns)
        return self._team

    @property
    def _fetches_in_workers(self) -> bool:
        """Whether each process reads ahead for itself: what was requested is in its memory."""
        processes = self.workers.n > 0 and not self.workers.are_threads
        return bool(self._n_ahead and processes and self.dataset.reader.is_remote)

    @property
    def _transforms_here(self) -> bool:
        """Whether the transform is called where batches are taken.

        Threads share the generators of random numbers with the training loop, which it seeds.
        """
        return self.workers.are_threads and self.dataset.transform is not None

    def _finished(self, keys: list[SampleKey], batch: Any) -> Any:
        """Return a batch that was read as users get it."""
        if self._transforms_here:
            batch = self.dataset.transform_batch(keys, batch)
        return format_batch(self.dataset.form, _pinned(batch) if self.pin_memory else batch)

    @property
    def _depth(self) -> int:
        """Batches that are read ahead of the caller."""
        return max(1, self.workers.n * self._prefetch)

    def _batch_bytes(self) -> int:
        """Bytes that a batch takes in most cases; memory that is not written to costs nothing."""
        reader = self.dataset.reader
        sample = 3 * reader.images + reader.semantic_dtype.itemsize * ("semantic" in reader.targets)
        masks = _MASKS_PER_SAMPLE * ("instances" in reader.targets)
        n = min(self.batch_size, len(self.sampler.order))
        return n * (math.prod(reader.sample_size) * (sample + masks) + _PAGE)

    def _take_stream(self, epoch: Epoch) -> _Stream:
        """Return the batches of an epoch, those that are being read already first."""
        # This drops batches that were being read when this process was forked.
        team = self._open()
        stream, self._upcoming = self._upcoming, None
        if stream is not None and stream.skip_to(epoch):
            return stream
        if stream is not None:
            stream.close()
        ahead = self._n_ahead and not self._fetches_in_workers
        fetch = self.dataset.reader.fetch_ahead if ahead else None
        # A second iteration beside another is often left soon, after a look at one batch.
        depth = 1 if self._n_running else self._depth
        return _Stream(self.sampler, epoch, team, (depth, self._depth), self._n_ahead, fetch)

    def _give_back(self, stream: _Stream) -> None:
        if self._upcoming is None and self._team is stream.team:
            self._upcoming = stream
        else:
            stream.close()


# Of a window of 512 x 512 around flakes; a batch that needs more gets memory of its own.
_MASKS_PER_SAMPLE = 8
_PAGE = 4096


class _SequentialSampler(Sampler, torch.utils.data.SequentialSampler):  # type: ignore[misc]
    """A sampler without shuffling, which training loops recognise by its type."""


class _Batches:
    """One iteration. Its epoch begins when its first batch is asked for."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._epoch: Epoch | None = None
        self._stream: _Stream | None = None
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        loader = self._loader
        if self._is_over:
            raise StopIteration
        try:
            if self._epoch is None:
                self._epoch = loader.sampler.begin()
                if self._epoch.n_left:
                    self._stream = loader._take_stream(self._epoch)
                    loader._n_running += 1
            if not self._epoch.n_left or self._stream is None:
                self._epoch.end()
                self.close()
                raise StopIteration
            keys, batch = self._stream.take()
            made = loader._finished(keys, batch)
            self._epoch.advance(len(keys))
            return made
        except StopIteration:
            raise
        except BaseException:
            # A worker that failed or was killed takes the others with it.
            self.close()
            loader.close()
            raise

    def close(self) -> None:
        """End the iteration; what was read ahead is kept for the next one."""
        self._is_over = True
        if self._epoch is not None:
            self._epoch.close()
        stream, self._stream = self._stream, None
        if stream is not None:
            self._loader._n_running -= 1
            self._loader._give_back(stream)

    def __del__(self) -> None:
        self.close()


class _Item(NamedTuple):
    """Samples of a batch, and the place in the epoch at which it begins."""

    epoch: int
    handed: int
    keys: list[SampleKey]


class _Stream:
    """The batches from a place on and those of the epochs after it, read by a team."""

    def __init__(
        self,
        sampler: Sampler,
        epoch: Epoch,
        team: Team,
        depth: tuple[int, int],
        n_ahead: int,
        fetch: Callable[[int], None] | None,
    ) -> None:
        self.team = team
        self._ranks = epoch.rank, epoch.ranks
        self._depth, self._most = depth
        self._items = _items(sampler, epoch.start)
        if fetch is not None:
            self._items = read_ahead(self._items, n_ahead, fetch)
        # One more than the team looks ahead is known before a batch is submitted.
        self._coming: deque[_Item] = deque()
        self._reading: deque[tuple[_Item, Pending]] = deque()

    def take(self) -> tuple[list[SampleKey], PackedBatch]:
        """Wait for the next batch."""
        self._fill()
        item, pending = self._reading.popleft()
        self._depth = min(2 * self._depth, self._most)
        self._fill()
        return item.keys, pending.result()

    def _fill(self) -> None:
        while len(self._reading) < self._depth:
            n_known = self.team.looks_ahead + 1
            self._coming.extend(islice(self._items, n_known - len(self._coming)))
            if not self._coming:
                return
            item = self._coming.popleft()
            later = self._coming[-1].keys if len(self._coming) == n_known - 1 > 0 else ()
            self._reading.append((item, self.team.submit(item.keys, later)))

    def skip_to(self, epoch: Epoch) -> bool:
        """Drop the batches before a place; return whether it is among those being read."""
        places = [(item.epoch, item.handed) for item, _ in self._reading]
        if (epoch.rank, epoch.ranks) != self._ranks or epoch.start not in places:
            return False
        for _ in range(places.index(epoch.start)):
            self._reading.popleft()[1].drop()
        return True

    def close(self) -> None:
        """Drop all batches."""
        while self._reading:
            self._reading.popleft()[1].drop()
        self._items.close()


def _items(sampler: Sampler, start: tuple[int, int]) -> Any:
    for epoch in sampler.epochs_from(start):
        handed = epoch.handed
        for keys in epoch.batches():
            yield _Item(epoch.number, handed, keys)
            handed += len(keys) * epoch.ranks


def _pin(slots: Slots) -> None:
    """Lock the pages of all slots, if there is a GPU."""
    if torch.cuda.is_available():
        runtime = torch.cuda.cudart()
        address, n_bytes = slots.all_bytes.ctypes.data, slots.all_bytes.size
        torch.cuda.check_error(int(runtime.cudaHostRegister(address, n_bytes, 0)))
        slots.when_freed(runtime.cudaHostUnregister, address)
        slots.wait_for(_mark_copies)


def _mark_copies() -> Callable[[], bool]:
    """Return what says whether the GPU has done all that this stream was given until now.

    ``to(device, non_blocking=True)`` returns before it has read the memory. Torch watches over
    copies of pages that it has locked itself, but not of these.
    """
    if not torch.cuda.is_initialized():
        return _yes  # In a forked process.
    event = torch.cuda.Event()
    event.record()
    return event.query  # type: ignore[no-any-return]


def _yes() -> bool:
    return True


def _pinned(batch: PackedBatch) -> PackedBatch:
    """Return the batch in page-locked memory; most are there already."""
    if not torch.cuda.is_available() or batch.data.is_pinned():
        return batch
    return batch._replace(data=batch.data.pin_memory())


def _checked_start_method(method: str | None) -> str | None:
    known = get_all_start_methods()
    if method is not None and method not in known:
        raise MtfastError(no_such("start_method", str(method), known, "this Python"))
    return method


def _world_of(rank: int | None, ranks: int | None) -> Callable[[], tuple[int, int]]:
    """Return what tells the number of this process and of all."""
    if rank is not None and ranks is not None:
        return partial(_given, rank, ranks)
    if rank is not None or ranks is not None:
        raise MtfastError(
            f"rank {rank} of {ranks} ranks; expected both numbers or neither; give the other one"
        )
    return distributed_world


def _given(rank: int, ranks: int) -> tuple[int, int]:
    return rank, ranks


def __dir__() -> list[str]:
    return public_names(globals())
