"""A short run of the fuzzer of check and repair; CONTRIBUTING.md has the long one."""

from __future__ import annotations

import pytest

import fuzz_check
import fuzz_store
import mtfast


@pytest.fixture
def in_tmp(monkeypatch, tmp_path):
    """Stores of the fuzzer in a folder of this test."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    caches = fuzz_store.stores, fuzz_store.expected, fuzz_check.content
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


def test_a_short_run(in_tmp):
    said = []
    assert fuzz_check.run_trials(["mixed"], 4, 1, 4, seed=1, say=said.append) == []
    assert said[0].startswith("all files: 4 damaged")
    assert len(said) == 2 + len(fuzz_check.SHARDS)


def test_the_fuzzer_tells_damage_that_is_not_found_or_not_mended(in_tmp, monkeypatch):
    """Where nothing is looked for, and where nothing is made again."""
    check = mtfast.check_store
    nothing = check(fuzz_store.stores()["mixed"])
    with monkeypatch.context() as patch:
        patch.setattr(mtfast, "check_store", lambda path, **options: nothing)
        problems = fuzz_check.run_trials(["mixed"], 0, 1, 0, seed=2, say=lambda line: None)
    assert any("not found by check" in problem for problem in problems)
    with monkeypatch.context() as patch:
        patch.setattr(mtfast, "check_store", lambda path, **options: check(path))
        problems = fuzz_check.run_trials(["mixed"], 0, 1, 0, seed=2, say=lambda line: None)
    assert len(problems) == len(fuzz_check.SHARDS)
    assert all(problem.endswith("not repaired bit for bit") for problem in problems)
