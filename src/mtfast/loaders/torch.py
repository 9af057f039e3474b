"""A PyTorch dataset of a store, and a loader of its batches that can stop and go on anywhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from multiprocessing import get_context
from multiprocessing.util import get_temp_dir
from typing import Any, Self

# Compiled code takes most of a second to load: here, not in the first batch.
import mtfast.kernels.operations.transform  # noqa: F401
from mtfast.errors import MtfastError
from mtfast.loaders.order import Pick, Sampler
from mtfast.loaders.read_ahead import read_ahead
from mtfast.loaders.reader import Reader

try:
    import torch.distributed
    import torch.utils.data
except ImportError:
    raise MtfastError(
        "a loader for PyTorch, but no 'torch'; expected it to be installed; "
        "run: pip install 'mtfast[torch]'"
    ) from None

from mtfast.loaders.forms import FORMS, Pack, collate, pack, unpack

__all__ = ["Dataset", "Loader"]


class Dataset(torch.utils.data.Dataset[Any]):  # type: ignore[misc]
    """The samples of one split of a store, map-style.

    It pickles as what it was made with, and each process opens the store for itself, so it works
    in forked and in spawned workers.

    Parameters
    ----------
    store : path-like
    split : str
    form : {"tensors", "tv_tensors", "detectron2", "mask2former"}
        What a sample is, see :mod:`mtfast.loaders.forms`.
    **options
        Which images, which part of them and which targets, see
        :class:`mtfast.loaders.reader.Reader`.

    Raises
    ------
    StoreError
        If there is no such store, split or variant.
    MtfastError
        If another argument makes no sense.

    Examples
    --------
    >>> data = Dataset("graphene.zarr", crop=512, augment=Augment(near=0.5))     # doctest: +SKIP
    >>> data[7]["image"].shape, data[7]["masks"].shape                           # doctest: +SKIP
    (torch.Size([3, 512, 512]), torch.Size([4, 512, 512]))
    >>> shots = Dataset("graphene.zarr", variant="5_shot/run_3/annotations_300", crop=512,
    ...                 class_agnostic=True, cache_bytes=2**29)                  # doctest: +SKIP
    """

    def __init__(
        self,
        store: str | os.PathLike[str],
        split: str = "train",
        *,
        form: str = "tensors",
        **options: Any,
    ) -> None:
        if form not in FORMS:
            raise MtfastError(f"form {form!r}; expected one of {tuple(FORMS)}; pick one")
        self.form = form
        self.reader = Reader(store, split, **options)

    @classmethod
    def of(cls, reader: Reader, form: str = "tensors") -> Self:
        """Make a dataset of the samples of a reader."""
        dataset = cls.__new__(cls)
        dataset.form, dataset.reader = form, reader
        return dataset

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, pick: Pick | int) -> Any:
        """Return a sample; a plain number is a place in the set, in epoch 0."""
        (sample,) = FORMS[self.form](unpack(pack([self.reader.read(pick)])))
        return sample


class Loader:
    """Batches of a dataset, in an order that follows from its seed alone.

    Iterating goes through an epoch from its beginning, or from where a loaded state was; the next
    iteration is the next epoch, if that one was whole.

    Parameters
    ----------
    dataset : Dataset
    batch_size : int
        Samples in a batch of this rank.
    shuffle : bool
    drop_last : bool
        See :class:`mtfast.loaders.order.Sampler`, which also says what ranks do at the end.
    workers : int
        Processes that read; 0 reads in this one.
    start_method : {"fork", "spawn", "forkserver"}, optional
        How they are started; by default as Python does it here.
    prefetch : int
        Batches that each worker is ahead.
    pin_memory : bool
    rank, ranks : int, optional
        By default those of ``torch.distributed``, or the only one.
    read_ahead : int
        The system is asked for the bytes of so many samples more than the workers are ahead.

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
    ...         state = loader.state_dict()     # of the samples that step has seen

    Notes
    -----
    Workers live as long as the loader; :meth:`close`, or its end, ends them.
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
        if rank is None or ranks is None:
            rank, ranks = _own_rank()
        self.dataset = dataset
        self.workers = workers
        self.start_method = start_method
        self.sampler = Sampler(
            dataset.reader.order(shuffle), batch_size, rank=rank, ranks=ranks, drop_last=drop_last
        )
        reader = dataset.reader
        fetching = read_ahead > 0 and reader.images and not reader.is_cached
        self._picks = _Picks(self.sampler, read_ahead, reader.fetch_ahead if fetching else None)
        self._options: dict[str, Any] = {"pin_memory": pin_memory, "num_workers": workers}
        if workers:
            self._options |= {
                "prefetch_factor": prefetch,
                "persistent_workers": True,
                "multiprocessing_context": start_method,
            }
        self._batches: torch.utils.data.DataLoader[Any] | None = None
        self._resumed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        """Batches in a whole epoch of this rank."""
        return len(self.sampler)

    @property
    def epoch(self) -> int:
        """The epoch that is under way, or comes next."""
        return int(self.state_dict()["epoch"])

    def __iter__(self) -> Iterator[Any]:
        if not self._resumed:
            self.sampler.start(self.epoch)
        self._resumed = False
        try:
            for packed in self._packs():
                self.sampler.hand_over(len(packed.names))
                yield collate(self.dataset.form, packed)
        except GeneratorExit:
            raise
        except (EOFError, ConnectionError) as error:
            self.close()
            raise MtfastError(
                "a worker process ended while it handed a batch over; expected it to live, and "
                "memory enough for it; use fewer workers"
            ) from error
        except BaseException:
            # A worker that failed or was killed takes the others with it.
            self.close()
            raise
        finally:
            self._picks.close()

    def start(self, epoch: int) -> None:
        """Let the next iteration go through this epoch."""
        self.sampler.start(epoch)

    def state_dict(self) -> dict[str, int]:
        """Return how far samples were handed out, as plain numbers for JSON or a checkpoint.

        What workers have read ahead does not count. The state is the same on every rank after each
        step, and any number of ranks and workers can go on from it.
        """
        return self.sampler.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next iteration go on at the first sample that was not handed out.

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
                # What torch calls when an iterator is collected, which a traceback may hold up.
                iterator._shutdown_workers()

    def _packs(self) -> Iterator[Pack]:
        if self._batches is None:
            if self.workers:
                # Workers keep their sockets there: in a folder of this process it is this one that
                # clears up, also after those that were killed.
                get_temp_dir()
                if get_context(self.start_method).get_start_method() == "fork":
                    self.dataset.reader.warm()
            self._batches = torch.utils.data.DataLoader(
                _Packs(self.dataset.reader),
                batch_sampler=self._picks,
                collate_fn=_as_it_is,
                **self._options,
            )
        return iter(self._batches)


class _Packs:
    """The dataset that workers see: whole batches."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def __len__(self) -> int:
        return len(self._reader)

    def __getitem__(self, pick: Pick) -> Pack:
        return self.__getitems__([pick])

    def __getitems__(self, picks: Sequence[Pick]) -> Pack:
        return pack([self._reader.read(pick) for pick in picks])


class _Picks:
    """The batches of the sampler's epoch, read ahead of; what torch draws for its workers."""

    def __init__(
        self, sampler: Sampler, n_samples: int, fetch: Callable[[int], None] | None
    ) -> None:
        self._sampler = sampler
        self._n_samples = n_samples
        self._fetch = fetch
        self._open: Generator[list[Pick], None, None] | None = None

    def __iter__(self) -> Iterator[list[Pick]]:
        self.close()
        batches = self._sampler.batches()
        if self._fetch is None:
            return batches
        self._open = read_ahead(batches, self._n_samples, self._fetch)
        return self._open

    def close(self) -> None:
        """End the thread that reads ahead."""
        if self._open is not None:
            self._open.close()
            self._open = None


def _as_it_is(packed: Pack) -> Pack:
    return packed


def _own_rank() -> tuple[int, int]:
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
