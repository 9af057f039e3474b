"""Pipes that nobody reads, closed and full outputs, odd encodings, and --quiet."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from io import BytesIO, TextIOWrapper
from pathlib import Path

import pytest

import mtfast
from commands import invoke, run
from mtfast.cli import streams
from mtfast.cli.entry import cli

MTFAST = [sys.executable, "-m", "mtfast"]


@pytest.fixture(scope="module")
def many_classes(tmp_path_factory) -> Path:
    """A file of which reports are longer than a pipe holds."""
    path = tmp_path_factory.mktemp("many") / "many.json"
    categories = [{"id": k, "name": f"class {k}"} for k in range(1, 6000)]
    image = {"id": 1, "file_name": "a.jpg", "height": 4, "width": 4}
    path.write_text(json.dumps({"images": [image], "annotations": [], "categories": categories}))
    return path


def test_a_reader_that_goes(many_classes):
    """As ``| head -1`` does; the status is that of programs which the signal ends."""
    line = [*MTFAST, "info", "many.json"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(line, text=True, cwd=many_classes.parent, **pipes) as process:
        assert process.stdout.readline() == "many.json  coco\n"
        process.stdout.close()
        errors = process.stderr.read()
    assert process.returncode == 141
    assert errors.startswith("reading annotations of train: 1 of 1")
    assert errors.count("\n") == 1


def test_json_that_nobody_reads(many_classes):
    read, write = os.pipe()
    os.close(read)
    line = [*MTFAST, "doctor", str(many_classes), "--json", "--quiet"]
    done = subprocess.run(line, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("arguments", [["--help"], ["convert", "--help"], ["fly"]])
def test_no_reader_at_all(stream, arguments):
    read, write = os.pipe()
    os.close(read)
    other = {"stdout": "stderr", "stderr": "stdout"}[stream]
    pipes = {stream: write, other: subprocess.PIPE}
    done = subprocess.run([*MTFAST, *arguments], text=True, **pipes)
    os.close(write)
    is_written = (stream == "stderr") == (arguments == ["fly"])
    assert done.returncode == (141 if is_written else 2 if arguments == ["fly"] else 0)
    if is_written:
        assert not getattr(done, other)


def test_another_pipe_that_breaks_is_an_error(monkeypatch):
    """Of a worker process, for instance: that is not the end of our output."""

    def broken(**_):
        raise BrokenPipeError(32, "Broken pipe")

    monkeypatch.setattr(cli.commands["info"], "callback", broken)
    status, _, errors = invoke("info", ".")
    assert status == 2
    assert errors.startswith("mtfast: error: Broken pipe; expected ")


@pytest.mark.parametrize(
    ("command", "closed"), [("info", ">&-"), ("info", "2>&-"), ("convert", "<&- >&- 2>&-")]
)
def test_closed_streams(tiny_set, tmp_path, command, closed):
    more = "s.zarr --images none" if command == "convert" else ""
    line = f"{' '.join(MTFAST)} {command} {tiny_set} {more} {closed}"
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    if more:
        assert mtfast.check_store(tmp_path / "s.zarr").is_whole


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("arguments", [["--help"], ["--version"]])
def test_a_full_output_is_one_line(arguments):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*MTFAST, *arguments], stdout=full, stderr=-1, text=True)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith("mtfast: error: No space left on device; ")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"TERM": "dumb", "NO_COLOR": "1", "HOME": "/nonexistent"},
    ],
    ids=["ascii", "C", "dumb"],
)
def test_odd_environments(tmp_path, environment):
    bad = {"images": [{"id": 1, "file_name": "ä→.jpg", "height": 4, "width": 4}] * 2}
    (tmp_path / "a.json").write_text(json.dumps(bad | {"annotations": [], "categories": []}))
    done = run("doctor", "a.json", cwd=tmp_path, **environment)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout
    if "TERM" not in environment:
        assert "-> expected records" in done.stdout
        assert done.stdout.isascii()


def test_what_an_encoding_lacks_is_escaped(monkeypatch):
    written = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(written, "ascii"))
    streams.open_streams()
    print("→ ä… \ud800")
    sys.stdout.flush()
    assert written.getvalue() == b"-> \\xe4... \\ud800\n"


# --- --quiet


@pytest.mark.parametrize("place", [0, 1, 3])
def test_quiet_prints_errors_alone(tiny_set, tmp_path, place):
    line = ["convert", str(tiny_set), str(tmp_path / "a.zarr"), "--images=none"]
    line.insert(place, "--quiet")
    assert invoke(*line) == (0, "", "")
    status, said, errors = invoke(*line)
    assert (status, said) == (2, "")
    assert errors.startswith("mtfast: error: ")
    assert errors.count("\n") == 1


def test_quiet_prints_what_was_asked_for(tiny_set):
    loud, quiet = (invoke("info", str(tiny_set), *more) for more in ([], ["--quiet"]))
    assert "reading annotations" in loud[2]
    assert quiet == (0, loud[1], "")
    assert loud[1].startswith(str(tiny_set))


def test_quiet_says_no_warning(monkeypatch):
    def command(**_):
        logging.getLogger("mtfast.store").warning("something is slower")

    monkeypatch.setattr(cli.commands["info"], "callback", command)
    assert invoke("info", ".", "--quiet") == (0, "", "")
    assert logging.getLogger("mtfast").level == logging.NOTSET


def test_quiet_and_verbose_contradict_each_other():
    status, _, errors = invoke("--quiet", "info", ".", "--verbose")
    assert status == 2
    assert errors.startswith("mtfast: error: --verbose with --quiet; expected one of the two; ")


def test_flags_after_two_dashes_are_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, _, errors = invoke("info", "--", "--quiet")
    assert status == 2
    assert "no such file or folder" in errors
    assert "--quiet" in errors
