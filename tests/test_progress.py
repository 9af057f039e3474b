from __future__ import annotations

import importlib
import inspect
import os
import pty
import subprocess
import sys

import pytest

import mtfast
from mtfast.errors import MtfastError
from mtfast.progress import ProgressDisplay, step, track

SCRIPT = """
from mtfast.progress import ProgressDisplay
with ProgressDisplay() as progress:
    for done in range(0, 1001, 50):
        progress("writing images", done, 1000)
    progress("reading", 3, 3)
"""


def test_plain_lines_in_a_pipe(capsys):
    with ProgressDisplay() as progress:
        for done in range(0, 1001, 50):
            progress("writing images", done, 1000)
        progress("reading", 3, 3)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.splitlines() == ["writing images: 1,000 of 1,000", "reading: 3 of 3"]


def on_terminal(columns: int, term: str = "xterm") -> str:
    leader, follower = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stderr=follower,
        env=os.environ | {"COLUMNS": str(columns), "TERM": term},
    )
    os.close(follower)
    said = b""
    while True:
        try:
            part = os.read(leader, 4096)
        except OSError:
            break
        if not part:
            break
        said += part
    os.close(leader)
    assert process.wait() == 0
    return said.decode()


def test_a_bar_on_a_terminal():
    said = on_terminal(100)
    assert "1000/1000" in said
    assert "━" in said
    assert "/s" in said


def test_lines_on_a_terminal_that_cannot_move_its_cursor():
    said = on_terminal(100, "dumb").splitlines()
    assert said == ["writing images: 1,000 of 1,000", "reading: 3 of 3"]


def test_a_narrow_terminal():
    said = on_terminal(34)
    assert "1000/1000" in said


def reports():
    found = []
    return found, lambda *report: found.append(report)


def test_track_reports_at_the_start_and_after_each_item():
    found, progress = reports()
    for item in track("abc", "counting", progress):
        found.append(item)
    assert found == [
        ("counting", 0, 3),
        "a",
        ("counting", 1, 3),
        "b",
        ("counting", 2, 3),
        "c",
        ("counting", 3, 3),
    ]


def test_track_items_that_have_sizes():
    found, progress = reports()
    assert list(track(iter(["abc", "d"]), "counting", progress, 4, len)) == ["abc", "d"]
    assert found == [("counting", 0, 4), ("counting", 3, 4), ("counting", 4, 4)]


def test_track_nothing():
    found, progress = reports()
    assert list(track([], "counting", progress)) == []
    assert found == [("counting", 0, 0)]


def test_an_item_that_fails_is_not_done():
    found, progress = reports()
    with pytest.raises(ZeroDivisionError):
        sum(1 / item for item in track([1, 0, 1], "dividing", progress))
    assert found == [("dividing", 0, 3), ("dividing", 1, 3)]


def test_track_without_progress():
    assert list(track([1, 2], "counting", None)) == [1, 2]


def test_a_step():
    found, progress = reports()
    with step("reading", progress):
        found.append("read")
    assert found == [("reading", 0, 1), "read", ("reading", 1, 1)]
    with step("reading", None):
        pass


def test_a_step_that_fails_is_not_done():
    found, progress = reports()
    with pytest.raises(ZeroDivisionError), step("reading", progress):
        1 / 0
    assert found == [("reading", 0, 1)]


def test_true_shows_what_the_command_line_shows(tiny_set, tmp_path, capsys):
    path = mtfast.convert(tiny_set, tmp_path / "shown.zarr", progress=True)
    said = capsys.readouterr()
    assert said.out == ""
    assert "writing images: 14 of 14" in said.err
    for silent in ({}, {"progress": None}, {"progress": False}):
        mtfast.check_store(path, **silent)
        assert capsys.readouterr().err == ""
    calls = []
    mtfast.check_store(path, progress=lambda *call: calls.append(call))
    assert calls
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("progress", ["yes", 1, 0, [], object()])
def test_what_is_no_progress_is_refused_before_any_work(progress, tmp_path):
    with pytest.raises(MtfastError, match="expected True, or a function that is called as"):
        mtfast.convert(tmp_path / "nothing", tmp_path / "a.zarr", progress=progress)


def doors_that_report():
    """All functions of the packages' doors that take a ``progress``."""
    modules = ("mtfast", "mtfast.derivation", "mtfast.report", "mtfast.synth")
    others = (
        "mtfast.conversion.crop_index.add_crop_index",
        "mtfast.demo.run_demo",
        "mtfast.report.preview.preview",
        "mtfast.report.summary.summarise",
    )
    named = [f"{m}.{n}" for m in modules for n in importlib.import_module(m).__all__]
    for name in (*named, *others):
        module, _, attribute = name.rpartition(".")
        found = getattr(importlib.import_module(module), attribute)
        if inspect.isfunction(found) and "progress" in inspect.signature(found).parameters:
            yield pytest.param(found, id=name)


@pytest.mark.parametrize("function", [*doors_that_report()])
def test_every_door_that_reports_takes_true(function):
    parameter = inspect.signature(function).parameters["progress"]
    assert (parameter.kind, parameter.default) == (parameter.KEYWORD_ONLY, None)
    others = {
        name: None
        for name, other in inspect.signature(function).parameters.items()
        if other.default is other.empty and other.kind is not other.VAR_KEYWORD
    }
    with pytest.raises(MtfastError, match="progress is 'yes'; expected True, or a function"):
        function(**others, progress="yes")
    assert "progress" in inspect.getdoc(function)


def test_the_rate_of_work_that_is_gone_on_with(capsys, monkeypatch):
    """What an earlier run has done took no time of this one."""
    clock = iter([0.0, 0.0, 10.0, 10.0])
    monkeypatch.setattr(mtfast.progress.time, "monotonic", lambda: next(clock))
    with ProgressDisplay() as progress:
        progress("downloading", 900, 1000)
        progress("downloading", 1000, 1000)
    assert capsys.readouterr().err == "downloading: 1,000 of 1,000, 10/s\n"
