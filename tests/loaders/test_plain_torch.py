"""Datasets in PyTorch's own loaders: a new view each time, as the seed says, and resumable."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from torch.utils.data import ConcatDataset, DataLoader, Subset, random_split

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, Loader, collate
from mtfast.loaders.views import Augment
from mtfast.loaders.weights import repeat_factors

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

OPTIONS = {"crop": 40, "augment": Augment(near=0.3, scale=(0.6, 1.6)), "seed": 5}


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("plain") / "s.zarr"
    return mtfast.convert(small_set, path, shard=4)


def views(loader, epochs):
    """(image, view) of each sample of some epochs."""
    found = []
    for _ in range(epochs):
        for batch in loader:
            rows = zip(batch["index"].tolist(), batch["view"].tolist(), strict=True)
            found += [(index, *view) for index, view in rows]
    return found


@pytest.mark.parametrize(
    "options",
    [
        {"num_workers": 0},
        {"num_workers": 2, "persistent_workers": True},
        {"num_workers": 2, "persistent_workers": False},
        {"num_workers": 2, "persistent_workers": True, "multiprocessing_context": "spawn"},
    ],
)
def test_no_view_comes_twice_and_a_second_run_is_equal(store, options):
    # Workers that are spawned take seconds to start; forked ones give what they gave.
    runs = []
    for again in (options, options | {"multiprocessing_context": None}):
        data = Dataset(store, **OPTIONS)
        generator = torch.Generator().manual_seed(3)
        loader = DataLoader(data, 4, shuffle=True, collate_fn=collate, generator=generator, **again)
        runs.append(views(loader, 5))
    assert runs[0] == runs[1]
    assert len(set(runs[0])) == len(runs[0]) == 100
    # The first view of an image is that of the loader's epoch 0.
    first = {index: view for index, *view in reversed(runs[0])}
    exact = Dataset(store, **OPTIONS)
    assert all(exact[SampleKey(0, k)]["view"].tolist() == first[k] for k in first)


def test_set_epoch_starts_over(store):
    data = Dataset(store, **OPTIONS)
    loader = DataLoader(data, 4, collate_fn=collate, num_workers=2, persistent_workers=True)
    found = []
    for epoch in (3, 3, 8, 3):
        data.set_epoch(epoch)
        found.append(views(loader, 1))
    # The same epoch again goes on with other views; coming back to it starts over.
    assert found[0] == found[3]
    assert len(set(found[0] + found[1] + found[2])) == 60
    exact = [(k, *data[SampleKey(8, k)]["view"].tolist()) for k in range(20)]
    assert found[2] == exact
    for epoch in (-1, 1.0, None):
        with pytest.raises(MtfastError, match="epoch is"):
            data.set_epoch(epoch)


def test_ranks_have_views_of_their_own(store, monkeypatch):
    seen = []
    for rank in range(3):
        monkeypatch.setattr("mtfast.loaders.reads.distributed_world", lambda rank=rank: (rank, 3))
        data = Dataset(store, **OPTIONS)
        seen += [tuple(data[2]["view"].tolist()) for _ in range(4)]
        pickled = pickle.loads(pickle.dumps(data))
        monkeypatch.setattr("mtfast.loaders.reads.distributed_world", lambda: (0, 1))
        # As in a spawned worker, which knows nothing of torch.distributed.
        seen.append(tuple(pickled[2]["view"].tolist()))
    assert len(set(seen)) == 15


def test_a_state_goes_on_with_the_views_after_it(store):
    data = Dataset(store, **OPTIONS)
    data.set_epoch(2)
    _ = [data[k] for k in (1, 1, 3)]
    state = data.state_dict()
    assert set(map(type, state.values())) == {int, str}
    expected = [data[k]["view"].tolist() for k in (1, 3, 0)]
    other = Dataset(store, **OPTIONS)
    other.load_state_dict(state)
    assert other.state_dict() == state
    assert [other[k]["view"].tolist() for k in (1, 3, 0)] == expected
    for bad in ({}, {"epoch": 1}, {"epoch": 1, "reads": "x"}, {"epoch": 1, "reads": 3}, None):
        with pytest.raises(MtfastError, match="not one of a dataset"):
            other.load_state_dict(bad)
    shots = Dataset(store, variant="1_shot/run_0/annotations_with_class_300", **OPTIONS)
    reads = data.state_dict()["reads"]
    for epoch in (-1, 1.5, 2**31):
        with pytest.raises(MtfastError, match="a state that is not one of a dataset"):
            data.load_state_dict({"epoch": epoch, "reads": reads})
    with pytest.raises(MtfastError, match="expected an integer from 0 to 2147483647"):
        data.set_epoch(2**31)
    with pytest.raises(MtfastError, match="a state of a set of 20 images; expected"):
        shots.load_state_dict(state)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda data: pickle.loads(pickle.dumps(data))]
)
def test_a_copy_counts_for_itself(store, duplicate):
    data = Dataset(store, **OPTIONS)
    data.set_epoch(4)
    _ = data[0]
    other = duplicate(data)
    assert other[0]["view"].tolist() == data[0]["view"].tolist()
    assert other[0]["view"].tolist() == data[0]["view"].tolist()


def test_parts_of_datasets(store):
    data = Dataset(store, **OPTIONS)
    halves = random_split(data, [12, 8], torch.Generator().manual_seed(1))
    both = ConcatDataset([Subset(data, [3, 5]), Dataset(store, "test", **OPTIONS)])
    for part, n in ((halves[0], 12), (halves[1], 8), (both, len(both))):
        found = list(DataLoader(part, 4, collate_fn=collate))
        assert sum(len(batch["index"]) for batch in found) == n
        assert found[0]["image"].shape == (4, 3, 40, 40)
    assert [both[k]["index"] for k in range(2)] == [3, 5]


def test_batches_of_plain_loaders_are_those_of_the_loader(store):
    for form in ("tensors", "dicts"):
        data = Dataset(store, form=form, crop=40)
        (plain,) = DataLoader(data, 20, collate_fn=collate)
        (ours,) = Loader(data, 20, shuffle=False)
        if form == "dicts":
            plain, ours = ({k: [s[k] for s in batch] for k in batch[0]} for batch in (plain, ours))
        assert list(plain) == list(ours)
        for key, value in plain.items():
            for a, b in zip(value, ours[key], strict=True):
                assert a == b if isinstance(a, str | int | tuple) else torch.equal(a, b)


def test_sampling_by_weights(store):
    """Shares of the classes over fifty epochs, a chi-squared test, and resuming in mid-epoch."""
    data = Dataset(store, crop=40, augment=Augment(), targets=["semantic"], images=False)
    counts = data.class_counts()
    assert counts.shape == (20, len(data.classes))
    table = data.reader.split.table()
    for k in range(20):
        of_image = table.image(k).category_ids
        assert counts[k].tolist() == [int((of_image == c.category_id).sum()) for c in data.classes]
    weights = repeat_factors(counts, 1.0)
    assert weights.max() > 1
    loader = Loader(data, 3, weights=weights, samples_per_epoch=11)
    assert len(loader) == 4
    met, seen = np.zeros(20), set()
    for _ in range(50):
        for batch in loader:
            for index, view in zip(batch["index"].tolist(), batch["view"].tolist(), strict=True):
                met[index] += 1
                seen.add((index, *view))
    assert len(seen) == met.sum() == 550
    expected = 550 * weights / weights.sum()
    assert ((met - expected) ** 2 / expected).sum() < 36.2  # 1 % of chi-squared, 19 degrees
    of_class = (met @ counts) / (met @ counts).sum()
    assert np.allclose(of_class, (expected @ counts) / (expected @ counts).sum(), atol=0.02)
    by_class = Loader(data, 3, weights={data.classes[0].name: 3, 2: 2})
    assert by_class.sampler.order.weights.max() == 3

    again = Loader(data, 3, weights=weights, samples_per_epoch=11)
    again.start(7)
    batches = iter(again)
    head = [next(batches)["view"].tolist() for _ in range(2)]
    resumed = [
        Loader(data, 1, weights=weights, samples_per_epoch=11, rank=rank, ranks=2)
        for rank in range(2)
    ]
    for loader in resumed:
        loader.load_state_dict(again.state_dict())
    rest = [
        view for pair in zip(*resumed, strict=True) for b in pair for view in b["view"].tolist()
    ]
    again.start(7)
    whole = [view for batch in again for view in batch["view"].tolist()]
    assert [v for batch in head for v in batch] + rest[:5] == whole


def test_mixtures(store):
    train, test = (Dataset(store, split, **OPTIONS) for split in ("train", "test"))
    both = Dataset.mix([train, test])
    n = len(train)
    assert len(both) == n + len(test)
    assert (both[0]["member"], both[n]["member"], both[-1]["member"]) == (0, 1, 1)
    assert torch.equal(both[SampleKey(2, n + 1)]["image"], test[SampleKey(2, 1)]["image"])
    assert np.array_equal(both.class_counts(), np.r_[train.class_counts(), test.class_counts()])
    for workers in (0, 2):
        with Loader(both, 4, workers=workers) as loader:
            met = [
                pair
                for batch in loader
                for pair in zip(batch["member"].tolist(), batch["index"].tolist(), strict=True)
            ]
        assert sorted(met) == [(0, k) for k in range(n)] + [(1, k) for k in range(len(test))]
    shares = Loader(Dataset.mix([train, test], [1, 3]), 4, samples_per_epoch=40)
    members = [m for _ in range(5) for batch in shares for m in batch["member"].tolist()]
    assert abs(members.count(1) - 150) <= 5
    order = both.reader.epoch_order()
    shards = [set(part // order.shard) for part in np.split(order.images, [n])]
    assert not shards[0] & shards[1]


def test_bad_mixtures(store):
    train = Dataset(store, **OPTIONS)
    for name, other in {
        "crop": Dataset(store, **OPTIONS | {"crop": 32}),
        "form": Dataset(store, form="dicts", **OPTIONS),
        "targets": Dataset(store, targets=["semantic"], **OPTIONS),
        "classes": Dataset(store, classes=["2 layers"], **OPTIONS),
        "transform": Dataset(store, transform=dict, **OPTIONS),
    }.items():
        with pytest.raises(MtfastError, match=f"a mixture of .* whose {name} differ"):
            Dataset.mix([train, other])
    for shares in ([1], [1, 0], [1, -1], [1, "x"], 3):
        with pytest.raises(MtfastError, match="shares .*; expected 2 numbers above 0"):
            Dataset.mix([train, train], shares)
    for datasets in ([], [train, 3], [train.reader]):
        with pytest.raises(MtfastError, match="expected datasets; give a list"):
            Dataset.mix(datasets)
    with pytest.raises(MtfastError, match="a mixture of mixtures"):
        Dataset.mix([Dataset.mix([train]), train])
    both = Dataset.mix([train, train], [1, 2])
    for weights in ("x", [1], [[1.0]]):
        with pytest.raises(MtfastError, match="weights .*; expected .* one for each image"):
            Loader(both, 2, weights=weights)
    one_sided = [1.0] * len(train) + [0.0] * len(train)
    with pytest.raises(MtfastError, match="all 0 in set 1 of a mixture"):
        Loader(both, 2, weights=one_sided)


def noisy(sample):
    noise = torch.rand(3, 1, 1) + np.random.rand()
    return sample | {"image": sample["image"] * noise, "noise": noise.flatten()}


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_transforms_are_seeded_for_each_sample(store, workers):
    """Equal for all workers, different for all samples, and the caller's numbers stay."""
    data = Dataset(store, transform=noisy, **OPTIONS)
    exact = Dataset(store, transform=noisy, **OPTIONS)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    with Loader(data, 4, workers=workers) as loader:
        batches = [*loader, *loader]
    assert torch.equal(torch.rand(3), expected)
    noise = [tuple(row) for batch in batches for row in torch.stack(list(batch["noise"])).tolist()]
    assert len(set(noise)) == 40
    keys = [key for epoch in range(2) for key in exact.reader.epoch_order().of_epoch(epoch)]
    for number, (k, found) in enumerate(zip(keys, noise, strict=True)):
        assert tuple(exact[SampleKey(number // 20, int(k))]["noise"].tolist()) == found
    assert batches[0]["image"].dtype == torch.float32
    assert batches[0]["image"].is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 2, "threads:4"])
def test_the_training_loop_has_its_own_random_numbers(store, workers):
    """Also while threads read ahead."""
    data = Dataset(store, transform=noisy, **OPTIONS)
    torch.manual_seed(5)
    expected = [torch.rand(1).item() for _ in range(10)]
    torch.manual_seed(5)
    with Loader(data, 2, workers=workers) as loader:
        found = [torch.rand(1).item() for _ in loader]
    assert found == expected


def test_validation_counts_no_sample_twice(store):
    """On any number of ranks; training pads, so that all ranks get as many."""
    data = Dataset(store, crop=32, images=False)
    for ranks in (1, 2, 3, 7, 40):
        loaders = [Loader(data, 3, shuffle=False, rank=rank, ranks=ranks) for rank in range(ranks)]
        met = [k for loader in loaders for batch in loader for k in batch["index"].tolist()]
        assert sorted(met) == list(range(20))
    trained = [Loader(data, 3, rank=rank, ranks=3) for rank in range(3)]
    assert {sum(len(b["index"]) for b in loader) for loader in trained} == {7}
    uneven = [Loader(data, 3, rank=rank, ranks=3, pad=False) for rank in range(3)]
    assert sorted(sum(len(b["index"]) for b in loader) for loader in uneven) == [6, 7, 7]


def test_reprs_say_what_is_in_them(store):
    data = Dataset(store, **OPTIONS)
    assert "20 images of annotations_with_class_200 in split train" in repr(data)
    assert "cropped to 40 x 40" in repr(data)
    loader = Loader(data, 8, workers=2)
    assert "batch_size=8): 3 batches an epoch, read by 2 worker processes; next is epoch 0" in repr(
        loader
    )
    assert "mixture" in repr(Dataset.mix([data, data]))
