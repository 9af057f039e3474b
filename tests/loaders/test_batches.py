"""Packed batches, compared with the samples that they were made of."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from mtfast.errors import MtfastError
from mtfast.loaders.batches import pack_batch, pack_dicts, unpack_batch
from mtfast.loaders.forms import format_batch
from mtfast.loaders.reader import TrainingSample
from mtfast.loaders.views import View
from mtfast.painting.instance_targets import InstanceTargets


def make_sample(rng, index, n, dtype=np.uint8):
    """A sample of odd sizes, so that arrays end where no other may begin."""
    return TrainingSample(
        index,
        f"{index}.jpg",
        View(index, 1, 3, 5, 3, 5, True, 2),
        rng.integers(0, 256, (3, 5, 3), np.uint8),
        rng.integers(0, 99, (3, 5), dtype),
        InstanceTargets(
            rng.random((n, 3, 5)) < 0.5,
            rng.random((n, 4), np.float32),
            rng.integers(1, 9, n),
            rng.integers(1, 9, n),
            rng.integers(1, 99, n),
        ),
    )


@pytest.mark.parametrize("counts", [[2, 0, 3], [0, 0], [1]])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_unpacking_gives_what_was_packed(rng, counts, dtype):
    samples = [make_sample(rng, 7 + k, n, dtype) for k, n in enumerate(counts)]
    batch = pack_batch(samples)
    assert batch.data.dtype == torch.uint8
    starts = [piece.start for pieces in batch.layout.values() for piece in pieces]
    assert all(start % 8 == 0 for start in starts)
    for found, sample in zip(unpack_batch(batch), samples, strict=True):
        assert (found["index"], found["name"]) == (sample.index, sample.name)
        assert found["view"].tolist() == list(sample.view)
        assert np.array_equal(found["image"], sample.image.transpose(2, 0, 1))
        assert found["semantic"].dtype == torch.from_numpy(sample.semantic).dtype
        assert np.array_equal(found["semantic"].numpy(), sample.semantic)
        for key, column in sample.instances._asdict().items():
            assert found[key].dtype == torch.from_numpy(column).dtype
            assert np.array_equal(found[key], column)


def test_a_batch_is_one_buffer(rng):
    batch = pack_batch([make_sample(rng, k, 2) for k in range(3)])
    found = format_batch("tensors", batch)
    pointers = {found[key].untyped_storage().data_ptr() for key in ("image", "semantic", "view")}
    assert pointers == {batch.data.untyped_storage().data_ptr()}
    assert found["image"].shape == (3, 3, 3, 5)
    assert found["image"].is_contiguous(memory_format=torch.channels_last)
    assert found["index"].tolist() == [0, 1, 2]
    assert [len(masks) for masks in found["masks"]] == [2, 2, 2]


def test_samples_of_several_types_are_not_mixed(rng):
    samples = [make_sample(rng, 0, 1, np.uint8), make_sample(rng, 1, 1, np.uint16)]
    batch = pack_batch(samples)
    for found, sample in zip(unpack_batch(batch), samples, strict=True):
        assert found["semantic"].dtype == torch.from_numpy(sample.semantic).dtype
        assert np.array_equal(found["semantic"], sample.semantic)
        assert np.array_equal(found["masks"], sample.instances.masks)
    assert isinstance(format_batch("dicts", batch)[1]["semantic"], torch.Tensor)
    with pytest.raises(MtfastError, match="a batch with semantic .* uint8 and semantic .* uint16"):
        format_batch("tensors", batch)


@pytest.mark.parametrize("too_small", [False, True])
def test_a_buffer_is_used_again_if_it_is_large_enough(rng, too_small):
    samples = [make_sample(rng, k, 2) for k in range(3)]
    expected = pack_batch(samples)
    n = expected.data.numel()
    out = np.full(n - 1 if too_small else n + 9, 7, np.uint8)
    batch = pack_batch(samples, out)
    assert (batch.data.data_ptr() == out.ctypes.data) is not too_small
    assert batch.layout == expected.layout
    for key, array in batch.arrays().items():
        assert torch.equal(array, expected.arrays()[key])
    assert out[n:].tolist() == [7] * (0 if too_small else 9)


def test_bgr_exchanges_the_channels_alone(rng):
    samples = [make_sample(rng, k, 1) for k in range(2)]
    rgb, bgr = (unpack_batch(pack_batch(samples, None, order)) for order in ("RGB", "BGR"))
    for a, b in zip(rgb, bgr, strict=True):
        assert torch.equal(a["image"][[2, 1, 0]], b["image"])
        assert torch.equal(a["masks"], b["masks"])


def test_dicts_are_packed_as_they_are(rng):
    """Also images of other types, and keys that a transform has added."""
    samples = unpack_batch(pack_batch([make_sample(rng, k, k) for k in range(3)]))
    for k, sample in enumerate(samples):
        sample["image"] = sample["image"].float() / 255
        sample["depth"] = torch.full((2,), float(k))
        sample["crop"] = torch.zeros(k + 1)
    batch = pack_dicts(samples)
    assert "crop" not in batch.arrays()
    for found, sample in zip(unpack_batch(batch), samples, strict=True):
        assert list(found) == list(sample)
        for key, value in sample.items():
            assert (
                torch.equal(torch.as_tensor(found[key]), torch.as_tensor(value))
                if key != "name"
                else found[key] == value
            )
