"""A store with everything, and what it was made of."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def whole_store(tiny_store) -> Path:
    """Two splits of several shards, several annotation files, images and a crop index."""
    return tiny_store


@pytest.fixture
def store(whole_store, tmp_path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(whole_store, tmp_path / "flakes.zarr"))
