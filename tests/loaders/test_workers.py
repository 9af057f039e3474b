"""Who reads batches: what is refused, what happens when processes end, what is left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.torch import Dataset, Loader
from mtfast.loaders.views import Augment
from mtfast.loaders.workers import Team, Workers


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("workers") / "s.zarr"
    return mtfast.convert(small_set, path, shard=4, splits=["train"])


@pytest.mark.parametrize(
    ("workers", "num_workers", "expected"),
    [
        (0, None, (0, False)),
        (3, None, (3, False)),
        (0, 2, (2, False)),
        (2, 2, (2, False)),
        ("threads:4", None, (4, True)),
        (0, "threads:1", (1, True)),
    ],
)
def test_how_many_of_which_kind(workers, num_workers, expected):
    assert Workers.of(workers, num_workers) == expected


@pytest.mark.parametrize(
    ("workers", "num_workers"),
    [
        (-1, None),
        (1.0, None),
        (None, None),
        (True, None),
        ("4", None),
        ("threads", None),
        ("threads:0", None),
        ("threads:-1", None),
        ("threads:x", None),
        ("processes:2", None),
        (1, 2),
        (0, -1),
    ],
)
def test_bad_numbers_of_workers(workers, num_workers):
    with pytest.raises(MtfastError, match=r"^workers is [^\n]*; expected "):
        Workers.of(workers, num_workers)


def test_num_workers_is_the_same(store):
    with Loader(Dataset(store, crop=32), 4, num_workers=2) as loader:
        assert (loader.num_workers, loader.batch_size, loader.drop_last) == (2, 4, False)
        assert sum(len(batch["index"]) for batch in loader) == 20


def hold(sample):
    raise ValueError("this image is odd")


def test_errors_of_transforms_are_those_of_the_user(store):
    for workers, method in ((0, None), (2, "fork"), (1, "spawn"), ("threads:2", None)):
        data = Dataset(store, crop=32, transform=hold)
        with (
            Loader(data, 4, workers=workers, start_method=method) as loader,
            pytest.raises(ValueError, match="this image is odd"),
        ):
            next(iter(loader))


def test_a_transform_that_does_not_pickle(store):
    data = Dataset(store, crop=32, transform=lambda sample: sample)
    with (
        Loader(data, 4, workers=1, start_method="spawn") as loader,
        pytest.raises(MtfastError, match="cannot be sent to worker processes .*; define it with"),
    ):
        next(iter(loader))
    with Loader(data, 4, workers=1, start_method="fork") as loader:
        assert len(list(loader)) == 5


def test_memory_and_descriptors_stay_flat(store):
    """Over twenty epochs, with batches that are kept, dropped and left."""
    data = Dataset(store, crop=48, augment=Augment(near=0.5, scale=(0.7, 1.4)))
    here = Path(f"/proc/{os.getpid()}")
    if not here.is_dir():
        pytest.skip("no /proc")
    for workers in (2, "threads:2"):
        with Loader(data, 3, workers=workers) as loader:
            seen = []
            for epoch in range(20):
                batches = iter(loader)
                kept = [next(batches) for _ in range(2 + epoch % 4)]
                del batches, kept
                gc.collect()
                rss = int((here / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
                seen.append((len(list((here / "fd").iterdir())), rss))
        descriptors, memory = zip(*seen[8:], strict=True)
        assert max(descriptors) - min(descriptors) <= 2
        assert max(memory) - memory[0] < 20e6


ORPHANS = """
import multiprocessing, os, sys
from mtfast.loaders.torch import Dataset, Loader
loader = Loader(Dataset(sys.argv[1], crop=32), 2, workers=3, start_method=sys.argv[2])
next(iter(loader))
print(*[worker.pid for worker in multiprocessing.active_children()], flush=True)
os.kill(os.getpid(), 9)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="no /proc")
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_workers_end_with_a_parent_that_is_killed(store, method):
    process = subprocess.run(
        [sys.executable, "-c", ORPHANS, str(store), method],
        capture_output=True,
        text=True,
        timeout=120,
    )
    workers = [int(word) for word in process.stdout.split()]
    assert len(workers) == 3, process.stderr
    deadline = time.monotonic() + 30
    while any(is_alive(pid) for pid in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(is_alive, workers))


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_loader_that_was_used_works_in_a_fork(store):
    """Workers belong to the process that has started them."""
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork on this system")
    with Loader(Dataset(store, crop=32), 5, workers=1, start_method="fork") as loader:
        expected = [batch["index"].tolist() for batch in loader]
        loader.start(0)
        reader, writer = multiprocessing.get_context("fork").Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=send, args=(loader, writer))
        process.start()
        assert reader.poll(60)
        assert reader.recv() == expected
        process.join(60)
        assert [batch["index"].tolist() for batch in loader] == expected


