"""Requests to web servers: polite, tried again for a bounded time, and explained in one line."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Self, TypeVar

from mtfast.errors import RemoteError
from mtfast.remote.connections import open_pool, proxy_for, reason_of
from mtfast.remote.waiting import waiting_for
from mtfast.version import installed_version

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = [
    "MOST_FAILURES_AT_FIRST",
    "BusyError",
    "PassingError",
    "StoppedError",
    "UnreachableError",
    "Web",
]

T = TypeVar("T")
logger = logging.getLogger(__name__)

CONNECT_SECONDS, SILENT_SECONDS = 10.0, 60.0
# In a row, without a byte between them: before a download, and in its course. The waits before the
# next try double.
MOST_FAILURES_AT_FIRST, MOST_FAILURES = 3, 6
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
# Nobody wonders about a bar that stands still for less.
SHORT_WAIT = 5.0
# A server that asks for more is left alone.
LONGEST_ASKED = 300.0
REDIRECTS = 5
CHUNK, SHORT = 1 << 20, 1 << 14

_TOO_MANY, _UNAVAILABLE = 429, 503
_PASSING = (408, _TOO_MANY, 500, 502, _UNAVAILABLE, 504)
_TRY_LATER = "try again later: what has arrived is not asked for again"


class PassingError(RemoteError):
    """A failure that may have passed at the next try.

    Attributes
    ----------
    asked : float
        Seconds after which the server wants to be asked again; 0 if it does not say.
    """

    asked = 0.0


class UnreachableError(PassingError):
    """There was no connection at all."""


class BusyError(PassingError):
    """Too many requests: others are not welcome either."""


class StoppedError(Exception):
    """Another thread has ended the work."""


class Web:
    """A client of web servers, for several threads; a context manager.

    Proxies are those of the environment (``https_proxy``, ``no_proxy``, …), certificates those that
    the system trusts.
    """

    def __init__(self) -> None:
        self._agent = f"mtfast/{installed_version()}"
        self._pools: dict[str | None, Any] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._not_before = 0.0
        self._answers: set[BaseHTTPResponse] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        for pool in self._pools.values():
            pool.clear()

    @contextmanager
    def get(self, url: str, start: int = 0, stop: int = 0) -> Iterator[BaseHTTPResponse]:
        """Ask for a file, or for a range of it.

        Parameters
        ----------
        url : str
        start, stop : int
            In bytes; without them all is asked for.

        Yields
        ------
        urllib3.BaseHTTPResponse
            Of status 200 or 206; its body is read by :meth:`chunks`.

        Raises
        ------
        RemoteError
            PassingError, if it is worth another try.
        StoppedError
        """
        self._rest()
        answer = self._ask(url, {"Range": f"bytes={start}-{stop - 1}"} if stop else {})
        with self._lock:
            self._answers.add(answer)
        try:
            if self._stopped.is_set():
                raise StoppedError
            if answer.status not in (200, 206):
                raise _refusal(url, answer)
            yield answer
        finally:
            with self._lock:
                self._answers.discard(answer)
            # The rest of a short body is read, so that the connection can be used again.
            if answer.length_remaining is None or answer.length_remaining > SHORT:
                answer.close()
            else:
                answer.drain_conn()

    def chunks(self, url: str, answer: BaseHTTPResponse) -> Iterator[bytes]:
        """Iterate over the body of an answer, as it arrives.

        Parameters
        ----------
        url : str
            For messages.
        answer : urllib3.BaseHTTPResponse

        Yields
        ------
        bytes

        Raises
        ------
        PassingError
            If it ends before the length that the server has stated.
        StoppedError
        """
        from urllib3.exceptions import HTTPError

        while True:
            try:
                with waiting_for(_host(url)):
                    data = answer.read1(CHUNK)
            except (HTTPError, OSError) as error:
                raise StoppedError if self._stopped.is_set() else _failure(url, error) from error
            if self._stopped.is_set():
                raise StoppedError
            if not data:
                return
            yield data

    def patiently(self, attempt: Callable[[], T], most: int = MOST_FAILURES_AT_FIRST) -> T:
        """Call a function that makes a request, again if it fails and that may pass.

        Parameters
        ----------
        attempt : callable
        most : int
            How many failures in a row are too many.

        Returns
        -------
        object
            What it returns.

        Raises
        ------
        RemoteError
            Of the last try.
        """
        failures = 0
        while True:
            try:
                return attempt()
            except PassingError as error:
                failures += 1
                self.bear(error, failures, most)

    def bear(self, error: PassingError, failures: int, most: int = MOST_FAILURES) -> None:
        """Let all threads wait before their next requests, or raise what has failed too often.

        Parameters
        ----------
        error : PassingError
        failures : int
            In a row, this one among them.
        most : int
            How many are too many.

        Raises
        ------
        PassingError
            The one that was given.
        """
        if failures >= most or error.asked > LONGEST_ASKED:
            raise error
        seconds = max(error.asked, min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT))
        what = str(error).partition("; expected")[0]
        level = logging.INFO if seconds < SHORT_WAIT else logging.WARNING
        logger.log(level, "%s; trying again in %.0f s", what, seconds)
        with self._lock:
            self._not_before = max(self._not_before, time.monotonic() + seconds)

    def stop(self) -> None:
        """End all requests; threads that wait for one get a StoppedError."""
        self._stopped.set()
        with self._lock:
            for answer in self._answers:
                # One that has just come to its end has no connection any more.
                with suppress(RuntimeError, ValueError, OSError):
                    answer.shutdown()

    def _rest(self) -> None:
        seconds = self._not_before - time.monotonic()
        if self._stopped.wait(max(seconds, 0)):
            raise StoppedError

    def _ask(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        from urllib3 import Retry
        from urllib3.exceptions import HTTPError

        # Only redirects are followed by urllib3: what is tried again is decided here.
        follow = Retry(
            total=REDIRECTS,
            connect=0,
            read=0,
            other=0,
            status=0,
            raise_on_status=False,
            respect_retry_after_header=False,
        )
        ours = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
        try:
            with waiting_for(_host(url)):
                answer: BaseHTTPResponse = self._pool(url).request(
                    "GET",
                    url,
                    headers={**ours, **headers},
                    retries=follow,
                    preload_content=False,
                    decode_content=False,
                )
        except HTTPError as error:
            raise _failure(url, error) from error
        return answer

    def _pool(self, url: str) -> Any:
        """Return the connections for a URL: directly, or through a proxy of the environment."""
        proxy = proxy_for(url)
        with self._lock:
            if proxy not in self._pools:
                self._pools[proxy] = open_pool(proxy, CONNECT_SECONDS, SILENT_SECONDS)
            return self._pools[proxy]


def _failure(url: str, error: Exception) -> RemoteError:
    """Explain why no answer came, or not all of it."""
    from urllib3 import exceptions as http

    cause = getattr(error, "reason", None) or error
    host = _host(url)
    if isinstance(cause, http.ResponseError):
        return RemoteError(
            f"{host} has redirected more than {REDIRECTS} times; expected the file; try again later"
        )
    if isinstance(cause, http.ProxyError):
        return UnreachableError(
            f"the proxy does not lead to {host} ({reason_of(cause)}); expected one that does; "
            f"check https_proxy and no_proxy in the environment"
        )
    if isinstance(cause, http.SSLError):
        return UnreachableError(
            f"{host} cannot be trusted ({reason_of(cause)}); expected a certificate that this "
            f"system knows; check its clock, or set SSL_CERT_FILE to the certificates of your "
            f"network"
        )
    if isinstance(cause, http.NameResolutionError):
        return UnreachableError(
            f"{host} is not found; expected a network that knows its name; check the connection"
        )
    if isinstance(cause, http.ConnectTimeoutError | http.NewConnectionError):
        return UnreachableError(
            f"{host} does not answer ({reason_of(cause)}); expected a connection; check the "
            f"network and its firewall"
        )
    return PassingError(
        f"the connection to {host} broke off ({reason_of(cause)}); expected all of the file; "
        f"{_TRY_LATER}"
    )


def _refusal(url: str, answer: BaseHTTPResponse) -> RemoteError:
    """Explain an answer that is not the file."""
    status = f"{answer.status} {answer.reason or ''}".strip()
    host = _host(url)
    if answer.status in _PASSING:
        asked = _asked_to_wait(answer)
        wait = f"wait {asked:,.0f} s" if asked else "wait"
        advice = f"{wait} and {_TRY_LATER}"
        kind = BusyError if answer.status == _TOO_MANY else PassingError
        error = kind(f"{host} answers {status}; expected the file; {advice}")
        error.asked = asked
        return error
    if answer.status in (401, 403):
        return RemoteError(
            f"{host} refuses {url} ({status}); expected a public file; it may block programs or "
            f"networks for a time: try again later, or download the file with a browser"
        )
    if answer.status in (404, 410):
        return RemoteError(
            f"{host} has no {url} ({status}); expected the file; look at the record with a browser"
        )
    return RemoteError(f"{host} answers {status} for {url}; expected the file; try again later")


def _asked_to_wait(answer: BaseHTTPResponse) -> float:
    """Return the seconds of Retry-After; Zenodo sends it with answers that are no refusals too."""
    from urllib3 import Retry
    from urllib3.exceptions import InvalidHeader

    try:
        return Retry().get_retry_after(answer) or 0.0
    except InvalidHeader:
        return 0.0


def _host(url: str) -> str:
    from urllib.parse import urlsplit

    return urlsplit(url).netloc.rpartition("@")[2]
