"""Work in object storage that goes on where it was stopped, by the run that began last."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mtfast.addresses import Address
from mtfast.errors import MtfastError, RemoteError, StoreError
from mtfast.remote import objects_at, settings
from mtfast.work import bucket, bucket_place, bucket_state
from mtfast.work.bucket import working_at
from mtfast.work.bucket_place import BucketPlace
from mtfast.work.records import FileSum, Made, Plan

PLAN = Plan("make", {"n": 3, "kind": "plain"}, {"a.jpg": [10, 20], "b.jpg": [30, 40]})
OTHER = Plan("make", {"n": 4, "kind": "plain"}, {})
LAST = "root"


@pytest.fixture
def target(watched, bucket) -> Address:
    return Address.parse(f"{bucket}/sets/x")


def contents(target: Address) -> dict[str, str]:
    """Return all objects below an address."""
    objects = objects_at(target)
    return {key: objects.read(key).decode() for key, _ in objects.walk()}


def whole(names: Sequence[str]) -> dict[str, str]:
    """Return what a run leaves that has done these jobs."""
    return {name: f"bytes of {name}" for name in (*names, "column", LAST)}


def run(
    target,
    names,
    plan=PLAN,
    before=lambda place, name: None,
    after=lambda: None,
    error=None,
    afresh=False,
):
    """Do a job for each name; return those that were not done before."""
    done: list[str] = []

    def write(job):
        place, name = job
        before(place, name)
        done.append(name)
        return Made(len(name), {name: place.write(name, [b"bytes of ", name.encode()])})

    with working_at(target, plan, lambda: None, last=LAST, afresh=afresh) as work:
        jobs = [(work.place, name) for name in names]
        with work.run_jobs(write, jobs, names, "write", scheduler="sync") as results:
            for number, result in results:
                assert result == len(names[number])
        after()
        if error is not None:
            raise error
        for name in ("column", LAST):
            (work.content / name).write_text(f"bytes of {name}")
    return done


def stop(target, names, error=None, **options) -> str:
    """Do jobs, then fail; return what is said."""
    error = error or KeyboardInterrupt()
    with pytest.raises(type(error)) as caught:
        run(target, names, error=error, **options)
    assert LAST not in contents(target)
    return str(caught.value)


def test_each_object_is_written_once_and_one_last(target, watched):
    assert run(target, ["a", "b"]) == ["a", "b"]
    assert contents(target) == whole(["a", "b"])
    put = [key.rpartition("/")[2] for key in watched.keys("PUT")]
    assert put == ["a", "b", "column", LAST]


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), StoreError("no more")])
def test_what_is_done_is_not_done_again(target, watched, error, caplog):
    said = stop(target, ["a", "b"], error)
    if not isinstance(error, SystemExit):
        assert said.endswith(f"is kept below {target}/.mtfast; run the same again to go on")
    stop(target, ["a", "b", "c"])
    watched.requests.clear()
    assert run(target, ["a", "b", "c", "d"]) == ["d"]
    assert [key.rpartition("/")[2] for key in watched.keys("PUT")] == ["d", "column", LAST]
    assert contents(target) == whole(["a", "b", "c", "d"])
    assert caplog.messages[-1].endswith("3 of 4 parts had been made by a run that was stopped")


def test_nothing_is_kept_of_a_run_that_has_done_nothing(target):
    assert not stop(target, [])
    assert not contents(target)


def test_what_a_job_wrote_is_kept_where_its_result_was_not_taken(target):
    def write(job):
        place, name = job
        place.write(name, [b"bytes of ", name.encode()])
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt) as caught,
        working_at(target, PLAN, lambda: None, last=LAST) as work,
        work.run_jobs(write, [(work.place, "a")], ["a"], "write", scheduler="sync") as results,
    ):
        next(results)
    assert "is kept below" in str(caught.value)
    assert run(target, ["a", "b"]) == ["a", "b"]
    assert contents(target) == whole(["a", "b"])


@pytest.mark.parametrize("damage", ["other bytes", "same bytes", "gone", "record"])
def test_only_what_is_as_it_was_written_is_taken_over(target, damage):
    stop(target, ["a", "b"])
    objects = objects_at(target)
    if damage == "gone":
        objects.delete(["b"])
    elif damage == "record":
        (record,) = [key for key in contents(target) if key.endswith("done/b")]
        objects.write(record, objects.read(record).replace(b'"b"', b'"a"'))
    else:
        objects.write("b", b"bytes of b" if damage == "same bytes" else b"bytes of c")
    # Stamps are digests here: the same bytes written by another are the same object.
    assert run(target, ["a", "b"]) == ([] if damage == "same bytes" else ["b"])
    assert contents(target) == whole(["a", "b"])


def test_what_is_changed_before_the_end_is_no_whole(target):
    def meddle(place, name):
        if name == "b":
            place.objects.write("a", b"bytes of c")

    with pytest.raises(StoreError, match=r"x/a is not as it was written; expected nobody else .*"):
        run(target, ["a", "b"], before=meddle)
    assert LAST not in contents(target)
    assert run(target, ["a", "b"]) == ["a"]
    assert contents(target) == whole(["a", "b"])


def test_bytes_count_where_stamps_tell_nothing(target, monkeypatch):
    """Some storage has another stamp in its answer than in its listing."""
    write = BucketPlace.write
    monkeypatch.setattr(BucketPlace, "write", lambda *args: write(*args)._replace(stamp="another"))
    assert run(target, ["a"]) == ["a"]
    assert contents(target) == whole(["a"])


def test_another_plan_is_refused_by_name(target):
    stop(target, ["a"])
    words = f"{target}/.mtfast is unfinished work on {target} with n 3, not 4; expected the same"
    with pytest.raises(StoreError, match=words):
        run(target, ["a"], plan=OTHER)
    assert run(target, ["a"], plan=OTHER, afresh=True) == ["a"]
    assert contents(target) == whole(["a"])


def test_inputs_that_are_mended_are_taken(target):
    def fail():
        with working_at(target, PLAN, lambda: None, last=LAST) as work:
            work.record("x", Made(0, {}))
            work.expect_changes(["b.jpg"])
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    changed = Plan("make", PLAN.options, {"a.jpg": [10, 20], "b.jpg": [31, 40]})
    assert run(target, ["a"], plan=changed) == ["a"]


@pytest.mark.parametrize("n", [0, 1])
def test_what_is_replaced_is_removed_first(target, watched, n):
    """It stops to be a whole before anything else of it changes."""
    run(target, ["a", "old"])
    watched.requests.clear()
    stop(target, ["a", "b"][:n], plan=OTHER, afresh=True)
    changes = [a for a in watched.requests if a.method in ("PUT", "DELETE")]
    first = next(a for a in changes if ".mtfast" not in f"{a.key}{a.deleted}")
    assert [key.rpartition("/")[2] for key in first.deleted] == [LAST]
    assert run(target, ["a", "b"], plan=OTHER) == ["a", "b"][n:]
    assert contents(target) == whole(["a", "b"])


def test_a_run_that_was_stopped_while_it_removed_the_old_one(target, monkeypatch):
    run(target, ["a", "old"])
    with monkeypatch.context() as patch:
        patch.setattr(bucket_state, "remove", raising(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(target, ["a"], afresh=True)
    assert "old" in contents(target)
    assert run(target, ["a"]) == ["a"]
    assert contents(target) == whole(["a"])


def raising(error):
    def fail(*_, **__):
        raise error

    return fail


def test_a_whole_that_was_not_tidied_up(target, monkeypatch, caplog):
    with monkeypatch.context() as patch:
        patch.setattr(bucket, "remove", raising(RemoteError("gone")))
        run(target, ["a"])
    assert f"{target} is whole; what is left in .mtfast: gone" in caplog.text
    assert contents(target).keys() > whole(["a"]).keys()
    bucket_state.remove_remains(objects_at(target))
    assert contents(target) == whole(["a"])


def test_the_end_of_an_older_run_removes_no_claim(target, monkeypatch):
    """Of a run that has begun to replace what is whole."""
    run(target, ["a"])
    with monkeypatch.context() as patch:
        patch.setattr(bucket, "clear", raising(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            run(target, ["a"], afresh=True)
    bucket_state.remove_remains(objects_at(target))
    assert ".mtfast/run.json" in contents(target)


def test_the_end_of_a_run_removes_no_claim(target, monkeypatch):
    """Of one that has begun to replace what this one has just completed."""
    put = bucket.BucketWork.put

    def put_and_lose(work, last):
        put(work, last)
        objects = work.place.objects
        _, stamp = bucket_state.read_run(objects)
        bucket_state.claim(target, objects, bucket_state.Run("x", "x", clearing=True), stamp)

    monkeypatch.setattr(bucket.BucketWork, "put", put_and_lose)
    run(target, ["a"])
    assert ".mtfast/run.json" in contents(target)


# --- several runs


def test_of_two_runs_that_begin_at_once_one_is_refused(target, monkeypatch):
    claim = bucket.claim

    def late(address, objects, run, stamp):
        # Another has looked before, and says first that it is at work.
        monkeypatch.setattr(bucket, "claim", claim)
        claim(address, objects, bucket_state.Run("other", f"other than {run.run}"), stamp)
        return claim(address, objects, run, stamp)

    for _ in range(2):
        # When there was nothing, and when there was work.
        monkeypatch.setattr(bucket, "claim", late)
        with pytest.raises(StoreError, match="by another run, which has begun since; expected"):
            run(target, ["a"])
    assert "a" not in contents(target)


@pytest.mark.parametrize("options", [{}, {"plan": OTHER, "afresh": True}])
def test_the_run_that_began_last_goes_on(target, options):
    """The other one stops, and writes nothing after that."""
    there = {}

    def before(place, name):
        if name == "b":
            run(target, ["a", "b"], **options)
            there.update(contents(target))

    with pytest.raises(StoreError, match="by another run, which has begun since") as caught:
        run(target, ["a", "b"], before=before)
    assert str(caught.value).endswith("choose another address")
    assert contents(target) == there == whole(["a", "b"])


def test_a_run_that_has_done_nothing_leaves_the_work_of_the_next_alone(target):
    """With the same plan, so that the work has the same name."""

    def before(place, name):
        stop(target, ["b"])

    with pytest.raises(StoreError, match="by another run"):
        run(target, ["a"], before=before)
    assert "a" not in contents(target)
    assert run(target, ["b"]) == []
    assert contents(target) == whole(["b"])


@pytest.mark.parametrize("when", ["before the end", "in the end"])
def test_a_run_that_is_late_completes_nothing(target, monkeypatch, when):
    """Another has begun when all its jobs were done."""

    expect_whole = bucket.BucketWork._expect_whole

    def begin(*_):
        monkeypatch.setattr(bucket.BucketWork, "_expect_whole", expect_whole)
        stop(target, ["b"], plan=OTHER, afresh=True)

    options = {"after": begin}
    if when == "in the end":
        monkeypatch.setattr(bucket.BucketWork, "_expect_whole", begin)
        options = {}
    with pytest.raises(StoreError, match="by another run"):
        run(target, ["a"], **options)
    assert {key for key in contents(target) if ".mtfast" not in key} == {"b"}


def test_a_job_that_is_overtaken_after_it_has_asked(target, monkeypatch):
    """What it has looked at is another object by then."""
    places = []
    stop(target, ["a"], before=lambda place, name: places.append(place))
    objects_at(target).write("a", b"older")
    ask, late = BucketPlace.expect_turn, FileSum.of(b"late")

    def asked_just_before(place):
        monkeypatch.setattr(BucketPlace, "expect_turn", ask)
        ask(place)
        run(target, ["a", "b"], plan=OTHER, afresh=True)

    monkeypatch.setattr(BucketPlace, "expect_turn", asked_just_before)
    with pytest.raises(StoreError, match="by another run"):
        places[0].put("a", b"late", late)
    assert contents(target) == whole(["a", "b"])


def test_a_job_of_a_dead_run_replaces_nothing(target):
    """Not even where it has asked for its turn before the other run began."""
    places = []
    stop(target, ["a"], before=lambda place, name: places.append(place))
    (dead,) = places
    late = FileSum.of(b"late")

    def before(place, name):
        if name == "b":
            with pytest.raises(StoreError, match="by another run"):
                dead.put("a", b"late", late)

    run(target, ["a", "b"], plan=OTHER, before=before, afresh=True)
    with pytest.raises(StoreError, match="by another run"):
        dead.put("a", b"late", late)
    with pytest.raises(StoreError, match="by another run"):
        dead.write("c", [b"late"])
    assert contents(target) == whole(["a", "b"])


def test_what_a_dead_run_wrote_late_is_replaced(target, caplog):
    """It had asked before this run began, and wrote before this run did."""

    def before(place, name):
        place.objects.write(name, b"late")
        place.objects.write("stray", b"late")

    assert run(target, ["a"], before=before) == ["a"]
    assert contents(target) == whole(["a"]) | {"stray": "late"}
    assert "1 object is not of this store, such as stray, and is left alone" in caplog.text


def test_the_same_bytes_are_not_replaced(target, watched):
    """A dead run with the same plan writes what this one would."""
    run(target, ["a"], before=lambda place, name: place.objects.write(name, b"bytes of a"))
    replaced = [a for a in watched.requests if a.method == "PUT" and a.key.endswith("x/a")]
    # Once by the other; and once tried, on condition that it is new.
    assert len(replaced) == 2


# --- faults


def test_errors_that_pass_are_not_seen(target, watched):
    """Each object fails at first, in one of three ways."""
    failed: dict[str, str] = {}

    def fault(asked):
        if asked.method != "PUT" or asked.key in failed:
            return None
        failed[asked.key] = ("500", "lost", "cut")[len(failed) % 3]
        return failed[asked.key]

    watched.fault = fault
    assert run(target, ["a", "b"]) == ["a", "b"]
    assert len(failed) == 8
    assert contents(target) == whole(["a", "b"])


@pytest.mark.parametrize("fault", ["500", "cut", "403"])
def test_errors_that_stay_are_one_line(target, watched, fault, monkeypatch):
    monkeypatch.setattr("mtfast.remote.settings.RETRIES", 1)
    watched.fault = lambda asked: fault if asked.key.endswith("x/b") else None
    with pytest.raises(MtfastError) as caught:
        run(target, ["a", "b"])
    said = str(caught.value)
    assert len(said.splitlines()) == 1
    assert f"{target}/b " in said
    assert ("is refused" if fault == "403" else "cannot be reached") in said
    assert said.endswith("run the same again to go on")
    watched.fault = lambda asked: None
    assert run(target, ["a", "b"]) == ["b"]
    assert contents(target) == whole(["a", "b"])


def test_long_objects_are_sent_in_parts(target, monkeypatch):
    monkeypatch.setattr(bucket_place, "_IN_MEMORY", 8)
    assert run(target, ["a"]) == ["a"]
    assert contents(target) == whole(["a"])
    # S3 makes a stamp of parts with their number.
    assert objects_at(target).stat("a").stamp.endswith("-1")


def test_storage_may_take_long_to_take_an_object(target, watched, monkeypatch):
    """While a shard is sent over a slow line, no byte comes for minutes."""
    # 1 s of 30, in which an answer has to begin that has been asked for.
    monkeypatch.setattr("mtfast.remote.settings.SILENCE", settings.SILENCE / 30)
    monkeypatch.setattr("mtfast.remote.settings.RETRIES", 1)
    watched.fault = lambda asked: "slow" if asked.key.endswith("x/a") else None
    assert run(target, ["a"]) == ["a"]
