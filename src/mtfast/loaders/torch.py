"""A PyTorch dataset of a store, and a loader of its batches that can stop and resume anywhere."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.util import get_temp_dir
from typing import Any, Self

# Compiled code takes most of a second to load: here, not in the first batch.
import mtfast.kernels.operations.transform  # noqa: F401
from mtfast.arguments import ImagesOption, as_integer
from mtfast.errors import MtfastError, no_such, shown
from mtfast.loaders.read_ahead import read_ahead
from mtfast.loaders.reader import TARGETS, Reader
from mtfast.loaders.sampler import SampleKey, Sampler
from mtfast.loaders.views import Augment

try:
    import torch.distributed
    import torch.utils.data
except ImportError:
    raise MtfastError(
        "a loader for PyTorch, but no 'torch'; expected it to be installed; "
        "run: pip install 'mtfast[torch]'"
    ) from None

from mtfast.loaders.batches import PackedBatch, pack_batch, unpack_batch
from mtfast.loaders.forms import FORMS, check_form, format_batch

__all__ = ["Dataset", "Loader"]

logger = logging.getLogger(__name__)


class Dataset(torch.utils.data.Dataset[Any]):  # type: ignore[misc]
    """The samples of one split of a store, map-style.

    It pickles as what it was made with, and each process opens the store for itself, so it works
    in forked and in spawned workers.

    Parameters
    ----------
    store : path-like
        A store written by :func:`mtfast.convert`.
    split : str
    form : {"tensors", "tv_tensors", "detectron2", "mask2former"}
        What a sample is, see :mod:`mtfast.loaders.forms`.
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
    seed : int
        Order and views of every epoch follow from it; not negative.
    cache_bytes : int
        A set whose decoded images fit into this many bytes is decoded only once, in each process
        that reads from it; forked workers share what this process has decoded. Of a set that does
        not fit nothing is kept.

    Raises
    ------
    StoreError
        If there is no such store, split or variant, or it holds no images.
    MtfastError
        If another argument makes no sense, or the crop does not fit into the images.

    Examples
    --------
    >>> data = Dataset("graphene.zarr", crop=512, augment=Augment(near=0.5))     # doctest: +SKIP
    >>> data[7]["image"].shape, data[7]["masks"].shape                           # doctest: +SKIP
    (torch.Size([3, 512, 512]), torch.Size([4, 512, 512]))
    >>> shots = Dataset("graphene.zarr", variant="5_shot/run_3/annotations_300", crop=512,
    ...                 class_agnostic=True, cache_bytes=2**29)                  # doctest: +SKIP

    Notes
    -----
    A sample in the form "tensors" is a dict: ``image`` (3, h, w) uint8 RGB, a view of (h, w, 3)
    memory; ``semantic`` (h, w) uint8, or uint16 in a set of more than 255 classes; ``masks``
    (n, h, w) bool, ``boxes`` (n, 4) float32, ``labels``, ``areas`` and ``ids`` (n,) int64; and
    ``index``, ``name`` and ``view`` of the image. Details are in
    :mod:`mtfast.loaders.forms`.

    A seed promises the same views of the same images in every epoch, on every machine and in any
    process: a view follows from (seed, epoch, image), through words that numpy promises to keep.
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        split: str = "train",
        *,
        form: str = "tensors",
        variant: str | None = None,
        crop: int | tuple[int, int] | None = None,
        augment: Augment | None = None,
        targets: Collection[str] = TARGETS,
        images: ImagesOption = True,
        class_agnostic: bool = False,
        seed: int = 0,
        cache_bytes: int = 0,
    ) -> None:
        self.form = check_form(form)
        self.reader = Reader(
            store,
            split,
            variant=variant,
            crop=crop,
            augment=augment,
            targets=targets,
            images=images,
            class_agnostic=class_agnostic,
            seed=seed,
            cache_bytes=cache_bytes,
        )

    @classmethod
    def of(cls, reader: Reader, form: str = "tensors") -> Self:
        """Make a dataset of the samples of a reader.

        Parameters
        ----------
        reader : Reader
        form : {"tensors", "tv_tensors", "detectron2", "mask2former"}

        Returns
        -------
        Dataset

        Raises
        ------
        MtfastError
            If there is no such form.
        """
        dataset = cls.__new__(cls)
        dataset.form, dataset.reader = check_form(form), reader
        return dataset

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, key: SampleKey | int) -> Any:
        """Read a sample.

        Parameters
        ----------
        key : SampleKey or int
            An integer is a position in the set, in epoch 0; negative ones count from its end.

        Returns
        -------
        dict, or (image, target) in the form "tv_tensors"

        Raises
        ------
        IndexError, TypeError
            If there is no such position, or it is not an integer.
        MtfastError
            If the image is smaller than the crop, or a library that the form needs is missing.
        """
        (sample,) = unpack_batch(pack_batch([self.reader.read(key)]))
        return FORMS[self.form].convert(sample)


