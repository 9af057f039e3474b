"""Batches made by a GPU's kernels, there or on the host, compared with the CPU's loader."""

from __future__ import annotations

import gc
import itertools
import json
import logging
import multiprocessing
import pickle
import random
import re
import shutil
import threading
import weakref
from collections import deque
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from coded_sets import EMPTY, KINDS, N_ON_CPU, make_coded_set
from gpu_ways import DEVICE
from mtfast.errors import MtfastError, StoreError
from mtfast.gpu import driver
from mtfast.gpu.windows import checked_device
from mtfast.kernels.device import window_table as fields
from mtfast.loaders import Augment, gpu
from mtfast.loaders import torch as on_cpu
from mtfast.loaders.reader import Reader
from mtfast.loaders.torch import Dataset

SHOT = "1_shot/run_0/annotations_with_class_300"
EVERYTHING = Augment(near=0.5, scale=(0.5, 2.0))


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """JPEGs of all kinds, of one size."""
    folder = tmp_path_factory.mktemp("coded")
    return mtfast.convert(make_coded_set(folder), folder / "s.zarr", shard=4, crop_index=True)


@pytest.fixture(scope="module")
def padded_store(tmp_path_factory):
    """The same, and a larger image, as only images smaller than others are padded."""
    folder = tmp_path_factory.mktemp("padded")
    return mtfast.convert(make_coded_set(folder, outlier=True), folder / "s.zarr")


@pytest.fixture(scope="module")
def tiny_store(tiny_set, tmp_path_factory):
    """A synthetic set, with variants of few images."""
    path = tmp_path_factory.mktemp("tiny") / "s.zarr"
    return mtfast.convert(tiny_set, path, splits=["train"])


def assert_same(found, expected, what=""):
    """Tensors of equal values, types and strides, in lists and dicts of equal order."""
    assert type(found) is type(expected), what
    if isinstance(found, dict):
        assert list(found) == list(expected)
        for key in found:
            assert_same(found[key], expected[key], key)
    elif isinstance(found, list):
        assert len(found) == len(expected), what
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, what)
    elif isinstance(found, torch.Tensor):
        assert (found.dtype, found.shape) == (expected.dtype, expected.shape), what
        # Those of no or one element along an axis mean nothing.
        if min(found.shape, default=2) > 1:
            assert found.stride() == expected.stride(), what
        assert torch.equal(found.cpu(), expected.cpu()), what
    else:
        assert found == expected, what


def both(path, batch_size=4, data=None, options=None, **gpu_options):
    """The loader for a GPU, and the one for the CPU."""
    data, options = data or {}, options or {}
    return (
        gpu.Loader(Dataset(path, **data), batch_size, device=DEVICE, **options, **gpu_options),
        on_cpu.Loader(Dataset(path, **data), batch_size, **options),
    )


def assert_same_epochs(path, batch_size=4, data=None, n=None, **options):
    found, expected = both(path, batch_size, data, **options)
    pairs = zip(found, expected, strict=True)
    n_batches = 0
    for one, other in itertools.islice(pairs, n):
        assert_same(one, other)
        n_batches += 1
    assert n_batches == (n or len(expected))
    found.close()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"crop": 32},
        {"crop": 32, "augment": EVERYTHING},
        {"crop": (17, 40), "augment": Augment(scale=(0.3, 3.0)), "seed": 4},
        {"crop": (40, 17), "augment": Augment(near=1.0, turn=False)},
        {"crop": 30, "augment": Augment(mirror=False)},
        {"augment": Augment(turn=False)},
        {"augment": Augment(scale=(1.0, 2.5))},
        {"crop": 1, "augment": EVERYTHING},
        {"crop": 45, "augment": Augment(scale=(0.2, 0.2))},
        {"crop": 32, "image_format": "BGR", "augment": EVERYTHING},
        {"crop": 32, "images": False},
        {"crop": 32, "targets": ["semantic"], "augment": EVERYTHING},
        {"crop": 32, "targets": ["instances"], "augment": EVERYTHING},
        {"crop": 32, "targets": [], "augment": EVERYTHING},
        {"crop": 32, "images": False, "targets": []},
        {"crop": 32, "crowds": "ignore", "augment": EVERYTHING},
        {"crop": 32, "crowds": "keep", "augment": EVERYTHING},
        {"crop": 32, "classes": ["class 255", 1], "augment": EVERYTHING},
        {"crop": 40, "classes": [2, 3], "crowds": "ignore", "augment": EVERYTHING},
        {"crop": 32, "class_agnostic": True, "augment": EVERYTHING},
    ],
    ids=str,
)
def test_batches_are_those_of_the_cpu(store, data):
    for _ in range(2):
        assert_same_epochs(store, 5, data)


