"""The door for PyTorch: a loader of batches that can stop and resume anywhere, and its dataset."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from multiprocessing import get_context
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

# Compiled code takes most of a second to load: here, not in the first batch.
import mtfast.kernels.operations.transform  # noqa: F401
from mtfast.arguments import as_integer, check_flag
from mtfast.errors import MtfastError, shown
from mtfast.loaders.classes import ClassTable
from mtfast.loaders.sampler import Epoch, SampleKey, Sampler
from mtfast.loaders.slots import Slots
from mtfast.loaders.weights import ClassWeights, weights_by_class

try:
    import torch.utils.data
except ImportError:
    raise MtfastError(
        "a loader for PyTorch, but no 'torch'; expected it to be installed; "
        "run: pip install 'mtfast[torch]'"
    ) from None

from mtfast.loaders.forms import Formatted, collate, format_batch
from mtfast.loaders.pinned_memory import pin_slots, pinned
from mtfast.loaders.stream import Stream
from mtfast.loaders.torch_dataset import Dataset
from mtfast.loaders.workers import Team, Workers, checked_start_method
from mtfast.loaders.world import world_of
from mtfast.public import public_names

__all__ = ["Dataset", "Loader", "collate"]

logger = logging.getLogger(__name__)


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
    >>> data = Dataset("graphene.zarr", crop=64)
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
        self.start_method = checked_start_method(start_method)
        self.pin_memory = pin_memory
        self._prefetch = as_integer("prefetch", prefetch, 1)
        if isinstance(weights, Mapping):
            weights = weights_by_class(reader.class_counts(), reader.classes, weights)
        order = reader.epoch_order(shuffle, weights, samples_per_epoch)
        sampler_type = Sampler if shuffle else _SequentialSampler
        self.sampler = self.batch_sampler = sampler_type(
            order,
            batch_size,
            world=world_of(rank, ranks),
            drop_last=drop_last,
            pad=shuffle if pad is None else pad,
        )
        n_ahead = as_integer("read_ahead", read_ahead, 0)
        self._n_ahead = n_ahead if reader.images and not reader.is_cached else 0
        self._team: Any = None
        self._slots: Slots | None = None
        # Batches of the epochs to come, that no iteration has taken yet.
        self._upcoming: Stream | None = None
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
                pin_slots(self._slots)
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
        return format_batch(self.dataset.form, pinned(batch) if self.pin_memory else batch)

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

    def _take_stream(self, epoch: Epoch) -> Stream:
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
        return Stream(self.sampler, epoch, team, (depth, self._depth), self._n_ahead, fetch)

    def _give_back(self, stream: Stream) -> None:
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
        self._stream: Stream | None = None
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


def __dir__() -> list[str]:
    return public_names(globals())