class Loader:
    """Batches of a dataset, in an order that follows from its seed alone.

    An iteration goes through one epoch, from its beginning or from a loaded state on. The next one
    goes through the next epoch, or through the same one again if it was not completed.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
        Samples in a batch of this rank.
    shuffle : bool
        Otherwise every epoch has the order of the annotation file.
    drop_last : bool
        Leave out the samples at the end of an epoch that do not fill a batch on every rank.
        Otherwise the last batch is shorter, and up to ``ranks - 1`` of the epoch's first samples
        come once more, so that all ranks get equally many.
    workers : int
        Processes that read; 0 reads in this one.
    start_method : {"fork", "spawn", "forkserver"}, optional
        How they are started; by default Python's default on this system.
    prefetch : int
        Batches that each worker reads ahead of what the caller has taken; at least 1.
    pin_memory : bool
        Copy batches into page-locked memory, from which they reach a GPU faster.
    rank, ranks : int, optional
        Number of this process, from 0 on, and how many there are; give both or neither. By
        default those of ``torch.distributed``, or the only one.
    read_ahead : int
        The system is asked for the bytes of this many samples beyond those that the workers have
        prefetched, rounded down to whole batches; 0 switches it off.

    Attributes
    ----------
    sampler : Sampler
        The order, and how far samples were handed out.

    Raises
    ------
    MtfastError
        If an argument makes no sense.

    Examples
    --------
    >>> loader = Loader(data, batch_size=8, workers=4)                           # doctest: +SKIP
    >>> for epoch in range(loader.epoch, 100):                                   # doctest: +SKIP
    ...     for batch in loader:
    ...         step(batch["image"].to(device), batch["semantic"].to(device))
    ...         state = loader.state_dict()     # counts the samples that step has seen

    Notes
    -----
    A batch in the form "tensors" is a dict: ``image`` (B, 3, h, w) uint8 in the memory format
    channels_last, ``semantic`` (B, h, w), ``view`` (B, 8) and ``index`` (B,) int64, and lists of
    one element a sample under the other keys of a sample. The other forms give lists, as their
    libraries expect.

    A worker reads a whole batch and sends it as one tensor, as each tensor costs a file descriptor
    and a round trip; the tensors of a batch are views of that one buffer. All samples of a batch
    have one size.

    The order of an epoch, and every sample, are the same for any number of workers and ranks and
    for every batch size. So a state resumes on another number of any of them.

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
        workers: int = 0,
        start_method: str | None = None,
        prefetch: int = 2,
        pin_memory: bool = False,
        rank: int | None = None,
        ranks: int | None = None,
        read_ahead: int = 64,
    ) -> None:
        if not isinstance(dataset, Dataset):
            raise MtfastError(
                f"a loader of {shown(dataset)}; expected an mtfast.loaders.torch.Dataset; make one"
            )
        rank, ranks = _rank_of_ranks(rank, ranks)
        reader = dataset.reader
        self.dataset = dataset
        self.workers = as_integer("workers", workers, 0)
        self.start_method = _checked_start_method(start_method)
        self.sampler = Sampler(
            reader.epoch_order(shuffle), batch_size, rank=rank, ranks=ranks, drop_last=drop_last
        )
        n_ahead = as_integer("read_ahead", read_ahead, 0)
        fetching = n_ahead > 0 and reader.images and not reader.is_cached
        self._keys = _BatchSampler(self.sampler, n_ahead, reader.fetch_ahead if fetching else None)
        self._options: dict[str, Any] = {"pin_memory": pin_memory, "num_workers": self.workers}
        prefetch = as_integer("prefetch", prefetch, 1)
        if self.workers:
            self._options |= {
                "prefetch_factor": prefetch,
                "persistent_workers": True,
                "multiprocessing_context": self.start_method,
            }
        self._batches: torch.utils.data.DataLoader[Any] | None = None
        self._resumed = False
        logger.info(
            "rank %d of %d: %s batches of %d samples an epoch, read by %s; %s",
            rank,
            ranks,
            f"{len(self):,}",
            self.sampler.batch_size,
            f"{self.workers} worker processes" if self.workers else "this process",
            f"{n_ahead} samples are read ahead" if fetching else "nothing is read ahead",
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Batches in a whole epoch of this rank."""
        return len(self.sampler)

    @property
    def epoch(self) -> int:
        """The current epoch, or the next one if it is over."""
        return self.state_dict()["epoch"]

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self.sampler.start(self.epoch)
        self._resumed = False
        try:
            for batch in self._packed_batches():
                self.sampler.advance(len(batch.names))
                yield format_batch(self.dataset.form, batch)
        except GeneratorExit:
            raise
        except (EOFError, ConnectionError) as error:
            self.close()
            raise MtfastError(
                "a worker process ended while it sent a batch; expected it to live, and "
                "memory enough for it; use fewer workers"
            ) from error
        except BaseException:
            # A worker that failed or was killed takes the others with it.
            self.close()
            raise
        finally:
            self._keys.close()

    def start(self, epoch: int) -> None:
        """Let the next iteration go through an epoch.

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

    def state_dict(self) -> dict[str, int]:
        """Return how far samples were handed out, as plain numbers for JSON or a checkpoint.

        What workers have prefetched does not count. The state is the same on every rank after each
        step, and any number of ranks and workers can resume from it.
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
        self._resumed = True

    def close(self) -> None:
        """End the workers; another iteration starts new ones."""
        if self._batches is not None:
            iterator, self._batches = getattr(self._batches, "_iterator", None), None
            if iterator is not None:
                # What torch calls when an iterator is collected, which a traceback may delay.
                iterator._shutdown_workers()

    def _packed_batches(self) -> Iterator[PackedBatch]:
        if self._batches is None:
            if self.workers:
                # Workers put their sockets into multiprocessing's temporary folder. Made here, it
                # is this process's to remove, also after workers that were killed.
                get_temp_dir()
                if get_context(self.start_method).get_start_method() == "fork":
                    self.dataset.reader.warm()
            self._batches = torch.utils.data.DataLoader(
                _WorkerDataset(self.dataset.reader),
                batch_sampler=self._keys,
                collate_fn=_unchanged,
                **self._options,
            )
        return iter(self._batches)


