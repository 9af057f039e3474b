"""A file comes here: over several connections, and on from where another run was stopped."""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import is_zipfile

from mtfast.atomic import check_room, explain_errors
from mtfast.errors import MtfastError, RemoteError
from mtfast.fetching.partial import Origin, Partial, Span
from mtfast.fetching.record import RemoteFile
from mtfast.fetching.web import PassingError, StoppedError, Web
from mtfast.progress import Progress

if TYPE_CHECKING:
    from urllib3 import BaseHTTPResponse

__all__ = ["Checksum", "download", "sizes_differ"]

logger = logging.getLogger(__name__)

# Guests of Zenodo may ask sixty times a minute, as its documentation has said: at 100 MB/s requests
# of the longer kind are twenty-four.
SHORTEST, LONGEST = 32 << 20, 256 << 20
# Bytes that are written before they are noted: as many may be lost for each connection.
NOTED = 256 << 10
# Between looks at the threads.
TICK = 0.1
# More than a thread takes to end, unless it waits for a connection.
SECONDS_TO_END = 0.5
# 0.1 s of MD5.
HASHED_AT_ONCE = 64 << 20
BLOCK = 1 << 20
ALGORITHMS = ("md5", "sha1", "sha256", "sha512")
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


class _WrongError(RemoteError):
    """What has arrived is of no use to another run."""


class Checksum:
    """The checksum of a file, computed while the file grows.

    Parameters
    ----------
    path : Path
    stated : str
        Such as "md5:…"; with "", or a kind that is not known, nothing is computed.
    """

    def __init__(self, path: Path, stated: str) -> None:
        self.path = path
        self.kind, _, self.expected = stated.partition(":")
        self.is_known = self.kind in ALGORITHMS
        self._hash = hashlib.new(self.kind, usedforsecurity=False) if self.is_known else None
        self._at = 0

    def follow(self, stop: int, most: int = HASHED_AT_ONCE) -> int:
        """Go on up to a place, or by a few bytes.

        Parameters
        ----------
        stop : int
        most : int

        Returns
        -------
        int
            Where it is then.
        """
        if self._hash is None or self._at >= stop:
            return self._at
        end = min(stop, self._at + most)
        with self.path.open("rb") as file:
            file.seek(self._at)
            while self._at < end and (data := file.read(min(BLOCK, end - self._at))):
                self._hash.update(data)
                self._at += len(data)
        return self._at

    def complete(self, name: str, progress: Progress | None) -> bool:
        """Go on to the end of the file, and compare.

        Parameters
        ----------
        name : str
            Of the file, for the progress.
        progress : callable or None

        Returns
        -------
        bool
            Whether the file has what is stated; True where nothing is.
        """
        n_bytes = self.path.stat().st_size
        report = _megabytes(f"checking {name}", n_bytes, progress)
        while self.is_known and self._at < n_bytes:
            report(self.follow(n_bytes))
        return not self.is_known or self.found == self.expected.lower()

    @property
    def found(self) -> str:
        """What the bytes have, in hexadecimal digits."""
        return self._hash.hexdigest() if self._hash else ""


@dataclass
class _Stretch:
    """What a connection brings: ``at`` is how far it has come."""

    at: int
    stop: int


class _Transfer:
    """Threads that bring what is missing of a file."""

    def __init__(self, web: Web, url: str, partial: Partial, connections: int) -> None:
        self.web, self.url, self.partial = web, url, partial
        spans = _stretches(partial.missing, connections)
        self._spans = iter(spans)
        self._lock = threading.Lock()
        self.failure: BaseException | None = None
        n = min(connections, len(spans))
        # Daemons, as one may wait for a connection that is never made.
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(n)]

    def run(self, meanwhile: Callable[[], None]) -> None:
        for thread in self._threads:
            thread.start()
        for thread in self._threads:
            while thread.is_alive():
                thread.join(TICK)
                meanwhile()
        meanwhile()
        if self.failure is not None:
            raise self.failure

    def join(self) -> None:
        """Let threads that were stopped note what they have written."""
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(SECONDS_TO_END)

    def _work(self) -> None:
        try:
            while (stretch := self._next()) is not None:
                self._bring(stretch)
        except StoppedError:
            pass
        except BaseException as error:
            with self._lock:
                self.failure = self.failure or error
            self.web.stop()

    def _next(self) -> _Stretch | None:
        with self._lock:
            span = next(self._spans, None)
        return span and _Stretch(*span)

    def _bring(self, stretch: _Stretch) -> None:
        failures = 0
        while stretch.at < stretch.stop:
            before = stretch.at
            try:
                with self.web.get(self.url, stretch.at, stretch.stop) as answer:
                    stop = _check_range(self.url, answer, stretch, self.partial.origin)
                    for _ in _receive(self.web, self.url, answer, stretch, stop, self.partial):
                        pass
            except PassingError as error:
                failures = 1 if stretch.at > before else failures + 1
                self.web.bear(error, failures)


