"""A web server on loopback that is slow or faulty as a test wants it, and notes what it was asked.

It answers GET and HEAD as object storage does, so that ``s3://`` leads to it as well: the bucket is
the first folder then.
"""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

__all__ = ["Asked", "FaultyServer", "faulty_server"]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class Asked(NamedTuple):
    """A request: its method, the path without "/" at the start, the header Range, bytes sent."""

    method: str
    path: str
    range: str
    n_bytes: int


class FaultyServer:
    """Files of a folder over HTTP.

    Attributes
    ----------
    url : str
        Without "/" at the end.
    requests : list of Asked
        All until now; ``clear()`` it before what is to be counted.
    latency : float
        Seconds before each answer.
    fault : callable
        Called with the number of a request from 0 on, since ``requests`` was cleared, and its path;
        returns what goes wrong, or None:

        - "500": an error of the server;
        - "403": the right to read is missing; any other status as well;
        - "hang": no answer, until the server is stopped;
        - "cut": half of the body, then the connection ends;
        - "whole": the range is ignored, all of the file is sent with status 200;
        - "short": the range ends one byte sooner than it was asked for;
        - "wrong": one bit of the body is another one.
    query : str
        If there is one, all but a GET with just this query are refused, as storage does with signed
        addresses.
    etags, dates : bool
        Whether files have the header ETag, and Last-Modified.
    authorization : str
        Without this header a request is refused.
    most : int
        Most requests that were answered at the same time.
    """

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        self.requests: list[Asked] = []
        self.latency = 0.0
        self.fault: Callable[[int, str], str | None] = lambda number, path: None
        self.query = ""
        self.etags = self.dates = True
        self.authorization = ""
        self.most = 0
        self.stopped = threading.Event()
        self._n_running = 0
        self._lock = threading.Lock()

    @property
    def gets(self) -> list[Asked]:
        """The requests that read."""
        return [asked for asked in self.requests if asked.method == "GET"]

    @contextmanager
    def noted(self, method: str, path: str, asked_range: str, n_bytes: int) -> Iterator[str | None]:
        with self._lock:
            number = len(self.requests)
            self.requests.append(Asked(method, path, asked_range, n_bytes))
            self._n_running += 1
            self.most = max(self.most, self._n_running)
        try:
            time.sleep(self.latency)
            yield self.fault(number, path)
        finally:
            with self._lock:
                self._n_running -= 1


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # One packet for the headers and one for the body would wait for each other.
    wbufsize = -1
    disable_nagle_algorithm = True

    def __init__(self, served: FaultyServer, *arguments: object) -> None:
        self.served = served
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        address = urlsplit(self.path)
        path = unquote(address.path).lstrip("/")
        refused = self.headers.get("Authorization", "") != self.served.authorization or (
            self.served.query and (self.command, address.query) != ("GET", self.served.query)
        )
        file = self.served.folder / path
        asked = self.headers.get("Range", "")
        size = file.stat().st_size if file.is_file() else -1
        start, stop = _part_of(asked, size)
        with self.served.noted(self.command, path, asked, max(stop - start, 0)) as fault:
            if fault == "hang":
                self.served.stopped.wait()
                self.close_connection = True
            elif refused or (fault or "").isdigit():
                self._send(403 if refused else int(fault or 0), {}, b"")
            elif size < 0:
                self._send(404, {}, b"")
            elif asked and start >= size and fault != "whole":
                self._send(416, {"Content-Range": f"bytes */{size}"}, b"")
            else:
                self._send_file(file, (start, stop, size), asked, fault)

    def _send_file(
        self, file: Path, part: tuple[int, int, int], asked: str, fault: str | None
    ) -> None:
        start, stop, size = part
        if fault == "whole":
            asked, start, stop = "", 0, size
        if fault == "short":
            stop -= 1
        status = file.stat()
        headers = {"Accept-Ranges": "bytes"}
        if self.served.etags:
            text = f"{status.st_mtime_ns}-{size}-{status.st_ino}"
            headers["ETag"] = f'"{hashlib.md5(text.encode()).hexdigest()}"'
        if self.served.dates:
            headers["Last-Modified"] = formatdate(status.st_mtime, usegmt=True)
        if asked:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        with file.open("rb") as opened:
            opened.seek(start)
            body = opened.read(stop - start)
        if fault == "wrong":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self._send(206 if asked else 200, headers, body, cut=fault == "cut")

    def _send(self, status: int, headers: dict[str, str], body: bytes, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            try:
                self.wfile.write(body[: len(body) // 2] if cut else body)
                self.wfile.flush()
            except ConnectionError:
                self.close_connection = True  # The client did not want the rest.
        self.close_connection |= cut


def _part_of(asked: str, size: int) -> tuple[int, int]:
    found = _RANGE.fullmatch(asked)
    if found is None:
        return 0, size
    if not found[1]:
        return max(size - int(found[2]), 0), size
    return int(found[1]), min(int(found[2]) + 1, size) if found[2] else size


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Print nothing: clients that leave are part of the tests."""


@contextmanager
def faulty_server(folder: Path) -> Iterator[FaultyServer]:
    """Serve a folder on loopback.

    Parameters
    ----------
    folder : Path

    Yields
    ------
    FaultyServer
    """
    served = FaultyServer(folder, "")
    server = _Server(("127.0.0.1", 0), partial(_Handler, served))
    served.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05), daemon=True)
    thread.start()
    try:
        yield served
    finally:
        served.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join()
