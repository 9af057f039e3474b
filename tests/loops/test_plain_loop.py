"""Loops over a Loader that are written by hand, on one rank and on two."""

from __future__ import annotations

import json
import multiprocessing
import pickle

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from loops.records import (
    BATCH,
    N_IMAGES,
    OPTIONS,
    digest,
    epoch_of,
    images_of,
    interleaved,
    of,
    samples_of,
    twice,
)
from mtfast.errors import MtfastError
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, Loader

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")


def make(store, **options):
    return Loader(Dataset(store, **OPTIONS), BATCH, **options)


def test_the_reference_is_what_the_dataset_says(store, epochs):
    data = Dataset(store, **OPTIONS)
    for epoch, samples in enumerate(epochs):
        assert images_of(samples) == list(range(N_IMAGES))
        direct = [data[SampleKey(epoch, image)] for image, _ in samples]
        assert samples == [(one["index"], tuple(one["view"].tolist())) for one in direct]
    assert len(set(map(digest, epochs))) == len(epochs)
    assert twice(sample for samples in epochs for sample in samples) == 0


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_a_plain_loop(store, epochs, workers, table):
    with make(store, workers=workers) as loader:
        found = [epoch_of(loader) for _ in range(3)]
        state = loader.state_dict()
    assert found == epochs[:3]
    with make(store) as loader:
        loader.load_state_dict(state)
        assert epoch_of(loader) == epochs[3]
    table(f"plain loop, workers={workers}", found, resumed=epochs[3])


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_an_epoch_that_is_left_is_over(store, epochs, workers):
    """As limits of steps an epoch and any break do."""
    with make(store, workers=workers) as loader:
        for epoch in range(4):
            taken = []
            for batch in loader:
                taken += samples_of(batch)
                if len(taken) == 2 * BATCH:
                    break
            assert taken == epochs[epoch][: 2 * BATCH]


def test_set_epoch_fixes_the_epoch(store, epochs):
    loader = make(store)
    loader.set_epoch(2)
    assert epoch_of(loader) == epoch_of(loader) == epochs[2]
    loader.sampler.set_epoch(1)
    assert epoch_of(loader) == epochs[1]
    loader.set_epoch(3)
    assert epoch_of(loader) == epochs[3]


def test_set_epoch_between_iter_and_the_first_batch(store, epochs):
    """As Lightning does in its first epoch, which calls iter twice before."""
    loader = make(store)
    iter(loader)
    batches = iter(loader)
    loader.sampler.set_epoch(2)
    assert epoch_of(batches) == epochs[2]


def test_start_goes_on_from_an_epoch(store, epochs):
    loader = make(store)
    loader.start(2)
    assert [epoch_of(loader), epoch_of(loader)] == epochs[2:]


@pytest.mark.parametrize("fixed", [False, True])
def test_a_state_resumes_in_mid_epoch(store, epochs, fixed):
    loader = make(store)
    epoch_of(loader)
    batches = iter(loader)
    done = samples_of(next(batches)) + samples_of(next(batches))
    state = json.loads(json.dumps(loader.state_dict()))
    resumed = make(store)
    resumed.load_state_dict(state)
    if fixed:
        resumed.set_epoch(1)
    assert done + epoch_of(resumed) == epochs[1]
    if fixed:
        resumed.set_epoch(2)
    assert epoch_of(resumed) == epochs[2]
    assert done + epoch_of(batches) == epochs[1]


def test_another_epoch_drops_a_loaded_place(store, epochs):
    loader = make(store)
    next(iter(loader))
    state = loader.state_dict()
    resumed = make(store)
    resumed.load_state_dict(state)
    resumed.set_epoch(1)
    assert epoch_of(resumed) == epochs[1]


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_an_iterator_inside_the_loop(store, epochs, workers):
    outer, inner = [], []
    with make(store, workers=workers) as loader:
        for batch in loader:
            outer += samples_of(batch)
            if len(inner) < 3 * BATCH:
                inner += samples_of(next(iter(loader)))
    assert outer == epochs[0]
    assert inner == [sample for epoch in epochs[1:] for sample in epoch[:BATCH]]


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_zip_of_a_loader_with_itself(store, epochs, workers):
    with make(store, workers=workers) as loader:
        pairs = list(zip(loader, loader, strict=True))
    assert [epoch_of(batches) for batches in zip(*pairs, strict=True)] == epochs[:2]


def test_the_state_is_that_of_the_newest_iterator(store, epochs):
    loader = make(store)
    older = iter(loader)
    next(older)
    newer = iter(loader)
    assert loader.state_dict()["epoch"] == 0
    next(newer)
    next(older)
    state = loader.state_dict()
    resumed = make(store)
    resumed.load_state_dict(state)
    assert epoch_of(resumed) == epochs[1][BATCH:]


def test_a_loader_is_left_as_it_was_by_iter_alone(store, epochs):
    loader = make(store)
    for _ in range(3):
        iter(loader)
    assert epoch_of(loader) == epochs[0]


def test_a_pickled_loader(store, epochs):
    """As spawned ranks are given one."""
    loader = make(store, workers=2)
    loader.start(1)
    with pickle.loads(pickle.dumps(loader)) as copy:
        assert [epoch_of(copy), epoch_of(copy)] == epochs[1:3]


def left_open(store):
    """What a process does that never closes its loader."""
    global kept
    kept = make(store, workers=2)
    next(iter(kept))


def test_a_process_ends_with_its_loader_open(store):
    """As the ranks that torch.multiprocessing starts, which wait for their own children."""
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=left_open, args=(store,))
    process.start()
    process.join(60)
    ended = process.exitcode
    process.kill()
    process.join()
    assert ended == 0


@pytest.fixture(scope="module")
def ranks(two_ranks):
    return two_ranks("plain")


@pytest.mark.parametrize("scenario", ["before_the_group", "with_workers", "peek", "zipped"])
def test_two_ranks_share_each_epoch(ranks, epochs, scenario, table):
    found = of(ranks, scenario)
    for epoch, parts in enumerate(zip(*found, strict=True)):
        together = interleaved(*parts)
        assert together[:N_IMAGES] == epochs[epoch]
        # One image comes twice, so that both ranks get equally many.
        assert together[N_IMAGES:] == epochs[epoch][:1]
    table(f"torchrun, {scenario.replace('_', ' ')}", *found)


def test_two_ranks_that_leave_epochs_early(ranks, epochs):
    found = of(ranks, "left_early")
    for epoch, parts in enumerate(zip(*found, strict=True)):
        assert interleaved(*parts) == epochs[epoch][: 4 * BATCH]


def test_two_ranks_resume_in_mid_epoch(ranks, epochs, table):
    found = of(ranks, "resumed")
    assert found[0]["state"] == found[1]["state"]
    done = interleaved(*(one["done"] for one in found))
    rest = interleaved(*(one["rest"][0] for one in found))
    assert (done + rest)[:N_IMAGES] == epochs[0]
    assert interleaved(*(one["rest"][1] for one in found))[:N_IMAGES] == epochs[1]
    whole = [[one["done"] + one["rest"][0], one["rest"][1]] for one in found]
    table("torchrun, resumed in mid-epoch", *whole, resumed=found[0]["rest"][0])


def test_validation_on_two_ranks_counts_nothing_twice(ranks, table):
    found = of(ranks, "validation")
    for parts in zip(*found, strict=True):
        assert images_of(sample for part in parts for sample in part) == list(range(7))
    table("torchrun, validation", *found)


def test_a_rank_alone_is_refused(store):
    with pytest.raises(MtfastError, match="give the other one"):
        make(store, rank=0)