def download(
    web: Web,
    file: RemoteFile,
    target: Path,
    *,
    connections: int,
    room_for: int = 1,
    progress: Progress | None = None,
) -> Checksum:
    """Bring a file, or what is missing of it, and compare its checksum.

    Parameters
    ----------
    web : Web
    file : RemoteFile
    target : Path
        A lock on it must be held.
    connections : int
        At most, side by side.
    room_for : int
        How many times its size the disk needs room for.
    progress : callable, optional

    Returns
    -------
    Checksum
        That was compared, if the record states one.

    Raises
    ------
    MtfastError
        If it does not come, is not what the record states, or cannot be written. What has arrived
        is kept for the next run, unless it is wrong.
    """
    with explain_errors(target, target.parent, MtfastError):
        origin, has_ranges = web.patiently(lambda: _probe(web, file))
        partial = Partial(target, origin)
    checksum = Checksum(partial.content, file.checksum)
    with _kept(partial, has_ranges), explain_errors(target, partial.folder, MtfastError):
        n_missing = origin.n_bytes * room_for - partial.n_arrived
        check_room(target.parent, n_missing, f"the bytes of {file.name}")
        if has_ranges:
            _bring_stretches(web, file.url, partial, connections, checksum, progress)
        else:
            _bring_whole(web, file.url, partial, progress)
        _check(file, partial, checksum, progress)
        partial.finish()
    return checksum


def _check(
    file: RemoteFile, partial: Partial, checksum: Checksum, progress: Progress | None
) -> None:
    """Refuse, and remove, what is not the file that the record states."""
    wrong = ""
    if not checksum.complete(file.name, progress):
        wrong = (
            f"the {checksum.kind} {checksum.found}; expected {checksum.expected}, as the record "
            f"states"
        )
    elif not is_zipfile(partial.content):
        wrong = "bytes that are no zip; expected one, as its name says"
    if wrong:
        raise _WrongError(
            f"{file.name} has arrived with {wrong}; it was removed: run the same again"
        )


def sizes_differ(file: RemoteFile, n_bytes: int) -> bool:
    """Return whether a file has another size than the record states.

    Parameters
    ----------
    file : RemoteFile
    n_bytes : int

    Returns
    -------
    bool
    """
    return file.n_bytes is not None and file.n_bytes != n_bytes


def _probe(web: Web, file: RemoteFile) -> tuple[Origin, bool]:
    """Ask for the first byte: how long the file is, and whether the server sends ranges.

    What ``Accept-Ranges`` says does not count: Zenodo has sent "none" with a range that it sent.
    """
    with web.get(file.url, 0, 1) as answer:
        found = _RANGE.fullmatch(answer.headers.get("Content-Range", ""))
        has_ranges = answer.status == 206 and found is not None
        stated = found[3] if has_ranges and found else answer.headers.get("Content-Length", "")
        stamp = _stamp(answer)
    n_bytes = int(stated) if stated.isdecimal() else file.n_bytes
    if n_bytes is None:
        raise RemoteError(
            f"{file.url} is sent without its length; expected one; try again later, or download it "
            f"with a browser"
        )
    if sizes_differ(file, n_bytes):
        raise RemoteError(
            f"{file.name} has {n_bytes:,} bytes at the server; expected {file.n_bytes:,}, as the "
            f"record states; try again later"
        )
    return Origin(n_bytes, file.checksum, stamp), has_ranges


def _stamp(answer: BaseHTTPResponse) -> str:
    return answer.headers.get("ETag") or answer.headers.get("Last-Modified") or ""


@contextmanager
def _kept(partial: Partial, has_ranges: bool) -> Iterator[None]:
    """Say what an interrupted or failed download keeps; remove what is of no use."""
    try:
        yield
    except _WrongError:
        partial.discard()
        raise
    except (KeyboardInterrupt, MtfastError, OSError) as error:
        partial.close()
        if not has_ranges or not partial.n_arrived:
            partial.discard()
        elif partial.folder.is_dir():
            kept = (
                f"{partial.n_arrived / 1e6:,.1f} of {partial.origin.n_bytes / 1e6:,.1f} MB are "
                f"kept in {partial.folder}; run the same again to go on"
            )
            if isinstance(error, MtfastError):
                error.args = (f"{error}; {kept}",)
            elif isinstance(error, KeyboardInterrupt):
                error.args = (kept,)
        raise