def send(loader, writer):
    found = [batch["index"].tolist() for batch in loader]
    loader.close()
    writer.send(found)


def _put_epoch(loader, results):
    results.put([batch["index"].tolist() for batch in loader])


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_a_forked_process_goes_on_with_workers_of_its_own(store, workers):
    """The parent's workers read the next epoch already: for the parent."""
    fork = multiprocessing.get_context("fork")
    results = fork.Queue()
    data = Dataset(store, crop=48, targets=["semantic"])
    expected = Loader(data, 4)
    list(expected)
    with Loader(data, 4, workers=workers) as loader:
        list(loader)
        child = fork.Process(target=_put_epoch, args=(loader, results))
        child.start()
        try:
            found = results.get(timeout=30)
        finally:
            child.kill()
            child.join()
    assert found == [batch["index"].tolist() for batch in expected]


@pytest.mark.parametrize("workers", [0, 1, "threads:1"])
def test_a_batch_may_be_far_larger_than_the_set(store, workers):
    """All that there is in one batch; memory is not asked for as if there were more."""
    with Loader(Dataset(store), 10**7, workers=workers) as loader:
        (batch,) = loader
    assert len(batch["index"]) == len(loader.dataset)


@pytest.mark.parametrize("workers", [2, "threads:2"])
def test_an_iteration_of_a_closed_loader_says_so(store, workers):
    loader = Loader(Dataset(store, crop=48, targets=["semantic"]), 1, workers=workers)
    running = iter(loader)
    next(running)
    loader.close()
    with pytest.raises(MtfastError, match=r"closed.*begin another one"):
        next(running)
    assert len(list(loader)) == len(loader)
    loader.close()


def test_a_worker_killed_between_two_batches_is_reported(store):
    with Loader(Dataset(store, crop=48, targets=["semantic"]), 1, workers=1) as loader:
        running = iter(loader)
        next(running)
        workers = loader._team._executors[0]._processes
        for process in list(workers.values()):
            process.kill()
            process.join(30)
        with pytest.raises(MtfastError, match="a worker process ended"):
            list(running)
        assert len(list(loader)) == len(loader)


@pytest.mark.parametrize(("read_ahead", "n"), [(1, 2), (6, 2), (12, 4), (13, 6)])
def test_a_worker_is_told_what_it_will_read_later(store, monkeypatch, read_ahead, n):
    """Of a store elsewhere: batches of its own, as many as hold the samples that are read ahead."""
    monkeypatch.setattr(Loader, "_fetches_in_workers", True)
    told = []
    submit = Team.submit

    def noted(team, keys, later=()):
        told.append((list(keys), list(later), team.looks_ahead))
        return submit(team, keys, later)

    monkeypatch.setattr(Team, "submit", noted)
    with Loader(Dataset(store, crop=32), 3, workers=2, read_ahead=read_ahead) as loader:
        assert len(list(loader)) == 7
    assert {looks_ahead for _, _, looks_ahead in told} == {n}
    assert len(told) > 7
    for k, (_, later, _) in enumerate(told[: len(told) - n]):
        assert later == told[k + n][0]
