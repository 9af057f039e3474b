"""Ways to work on masks of a device: PyTorch's operations, and kernels, here on the host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

import numpy as np
import pycocotools.mask as coco
import torch

from mtfast.gpu import operations

WAYS = ["operations", "kernels", *(["cuda"] if torch.cuda.is_available() else [])]


@contextmanager
def device_of(way: str) -> Iterator[str]:
    """Name the device of a way; loops on the CPU stand for the threads of "kernels"."""
    with mock.patch.object(operations, "_runs_kernels", return_value=way != "operations"):
        yield "cuda" if way == "cuda" else "cpu"


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
