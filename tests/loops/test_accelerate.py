"""Accelerate's prepare of a Loader, which it leaves alone, and of a DataLoader over a Dataset."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
accelerate = pytest.importorskip("accelerate", reason="accelerate is of the group 'loops'")

from torch.utils.data import DataLoader

from loops.records import (
    BATCH,
    N_IMAGES,
    OPTIONS,
    epoch_of,
    images_of,
    interleaved,
    of,
    samples_of,
    twice,
)
from mtfast.loaders.torch import Dataset, Loader, collate

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
]


@pytest.fixture
def accelerator():
    yield accelerate.Accelerator(cpu=True)
    accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
    accelerate.state.GradientState._reset_state()


def test_a_loader(store, epochs, accelerator, table):
    loader = accelerator.prepare(Loader(Dataset(store, **OPTIONS), BATCH))
    found = [epoch_of(loader) for _ in range(3)]
    assert found == epochs[:3]
    table("Accelerate, Loader", found)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_data_loader(store, accelerator, workers, table):
    torch.manual_seed(8)
    options = {"num_workers": workers, "persistent_workers": workers > 0, "collate_fn": collate}
    loader = accelerator.prepare(
        DataLoader(Dataset(store, **OPTIONS), BATCH, shuffle=True, **options)
    )
    found = [epoch_of(loader) for _ in range(3)]
    assert all(images_of(samples) == list(range(N_IMAGES)) for samples in found)
    assert twice(sample for samples in found for sample in samples) == 0
    table(f"Accelerate, DataLoader, num_workers={workers}", found)


def test_a_data_loader_whose_epochs_are_left_early(store, accelerator):
    """Accelerate then gives all of them the same number."""
    loader = accelerator.prepare(DataLoader(Dataset(store, **OPTIONS), BATCH, collate_fn=collate))
    found = [samples_of(next(iter(loader))) for _ in range(3)]
    assert twice(sample for samples in found for sample in samples) == 0


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks("with_accelerate")


def test_two_ranks_share_a_loader(ranks, epochs, table):
    found = of(ranks, "of_a_loader")
    together = [interleaved(*parts) for parts in zip(*found, strict=True)]
    assert [samples[:N_IMAGES] for samples in together] == epochs[:3]
    table("Accelerate, Loader", *found)


def test_two_ranks_resume_a_loader(ranks, epochs, table):
    found = of(ranks, "resumed")
    done = interleaved(*(one["done"] for one in found))
    rest = interleaved(*(one["rest"][0] for one in found))
    assert (done + rest)[:N_IMAGES] == epochs[0]
    assert interleaved(*(one["rest"][1] for one in found))[:N_IMAGES] == epochs[1]
    whole = [[one["done"] + one["rest"][0], one["rest"][1]] for one in found]
    table("Accelerate, Loader, resumed", *whole, resumed=found[0]["rest"][0])


def test_two_ranks_share_a_data_loader(ranks, table):
    """Accelerate fills the last batches with the first images."""
    found = of(ranks, "of_a_data_loader")
    for parts in zip(*found, strict=True):
        assert {image for part in parts for image, _ in part} == set(range(N_IMAGES))
    assert twice(one for epochs in found for samples in epochs for one in samples) == 0
    table("Accelerate, DataLoader, num_workers=2", *found)


def test_two_ranks_that_leave_a_data_loader_early(ranks):
    for epochs in of(ranks, "left_early"):
        assert twice(sample for samples in epochs for sample in samples) == 0
