"""Objects in buckets (S3, Google, Azure) and files of web servers, through obstore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from mtfast.addresses import WEB, Address
from mtfast.errors import RemoteError
from mtfast.remote.objects import Stat
from mtfast.version import installed_version

__all__ = ["BucketObjects"]

# Beyond this an object is sent in parts.
ONE_PUT = 64 << 20
CONNECT = timedelta(seconds=10)
# Of a request, and of a stretch in which no byte comes.
REQUEST, SILENCE = timedelta(seconds=300), timedelta(seconds=30)
RETRIES = 5
RETRY_SECONDS = timedelta(seconds=60)


class BucketObjects:
    """See :class:`mtfast.remote.objects.Objects`.

    Parameters
    ----------
    address : Address
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self._store: Any = None
        self._owner = 0

    def __repr__(self) -> str:
        return f"<objects at {self.address}>"

    def __reduce__(self) -> tuple[Callable[[Address], BucketObjects], tuple[Address]]:
        return BucketObjects, (self.address,)

    def stat(self, key: str) -> Stat:
        """Look at an object; FileNotFoundError if there is none."""
        with self._explained(key):
            return _stat(self._opened().head(self._path(key)))

    def read(self, key: str) -> bytes:
        """Read an object whole; FileNotFoundError if there is none."""
        with self._explained(key):
            return bytes(self._opened().get(self._path(key)).bytes())

    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Read a range of an object with one request."""
        with self._explained(key):
            data = self._opened().get_range(self._path(key), start=start, length=length)
        return self._whole(key, data, start, length)

    def read_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """Read ranges of an object, neighbouring ones with one request."""
        with self._explained(key):
            read = self._opened().get_ranges(self._path(key), starts=starts, lengths=lengths)
        return [
            self._whole(key, data, start, length)
            for data, start, length in zip(read, starts, lengths, strict=True)
        ]

    def list(self, key: str = "") -> tuple[list[tuple[str, Stat]], list[str]]:
        """List what is in a folder."""
        prefix = self._path(key)
        with self._explained(key):
            found = self._opened().list_with_delimiter(prefix or None)
        skipped = len(prefix) + 1 if prefix else 0
        objects = [(meta["path"][skipped:], _stat(meta)) for meta in found["objects"]]
        folders = [path[skipped:].rstrip("/") for path in found["common_prefixes"]]
        # An object that stands for its folder has no name of its own.
        return sorted((name, stat) for name, stat in objects if name), sorted(folders)

    def walk(self, key: str = "") -> Iterator[tuple[str, Stat]]:
        """Iterate over all objects below a folder."""
        skipped = len(self.address.key) + 1 if self.address.key else 0
        with self._explained(key):
            for chunk in self._opened().list(self._path(key) or None):
                for meta in chunk:
                    yield meta["path"][skipped:], _stat(meta)

    def write(self, key: str, data: bytes | Iterable[bytes], *, new: bool = False) -> Stat:
        """Write an object, whole or not at all."""
        if not isinstance(data, bytes | bytearray | memoryview):
            data = b"".join(data)
        # S3 has no condition for what is sent in parts.
        parts = len(data) > ONE_PUT and not new
        mode = "create" if new else "overwrite"
        with self._explained(key):
            made = self._opened().put(
                self._path(key), data, mode=mode, use_multipart=parts, chunk_size=ONE_PUT
            )
        return Stat(len(data), made["e_tag"] or "")

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        if keys:
            with self._explained(keys[0]):
                self._opened().delete([self._path(key) for key in keys])

    def _path(self, key: str) -> str:
        return f"{self.address.key}/{key}".strip("/") if key else self.address.key

    def _opened(self) -> Any:
        # Each process opens its own.
        if self._owner != os.getpid():
            self._store, self._owner = _open(self.address), os.getpid()
        return self._store

    def _whole(self, key: str, data: Any, start: int, length: int) -> bytes:
        if len(data) != length:
            raise RemoteError(
                f"{self.address / key} has sent {len(data)} bytes from byte {start} on; expected "
                f"{length}; it may have been replaced or cut off: open it again"
            )
        return bytes(data)

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        """Turn the errors of obstore into ours."""
        from obstore.exceptions import (
            AlreadyExistsError,
            BaseError,
            PermissionDeniedError,
            PreconditionError,
            UnauthenticatedError,
        )

        where = self.address / key
        try:
            yield
        except (FileNotFoundError, AlreadyExistsError, PreconditionError) as error:
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else FileExistsError
            raise kind(str(where)) from error
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise RemoteError(
                f"{where} is refused ({_reason(error)}); expected the right to use it; check "
                f"{_CREDENTIALS.get(self.address.scheme, 'the user and password')}"
            ) from error
        except BaseError as error:
            raise RemoteError(
                f"{where} cannot be reached ({_reason(error)}); expected storage that answers; "
                f"check the address and the network, then run it again"
            ) from error


_S3 = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws, and AWS_REGION"
_AZURE = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
_CREDENTIALS = {
    "s3": _S3,
    "s3a": _S3,
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    **dict.fromkeys(("az", "abfs", "abfss", "adl"), _AZURE),
}


def _open(address: Address) -> Any:
    """Open the bucket or server of an address; keys are paths in it."""
    from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

    client = {
        "user_agent": f"mtfast/{installed_version()}",
        "connect_timeout": CONNECT,
        "timeout": REQUEST,
        "read_timeout": SILENCE,
        "allow_http": _is_plain(address),
    }
    retries = {"max_retries": RETRIES, "retry_timeout": RETRY_SECONDS}
    options: dict[str, Any] = {"client_options": client, "retry_config": retries}
    if address.scheme in WEB:
        return HTTPStore.from_url(f"{address.scheme}://{address.host}", **options)
    if address.scheme in ("s3", "s3a"):
        return S3Store(address.host, **options, **_credentials())
    kind = GCSStore if address.scheme == "gs" else AzureStore
    return kind.from_url(address.root.url, **options)


def _is_plain(address: Address) -> bool:
    """Whether requests are not encrypted: an address or endpoint of http, as a user gave it."""
    names = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
    endpoint = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return address.scheme == "http" or endpoint.startswith("http://")


def _credentials() -> dict[str, Any]:
    """Find the keys of S3: obstore looks in the environment alone, boto3 in profiles as well.

    Without any, requests are not signed: public buckets take these.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE"):
        return {}
    from boto3 import Session
    from obstore.auth.boto3 import Boto3CredentialProvider

    session = Session()
    if session.get_credentials() is None:
        return {"skip_signature": True}
    return {"credential_provider": Boto3CredentialProvider(session)}


def _stat(meta: Any) -> Stat:
    return Stat(meta["size"], meta["e_tag"] or meta["last_modified"].isoformat())


def _reason(error: Exception) -> str:
    """Return the first line of an error of obstore: the rest is its source, and the request."""
    text = str(error).partition("\n\nDebug source")[0].partition("\n\nUsage")[0]
    text = " ".join(text.split())
    if "<Code>" in text:
        return text.partition("<Code>")[2].partition("</Code>")[0]
    return text if len(text) <= 200 else f"{text[:197]}..."
