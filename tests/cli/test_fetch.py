"""``mtfast fetch``, on a server on loopback that has the record's layout."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import shlex
import subprocess
import sys

import click
import pytest

from commands import invoke
from folders import names_in
from mtfast.cli.fetch import fetch
from mtfast.fetching import SETS, web
from record_server import serve, zip_of_folder


@pytest.fixture(scope="module")
def zips(tiny_set) -> dict[str, bytes]:
    data = zip_of_folder(tiny_set, "GrapheneL/")
    return {f"{name}.zip": data for name in ("Real_GrapheneL", "Real_WS2")}


@pytest.fixture
def record(zips, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(web, "FIRST_WAIT", 0.0)
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with serve(zips) as server:
        monkeypatch.setenv("MTFAST_ZENODO_URL", server.url)
        yield server


def next_lines(said: str) -> list[list[str]]:
    lines = said.partition("Next:\n")[2].splitlines()
    return [shlex.split(line)[-3:] for line in lines]


def test_a_set_is_downloaded_and_unpacked(record, zips, tmp_path):
    status, said, errors = invoke("fetch", "GrapheneL", "sets", "--extract")
    assert status == 0, errors
    assert said.splitlines()[:2] == [
        f"sets/Real_GrapheneL.zip: {len(zips['Real_GrapheneL.zip']) / 1e6:.1f} MB; its md5 is that "
        f"of the record",
        f"sets/Real_GrapheneL: {n_files(tmp_path / 'sets/Real_GrapheneL')} files unpacked",
    ]
    assert re.search(r"^downloading Real_GrapheneL\.zip \(MB\): 1 of 1", errors, re.MULTILINE)
    assert next_lines(said) == [["convert", "sets/Real_GrapheneL", "real_graphenel.zarr"]]
    assert invoke(*next_lines(said)[0], "--workers", "1")[0] == 0
    assert names_in(tmp_path / "sets") == ["Real_GrapheneL", "Real_GrapheneL.zip"]
    record.seen.clear()
    status, said, _ = invoke("fetch", "GrapheneL", "sets", "--extract")
    assert said.startswith("sets/Real_GrapheneL is there already; nothing was downloaded")
    assert (status, record.seen) == (0, [])


def n_files(folder) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_several_sets_without_their_zips(record, tmp_path):
    status, said, errors = invoke(
        "fetch", "Real_WS2", "Real_GrapheneL", ".", "--extract", "--remove-zip", "--quiet"
    )
    assert (status, said, errors) == (0, "", "")
    assert names_in(tmp_path) == ["Real_GrapheneL", "Real_WS2"]


def test_the_zip_that_is_typed_next(record, tmp_path):
    status, said, _ = invoke("fetch", "Real_WS2")
    assert status == 0
    assert next_lines(said) == [["convert", "Real_WS2.zip", "real_ws2.zarr"]]


@pytest.mark.parametrize("arguments", [["--list"], [], ["--list", "Real_WS2"]])
def test_the_list_of_all_sets(record, zips, arguments):
    status, said, errors = invoke("fetch", *arguments)
    assert (status, errors) == (0, "")
    title, *rows = [line.split() for line in said.splitlines()]
    assert title == ["set", "train", "test", "classes", "GB"]
    assert [row[0] for row in rows] == [known.name for known in SETS]
    assert rows[0] == ["Real_GrapheneL", "425", "1,362", "4", "0.00"]
    assert rows[1] == ["Real_GrapheneM", "325", "357", "4", "?"]


def test_the_list_without_a_network(monkeypatch):
    monkeypatch.setattr(web, "FIRST_WAIT", 0.0)
    monkeypatch.setenv("MTFAST_ZENODO_URL", "http://name.invalid")
    status, said, errors = invoke("fetch", "--list")
    assert status == 0
    assert len(said.splitlines()) == 16
    assert errors.startswith("no sizes: name.invalid is not found; expected a network")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["WSe2"], "'WSe2' is the name of two sets; expected Real_WSe2 or Synthetic_WSe2; name"),
        (["Real_WS2", "WSe2"], "'WSe2' is the name of two sets; "),
        (["graphenel"], r"no published set 'graphenel'; .* did you mean 'Real_GrapheneL'\?"),
        (["Real_WS2", "graphenel"], r".* did you mean 'Real_GrapheneL'\? .* type ./graphenel"),
        (["sets"], "no published set 'sets'; expected a name such as Real_WSe2"),
        (["Real_WS2", "--remove-zip"], "--remove-zip without --extract; expected both"),
        (["Real_WS2", "s3://bucket/sets"], "s3://bucket/sets is an address; expected a path"),
    ],
)
def test_what_is_refused_before_anything_is_asked_for(record, tmp_path, arguments, line):
    status, said, errors = invoke("fetch", *arguments)
    assert (status, said) == (2, "")
    (told,) = errors.splitlines()
    assert re.match(line, told.removeprefix("mtfast: error: ")), told
    assert told.count("; expected") == 1
    assert record.seen == []
    assert names_in(tmp_path) == []


def test_a_folder_that_is_a_file(record, tmp_path):
    (tmp_path / "sets").touch()
    status, _, errors = invoke("fetch", "Real_WS2", "sets")
    assert status == 2
    assert "is a file; expected a folder" in errors


def test_a_folder_of_the_name_of_a_set(record, tmp_path):
    assert invoke("fetch", "Real_WS2", "./GrapheneL")[0] == 0
    assert names_in(tmp_path / "GrapheneL") == ["Real_WS2.zip"]


@pytest.mark.parametrize(
    ("typed", "found"),
    [("Real_WS", ["Real_WSe2", "Real_WSe2L", "Real_WS2"]), ("sets", ["sets"]), ("./", ["./"])],
)
def test_what_the_shell_completes(typed, found):
    (given,) = [p for p in fetch.params if p.name == "given"]
    items = given.shell_complete(click.Context(fetch), typed)
    assert [item.value for item in items] == found
    assert {item.type for item in items} == ({"plain"} if typed == "Real_WS" else {"file"})


def test_lines_on_a_terminal_stand_below_the_bar(record, tmp_path):
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "mtfast", "fetch", "Real_WS2"],
        stdout=follower,
        stderr=follower,
        env=os.environ | {"TERM": "xterm", "COLUMNS": "100"},
    )
    os.close(follower)
    said = b""
    with contextlib.suppress(OSError):
        while part := os.read(leader, 4096):
            said += part
    os.close(leader)
    assert process.wait() == 0
    bar, _, lines = said.decode().rpartition("\x1b")
    assert "1/1" in bar
    assert "MB; its md5 is that of the record" in lines
    assert "Next:\r\n" in lines


def test_sets_that_have_come_are_told_when_one_fails(record, tmp_path):
    status, said, errors = invoke("fetch", "Real_WS2", "Real_GrapheneM")
    assert (status, len(said.splitlines())) == (2, 1)
    assert said.startswith("Real_WS2.zip: ")
    assert "the record has no Real_GrapheneM.zip" in errors
