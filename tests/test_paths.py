"""Paths of this machine, and names inside datasets."""

from __future__ import annotations

from pathlib import Path

import pytest

from mtfast import MtfastError
from mtfast.errors import no_such
from mtfast.paths import base_name, local_path, stem_of


@pytest.mark.parametrize("path", ["s3://bucket/g.zarr", "https://host/a.json", "hdfs://host/a"])
def test_addresses_are_refused_in_one_line(path):
    with pytest.raises(MtfastError, match=r"is an address; expected a path on this machine; "):
        local_path(path)


@pytest.mark.parametrize("path", ["a.json", "/tmp/s3", "a:b", "C:/sets/Graphene", "./s3:/x", ""])
def test_local_paths_stay_as_they_are(path):
    assert local_path(path) == Path(path)


@pytest.mark.parametrize("name", ["a1.jpg", "run1/a1.jpg", "run1\\a1.jpg", "/x/run1\\a1.png"])
def test_folders_are_parted_by_either_slash(name):
    assert stem_of(name) == "a1"
    assert base_name(name) in ("a1.jpg", "a1.png")


def test_the_nearest_name_is_found_among_many_without_comparing_all(monkeypatch):
    compared = []
    names = [f"{k:06x}.jpg" for k in range(40_000)]
    import difflib

    real = difflib.get_close_matches

    def count(word, possibilities, n):
        compared.append(len(possibilities))
        return real(word, possibilities, n)

    monkeypatch.setattr(difflib, "get_close_matches", count)
    message = no_such("image", "0012345.jpg", names, "train")
    assert "and 39,992 more; did you mean '001" in message
    assert compared == [500]


def test_no_name_at_all():
    assert no_such("split", "train", (), "x.json") == (
        "no split 'train' in x.json; expected one of: none; pick one of them"
    )
