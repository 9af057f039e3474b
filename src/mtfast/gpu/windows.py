"""Windows of JPEG files decoded, resized, mirrored and turned by kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.errors import MtfastError, shown
from mtfast.gpu.files import CodedFiles, Files
from mtfast.gpu.launching import Launcher, launcher_of
from mtfast.jpeg.device import CodedImage
from mtfast.kernels.device import jpeg_blocks, jpeg_pixels, plan, resize_windows
from mtfast.kernels.device import window_table as fields

__all__ = [
    "WRONG",
    "PlannedWindows",
    "checked_device",
    "decode_images",
    "decode_windows",
    "plan_windows",
    "send",
]

Int64 = NDArray[np.int64]

_ALIGNMENT = 16
WRONG = {
    jpeg_blocks.BAD_CODE: "bits that are no code",
    jpeg_blocks.TOO_SHORT: "coded data that ends too early",
    jpeg_blocks.BAD_END: "a stretch that does not end where the next one begins",
}
"""What is wrong with a window, by its status."""


class _Passes(NamedTuple):
    """What resizing takes: numbers of starts and weights, bytes, and pixels of a first pass."""

    n_starts: int
    n_weights: int
    bytes_between: int
    most: int


class PlannedWindows(NamedTuple):
    """Windows that are to be decoded.

    Attributes
    ----------
    arrays : dict of str to array
        ``windows``, ``lists`` and, where some are resized, ``passes``; to be sent to the device.
    totals : (TOTALS,) int64
        See :func:`mtfast.kernels.device.plan.place_windows`.
    passes : _Passes or None
        None where no window is resized.
    are_copied : bool
        As that of the files.
    """

    arrays: dict[str, NDArray[Any]]
    totals: Int64
    passes: _Passes | None
    are_copied: bool

    @property
    def undecoded(self) -> NDArray[np.int32]:
        """Numbers of the windows that kernels cannot decode."""
        lists = self.arrays["lists"]
        return lists[2 * (len(lists) // 3) :][: self.totals[plan.UNDECODED]]


def plan_windows(files: CodedFiles, numbers: Int64, views: Int64) -> PlannedWindows:
    """Plan how windows are decoded.

    Parameters
    ----------
    files : CodedFiles
    numbers : (n,) int64
        Row of each window's image in the files.
    views : (n, 8) int64, C order
        See :class:`mtfast.loaders.views.View`.

    Returns
    -------
    PlannedWindows
    """
    n = len(numbers)
    windows = np.empty(n * fields.FIELDS, np.int64)
    lists, totals = np.empty(3 * n, np.int32), np.empty(plan.TOTALS, np.int64)
    plan.place_windows(
        files.images,
        files.row_words,
        numbers,
        views.reshape(-1),
        files.are_copied,
        windows,
        lists,
        totals,
    )
    arrays: dict[str, NDArray[Any]] = {"windows": windows, "lists": lists}
    n_resized = int(totals[plan.RESIZED])
    if not n_resized:
        return PlannedWindows(arrays, totals, None, files.are_copied)
    arrays["passes"] = np.empty(n_resized * resize_windows.PASS_FIELDS, np.int64)
    sizes = np.empty(3, np.int64)
    most = plan.place_passes(windows, lists[n : n + n_resized], arrays["passes"], sizes)
    n_starts, n_weights, bytes_between = sizes.tolist()
    passes = _Passes(n_starts, n_weights, bytes_between, most)
    return PlannedWindows(arrays, totals, passes, files.are_copied)


def send(arrays: dict[str, NDArray[Any]], device: torch.device) -> dict[str, torch.Tensor]:
    """Copy arrays to a device, all in one piece.

    Parameters
    ----------
    arrays : dict of str to array
        C order.
    device : torch.device

    Returns
    -------
    dict of str to tensor
        Of the same shapes; they may still be on their way, on the current stream.
    """
    starts = np.cumsum([0] + [-(-a.nbytes // _ALIGNMENT) * _ALIGNMENT for a in arrays.values()])
    packed = torch.empty(
        int(starts[-1]), dtype=torch.uint8, device="cpu", pin_memory=device.type == "cuda"
    )
    for start, array in zip(starts, arrays.values(), strict=False):
        flat = array.reshape(-1).view(np.uint8)
        packed.numpy()[start : start + flat.size] = flat
    packed = packed.to(device, non_blocking=True)
    return {
        key: packed[start : start + array.nbytes]
        .view(torch.from_numpy(array[:0]).dtype)
        .view(array.shape)
        for (key, array), start in zip(arrays.items(), starts.tolist(), strict=False)
    }


def decode_windows(
    launcher: Launcher,
    planned: PlannedWindows,
    there: dict[str, torch.Tensor],
    status: torch.Tensor,
    image: torch.Tensor,
) -> None:
    """Launch the kernels that decode windows, on the current stream.

    Parameters
    ----------
    launcher : Launcher
    planned : PlannedWindows
    there : dict of str to tensor
        The arrays of the plan and of the files, on the device.
    status : (n,) int32 tensor
        Zeros; becomes a key of :data:`WRONG` where coded data is damaged.
    image : (n, h, w, 3) uint8 tensor, out
        RGB. Windows that kernels cannot decode are left out.
    """
    totals, n = planned.totals, len(status)
    words = there["words"]
    if planned.are_copied:
        words = _empty(int(totals[plan.COPIED]), torch.int32, image.device)
        launcher.launch(
            jpeg_blocks.copy_rows,
            (int(totals[plan.ROWS]), n),
            *(there["windows"], there["bits"], there["words"], words),
        )
    planes = _empty(int(totals[plan.PLANE_BYTES]), torch.uint8, image.device)
    coded = there["bits"], there["dcs"], there["tables"], there["long_codes"]
    launcher.launch(
        jpeg_blocks.decode_stretches,
        (-(-int(totals[plan.STRETCHES]) // jpeg_blocks.THREADS), n),
        *(there["windows"], words, *coded, planes, status),
    )
    chosen = there["lists"][: int(totals[plan.PLAIN])]
    launcher.launch(
        jpeg_pixels.make_pixels,
        (int(totals[plan.WINDOW_TILES]), len(chosen)),
        *(there["windows"], chosen, planes, 1, image, image),
    )
    if planned.passes is not None:
        _resize(launcher, planned.passes, totals, there, planes, image)


def _empty(n: int, dtype: torch.dtype, device: torch.device) -> torch.Tensor:
    return torch.empty(n, dtype=dtype, device=device)


def _resize(
    launcher: Launcher,
    passes: _Passes,
    totals: Int64,
    there: dict[str, torch.Tensor],
    planes: torch.Tensor,
    image: torch.Tensor,
) -> None:
    """Make the pixels of the windows that are resized."""
    n, height, width, _ = image.shape
    windows, device = there["windows"], image.device
    chosen = there["lists"][n : n + int(totals[plan.RESIZED])]
    pixels = _empty(3 * int(totals[plan.RESIZED_PIXELS]), torch.uint8, device)
    launcher.launch(
        jpeg_pixels.make_pixels,
        (int(totals[plan.WINDOW_TILES]), len(chosen)),
        *(windows, chosen, planes, 0, pixels, pixels),
    )
    between = _empty(passes.bytes_between, torch.uint8, device)
    starts = _empty(passes.n_starts, torch.int64, device)
    weights = _empty(passes.n_weights, torch.int32, device)
    shared = windows, chosen, there["passes"], starts, weights
    n_blocks = -(-(height + width) // resize_windows.THREADS)
    launcher.launch(resize_windows.weigh_windows, (n_blocks, len(chosen)), *shared)
    n_blocks = -(-passes.most // resize_windows.THREADS)
    launcher.launch(resize_windows.resize_first, (n_blocks, len(chosen)), *shared, pixels, between)
    n_blocks = -(-height // jpeg_pixels.TILE) * -(-width // jpeg_pixels.TILE)
    launcher.launch(
        resize_windows.resize_second, (n_blocks, len(chosen)), *shared, between, image, image
    )


def decode_images(
    coded: Sequence[CodedImage | None],
    frames: Int64,
    windows: Int64,
    on_cpu: Callable[[int], NDArray[np.uint8]],
    device: torch.device,
) -> tuple[torch.Tensor, NDArray[np.int32]]:
    """Decode a window of each of some files.

    Parameters
    ----------
    coded : sequence of CodedImage or None
        None for a file that kernels cannot decode.
    frames : (n, 2) int64
        Height and width of each image.
    windows : (n, 4) int64
        First row and column, height and width; all of one size.
    on_cpu : callable
        Decodes a window that kernels cannot decode, given its number: (h, w, 3) uint8.
    device : torch.device

    Returns
    -------
    pixels : (n, h, w, 3) uint8 tensor
        RGB, on the device.
    status : (n,) int32
        Zero, or a key of :data:`WRONG`.
    """
    n, (height, width) = len(coded), windows[0, 2:].tolist()
    images = np.zeros((n, fields.FIELDS), np.int64)
    images[:, fields.FRAME_HEIGHT], images[:, fields.FRAME_WIDTH] = frames.T
    files = Files(images)
    for number, one in enumerate(coded):
        if one is not None:
            files.add(number, one)
    words = [one.words for one in coded if one is not None]
    joined = np.concatenate(words) if words else np.zeros(0, np.uint32)
    views = np.concatenate([windows, windows[:, 2:], np.zeros((n, 2), np.int64)], axis=1)
    nothing = np.zeros(0, np.int64)
    planned = plan_windows(CodedFiles(images.reshape(-1), nothing, False, {}), np.arange(n), views)
    sent = planned.arrays | files.arrays() | {"words": joined.view(np.int32)}
    there = send(sent, device)
    status = torch.zeros(n, dtype=torch.int32, device=device)
    pixels = torch.empty((n, height, width, 3), dtype=torch.uint8, device=device)
    decode_windows(launcher_of(device), planned, there, status, pixels)
    for number in planned.undecoded.tolist():
        pixels[number].copy_(torch.from_numpy(on_cpu(number)))
    return pixels, status.cpu().numpy()


def checked_device(device: torch.device | str) -> torch.device:
    """Return a device that kernels run on.

    Parameters
    ----------
    device : torch.device or str
        A CUDA device; or the CPU, for tests.

    Returns
    -------
    torch.device
        With its number.

    Raises
    ------
    MtfastError
        If there is no such device.
    """
    try:
        found = torch.device(device)
    except RuntimeError:
        found = torch.device("meta")
    if found.type == "cpu":
        return found
    if found.type != "cuda" or not torch.cuda.is_available():
        raise MtfastError(
            f"device {shown(device)}; expected a CUDA device that PyTorch sees; without one "
            f"use mtfast.loaders.torch.Loader and image()"
        )
    if found.index is None:
        return torch.device("cuda", torch.cuda.current_device())
    n = torch.cuda.device_count()
    if found.index >= n:
        raise MtfastError(
            f"device {shown(device)}; expected one of those that PyTorch "
            f"sees, 0 to {n - 1}; give another one, or name more in CUDA_VISIBLE_DEVICES"
        )
    return found
