"""The kernels on a GPU, where there is one: what their twins on the host cannot show."""

from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, repeat

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import fuzz_windows
import fuzzing
import mtfast.gpu
from gpu_ways import run_on_gpu
from mtfast.loaders import gpu
from mtfast.loaders.gpu import memory
from mtfast.loaders.gpu.memory import Memory
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def test_a_short_run_of_the_fuzzer():
    """Windows of sound files of all kinds, compared with imagecodecs, and of damaged ones."""
    trials = [fuzz_windows.make_trial(1, number, run_on_gpu) for number in range(400)]
    assert [p for trial in trials if (p := fuzzing.judge(trial)[1])] == []
    names = {trial.function.__name__ for trial in trials}
    assert names == {"windows_agree", "damaged_windows", "windows_of_indexes"}


def test_damage_is_found_as_on_the_host():
    n_damaged = 0
    for number in range(400):
        trial = fuzz_windows.make_trial(2, number)
        if trial.function is fuzz_windows.damaged_windows:
            expected = trial.function(*trial.arguments)
            found = trial.function(*trial.arguments[:-1], run_on_gpu)
            # Of several faults of a window, any thread may be the last one to write its own.
            assert np.array_equal(found != 0, expected != 0), number
            n_damaged += bool(expected.any())
    assert n_damaged > 20


def test_masks_encoded_in_a_thread_that_has_not_worked_with_cuda():
    """Its memory is at hand, so that nothing but the launch of a kernel calls CUDA."""
    masks = torch.ones((2, 40, 30), dtype=torch.bool, device="cuda")
    expected = mtfast.gpu.encode(masks)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(mtfast.gpu.encode, masks).result() == expected


def test_memory_that_cannot_be_locked_leaves_no_error():
    """It is locked already; PyTorch asks for the error of the next kernel."""
    device = torch.device("cuda", torch.cuda.current_device())
    words = Memory("host", device).words(1000)
    with pytest.raises(RuntimeError):
        memory._pin(words, device)
    assert torch.ones(3, device=device).sum().item() == 3


def test_a_loader_that_is_dropped_waits_for_its_kernels(tiny_store):
    """The memory that they read is handed out again after that."""
    loader = gpu.Loader(Dataset(tiny_store, crop=32), 4)
    batches = iter(loader)
    next(batches)
    stream = loader._maker._stream
    words = weakref.ref(loader._maker._files.arrays["words"])
    # The thread that launches holds the set until it has ended.
    loader.close()
    with torch.cuda.stream(stream):
        # About a second.
        torch.cuda._sleep(2_000_000_000)
    assert not stream.query()
    del loader, batches
    gc.collect()
    assert words() is None
    assert stream.query()


def test_a_step_that_is_captured_as_a_graph(tiny_store):
    """The thread of the loader may make batches while a step is captured."""
    with gpu.Loader(Dataset(tiny_store, crop=32), 2) as loader:
        batches = chain.from_iterable(repeat(loader))
        given = next(batches)["image"].clone()
        total = torch.zeros((), dtype=torch.int64, device="cuda")
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, capture_error_mode="thread_local"):
            total.copy_(given.long().sum())
            pending = loader._team.submit([SampleKey(0, 0), SampleKey(0, 1)])
            loader._team.launch(pending._group).result()
        for _ in range(5):
            batch = next(batches)
            given.copy_(batch["image"])
            graph.replay()
            assert total.item() == int(batch["image"].long().sum())
