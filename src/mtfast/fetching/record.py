"""The record of the published sets at Zenodo: its files, how long they are, their checksums.

Zenodo answers ``/api/records/NUMBER`` with a JSON object whose ``files`` have a ``key``, a
``size``, a ``checksum`` such as "md5:…" and ``links.self``, the address of the bytes. Where it does
not answer, ``/records/NUMBER/files/KEY`` leads to the same bytes, without a checksum.

Source: https://developers.zenodo.org and answers of the server that others have published.
"""

from __future__ import annotations

import os
from typing import NamedTuple
from urllib.parse import quote, urlsplit

import msgspec

from mtfast.addresses import WEB, without_secrets
from mtfast.errors import MtfastError, RemoteError, counted, shown
from mtfast.fetching.web import MOST_FAILURES_AT_FIRST, Web

__all__ = ["RECORD", "SERVER", "RemoteFile", "direct_file", "published_files"]

RECORD = 15765514
SERVER = "MTFAST_ZENODO_URL"
"""The environment variable for another server that has the record: a mirror, or one for tests."""

_ZENODO = "https://zenodo.org"
# Sixteen files take 10 kB.
_MOST_BYTES = 1 << 22


class RemoteFile(NamedTuple):
    """A file of the record.

    Attributes
    ----------
    name : str
    url : str
        Where its bytes are.
    n_bytes : int or None
        None where the record has not answered.
    checksum : str
        Such as "md5:…"; "" where the record states none.
    """

    name: str
    url: str
    n_bytes: int | None = None
    checksum: str = ""


class _Links(msgspec.Struct):
    url: str = msgspec.field(name="self")


class _File(msgspec.Struct):
    key: str
    size: int
    links: _Links
    checksum: str = ""


class _Record(msgspec.Struct):
    files: list[_File]


def published_files(web: Web, tries: int = MOST_FAILURES_AT_FIRST) -> dict[str, RemoteFile]:
    """Ask the record for its files.

    Parameters
    ----------
    web : Web
    tries : int
        How often at most.

    Returns
    -------
    dict of str to RemoteFile
        By name.

    Raises
    ------
    RemoteError
        If it cannot be asked, or answers something else.
    """
    url = f"{_server()}/api/records/{RECORD}"
    text = web.patiently(lambda: _read(web, url), tries)
    try:
        record = msgspec.json.decode(text, type=_Record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RemoteError(
            f"{url} has sent no record ({error}); expected its files as JSON; look at it with a "
            f"browser"
        ) from error
    return {
        file.key: RemoteFile(file.key, _checked(file.links.url), file.size, file.checksum)
        for file in record.files
    }


def direct_file(name: str) -> RemoteFile:
    """Return a file of the record without asking for it.

    Parameters
    ----------
    name : str

    Returns
    -------
    RemoteFile
        Of unknown size, and without a checksum.

    Examples
    --------
    >>> direct_file("Real_WS2.zip").url
    'https://zenodo.org/records/15765514/files/Real_WS2.zip?download=1'
    """
    return RemoteFile(name, f"{_server()}/records/{RECORD}/files/{quote(name)}?download=1")


def _server() -> str:
    server = os.environ.get(SERVER) or _ZENODO
    parts = urlsplit(server)
    # urllib3 would not send a password, and messages would show it.
    if parts.scheme not in WEB or not parts.netloc or "@" in parts.netloc:
        raise MtfastError(
            f"{SERVER} is {shown(without_secrets(server))}; expected an address such as "
            f"{_ZENODO}, without user and password; correct it or unset it"
        )
    return server.rstrip("/")


def _read(web: Web, url: str) -> bytes:
    read = bytearray()
    with web.get(url) as answer:
        for data in web.chunks(url, answer):
            read += data
            if len(read) > _MOST_BYTES:
                raise RemoteError(
                    f"{url} has sent more than {counted(_MOST_BYTES, 'byte')}; expected a record; "
                    f"look at it with a browser"
                )
    return bytes(read)


def _checked(url: str) -> str:
    """Refuse what leads elsewhere than to a web server, or from an encrypted one to another."""
    allowed = WEB if _server().startswith("http:") else ("https",)
    if urlsplit(url).scheme not in allowed:
        raise RemoteError(
            f"the record leads to {shown(url)}; expected {' or '.join(allowed)}; look at it with "
            f"a browser"
        )
    return url
