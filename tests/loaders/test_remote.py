"""Loaders of stores elsewhere: the batches of the folder, in few requests, by all workers."""

from __future__ import annotations

import os
import shutil

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("obstore")

import mtfast
from faulty_server import faulty_server
from mtfast.addresses import Address
from mtfast.loaders import Augment
from mtfast.loaders.torch import Dataset, Loader
from mtfast.remote import objects_at
from mtfast.store.reading import remote_files

OPTIONS = {"crop": 48, "augment": Augment()}


@pytest.fixture
def served(tiny_store, tmp_path):
    shutil.copytree(tiny_store, tmp_path / "set.zarr")
    with faulty_server(tmp_path) as server:
        yield server


@pytest.fixture
def address(served):
    return f"{served.url}/set.zarr"


def expect_equal_batches(found, expected):
    found, expected = list(found), list(expected)
    assert len(found) == len(expected)
    for ours, theirs in zip(found, expected, strict=True):
        assert ours["name"] == theirs["name"]
        for key in ("image", "semantic", "boxes"):
            assert all(map(torch.equal, _listed(ours[key]), _listed(theirs[key])))


def _listed(value):
    return [value] if isinstance(value, torch.Tensor) else value


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_batches_are_those_of_the_folder(address, tiny_store, workers):
    local = Loader(Dataset(tiny_store, **OPTIONS), 4)
    with Loader(Dataset(address, **OPTIONS), 4, workers=workers) as loader:
        for _ in range(2):
            expect_equal_batches(loader, local)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_batches_come_from_a_bucket_through_forked_workers(bucket, tiny_store):
    objects = objects_at(Address.parse(f"{bucket}/set.zarr"))
    for file in filter(os.path.isfile, sorted(tiny_store.rglob("*"))):
        objects.write(file.relative_to(tiny_store).as_posix(), file.read_bytes())
    # The parent has used obstore by now.
    dataset = Dataset(f"{bucket}/set.zarr", **OPTIONS)
    with Loader(dataset, 4, workers=2, start_method="fork") as loader:
        expect_equal_batches(loader, Loader(Dataset(tiny_store, **OPTIONS), 4))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_torchs_own_loader_forks_too(address, tiny_store):
    ours, theirs = (Dataset(place, form="dicts", **OPTIONS) for place in (address, tiny_store))
    ours[0]
    loader = torch.utils.data.DataLoader(
        ours, 5, num_workers=2, collate_fn=list, multiprocessing_context="fork"
    )
    found = [sample for batch in loader for sample in batch]
    theirs[0]
    expected = [theirs[k] for k in range(len(theirs))]
    assert [sample["name"] for sample in found] == [sample["name"] for sample in expected]
    for sample, other in zip(found, expected, strict=True):
        assert torch.equal(sample["image"], other["image"])


@pytest.mark.parametrize("workers", [0, 2, "threads:2"])
def test_each_image_is_requested_once_an_epoch(served, address, monkeypatch, workers):
    # Room for four of the ten images.
    monkeypatch.setattr(remote_files, "AHEAD_BYTES", 120_000)
    with Loader(Dataset(address, **OPTIONS), 2, workers=workers, read_ahead=4) as loader:
        for _ in range(2):
            list(loader)
        served.requests.clear()
        for _ in range(4):
            list(loader)
        n = len([asked for asked in served.gets if "images" in asked.path])
    assert n <= 1.5 * 40


def test_requests_of_a_batch_are_side_by_side(served, address):
    dataset = Dataset(address, **OPTIONS)
    with Loader(dataset, 5) as loader:
        list(loader)
        served.most, served.latency = 0, 0.02
        dataset.reader.split.store.files.ahead = remote_files.HeldRanges(1 << 20)
        list(loader)
    assert served.most >= 4


def test_an_opened_store_is_taken(address, tiny_store, tmp_path):
    store = mtfast.open(address, disk_cache=tmp_path / "cache")
    dataset = Dataset(store, **OPTIONS)
    assert str(dataset.reader.store) == address
    expect_equal_batches(Loader(dataset, 4), Loader(Dataset(tiny_store, **OPTIONS), 4))
    assert any((tmp_path / "cache").rglob("*"))


def test_batches_of_a_gpu_loader_are_those_of_the_folder(address, tiny_store):
    from mtfast.loaders import gpu

    ours, theirs = (
        gpu.Loader(Dataset(place, crop=32, form="tensors"), 5, device="cpu", memory="disk")
        for place in (address, tiny_store)
    )
    for found, expected in zip(ours, theirs, strict=True):
        assert torch.equal(found["image"], expected["image"])
    ours.close(), theirs.close()
