"""PyTorch's own DataLoader over a Dataset: no sample comes twice, and the seed still decides."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

from loops.records import BATCH, N_IMAGES, OPTIONS, epoch_of, images_of, samples_of, twice
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, collate

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

EPOCHS = 5


def make(data, workers=0, **options):
    options |= {"persistent_workers": True} if workers else {}
    return DataLoader(
        data,
        BATCH,
        shuffle=True,
        num_workers=workers,
        collate_fn=collate,
        generator=torch.Generator().manual_seed(11),
        **options,
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_five_epochs(store, workers, table):
    """Workers that live on, and a second seeded run."""
    runs = []
    for _ in range(2):
        loader = make(Dataset(store, **OPTIONS), workers)
        runs.append([epoch_of(loader) for _ in range(EPOCHS)])
    found, again = runs
    assert found == again
    assert all(images_of(samples) == list(range(N_IMAGES)) for samples in found)
    assert twice(sample for samples in found for sample in samples) == 0
    table(f"DataLoader, num_workers={workers}", found)


def test_spawned_workers(store):
    """They unpickle the dataset, and know as well what was read before."""
    runs = []
    for method in ("fork", "spawn"):
        loader = make(Dataset(store, **OPTIONS), 2, multiprocessing_context=method)
        runs.append([epoch_of(loader) for _ in range(3)])
    assert runs[0] == runs[1]
    assert twice(sample for samples in runs[1] for sample in samples) == 0


def test_workers_that_are_new_in_each_epoch(store):
    loader = DataLoader(Dataset(store, **OPTIONS), BATCH, num_workers=2, collate_fn=collate)
    alone = DataLoader(Dataset(store, **OPTIONS), BATCH, collate_fn=collate)
    found = [epoch_of(loader) for _ in range(3)]
    assert found == [epoch_of(alone) for _ in range(3)]
    assert twice(sample for samples in found for sample in samples) == 0


@pytest.mark.parametrize("workers", [0, 2])
def test_set_epoch_reaches_workers_that_live_on(store, workers):
    """The views of an epoch are those of its number, whatever was read before."""
    data = Dataset(store, **OPTIONS)
    loader = make(data, workers)
    epoch_of(loader)
    for epoch in (3, 1):
        data.set_epoch(epoch)
        samples = epoch_of(loader)
        direct = [data[SampleKey(epoch, image)] for image, _ in samples]
        assert samples == [(one["index"], tuple(one["view"].tolist())) for one in direct]


def test_set_epoch_again_does_not_repeat_views(store):
    """Accelerate calls it with the same number after an epoch that was left early."""
    data = Dataset(store, **OPTIONS)
    loader = DataLoader(data, BATCH, collate_fn=collate)
    found = []
    for _ in range(3):
        data.set_epoch(0)
        found += samples_of(next(iter(loader)))
    assert twice(found) == 0


def test_subsets(store):
    data = Dataset(store, **OPTIONS)
    loader = make(Subset(data, range(5, 15)), 2)
    found = [epoch_of(loader) for _ in range(3)]
    assert all(images_of(samples) == list(range(5, 15)) for samples in found)
    assert twice(sample for samples in found for sample in samples) == 0


def test_random_split(store):
    data = Dataset(store, **OPTIONS)
    halves = random_split(data, [0.5, 0.5], torch.Generator().manual_seed(0))
    found = [[epoch_of(make(half)) for _ in range(2)] for half in halves]
    assert images_of(one for half in found for one in half[0]) == list(range(N_IMAGES))
    assert twice(one for half in found for epoch in half for one in epoch) == 0


def test_concatenated_sets(store):
    train = Dataset(store, **OPTIONS)
    # Equal seeds would give images of the same number similar views.
    test = Dataset(store, "test", **(OPTIONS | {"seed": 6}))
    loader = make(ConcatDataset([train, test]), 2)
    found = [epoch_of(loader) for _ in range(2)]
    for samples in found:
        assert images_of(samples) == sorted([*range(N_IMAGES), *range(len(test))])
    assert twice(sample for samples in found for sample in samples) == 0
