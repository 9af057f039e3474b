"""Addresses: where a dataset or a store is that is not on this machine.

Every function and command that takes a path asks :func:`locate` what it is. There is no second
place that looks for ``://``.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from mtfast.errors import MtfastError

__all__ = ["BUCKETS", "WEB", "Address", "locate", "without_secrets"]

BUCKETS = ("s3", "s3a", "gs", "az", "abfs", "abfss", "adl")
"""Schemes of object storage, that is read and written."""

WEB = ("http", "https")
"""Schemes of web servers, that are read."""

# pathlib makes "s3:/bucket" of "s3://bucket". One letter before the colon is a drive of Windows.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/(/?)")
# A container of Azure comes before an "@" too, but has no ":".
_PASSWORD = re.compile(r"(:/{1,2})[^\s/@:]*:[^\s/]*@")
_QUERY = re.compile(r"(\bhttps?:/[^\s?]*\?)[^\s);]+")


@dataclass(frozen=True, repr=False)
class Address:
    """An address such as ``s3://bucket/sets/Graphene.zip`` or ``https://host/Graphene.zip``.

    Attributes
    ----------
    scheme : str
        Such as "s3", in lower case.
    host : str
        A bucket, or a server with its port; with the user and password if the address has some.
    key : str
        What follows, without a "/" at either end, and not percent-encoded; "" for all of it.
    query : str
        What follows a "?", as it stands; signed addresses have one.

    Examples
    --------
    >>> address = Address.parse("s3://flakes/sets/Graphene/")
    >>> address.host, address.key, address.name
    ('flakes', 'sets/Graphene', 'Graphene')
    >>> str(address / "train_images")
    's3://flakes/sets/Graphene/train_images'
    """

    scheme: str
    host: str
    key: str
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Read an address.

        Parameters
        ----------
        text : str

        Returns
        -------
        Address

        Raises
        ------
        MtfastError
            If it has no host, or characters that no address has.
        """
        try:
            parts = urlsplit(text)
        except ValueError as error:
            raise _malformed(text, str(error)) from error
        scheme = parts.scheme.lower()
        path = parts.path
        if scheme not in WEB:
            # Names in buckets may have any character, of which "?" and "#" mean nothing there.
            rest = text.partition("://")[2]
            parts = parts._replace(netloc=rest.partition("/")[0], query="")
            path = rest.partition("/")[2]
        elif parts.fragment:
            raise _malformed(text, "it has a '#'")
        if not parts.netloc:
            raise _malformed(text, "it has no host")
        if scheme in BUCKETS and ":" in parts.netloc.rpartition("@")[0]:
            raise _malformed(text, "it has keys in it, which belong in the environment")
        if any(part in (".", "..") for part in path.split("/")):
            raise _malformed(text, "it has '.' or '..' in it")
        key = "/".join(part for part in path.split("/") if part)
        return cls(scheme, parts.netloc, unquote(key) if scheme in WEB else key, parts.query)

    @property
    def name(self) -> str:
        """The last part, of a bucket or server its name."""
        return self.key.rpartition("/")[2] or self.host

    @property
    def stem(self) -> str:
        """The name without its ending."""
        return Path(self.name).stem

    @property
    def root(self) -> Address:
        """The bucket or server."""
        return replace(self, key="", query="")

    @property
    def parent(self) -> Address:
        """The folder that it is in; that of a bucket or server is itself."""
        return replace(self, key=self.key.rpartition("/")[0], query="")

    def __truediv__(self, name: str) -> Address:
        """Return the address of something below."""
        name = name.strip("/")
        return replace(self, key=f"{self.key}/{name}".strip("/"), query="") if name else self

    @property
    def url(self) -> str:
        """What it is opened by: percent-encoded where that is usual, with password and query."""
        key = quote(self.key, safe="/!$&'()*+,;=:@~") if self.scheme in WEB else self.key
        query = f"?{self.query}" if self.query else ""
        return (
            f"{self.scheme}://{self.host}/{key}{query}" if key else f"{self.scheme}://{self.host}"
        )

    def __str__(self) -> str:
        """Return it for people: without a password, or a query that may be a signature."""
        # Azure has a container before the "@".
        host = self.host if self.scheme in BUCKETS else self.host.rpartition("@")[2]
        query = "?…" if self.query else ""
        return (
            f"{self.scheme}://{host}/{self.key}{query}" if self.key else f"{self.scheme}://{host}"
        )

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"


def locate(path: str | os.PathLike[str] | Address) -> Path | Address:
    """Return what a path is that a user gave: one of this machine, or an address.

    Parameters
    ----------
    path : str, path-like or Address

    Returns
    -------
    Path or Address
        A path as given, neither resolved nor made absolute. Whether anything is there is not
        looked at, nor whether the scheme is one that can be read.

    Raises
    ------
    MtfastError
        If it is an address without a host, one that pathlib has shortened, or one with something
        before it, such as a quote.

    Examples
    --------
    >>> locate("sets/graphene.zarr").name
    'graphene.zarr'
    >>> locate("S3://flakes/graphene.zarr")
    Address('s3://flakes/graphene.zarr')
    """
    if isinstance(path, Address):
        return path
    text = os.fspath(path)
    found = _SCHEME.match(text)
    if found is None:
        if _SCHEME.search(text) and "://" in text:
            # Such as an address in quotes of which the shell has left one pair.
            raise MtfastError(
                f"{text!r} has an address in it; expected it alone, as s3://bucket/graphene.zarr; "
                f"leave out what stands before it"
            )
        return Path(text)
    if not found[2]:
        raise MtfastError(
            f"{without_secrets(text)} has one slash after its scheme, as pathlib leaves it; "
            f"expected two; give the address as text, "
            f"{without_secrets(f'{found[1]}://{text[found.end() :]}')}"
        )
    if found[1].lower() == "file":
        raise MtfastError(
            f"{text} is an address of a file; expected a path on this machine; leave out 'file://'"
        )
    return Address.parse(text)


def without_secrets(text: str) -> str:
    """Return a text in which addresses have no password and no query, for messages.

    Parameters
    ----------
    text : str
        Such as an error of another library.

    Returns
    -------
    str

    Examples
    --------
    >>> without_secrets("no answer from https://me:secret@host/a.zip?signature=abc in 3 s")
    'no answer from https://host/a.zip?… in 3 s'
    """
    return _QUERY.sub(r"\1…", _PASSWORD.sub(r"\1", text))


def _malformed(text: str, why: str) -> MtfastError:
    text = without_secrets(text)
    return MtfastError(
        f"{text} is no address ({why}); expected one such as s3://bucket/graphene.zarr; correct it"
    )
