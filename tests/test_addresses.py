"""What a path is that a user gave."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

import mtfast
from mtfast.addresses import Address, locate, without_secrets


@pytest.mark.parametrize("path", ["a/b.zarr", "c:/sets", "C:\\sets", "s3", "./s3:", Path("x")])
def test_paths_of_this_machine(path):
    assert locate(path) == Path(path)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://b/k/", Address("s3", "b", "k")),
        ("S3://b", Address("s3", "b", "")),
        ("s3://b/a?b#c%20", Address("s3", "b", "a?b#c%20")),
        ("https://h:8/a%20b//c.zip?x=1&y", Address("https", "h:8", "a b/c.zip", "x=1&y")),
    ],
)
def test_addresses(text, expected):
    found = locate(text)
    assert found == expected
    assert locate(found) is found
    assert locate(found.url) == found


def test_an_address_shows_no_secret():
    address = Address.parse("https://me:secret@host/a.zip?signature=abc")
    assert str(address) == "https://host/a.zip?…"
    assert address.url == "https://me:secret@host/a.zip?signature=abc"
    assert repr(address) == "Address('https://host/a.zip?…')"
    assert str(Address.parse("ftp://me:secret@host/a.zip")) == "ftp://host/a.zip"
    azure = "abfss://sets@me.dfs.core.windows.net/a"
    assert str(Address.parse(azure)) == azure == without_secrets(azure)


@pytest.mark.parametrize(
    "text",
    [
        "https://me:secret@host/a?signature=secret#b",
        "https:/me:secret@host/a?signature=secret",
        "https://me:secret@[host/a?signature=secret",
        "s3://key:secret@bucket/a",
    ],
)
def test_a_refused_address_shows_no_secret(text):
    with pytest.raises(mtfast.MtfastError, match="expected") as caught:
        locate(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (PurePosixPath("s3://b/k"), "s3:/b/k has one slash after its scheme"),
        ("s3:///k", "no host"),
        ("https://h/../k", "'.' or '..'"),
        ("https://h/k#part", "'#'"),
        ("file:///a", "leave out 'file://'"),
        ("https://[h/k", "is no address"),
        ("'s3://b/k'", "has an address in it"),
        (" s3://b/k", "leave out what stands before it"),
    ],
)
def test_what_is_no_address_is_refused(text, words):
    with pytest.raises(mtfast.MtfastError, match=words.replace("'", ".")) as caught:
        locate(text)
    assert "\n" not in str(caught.value)
