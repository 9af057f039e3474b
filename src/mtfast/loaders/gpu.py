"""Masks painted where they are needed: runs travel to the device, frames are made there.

An image's runs are some kilobytes, its frames megabytes. Only plain tensor operations are used, so
that every device that PyTorch knows paints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch

from mtfast.errors import MtfastError
from mtfast.painting.paint import semantic_dtype
from mtfast.rles.batch import Rles, toggles_of
from mtfast.table import RunTable

__all__ = ["decode_jpegs", "paint", "paint_instances"]

Device: TypeAlias = torch.device | str


def paint(runs: RunTable, device: Device = "cpu") -> torch.Tensor:
    """Paint the category ids of all instances, later over earlier ones, on background 0.

    Parameters
    ----------
    runs : RunTable
        Its images must all have one size.
    device : device

    Returns
    -------
    (n_images, height, width) uint8, or uint16 if a category id is above 255
        On the device; what :func:`mtfast.semantic` paints.

    Raises
    ------
    RLEError
        If an RLE does not tile its frame.
    MtfastError
        If the sizes differ, or an id has no place in a semantic mask.

    Examples
    --------
    >>> masks = paint(train.table()[:8], "cuda")                                 # doctest: +SKIP
    """
    height, width = runs.common_size()
    dtype = semantic_dtype(runs.category_ids)
    touched = _touched_pixels(runs, device)
    n_instances = max(runs.n_instances, 1)
    image = _to(runs.image_of_instance, device)[touched.instance]
    # One number for pixel and instance: of the numbers of a pixel the last instance's is largest.
    order, _ = torch.sort(
        (image * (height * width) + touched.pixel) * n_instances + touched.instance
    )
    pixel = order // n_instances
    last = torch.ones_like(pixel, dtype=torch.bool)
    last[:-1] = pixel[1:] != pixel[:-1]
    # Few devices scatter 16-bit numbers.
    working = torch.uint8 if dtype == np.uint8 else torch.int32
    values = _to(runs.category_ids, device).to(working)
    frames = torch.zeros(runs.n_images * height * width, dtype=working, device=device)
    frames[pixel[last]] = values[order[last] % n_instances]
    frames = frames.view(runs.n_images, height, width)
    return frames if dtype == np.uint8 else frames.to(torch.uint16)


def paint_instances(runs: RunTable, device: Device = "cpu") -> torch.Tensor:
    """Paint each instance into a frame of its own, (n_instances, height, width) bool on the device.

    The images must all have one size; errors are those of :func:`paint`.
    """
    height, width = runs.common_size()
    touched = _touched_pixels(runs, device)
    frames = torch.zeros(runs.n_instances * height * width, dtype=torch.bool, device=device)
    frames[touched.instance * (height * width) + touched.pixel] = True
    return frames.view(runs.n_instances, height, width)


class _Touched(NamedTuple):
    """Each pixel of each instance: its place in the frame, row by row, and the instance."""

    pixel: torch.Tensor
    instance: torch.Tensor


def _touched_pixels(runs: RunTable, device: Device) -> _Touched:
    height, width = runs.common_size()
    lists = toggles_of(Rles.of_table(runs), "runs")
    # Behind the toggles of every instance stands one that belongs to none.
    ends = np.delete(lists.toggles[: lists.offsets[-1]], lists.offsets[1:] - 1).reshape(-1, 2)
    n_runs = np.diff(lists.offsets) // 2
    lengths = ends[:, 1] - ends[:, 0]
    # In half the bytes where places fit, which is nearly always.
    places = np.int32 if height * width < 2**31 else np.int64
    start, length = (_to(column.astype(places), device) for column in (ends[:, 0], lengths))
    instance = torch.repeat_interleave(_to(n_runs, device), output_size=len(ends))
    # How many pixels there are is said here, as asking the device would mean to wait for it.
    n_pixels = int(lengths.sum())
    run = torch.repeat_interleave(length, output_size=n_pixels)
    before = torch.cumsum(length, 0) - length
    place = torch.arange(n_pixels, device=device) - before[run] + start[run]
    down = max(height, 1)
    return _Touched(place % down * width + place // down, instance[run])


def _to(column: Any, device: Device) -> torch.Tensor:
    return torch.from_numpy(np.array(column)).to(device, non_blocking=True)


def decode_jpegs(files: Sequence[bytes], device: Device = "cuda") -> list[torch.Tensor]:
    """Decode JPEG files on a GPU through torchvision (nvJPEG), (3, height, width) uint8 each.

    Its pixels may differ a little from those that a CPU decodes.

    Raises
    ------
    MtfastError
        If there is no torchvision.
    """
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        raise MtfastError(
            "JPEG files to decode on a device, but no 'torchvision'; expected it to be installed; "
            "run: pip install torchvision"
        ) from None
    data = [torch.from_numpy(np.frombuffer(file, np.uint8).copy()) for file in files]
    decoded: list[torch.Tensor] = decode_jpeg(data, mode=ImageReadMode.RGB, device=device)
    return decoded