@pytest.mark.parametrize(
    "data",
    [
        {"crop": (60, 50), "augment": EVERYTHING},
        {"crop": (90, 131), "augment": EVERYTHING},
        {"crop": (90, 131)},
        {"crop": (140, 20), "crowds": "ignore", "augment": Augment(scale=(0.4, 0.9))},
        {"crop": 70, "classes": [2, 3], "crowds": "ignore", "augment": EVERYTHING},
    ],
    ids=str,
)
def test_crops_that_are_larger_than_images(padded_store, data):
    """Along one axis and along both; what is outside is black, and ignored."""
    for memory in ("device", "host", "disk"):
        assert_same_epochs(padded_store, 5, data, memory=memory)


def test_another_default_device(store):
    """As set by torch.set_default_device: what lies on the host is made there all the same."""
    data = {"crop": 32, "augment": EVERYTHING}
    windows = [(k, 3, 2, 16, 30) for k in range(4)]
    split = mtfast.open(store)["train"]
    expected = split.crops_gpu(windows, device=DEVICE)
    with torch.device("meta"):
        assert_same(split.crops_gpu(windows, device=DEVICE), expected)
    expected = list(on_cpu.Loader(Dataset(store, **data), 5))
    for memory in ("device", "host", "disk"):
        with torch.device("meta"):
            loader = gpu.Loader(Dataset(store, **data), 5, device=DEVICE, memory=memory)
            found = [loader._maker.make(list(keys)).batch(0) for keys in loader.sampler]
        assert_same(found, expected)


def test_masks_of_16_bits(store):
    """With more than 254 classes, and fewer."""
    (batch,) = gpu.Loader(Dataset(store), 12, device=DEVICE)
    assert batch["semantic"].dtype == torch.uint16
    assert batch["semantic"].cpu().numpy().max() > 255
    (batch,) = gpu.Loader(Dataset(store, classes=[1, 300]), 12, device=DEVICE)
    assert batch["semantic"].dtype == torch.uint8


@pytest.mark.parametrize("seed", range(12))
def test_random_options(store, seed):
    rng = random.Random(seed)
    data = {
        "crop": rng.choice((None, rng.randint(1, 45), (rng.randint(1, 45), rng.randint(1, 70)))),
        "augment": Augment(
            near=rng.random(),
            mirror=rng.random() < 0.8,
            turn=rng.random() < 0.8,
            scale=(rng.uniform(0.3, 1), rng.uniform(1, 3)),
        ),
        "crowds": rng.choice(("drop", "ignore", "keep")),
        "seed": seed,
        "classes": rng.choice((None, [1, 2, 254], ["class 300"])),
    }
    if data["crop"] is None:
        data["augment"] = Augment(turn=False)
    memory, step = rng.choice(("device", "host", "disk")), rng.choice((1, 2, 5))
    size = rng.randint(1, 12)
    assert_same_epochs(store, size, data, memory=memory, step=step)


