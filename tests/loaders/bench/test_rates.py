"""``mtfast bench``: both readers make the same samples; no test asserts how fast."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import count
from types import SimpleNamespace

import numpy as np
import pytest

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.bench.plain import PlainReader
from mtfast.loaders.bench.rates import measure_rates
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("rates") / "s.zarr"
    return mtfast.convert(small_set, path, splits=["train"])


@pytest.mark.parametrize("crop", [None, 64])
def test_both_readers_make_the_same_samples(store, tmp_path, crop):
    reader = Reader(store, crop=crop, augment=Augment(mirror=False, turn=False))
    plain = PlainReader(reader, tmp_path)
    assert plain.method.endswith("pycocotools, crop")
    for position in range(len(reader)):
        found, expected = (r.read(SampleKey(1, position)) for r in (reader, plain))
        assert found.view == expected.view
        assert np.array_equal(found.image, expected.image)
        assert np.array_equal(found.semantic, expected.semantic)
        for a, b in zip(found.instances, expected.instances, strict=True):
            assert a.dtype == b.dtype
            assert np.array_equal(a, b)


@pytest.fixture(params=["as installed", "Pillow"])
def decoder(request, monkeypatch):
    if request.param == "Pillow":
        monkeypatch.setattr("mtfast.loaders.bench.plain.find_spec", lambda name: None)


@pytest.mark.parametrize("crop", [None, 24, (48, 64)])
@pytest.mark.parametrize("intensity", [None, (1000, 50_000)])
def test_both_readers_make_the_same_samples_of_a_mixed_set(
    mixed_store, tmp_path, crop, intensity, decoder
):
    """Of all kinds and depths, turned or not by EXIF, padded where the crop is larger."""
    windows = Augment(mirror=False, turn=False)
    reader = Reader(mixed_store, crop=crop, intensity=intensity, augment=windows)
    plain = PlainReader(reader, tmp_path)
    for position, name in enumerate(reader.split.names.tolist()):
        found, expected = (r.read(SampleKey(1, position)) for r in (reader, plain))
        assert found.image.dtype == expected.image.dtype
        np.testing.assert_array_equal(found.image, expected.image, name)
        np.testing.assert_array_equal(found.semantic, expected.semantic, name)
        np.testing.assert_array_equal(found.instances.masks, expected.instances.masks, name)


def test_the_plain_reader_reads_all_kinds(mixed_set, mixed_store, tmp_path, decoder):
    plain = PlainReader(Reader(mixed_store), tmp_path)
    for position, (name, expected) in enumerate(mixed_set.pixels.items()):
        found = plain.load(position).pixels
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected, name)


def test_rates_of_whole_images_of_several_sizes(mixed_store):
    rates = measure_rates(mixed_store, crop=None, n_samples=99)
    assert rates.crop is None
    assert rates.n_samples == len(mtfast.open(mixed_store)["train"])
    assert measure_rates(mixed_store, crop=None, n_samples=1).crop is not None
    command = [sys.executable, "-m", "mtfast", "bench", str(mixed_store), "--crop", "0"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "whole images of several sizes, one process" in done.stdout


def test_pillow_stands_in_for_opencv(store, tmp_path, monkeypatch):
    reader = Reader(store, crop=64)
    plain = PlainReader(reader, tmp_path)
    monkeypatch.setattr("mtfast.loaders.bench.plain.find_spec", lambda name: None)
    assert plain.method == "PIL, pycocotools, crop"
    assert np.array_equal(plain.read(3).image, reader.read(3).image)


def test_rates(store, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    rates = measure_rates(store, crop=64, n_samples=6, batch_size=4)
    assert (rates.n_samples, rates.crop, rates.workers) == (6, (64, 64), 0)
    assert rates.rate > 0
    assert rates.plain_rate > 0
    assert measure_rates(store, crop=None, n_samples=99, seed=1).n_samples == 20
    with pytest.raises(MtfastError, match="a crop of 512 x 512 from an image"):
        measure_rates(store)
    assert not list(tmp_path.iterdir())


def test_the_first_split_is_read_where_none_is_named(small_set, tmp_path):
    """Which COCO's and Roboflow's sets do not call train."""
    store = mtfast.convert(small_set, tmp_path / "s.zarr", splits=["test"])
    assert measure_rates(store, crop=64, n_samples=2).split == "test"


def test_rates_are_samples_a_second(store, monkeypatch):
    """With a clock that moves on by two seconds each time it is read."""
    clock = SimpleNamespace(perf_counter=count(0, 2).__next__)
    monkeypatch.setattr("mtfast.loaders.bench.rates.time", clock)
    rates = measure_rates(store, crop=64, n_samples=6)
    assert (rates.rate, rates.plain_rate) == (3, 3)


@pytest.mark.parametrize("name", ["n_samples", "batch_size", "workers"])
def test_bad_numbers(store, name):
    with pytest.raises(MtfastError, match=f"{name} is -1; expected an integer of at least"):
        measure_rates(store, **{name: -1})


def test_workers_need_pytorch(store, mixed_store, monkeypatch):
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    rates = measure_rates(store, crop=64, n_samples=6, batch_size=2, workers=1)
    assert rates.workers == 1
    assert measure_rates(mixed_store, crop=None, n_samples=6, workers=1).crop is None
    monkeypatch.delitem(sys.modules, "mtfast.loaders.torch")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MtfastError, match=r"pip install 'mtfast\[torch\]'"):
        measure_rates(store, crop=64, workers=1)


def test_command(store):
    command = [sys.executable, "-m", "mtfast", "bench", str(store), "--crop", "64"]
    done = subprocess.run([*command, "--samples", "4"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "4 windows of 64 x 64 pixels, one process" in done.stdout
    assert done.stdout.splitlines()[3].startswith("mtfast ")
    done = subprocess.run([*command, "--crop", "0", "--json"], capture_output=True, text=True)
    assert json.loads(done.stdout)["crop"] == [240, 320]
