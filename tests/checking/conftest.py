"""A store with everything, and what it was made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import mtfast


@pytest.fixture(scope="session")
def whole_store(tiny_set, tmp_path_factory) -> Path:
    """Two splits of several shards, several annotation files, images and a crop index."""
    path = tmp_path_factory.mktemp("checking") / "flakes.zarr"
    return mtfast.convert(tiny_set, path, shard=4, crop_index=True)


@pytest.fixture
def store(whole_store, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole_store, tmp_path / "flakes.zarr"))