@pytest.mark.parametrize(
    ("memory", "step"),
    [*itertools.product(["device", "host"], [1, 3, 8, 200]), ("auto", 2), ("disk", 1)],
)
def test_memories_and_steps_change_nothing(store, memory, step):
    assert_same_epochs(store, 5, {"crop": 40, "augment": EVERYTHING}, memory=memory, step=step)


def test_images_of_several_sizes_and_kinds(mixed_store):
    """JPEG, PNG, WebP, BMP and TIFF, turned by EXIF or not, with images smaller than the crop."""
    data = {"intensity": (0, 65535), "augment": EVERYTHING}
    for crop in (40, (64, 48), (30, 190)):
        assert_same_epochs(mixed_store, 5, data | {"crop": crop}, n=4)


def test_images_of_several_sizes_one_by_one(mixed_store):
    """Whole images, each a batch of its own size."""
    assert_same_epochs(mixed_store, 1, {"intensity": (100, 60000)}, n=10)


def test_images_of_16_bits_need_an_intensity(mixed_store):
    loader = gpu.Loader(Dataset(mixed_store, crop=30), 8, device=DEVICE)
    with pytest.raises(MtfastError, match="image of 16 bits.*give the dataset intensity="):
        list(loader)


def test_sets_as_users_have_them(tmp_path):
    """Sizes like those of COCO, polygons, and a crowd; few and large images."""
    from own_sets import make_own_sets

    make_own_sets(tmp_path)
    path = mtfast.convert(tmp_path / "coco", tmp_path / "s.zarr")
    (split,) = mtfast.open(path)
    data = {"split": split, "crop": 300, "augment": EVERYTHING, "crowds": "ignore"}
    assert_same_epochs(path, 2, data)


def a_mixture(store, padded_store, **data):
    """Sets of different sizes and shards: one with a crop index, one without, one a second time."""
    options = {"crop": 32, "augment": EVERYTHING, **data}
    sets = [Dataset(store, seed=k, **options) for k in (3, 4)]
    return Dataset.mix([sets[0], Dataset(padded_store, **options), sets[1]], [2, 1, 1])


@pytest.mark.parametrize("memory", ["device", "host", "disk"])
@pytest.mark.parametrize(
    "data",
    [
        {},
        {"crowds": "ignore", "targets": ["instances"], "image_format": "BGR"},
        {"classes": [2, 3], "targets": ["semantic"], "crop": (17, 40)},
    ],
    ids=str,
)
def test_mixtures_are_those_of_the_cpu(store, padded_store, memory, data):
    """With the number of the set of each sample, also where a batch has samples of one only."""
    mixture = partial(a_mixture, store, padded_store, **data)
    with gpu.Loader(mixture(), 7, device=DEVICE, memory=memory) as found:
        expected = on_cpu.Loader(mixture(), 7)
        for _ in range(2):
            for one, other in zip(found, expected, strict=True):
                assert_same(one, other)
            assert found.state_dict() == expected.state_dict()
        members = torch.cat([batch["member"] for batch in found])
    assert set(members.tolist()) == {0, 1, 2}


