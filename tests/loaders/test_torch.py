"""Batches of the PyTorch loader, compared with samples of the reader, for any workers and ranks."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
import naive
from mtfast.errors import MtfastError
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, Loader
from mtfast.loaders.views import Augment

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

OPTIONS = {"crop": 48, "augment": Augment(near=0.5, scale=(0.7, 1.4)), "seed": 5}


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("torch") / "s.zarr"
    return mtfast.convert(small_set, path, shard=4, splits=["train"])


def digests(loader, stop=None):
    """Each sample that is handed out: its index, and a hash of all its pixels and numbers."""
    found = []
    for number, batch in enumerate(loader, 1):
        for k, index in enumerate(batch["index"].tolist()):
            digest = hashlib.sha256()
            for key in ("image", "semantic", "masks", "boxes", "labels", "areas", "ids", "view"):
                digest.update(batch[key][k].contiguous().numpy().tobytes())
            found.append((index, batch["name"][k], digest.hexdigest()))
        if number == stop:
            break
    return found


@pytest.fixture(scope="module")
def epochs(store):
    """Two epochs, read by this process in one piece."""
    loader = Loader(Dataset(store, **OPTIONS), 3)
    return [digests(loader), digests(loader)]


def test_epochs_differ_and_are_whole(epochs):
    for epoch in epochs:
        assert sorted(index for index, _, _ in epoch) == list(range(20))
    assert [index for index, *_ in epochs[0]] != [index for index, *_ in epochs[1]]
    assert not {d for *_, d in epochs[0]} & {d for *_, d in epochs[1]}


@pytest.mark.parametrize(
    ("workers", "start_method"), [(1, "fork"), (2, "fork"), (4, "fork"), (2, "spawn")]
)
def test_workers_change_nothing(store, epochs, workers, start_method):
    options = {"workers": workers, "start_method": start_method}
    with Loader(Dataset(store, **OPTIONS), 3, **options) as loader:
        assert [digests(loader), digests(loader)] == epochs


def test_ranks_change_nothing(store, epochs):
    loaders = [Loader(Dataset(store, **OPTIONS), 3, rank=r, ranks=2) for r in range(2)]
    for epoch in epochs:
        merged = [s for pair in zip(*map(digests, loaders), strict=True) for s in pair]
        assert merged == epoch
    three = [digests(Loader(Dataset(store, **OPTIONS), 4, rank=r, ranks=3)) for r in range(3)]
    merged = [s for turn in zip(*three, strict=True) for s in turn]
    assert merged == epochs[0] + epochs[0][:1]


@pytest.mark.parametrize("stop", [1, 3, 6])
def test_going_on_where_it_stopped(store, epochs, stop):
    """Two ranks stop in the second epoch; one process goes on, with workers that read ahead."""
    first = [Loader(Dataset(store, **OPTIONS), 1, rank=r, ranks=2) for r in range(2)]
    for loader in first:
        loader.start(1)
    seen = [s for pair in zip(*(digests(r, stop) for r in first), strict=True) for s in pair]
    states = [loader.state_dict() for loader in first]
    assert states[0] == states[1]
    with Loader(Dataset(store, **OPTIONS), 5, workers=2) as loader:
        loader.load_state_dict(json.loads(json.dumps(states[0])))
        assert (loader.epoch, len(loader)) == (1, 4)
        assert seen + digests(loader) == epochs[1]
        assert loader.state_dict()["epoch"] == 2


def test_epochs_go_on_after_a_resumed_one(store, epochs):
    first = Loader(Dataset(store, **OPTIONS), 5)
    seen = digests(first, 2)
    loader = Loader(Dataset(store, **OPTIONS), 4)
    loader.load_state_dict(first.state_dict())
    assert seen + digests(loader) == epochs[0]
    assert digests(loader) == epochs[1]


def test_iterating_again(store, epochs):
    """Each iteration is the next epoch, also after one that was left."""
    loader = Loader(Dataset(store, **OPTIONS), 5)
    assert digests(loader, 2) == epochs[0][:10]
    assert loader.state_dict()["handed"] == 10
    assert digests(loader) == epochs[1]
    loader.set_epoch(0)
    assert digests(loader, 1) == epochs[0][:5]
    assert digests(loader) == epochs[0]
    loader.start(0)
    assert [digests(loader), digests(loader)] == epochs
    assert len(Loader(loader.dataset, 6, drop_last=True)) == 3


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_iterations_do_not_disturb_each_other(store, epochs, workers):
    """A look at one batch within an epoch, and two iterations side by side."""
    with Loader(Dataset(store, **OPTIONS), 5, workers=workers) as loader:
        batches, met = iter(loader), []
        for number, batch in enumerate(batches):
            met += batch["index"].tolist()
            if number == 1:
                look = next(iter(loader))
                assert look["index"].tolist() == [index for index, *_ in epochs[1][:5]]
                assert loader.state_dict()["epoch"] == 1
        assert met == [index for index, *_ in epochs[0]]
        loader.start(0)
        pairs = zip(loader, loader, strict=True)
        found = [(a["index"].tolist(), b["index"].tolist()) for a, b in pairs]
        for of_epoch, expected in zip(zip(*found, strict=True), epochs, strict=True):
            assert [k for half in of_epoch for k in half] == [index for index, *_ in expected]
        assert loader.state_dict()["epoch"] == 2


def test_iterations_begin_with_their_first_batch(store, epochs):
    """Training loops make iterators that they do not use, and set the epoch after iter()."""
    loader = Loader(Dataset(store, **OPTIONS), 5)
    iter(loader)
    batches = iter(loader)
    loader.sampler.set_epoch(1)
    assert digests(batches) == epochs[1]


@pytest.mark.parametrize("workers", [2, "threads:3"])
def test_the_next_epochs_are_read_ahead(store, epochs, monkeypatch, workers):
    """Of two batches an epoch, six are being read: those of three epochs."""
    from mtfast.loaders.workers import Team

    submitted = []
    submit = Team.submit

    def noted(team, keys, later=()):
        submitted.append(keys)
        return submit(team, keys, later)

    monkeypatch.setattr(Team, "submit", noted)
    n = 2 if workers == 2 else 3
    with Loader(Dataset(store, **OPTIONS), 10, workers=workers, prefetch=3) as loader:
        assert digests(loader, 1) == epochs[0][:10]
        assert len(submitted) == 3 * n + 1
        assert {key.epoch for keys in submitted for key in keys} == set(range((3 * n + 2) // 2))
        # Left after one batch: the second one is dropped, the next epoch is there.
        assert digests(loader) == epochs[1]
        expected = [(epoch, half) for epoch in range(20) for half in range(2)]
        places = [(keys[0].epoch, half % 2) for half, keys in enumerate(submitted)]
        assert places == expected[: len(places)]


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_memory_is_used_again(store, workers):
    """Batches lie in few buffers, unless the caller keeps them."""
    with Loader(Dataset(store, **OPTIONS), 2, workers=workers) as loader:
        where = set()
        for _ in range(6):
            where |= {batch["image"].untyped_storage().data_ptr() for batch in loader}
        assert len(where) <= len(loader._slots._free) + loader._depth + 1
        kept = [*loader, *loader]
        assert len({batch["image"].untyped_storage().data_ptr() for batch in kept}) == len(kept)
        again = Loader(loader.dataset, 2)
        again.start(6)
        for found, batch in zip(kept, [*again, *again], strict=True):
            assert torch.equal(found["image"], batch["image"])
            assert all(map(torch.equal, found["masks"], batch["masks"]))


def test_batches_that_fit_into_no_slot(store, epochs, monkeypatch):
    monkeypatch.setattr("mtfast.loaders.torch.Loader._batch_bytes", lambda loader: 1)
    for workers in (0, 2, "threads:2"):
        with Loader(Dataset(store, **OPTIONS), 3, workers=workers) as loader:
            assert digests(loader) == epochs[0]


def test_samples_are_those_of_the_reader(store):
    data, reader = Dataset(store, **OPTIONS), Reader(store, **OPTIONS)
    assert len(data) == 20
    for key in (SampleKey(0, 7), SampleKey(3, 2)):
        sample, expected = data[key], reader.read(key)
        assert sample["index"] == expected.index
        assert sample["name"] == expected.name
        assert sample["view"].tolist() == list(expected.view)
        assert np.array_equal(sample["image"].permute(1, 2, 0), expected.image)
        assert np.array_equal(sample["semantic"], expected.semantic)
        for name, column in expected.instances._asdict().items():
            assert sample[name].dtype == torch.from_numpy(column.copy()).dtype
            assert np.array_equal(sample[name], column)
    assert np.array_equal(data[7]["image"], data[SampleKey(0, 7)]["image"])
    again = pickle.loads(pickle.dumps(data))
    assert np.array_equal(data[7]["image"], again[7]["image"])
    assert not np.array_equal(data[7]["image"], data[SampleKey(0, 7)]["image"])
    assert [s["index"] for s in data[18:]] == [data[-2]["index"], data[19]["index"]]
    assert data[3:3] == []


def test_batches_are_stacked(store):
    (batch,) = Loader(Dataset(store, **OPTIONS), 20, shuffle=False)
    assert batch["image"].shape == (20, 3, 48, 48)
    assert batch["image"].is_contiguous(memory_format=torch.channels_last)
    assert batch["semantic"].shape == (20, 48, 48)
    assert batch["index"].tolist() == list(range(20))
    assert [len(masks) for masks in batch["masks"]] == [len(b) for b in batch["boxes"]]
    only = Dataset(store, crop=32, targets=["semantic"], images=False)
    (batch,) = Loader(only, 20)
    assert set(batch) == {"index", "name", "view", "semantic"}


def test_a_batch_of_more_than_255_classes(tmp_path):
    """All samples have one type, also those whose own classes fit into a byte."""
    counts = naive.text_of_counts([1, 2, 13]).decode()
    annotations = [
        {"id": k, "image_id": k, "category_id": label, "segmentation": {"size": [4, 4]}}
        for k, label in enumerate((2, 300), 1)
    ]
    for annotation in annotations:
        annotation["segmentation"]["counts"] = counts
    names = ("a.jpg", "b.jpg")
    images = [{"id": k, "file_name": n, "height": 4, "width": 4} for k, n in enumerate(names, 1)]
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, 301)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (tmp_path / "set.json").write_text(json.dumps(content))
    path = mtfast.convert(tmp_path / "set.json", tmp_path / "set.zarr", images="none")
    (batch,) = Loader(Dataset(path, images=False), 2, shuffle=False)
    assert batch["semantic"].dtype == torch.uint16
    assert batch["semantic"].numpy().reshape(2, -1).max(axis=1).tolist() == [2, 300]
    assert [labels.tolist() for labels in batch["labels"]] == [[2], [300]]


def test_few_shots_are_decoded_once(store, monkeypatch):
    """Forked workers find in memory what was decoded before they were started."""
    from mtfast.store.reading.store import Split

    shot = {"variant": "1_shot/run_0/annotations_with_class_300", "crop": 64}
    plain = list(Loader(Dataset(store, **shot), 2))
    here, decode = os.getpid(), Split.image
    decoded = []

    def decode_here(split, index):
        if os.getpid() != here:
            raise MtfastError("decoded in a worker")
        decoded.append(index)
        return decode(split, index)

    monkeypatch.setattr(Split, "image", decode_here)
    data = Dataset(store, cache_bytes=2**27, **shot)
    with Loader(data, 2, workers=2, start_method="fork") as loader:
        kept = [*loader, *loader]
    assert sorted(decoded) == sorted(data.reader.indices.tolist())
    for a, b in zip(kept[: len(plain)], plain, strict=True):
        assert torch.equal(a["image"], b["image"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; expected an integer of at least 1"),
        ({"batch_size": 2.0}, "batch_size is 2.0"),
        ({"workers": -1}, "workers is -1; expected an integer of at least 0"),
        ({"workers": "2"}, "workers is '2'"),
        ({"workers": None}, "workers is None"),
        ({"prefetch": 0}, "prefetch is 0; expected an integer of at least 1"),
        ({"read_ahead": -1}, "read_ahead is -1; expected an integer of at least 0"),
        ({"rank": 1}, "rank 1 of None ranks; expected both numbers or neither"),
        ({"ranks": 2}, "rank None of 2 ranks; expected both numbers or neither"),
        ({"rank": 2, "ranks": 2}, "rank 2 of 2; .* count ranks from 0"),
        ({"start_method": "thread"}, "no start_method 'thread' in this Python; .*spawn"),
    ],
)
def test_bad_loaders(store, options, message):
    with pytest.raises(MtfastError, match=message):
        Loader(Dataset(store), **{"batch_size": 2} | options)


def test_bad_usage(store):
    with pytest.raises(MtfastError, match="no form 'lists' in .*; expected one of: tensors"):
        Dataset(store, form="lists")
    with pytest.raises(MtfastError, match="no form 'lists'"):
        Dataset.of(Reader(store), "lists")
    with pytest.raises(MtfastError, match="expected an mtfast.loaders.torch.Dataset; make one"):
        Loader(Reader(store), 2)
    state = Loader(Dataset(store, **OPTIONS), 2).state_dict()
    with pytest.raises(MtfastError, match="make the loader as it was made"):
        Loader(Dataset(store), 2).load_state_dict(state)


def test_numpy_integers_are_welcome(store):
    options = {"rank": np.int64(1), "ranks": np.int64(2), "read_ahead": np.int16(8)}
    loader = Loader(Dataset(store, **OPTIONS), np.int64(3), workers=np.uint8(0), **options)
    assert len(digests(loader)) == 10
    assert json.loads(json.dumps(loader.state_dict()))["epoch"] == 1


def test_a_dataset_takes_what_a_reader_takes():
    """Written out at both doors: the same names, defaults and types."""
    dataset = dict(inspect.signature(Dataset.__init__).parameters)
    assert dataset.pop("form").default == "tensors"
    assert dataset.pop("image_format").default is dataset.pop("transform").default is None
    reader = inspect.signature(Reader.__init__).parameters
    assert list(dataset.values()) == list(reader.values())


def test_a_dataset_passes_everything_on(store):
    given = {
        "variant": "5_shot/run_3/annotations_with_class_300",
        "crop": (40, 48),
        "augment": Augment(near=1),
        "targets": ["instances"],
        "images": False,
        "class_agnostic": True,
        "seed": 9,
        "cache_bytes": 5,
    }
    reader = Dataset(store, "train", **given).reader
    found = {name: getattr(reader, name) for name in given}
    assert found == given | {"targets": ("instances",)}


def test_what_a_loader_chooses_is_logged(store, caplog):
    with caplog.at_level("INFO", "mtfast"):
        Loader(Dataset(store, **OPTIONS), 8, workers=2, rank=1, ranks=2)
        Loader(Dataset(store, images=False), 8)
    said = [r.getMessage() for r in caplog.records if r.name == "mtfast.loaders.torch"]
    assert said == [
        "2 batches of 8 samples an epoch, read by 2 worker processes; 64 samples are read ahead",
        "3 batches of 8 samples an epoch, read by this process; nothing is read ahead",
    ]


def test_ranks_are_those_of_torch_distributed(store, monkeypatch):
    """Asked when an epoch begins, not when the loader is made."""
    early = Loader(Dataset(store, **OPTIONS), 2)
    fixed = Loader(Dataset(store, **OPTIONS), 2, rank=0, ranks=1)
    assert len(early) == 10
    monkeypatch.setattr(torch.distributed, "is_available", lambda: True)
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 3)
    assert (len(early), len(fixed)) == (4, 10)
    assert digests(early) == digests(Loader(Dataset(store, **OPTIONS), 2, rank=2, ranks=3))
    assert len(digests(fixed)) == 20


def test_drop_last_and_shuffle(store):
    data = Dataset(store, **OPTIONS)
    dropped = list(Loader(data, 6, drop_last=True))
    assert [len(batch["index"]) for batch in dropped] == [6, 6, 6]
    plain = Loader(data, 6, shuffle=False)
    assert [i for batch in plain for i in batch["index"].tolist()] == list(range(20))


def test_errors_of_workers_are_raised_and_end_them(store, monkeypatch):
    here, read = os.getpid(), Reader.read

    def fail_in_workers(reader, key):
        if os.getpid() != here:
            raise MtfastError("a damaged image")
        return read(reader, key)

    monkeypatch.setattr(Reader, "read", fail_in_workers)
    with Loader(Dataset(store, crop=48), 2, workers=2, start_method="fork") as loader:
        with pytest.raises(MtfastError, match="a damaged image"):
            next(iter(loader))
        children = torch.multiprocessing.active_children()
        assert not [child for child in children if type(child).__name__ == "ForkProcess"]


def test_threads_end_with_the_loader(store):
    def names():
        return [t.name for t in threading.enumerate()].count("mtfast-read-ahead")

    for end in ("close", "collect"):
        loader = Loader(Dataset(store, **OPTIONS), 2)
        batches = iter(loader)
        next(batches)
        assert names() == 1
        del batches
        list(loader)
        assert names() == 1
        if end == "close":
            loader.close()
        del loader
        assert names() == 0
    for options in ({"cache_bytes": 2**28}, {"images": False}):
        next(iter(Loader(Dataset(store, **OPTIONS | options), 2)))
        assert names() == 0, options


SCRIPT = """
import multiprocessing, os, signal, sys
# Whoever runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from mtfast.loaders.torch import Dataset, Loader
loader = Loader(Dataset(sys.argv[1], crop=32), 2, workers=2)
batches = iter(loader)
next(batches)
workers = [worker.pid for worker in multiprocessing.active_children()]
print(*workers, flush=True)
if sys.argv[2] == "kill":
    os.kill(workers[0], 9)
