"""What is kept on the disk of objects elsewhere."""

from __future__ import annotations

import errno
import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from mtfast.remote import disk_cache
from mtfast.remote.disk_cache import CacheOptions, DiskCache
from mtfast.remote.objects import Stat

STAT = Stat(1000, '"etag"')


def files_of(folder):
    return [file for file in folder.rglob("*") if file.is_file()]


def path_of(cache, name):
    return cache._folder / disk_cache._hash(name)


def n_bytes_of(folder):
    return sum(file.stat().st_size for file in files_of(folder))


def test_what_was_kept_is_found_by_its_store(tmp_path):
    options = CacheOptions(tmp_path, 10**6)
    DiskCache(options, "one").keep("a", b"0123", STAT)
    assert DiskCache(options, "one").find("a") == (b"0123", STAT)
    assert DiskCache(options, "one").find("b") is None
    assert DiskCache(options, "other").find("a") is None


@pytest.mark.parametrize("k", range(0, 40, 3))
def test_a_damaged_file_is_no_data(tmp_path, k, caplog):
    cache = DiskCache(CacheOptions(tmp_path, 10**6), "one")
    cache.keep("a", b"0123456789", STAT)
    (file,) = files_of(tmp_path)
    data = bytearray(file.read_bytes())
    data[k % len(data)] ^= 4
    file.write_bytes(data)
    assert cache.find("a") is None
    assert "is damaged and is read again" in caplog.text
    assert files_of(tmp_path) == []


@pytest.mark.parametrize("n", [0, 7, 20, 30])
def test_a_file_that_was_cut_is_no_data(tmp_path, n):
    cache = DiskCache(CacheOptions(tmp_path, 10**6), "one")
    cache.keep("a", b"0123456789", STAT)
    (file,) = files_of(tmp_path)
    file.write_bytes(file.read_bytes()[:n])
    assert cache.find("a") is None


def test_what_was_used_longest_ago_is_removed(tmp_path):
    cache = DiskCache(CacheOptions(tmp_path, 20_000), "one")
    for k in range(60):
        cache.keep(str(k), bytes(1000), STAT)
        os.utime(path_of(cache, str(k)), ns=(k, k))
        if k > 3:
            assert cache.find("3") is not None, "it is in use"
    assert n_bytes_of(tmp_path) <= 20_000
    assert cache.find("59") is not None
    assert cache.find("5") is None


def test_a_full_disk_is_told_once_and_nothing_more_is_kept(tmp_path, monkeypatch, caplog):
    cache = DiskCache(CacheOptions(tmp_path, 10**6), "one")
    cache.keep("a", b"0123", STAT)

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", full)
    cache.keep("b", b"0123", STAT)
    cache.keep("c", b"0123", STAT)
    assert caplog.text.count("nothing more is kept there: No space left") == 1
    assert len(files_of(tmp_path)) == 1, "nor what was begun"
    assert cache.find("a") == (b"0123", STAT)


def test_a_folder_that_cannot_be_made_is_told(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    cache = DiskCache(CacheOptions(tmp_path / "file", 10**6), "one")
    cache.keep("a", b"0123", STAT)
    assert cache.find("a") is None
    assert "nothing more is kept there" in caplog.text


def _use(folder, seed):
    cache = DiskCache(CacheOptions(folder, 30_000), "one")
    rng = np.random.default_rng(seed)
    n_found = 0
    for k in rng.integers(0, 50, 300).tolist():
        found = cache.find(str(k))
        if found is None:
            cache.keep(str(k), bytes([k]) * (500 + k), STAT)
        else:
            n_found += 1
            assert found == (bytes([k]) * (500 + k), STAT)
    return n_found


def test_processes_share_a_folder(tmp_path):
    with ProcessPoolExecutor(3, get_context("spawn")) as pool:
        assert all(pool.map(_use, [tmp_path] * 3, range(3)))
    # A part of the limit for each process, which looks only now and then.
    assert n_bytes_of(tmp_path) <= 30_000 * (1 + 3 / 32) + 3 * 600
    assert not [file for file in files_of(tmp_path) if file.name.startswith(".")]
