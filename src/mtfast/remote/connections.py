"""Connections to web servers, through urllib3."""

from __future__ import annotations

from base64 import b64encode
from typing import Any
from urllib.parse import unquote

from mtfast.errors import RemoteError

__all__ = ["header_of", "open_pool", "proxy_for", "reason_of"]


def header_of(user: str) -> dict[str, str]:
    """Return the header for a user and password.

    Parameters
    ----------
    user : str
        As an address has it: percent-encoded, with a ":" before the password; "" for nobody.

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> header_of("me:a%2Fb"), header_of("")
    ({'Authorization': 'Basic bWU6YS9i'}, {})
    """
    if not user:
        return {}
    return {"Authorization": f"Basic {b64encode(unquote(user).encode()).decode()}"}


def proxy_for(url: str) -> str | None:
    """Return the proxy of the environment for a URL.

    Parameters
    ----------
    url : str

    Returns
    -------
    str or None
        None if it is reached directly.
    """
    from urllib.parse import urlsplit
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    found = getproxies()
    proxy = found.get(parts.scheme) or found.get("all")
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


def open_pool(proxy: str | None, connect: float, silence: float | None) -> Any:
    """Open connections.

    Parameters
    ----------
    proxy : str or None
        What they lead through.
    connect : float
        Seconds in which a connection is to be made.
    silence : float or None
        Seconds in which no byte comes, at most; None for any number.

    Returns
    -------
    urllib3.PoolManager

    Raises
    ------
    RemoteError
        If the proxy cannot be one.
    """
    from urllib3 import PoolManager, ProxyManager, Timeout, make_headers
    from urllib3.exceptions import HTTPError
    from urllib3.util import parse_url

    options: dict[str, Any] = {
        "timeout": Timeout(connect=connect, read=silence),
        "maxsize": 16,
    }
    if proxy is None:
        return PoolManager(**options)
    try:
        auth = parse_url(proxy).auth
        headers = make_headers(proxy_basic_auth=auth) if auth else None
        return ProxyManager(proxy, proxy_headers=headers, **options)
    except HTTPError as error:
        raise RemoteError(
            f"the proxy of the environment cannot be used ({reason_of(error)}); expected one such "
            f"as http://host:port; correct or unset https_proxy and all_proxy"
        ) from error


def reason_of(error: BaseException) -> str:
    """Return what the system or the library said first, without objects and addresses.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str
    """
    while isinstance(error.__cause__, Exception):
        error = error.__cause__
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "")
    text = " ".join(str(text or error).split())
    return text if len(text) <= 160 else f"{text[:157]}..."
