"""Batches made of a set that lies in memory: planned on the CPU, made by kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.errors import MtfastError, StoreError
from mtfast.gpu.launching import launcher_of
from mtfast.kernels.device import (
    jpeg_blocks,
    jpeg_pixels,
    paint_windows,
    plan,
    resize_windows,
)
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.batches import SampleDict, channels_first
from mtfast.loaders.gpu.coded_set import CodedSet, SetRuns
from mtfast.loaders.gpu.disk import WindowFiles
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.view_batches import ViewBatches

__all__ = ["BatchMaker", "MadeBatch"]

_ALIGNMENT = 16
_WRONG = {
    jpeg_blocks.BAD_CODE: "bits that are no code",
    jpeg_blocks.TOO_SHORT: "coded data that ends too early",
    jpeg_blocks.BAD_END: "a stretch that does not end where the next one begins",
}


class _Targets(NamedTuple):
    """Instances of a batch, those of each window one after another; memory for all candidates."""

    masks: torch.Tensor
    boxes: torch.Tensor
    labels: torch.Tensor
    areas: torch.Tensor
    ids: torch.Tensor


class _Passes(NamedTuple):
    """What resizing takes: numbers of starts and weights, bytes, and pixels of a first pass."""

    n_starts: int
    n_weights: int
    bytes_between: int
    most: int


class MadeBatch:
    """A batch that kernels are making.

    Attributes
    ----------
    names : list of str
        Of the images.
    """

    def __init__(
        self,
        reader: Reader,
        names: list[str],
        indices: NDArray[np.int64],
        tensors: dict[str, torch.Tensor],
        targets: _Targets | None,
        numbers: torch.Tensor,
    ) -> None:
        self.names = names
        self._reader, self._indices = reader, indices
        self._tensors, self._targets = tensors, targets
        # Statuses of the windows, then their numbers of instances.
        self._numbers = numbers
        self._done: torch.cuda.Event | None = None
        if numbers.is_pinned():
            self._done = torch.cuda.Event()
            self._done.record()

    def finished(self) -> SampleDict:
        """Wait for the batch, and return it as form "tensors" has it.

        Returns
        -------
        dict

        Raises
        ------
        StoreError
            If the coded data of an image is damaged.
        """
        if self._done is not None:
            self._done.synchronize()
        for tensor in self._all():
            if tensor.is_cuda:
                # The memory was taken on another stream.
                tensor.record_stream(torch.cuda.current_stream(tensor.device))
        status, n_instances = self._numbers.numpy().reshape(2, -1)
        if status.any():
            self._refuse(status)
        batch: SampleDict = {
            "index": self._tensors["index"],
            "name": self.names,
            "view": self._tensors["view"],
        }
        for key in ("image", "semantic"):
            if key in self._tensors:
                batch[key] = self._tensors[key]
        if self._targets is not None:
            counts = n_instances.tolist()
            n = sum(counts)
            for key, tensor in self._targets._asdict().items():
                batch[key] = list(tensor[:n].split(counts))
        return batch

    def _all(self) -> list[torch.Tensor]:
        return [*self._tensors.values(), *(self._targets or ())]

    def _refuse(self, status: NDArray[np.int32]) -> None:
        window = int(np.flatnonzero(status)[0])
        raise StoreError(
            f"image {self._indices[window]} of split {self._reader.split_name} of "
            f"{self._reader.store} is damaged: it has {_WRONG[int(status[window])]}; expected the "
            f"file that was converted; run 'mtfast check' on the store"
        )


class BatchMaker:
    """Makes batches of a set.

    Parameters
    ----------
    reader : Reader
    runs : SetRuns
    files : CodedSet or WindowFiles
        Those of the set in memory; or what reads those of a batch.
    device : torch.device
        A CUDA device; or the CPU, for tests.
    image_format : {"RGB", "BGR"}
    """

    def __init__(
        self,
        reader: Reader,
        runs: SetRuns,
        files: CodedSet | WindowFiles,
        device: torch.device,
        image_format: str,
    ) -> None:
        self._reader, self._runs, self._files, self._device = reader, runs, files, device
        self._launcher = launcher_of(device)
        self._views = ViewBatches(reader)
        self._names: list[str] = reader.split.names.tolist()
        self._image_format = image_format

    def make(self, keys: Sequence[SampleKey]) -> MadeBatch:
        """Plan a batch and launch the kernels that make it, on the current stream.

        Parameters
        ----------
        keys : sequence of SampleKey
            At least one; all of one size.

        Returns
        -------
        MadeBatch
        """
        reader, n = self._reader, len(keys)
        positions = np.array([key.position for key in keys], np.int64)
        views = np.ascontiguousarray(self._views.views(keys))
        coded, numbers, sent = self._files_of(positions, views)
        windows = np.empty(n * fields.FIELDS, np.int64)
        lists, totals = np.empty(3 * n, np.int32), np.empty(plan.TOTALS, np.int64)
        plan.place_windows(
            coded.images, coded.row_words, numbers, views.reshape(-1), coded.are_copied, windows,
            lists, totals,
        )  # fmt: skip
        indices = reader.indices[positions]
        sent |= {"windows": windows, "lists": lists, "index": indices, "view": views}
        n_resized = int(totals[plan.RESIZED])
        resized = lists[n : n + n_resized]
        passes = self._plan_passes(windows, resized, sent) if n_resized else None
        n_pairs = self._plan_pairs(windows, sent) if "instances" in reader.targets else 0
        there = coded.arrays | self._send(sent)
        height, width = _size_of(views[0])
        made = {"index": there["index"], "view": there["view"]}
        statuses = torch.zeros(2 * n, dtype=torch.int32, device=self._device)
        if reader.images:
            image = self._empty((n, height, width, 3), torch.uint8)
            self._decode(there, coded.are_copied, totals, statuses[:n], image)
            if passes is not None:
                self._resize(there, totals, passes, image)
            self._copy_undecoded(keys, lists[2 * n :][: totals[plan.UNDECODED]], image)
            if self._image_format == "BGR":
                image = image.flip(3)
            made["image"] = channels_first(image)
        if "semantic" in reader.targets:
            made["semantic"] = self._paint(there, n, height, width)
        targets = None
        if "instances" in reader.targets:
            targets = self._paint_instances(there, n, n_pairs, height, width, statuses[n:])
        names = [self._names[index] for index in indices.tolist()]
        return MadeBatch(reader, names, indices, made, targets, self._fetched(statuses))

    def _files_of(
        self, positions: NDArray[np.int64], views: NDArray[np.int64]
    ) -> tuple[CodedSet, NDArray[np.int64], dict[str, NDArray[Any]]]:
        """Return the files of a batch, the row of each window's image, and what is to be sent."""
        if isinstance(self._files, CodedSet):
            return self._files, positions, {}
        images, sent = self._files.read(positions, views)
        files = CodedSet(images.reshape(-1), np.zeros(0, np.int64), False, {})
        return files, np.arange(len(positions)), sent

    def _plan_passes(
        self, windows: NDArray[np.int64], resized: NDArray[np.int32], sent: dict[str, NDArray[Any]]
    ) -> _Passes:
        """Plan how windows are resized."""
        passes = np.empty(len(resized) * resize_windows.PASS_FIELDS, np.int64)
        totals = np.empty(3, np.int64)
        most = plan.place_passes(windows, resized, passes, totals)
        sent["passes"] = passes
        n_starts, n_weights, bytes_between = totals.tolist()
        return _Passes(n_starts, n_weights, bytes_between, most)

    def _plan_pairs(self, windows: NDArray[np.int64], sent: dict[str, NDArray[Any]]) -> int:
        """Find the instances that may be in the windows; return how many there are."""
        rows = windows.reshape(-1, fields.FIELDS)
        most = int((rows[:, fields.INSTANCES_END] - rows[:, fields.INSTANCES]).sum())
        owners, instances = np.empty(most, np.int32), np.empty(most, np.int32)
        runs = self._runs
        n = plan.find_pairs(windows, runs.boxes, runs.shown, owners, instances)
        sent |= {"owners": owners[:n], "instances": instances[:n]}
        return n

    def _send(self, sent: dict[str, NDArray[Any]]) -> dict[str, torch.Tensor]:
        """Copy arrays to the device, all in one piece."""
        starts = np.cumsum([0] + [-(-a.nbytes // _ALIGNMENT) * _ALIGNMENT for a in sent.values()])
        on_gpu = self._device.type == "cuda"
        packed = torch.empty(int(starts[-1]), dtype=torch.uint8, pin_memory=on_gpu)
        for start, array in zip(starts, sent.values(), strict=False):
            flat = array.reshape(-1).view(np.uint8)
            packed.numpy()[start : start + flat.size] = flat
        packed = packed.to(self._device, non_blocking=True)
        return {
            key: packed[start : start + array.nbytes]
            .view(torch.from_numpy(array[:0]).dtype)
            .view(array.shape)
            for (key, array), start in zip(sent.items(), starts.tolist(), strict=False)
        }

    def _empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype, device=self._device)

    def _fetched(self, tensor: torch.Tensor) -> torch.Tensor:
        """Start to copy a tensor to the host."""
        if self._device.type == "cpu":
            return tensor
        return torch.empty_like(tensor, device="cpu", pin_memory=True).copy_(
            tensor, non_blocking=True
        )

    def _decode(
        self,
        there: dict[str, torch.Tensor],
        are_copied: bool,
        totals: NDArray[np.int64],
        status: torch.Tensor,
        image: torch.Tensor,
    ) -> None:
        """Decode the windows; those that keep their size are finished."""
        n, words = len(status), there["words"]
        if are_copied:
            copied = self._empty((int(totals[plan.COPIED]),), torch.int32)
            self._launcher.launch(
                jpeg_blocks.copy_rows,
                (int(totals[plan.ROWS]), n),
                there["windows"], there["bits"], words, copied,
            )  # fmt: skip
            words = copied
        planes = self._empty((int(totals[plan.PLANE_BYTES]),), torch.uint8)
        self._launcher.launch(
            jpeg_blocks.decode_stretches,
            (-(-int(totals[plan.STRETCHES]) // jpeg_blocks.THREADS), n),
            there["windows"], words, there["bits"], there["dcs"], there["tables"],
            there["long_codes"], planes, status,
        )  # fmt: skip
        there["planes"] = planes
        plain = there["lists"][: int(totals[plan.PLAIN])]
        self._make_pixels(there, totals, plain, 1, image)

    def _make_pixels(
        self,
        there: dict[str, torch.Tensor],
        totals: NDArray[np.int64],
        chosen: torch.Tensor,
        oriented: int,
        out: torch.Tensor,
    ) -> None:
        self._launcher.launch(
            jpeg_pixels.make_pixels,
            (int(totals[plan.WINDOW_TILES]), len(chosen)),
            there["windows"], chosen, there["planes"], oriented, out, out,
        )  # fmt: skip

    def _resize(
        self,
        there: dict[str, torch.Tensor],
        totals: NDArray[np.int64],
        passes: _Passes,
        image: torch.Tensor,
    ) -> None:
        """Make the pixels of the windows that are resized."""
        n, height, width, _ = image.shape
        chosen = there["lists"][n : n + int(totals[plan.RESIZED])]
        pixels = self._empty((3 * int(totals[plan.RESIZED_PIXELS]),), torch.uint8)
        self._make_pixels(there, totals, chosen, 0, pixels)
        between = self._empty((passes.bytes_between,), torch.uint8)
        starts = self._empty((passes.n_starts,), torch.int64)
        weights = self._empty((passes.n_weights,), torch.int32)
        shared = there["windows"], chosen, there["passes"], starts, weights
        n_blocks = -(-(height + width) // resize_windows.THREADS)
        self._launcher.launch(resize_windows.weigh_windows, (n_blocks, len(chosen)), *shared)
        n_blocks = -(-passes.most // resize_windows.THREADS)
        self._launcher.launch(
            resize_windows.resize_first, (n_blocks, len(chosen)), *shared, pixels, between
        )
        n_blocks = -(-height // jpeg_pixels.TILE) * -(-width // jpeg_pixels.TILE)
        self._launcher.launch(
            resize_windows.resize_second, (n_blocks, len(chosen)), *shared, between, image, image
        )

    def _copy_undecoded(
        self, keys: Sequence[SampleKey], windows: NDArray[np.int32], image: torch.Tensor
    ) -> None:
        """Decode on the CPU what the kernels cannot, and copy it."""
        for window in windows.tolist():
            pixels = self._reader.pixels(keys[window])
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
            (_n_tiles(height, width), n),
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
            (n_pairs, _n_tiles(height, width)),
            *shared, places, targets.masks, targets.masks,
        )  # fmt: skip
        return targets


def _n_tiles(height: int, width: int) -> int:
    """Return how many tiles masks have at most, standing or turned."""
    return max(
        -(-a // paint_windows.ROWS) * -(-b // paint_windows.COLUMNS)
        for a, b in ((height, width), (width, height))
    )


def _size_of(view: NDArray[np.int64]) -> tuple[int, int]:
    """Return the height and width of the samples of a view."""
    height, width, _, turns = (int(number) for number in view[4:])
    return (width, height) if turns % 2 else (height, width)
