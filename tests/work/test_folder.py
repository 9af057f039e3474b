"""Work that goes on where it was stopped, by one run at a time."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import google_crc32c
import pytest

from folders import names_in
from mtfast.atomic import locked
from mtfast.errors import MtfastError, SourceError, StoreError
from mtfast.work import folder_state
from mtfast.work.folder import working
from mtfast.work.folder_place import FolderPlace, sum_of_file
from mtfast.work.folder_state import (
    has_work,
    is_free,
    is_moving,
    refuse_taken,
    remove_remains,
    unfinished,
)
from mtfast.work.records import FileSum, Made, Plan

PLAN = Plan("make", {"n": 3, "kind": "plain"}, {"a.jpg": [10, 20], "b.jpg": [30, 40]})


def write(content: Path, name: str) -> Made:
    """A job: a file with its name in it."""
    (content / name).write_text(name)
    return Made(len(name), {name: sum_of_file(content / name)})


def run(target: Path, names, plan=PLAN, job=write, error=None, **options) -> list[str]:
    """Do a job for each name; return those that were not done before."""
    done = []

    def note(content, name):
        done.append(name)
        return job(content, name)

    check = partial(refuse_taken, target)
    with working(target, plan, check, **options) as work:
        function = partial(note, work.content)
        with work.run_jobs(function, names, names, "write", scheduler="sync") as results:
            for number, result in results:
                assert result == len(names[number])
        if error is not None:
            raise error
        work.put(target, last="last")
    return done


def stop(target: Path, names, error: BaseException | None = None, **options) -> Path:
    """Do jobs, then fail; return the folder that is kept."""
    with pytest.raises(type(error or KeyboardInterrupt())):
        run(target, names, error=error or KeyboardInterrupt(), **options)
    (kept,) = unfinished(target)
    return kept


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("place", ["new", "deep", "empty"])
def test_a_folder_appears_when_it_is_whole(tmp_path, place):
    target = tmp_path / "deep" / "set" if place == "deep" else tmp_path / "set"
    inode = None
    if place == "empty":
        target.mkdir()
        inode = target.stat().st_ino

    def look(content, name):
        assert not target.exists() or is_free(target)
        return write(content, name)

    assert run(target, ["a", "b", "last"], job=look) == ["a", "b", "last"]
    assert contents(target) == {"a": "a", "b": "b", "last": "last"}
    assert names_in(target.parent) == ["set"]
    # An empty folder stays the same one: a shell may be in it.
    assert inode in (None, target.stat().st_ino)


@pytest.mark.parametrize("place", ["new", "empty"])
@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SystemExit(3), ValueError("x"), OSError(errno.ENOSPC, "full")]
)
def test_what_is_done_is_not_done_again(tmp_path, place, error):
    target = tmp_path / "set"
    if place == "empty":
        target.mkdir()
    with pytest.raises(MtfastError if isinstance(error, OSError) else type(error)):
        run(target, ["a", "b"], error=error)
    assert not target.exists() or is_free(target)
    assert run(target, ["a", "b", "c", "last"]) == ["c", "last"]
    assert contents(target) == {"a": "a", "b": "b", "c": "c", "last": "last"}
    assert names_in(tmp_path) == ["set"]


def test_it_goes_on_after_any_number_of_stops(tmp_path):
    names = ["a", "b", "c", "d"]
    for n in range(1, 4):
        stop(tmp_path / "set", names[:n])
    assert run(tmp_path / "set", names) == ["d"]
    assert names_in(tmp_path / "set") == names


def test_what_is_kept_is_said(tmp_path, caplog):
    for error in (KeyboardInterrupt(), StoreError("no more; expected more; get more")):
        with pytest.raises(type(error)) as caught:
            run(tmp_path / "set", ["a", "b"], error=error)
        (kept,) = unfinished(tmp_path / "set")
        said = f"what is done is kept in {kept}; run the same again to go on"
        assert str(caught.value).endswith(said)
    run(tmp_path / "set", ["a", "b", "c"])
    assert caplog.messages[-1].endswith("2 of 3 parts had been made by a run that was stopped")


def test_nothing_is_kept_of_a_run_that_has_done_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt) as caught:
        run(tmp_path / "set", [], error=KeyboardInterrupt())
    assert not caught.value.args
    assert names_in(tmp_path) == []


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "gone", "folder"])
def test_only_files_with_their_checksum_count(tmp_path, damage):
    kept = stop(tmp_path / "set", ["aaaa", "bbbb"])
    path = kept / "content" / "bbbb"
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "gone":
        path.write_text({"changed": "bbbc", "shorter": "bbb", "longer": "bbbbb"}[damage])
    assert run(tmp_path / "set", ["aaaa", "bbbb"]) == ["bbbb"]
    assert contents(tmp_path / "set") == {"aaaa": "aaaa", "bbbb": "bbbb"}


def test_what_no_job_has_recorded_does_not_count(tmp_path):
    """A file that was cut short by a kill, or that a job of a dead run wrote."""
    kept = stop(tmp_path / "set", ["a"])
    (kept / "content" / "b").write_text("half")
    (kept / "content" / "stray").write_text("of nobody")
    assert run(tmp_path / "set", ["a", "b"]) == ["b"]
    assert contents(tmp_path / "set") == {"a": "a", "b": "b"}


@pytest.mark.parametrize("n", [1, 5, 20])
def test_a_record_that_is_cut_short(tmp_path, n):
    kept = stop(tmp_path / "set", ["a", "b", "c"])
    lines = (kept / "done.jsonl").read_bytes()
    (kept / "done.jsonl").write_bytes(lines[:-n])
    kept = stop(tmp_path / "set", ["a", "b", "c", "d"])
    lines = (kept / "done.jsonl").read_text().splitlines()
    # The line was dropped; the job is done and noted again.
    assert [json.loads(line)["job"][0] for line in lines][:2] == ["a", "b"]
    assert run(tmp_path / "set", ["a", "b", "c", "d"]) == []


@pytest.mark.parametrize("name", ["../../../precious", "content/../../precious", "/precious"])
def test_records_of_files_elsewhere_move_none(tmp_path, name):
    """Records from a stranger whose checksums fit: the job is done again, the file stays."""
    precious = tmp_path / "precious"
    precious.write_bytes(b"a")
    kept = stop(tmp_path / "set", ["a"])
    name = str(precious) if name == "/precious" else name
    job = json.dumps(["a", None, {name: FileSum.of(b"a")}], separators=(",", ":")).encode()
    line = b'{"crc32c":%d,"job":%b}\n' % (FileSum.of(job).crc32c, job)
    (kept / "done.jsonl").write_bytes(line)
    assert run(tmp_path / "set", ["a"]) == ["a"]
    assert precious.read_bytes() == b"a"


def test_a_record_that_is_changed_does_not_count(tmp_path):
    kept = stop(tmp_path / "set", ["a", "b"])
    text = (kept / "done.jsonl").read_bytes()
    (kept / "done.jsonl").write_bytes(text.replace(b'"job":["a",', b'"job":["c",'))
    assert run(tmp_path / "set", ["a", "b"]) == ["a"]


@pytest.mark.parametrize("names", [["../../x"], ["/x"], [".."], "x", None])
def test_moves_to_elsewhere_are_refused(tmp_path, names):
    (tmp_path / "set").mkdir()
    kept = stop(tmp_path / "set", ["a"])
    assert kept.parent == tmp_path / "set"
    (kept / "moving.json").write_text(json.dumps(names))
    with pytest.raises(MtfastError, match="moving.json is damaged; expected the names"):
        run(tmp_path / "set", ["a"])


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"command": "derive"}, "by mtfast make"),
        ({"version": "0.0.1"}, "by version .*, not 0.0.1"),
        ({"options": {"n": 4, "kind": "plain"}}, "with n 3, not 4"),
        ({"options": {"n": 3}}, 'with kind "plain", not unset'),
        ({"options": {**PLAN.options, "more": [1]}}, r"with more unset, not \[1\]"),
        ({"inputs": {"a.jpg": [10, 20]}}, "from b.jpg, which has changed since"),
        ({"inputs": {"a.jpg": [10, 21], "b.jpg": [30, 40]}}, "from a.jpg, which has changed since"),
        ({"inputs": PLAN.inputs | {"c.jpg": [1, 1]}}, "from c.jpg, which has changed since"),
    ],
)
def test_another_plan_is_refused(tmp_path, changed, words):
    kept = stop(tmp_path / "set", ["a"])
    plan = Plan(**{"command": "make", "options": PLAN.options, "inputs": PLAN.inputs} | changed)
    with pytest.raises(MtfastError, match=f"is unfinished work on .*set {words}; expected"):
        run(tmp_path / "set", ["a"], plan)
    assert unfinished(tmp_path / "set") == [kept]
    assert run(tmp_path / "set", ["a"], plan, afresh=True) == ["a"]
    assert names_in(tmp_path) == ["set"]


def test_inputs_that_are_to_be_mended_may_change(tmp_path):

    def find_damage() -> None:
        with working(tmp_path / "set", PLAN, lambda: None) as work:
            work.record("a", write(work.content, "a"))
            work.expect_changes(["b.jpg"])
            raise SourceError("b.jpg is damaged; expected a JPEG; fetch it again")

    with pytest.raises(SourceError):
        find_damage()
    for name, words in (("a.jpg", "from a.jpg, which has changed"), ("c.jpg", "from c.jpg")):
        with pytest.raises(MtfastError, match=words):
            run(tmp_path / "set", ["a"], Plan("make", PLAN.options, PLAN.inputs | {name: [1, 1]}))
    mended = Plan("make", PLAN.options, PLAN.inputs | {"b.jpg": [31, 41]})
    assert run(tmp_path / "set", ["a", "b"], mended) == ["b"]


def test_options_that_an_error_advised_begin_again(tmp_path):
    def advise() -> None:
        with working(tmp_path / "set", PLAN, lambda: None) as work:
            work.record("a", write(work.content, "a"))
            work.expect_changes([], advised=("kind",))
            raise SourceError("a set of no such kind; expected a plain one; pass another kind")

    with pytest.raises(SourceError):
        advise()
    other = Plan("make", {"n": 4, "kind": "plain"}, PLAN.inputs)
    with pytest.raises(MtfastError, match="with n 3, not 4"):
        run(tmp_path / "set", ["a"], other)
    fancy = Plan("make", {"n": 3, "kind": "fancy"}, PLAN.inputs)
    assert run(tmp_path / "set", ["a", "b"], fancy) == ["a", "b"]
    assert names_in(tmp_path) == ["set"]


def test_what_was_killed_at_its_very_end(tmp_path, monkeypatch):
    """The target is whole: what is left beside it goes when the next run is refused."""
    with monkeypatch.context() as patch:
        patch.setattr(folder_state.shutil, "rmtree", lambda *_, **__: None)
        run(tmp_path / "set", ["a"])
    assert len(unfinished(tmp_path / "set")) == 1
    with pytest.raises(MtfastError, match="is not empty"):
        refuse_taken(tmp_path / "set")
    assert names_in(tmp_path) == ["set"]


def test_remains_are_left_to_a_run_that_is_at_work(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "a").touch()
    folder = tmp_path / ".set.partial-0123abcd"
    folder.mkdir()
    with locked(tmp_path / "set"):
        remove_remains(tmp_path / "set")
        assert folder.exists()
    remove_remains(tmp_path / "set")
    assert names_in(tmp_path) == ["set"]


def test_a_job_of_a_dead_run_writes_nowhere(tmp_path):
    """Its folder has another name by then, whenever it goes on."""
    kept = stop(tmp_path / "set", ["a"])
    stale = kept / "content"
    with working(tmp_path / "set", PLAN, lambda: None) as work:
        assert work.folder != kept
        with pytest.raises(FileNotFoundError):
            write(stale, "late")
        place = FolderPlace(stale, (kept / "before-0",))
        with pytest.raises(FileNotFoundError):
            place.recover({"a": FileSum(1, 1)}) or write(stale, "a")
        assert not kept.exists()
        assert not list(work.folder.rglob("late"))


def test_two_runs_at_once(tmp_path):
    def again(content, name):
        with pytest.raises(MtfastError, match="is being written by another run; expected"):
            run(tmp_path / "set", ["b"])
        return write(content, name)

    assert run(tmp_path / "set", ["a"], job=again) == ["a"]


def test_the_place_is_looked_at_again_by_the_only_run(tmp_path):
    """What another run has finished while this one waited, or a user has made."""
    seen = []
    run(tmp_path / "set", ["a"])
    with (
        pytest.raises(MtfastError, match="is not empty"),
        working(tmp_path / "set", PLAN, partial(refuse_taken, tmp_path / "set")),
    ):
        seen.append("at work")
    assert not seen
    assert contents(tmp_path / "set") == {"a": "a"}


@pytest.mark.parametrize("what", ["folder", "file", "filled"])
def test_what_appears_meanwhile_is_left_alone(tmp_path, what):
    target = tmp_path / "set"
    if what == "filled":
        target.mkdir()

    def meanwhile(content, name):
        if what == "file":
            target.write_text("precious")
        else:
            target.mkdir(exist_ok=True)
            (target / "precious").write_text("precious")
        return write(content, name)

    with pytest.raises(MtfastError, match="has appeared meanwhile and is left alone; .* kept in"):
        run(target, ["a"], job=meanwhile)
    if what == "file":
        assert target.read_text() == "precious"
        target.unlink()
    else:
        assert (target / "precious").read_text() == "precious"
        (target / "precious").unlink()
    assert run(target, ["a", "b"]) == ["b"]
    assert contents(target) == {"a": "a", "b": "b"}


def test_a_kill_while_what_is_whole_is_moved(tmp_path, monkeypatch):
    """Into an empty folder, file by file: the next run finishes that, whatever it is to do."""
    target = tmp_path / "set"
    target.mkdir()
    move = folder_state.move

    def stop_at_b(source, to):
        if source.name == "b":
            raise KeyboardInterrupt
        move(source, to)

    with monkeypatch.context() as patch:
        patch.setattr(folder_state, "move", stop_at_b)
        with pytest.raises(KeyboardInterrupt):
            run(target, ["last", "b", "a"])
    assert (target / "a").exists()
    assert not (target / "last").exists()
    assert is_moving(target)
    refuse_taken(target)
    with pytest.raises(MtfastError, match="is not empty"):
        run(target, ["x"], Plan("other", {}, {}))
    assert contents(target) == {"a": "a", "b": "b", "last": "last"}
    assert not has_work(target)


def test_a_run_that_was_killed_before_it_had_a_plan(tmp_path):
    for text in (None, "", '{"command": "make"'):
        folder = tmp_path / ".set.partial-0123abcd"
        folder.mkdir()
        if text is not None:
            (folder / "plan.json").write_text(text)
        assert run(tmp_path / "set", ["a"]) == ["a"]
        assert names_in(tmp_path) == ["set"]
        (tmp_path / "set" / "a").unlink()


def test_folders_of_others_are_left_alone(tmp_path):
    (tmp_path / ".set2.partial-0123abcd").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / ".set.partial-link").symlink_to(tmp_path / "elsewhere")
    before = names_in(tmp_path)
    run(tmp_path / "set", ["a"])
    assert names_in(tmp_path) == sorted([*before, "set"])


KILLED = """
import os, signal, sys
from functools import partial
sys.path[:0] = [sys.argv[1], os.path.dirname(sys.argv[1])]
from pathlib import Path
import test_folder as tests
def job(content, name):
    if name == "c":
        os.kill(os.getpid(), signal.SIGKILL)
    return tests.write(content, name)
tests.run(Path(sys.argv[2]), ["a", "b", "c"], job=job)
"""


def test_a_killed_process(tmp_path):
    line = [sys.executable, "-c", KILLED, Path(__file__).parent, tmp_path / "set"]
    assert subprocess.run(line, check=False).returncode == -9
    # Short jobs share a task, whose results come together.
    assert run(tmp_path / "set", ["a", "b", "c"]) == ["b", "c"]
    assert names_in(tmp_path) == ["set"]


def test_checksums_of_files(tmp_path, rng):
    for n in (0, 1, 1 << 20, (1 << 20) + 1):
        data = rng.bytes(n)
        (tmp_path / "file").write_bytes(data)
        expected = FileSum(n, google_crc32c.value(data))
        assert sum_of_file(tmp_path / "file") == FileSum.of(data) == expected
