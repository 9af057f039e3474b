"""A server on loopback with the record's layout at Zenodo, and the faults of servers."""

from __future__ import annotations

import hashlib
import io
import json
import re
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

API = "/api/records/15765514"
PAGE = "/records/15765514"


class Seen(NamedTuple):
    """A request for the bytes of a file: what was asked for, what was answered."""

    path: str
    start: int
    stop: int
    status: int
    agent: str


class RecordServer:
    """Files by name, how they are served, and what was asked for.

    ``refuse`` is called with the path of a request and the number of those before it, and returns
    the status and headers of a refusal, or None. ``cuts`` are numbers of bytes after which the next
    bodies end, ``longest`` is how much of a range is sent, ``state_range`` makes its Content-Range.
    ``open_until`` is how many bytes are sent before all bodies wait for ``go_on``.
    """

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.checksums = {name: hashlib.md5(data).hexdigest() for name, data in files.items()}
        self.etags = {name: f'"md5:{text}"' for name, text in self.checksums.items()}
        self.has_ranges = True
        self.refuse: Callable[[str, int], tuple[int, dict[str, str]] | None] = lambda *_: None
        self.cuts: list[int] = []
        self.longest = 1 << 40
        self.state_range = lambda start, stop, n_bytes: f"bytes {start}-{stop - 1}/{n_bytes}"
        self.open_until: int | None = None
        self.go_on = threading.Event()
        self.answer: bytes | None = None
        self.seen: list[Seen] = []
        self.n_sent = 0
        self.lock = threading.Lock()
        self.url = ""

    def record(self) -> bytes:
        """Return the record as JSON, with keys that are of no interest too."""
        files = [
            {
                "id": f"id-{number}",
                "key": name,
                "size": len(data),
                "checksum": f"md5:{self.checksums[name]}",
                "links": {"self": f"{self.url}{API}/files/{name}/content"},
            }
            for number, (name, data) in enumerate(self.files.items())
        ]
        return json.dumps({"id": 15765514, "metadata": {"title": "sets"}, "files": files}).encode()

    @property
    def ranges(self) -> list[tuple[int, int]]:
        """What was asked for and sent, without the first byte that tells whether ranges are."""
        return [(s.start, s.stop) for s in self.seen if s.status < 300 and s.stop > 1]

    @property
    def paths(self) -> list[str]:
        """What was asked for without the record."""
        return [seen.path for seen in self.seen if seen.path != API]


class Handler(BaseHTTPRequestHandler):
    """Answers like Zenodo."""

    protocol_version = "HTTP/1.1"
    record: RecordServer

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer a request."""
        record, path = self.record, self.path.partition("?")[0]
        refused = record.refuse(path, len(record.seen))
        found = re.search(r"/files/([^/]+)", path)
        name = found[1] if found else ""
        if refused:
            self._note(path, 0, 0, refused[0])
            self._send(refused[0], b"<html>no</html>", refused[1])
        elif path == API:
            self._note(path, 0, 0, 200)
            self._send(200, record.record() if record.answer is None else record.answer, {})
        elif path in (f"{API}/files/{name}/content", f"{PAGE}/files/{name}"):
            self._send_file(path, name)
        else:
            self._note(path, 0, 0, 404)
            self._send(404, b"{}", {})

    def _note(self, path: str, start: int, stop: int, status: int) -> None:
        agent = self.headers.get("User-Agent", "")
        with self.record.lock:
            self.record.seen.append(Seen(path, start, stop, status, agent))

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, path: str, name: str) -> None:
        data, etag = self.record.files[name], self.record.etags[name]
        # Zenodo sends Retry-After with whatever it sends.
        headers = {"Retry-After": "59", "Accept-Ranges": "none"}
        if etag:
            headers["ETag"] = etag
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        start, stop, status = 0, len(data), 200
        if asked and self.record.has_ranges:
            start, stop, status = int(asked[1]), min(int(asked[2]) + 1, len(data)), 206
            stop = min(stop, start + self.record.longest)
            headers["Content-Range"] = self.record.state_range(start, stop, len(data))
        self._note(path, start, stop, status)
        self.send_response(status)
        for key, value in {"Content-Length": str(stop - start), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        with suppress(ConnectionError):
            self._send_body(memoryview(data)[start:stop])

    def _send_body(self, body: memoryview) -> None:
        record = self.record
        with record.lock:
            end = record.cuts.pop(0) if record.cuts and len(body) > 1 else len(body)
        for at in range(0, end, 1 << 16):
            part = body[at : min(at + (1 << 16), end)]
            with record.lock:
                record.n_sent += len(part)
                waits = record.open_until is not None and record.n_sent > record.open_until
            if waits:
                record.go_on.wait()
            self.wfile.write(part)
        if end < len(body):
            self.close_connection = True


class QuietServer(ThreadingHTTPServer):
    """A server to which it is no news that clients hang up."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what is not that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serve(files: dict[str, bytes]) -> Iterator[RecordServer]:
    """Serve files as those of the record, on threads of this process."""
    record = RecordServer(files)
    handler = type("BoundHandler", (Handler,), {"record": record})
    server = QuietServer(("127.0.0.1", 0), handler)
    record.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield record
    finally:
        record.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()


def zip_of(files: dict[str, bytes]) -> bytes:
    """Return a zip with files by name, stored."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def zip_of_folder(folder: Path, top: str = "") -> bytes:
    """Return a zip of what is in a folder, below a folder of its own if it is named."""
    paths = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return zip_of(
        {f"{top}{path.relative_to(folder).as_posix()}": path.read_bytes() for path in paths}
    )
