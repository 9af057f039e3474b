"""RLE of tensors, by PyTorch's operations and by kernels, compared with pycocotools."""

from __future__ import annotations

import math
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pycocotools.mask as coco
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast.mask
from gpu_ways import WAYS, coco_rles, device_of, random_masks
from mtfast import gpu
from mtfast.errors import MtfastError
from mtfast.gpu import kernel_operations, torch_operations
from mtfast.gpu.masks import rles_of_places
from mtfast.gpu.places import Places
from mtfast.kernels.device.change_words import order_number
from naive import mask as drawn

# More than two words of rows, widths that are and are not multiples of 4.
SHAPES = st.tuples(st.integers(0, 4), st.integers(0, 70), st.integers(0, 40))
DENSITIES = st.sampled_from([0, 0.02, 0.5, 0.98, 1])
SEEDS = st.integers(0, 999)
FLOATS = st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64])
THRESHOLDS = st.sampled_from([0.0, -0.0, 0.3, -0.7, -1e-60, math.inf, -math.inf, math.nan])

ways = pytest.mark.parametrize("way", WAYS)
several = settings(deadline=None, max_examples=50)


@ways
@several
@given(SHAPES, DENSITIES, SEEDS)
def test_random_masks(way, shape, density, seed):
    pixels = random_masks(shape, density, seed)
    expected = coco_rles(pixels)
    with device_of(way) as device:
        masks = torch.from_numpy(pixels).to(device)
        assert gpu.encode(masks) == expected
        assert gpu.encode(masks != 0) == expected
        assert gpu.encode(masks * 200) == expected
        assert gpu.encode(masks.to(torch.int8) * -128) == expected
        # The lowest byte of -256 is 0.
        assert gpu.encode(masks.to(torch.int64) * -256) == expected
        assert gpu.encode(masks.mT.contiguous().mT) == expected
        assert gpu.encode(masks[1:]) == expected[1:]
        assert gpu.encode(masks * 7, threshold=6) == expected
        assert gpu.encode(masks * 7, threshold=7) == coco_rles(pixels * 0)


@ways
@several
@given(SHAPES, FLOATS, THRESHOLDS, SEEDS)
def test_logits(way, shape, dtype, threshold, seed):
    rng = np.random.default_rng(seed)
    special = [0.0, -0.0, math.nan, -math.nan, math.inf, -math.inf, threshold]
    values = torch.from_numpy(rng.normal(size=shape))
    is_special = torch.from_numpy(rng.random(shape) < 0.3)
    choice = torch.from_numpy(rng.integers(0, len(special), shape))
    logits = torch.where(is_special, torch.tensor(special, dtype=torch.float64)[choice], values)
    logits = logits.to(dtype)
    # Widened, so that the comparison itself is one of float64.
    limit = torch.tensor(threshold, dtype=dtype).double().item()
    expected = coco_rles(logits.double().numpy() > limit)
    with device_of(way) as device:
        assert gpu.encode(logits.to(device), threshold=threshold) == expected


