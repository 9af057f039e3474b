"""Standard output and error: closed ones, those of another encoding, those that nobody reads."""

from __future__ import annotations

import codecs
import os
import sys
from io import TextIOWrapper
from typing import TextIO

__all__ = ["abandon", "flush", "is_abandoned", "open_streams"]

_ASCII = {"→": "->", "…": "...", "·": "-"}
_ERRORS = "mtfast-printable"


def open_streams() -> None:
    """Make standard output and error take every text that is written to them.

    One that is closed, as by ``>&-``, is replaced: otherwise the next file that is opened would
    get its descriptor. What the encoding lacks is written as an escape: names of strangers have
    any character.
    """
    codecs.register_error(_ERRORS, _replace)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: PTH123, SIM115
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _replace(error: UnicodeError) -> tuple[str | bytes, int]:
    """Write a character that an encoding lacks; those after it are asked for again."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    character = error.object[error.start]
    escaped = character.encode("ascii", "backslashreplace").decode()
    return _ASCII.get(character, escaped), error.start + 1


def flush() -> None:
    """Write what is still in memory, so that an error of it is told as others are."""
    sys.stdout.flush()


def is_abandoned() -> bool:
    """Return whether standard output or error is a pipe whose reader has gone, such as ``head``.

    Returns
    -------
    bool
        True on systems that cannot tell, which are asked only after a pipe broke.
    """
    return any(map(_has_no_reader, filter(None, map(_descriptor, (sys.stdout, sys.stderr)))))


def abandon() -> None:
    """Write no more to streams that nobody reads, not even what is in memory already."""
    null = os.open(os.devnull, os.O_WRONLY)
    for descriptor in filter(None, map(_descriptor, (sys.stdout, sys.stderr))):
        if _has_no_reader(descriptor):
            os.dup2(null, descriptor)
    os.close(null)


def _descriptor(stream: TextIO) -> int | None:
    """Return that of a stream; None of one in memory, as in tests and notebooks."""
    try:
        return stream.fileno()
    except OSError:
        return None


def _has_no_reader(descriptor: int) -> bool:
    # Here, as --help needs it seldom.
    import select

    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    # Errors and ends are reported whatever is asked for.
    poll.register(descriptor, 0)
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in poll.poll(0))
