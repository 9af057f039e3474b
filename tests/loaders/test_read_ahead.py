"""Batches that pass through the thread that reads ahead."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Event, Thread
from types import SimpleNamespace

import pytest

from mtfast.errors import MtfastError, StoreError
from mtfast.loaders.read_ahead import read_ahead
from mtfast.loaders.sampler import SampleKey

BATCHES = [SimpleNamespace(keys=[SampleKey(1, 10 * k + j) for j in range(3)]) for k in range(6)]


@pytest.mark.parametrize("n_samples", [1, 3, 4, 100])
def test_batches_are_unchanged(n_samples):
    assert list(read_ahead(BATCHES, n_samples, lambda position: None)) == BATCHES


@pytest.mark.parametrize(("n_samples", "ahead"), [(1, 1), (3, 1), (5, 2), (6, 2), (100, 5)])
def test_the_thread_is_as_far_ahead_as_asked(n_samples, ahead):
    """So many batches more than were passed on have been requested, in their order."""
    requested: SimpleQueue[int] = SimpleQueue()
    drawn = []
    batches = read_ahead((drawn.append(b) or b for b in BATCHES), n_samples, requested.put)
    assert next(batches) == BATCHES[0]
    assert len(drawn) == 1 + ahead
    expected = [key.position for batch in drawn for key in batch.keys]
    assert [requested.get(timeout=60) for _ in expected] == expected
    batches.close()
    assert requested.empty()


def test_closing_waits_for_a_single_request(monkeypatch):
    """The others that are queued are dropped."""
    requested, closing = [], Event()

    class Joined(Thread):
        def join(self, timeout=None):
            closing.set()
            super().join(timeout)

    def request(position):
        requested.append(position)
        closing.wait()

    monkeypatch.setattr("mtfast.loaders.read_ahead.Thread", Joined)
    batches = read_ahead(BATCHES, 100, request)
    next(batches)
    batches.close()
    assert len(requested) <= 1


@pytest.mark.parametrize("error", [OSError, MtfastError, StoreError])
def test_errors_of_requests_are_left_to_the_reader(error):
    requested, called = [], Event()

    def fail(position):
        requested.append(position)
        called.set()
        raise error("no such file")

    batches = read_ahead(BATCHES, 3, fail)
    first = next(batches)
    assert called.wait(60)
    assert [first, *batches] == BATCHES
    assert requested == [0]
