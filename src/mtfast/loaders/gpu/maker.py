"""Batches made of a set that lies in memory: planned on the CPU, made by kernels."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.errors import MtfastError, StoreError
from mtfast.gpu.files import CodedFiles
from mtfast.gpu.launching import launcher_of
from mtfast.gpu.windows import WRONG, decode_windows, plan_windows, send
from mtfast.kernels.device import (
    paint_windows,
    plan,
)
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.batches import SampleDict, channels_first
from mtfast.loaders.gpu.coded_set import SetRuns
from mtfast.loaders.gpu.disk import WindowFiles
from mtfast.loaders.gpu.members import Members
from mtfast.loaders.gpu.painting import n_tiles
from mtfast.loaders.sampler import SampleKey

__all__ = ["BatchMaker", "MadeBatches"]


class _Targets(NamedTuple):
    """Instances of a batch, those of each window one after another; memory for all candidates."""

    masks: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    areas: torch.Tensor
    ids: torch.Tensor


class MadeBatches:
    """Batches that kernels are making, all at once."""

    def __init__(
        self,
        members: Members,
        positions: NDArray[np.int64],
        sizes: Sequence[int],
        tensors: dict[str, torch.Tensor],
        targets: _Targets | None,
        numbers: torch.Tensor,
    ) -> None:
        self._members, self._positions = members, positions
        self._targets = targets
        self._memory = (*tensors.values(), *(targets or ()))
        # What a training loop asks for batch by batch is made of all at once, on this thread.
        self._starts = [0, *accumulate(sizes)]
        self._names = [members.names[k] for k in positions.tolist()]
        self._parts = {key: tensor.split(list(sizes)) for key, tensor in tensors.items()}
        # Statuses of the windows, then their numbers of instances.
        self._numbers = numbers
        self._is_made = self._is_damaged = False
        self._done: torch.cuda.Event | None = None
        # That on which the last batch was asked for.
        self._stream: torch.cuda.Stream | None = None
        if numbers.is_pinned():
            # The processor does other things while it waits.
            self._done = torch.cuda.Event(blocking=True)
            self._done.record()

    def batch(self, number: int) -> SampleDict:
        """Wait until the batches are made, and return one as form "tensors" has it.

        Parameters
        ----------
        number : int
            From 0 on.

        Returns
        -------
        dict

        Raises
        ------
        StoreError
            If the coded data of an image is damaged.
        """
        self._wait()
        self._record_stream()
        start, end = self._starts[number : number + 2]
        if self._is_damaged:
            self._refuse_damage(start, end)
        batch: SampleDict = {"index": self._parts["index"][number], "name": self._names[start:end]}
        batch |= {key: parts[number] for key, parts in self._parts.items() if key != "index"}
        if self._targets is not None:
            n_instances = self._numbers.numpy()[len(self._names) :]
            before, counts = int(n_instances[:start].sum()), n_instances[start:end].tolist()
            for key, tensor in self._targets._asdict().items():
                batch[key] = list(tensor[before : before + sum(counts)].split(counts))
        return batch

    def _wait(self) -> None:
        """Wait for the kernels, when the first batch is asked for."""
        if self._is_made:
            return
        if self._done is not None and not self._done.query():
            self._done.synchronize()
        self._is_damaged = bool(self._statuses.any())
        self._is_made = True

    def _record_stream(self) -> None:
        """Let the memory of the batches, taken on another stream, be used on the current one."""
        if self._done is None:
            return
        stream = torch.cuda.current_stream(self._memory[0].device)
        if stream != self._stream:
            self._stream = stream
            for tensor in self._memory:
                tensor.record_stream(stream)

    @property
    def _statuses(self) -> NDArray[np.int32]:
        statuses: NDArray[np.int32] = self._numbers.numpy()[: len(self._names)]
        return statuses

    def _refuse_damage(self, start: int, end: int) -> None:
        """Raise if a window of a batch is damaged."""
        damaged = np.flatnonzero(self._statuses[start:end])
        if damaged.size:
            window = start + int(damaged[0])
            raise StoreError(
                f"{self._members.where(int(self._positions[window]))} is damaged: it has "
                f"{WRONG[int(self._statuses[window])]}; expected the file that was converted; "
                f"run 'mtfast check' on the store"
            )


class BatchMaker:
    """Makes batches of a set, or of several that are mixed.

    Parameters
    ----------
    members : Members
    runs : SetRuns
    files : CodedFiles or WindowFiles
        Those of the set in memory; or what reads those of a batch.
    device : torch.device
        A CUDA device; or the CPU, for tests.
    image_format : {"RGB", "BGR"}
    """

    def __init__(
        self,
        members: Members,
        runs: SetRuns,
        files: CodedFiles | WindowFiles,
        device: torch.device,
        image_format: str,
    ) -> None:
        self._stream: torch.cuda.Stream | None = None
        self._owner = os.getpid()
        # What is asked of it is the same of all sets.
        self._reader, self._members = members.readers[0], members
        self._runs, self._files, self._device = runs, files, device
        self._launcher = launcher_of(device)
        self._image_format = image_format

    def __del__(self) -> None:
        # Kernels may still read the set, for batches that nobody waits for; its memory, which was
        # taken on another stream, would be handed out again.
        self._finish()

    def _finish(self) -> None:
        """Wait for the kernels that were launched last."""
        if self._stream is not None and self._owner == os.getpid():
            self._stream.synchronize()

    def make(self, keys: Sequence[SampleKey], sizes: Sequence[int] | None = None) -> MadeBatches:
        """Plan batches and launch the kernels that make them, on the current stream.

        Parameters
        ----------
        keys : sequence of SampleKey
            Of all batches, one after another; at least one, and all of one size.
        sizes : sequence of int, optional
            Samples of each batch; by default there is one.

        Returns
        -------
        MadeBatches
        """
        if self._device.type == "cuda":
            self._move_to(torch.cuda.current_stream(self._device))
        reader, n = self._reader, len(keys)
        positions = np.array([key.position for key in keys], np.int64)
        views = np.ascontiguousarray(self._members.views(keys))
        coded, numbers, sent = self._files_of(positions, views)
        planned = plan_windows(coded, numbers, views)
        numbered = {"index": self._members.indices[positions], "view": views}
        if self._members.is_mixture:
            numbered["member"] = self._members.members[positions]
        sent |= planned.arrays | numbered
        n_pairs = 0
        if "instances" in reader.targets:
            n_pairs = self._plan_pairs(planned.arrays["windows"], sent)
        there = coded.arrays | send(sent, self._device)
        height, width = _size_of(views[0])
        made = {key: there[key] for key in numbered}
        statuses = torch.zeros(2 * n, dtype=torch.int32, device=self._device)
        if reader.images:
            image = self._empty((n, height, width, 3), torch.uint8)
            decode_windows(self._launcher, planned, there, statuses[:n], image)
            self._copy_undecoded(keys, planned.undecoded, image)
            if self._image_format == "BGR":
                image = image.flip(3)
            made["image"] = channels_first(image)
        if "semantic" in reader.targets:
            made["semantic"] = self._paint(there, n, height, width)
        targets = None
        if "instances" in reader.targets:
            targets = self._paint_instances(there, n, n_pairs, height, width, statuses[n:])
        return MadeBatches(
            self._members, positions, sizes or [n], made, targets, self._fetched(statuses)
        )

    def _move_to(self, stream: torch.cuda.Stream) -> None:
        """Launch on another stream from now on."""
        if stream != self._stream:
            self._finish()
            self._stream = stream

    def _files_of(
        self, positions: NDArray[np.int64], views: NDArray[np.int64]
    ) -> tuple[CodedFiles, NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return the files of a batch, the row of each window's image, and what is to be sent."""
        if isinstance(self._files, CodedFiles):
            return self._files, positions, {}
        images, sent, words = self._files.read(positions, views)
        there = {"words": words.to(self._device, non_blocking=True)}
        files = CodedFiles(images.reshape(-1), np.zeros(0, np.int64), False, there)
        return files, np.arange(len(positions)), sent

    def _plan_pairs(self, windows: NDArray[np.int64], sent: dict[str, NDArray[Any]]) -> int:
        """Find the instances that may be in the windows; return how many there are."""
        rows = windows.reshape(-1, fields.FIELDS)
        most = int((rows[:, fields.INSTANCES_END] - rows[:, fields.INSTANCES]).sum())
        owners, instances = np.empty(most, np.int32), np.empty(most, np.int32)
        runs = self._runs
        n = plan.find_pairs(windows, runs.boxes, runs.shown, owners, instances)
        sent |= {"owners": owners[:n], "instances": instances[:n]}
        return n

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device=self._device)

    def _fetched(self, tensor: torch.Tensor) -> torch.Tensor:
        """Start to copy a tensor to the host."""
        if self._device.type == "cpu":
            return tensor
        return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(
            tensor, non_blocking=True
        )

    def _copy_undecoded(
        self, keys: Sequence[SampleKey], windows: NDArray[np.int32], image: torch.Tensor
    ) -> None:
        """Decode on the CPU what the kernels cannot, and copy it."""
        for window in windows.tolist():
            pixels = self._members.pixels(keys[window])
            if pixels.dtype != np.uint8:
                raise MtfastError(
                    "an image of 16 bits; expected 8 bits for a batch made on a GPU; "
                    "give the dataset intensity="
                )
            found = torch.from_numpy(np.ascontiguousarray(pixels))
            if self._device.type == "cuda":
                found = found.pin_memory()
            image[window].copy_(found, non_blocking=True)

    def _paint(
        self, there: dict[str, torch.Tensor], n: int, height: int, width: int
    ) -> torch.Tensor:
        """Paint the semantic masks."""
        wide = self._reader.semantic_dtype == np.uint16
        out = self._empty((n, height, width), torch.uint16 if wide else torch.uint8)
        kernel = paint_windows.paint_semantic_wide if wide else paint_windows.paint_semantic
        runs = self._runs
        self._launcher.launch(
            kernel,
            (n_tiles(height, width), n),
            there["windows"], runs.toggles, runs.starts, runs.numbers, self._reader.ignore_value,
            int(not wide), out, out,
        )  # fmt: skip
        return out

    def _paint_instances(
        self,
        there: dict[str, torch.Tensor],
        n: int,
        n_pairs: int,
        height: int,
        width: int,
        counts: torch.Tensor,
    ) -> _Targets:
        """Measure the instances in the windows, and paint those that have a pixel there."""
        runs = self._runs
        shared = there["windows"], runs.toggles, runs.starts, there["owners"], there["instances"]
        targets = _Targets(
            self._empty((n_pairs, height, width), torch.bool),
            self._empty((n_pairs, 4), torch.float32),
            *(self._empty((n_pairs,), torch.int64) for _ in range(3)),
        )
        if not n_pairs:
            return targets
        measures = self._empty((n_pairs * paint_windows.MEASURES,), torch.int32)
        places = self._empty((n_pairs,), torch.int32)
        self._launcher.launch(paint_windows.measure_instances, (n_pairs, 1), *shared, measures)
        self._launcher.launch(
            paint_windows.keep_instances, (1, 1),
            there["windows"], n_pairs, n, there["owners"], there["instances"], measures,
            runs.numbers, runs.ids, places, targets.boxes, targets.areas, targets.labels,
            targets.ids, counts,
        )  # fmt: skip
        self._launcher.launch(
            paint_windows.paint_instances,
            (n_pairs, n_tiles(height, width)),
            *shared, places, targets.masks, targets.masks,
        )  # fmt: skip
        return targets


def _size_of(view: NDArray[np.int64]) -> tuple[int, int]:
    """Return the height and width of the samples of a view."""
    height, width, _, turns = (int(number) for number in view[4:])
    return (width, height) if turns % 2 else (height, width)
