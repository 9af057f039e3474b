"""What the environment may change: how long requests wait, how often they are tried, and S3."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from mtfast.errors import RemoteError, shown

__all__ = ["CONNECT_SECONDS", "S3_ENDPOINTS", "check_s3_settings", "n_retries", "silence"]

CONNECT_SECONDS = 10.0
# Of a stretch in which no byte comes, unless MTFAST_TIMEOUT says otherwise.
SILENCE = 30.0
# Of a request that fails, unless MTFAST_RETRIES says otherwise.
RETRIES = 5
S3_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
# What is sent in the headers and addresses of requests.
_SENT = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
)


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


def check_s3_settings() -> None:
    """Refuse settings that make no request: obstore panics with many of them.

    Raises
    ------
    RemoteError
        If an endpoint is no address, or a key or region has characters that none has.
    """
    for name in S3_ENDPOINTS:
        text = os.environ.get(name)
        if text is not None and not _is_endpoint(text):
            raise RemoteError(
                f"{name} is {shown(text)}; expected an address of a server, such as "
                f"http://localhost:9000; correct it or unset it"
            )
    for name in _SENT:
        text = os.environ.get(name, "")
        if not text.isprintable() or " " in text:
            # Not shown: it may be secret.
            raise RemoteError(
                f"{name} has a space, a line break or the like in it; expected none; set it again"
            )


def _is_endpoint(text: str) -> bool:
    try:
        parts = urlsplit(text)
        # A port that is none raises.
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    is_clean = text.isprintable() and " " not in text
    return is_clean and has_host and parts.scheme in ("http", "https")