def test_mixtures_without_shares_and_images(store, padded_store):
    sets = [Dataset(path, crop=20, images=False) for path in (padded_store, store)]
    found = gpu.Loader(Dataset.mix(sets), 4, device=DEVICE, shuffle=False)
    for one, other in zip(found, on_cpu.Loader(Dataset.mix(sets), 4, shuffle=False), strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("memory", ["device", "host", "disk"])
def test_states_of_mixtures_are_exchanged(store, padded_store, memory):
    """In the middle of an epoch, from either loader to the other."""
    mixture = partial(a_mixture, store, padded_store, targets=["semantic"])
    makers = [
        partial(gpu.Loader, mixture(), 3, device=DEVICE, memory=memory),
        partial(on_cpu.Loader, mixture(), 3),
    ]
    expected = list(makers[1]())
    for first, second in (makers, makers[::-1]):
        with first() as one, second() as other:
            list(itertools.islice(one, 5))
            other.load_state_dict(json.loads(json.dumps(one.state_dict())))
            assert_same(list(other), expected[5:])


@pytest.mark.parametrize("memory", ["device", "disk"])
def test_damage_in_a_mixture_names_the_set(store, padded_store, tmp_path, memory):
    shutil.copytree(store, tmp_path / "s.zarr")
    (file, *_) = sorted((tmp_path / "s.zarr/train/images/file").rglob("*[0-9]"))
    data = bytearray(file.read_bytes())
    # In the coded data of the first image.
    data[900] ^= 1
    file.write_bytes(data)
    mixture = Dataset.mix([Dataset(padded_store, crop=32), Dataset(tmp_path / "s.zarr", crop=32)])
    loader = gpu.Loader(mixture, 4, device=DEVICE, memory=memory, shuffle=False)
    with pytest.raises(
        StoreError, match=f"image 0 (in|of) {re.escape(str(tmp_path))}.* is damaged"
    ):
        list(loader)


@pytest.mark.parametrize("crowds", ["drop", "ignore"])
def test_few_shots(tiny_store, crowds):
    data = {"variant": SHOT, "crop": 64, "augment": EVERYTHING, "crowds": crowds}
    assert_same_epochs(tiny_store, 3, data)


@pytest.mark.parametrize(
    "options",
    [
        {"shuffle": False},
        {"drop_last": True},
        {"pad": False, "rank": 1, "ranks": 5},
        {"rank": 2, "ranks": 3},
        {"weights": {"class 255": 20.0}},
        {"samples_per_epoch": 31},
        {"samples_per_epoch": 3, "weights": np.arange(1, 13)},
        {"prefetch": 5},
    ],
    ids=str,
)
def test_orders_are_those_of_the_cpu(store, options):
    data = {"crop": 16, "augment": EVERYTHING, "targets": ["semantic"]}
    found, expected = both(store, 5, data, {**options})
    for _ in range(2):
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
        assert found.state_dict() == expected.state_dict()


def test_batches_without_instances(store):
    data = {"crop": 20, "augment": Augment()}
    found, other = both(store, 1, data, {"shuffle": False})
    batches = list(zip(found, other, strict=True))
    assert_same(*batches[EMPTY])
    assert [len(m) for m in batches[EMPTY][0]["masks"]] == [0]
    assert any(len(m) == 0 for batch, _ in batches for m in batch["masks"])
    # No class of the set is wanted, in any image.
    assert_same_epochs(store, 6, data | {"classes": [7]})


def test_states_are_exchanged(store):
    """Stopped by one loader at random points, and resumed by the other, twice each."""
    rng = random.Random(0)
    data = {"crop": 16, "augment": EVERYTHING, "seed": 3}
    makers = [
        partial(gpu.Loader, Dataset(store, **data), device=DEVICE),
        partial(on_cpu.Loader, Dataset(store, **data)),
    ]
    whole = on_cpu.Loader(Dataset(store, **data), 1)
    expected = [
        batch["view"].tolist() + batch["index"].tolist() for _ in range(2) for batch in whole
    ]
    pixels = [b["image"] for b in on_cpu.Loader(Dataset(store, **data), 1)]
    gpu_loader = makers[0](1)
    for point in range(20):
        first, second = makers if point % 2 else makers[::-1]
        loader = first(rng.randint(1, 5)) if point % 2 == 0 else gpu_loader
        loader.load_state_dict({**whole.state_dict(), "epoch": 0, "handed": 0})
        n = rng.randint(1, len(loader) - 1)
        seen = sum(len(b["index"]) for b in itertools.islice(loader, n))
        state = loader.state_dict()
        if point % 3:
            state = json.loads(json.dumps(state))
        other = second(rng.randint(1, 5)) if point % 2 else gpu_loader
        other.load_state_dict(state)
        met = seen
        for batch in other:
            for k, index in enumerate(batch["index"].tolist()):
                assert [batch["view"][k].tolist(), index] == expected[met]
                assert torch.equal(batch["image"][k].cpu(), pixels[met][0])
                met += 1
        assert met == 12


def test_iterations(store):
    """One after another, two at once, and after the loader was closed."""
    data = {"crop": 16, "augment": EVERYTHING}
    found, expected = both(store, 5, data)
    first, second, third = [list(expected) for _ in range(3)]
    assert_same(list(found), first)
    for pair, wanted in zip(
        zip(found, found, strict=True), zip(second, third, strict=True), strict=True
    ):
        assert_same(list(pair), list(wanted))
    found.close()
    found.start(1)
    assert_same(list(found), second)
    batches = iter(found)
    assert_same(next(batches), third[0])
    found.close()
    with pytest.raises(MtfastError, match="iteration whose loader was closed"):
        list(batches)
    found.set_epoch(0)
    with found:
        assert_same(list(found), first)


class ClosedWhileItSubmits:
    """An executor of a loader that another thread closes while a batch is handed in."""

    def __init__(self, executor, close):
        self.executor, self.close = executor, threading.Thread(target=close)
        self.is_down = threading.Event()

    def submit(self, *work):
        if self.close.ident is None:
            self.close.start()
            # If nothing holds the thread back, the executor is shut down before it gets the work.
            self.is_down.wait(0.2)
        return self.executor.submit(*work)

    def shutdown(self, **options):
        self.executor.shutdown(**options)
        self.is_down.set()


def test_a_loader_that_another_thread_closes_meanwhile(store):
    """The iteration ends as if it had been closed before; the executor's error is never seen."""
    # On the host batches are handed in one by one.
    loader = gpu.Loader(Dataset(store, crop=16), 2, device="cpu", prefetch=1)
    batches = iter(loader)
    next(batches)
    team = loader._team
    executor = team._executor = ClosedWhileItSubmits(team._executor, loader.close)
    # Those that were made by then are handed out.
    with pytest.raises(MtfastError, match="iteration whose loader was closed"):
        deque((executor.is_down.wait(20) for _ in batches), maxlen=0)
    executor.close.join(20)
    assert not executor.close.is_alive()
    assert len(list(loader)) == 6


def test_a_loader_that_is_dropped_ends_its_thread(store):
    def threads():
        return {t for t in threading.enumerate() if t.name.startswith("mtfast-gpu")}

    before = threads()
    loader = gpu.Loader(Dataset(store, crop=16), 5, device=DEVICE)
    batches = iter(loader)
    next(batches)
    (thread,) = threads() - before
    gone = weakref.ref(loader)
    del loader, batches
    gc.collect()
    assert gone() is None
    thread.join(20)
    assert not thread.is_alive()


def test_a_loader_that_is_dropped_waits_for_its_kernels(store):
    """They read the memory of the set, also for batches that nobody waits for."""
    loader = gpu.Loader(Dataset(store, crop=16), 5, device="cpu")
    maker, found = loader._maker, []
    words = weakref.ref(maker._files.arrays["words"])
    maker._stream = SimpleNamespace(synchronize=lambda: found.append(words() is not None))
    del loader, maker
    gc.collect()
    assert (found, words()) == ([True], None)


def test_memory_of_batches_is_used_on_every_stream_that_asks_for_one(store, monkeypatch):
    """Batches that are made together are one memory, which is handed out again after all of them.

    PyTorch knows only the stream on which it was taken, and those that are recorded.
    """
    loader = gpu.Loader(Dataset(store, crop=16), 2, device="cpu")
    (first, second, *_) = loader.sampler
    recorded = []
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda _, stream: recorded.append(stream))
    made = loader._maker.make(first + second, [2, 2])
    made._done = SimpleNamespace(query=lambda: True)
    for number, stream in enumerate("ab"):
        monkeypatch.setattr(torch.cuda, "current_stream", lambda device, stream=stream: stream)
        for _ in range(2):
            made.batch(number)
    # Index, view, image, semantic and five of the instances.
    assert recorded == ["a"] * 9 + ["b"] * 9