def _bring_stretches(
    web: Web,
    url: str,
    partial: Partial,
    connections: int,
    checksum: Checksum,
    progress: Progress | None,
) -> None:
    """Bring what is missing side by side; its checksum is computed meanwhile."""
    if partial.was_other:
        logger.warning(
            "%s has changed at the server since a part of it arrived: beginning again",
            partial.target.name,
        )
    report = _megabytes(f"downloading {partial.target.name}", partial.origin.n_bytes, progress)
    transfer = _Transfer(web, url, partial, connections)

    def meanwhile() -> None:
        report(partial.n_arrived)
        checksum.follow(partial.n_whole)

    try:
        report(partial.n_arrived)
        transfer.run(meanwhile)
    except BaseException:
        web.stop()
        transfer.join()
        raise


def _bring_whole(web: Web, url: str, partial: Partial, progress: Progress | None) -> None:
    """Bring all in one go; a connection that breaks off means to begin again."""
    logger.warning(
        "%s is sent whole only, not in parts: %s, and a run that is stopped begins again",
        partial.target.name,
        "beginning again" if partial.n_arrived else "over one connection",
    )
    report = _megabytes(f"downloading {partial.target.name}", partial.origin.n_bytes, progress)

    def attempt() -> None:
        partial.restart()
        n_bytes = partial.origin.n_bytes
        with web.get(url) as answer:
            _check_same(url, answer, partial.origin)
            stretch = _Stretch(0, n_bytes)
            for done in _receive(web, url, answer, stretch, n_bytes, partial):
                report(done)

    web.patiently(attempt)


def _stretches(spans: list[Span], connections: int) -> list[Span]:
    """Cut what is missing so that all connections have some, with few requests."""
    n_bytes = sum(stop - start for start, stop in spans)
    length = min(max(SHORTEST, -(-n_bytes // connections)), LONGEST)
    return [
        (at, min(at + length, stop)) for start, stop in spans for at in range(start, stop, length)
    ]


def _check_range(url: str, answer: BaseHTTPResponse, stretch: _Stretch, origin: Origin) -> int:
    """Refuse what is not the range that was asked for; return where the one that is sent ends."""
    _check_same(url, answer, origin)
    stated = answer.headers.get("Content-Range", "")
    found = _RANGE.fullmatch(stated)
    if answer.status != 206 or found is None:
        raise PassingError(
            f"{url} is sent whole ({answer.status}), where a range was asked for; expected "
            f"the range, as before; try again later"
        )
    start, last, total = int(found[1]), int(found[2]), found[3]
    if total not in ("*", str(origin.n_bytes)):
        raise _changed(url)
    if start != stretch.at or not start <= last < stretch.stop:
        raise RemoteError(
            f"{url} is sent as {stated}; expected bytes {stretch.at}-{stretch.stop - 1}; try "
            f"again later"
        )
    return last + 1


def _check_same(url: str, answer: BaseHTTPResponse, origin: Origin) -> None:
    stamp = _stamp(answer)
    if stamp and origin.stamp and stamp != origin.stamp:
        raise _changed(url)


def _changed(url: str) -> _WrongError:
    return _WrongError(
        f"{url} was replaced while it was downloaded; expected one file from begin to end; what "
        f"had arrived was removed: run the same again"
    )


def _receive(
    web: Web, url: str, answer: BaseHTTPResponse, stretch: _Stretch, stop: int, partial: Partial
) -> Iterator[int]:
    """Write the body of an answer to its place; yield each time that it was noted how far it is."""
    noted = stretch.at
    try:
        for data in web.chunks(url, answer):
            if len(data) > stop - stretch.at:
                raise RemoteError(
                    f"{url} sends more than its {stop:,} bytes; expected no more; try again later"
                )
            partial.write(stretch.at, data)
            stretch.at += len(data)
            if stretch.at - noted >= NOTED:
                partial.note(noted, stretch.at)
                noted = stretch.at
                yield noted
    finally:
        partial.note(noted, stretch.at)
    if stretch.at < stop:
        raise PassingError(
            f"{url} has ended at byte {stretch.at:,}; expected {stop:,}; try again later"
        )


def _megabytes(what: str, n_bytes: int, progress: Progress | None) -> Callable[[int], None]:
    """Return a function that reports bytes as megabytes, where these have changed."""
    shown = -1

    def report(done: int) -> None:
        nonlocal shown
        now = -(-done // 10**6)
        if callable(progress) and now != shown:
            shown = now
            progress(f"{what} (MB)", now, -(-n_bytes // 10**6))

    return report
