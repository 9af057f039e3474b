"""How long requests wait, and how often they are tried: what the environment may change."""

from __future__ import annotations

import os

from mtfast.errors import RemoteError

__all__ = ["CONNECT_SECONDS", "n_retries", "silence"]

CONNECT_SECONDS = 10.0
# Of a stretch in which no byte comes, unless MTFAST_TIMEOUT says otherwise.
SILENCE = 30.0
# Of a request that fails, unless MTFAST_RETRIES says otherwise.
RETRIES = 5


def silence() -> float:
    """Return the seconds in which no byte comes, at most.

    Returns
    -------
    float
    """
    return _setting("MTFAST_TIMEOUT", SILENCE)


def n_retries() -> int:
    """Return how often a request is tried again.

    Returns
    -------
    int
    """
    return int(_setting("MTFAST_RETRIES", RETRIES))


def _setting(name: str, default: float) -> float:
    """Read a number from the environment."""
    text = os.environ.get(name, "")
    try:
        value = float(text or default)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        raise RemoteError(f"{name} is {text!r}; expected a number from 0 on; correct it")
    return value