class _WorkerDataset:
    """The dataset that workers see, which gives them whole batches."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, key: SampleKey) -> PackedBatch:
        return self.__getitems__([key])

    def __getitems__(self, keys: Sequence[SampleKey]) -> PackedBatch:
        return pack_batch([self._reader.read(key) for key in keys])


class _BatchSampler:
    """The batch sampler that torch draws from for its workers, with a thread that reads ahead."""

    def __init__(
        self, sampler: Sampler, n_samples: int, fetch: Callable[[int], None] | None
    ) -> None:
        self._sampler = sampler
        self._n_samples = n_samples
        self._fetch = fetch
        self._running: Generator[list[SampleKey], None, None] | None = None

    def __iter__(self) -> Iterator[list[SampleKey]]:
        self.close()
        batches = self._sampler.batches()
        if self._fetch is None:
            return batches
        self._running = read_ahead(batches, self._n_samples, self._fetch)
        return self._running

    def close(self) -> None:
        """End the thread that reads ahead."""
        if self._running is not None:
            self._running.close()
            self._running = None


def _unchanged(batch: PackedBatch) -> PackedBatch:
    return batch


def _checked_start_method(method: str | None) -> str | None:
    known = get_all_start_methods()
    if method is not None and method not in known:
        raise MtfastError(no_such("start_method", str(method), known, "this Python"))
    return method


def _rank_of_ranks(rank: int | None, ranks: int | None) -> tuple[int, int]:
    """Return what is given, or what ``torch.distributed`` says."""
    if rank is not None and ranks is not None:
        return rank, ranks
    if rank is not None or ranks is not None:
        raise MtfastError(
            f"rank {rank} of {ranks} ranks; expected both numbers or neither; give the other one"
        )
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
