"""RLE of label maps of tensors, compared with pycocotools and the function for arrays."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast.mask
from gpu_ways import WAYS, coco_rles, device_of
from mtfast import gpu
from mtfast.errors import MtfastError
from mtfast.gpu import kernel_operations, torch_operations

SHAPES = st.tuples(st.integers(0, 3), st.integers(0, 70), st.integers(0, 40))
UNSIGNED = [torch.bool, torch.uint8, torch.uint16, torch.uint32]
DTYPES = st.sampled_from([*UNSIGNED, torch.int8, torch.int16, torch.int32, torch.int64])

ways = pytest.mark.parametrize("way", WAYS)


def expected_of(label_map, background):
    labels = [int(v) for v in np.unique(label_map) if v != background]
    return labels, coco_rles(np.array([label_map == v for v in labels]))


def plain(encoded):
    labels, rles = encoded
    assert labels.dtype == np.int64
    return labels.tolist(), rles


@ways
@settings(deadline=None, max_examples=50)
@given(
    SHAPES, DTYPES, st.sampled_from([1, 2, 5, 120]), st.sampled_from([0, 1, 9]), st.integers(0, 99)
)
def test_random_maps(way, shape, dtype, n_labels, background, seed):
    rng = np.random.default_rng(seed)
    values = rng.integers(-40 if n_labels > 5 and dtype.is_signed else 0, n_labels, shape)
    maps = torch.from_numpy(values).to(dtype)
    # Blocks, so that there are long runs too.
    maps[:, : shape[1] // 2] = maps[:, :1, :1] if maps.numel() else 0
    with device_of(way) as device:
        found = gpu.from_label_map(maps.to(device), background)
        alone = [gpu.from_label_map(label_map.to(device), background) for label_map in maps]
    assert [plain(one) for one in found] == [plain(one) for one in alone]
    for label_map, one in zip(maps.numpy(), found, strict=True):
        assert plain(one) == expected_of(label_map, background)
        labels, rles = mtfast.mask.from_label_map(label_map, background)
        assert plain(one) == (labels.tolist(), rles)


@ways
def test_wide_labels(way):
    """Labels that differ only in bits of one half, and those that are negative in fewer bits."""
    wide = torch.tensor([[1, 1 + 2**32], [-1, 1 - 2**63]])
    short = torch.tensor([[65535, 1], [32768, 65535]], dtype=torch.uint16)
    with device_of(way) as device:
        assert plain(gpu.from_label_map(wide.to(device))) == expected_of(wide.numpy(), 0)
        assert plain(gpu.from_label_map(short.to(device))) == expected_of(short.numpy(), 0)


@ways
def test_maps_that_are_encoded_in_parts(way):
    maps = torch.from_numpy(np.random.default_rng(0).integers(0, 4, (5, 33, 8)))
    module = torch_operations if way == "operations" else kernel_operations
    with (
        device_of(way) as device,
        mock.patch.object(module, "most_frames", return_value=2),
    ):
        found = gpu.from_label_map(maps.to(device))
    assert [plain(one) for one in found] == [expected_of(one, 0) for one in maps.numpy()]


def test_what_is_no_label_map():
    for label_map in (
        torch.zeros((2, 2)),
        torch.zeros(3, dtype=torch.int32),
        np.zeros((2, 2), int),
    ):
        with pytest.raises(MtfastError, match="a label map .*; expected a tensor of integers"):
            gpu.from_label_map(label_map)
