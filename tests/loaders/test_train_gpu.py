"""The example of training on a GPU runs, with the kernels' twins on the CPU."""

from __future__ import annotations

import multiprocessing

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from examples import train_gpu

from mtfast.loaders.torch import Loader

SCALE = train_gpu.Scale(images=8, size=(96, 128), crop=48, batch=4, steps=16, channels=4)


def test_the_example(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    losses = train_gpu.main(["--device", "cpu"], SCALE)
    assert len(losses) == 16
    assert "16 steps, " in capsys.readouterr().out
    assert not multiprocessing.active_children()


def test_the_losses_are_those_of_the_other_loader(tmp_path, monkeypatch):
    store = train_gpu.make_store(tmp_path, SCALE)
    losses = train_gpu.train(store, SCALE, "cpu")

    def on_cpu(data, batch, device, drop_last):
        return Loader(data, batch, drop_last=drop_last)

    monkeypatch.setattr(train_gpu, "Loader", on_cpu)
    assert train_gpu.train(store, SCALE, "cpu") == pytest.approx(losses, rel=1e-4)
