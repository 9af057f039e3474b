"""The order of samples, compared with an obvious twin: lists, ranks one after another."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.errors import MtfastError
from mtfast.loaders.epoch_order import EpochOrder
from mtfast.loaders.random_numbers import random_words
from mtfast.loaders.sampler import Sampler

images = st.lists(st.integers(0, 60), max_size=40, unique=True)


def order_of(indices, shard=4, seed=0, **options) -> EpochOrder:
    return EpochOrder(np.array(indices, np.int64), shard, seed, **options)


def handed(
    order: EpochOrder, ranks: int, batch: int, stop: int | None = None, state=None, **options
):
    """What all ranks hand out in the rest of an epoch, in turns, and the state after ``stop``."""
    samplers = [Sampler(order, batch, rank=r, ranks=ranks, **options) for r in range(ranks)]
    for sampler in samplers:
        if state is not None:
            sampler.load_state_dict(json.loads(json.dumps(state)))
    epochs = [sampler.begin() for sampler in samplers]
    batches = [list(epoch.batches()) for epoch in epochs]
    assert [len(b) for b in batches] == [len(epoch) for epoch in epochs]
    assert {len(b) for b in batches} == {-(-epochs[0].n_left // batch)}
    assert state or {len(b) for b in batches} == {len(samplers[0])}
    positions, states = [], [samplers[0].state_dict()]
    for step in list(zip(*batches, strict=True))[:stop]:
        assert len({len(batch) for batch in step}) == 1
        positions += [key.position for turn in zip(*step, strict=True) for key in turn]
        for epoch, batch_of_rank in zip(epochs, step, strict=True):
            epoch.advance(len(batch_of_rank))
        states = [s.state_dict() for s in samplers]
        assert all(s == states[0] for s in states)
    return positions, states[0]


@settings(deadline=None)
@given(images, st.integers(1, 9), st.integers(0, 3), st.integers(0, 3), st.integers(1, 5))
def test_order_is_a_permutation_that_takes_few_shards_at_a_time(indices, shard, seed, epoch, mixed):
    order = order_of(indices, shard, seed, mixed=mixed)
    positions = order.of_epoch(epoch).tolist()
    assert sorted(positions) == list(range(len(indices)))
    assert positions == order_of(indices, shard, seed, mixed=mixed).of_epoch(epoch).tolist()
    # The twin: shards in the order in which they appear come in groups that do not mix.
    shards = [indices[k] // shard for k in positions]
    groups, at = [], 0
    while at < len(shards):
        members: list[int] = []
        while at < len(shards) and (shards[at] in members or len(members) < mixed):
            members += [shards[at]] * (shards[at] not in members)
            at += 1
        groups.append(members)
    met = [shard for members in groups for shard in members]
    assert len(met) == len(set(met)) == len({i // shard for i in indices})


def test_images_of_as_many_shards_as_asked_are_mixed():
    """How often the next image is of another shard: three times if no shards are mixed."""
    order = order_of(range(16), 4, mixed=2)
    switches = [np.count_nonzero(np.diff(order.of_epoch(e) // 4)) for e in range(20)]
    assert min(switches) >= 3
    assert np.mean(switches) > 6
    alone = order_of(range(16), 4, mixed=1)
    assert {np.count_nonzero(np.diff(alone.of_epoch(e) // 4)) for e in range(20)} == {3}


def test_the_order_of_a_seed_stays_the_same():
    """Golden, from the first version: a checkpoint resumes in the order that it had."""
    order = order_of(range(8), 2, seed=3, mixed=2)
    assert order.of_epoch(0).tolist() == [0, 3, 1, 2, 5, 6, 7, 4]
    assert order.of_epoch(1).tolist() == [0, 5, 4, 1, 7, 2, 3, 6]


def test_orders_differ_by_epoch_and_seed():
    orders = [order_of(range(50), 8, seed) for seed in (0, 1)]
    found = {tuple(order.of_epoch(epoch).tolist()) for order in orders for epoch in range(5)}
    assert len(found) == 10
    assert order_of(range(5), shuffle=False).of_epoch(3).tolist() == [0, 1, 2, 3, 4]


def test_every_sample_comes_early_and_late():
    """Over many epochs each sample is met as early as late."""
    order = order_of(range(24), 4, mixed=2)
    where = np.array([np.argsort(order.of_epoch(epoch)) for epoch in range(600)])
    assert np.abs(where.mean(0) - 11.5).max() < 1.5
    assert np.abs(where.std(0) - np.std(np.arange(24))).max() < 1


def test_words_are_those_of_pcg64():
    """Golden: np.random.PCG64((5, 2, 1)).random_raw(2)"""
    assert random_words(2, 5, 2, 1).tolist() == [14676770080768580559, 10271941411323926615]


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 4), st.booleans(), st.integers(0, 9))
def test_ranks_take_turns(n, ranks, batch, drop_last, epoch):
    order = order_of(range(n))
    twin = order.of_epoch(epoch).tolist()
    state = {**order.fingerprint(), "epoch": epoch, "handed": 0}
    positions, _ = handed(order, ranks, batch, state=state, drop_last=drop_last)
    if drop_last:
        assert positions == twin[: n // (ranks * batch) * ranks * batch]
    else:
        padding = Sampler(order, batch, ranks=ranks).begin().padding
        assert padding == -n % ranks
        repeated = [twin[i % n] for i in range(padding)] if n else []
        assert positions == twin + repeated


@settings(deadline=None)
@given(st.integers(1, 30), st.lists(st.tuples(*[st.integers(1, 5)] * 3), min_size=1, max_size=4))
def test_resuming_on_other_ranks_loses_and_repeats_nothing(n, legs):
    """An epoch in legs, each on its own number of ranks, with its own size of batches."""
    order = order_of(range(n))
    twin = order.of_epoch(0).tolist()
    state, met = None, []
    for ranks, batch, stop in legs:
        positions, state = handed(order, ranks, batch, stop, state)
        met += positions
        if state["epoch"]:
            break
    else:
        positions, state = handed(order, 1, 3, None, state)
        met += positions
    assert met[:n] == twin
    assert len(met) - n < max(ranks for ranks, _, _ in legs)
    assert (state["epoch"], state["handed"]) == (1, 0)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 3), (4, 2)])
def test_resuming_where_ranks_changed(before, after):
    order = order_of(range(37))
    first, state = handed(order, before, 2, 3)
    rest, _ = handed(order, after, 2, None, state)
    assert len(first) == state["handed"] == 6 * before
    assert (first + rest)[:37] == order.of_epoch(0).tolist()
    assert len(first + rest) == 37 + -(37 - 6 * before) % after


def test_batches_may_be_drawn_ahead():
    sampler = Sampler(order_of(range(10)), 2)
    epoch = sampler.begin()
    batches = list(epoch.batches())
    assert sampler.state_dict()["handed"] == 0
    epoch.advance(2)
    assert list(epoch.batches()) == batches[1:]
    assert sampler.state_dict()["handed"] == 2
    sampler.start(4)
    assert next(sampler.begin().batches())[0].epoch == 4


def test_every_iteration_is_the_next_epoch():
    """However far the one before came, and also beside one that still runs."""
    sampler = Sampler(order_of(range(10)), 2)
    first, second = sampler.begin(), sampler.begin()
    assert (first.start, second.start) == ((0, 0), (1, 0))
    first.advance(2)
    assert sampler.state_dict()["epoch"] == 0
    second.advance(2)
    first.advance(2)
    # The newest that has handed out a batch.
    assert sampler.state_dict()["epoch"] == 1
    third = sampler.begin()
    assert third.start == (2, 0)
    assert sampler.state_dict()["epoch"] == 1
    for _ in range(5):
        third.advance(2)
    assert (sampler.epoch, sampler.state_dict()["handed"]) == (3, 0)
    assert sampler.begin().start == (3, 0)


def test_a_set_epoch_stays_until_the_next_call():
    sampler = Sampler(order_of(range(10)), 2)
    sampler.set_epoch(7)
    assert [sampler.begin().start for _ in range(3)] == [(7, 0)] * 3
    sampler.set_epoch(2)
    assert sampler.begin().start == (2, 0)
    sampler.start(5)
    assert [sampler.begin().start for _ in range(2)] == [(5, 0), (6, 0)]


def test_a_set_epoch_resumes_its_state():
    sampler = Sampler(order_of(range(10)), 2)
    state = sampler.state_dict() | {"epoch": 3, "handed": 4}
    sampler.load_state_dict(state)
    sampler.set_epoch(3)
    assert [sampler.begin().start for _ in range(2)] == [(3, 4), (3, 0)]
    sampler.load_state_dict(state)
    sampler.set_epoch(4)
    assert sampler.begin().start == (4, 0)
    sampler.load_state_dict(state)
    assert [sampler.begin().start for _ in range(2)] == [(3, 4), (4, 0)]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_look_at_one_batch_does_not_put_ranks_out_of_step(ranks):
    """One that runs beside another counts until it is closed."""
    sampler = Sampler(order_of(range(12)), 2, ranks=ranks)
    sampler.load_state_dict(sampler.state_dict() | {"epoch": 1, "handed": 4})
    look = sampler.begin()
    look.advance(2)
    assert sampler.upcoming == (2, 0)
    look.close()
    assert sampler.upcoming == ((1, 4) if ranks > 1 else (2, 0))
    begun = sampler.begin()
    begun.advance(2)
    inside = sampler.begin()
    inside.advance(2)
    first = begun.number
    assert (inside.number, sampler.upcoming) == (first + 1, (first + 2, 0))
    inside.close()
    assert sampler.upcoming == (first + (1 if ranks > 1 else 2), 0)
    begun.advance(2)
    begun.close()
    assert sampler.upcoming == (first + (1 if ranks > 1 else 2), 0)
    # Epochs of one batch count.
    short = Sampler(order_of(range(4)), 2, ranks=2)
    last = short.begin()
    last.advance(2)
    last.close()
    assert short.upcoming == (1, 0)


def test_the_world_is_asked_when_an_epoch_begins():
    world = [0, 1]
    sampler = Sampler(order_of(range(10), shuffle=False), 5, world=lambda: tuple(world))
    assert len(sampler) == 2
    world[:] = [1, 2]
    assert len(sampler) == 1
    (batch,) = sampler.begin().batches()
    assert [key.position for key in batch] == [1, 3, 5, 7, 9]
    with pytest.raises(MtfastError, match="rank 2 of 2"):
        Sampler(order_of(range(3)), 1, world=lambda: (2, 2))


@settings(deadline=None)
@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 4))
def test_without_padding_every_sample_comes_once(n, ranks, batch):
    order = order_of(range(n))
    samplers = [Sampler(order, batch, rank=r, ranks=ranks, pad=False) for r in range(ranks)]
    found = [list(sampler) for sampler in samplers]
    assert [len(batches) for batches in found] == [len(sampler) for sampler in samplers]
    positions = [key.position for batches in found for keys in batches for key in keys]
    assert sorted(positions) == list(range(n))
    assert {sampler.epoch for sampler in samplers} <= {1, 0} if n else True


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 20), st.integers(1, 45), st.integers(0, 3))
def test_epochs_of_another_length_take_up_where_the_last_one_ended(n, m, seed):
    order = order_of(range(n), 4, seed, n_samples=m)
    assert len(order) == m
    stream = np.concatenate([order.of_epoch(epoch) for epoch in range(2 * n)])
    passes = stream[: 2 * m * n // n * n].reshape(-1, n)
    assert np.array_equal(np.sort(passes, axis=1), np.tile(np.arange(n), (len(passes), 1)))
    whole = order_of(range(n), 4, seed)
    assert np.array_equal(passes[1], whole.of_epoch(1))


def test_weighted_orders_have_the_shares_of_their_weights():
    """Each image comes as often as its share says, rounded up or down; a chi-squared test."""
    weights = np.array([1.0, 0, 2.5, 7, 1, 1, 0.3])
    order = order_of(range(7), 2, seed=11, weights=weights, n_samples=9)
    expected = 9 * weights / weights.sum()
    epochs = [np.bincount(order.of_epoch(epoch), minlength=7) for epoch in range(200)]
    for counts in epochs:
        assert counts.sum() == 9
        assert np.all(np.abs(counts - expected) < 1)
    total, shown = np.sum(epochs, axis=0), weights > 0
    chi2 = ((total - 200 * expected)[shown] ** 2 / (200 * expected)[shown]).sum()
    assert chi2 < 16.8  # 1 % of the distribution with 6 degrees of freedom
    assert total[1] == 0
    different = {tuple(order.of_epoch(epoch).tolist()) for epoch in range(20)}
    assert len(different) == 20


def test_samples_that_come_again_have_numbers():
    order = order_of(range(3), weights=[1, 1, 6], n_samples=8)
    keys = [key for batch in Sampler(order, 3) for key in batch]
    assert len(set(keys)) == 8
    assert sorted(key.repeat for key in keys if key.position == 2) == list(range(6))
    resumed = Sampler(order, 1)
    resumed.load_state_dict(resumed.state_dict() | {"handed": 5})
    assert [key for batch in resumed for key in batch] == keys[5:]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": [1, 2]}, "expected 3 finite numbers"),
        ({"weights": [1, 2, np.nan]}, "expected 3 finite numbers"),
        ({"weights": [1, 2, -1]}, "expected 3 finite numbers"),
        ({"weights": "abc"}, "expected 3 finite numbers"),
        ({"weights": [0, 0, 0]}, "all 0"),
        ({"weights": [1, 1, 1], "shuffle": False}, "weights without shuffling"),
        ({"n_samples": 0}, "samples_per_epoch is 0"),
        ({"n_samples": 2.0}, "samples_per_epoch is 2.0"),
    ],
)
def test_bad_weights(options, message):
    with pytest.raises(MtfastError, match=message):
        order_of(range(3), **options)


def test_states_of_other_orders_are_refused():
    sampler = Sampler(order_of(range(10)), 2)
    state = sampler.state_dict()
    for other in (
        order_of(range(11)),
        order_of(range(1, 11)),
        order_of(range(10), seed=1),
        order_of(range(10), weights=np.ones(10)),
    ):
        with pytest.raises(MtfastError, match="make the loader as it was made"):
            Sampler(other, 2).load_state_dict(state)
    for change in ({"handed": 11}, {"epoch": -1}, {"handed": None}, {"epoch": "1"}):
        with pytest.raises(MtfastError, match="handed|epoch"):
            sampler.load_state_dict(state | change)
        assert (sampler.epoch, sampler.state_dict()["handed"]) == (0, 0)
    with pytest.raises(MtfastError, match="expected the dict that state_dict returns"):
        sampler.load_state_dict([1, 2])


@pytest.mark.parametrize("options", [{"shard": 0}, {"seed": -1}, {"mixed": 0}])
def test_bad_orders(options):
    with pytest.raises(MtfastError, match=f"{next(iter(options))} is "):
        order_of(range(3), **options)


@pytest.mark.parametrize(
    ("batch", "rank", "ranks", "message"),
    [
        (0, 0, 1, "batch_size is 0; expected an integer of at least 1"),
        (2.0, 0, 1, "batch_size is 2.0; expected an integer"),
        (1, 1, 1, "rank 1 of 1; .* count ranks from 0"),
        (1, -1, 2, "rank is -1"),
        (1, 0, 0, "ranks is 0"),
    ],
)
def test_bad_samplers(batch, rank, ranks, message):
    with pytest.raises(MtfastError, match=message):
        Sampler(order_of(range(3)), batch, rank=rank, ranks=ranks)


def test_bad_epochs():
    for epoch in (-1, 1.0, "1", None):
        with pytest.raises(MtfastError, match="epoch is .*; expected an integer of at least 0"):
            Sampler(order_of(range(3)), 1).start(epoch)


def test_numpy_integers_are_welcome_and_the_state_is_plain():
    order = order_of(range(9), shard=np.int64(4), seed=np.uint8(3), mixed=np.int16(2))
    sampler = Sampler(order, np.int64(2), rank=np.int64(1), ranks=np.int32(2))
    sampler.start(np.int64(5))
    sampler.begin().advance(2)
    twin = Sampler(order_of(range(9), shard=4, seed=3, mixed=2), 2, rank=1, ranks=2)
    twin.load_state_dict(json.loads(json.dumps(sampler.state_dict())))
    assert sampler.state_dict() == twin.state_dict()
    assert json.dumps(sampler.state_dict())


def _lengths(sampler, n):
    return [len(list(sampler)) for _ in range(n)]


def test_a_rank_with_nothing_left_goes_on_with_the_next_epoch():
    """The rest of an epoch may not fill one batch, or not reach every rank."""
    order = order_of(range(7))
    for rank in range(2):
        sampler = Sampler(order, 2, rank=rank, ranks=2, drop_last=True)
        sampler.load_state_dict(sampler.state_dict() | {"handed": 4})
        assert _lengths(sampler, 3) == [0, 1, 1]
        assert sampler.epoch == 3
        sampler = Sampler(order, 1, rank=rank, ranks=2, pad=False)
        sampler.load_state_dict(sampler.state_dict() | {"handed": 6})
        assert _lengths(sampler, 3) == [1 - rank, 4 - rank, 4 - rank]
        assert sampler.epoch == 3


def test_more_ranks_than_samples_stay_in_step():
    samplers = [Sampler(order_of(range(3)), 1, rank=r, ranks=5, pad=False) for r in range(5)]
    assert [_lengths(sampler, 2) for sampler in samplers] == [[1, 1]] * 3 + [[0, 0]] * 2
    assert {sampler.epoch for sampler in samplers} == {2}


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 4),
    st.integers(1, 4),
    st.booleans(),
    st.booleans(),
)
def test_the_state_is_the_same_on_every_rank(n, ranks, batch, pad, drop_last):
    options = {"ranks": ranks, "pad": pad, "drop_last": drop_last}
    samplers = [Sampler(order_of(range(n)), batch, rank=r, **options) for r in range(ranks)]
    running = [iter(sampler) for sampler in samplers]
    for _ in range(len(samplers[0]) + 1):
        steps = [next(iterator, None) for iterator in running]
        stepped = [s for s, step in zip(samplers, steps, strict=True) if step is not None]
        assert len({json.dumps(sampler.state_dict()) for sampler in stepped}) <= 1
    assert {json.dumps(sampler.state_dict()) for sampler in samplers} == {
        json.dumps(samplers[0].state_dict())
    }
    assert samplers[0].epoch == 1