def test_pickled_loaders(store):
    """As the one for the CPU: what was loaded is left behind."""
    data = {"crop": 16, "augment": EVERYTHING}
    found, expected = both(store, 5, data)
    assert_same(next(iter(found)), next(iter(expected)))
    again = pickle.loads(pickle.dumps(found))
    assert len(pickle.dumps(found)) < 20_000
    again.start(0)
    expected.start(0)
    assert_same(list(again), list(expected))


def send(loader, writer):
    writer.send([batch["index"].tolist() for batch in loader])
    loader.close()


def test_a_loader_that_was_used_works_in_a_fork(store):
    """The thread belongs to the process that has started it."""
    if "fork" not in multiprocessing.get_all_start_methods() or DEVICE == "cuda":
        pytest.skip("no fork on this system, or of a process that has used CUDA")
    context = multiprocessing.get_context("fork")
    with gpu.Loader(Dataset(store, crop=16), 5, device="cpu") as loader:
        expected = [batch["index"].tolist() for batch in loader]
        loader.start(0)
        reader, writer = context.Pipe(duplex=False)
        process = context.Process(target=send, args=(loader, writer))
        process.start()
        assert reader.poll(60)
        assert reader.recv() == expected
        process.join(60)
        assert process.exitcode == 0
        assert [batch["index"].tolist() for batch in loader] == expected


