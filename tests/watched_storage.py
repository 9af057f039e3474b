"""A server of S3 on loopback that notes what it is asked, and fails as a test wants it."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote

__all__ = ["Asked", "WatchedStorage", "watched_storage"]

_BULK = re.compile(rb"<Key>(.*?)</Key>")


class Asked(NamedTuple):
    """A request: its method, the key with its bucket, and what it deletes if it does so in bulk."""

    method: str
    key: str
    deleted: tuple[str, ...] = ()


class WatchedStorage:
    """A WSGI application around moto's, which shares its buckets with all servers of the process.

    Attributes
    ----------
    url : str
    requests : list of Asked
    fault : callable
        Called with each request; returns what goes wrong, or None: "500" and "403" are answers in
        its place; "cut" ends the connection before it is looked at, and "lost" after it was done;
        "slow" keeps the client waiting for one and a half seconds.
    """

    def __init__(self) -> None:
        from moto.server import DomainDispatcherApplication, create_backend_app

        self.url = ""
        self.requests: list[Asked] = []
        self.fault: Callable[[Asked], str | None] = lambda asked: None
        self._app = DomainDispatcherApplication(create_backend_app)

    def keys(self, method: str) -> list[str]:
        """Return the keys of the requests with a method, without those of unfinished work."""
        asked = [a for a in self.requests if a.method == method and "/.mtfast/" not in a.key]
        return [a.key for a in asked]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        from io import BytesIO

        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = BytesIO(body)
        bulk = environ["REQUEST_METHOD"] == "POST" and environ["QUERY_STRING"].startswith("delete")
        key = unquote(environ["PATH_INFO"]).strip("/")
        deleted = [f"{key}/{name.decode()}" for name in _BULK.findall(body)] if bulk else []
        asked = Asked("DELETE" if bulk else environ["REQUEST_METHOD"], key, tuple(deleted))
        self.requests.append(asked)
        fault = self.fault(asked)
        if fault in ("500", "403"):
            start_response(f"{fault} Fault", [("Content-Length", "0")])
            return [b""]
        if fault == "cut":
            return self._cut(environ)
        if fault == "slow":
            threading.Event().wait(1.5)
        answer = self._app(environ, start_response)
        return self._cut(environ) if fault == "lost" else answer

    def _cut(self, environ: dict[str, Any]) -> Any:
        environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return [b""]


@contextmanager
def watched_storage() -> Iterator[WatchedStorage]:
    """Start the server, on a thread of this process.

    Yields
    ------
    WatchedStorage
    """
    import logging

    from werkzeug.serving import make_server

    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    watched = WatchedStorage()
    server = make_server("127.0.0.1", 0, watched, threaded=True)
    watched.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield watched
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
