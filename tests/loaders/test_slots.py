"""Memory that is used again: who has which part of it, also in other processes."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from mtfast.loaders.slots import Slots


def test_slots_are_lent_and_come_back():
    slots = Slots(2, 5000, shared=False)
    assert slots.n_bytes % 4096 == 0
    a, b = slots.take(), slots.take()
    assert slots.take() is None
    slots.buffer(a)[:] = 1
    slots.buffer(b)[:] = 2
    lent = torch.from_numpy(slots.lend(a, 10))
    view = lent[3:5]
    del lent
    gc.collect()
    # A view of it is enough to keep it.
    assert slots.take() is None
    assert view.tolist() == [1, 1]
    del view
    gc.collect()
    assert slots.take() == a
    slots.give_back(b)
    assert slots.take() == b
    assert slots.all_bytes.size == 2 * slots.n_bytes


@pytest.mark.parametrize("shared", [False, True])
def test_what_is_called_when_the_memory_goes(shared):
    slots = Slots(2, 10, shared)
    called = []
    slots.when_freed(called.append, 3)
    lent = torch.from_numpy(slots.lend(slots.take(), 10))
    del slots
    gc.collect()
    assert not called
    del lent
    gc.collect()
    assert called == [3]


def write(slots):
    for number in (1, 2):
        slots.buffer(number)[:] = 10 * number


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_share_the_memory(method):
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} on this system")
    slots = Slots(3, 100, shared=True)
    assert not slots.all_bytes.any()
    context = multiprocessing.get_context(method)
    process = context.Process(target=write, args=(slots,))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert [np.unique(slots.buffer(k)).tolist() for k in range(3)] == [[0], [10], [20]]


def test_without_memory_files(monkeypatch):
    """As on macOS and Windows."""
    monkeypatch.delattr("os.memfd_create", raising=False)
    test_processes_share_the_memory("spawn")


def test_slots_may_be_larger_than_the_machine():
    """As with many threads and whole images: what is not written to costs nothing."""
    n_bytes = 64 * os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    slots = Slots(2, n_bytes, shared=False)
    slots.buffer(1)[:3] = 7
    assert slots.lend(1, 4).tolist() == [7, 7, 7, 0]


def test_slots_are_kept_while_a_device_copies_them():
    """What was lent is free when all that was begun before it came back is done."""
    done = set()
    marks = iter("abc")
    slots = Slots(2, 10, shared=False)

    def mark():
        letter = next(marks)
        return lambda: letter in done

    slots.wait_for(mark)
    first, second = (slots.lend(slots.take(), 10) for _ in range(2))
    del first, second
    gc.collect()
    assert slots.take() is None
    done.add("a")
    assert (slots.take(), slots.take()) == (0, None)
    done.add("b")
    slots.give_back(0)
    assert (slots.take(), slots.take(), slots.take()) == (0, 1, None)
    assert pickle.loads(pickle.dumps(Slots.__getstate__(slots) | {"_memory": 0}))["_mark"] is None