while True:
    for batch in loader:
        pass
"""


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
@pytest.mark.parametrize("end", ["kill", "interrupt"])
def test_no_processes_or_files_are_left(store, tmp_path, end):
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(store), end],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    )
    workers = [int(word) for word in process.stdout.readline().split()]
    assert len(workers) == 2
    if end == "interrupt":
        os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode
    said = ["KeyboardInterrupt"] if end == "interrupt" else ["killed by signal", "worker process"]
    assert any(words in errors for words in said)
    deadline = time.monotonic() + 30
    while any(Path(f"/proc/{pid}").exists() for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
    owners = {str(pid) for pid in (process.pid, *workers)}
    left = [f.name for f in Path("/dev/shm").iterdir() if owners & set(f.name.split("_"))]
    assert not left
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("workers", [0, 2])
def test_batches_stay_as_they_are_while_a_gpu_copies_them(store, workers):
    """The copies wait for the GPU, which is busy, while the batches were dropped long ago."""
    data = Dataset(store, **OPTIONS)
    expected = [
        batch["image"] for loader in [Loader(data, 3)] for _ in range(4) for batch in loader
    ]
    with Loader(data, 3, workers=workers, pin_memory=True) as loader:
        next(iter(loader))
        loader.start(0)
        torch.cuda._sleep(4_000_000_000)
        copies = [
            batch["image"].to("cuda", non_blocking=True) for _ in range(4) for batch in loader
        ]
    assert all(torch.equal(a.cpu(), b) for a, b in zip(copies, expected, strict=True))
