"""Masks painted where they are needed: runs travel to the device, frames are made there.

The runs of an image are a few kilobytes, its frames megabytes. A CUDA device with numba-cuda paints
them with the kernels of :mod:`mtfast.kernels.device.paint_windows`, to which a frame is a window
that shows all of it; every other device that PyTorch supports with plain tensor operations.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from mtfast.gpu import kernel_operations
from mtfast.gpu.launching import launcher_of
from mtfast.gpu.operations import operations_for
from mtfast.kernels.device import paint_windows
from mtfast.kernels.device import window_table as fields
from mtfast.loaders.gpu.coded_set import runs_of
from mtfast.painting.paint import semantic_dtype
from mtfast.rles.batch import Rles, toggles_of
from mtfast.table import RunTable

__all__ = ["n_tiles", "paint", "paint_instances"]

Device: TypeAlias = torch.device | str

# Along the second axis of a grid.
_MOST_BLOCKS = 65535


def paint(table: RunTable, device: Device = "cpu") -> torch.Tensor:
    """Paint the category ids of all instances, later over earlier ones, on background 0.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    device : torch.device or str

    Returns
    -------
    (n_images, height, width) tensor, C order
        On the device; uint8, or uint16 if a category id is above 255. Its values are those of
        :func:`mtfast.semantic`.

    Raises
    ------
    RLEError
        If an RLE does not tile its frame.
    MtfastError
        If the sizes differ, or an id does not fit into a semantic mask.

    Examples
    --------
    >>> from mtfast.sources.coco.parse import parse_coco
    >>> table = parse_coco(
    ...     b'{"images": [{"id": 1, "file_name": "a.jpg", "height": 2, "width": 3}], "categories": '
    ...     b'[{"id": 5}], "annotations": [{"id": 1, "image_id": 1, "category_id": 5, '
    ...     b'"segmentation": {"size": [2, 3], "counts": [2, 2, 2]}}]}', "a.json")
    >>> paint(table)
    tensor([[[0, 5, 0],
             [0, 5, 0]]], dtype=torch.uint8)
    """
    height, width = table.common_size()
    dtype = semantic_dtype(table.category_ids)
    if _runs_kernels(table, device):
        return _frames_of_kernels(table, dtype, device)
    touched = _touched_pixels(table, device)
    n_instances = max(table.n_instances, 1)
    image = _to(table.image_of_instance, device)[touched.instance]
    # Pixel and instance in one number, so that sorting puts a pixel's last instance last.
    order, _ = torch.sort(
        (image * (height * width) + touched.pixel) * n_instances + touched.instance
    )
    pixel = order // n_instances
    last = torch.ones_like(pixel, dtype=torch.bool)
    last[:-1] = pixel[1:] != pixel[:-1]
    # Few devices scatter 16-bit numbers.
    working = torch.uint8 if dtype == np.uint8 else torch.int32
    values = _to(table.category_ids, device).to(working)
    frames = torch.zeros(table.n_images * height * width, dtype=working, device=device)
    frames[pixel[last]] = values[order[last] % n_instances]
    frames = frames.view(table.n_images, height, width)
    return frames if dtype == np.uint8 else frames.to(torch.uint16)


def paint_instances(table: RunTable, device: Device = "cpu") -> torch.Tensor:
    """Paint each instance into a frame of its own.

    Parameters
    ----------
    table : RunTable
        Its images must all have one size.
    device : torch.device or str

    Returns
    -------
    (n_instances, height, width) bool tensor, C order
        On the device, in the order of the table.

    Raises
    ------
    RLEError
        If an RLE does not tile its frame.
    MtfastError
        If the sizes differ.

    Examples
    --------
    >>> masks = paint_instances(train.instances(3), "cuda")                      # doctest: +SKIP
    """
    height, width = table.common_size()
    if _runs_kernels(table, device):
        return _instances_of_kernels(table, device)
    touched = _touched_pixels(table, device)
    frames = torch.zeros(table.n_instances * height * width, dtype=torch.bool, device=device)
    frames[touched.instance * (height * width) + touched.pixel] = True
    return frames.view(table.n_instances, height, width)


def n_tiles(height: int, width: int) -> int:
    """Return how many tiles masks have at most, standing or turned.

    Parameters
    ----------
    height, width : int

    Returns
    -------
    int
    """
    return max(
        -(-a // paint_windows.ROWS) * -(-b // paint_windows.COLUMNS)
        for a, b in ((height, width), (width, height))
    )


def _runs_kernels(table: RunTable, device: Device) -> bool:
    height, width = table.common_size()
    if not table.n_instances * height * width or n_tiles(height, width) > _MOST_BLOCKS:
        return False
    return operations_for(torch.device(device), height * width) is kernel_operations


def _frames_of_kernels(table: RunTable, dtype: np.dtype[Any], device: Device) -> torch.Tensor:
    height, width = table.common_size()
    wide = dtype == np.uint16
    kernel = paint_windows.paint_semantic_wide if wide else paint_windows.paint_semantic
    shape = table.n_images, height, width
    frames = torch.empty(shape, dtype=torch.uint16 if wide else torch.uint8, device=device)
    runs = [_to(column, device) for column in runs_of(table)]
    numbers = _to(table.category_ids.astype(np.int32), device)
    windows = _to(_windows_of(table), device)
    for first in range(0, table.n_images, _MOST_BLOCKS):
        out = frames[first : first + _MOST_BLOCKS]
        launcher_of(out.device).launch(
            kernel,
            (n_tiles(height, width), len(out)),
            windows[first:].reshape(-1), *runs, numbers, 0, int(not wide), out, out,
        )  # fmt: skip
    return frames


def _instances_of_kernels(table: RunTable, device: Device) -> torch.Tensor:
    height, width = table.common_size()
    n = table.n_instances
    frames = torch.empty((n, height, width), dtype=torch.bool, device=device)
    windows = _to(_windows_of(table), device).reshape(-1)
    runs = [_to(column, device) for column in runs_of(table)]
    owners = _to(table.image_of_instance.astype(np.int32), device)
    instances = torch.arange(n, dtype=torch.int32, device=device)
    launcher_of(frames.device).launch(
        paint_windows.paint_instances,
        (n, n_tiles(height, width)),
        windows, *runs, owners, instances, instances, frames, frames,
    )  # fmt: skip
    return frames


def _windows_of(table: RunTable) -> NDArray[np.int64]:
    """Make a window of each frame, (n, FIELDS), in which it is shown as it is."""
    height, width = table.common_size()
    windows = np.zeros((table.n_images, fields.FIELDS), np.int64)
    windows[:, [fields.FRAME_HEIGHT, fields.VIEW_H, fields.HEIGHT]] = height
    windows[:, [fields.FRAME_WIDTH, fields.VIEW_W, fields.WIDTH]] = width
    windows[:, fields.INSTANCES] = table.image_offsets[:-1]
    windows[:, fields.INSTANCES_END] = table.image_offsets[1:]
    return windows


class _Touched(NamedTuple):
    """The pixels of all instances: the row-major index in the frame, and the instance."""

    pixel: torch.Tensor
    instance: torch.Tensor


def _touched_pixels(table: RunTable, device: Device) -> _Touched:
    height, width = table.common_size()
    lists = toggles_of(Rles.of_table(table), "runs")
    # The toggles of every instance end with a sentinel.
    ends = np.delete(lists.toggles[: lists.offsets[-1]], lists.offsets[1:] - 1).reshape(-1, 2)
    n_runs = np.diff(lists.offsets) // 2
    lengths = ends[:, 1] - ends[:, 0]
    # Half the bytes to copy, for all frames below two gigapixels.
    dtype = np.int32 if height * width < 2**31 else np.int64
    start, length = (_to(column.astype(dtype), device) for column in (ends[:, 0], lengths))
    instance = torch.repeat_interleave(_to(n_runs, device), output_size=len(ends))
    # Summed on the host: asking the device would mean waiting for it.
    n_pixels = int(lengths.sum())
    run = torch.repeat_interleave(length, output_size=n_pixels)
    before = torch.cumsum(length, 0) - length
    # Runs go down the columns.
    down = torch.arange(n_pixels, device=device) - before[run] + start[run]
    rows = max(height, 1)
    return _Touched(down % rows * width + down // rows, instance[run])


def _to(column: Any, device: Device) -> torch.Tensor:
    return torch.from_numpy(np.array(column)).to(device, non_blocking=True)