def test_an_iteration_goes_no_further_after_an_error(tiny_store):
    """The next one does, as with the loader for the CPU."""
    loader = gpu.Loader(Dataset(tiny_store, crop=32), 4, device=DEVICE, shuffle=False)
    words = loader._maker._files.arrays["words"]
    sound = words.clone()
    words[:] = -1
    batches = iter(loader)
    with pytest.raises(StoreError, match="image 0 of split train of .* is damaged"):
        next(batches)
    assert list(batches) == []
    loader.close()
    words[:] = sound
    loader.start(0)
    assert_same(list(loader), list(on_cpu.Loader(Dataset(tiny_store, crop=32), 4, shuffle=False)))


def test_what_is_logged(store, caplog):
    with caplog.at_level(logging.INFO, "mtfast"):
        next(iter(gpu.Loader(Dataset(store), 3, device=DEVICE)))
    n = len(KINDS)
    assert f"{n - N_ON_CPU} images of" in caplog.text
    assert f"{N_ON_CPU} of other kinds on the CPU" in caplog.text


def test_bad_loaders(store, tiny_store, monkeypatch):
    data = Dataset(store, crop=16)
    make = partial(gpu.Loader, device="cpu")
    cases = [
        (lambda: make(Dataset(store, form="dicts", crop=16), 2), "form 'dicts'; expected the form"),
        (lambda: make(Dataset(store, crop=16, transform=dict), 2), "with a transform; expected"),
        (lambda: make(data, 2, memory="disc"), "memory"),
        (lambda: make(data, 2, step=0), "step is 0; expected an integer of at least 1"),
        (lambda: make(data, 0), "batch_size is 0"),
        (lambda: make(store, 2), "expected an mtfast.loaders.torch.Dataset"),
        (lambda: gpu.Loader(data, 2, device="tpu"), "device 'tpu'; expected a CUDA device"),
        (lambda: gpu.Loader(data, 2, device="meta"), "device 'meta'; expected a CUDA device"),
    ]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    cases += [(lambda: gpu.Loader(data, 2), "device 'cuda'; expected a CUDA device that PyTorch")]
    for call, message in cases:
        with pytest.raises(MtfastError, match=message) as error:
            call()
        assert len(str(error.value).splitlines()) == 1


def test_devices_of_cuda_are_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert checked_device("cuda") == checked_device("cuda:1") == torch.device("cuda", 1)
    with pytest.raises(MtfastError, match="^device 'cuda:2'; expected .*sees, 0 to 1; give an"):
        checked_device("cuda:2")


