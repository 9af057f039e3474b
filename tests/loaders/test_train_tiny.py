"""The training example runs, at a scale that takes seconds."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from examples import train_tiny


def test_the_example(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    scale = train_tiny.Scale(images=12, size=(96, 128), crop=48, batch=4, epochs=6, channels=4)
    losses = train_tiny.main(["--workers", "0"], scale)
    assert len(losses) == 18
    said = capsys.readouterr().out
    assert "stopped in epoch 2, after 8 of 12 images" in said
    assert "all 18 batches are those of a training that never stopped" in said
