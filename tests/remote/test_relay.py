"""Requests of forked processes, through their helpers."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import threading

import pytest

from faulty_server import faulty_server
from mtfast.addresses import Address
from mtfast.errors import RemoteError
from mtfast.remote import objects_at, relay

pytest.importorskip("obstore")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")

TEXT = bytes(range(256)) * 64


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.setenv("MTFAST_RETRIES", "1")
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(TEXT)
    with faulty_server(tmp_path) as server:
        yield server


@pytest.fixture
def objects(served):
    opened = objects_at(Address.parse(served.url))
    # From now on a child that used obstore itself would wait for ever.
    assert opened.read("a") == TEXT
    return opened


def in_child(function):
    """Call a function in a forked process; return its result, or the error's words."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(30)
        try:
            answer = pickle.dumps(function())
        except BaseException as error:
            answer = pickle.dumps(f"{type(error).__name__}: {error}")
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(answer)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    return pickle.loads(answer)


def test_a_child_reads_what_its_parent_reads(objects):
    def read():
        part, stat = objects.read_part("b", None, 10)
        return relay.forked(), objects.read("a"), part, stat == objects.stat("b")

    assert in_child(read) == (True, TEXT, TEXT[-10:], True)
    assert not relay.forked()


def test_a_child_of_a_child_has_a_helper_of_its_own(objects):
    def read():
        first = objects.read_range("a", 3, 4)
        return first, in_child(lambda: (os.getppid(), objects.read_range("a", 5, 4))), os.getpid()

    first, (parent, second), child = in_child(read)
    assert (first, second) == (TEXT[3:7], TEXT[5:9])
    assert parent == child


def test_threads_share_the_helper_of_a_child(objects, served):
    served.latency = 0.02

    def read():
        found = [b""] * 8
        threads = [
            threading.Thread(target=lambda k=k: found.__setitem__(k, objects.read("a")))
            for k in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return [text == TEXT for text in found], relay._helper.process.pid

    found, _ = in_child(read)
    assert found == [True] * 8
    assert served.most >= 4, "side by side"


def test_a_fork_during_requests_does_not_matter(objects, served):
    stopped = threading.Event()

    def read_on():
        while not stopped.is_set():
            assert objects.read("a") == TEXT

    thread = threading.Thread(target=read_on)
    thread.start()
    try:
        assert all(in_child(lambda: objects.read("b")) == TEXT for _ in range(3))
    finally:
        stopped.set()
        thread.join()


def test_errors_come_back_as_they_are(objects, served):
    assert in_child(lambda: objects.read("none")) == f"FileNotFoundError: {served.url}/none"
    served.fault = lambda number, path: "403"
    assert in_child(lambda: objects.read("a")).startswith(
        f"RefusedError: {served.url}/a is refused"
    )


def test_errors_that_cannot_be_made_again_are_answered_too():
    class OddError(Exception):
        def __init__(self, *, where):
            super().__init__(f"no profile\n{where}")

    assert str(relay._portable(OddError(where="here"))).startswith(
        "a request has failed (OddError: no profile here); expected"
    )


def test_a_child_writes_what_is_in_a_file(bucket, tmp_path):
    objects = objects_at(Address.parse(f"{bucket}/sets"))
    (tmp_path / "long").write_bytes(TEXT)

    def write():
        with (tmp_path / "long").open("rb") as file:
            return objects.write("a", file).n_bytes

    objects.write("b", b"")
    assert in_child(write) == len(TEXT)
    assert objects.read("a") == TEXT


def test_a_helper_that_is_killed_is_told_and_replaced(objects, served):
    def kill(number, path):
        if path == "b":
            os.kill(int((served.folder / "pid").read_text()), signal.SIGKILL)
            return "hang"
        return None

    def read():
        objects.read("a")
        (served.folder / "pid").write_text(str(relay._helper.process.pid))
        try:
            objects.read("b")
        except RemoteError as error:
            return str(error), objects.read("a") == TEXT

    served.fault = kill

    words, is_read = in_child(read)
    assert "the helper process that makes requests for this forked one has ended" in words
    assert is_read


def test_a_helper_ends_with_its_process(objects):
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    started = subprocess.Popen

    def start(*arguments, pass_fds, **options):
        return started(*arguments, pass_fds=[*pass_fds, writing], **options)

    def read():
        subprocess.Popen = start
        objects.read("a")
        return relay._helper.process.pid

    assert in_child(read)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == b"", "it ends when the helper does, which holds the other end"


def test_a_process_that_ends_as_usual_leaves_no_warning(served):
    code = f"""
import os
from mtfast.addresses import Address
from mtfast.remote import objects_at
objects = objects_at(Address.parse({served.url!r}))
objects.read("a")
if not os.fork():
    assert len(objects.read("b")) == {len(TEXT)}
else:
    assert os.wait()[1] == 0
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
