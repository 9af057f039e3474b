"""Pages of web servers.

Apache and nginx send those of their folders without a length. obstore reads only what has one.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from mtfast.addresses import Address, without_secrets
from mtfast.errors import RefusedError, RemoteError
from mtfast.remote.connections import header_of, open_pool, proxy_for, reason_of
from mtfast.remote.settings import CONNECT_SECONDS, n_retries, silence
from mtfast.remote.waiting import waiting_for
from mtfast.version import installed_version

__all__ = ["read_page"]

# Of 85,000 files, Apache makes 20 MB.
MOST_BYTES = 1 << 26
REDIRECTS = 5
BLOCK = 1 << 16


def read_page(folder: Address) -> bytes | None:
    """Read the page of a folder.

    Parameters
    ----------
    folder : Address
        Of a web server.

    Returns
    -------
    bytes or None
        HTML; None if something else is there, of which nothing is read, or far too much.

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    RemoteError
        RefusedError, if it may not be read.
    """
    from urllib3.exceptions import HTTPError

    user, _, host = folder.host.rpartition("@")
    url = replace(folder, host=host).url + "/"
    pool = open_pool(proxy_for(url), CONNECT_SECONDS, silence() or None)
    headers = {"User-Agent": f"mtfast/{installed_version()}", "Accept-Encoding": "identity"}
    try:
        with waiting_for(folder.root):
            answer = pool.request(
                "GET",
                url,
                headers=headers | header_of(user),
                retries=_retries(),
                preload_content=False,
            )
        try:
            _expect_page(folder, answer)
            return _body(answer) if "html" in answer.headers.get("Content-Type", "") else None
        finally:
            answer.close()
    except (HTTPError, OSError) as error:
        if isinstance(error, FileNotFoundError):
            raise
        raise RemoteError(
            f"{folder} cannot be reached ({without_secrets(reason_of(error))}); expected a server "
            f"that answers; check the address and the network, then run it again"
        ) from error
    finally:
        pool.clear()


def _retries() -> Any:
    from urllib3 import Retry

    n = n_retries()
    return Retry(
        total=n + REDIRECTS,
        connect=n,
        read=n,
        status=n,
        other=0,
        redirect=REDIRECTS,
        backoff_factor=0.2,
        status_forcelist=(429, 500, 502, 503, 504),
        raise_on_status=False,
        # It may ask for hours.
        respect_retry_after_header=False,
    )


def _expect_page(folder: Address, answer: Any) -> None:
    if answer.status in (404, 410):
        raise FileNotFoundError(str(folder))
    if answer.status in (401, 403):
        raise RefusedError(
            f"{folder} is refused ({answer.status}); expected the right to use it; check the user "
            f"and password"
        )
    if answer.status != 200:
        raise RemoteError(
            f"{folder} is answered with status {answer.status}; expected a page; check the "
            f"address, then run it again"
        )


def _body(answer: Any) -> bytes | None:
    read = bytearray()
    for data in answer.stream(BLOCK):
        read += data
        if len(read) > MOST_BYTES:
            return None
    return bytes(read)
