"""Web servers that have no answer to HEAD: what GET says is as good."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import mtfast
from faulty_server import faulty_server
from mtfast.addresses import Address
from mtfast.errors import RemoteError
from mtfast.remote import objects_at
from packing import pack

pytest.importorskip("obstore")


@pytest.fixture
def served(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MTFAST_RETRIES", "1")
    with faulty_server(tmp_path) as server:
        yield server


def without_head(served, status, otherwise=None):
    """Let a server answer HEAD with a status, and GET with a fault."""
    served.fault = lambda number, path: (
        status if served.requests[number].method == "HEAD" else otherwise
    )


@pytest.mark.parametrize("status", ["405", "501"])
@pytest.mark.parametrize("otherwise", [None, "whole"])
@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_a_file_is_looked_at_by_get(served, tmp_path, status, otherwise, size):
    (tmp_path / "a").write_bytes(bytes(size))
    expected = objects_at(Address.parse(served.url)).stat("a")
    assert expected.n_bytes == size
    without_head(served, status, otherwise)
    assert objects_at(Address.parse(served.url)).stat("a") == expected


@pytest.mark.parametrize("status", ["405", "501"])
def test_head_is_not_tried_again(served, tmp_path, status):
    (tmp_path / "a").write_bytes(b"0123456789")
    without_head(served, status)
    objects = objects_at(Address.parse(served.url))
    assert objects.stat("a").n_bytes == 10
    served.requests.clear()
    assert objects.stat("a").n_bytes == 10
    (asked,) = served.requests
    assert (asked.method, asked.range, asked.n_bytes) == ("GET", "bytes=0-0", 1)


@pytest.mark.parametrize("status", ["405", "501"])
def test_what_is_missing_or_refused_is_so_by_get(served, status):
    without_head(served, status)
    with pytest.raises(FileNotFoundError):
        objects_at(Address.parse(served.url)).stat("none")
    without_head(served, status, "403")
    with pytest.raises(RemoteError, match="/none is refused"):
        objects_at(Address.parse(served.url)).stat("none")


@pytest.mark.parametrize("status", ["405", "501"])
def test_sets_and_stores_are_read(served, tmp_path, tiny_set, tiny_store, status):
    pack(tiny_set, tmp_path / "set.zip", inside="Graphene")
    shutil.copytree(tiny_store, tmp_path / "set.zarr")
    without_head(served, status)
    source = mtfast.open_source(f"{served.url}/set.zip")
    assert source.splits == mtfast.open_source(tiny_set).splits
    image = mtfast.open(f"{served.url}/set.zarr")["train"].image(3)
    assert np.array_equal(image, mtfast.open(tiny_store)["train"].image(3))