def test_a_library_that_is_missing_is_said_before_the_set_is_read(store, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 9)
    monkeypatch.setattr(driver, "find_spec", lambda name: None)
    monkeypatch.setattr(Reader, "with_class_numbers", lambda *_: pytest.fail("the set is read"))
    loader = gpu.Loader(Dataset(store, crop=16), 5, device="cuda:8", memory="device")
    with pytest.raises(MtfastError, match=r"no 'numba_cuda'; .*; run: pip install 'mtfast\[gpu\]'"):
        next(iter(loader))


def flipped(path: Path, target: Path, name: str, rng: np.random.Generator):
    """Copies of a store, each with another bit of an array flipped."""
    shutil.copytree(path, target)
    (file, *_) = sorted(f for f in (target / "train" / name).rglob("*[0-9]") if f.is_file())
    sound = file.read_bytes()
    for at in rng.integers(0, 8 * len(sound), 12).tolist():
        changed = bytearray(sound)
        changed[at >> 3] ^= 1 << (at & 7)
        file.write_bytes(changed)
        yield at
    file.write_bytes(sound)


@pytest.mark.parametrize("name", ["images/file", "instances/rle"])
def test_no_flipped_bit_gives_other_batches(tiny_store, tmp_path, name, rng):
    """An error that names what is damaged, or what it was before."""
    data = {"crop": 64, "augment": EVERYTHING}
    expected = list(on_cpu.Loader(Dataset(tiny_store, **data), 10))
    errors = []
    for _ in flipped(tiny_store, tmp_path / "s.zarr", name, rng):
        try:
            found = list(gpu.Loader(Dataset(tmp_path / "s.zarr", **data), 10, device=DEVICE))
        except StoreError as error:
            errors.append(str(error))
        else:
            assert_same(found, expected)
    assert len(errors) > 3
    for text in errors:
        assert len(text.splitlines()) == 1
        assert re.search(r"images?[ /]\d+|images/file|instances", text), text
    if name == "images/file":
        assert all(re.search(r"image \d+ (in|of) ", text) for text in errors), errors


def test_a_file_that_is_damaged_in_spite_of_its_checksum(tiny_store, monkeypatch):
    """Its codes are walked over when it is loaded."""
    from mtfast.store.reading.split import Split

    read = Split.image_bytes

    def cut(split, index):
        data = read(split, index)
        return data[: len(data) // 2] + b"\xff\xd9" if index == 4 else data

    monkeypatch.setattr(Split, "image_bytes", cut)
    with pytest.raises(StoreError, match=r"image 4 of split train of .*run 'mtfast check'"):
        next(iter(gpu.Loader(Dataset(tiny_store, crop=32), 4, device=DEVICE)))


@pytest.mark.parametrize("memory", ["device", "host"])
def test_memory_that_is_damaged_after_it_was_loaded(tiny_store, memory):
    """An image is named; pixels are not handed out."""
    loader = gpu.Loader(Dataset(tiny_store), 10, device=DEVICE, shuffle=False, memory=memory)
    files = loader._maker._files
    words, images = files.arrays["words"], files.images.reshape(10, -1)
    words[images[6, fields.WORDS] : images[6, fields.WORDS_END]] = -1
    with pytest.raises(StoreError, match="image 6 of split train of .* is damaged: it has bits"):
        next(iter(loader))


def test_files_of_another_size_than_the_store_says(tiny_store, monkeypatch):
    from mtfast.store.reading.split import Split

    read = Split.size
    monkeypatch.setattr(Split, "size", lambda s, k: (96, 127) if k == 2 else read(s, k))
    with pytest.raises(StoreError, match="image 2 of .* has 96 x 128 pixels; expected 96 x 127"):
        next(iter(gpu.Loader(Dataset(tiny_store, crop=32), 4, device=DEVICE)))