@ways
@pytest.mark.parametrize(
    "name", ["uint16", "uint32", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"]
)
def test_thresholds_of_dtypes_that_pytorch_hardly_compares(way, name):
    """They have values above those of the signed numbers of their size."""
    if not hasattr(torch, name):
        pytest.skip(f"a PyTorch without {name}")
    dtype = getattr(torch, name)
    pixels = random_masks((3, 40, 9), 0.5, 0)
    low, high = (1, 2**16 - 1) if name.startswith("u") else (1.0, 256.0)
    values = np.where(pixels, high, low)
    with device_of(way) as device:
        masks = torch.from_numpy(values).to(device).to(dtype)
        for threshold in (low, int(low), high - 1 if name.startswith("u") else 128):
            assert gpu.encode(masks, threshold=threshold) == coco_rles(pixels)
        assert gpu.encode(masks, threshold=high) == coco_rles(pixels * 0)


def test_masks_of_64_bits_without_a_sign():
    masks = torch.ones((1, 2, 2), dtype=torch.uint64)
    assert gpu.encode(masks) == coco_rles(np.ones((1, 2, 2)))
    with pytest.raises(MtfastError, match="uint64 with a threshold; expected .*; convert them"):
        gpu.encode(masks, threshold=3)


@ways
def test_another_default_device(way):
    logits = torch.from_numpy(random_masks((3, 9, 8), 0.5, 0)).float() - 0.5
    with device_of(way) as device:
        masks = logits.to(device)
        expected = gpu.encode(masks, threshold=0)
        with torch.device("meta"):
            assert gpu.encode(masks, threshold=0) == expected


@given(st.floats(width=32), st.floats(width=32))
def test_order_numbers_ascend(a, b):
    if not math.isnan(a) and not math.isnan(b) and a != b:
        bits = np.array([a, b], np.float32).view(np.int32).tolist()
        first, second = map(order_number, bits)
        assert (first < second) == (a < b)


@ways
def test_a_drawn_mask(way):
    plus = drawn("""
        .#..
        ###.
        .#..
    """)
    with device_of(way) as device:
        (rle,) = gpu.encode(torch.from_numpy(plus)[None].to(device))
    assert rle == {"size": [3, 4], "counts": b"11120N3"}


@ways
@pytest.mark.parametrize(
    "shape", [(1, 1, 70000), (1, 70000, 1), (2, 33, 1), (40, 1, 1), (2, 64, 128)]
)
def test_long_shapes(way, shape):
    pixels = random_masks(shape, 0.3, 0)
    pixels[0, -1, -1] ^= 1
    with device_of(way) as device:
        assert gpu.encode(torch.from_numpy(pixels).to(device)) == coco_rles(pixels)


@ways
def test_counts_of_every_length(way):
    """Characters of one number, from one to seven, of a frame that is never made."""
    height, width = 1 << 10, 1 << 20
    counts = [3, 20, 600, 3, 20_000, 700, 600_000, 5, 20_000_000, 9, 600_000_000, 1]
    counts.append(height * width - sum(counts))
    ends = torch.tensor(np.cumsum(counts), dtype=torch.int32)
    with device_of(way) as device:
        places = Places(ends.to(device), torch.tensor([0, ends.numel()], device=device))
        found = rles_of_places(places, height, width)
    rle = coco.frPyObjects({"size": [height, width], "counts": counts}, height, width)
    assert found.texts() == [rle["counts"]]


@ways
def test_batches_that_are_encoded_in_parts(way):
    pixels = random_masks((5, 40, 12), 0.4, 0)
    module = torch_operations if way == "operations" else kernel_operations
    with (
        device_of(way) as device,
        mock.patch.object(module, "most_frames", return_value=2),
    ):
        masks = torch.from_numpy(pixels).to(device)
        assert gpu.encode(masks) == coco_rles(pixels)
        assert np.array_equal(gpu.decode(coco_rles(pixels), device).cpu(), pixels)


@ways
def test_tables(way):
    pixels = random_masks((3, 20, 30), 0.2, 0)
    with device_of(way) as device:
        masks = torch.from_numpy(pixels).to(device)
        table = gpu.encode_table(masks, category_ids=[4, 4, 2], image_offsets=[0, 2, 2, 3])
        assert gpu.encode_table(masks).n_images == 1
    assert table.image_offsets.tolist() == [0, 2, 2, 3]
    assert table.category_ids.tolist() == [4, 4, 2]
    assert table.area().tolist() == np.count_nonzero(pixels, axis=(1, 2)).tolist()
    table.check()


def test_what_is_no_mask():
    with pytest.raises(MtfastError, match=r"masks are \(2, 2\); expected .* \(n, height, width\)"):
        gpu.encode(torch.zeros((2, 2), dtype=torch.bool))
    with pytest.raises(MtfastError, match="masks are ndarray; expected a tensor"):
        gpu.encode(np.zeros((1, 2, 2), bool))
    with pytest.raises(MtfastError, match=r"masks of torch.float32; expected integers or bool"):
        gpu.encode(torch.zeros((1, 2, 2)))
    with pytest.raises(MtfastError, match=r"image_offsets \[0, 3\]; expected .* to 1"):
        gpu.encode_table(torch.zeros((1, 2, 2), dtype=torch.bool), image_offsets=[0, 3])


def test_mask_encode_takes_tensors():
    pixels = random_masks((3, 20, 30), 0.2, 0)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    tensor = torch.from_numpy(pixels).to(device)
    # A tensor of the CPU takes the way of a tensor of a device if it is told to.
    with mock.patch("mtfast.mask.pixels.is_on_device", return_value=True):
        assert mtfast.mask.encode(tensor[0]) == coco_rles(pixels)[0]
        assert mtfast.mask.encode(tensor.permute(1, 2, 0)) == coco_rles(pixels)
        with pytest.raises(
            MtfastError, match=r"a mask of shape \(30,\); expected \(height, width\)"
        ):
            mtfast.mask.encode(tensor[0, 0])
    assert mtfast.mask.encode(tensor[0]) == coco_rles(pixels)[0]


def test_what_is_on_a_device():
    from mtfast.mask.arguments import is_on_device

    class Array:
        __cuda_array_interface__ = {"shape": (1, 1)}  # noqa: RUF012

    of_torch = type("Tensor", (SimpleNamespace,), {"__module__": "torch"})
    assert is_on_device(Array())
    assert is_on_device(of_torch(device=SimpleNamespace(type="cuda")))
    assert is_on_device(torch.zeros(1, device="meta"))
    assert not is_on_device(torch.zeros(1))
    assert not is_on_device(np.zeros(1))
