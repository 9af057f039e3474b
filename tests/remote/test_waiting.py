"""A server that takes connections and does not answer: it is named before the request fails."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import suppress

import pytest

from faulty_server import faulty_server
from mtfast.addresses import Address
from mtfast.cli import main
from mtfast.errors import RemoteError
from mtfast.fetching.web import Web
from mtfast.remote import objects_at, waiting
from mtfast.remote.pages import read_page

pytest.importorskip("obstore")

TEXT = b"0123456789"


class Noticed(logging.Handler):
    """Lets a server answer once a line names it."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.some = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        self.some.set()


@pytest.fixture
def served(tmp_path, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "a").write_bytes(TEXT)
    (tmp_path / "folder").write_bytes(b"no page")
    with faulty_server(tmp_path) as server:
        yield server


@pytest.fixture
def noticed(served, monkeypatch):
    """What is logged; the server answers after the first line, or after 20 s without one."""
    monkeypatch.setattr(waiting, "QUIET_SECONDS", 0.2)
    monkeypatch.setattr(waiting, "_watch", waiting._Watch())
    found = Noticed()

    def wait(number: int, path: str) -> None:
        found.some.wait(20)

    served.fault = wait
    logging.getLogger("mtfast").addHandler(found)
    yield found
    logging.getLogger("mtfast").removeHandler(found)


def ask_web(url):
    with Web() as web, web.get(f"{url}/a") as answer:
        return b"".join(web.chunks(f"{url}/a", answer))


REQUESTS = {
    "stat": lambda url: objects_at(Address.parse(url)).stat("a").n_bytes == len(TEXT),
    "read": lambda url: objects_at(Address.parse(url)).read("a") == TEXT,
    "read_range": lambda url: objects_at(Address.parse(url)).read_range("a", 2, 3) == b"234",
    "read_ranges": lambda url: objects_at(Address.parse(url)).read_ranges("a", [2], [1]) == [b"2"],
    "read_part": lambda url: objects_at(Address.parse(url)).read_part("a", 2, 3)[0] == b"234",
    "fetch": lambda url: ask_web(url) == TEXT,
    "page": lambda url: read_page(Address.parse(f"{url}/folder")) is None,
}


@pytest.mark.parametrize("name", REQUESTS)
def test_a_server_that_does_not_answer_is_named_while_it_is_waited_for(served, noticed, name):
    assert REQUESTS[name](served.url)
    (line,) = noticed.lines
    server = served.url.partition("://")[2]
    assert line.startswith("no complete answer from ")
    assert f"{server} for " in line
    assert line.endswith(" s; still waiting, and trying again")


def test_many_requests_to_a_server_are_one_line(served, noticed):
    objects = objects_at(Address.parse(served.url))
    threads = [threading.Thread(target=objects.read, args=("a",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(noticed.lines) == 1


def test_an_answer_in_time_is_no_line(served, noticed):
    noticed.some.set()
    objects = objects_at(Address.parse(served.url))
    assert [objects.read("a") for _ in range(20)] == [TEXT] * 20
    assert noticed.lines == []


def test_the_thread_ends_with_the_requests(served, noticed):
    objects_at(Address.parse(served.url)).read("a")
    thread = waiting._watch._thread
    if thread is not None:
        thread.join(20)
        assert not thread.is_alive()
    assert waiting._watch._thread is None


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), KeyboardInterrupt()])
def test_a_thread_that_does_not_start_is_started_for_the_next_request(noticed, monkeypatch, error):
    def fail(thread):
        raise error

    made = []
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", fail)
        with suppress(KeyboardInterrupt), waiting.waiting_for("storage.example.org"):
            made.append(True)
    assert made == [True] * isinstance(error, RuntimeError)
    with waiting.waiting_for("other.example.org"):
        assert noticed.some.wait(20)
    (line,) = noticed.lines
    assert "other.example.org" in line


def test_a_request_of_a_finalizer_while_its_thread_holds_the_lock(noticed):
    def collect():
        with waiting._watch._lock, waiting.waiting_for("storage.example.org"):
            pass

    thread = threading.Thread(target=collect, daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_says_it_by_its_own_log(served, noticed):
    objects = objects_at(Address.parse(served.url))
    asked = []

    def hang_from_now_on(number: int, path: str) -> None:
        asked.append(path)
        if len(asked) > 1:
            noticed.some.wait(20)

    served.fault = hang_from_now_on
    objects.read("a")
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        signal.alarm(60)
        noticed.emit = lambda record: os.write(writing, record.getMessage().encode())
        objects.read("a")
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as pipe:
        line = pipe.read(1000)
        noticed.some.set()
    assert os.waitpid(pid, 0)[1] == 0
    assert line.startswith(b"no complete answer from http://127.0.0.1:")


def test_the_command_line_shows_it_and_fails_in_one_line(served, noticed, monkeypatch, capsys):
    monkeypatch.setenv("MTFAST_TIMEOUT", "1")
    monkeypatch.setenv("MTFAST_RETRIES", "1")
    served.fault = lambda number, path: "hang"
    with pytest.raises(SystemExit):
        main(["--verbose", "info", f"{served.url}/set.zip"])
    notice, error = capsys.readouterr().err.splitlines()
    assert notice.startswith(f"mtfast: no complete answer from {served.url} for ")
    assert error.startswith(f"mtfast: error: {served.url}/set.zip cannot be reached (")


@pytest.mark.parametrize("name", ["stat", "read", "read_range", "read_ranges", "read_part"])
def test_ctrl_c_ends_the_wait(served, monkeypatch, name):
    """The request itself goes on for a minute, in compiled code."""
    asked, interrupted, answered = (threading.Event() for _ in range(3))

    def hang(number: int, path: str) -> None:
        asked.set()
        interrupted.wait(20)
        answered.set()

    def interrupt() -> None:
        if asked.wait(20):
            os.kill(os.getpid(), signal.SIGINT)

    served.fault = hang
    arguments = {"read_range": ("a", 0, 2), "read_ranges": ("a", [0], [2])}
    objects = objects_at(Address.parse(served.url))
    # A shell that starts tests in the background lets them ignore it.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            getattr(objects, name)(*arguments.get(name, ("a",)))
        assert not answered.is_set()
    finally:
        signal.signal(signal.SIGINT, before)
        interrupted.set()
        thread.join(20)


def test_the_error_is_the_one_of_the_request(served, noticed, monkeypatch):
    monkeypatch.setenv("MTFAST_TIMEOUT", "1")
    monkeypatch.setenv("MTFAST_RETRIES", "0")
    served.fault = lambda number, path: "hang"
    with pytest.raises(RemoteError, match=r"^http://127.0.0.1:\d+/a cannot be reached \("):
        objects_at(Address.parse(served.url)).read("a")
    assert noticed.lines
