"""A loader whose batches are made on a GPU, from files that lie there compressed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import nullcontext
from threading import Lock
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.arguments import as_integer
from mtfast.caching import cached_property
from mtfast.errors import MtfastError
from mtfast.gpu.files import CodedFiles
from mtfast.gpu.launching import launcher_of
from mtfast.gpu.windows import checked_device
from mtfast.loaders import torch as on_cpu
from mtfast.loaders.batches import SampleDict
from mtfast.loaders.gpu.coded_set import blank_images, read_files, read_runs
from mtfast.loaders.gpu.disk import WindowFiles
from mtfast.loaders.gpu.maker import BatchMaker, MadeBatches
from mtfast.loaders.gpu.members import Members
from mtfast.loaders.gpu.memory import choose_memory
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.weights import ClassWeights

__all__ = ["Loader"]


# Batches are made together up to so many bytes and samples: more make no sample cheaper.
_BYTES_TOGETHER = 128 << 20
_SAMPLES_TOGETHER = 256


class Loader(on_cpu.Loader):
    """Batches of a dataset, made on a GPU without any worker process.

    They are those of :class:`mtfast.loaders.torch.Loader`, bit for bit, as tensors on the device:
    the same order, views, pixels and masks, and the same states, so that a run can go on with the
    other loader in the middle of an epoch.

    Parameters
    ----------
    dataset : mtfast.loaders.torch.Dataset
        In the form "tensors" and without a transform; mixtures too.
    batch_size : int
    device : torch.device or str
        A CUDA device. On "cpu" the same kernels run one thread after another, for tests.
    memory : {"auto", "device", "host", "disk"}
        Where the files of the set lie: in the memory of the device; in locked memory of the host,
        from which kernels copy what they need; or on the disk, from which a few threads read the
        windows of each batch, with the crop index. By default the first for which enough is free.
    shuffle, drop_last, pad, rank, ranks, weights, samples_per_epoch
        As for :class:`mtfast.loaders.torch.Loader`.
    prefetch : int
        Batches that are made ahead, on a stream of their own; of small batches, several at once, as
        many times as many.
    step : int
        MCUs that a thread decodes at once. One is fastest, and takes ten bytes of the device's
        memory for each MCU of the set. From the disk it is that of the crop index.

    Raises
    ------
    MtfastError
        If there is no such device, a library is missing, the dataset has another form or a
        transform, there is not memory enough, or as :class:`mtfast.loaders.torch.Loader`.
    StoreError
        If a file of the set is damaged.

    Examples
    --------
    >>> from mtfast.loaders import Augment
    >>> from mtfast.loaders.torch import Dataset
    >>> data = Dataset("graphene.zarr", crop=64, augment=Augment())
    >>> with Loader(data, batch_size=2, device="cpu") as loader:
    ...     batch = next(iter(loader))
    >>> batch["image"].shape, batch["semantic"].shape
    (torch.Size([2, 3, 64, 64]), torch.Size([2, 64, 64]))

    Notes
    -----
    The set is read when the first batch is asked for, and the checksum of each file is compared
    then; from the disk that of each window is compared when it is read. JPEGs with subsampling
    4:4:4, 4:2:2, 4:2:0 or 4:4:0 and grey ones are decoded by the device; what it cannot decode
    (progressive JPEGs, PNG, TIFF) is decoded on the CPU and copied. How many are is logged at INFO.
    """

    def __init__(
        self,
        dataset: on_cpu.Dataset,
        batch_size: int,
        *,
        device: torch.device | str = "cuda",
        memory: str = "auto",
        shuffle: bool = True,
        drop_last: bool = False,
        pad: bool | None = None,
        prefetch: int = 2,
        rank: int | None = None,
        ranks: int | None = None,
        weights: ClassWeights | NDArray[np.float64] | None = None,
        samples_per_epoch: int | None = None,
        step: int = 1,
    ) -> None:
        super().__init__(
            dataset,
            batch_size,
            shuffle=shuffle,
            drop_last=drop_last,
            pad=pad,
            prefetch=prefetch,
            rank=rank,
            ranks=ranks,
            read_ahead=0,
            weights=weights,
            samples_per_epoch=samples_per_epoch,
        )
        if dataset.form != "tensors" or dataset.transform is not None:
            raise MtfastError(
                f"a dataset of the form {dataset.form!r}"
                f"{' with a transform' if dataset.transform is not None else ''}; expected the "
                f"form 'tensors' without one, to make batches on a GPU; transform the batches there"
            )
        self.device = checked_device(device)
        self._windows: WindowFiles | None = None
        self.step = as_integer("step", step, 1)
        self.memory = choose_memory(memory, self.device, Members(dataset.reader).n_file_bytes)

    def __getstate__(self) -> dict[str, Any]:
        running = super().__getstate__() | {"_windows": None}
        return {key: value for key, value in running.items() if key != "_maker"}

    def __repr__(self) -> str:
        return (
            f"Loader({self.dataset!r}, batch_size={self.batch_size}): {len(self):,} batches an "
            f"epoch, made on {self.device} from files in memory={self.memory.kind!r}; next is "
            f"epoch {self.sampler.upcoming[0]}"
        )

    @cached_property
    def _maker(self) -> BatchMaker:
        """What makes the batches; the set is read when it is first asked for."""
        # A library that is missing is said before a set is read for minutes.
        launcher_of(self.device)
        reader = self.dataset.reader
        members = Members(reader)
        runs = read_runs(members, self.device)
        images = blank_images(members, runs)
        if reader.images and self.memory.kind == "disk":
            self._windows = WindowFiles(members, images, self.device)
            files: CodedFiles | WindowFiles = self._windows
        else:
            files = read_files(members, images, self.memory, self.step)
        return BatchMaker(members, runs, files, self.device, self.dataset.image_format)

    def _open(self) -> Any:
        team = self._team
        if team is None or not team.is_alive:
            self._upcoming = None
            team = self._team = DeviceTeam(self._maker, self.device, self._n_together)
        # Another thread may have closed the loader by now; then the team says so.
        return team

    def close(self) -> None:
        """End the threads; another iteration starts new ones."""
        super().close()
        if self._windows is not None:
            self._windows.close()

    def _finished(self, keys: list[SampleKey], batch: Any) -> Any:
        return batch

    @property
    def _depth(self) -> int:
        return self._prefetch * self._n_together

    @property
    def _n_together(self) -> int:
        """Batches that are made at once: small ones, as planning and launching costs the same."""
        reader = self.dataset.reader
        if self.device.type == "cpu" or not reader.has_one_size:
            return 1
        n = min(_BYTES_TOGETHER // self._batch_bytes(), _SAMPLES_TOGETHER // self.batch_size)
        return max(1, n)


class DeviceTeam:
    """A thread that plans batches and launches their kernels, on a stream of its own.

    Parameters
    ----------
    maker : BatchMaker
    device : torch.device
    n_together : int
        Batches that are planned and made at once.
    """

    looks_ahead = 0

    def __init__(self, maker: BatchMaker, device: torch.device, n_together: int) -> None:
        self._maker, self._device, self._n_together = maker, device, n_together
        self._group: _Group | None = None
        self._owner = os.getpid()
        self._is_closed = False
        self._lock = Lock()
        self._executor = ThreadPoolExecutor(1, "mtfast-gpu")
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            # Before the kernels of the training step, which are many and long.
            self._stream = torch.cuda.Stream(device, priority=-1)

    @property
    def is_alive(self) -> bool:
        """Whether this process can use it: not if it was forked."""
        return self._owner == os.getpid()

    def submit(self, keys: Sequence[SampleKey], _: Sequence[SampleKey] = ()) -> PendingBatch:
        """Let a batch be made: when a group is full, or when it is asked for.

        Parameters
        ----------
        keys : sequence of SampleKey

        Returns
        -------
        PendingBatch

        Raises
        ------
        MtfastError
            If it was closed.
        """
        if self._is_closed:
            raise _closed()
        group = self._group
        if group is None or group.future is not None:
            group = self._group = _Group()
        number = len(group.sizes)
        group.keys += keys
        group.sizes.append(len(keys))
        if len(group.sizes) == self._n_together:
            self.launch(group)
        return PendingBatch(self, group, number)

    def launch(self, group: _Group) -> Future[MadeBatches]:
        """Let the batches of a group be made, if they are not yet.

        Parameters
        ----------
        group : _Group

        Returns
        -------
        Future

        Raises
        ------
        MtfastError
            If it was closed.
        """
        if group.future is None:
            # The executor takes nothing once it is shut down, which another thread may ask for.
            with self._lock:
                if self._is_closed:
                    raise _closed()
                group.future = self._executor.submit(self._make, group.keys, group.sizes)
        return group.future

    def leave(self, group: _Group) -> None:
        """Put nothing more into a group of which a batch is not wanted.

        Parameters
        ----------
        group : _Group
        """
        if self._group is group:
            self._group = None

    def _make(self, keys: Sequence[SampleKey], sizes: Sequence[int]) -> MadeBatches:
        with torch.cuda.stream(self._stream) if self._stream is not None else nullcontext():
            return self._maker.make(keys, sizes)

    def close(self) -> None:
        """End the thread when it has launched what it is launching."""
        if not self.is_alive:
            return
        with self._lock:
            self._is_closed = True
        self._executor.shutdown(wait=True, cancel_futures=True)


class _Group:
    """Batches that are made at once: their keys, their sizes, and what makes them."""

    def __init__(self) -> None:
        self.keys: list[SampleKey] = []
        self.sizes: list[int] = []
        self.future: Future[MadeBatches] | None = None


class PendingBatch:
    """A batch that is being made."""

    def __init__(self, team: DeviceTeam, group: _Group, number: int) -> None:
        self._team, self._group, self._number = team, group, number

    def result(self) -> SampleDict:
        """Wait for the batch.

        Returns
        -------
        dict

        Raises
        ------
        MtfastError
            If the loader was closed.
        StoreError
            If the coded data of an image is damaged.
        """
        try:
            made = self._team.launch(self._group).result()
        except CancelledError:
            raise _closed() from None
        return made.batch(self._number)

    def drop(self) -> None:
        """Forget the batch; others of its group are made all the same."""
        self._team.leave(self._group)


def _closed() -> MtfastError:
    return MtfastError(
        "an iteration whose loader was closed; expected none that goes on after that; begin "
        "another one"
    )
