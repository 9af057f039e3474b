"""A server with two sets, and waits that are over at once."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from mtfast.fetching import download, web
from record_server import RecordServer, serve, zip_of

MB = 1 << 20


@pytest.fixture(scope="module")
def zips() -> dict[str, bytes]:
    """Two zips, the first of 5 MB and a few bytes."""
    noise = np.random.default_rng(0).integers(0, 256, 5 * MB, np.uint8).tobytes()
    return {
        "Real_WS2.zip": zip_of({"WS2/a/noise.bin": noise, "WS2/b.txt": b"b"}),
        "Real_WSe2.zip": zip_of({"a.txt": b"a" * 1000, "train_images/b.txt": b"b"}),
    }


@pytest.fixture
def record(zips, monkeypatch) -> Iterator[RecordServer]:
    """Serve them; stretches are of 1 MB, and nobody waits."""
    monkeypatch.setattr(download, "SHORTEST", MB)
    monkeypatch.setattr(download, "LONGEST", MB)
    monkeypatch.setattr(download, "TICK", 0.005)
    monkeypatch.setattr(web, "FIRST_WAIT", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(dict(zips)) as server:
        monkeypatch.setenv("MTFAST_ZENODO_URL", server.url)
        yield server
