"""Ranges of files of this machine, compared with slices of what the file holds."""

from __future__ import annotations

import os
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mtfast.errors import StoreError
from mtfast.store.reading.files import LocalFile

DATA = bytes((7 * k + k // 251) % 256 for k in range(400_000))


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "shard"
    path.write_bytes(DATA)
    return str(path)


def read(path, start, ranges):
    """Read ranges, one after another with a byte between, into memory of which no other changes."""
    out, at, placed = bytearray(b"\xfe" * 500_000), 1, []
    for first, length in ranges:
        placed.append((first, length, at))
        at += length + 1
    LocalFile(path).read_into(start, placed, memoryview(out))
    for first, length, place in placed:
        assert out[place : place + length] == DATA[start + first :][:length]
        out[place : place + length] = b"\xfe" * length
    assert set(out) == {0xFE}


@settings(deadline=None, max_examples=150)
@given(start=st.integers(0, 99), ends=st.lists(st.integers(0, 200_000), max_size=40))
def test_ranges(path, start, ends):
    """Close to each other and far apart, touching, and of no bytes."""
    ranges = [(a, b - a) for a, b in pairwise(sorted(ends))]
    read(path, start, ranges)
    read(path, start, ranges[::2])


def test_ranges_that_are_not_in_order_or_overlap(path):
    read(path, 0, [(5000, 10), (20, 10), (25, 10), (20, 30)])


def test_thousands_of_ranges(path):
    read(path, 3, [(100 * k, 50) for k in range(3500)])


def test_without_preadv(path, monkeypatch):
    monkeypatch.delattr(os, "preadv", raising=False)
    read(path, 3, [(100 * k, 50) for k in range(35)])


def test_a_file_that_ends_too_early(path):
    with pytest.raises(StoreError, match="ends at byte 400000; expected 400001 bytes; run"):
        read(path, 0, [(0, 10), (399_000, 1001)])
