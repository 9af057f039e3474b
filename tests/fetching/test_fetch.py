"""Sets come whole from a server on loopback, whatever goes wrong on the way."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

import mtfast
from folders import names_in
from mtfast.errors import MtfastError, RemoteError, StoreError
from mtfast.fetching import download, partial, web
from mtfast.version import installed_version

MB = 1 << 20
NAME = "Real_WS2.zip"


def kept(folder):
    return folder / f".{NAME}.partial-download"


def n_asked(record) -> int:
    return sum(stop - start for start, stop in record.ranges)


def test_a_set_arrives(record, zips, tmp_path):
    told: list[str] = []
    reports: list[tuple[str, int, int]] = []
    made = mtfast.fetch(
        "Real_WS2",
        tmp_path / "new" / "sets",
        progress=lambda *report: reports.append(report),
        tell=told.append,
    )
    assert made == [tmp_path / "new" / "sets" / NAME]
    assert made[0].read_bytes() == zips[NAME]
    assert names_in(made[0].parent) == [NAME]
    assert told == [f"{made[0]}: 5.2 MB; its md5 is that of the record"]
    assert reports[0] == (f"downloading {NAME} (MB)", 0, 6)
    assert (f"downloading {NAME} (MB)", 6, 6) in reports
    n_bytes = len(zips[NAME])
    assert sorted(record.ranges) == [(at, min(at + MB, n_bytes)) for at in range(0, n_bytes, MB)]
    assert {seen.agent for seen in record.seen} == {f"mtfast/{installed_version()}"}


def test_connections_are_bounded(record, tmp_path, monkeypatch):
    """One byte of each body is held back until as many are open as there may be."""
    n_open, most = 0, 0
    lock, full = threading.Lock(), threading.Barrier(3)
    receive = download._receive

    def counted(*arguments):
        nonlocal n_open, most
        with lock:
            n_open += 1
            most = max(most, n_open)
        full.wait(30)
        yield from receive(*arguments)
        with lock:
            n_open -= 1

    monkeypatch.setattr(download, "_receive", counted)
    mtfast.fetch("Real_WS2", tmp_path, connections=3)
    assert most == 3
    with pytest.raises(MtfastError, match=r"^connections is 9; expected an integer from 1 to 8"):
        mtfast.fetch("Real_WS2", tmp_path, connections=9)


def test_sets_come_one_after_another_with_one_look_at_the_record(record, zips, tmp_path):
    made = mtfast.fetch(["Real_WS2", "Real_WSe2", "Real_WS2"], tmp_path)
    assert [path.name for path in made] == [NAME, "Real_WSe2.zip"]
    assert [path.read_bytes() for path in made] == list(zips.values())


def test_what_is_there_is_compared_and_not_downloaded(record, zips, tmp_path):
    (tmp_path / NAME).write_bytes(zips[NAME])
    told: list[str] = []
    mtfast.fetch("Real_WS2", tmp_path, tell=told.append)
    assert told == [f"{tmp_path / NAME} is there already; its md5 is that of the record"]
    assert record.paths == []
    for other in (zips[NAME][:-1], b"x" + zips[NAME][1:]):
        (tmp_path / NAME).write_bytes(other)
        with pytest.raises(MtfastError, match=r"is there, .*; expected .* as the record states"):
            mtfast.fetch("Real_WS2", tmp_path)
        assert (tmp_path / NAME).read_bytes() == other


def test_connections_that_are_cut_go_on_where_they_were(record, zips, tmp_path):
    record.cuts = [100_000, 1, 300_000, 500_000, 700_000]
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    assert n_asked(record) > len(zips[NAME])
    assert record.n_sent == 1 + len(zips[NAME])  # the first byte tells whether ranges are sent


def times(n, path, status, headers=None):
    """Refuse requests for a path n times."""
    left = [(status, headers or {})] * n
    return lambda asked, _: left.pop() if left and asked.endswith(path) else None


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
@pytest.mark.parametrize("path", ["15765514", "/content"])
def test_failures_that_pass(record, zips, tmp_path, status, path):
    record.refuse = times(2, path, status)
    mtfast.fetch("Real_WSe2", tmp_path)
    assert (tmp_path / "Real_WSe2.zip").read_bytes() == zips["Real_WSe2.zip"]
    assert sum(seen.status == status for seen in record.seen) == 2


def test_failures_midway_are_counted_from_the_last_byte_on(record, zips, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "SHORTEST", 8 * MB)
    monkeypatch.setattr(download, "LONGEST", 8 * MB)
    record.cuts = [300_000] * (web.MOST_FAILURES + 3)
    mtfast.fetch("Real_WS2", tmp_path, connections=1)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    assert len(record.ranges) == web.MOST_FAILURES + 4


def test_a_server_that_asks_for_time_gets_it(record, zips, tmp_path, monkeypatch, caplog):
    rests: list[float] = []
    monkeypatch.setattr(
        web.Web, "_rest", lambda client: rests.append(client._not_before - time.monotonic())
    )
    record.refuse = times(1, "/content", 429, {"Retry-After": "200"})
    mtfast.fetch("Real_WS2", tmp_path, connections=1)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    (said,) = caplog.messages
    assert said.endswith("answers 429 Too Many Requests; trying again in 200 s")
    # Of the record and of the first byte; from then on all requests wait.
    assert [seconds > 100 for seconds in rests] == [False] * 2 + [True] * 7


def test_a_server_that_asks_for_hours_is_left_alone(record, tmp_path):
    record.refuse = times(9, "/content", 429, {"Retry-After": "7200"})
    with pytest.raises(RemoteError, match=r"429 Too Many Requests; .* wait 7,200 s and try again"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert len(record.paths) == 1


def test_failures_that_last_end_after_a_few_tries(record, zips, tmp_path):
    record.refuse = times(99, "/content", 503)
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:\d+ answers 503 Service Unavailable"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert len(record.paths) == web.MOST_FAILURES_AT_FIRST
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (404, r"has no http://.*\(404 Not Found\); expected the file; look at the record"),
        (403, r"refuses http://.*\(403 Forbidden\); expected a public file; it may block"),
        (418, r"answers 418 .*; expected the file; try again later"),
    ],
)
def test_refusals_are_told_at_once(record, tmp_path, status, said):
    record.refuse = times(1, "/content", status)
    with pytest.raises(RemoteError, match=said):
        mtfast.fetch("Real_WS2", tmp_path)
    assert len(record.paths) == 1


def test_a_failure_midway_keeps_what_has_arrived(record, zips, tmp_path):
    folder = kept(tmp_path)
    said = stop_midway(record, tmp_path)
    assert said.endswith(f"2.1 of 5.2 MB are kept in {folder}; run the same again to go on")
    n_kept = n_noted(tmp_path)
    assert n_kept == 2 * MB
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    assert n_asked(record) == len(zips[NAME]) - n_kept
    assert names_in(tmp_path) == [NAME]


def test_a_file_of_another_size_than_the_record_states(record, zips, tmp_path):
    size = len(zips[NAME])
    record.answer = record.record().replace(str(size).encode(), str(size + 1).encode())
    with pytest.raises(RemoteError) as failed:
        mtfast.fetch("Real_WS2", tmp_path)
    assert str(failed.value) == (
        f"{NAME} has {size:,} bytes at the server; expected {size + 1:,}, as the record states; "
        f"try again later"
    )
    assert names_in(tmp_path) == []


def stop_midway(record, folder) -> str:
    """Fetch until the third stretch is refused; return what was said."""
    record.refuse = lambda path, n: (403, {}) if n == 4 else None
    with pytest.raises(RemoteError) as failed:
        mtfast.fetch("Real_WS2", folder, connections=1)
    record.seen.clear()
    record.refuse = lambda path, n: None
    return str(failed.value)


def test_a_server_without_ranges_begins_again_and_says_so(record, zips, tmp_path, caplog):
    record.has_ranges = False
    record.cuts = [2 * MB, 3 * MB]
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    (said,) = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert said.startswith(f"{NAME} is sent whole only, not in parts: over one connection")
    record.cuts = [2 * MB] * 9
    (tmp_path / NAME).unlink()
    with pytest.raises(RemoteError, match="broke off"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert names_in(tmp_path) == []


def test_a_wrong_checksum_is_one_line_and_removes_what_arrived(record, zips, tmp_path):
    right = record.checksums[NAME]
    record.checksums[NAME] = "0" * 32
    with pytest.raises(RemoteError) as failed:
        mtfast.fetch("Real_WS2", tmp_path)
    assert str(failed.value) == (
        f"{NAME} has arrived with the md5 {right}; expected {'0' * 32}, as the record states; "
        f"it was removed: run the same again"
    )
    assert right == hashlib.md5(zips[NAME]).hexdigest()
    assert names_in(tmp_path) == []


def test_a_file_that_was_replaced_between_runs_begins_again(record, zips, tmp_path, caplog):
    stop_midway(record, tmp_path)
    data = zips[NAME]
    other = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    record.files[NAME] = other
    record.checksums[NAME] = hashlib.md5(other).hexdigest()
    record.etags[NAME] = '"other"'
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == other
    assert n_asked(record) == len(other)
    assert "has changed at the server" in caplog.text


def test_a_file_that_is_replaced_meanwhile_is_not_mixed(record, zips, tmp_path):
    stop_midway(record, tmp_path)
    n = 0

    class Etags(dict):
        def __getitem__(self, name):
            nonlocal n
            n += 1
            return super().__getitem__(name) if n == 1 else '"other"'

    record.etags = Etags(record.etags)
    with pytest.raises(RemoteError, match=r"was replaced while it was downloaded; .* was removed"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("bytes {start}-{start}/{n}", "sends more than its"),
        ("bytes 5-{last}/{n}", r"is sent as bytes 5-.*; expected bytes 0-1048575; try"),
        ("bytes {start}-{n}/{n}", r"is sent as bytes 0-.*; expected bytes 0-1048575; try"),
        ("bytes {start}-{last}/99", "was replaced while it was downloaded"),
        ("none", r"is sent whole \(206\), where a range was asked for; expected the range"),
    ],
)
def test_ranges_that_are_not_those_asked_for(record, tmp_path, stated, said):
    def state(start, stop, n_bytes):
        form = "bytes {start}-{last}/{n}" if stop == 1 else stated
        return form.format(start=start, last=stop - 1, n=n_bytes)

    record.state_range = state
    with pytest.raises(RemoteError, match=said):
        mtfast.fetch("Real_WS2", tmp_path, connections=1)
    assert names_in(tmp_path) == []


def test_a_range_that_is_shorter_than_asked_for(record, zips, tmp_path):
    """A server may send less, and says so."""
    record.longest = 700_000
    mtfast.fetch("Real_WS2", tmp_path, connections=2)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    assert max(stop - start for start, stop in record.ranges) == 700_000


def test_a_server_that_stops_sending_ranges(record, tmp_path):
    record.refuse = lambda path, n: setattr(record, "has_ranges", n < 4)
    with pytest.raises(RemoteError, match=r"is sent whole \(200\), .* 2\.1 of 5\.2 MB are kept"):
        mtfast.fetch("Real_WS2", tmp_path, connections=1)


@pytest.mark.parametrize("answer", [b"<html>", b'{"files": [{"key": 5}]}', b'{"metadata": {}}'])
def test_a_record_that_is_none_leads_to_the_direct_link(record, zips, tmp_path, caplog, answer):
    record.answer = answer
    told: list[str] = []
    mtfast.fetch("Real_WS2", tmp_path, tell=told.append)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    assert told == [f"{tmp_path / NAME}: 5.2 MB; no checksum is known of it"]
    assert "going on with the direct link, which has no checksum" in caplog.text
    assert set(record.paths) == {f"/records/15765514/files/{NAME}"}


def test_a_page_in_the_place_of_a_zip(record, tmp_path):
    record.answer = b"<html>"
    record.files[NAME] = b"<html>Please log in</html>"
    with pytest.raises(RemoteError, match=r"arrived with bytes that are no zip; .* removed"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert names_in(tmp_path) == []


def test_a_record_without_the_file_and_one_that_leads_elsewhere(record, tmp_path):
    with pytest.raises(RemoteError, match=r"^the record has no Real_MoSe2\.zip; expected it among"):
        mtfast.fetch("Real_MoSe2", tmp_path)
    record.answer = record.record().replace(b"http://", b"file:///")
    mtfast.fetch("Real_WS2", tmp_path)  # By the direct link.
    assert set(record.paths) == {f"/records/15765514/files/{NAME}"}


def test_another_run_that_downloads_the_same(record, tmp_path):
    from mtfast.atomic import locked

    with locked(tmp_path / NAME), pytest.raises(StoreError, match="written by another run"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert record.paths == []


def test_no_room(record, tmp_path, monkeypatch):
    from mtfast import atomic

    class Disk:
        total, free = 1 << 40, 8 * MB

    monkeypatch.setattr(atomic.shutil, "disk_usage", lambda _: Disk)
    with pytest.raises(MtfastError, match=r"the bytes of Real_WS2\.zip take .* make room"):
        mtfast.fetch("Real_WS2", tmp_path, extract=True)
    assert record.ranges == []
    mtfast.fetch("Real_WS2", tmp_path)


def test_a_disk_that_is_full(record, zips, tmp_path, monkeypatch):
    write = partial.Partial.write

    def fill(there, at, data):
        if at >= 3 * MB:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(there, at, data)

    monkeypatch.setattr(partial.Partial, "write", fill)
    with pytest.raises(MtfastError, match=r"\.zip cannot be written: No space left on device; exp"):
        mtfast.fetch("Real_WS2", tmp_path, connections=1)
    assert n_noted(tmp_path) == 3 * MB
    monkeypatch.undo()
    monkeypatch.setenv("MTFAST_ZENODO_URL", record.url)
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]


def test_a_server_that_is_busy_is_not_asked_by_another_way(record, tmp_path):
    record.refuse = times(9, "15765514", 429)
    with pytest.raises(RemoteError, match="429 Too Many Requests"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert record.paths == []


def test_no_network(tmp_path, monkeypatch):
    monkeypatch.setattr(web, "FIRST_WAIT", 0.0)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    monkeypatch.setenv("MTFAST_ZENODO_URL", f"http://127.0.0.1:{port}")
    with pytest.raises(
        RemoteError, match=r"does not answer \(Connection refused\); expected a con"
    ):
        mtfast.fetch("Real_WS2", tmp_path)
    monkeypatch.setenv("MTFAST_ZENODO_URL", "http://name.invalid")
    with pytest.raises(RemoteError, match=r"^name\.invalid is not found; expected a network"):
        mtfast.fetch("Real_WS2", tmp_path)
    monkeypatch.setenv("MTFAST_ZENODO_URL", "https://me:secret@mirror")
    with pytest.raises(MtfastError, match=r"MTFAST_ZENODO_URL is 'https://mirror'; expected an ad"):
        mtfast.fetch("Real_WS2", tmp_path)
    monkeypatch.setenv("MTFAST_ZENODO_URL", "zenodo.org")
    with pytest.raises(MtfastError, match=r"^MTFAST_ZENODO_URL is 'zenodo\.org'; expected an addr"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert names_in(tmp_path) == []


def test_a_server_that_is_silent(record, zips, tmp_path, monkeypatch):
    """A body that stalls is given up and asked for again."""
    monkeypatch.setattr(web, "SILENT_SECONDS", 0.2)
    record.open_until = 2 * MB
    real = web.Web.bear

    def go_on(*arguments, **options):
        record.go_on.set()
        return real(*arguments, **options)

    monkeypatch.setattr(web.Web, "bear", go_on)
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]


def test_a_certificate_that_nobody_knows(record, tmp_path, monkeypatch):
    """The server speaks no TLS at all, which OpenSSL tells as an error of its own."""
    monkeypatch.setenv("MTFAST_ZENODO_URL", record.url.replace("http:", "https:"))
    with pytest.raises(RemoteError, match=r"cannot be trusted \(.*\); expected a certificate"):
        mtfast.fetch("Real_WS2", tmp_path)


def test_a_proxy_of_the_environment(record, zips, tmp_path, monkeypatch):
    """The server itself stands for a proxy: it is asked for whole addresses."""
    monkeypatch.setenv("MTFAST_ZENODO_URL", "http://elsewhere.invalid")
    monkeypatch.setenv("http_proxy", record.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with pytest.raises(RemoteError, match=r"elsewhere\.invalid has no http://elsewhere"):
        mtfast.fetch("Real_WS2", tmp_path)
    assert record.seen[0].path.startswith("http://elsewhere.invalid/")


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_run_that_is_killed_is_gone_on_with(record, zips, tmp_path):
    record.open_until = 3 * MB
    code = (
        "from mtfast.fetching import download; download.SHORTEST = download.LONGEST = 1 << 20; "
        "import mtfast; mtfast.fetch('Real_WS2', '.')"
    )
    environment = os.environ | {"MTFAST_ZENODO_URL": record.url}
    with subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment) as process:
        wait_until(lambda: n_noted(tmp_path) > 2 * MB, process)
        process.kill()
    n_kept = n_noted(tmp_path)
    record.open_until = None
    record.go_on.set()
    record.seen.clear()
    mtfast.fetch("Real_WS2", tmp_path)
    assert (tmp_path / NAME).read_bytes() == zips[NAME]
    assert n_asked(record) == len(zips[NAME]) - n_kept
    assert names_in(tmp_path) == [NAME]


def n_noted(folder) -> int:
    there = partial._read_lines(kept(folder) / "arrived.jsonl")
    return sum(stop - start for start, stop in partial.merged(there[1])) if there else 0


def wait_until(condition, process) -> None:
    waited = threading.Event()
    while not condition():
        assert process.poll() is None
        waited.wait(0.01)


@pytest.mark.skipif(os.name == "nt", reason="sends a signal")
def test_ctrl_c_says_what_is_kept(record, zips, tmp_path):
    record.open_until = 3 * MB
    code = (
        # A shell starts what runs in the background with the signal ignored.
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from mtfast.fetching import download; download.SHORTEST = download.LONGEST = 1 << 20; "
        "from mtfast.cli import main; main(['fetch', 'Real_WS2'])"
    )
    environment = os.environ | {"MTFAST_ZENODO_URL": record.url}
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: n_noted(tmp_path) > 2 * MB, process)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    last = said.splitlines()[-1]
    assert last.startswith("mtfast: error: interrupted; ")
    assert last.endswith(f"are kept in {kept(tmp_path).name}; run the same again to go on")
