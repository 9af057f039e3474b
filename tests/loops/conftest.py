"""A small store, two ranks, and a table of what each loop was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest

import mtfast
from loops import records
from mtfast.synth import make_set

RANKS = Path(__file__).parent / "ranks"
SECONDS = 180
"""Until two ranks that do not end are ended."""

HEAD = ("loop", "ranks", "samples", "union", "twice", "views twice", "epoch 0", "epoch 1", "rest")
"""Samples of an epoch on each rank; images of an epoch on all ranks together, and those that came
twice; views that came twice in all epochs; and digests of rank 0's first two epochs, and of what
was left of an epoch after resuming."""


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 21 images to train on and 7 to validate on."""
    folder = tmp_path_factory.mktemp("loops")
    found = make_set(
        folder / "set", train=records.N_IMAGES, test=7, size=(96, 128), seed=3, workers=1
    )
    return mtfast.convert(found, folder / "graphene.zarr", shard=4)


@pytest.fixture(scope="session")
def epochs(store: Path) -> list[list[records.Sample]]:
    """Four epochs of the training set, each the first of its loader, on one rank."""
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    from mtfast.loaders.torch import Dataset, Loader

    found = []
    for epoch in range(4):
        loader = Loader(Dataset(store, **records.OPTIONS), records.BATCH)
        loader.start(epoch)
        found.append(records.epoch_of(loader))
    return found


@pytest.fixture(scope="session")
def two_ranks(store, tmp_path_factory):
    """Run a program of the folder ranks under torchrun, and return what each rank recorded."""
    pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

    @cache
    def run(program: str) -> list[dict[str, object]]:
        folder = tmp_path_factory.mktemp(program)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--local-addr=127.0.0.1", "--nproc-per-node=2"]
        command += [str(RANKS / f"{program}.py"), str(store), str(folder)]
        environment = os.environ | {
            "GLOO_SOCKET_IFNAME": "lo0" if sys.platform == "darwin" else "lo",
            # One thread each: two ranks on two cores are slower with more.
            "OMP_NUM_THREADS": "1",
            # The ranks import what these tests import.
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except BaseException:
            # torchrun then ends its ranks, which are in sessions of their own.
            process.terminate()
            process.communicate()
            raise
        assert process.returncode == 0, said
        found = [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]
        return [records.from_json(one) for one in found]

    return run


@pytest.fixture
def table(request):
    """Add a row to the table at the end: a loop, and the epochs that each rank was given."""

    def add(loop: str, *ranks: list[list[records.Sample]], resumed: Sequence[records.Sample] = ()):
        first = [samples for epochs in ranks for samples in epochs[0]]
        sizes = {len(epoch) for epochs in ranks for epoch in epochs}
        union = len(set(records.images_of(first)))
        row = (
            loop,
            str(len(ranks)),
            "-".join(map(str, sorted(sizes))),
            str(union),
            str(len(first) - union),
            str(records.twice(one for epochs in ranks for epoch in epochs for one in epoch)),
            *(records.digest(epoch) for epoch in ranks[0][:2]),
            records.digest(resumed) if resumed else "",
        )
        request.node.user_properties.append(("row", row))

    return add


def pytest_terminal_summary(terminalreporter):
    """Print the table."""
    reports = terminalreporter.getreports("passed")
    found = [row for report in reports for name, row in report.user_properties if name == "row"]
    if not found:
        return
    found.insert(0, HEAD)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    terminalreporter.section("what each loop was given")
    for row in found:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        terminalreporter.line("  ".join(cells).rstrip())
