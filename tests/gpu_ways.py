"""Where work of a GPU is done in tests: on the GPU where there is one, and on the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pycocotools.mask as coco
import torch

from mtfast.gpu import operations
from mtfast.gpu.launching import launcher_of
from mtfast.kernels.device.twice import DeviceKernel

# Loops on the host stand for the threads of a GPU where there is none.
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
WAYS = ["operations", "kernels", *(["cuda"] if torch.cuda.is_available() else [])]


@contextmanager
def device_of(way: str) -> Iterator[str]:
    """Name the device of a way; loops on the CPU stand for the threads of "kernels"."""
    with mock.patch.object(operations, "_runs_kernels", return_value=way != "operations"):
        yield "cuda" if way == "cuda" else "cpu"


def run_on_gpu(kernel: DeviceKernel, grid: tuple[int, int], *arguments: np.ndarray | int) -> None:
    """Run a kernel on the GPU, as ``DeviceKernel.run`` does on the host; arrays are copied.

    Arrays that begin at one address are views of one memory, and stay so.
    """
    device = torch.device(DEVICE, 0)
    memory: dict[int, np.ndarray] = {}
    for array in arguments:
        if isinstance(array, np.ndarray):
            flat = array.reshape(-1).view(np.uint8)
            longest = memory.get(array.ctypes.data)
            if longest is None or longest.size < flat.size:
                memory[array.ctypes.data] = flat
    there = {at: torch.from_numpy(flat.copy()).to(device) for at, flat in memory.items()}
    given = [a if isinstance(a, int) else there[a.ctypes.data] for a in arguments]
    launcher_of(device).launch(kernel, grid, *given)
    for at, flat in memory.items():
        if flat.flags.writeable:
            flat[:] = there[at].cpu().numpy()


def coco_rles(masks: np.ndarray) -> list[dict]:
    """Encode masks that lie along the first axis with pycocotools."""
    return [coco.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]


def random_masks(shape: tuple[int, int, int], density: float, seed: int) -> np.ndarray:
    """Random pixels, and blocks of them in half of the masks."""
    rng = np.random.default_rng(seed)
    masks = (rng.random(shape) < density).astype(np.uint8)
    for mask in masks[::2]:
        mask[: shape[1] // 2 + 1, shape[2] // 3 :] = density > 0
    return masks
