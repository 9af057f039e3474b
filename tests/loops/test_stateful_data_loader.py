"""torchdata's StatefulDataLoader over a Dataset, whose state holds that of the dataset."""

from __future__ import annotations

import io

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
pytest.importorskip("torchdata.stateful_dataloader", reason="torchdata is of the group 'loops'")

from torchdata.stateful_dataloader import StatefulDataLoader

from loops.records import BATCH, N_IMAGES, OPTIONS, epoch_of, images_of, samples_of, twice
from mtfast.loaders.torch import Dataset, collate

pytestmark = [
    pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning"),
    # torchdata 0.11 with PyTorch 2.13
    pytest.mark.filterwarnings("ignore:.set_vital. is deprecated:UserWarning"),
]

KINDS = [(0, False), (2, False), (2, True)]


def make(store, workers, lives_on):
    torch.manual_seed(4)
    return StatefulDataLoader(
        Dataset(store, **OPTIONS),
        BATCH,
        shuffle=True,
        num_workers=workers,
        persistent_workers=lives_on,
        collate_fn=collate,
    )


def saved(state):
    """What a checkpoint makes of a state."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize(("workers", "lives_on"), KINDS)
@pytest.mark.parametrize("left", [1, 2, 5])
def test_resumed_in_the_second_epoch(store, workers, lives_on, left, table):
    """A state is taken after some batches of the second epoch; the workers are ahead of it."""
    loader = make(store, workers, lives_on)
    first = epoch_of(loader)
    second = []
    for number, batch in enumerate(loader, 1):
        second += samples_of(batch)
        if number == left:
            state = saved(loader.state_dict())
    third = epoch_of(loader)
    found = [first, second, third]
    assert all(images_of(samples) == list(range(N_IMAGES)) for samples in found)
    assert twice(sample for samples in found for sample in samples) == 0

    resumed = make(store, workers, lives_on)
    resumed.load_state_dict(state)
    rest = epoch_of(resumed)
    assert rest == second[left * BATCH :]
    assert epoch_of(resumed) == third
    if left == 2:
        kind = ", living on" if lives_on else ""
        table(f"StatefulDataLoader, num_workers={workers}{kind}", found, resumed=rest)


@pytest.mark.parametrize(("workers", "lives_on"), KINDS)
def test_resumed_between_epochs(store, workers, lives_on):
    loader = make(store, workers, lives_on)
    epoch_of(loader)
    state = saved(loader.state_dict())
    second = epoch_of(loader)
    resumed = make(store, workers, lives_on)
    resumed.load_state_dict(state)
    assert epoch_of(resumed) == second


@pytest.mark.parametrize(("workers", "lives_on"), KINDS)
def test_resumed_twice(store, workers, lives_on):
    """A state that was saved after resuming."""
    loader = make(store, workers, lives_on)
    epoch_of(loader)
    batches = iter(loader)
    next(batches)
    state = saved(loader.state_dict())
    next(batches)
    rest = epoch_of(batches)
    resumed = make(store, workers, lives_on)
    resumed.load_state_dict(state)
    next(iter(resumed))
    again = make(store, workers, lives_on)
    again.load_state_dict(saved(resumed.state_dict()))
    assert epoch_of(again) == rest
