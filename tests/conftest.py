"""Shared fixtures: small synthetic sets, the real demo images where present."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

import numpy as np
import pytest

import kernel_cache
from mtfast.parallel import n_cores
from storage import make_bucket, s3_server, settings

if TYPE_CHECKING:
    from mixed_sets import MixedSet
    from watched_storage import WatchedStorage

# Each process that a test starts would compile the sources anew: 0.2 s of the 0.9 that a command
# takes to start.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# The readline module, which pytest imports, tells child processes the width of a terminal.
for _name in ("COLUMNS", "LINES"):
    os.environ.pop(_name, None)
    os.unsetenv(_name)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile kernels that are not on disk, before workers of pytest-xdist start to do so."""
    if session.config.getoption("numprocesses", None) and kernel_cache.is_empty():
        terminal = session.config.get_terminal_writer()
        terminal.line("compiling kernels, as none is on disk")
        for name, error in kernel_cache.fill(n_cores()).items():
            terminal.line(f"{name} does not compile: {type(error).__name__}")


def pytest_collection_finish() -> None:
    """Let no collection of garbage look at the tests again: it took 0.25 s each time."""
    gc.freeze()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def small_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic set of small images with everything that a set can hold."""
    from mtfast.synth import make_set

    return make_set(
        tmp_path_factory.mktemp("synth") / "Graphene",
        train=20,
        test=6,
        size=(240, 320),
        seed=7,
        workers=1,
    )


@pytest.fixture(scope="session")
def demo_data() -> Path:
    """Ten real microscope images with instance masks, which are not part of the project."""
    beside = Path(__file__).parents[2] / "shared" / "data" / "maskterial-demo"
    folder = Path(os.environ.get("MTFAST_DEMO_DATA", beside))
    if not folder.is_dir():
        pytest.skip("no demo images; set MTFAST_DEMO_DATA to their folder")
    return folder


@pytest.fixture(scope="session")
def tiny_set(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A synthetic set of few and small images, to be copied and damaged.

    Of the ten runs of each n-shot subset it has two; the small set has them all.
    """
    from mtfast.synth import make_set

    folder = tmp_path_factory.mktemp("tiny") / "Graphene"
    make_set(folder, train=10, test=4, size=(96, 128), seed=3, workers=1)
    for run in (folder / "RLE_annotations").glob("*_shot/run_[2-9]"):
        shutil.rmtree(run)
    return folder


@pytest.fixture
def damaged(tiny_set: Path, tmp_path: Path) -> Path:
    """A copy of the tiny set, to plant faults in."""
    return Path(shutil.copytree(tiny_set, tmp_path / "Graphene"))


@pytest.fixture(scope="session")
def mixed_set(tmp_path_factory: pytest.TempPathFactory) -> MixedSet:
    """Images of several sizes and kinds in one split."""
    from mixed_sets import make_mixed_set

    return make_mixed_set(tmp_path_factory.mktemp("mixed"))


@pytest.fixture(scope="session")
def mixed_store(mixed_set: MixedSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store made of it, in several shards."""
    import mtfast

    path = tmp_path_factory.mktemp("mixed") / "set.zarr"
    return mtfast.convert(mixed_set.annotations, path, crop_index=True, shard=4)


@pytest.fixture(scope="session")
def tiny_store(tiny_set: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store made of the tiny set, with a crop index."""
    import mtfast

    path = tmp_path_factory.mktemp("tiny") / "graphene.zarr"
    return mtfast.convert(tiny_set, path, crop_index=True, shard=4)


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Return the address of a server of S3 on loopback."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    with s3_server() as endpoint:
        yield endpoint


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the address of an empty bucket; ``s3://`` leads to the server on loopback."""
    name = f"bucket-{token_hex(4)}"
    make_bucket(s3_endpoint, name)
    for key, value in settings(s3_endpoint).items():
        monkeypatch.setenv(key, value)
    return f"s3://{name}"


@pytest.fixture(scope="session")
def watched_server() -> Iterator[WatchedStorage]:
    """Return a server of S3 that fails as a test wants it."""
    pytest.importorskip("obstore")
    pytest.importorskip("moto")
    from watched_storage import watched_storage

    with watched_storage() as watched:
        yield watched


@pytest.fixture
def watched(
    watched_server: WatchedStorage, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> WatchedStorage:
    """Return the server that ``s3://`` leads to; it has nothing noted yet."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", watched_server.url)
    watched_server.fault = lambda asked: None
    watched_server.requests.clear()
    return watched_server
