"""Objects in buckets (S3, Google, Azure) and files of web servers, through obstore."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import timedelta
from typing import Any, BinaryIO

# Here, not where they are used: obstore fails where threads import parts of it at once.
from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import AzureStore, GCSStore, HTTPStore, S3Store

from mtfast.addresses import WEB, Address, without_secrets
from mtfast.errors import RefusedError, RemoteError
from mtfast.remote.connections import header_of
from mtfast.remote.objects import Stat
from mtfast.remote.relay import keep_in_forks, relayed
from mtfast.remote.settings import (
    CONNECT_SECONDS,
    S3_ENDPOINTS,
    check_s3_settings,
    n_retries,
    silence,
)
from mtfast.remote.waiting import interruptible, waiting_for, watched
from mtfast.version import installed_version

__all__ = ["BucketObjects"]

# Beyond this an object is sent in parts, of which so many are in memory.
ONE_PUT = 64 << 20
PART, PARTS_AT_ONCE = 16 << 20, 4
# Up to this an object is sent in a moment: 8 s are enough at 32 kB/s.
SHORT = 1 << 18
# Beyond this an object is not read into memory.
MOST_AT_ONCE = 1 << 31
REQUEST = timedelta(seconds=300)
# Of a request that sends much. While it does so no byte comes: 256 MB at 140 kB/s.
SENDING = timedelta(seconds=1800)
# Of a request that fails, with all its tries.
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
        self._sender: Any = None
        self._refuses_head = False
        keep_in_forks(self)

    def __repr__(self) -> str:
        return f"<objects at {self.address}>"

    def __reduce__(self) -> tuple[Callable[[Address], BucketObjects], tuple[Address]]:
        return BucketObjects, (self.address,)

    @watched
    @interruptible
    @relayed
    def stat(self, key: str) -> Stat:
        """Look at an object; FileNotFoundError if there is none."""
        # What is signed for reading is not signed for HEAD.
        if not (self.address.query or self._refuses_head):
            with self._explained(key):
                try:
                    return _stat(self._opened().head(self._path(key)))
                except (BaseError, FileNotFoundError) as error:
                    # obstore takes 405 for a missing file.
                    if not _NO_HEAD.search(str(error)):
                        raise
            self._refuses_head = True
        return self._stat_by_reading(key)

    def _stat_by_reading(self, key: str) -> Stat:
        """Ask for the first byte of an object: the answer has the size of all of it."""
        with self._explained(key):
            try:
                found = self._opened().get(self._path(key), options={"range": (0, 1)})
            except BaseError as error:
                # An empty object has no first byte. One that is sent whole is not read here.
                if not (_NO_RANGE.search(str(error)) or _ignores_ranges(error)):
                    raise
                found = self._opened().get(self._path(key))
            return _stat(found.meta)

    @watched
    @interruptible
    @relayed
    def read(self, key: str) -> bytes:
        """Read an object whole; FileNotFoundError if there is none."""
        with self._explained(key):
            return bytes(self._opened().get(self._path(key)).bytes())

    @watched
    @interruptible
    @relayed
    def read_range(self, key: str, start: int, length: int) -> bytes:
        """Read a range of an object with one request."""
        with self._explained(key):
            data = self._opened().get_range(self._path(key), start=start, length=length)
        return self._whole(key, data, start, length)

    @watched
    @interruptible
    @relayed
    def read_ranges(self, key: str, starts: Sequence[int], lengths: Sequence[int]) -> list[bytes]:
        """Read ranges of an object, neighbouring ones with one request."""
        with self._explained(key):
            read = self._opened().get_ranges(self._path(key), starts=starts, lengths=lengths)
        return [
            self._whole(key, data, start, length)
            for data, start, length in zip(read, starts, lengths, strict=True)
        ]

    @watched
    @interruptible
    @relayed
    def read_part(
        self, key: str, start: int | None = None, length: int | None = None
    ) -> tuple[bytes, Stat]:
        """Read an object, a range of it or its end, and learn what object it is of."""
        if length is not None and start is None and self.address.scheme in _AZURE_SCHEMES:
            # Azure has no requests for the end.
            size = self.stat(key).n_bytes
            start, length = max(size - length, 0), min(size, length)
        asked: Any = None
        if length is not None:
            asked = {"suffix": length} if start is None else (start, start + length)
        with self._explained(key):
            got = self._opened().get(self._path(key), options={"range": asked} if asked else None)
            found, (begin, _) = _stat(got.meta), got.range
            if asked is None and found.n_bytes > MOST_AT_ONCE:
                raise self._too_large(key, found.n_bytes)
            data = got.bytes()
        if length is None or start is None:
            length = min(length or found.n_bytes, found.n_bytes)
        return self._whole(key, data, begin, length), found

    @watched
    @interruptible
    @relayed
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

    @relayed
    def walk(self, key: str = "") -> Iterator[tuple[str, Stat]]:
        """Iterate over all objects below a folder."""
        skipped = len(self.address.key) + 1 if self.address.key else 0
        with self._explained(key):
            chunks = iter(self._opened().list(self._path(key) or None))
            while chunk := self._next_of(chunks):
                # An object that stands for the folder itself is not below it.
                found = ((meta["path"][skipped:], meta) for meta in chunk)
                yield from ((name, _stat(meta)) for name, meta in found if name)

    def _next_of(self, chunks: Iterator[Any]) -> Any:
        with waiting_for(self.address.root):
            return next(chunks, None)

    @relayed
    def write(
        self, key: str, data: bytes | BinaryIO, *, new: bool = False, over: str | None = None
    ) -> Stat:
        """Write an object, whole or not at all."""
        whole = isinstance(data, bytes)
        n_bytes = len(data) if isinstance(data, bytes) else _n_bytes(data)
        conditional = new or over is not None
        # To send a large object takes longer than an answer does.
        is_short = n_bytes <= SHORT
        with self._explained(key), waiting_for(self.address.root) if is_short else nullcontext():
            made = self._opened_to_send().put(
                self._path(key),
                data,
                mode="create" if new else "overwrite" if over is None else self._same(key, over),
                # S3 has no condition for what is sent in parts.
                use_multipart=not whole or (n_bytes > ONE_PUT and not conditional),
                chunk_size=PART,
                max_concurrency=PARTS_AT_ONCE,
            )
        return Stat(n_bytes, _stamp(made["e_tag"]))

    def _same(self, key: str, stamp: str) -> dict[str, str]:
        """Return the condition that an object is still the one with this stamp."""
        meta = self._opened().head(self._path(key))
        if _stat(meta).stamp != stamp:
            raise FileExistsError(str(self.address / key))
        # Google goes by the version, others by the tag.
        return {name: meta[name] for name in ("e_tag", "version") if meta[name]}

    @watched
    @relayed
    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects."""
        try:
            self._delete(keys)
        except FileNotFoundError:
            # S3 says nothing of what is not there. Google and Azure do, and may leave the rest.
            for key in keys:
                with suppress(FileNotFoundError):
                    self._delete([key])

    def _delete(self, keys: Sequence[str]) -> None:
        if keys:
            with self._explained(keys[0]):
                self._opened().delete([self._path(key) for key in keys])

    def _path(self, key: str) -> str:
        return f"{self.address.key}/{key}".strip("/") if key else self.address.key

    def _opened(self) -> Any:
        if self._store is None:
            self._store = self._made()
        return self._store

    def _opened_to_send(self) -> Any:
        if self._sender is None:
            self._sender = self._made(sending=True)
        return self._sender

    def _made(self, sending: bool = False) -> Any:
        try:
            return _open(self.address, sending)
        except BaseError as error:
            # No request has been made.
            raise RefusedError(
                f"{self.address.root} cannot be opened ({_reason(error)}); expected the settings "
                f"of its storage; check {_CREDENTIALS.get(self.address.scheme, 'the address')}"
            ) from error

    def _too_large(self, key: str, n_bytes: int) -> RemoteError:
        return RemoteError(
            f"{self.address / key} has {n_bytes:,} bytes; expected at most {MOST_AT_ONCE:,} to be "
            f"read at once; check the address"
        )

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
        where = self.address / key
        try:
            yield
        except (FileNotFoundError, AlreadyExistsError, PreconditionError) as error:
            kind = FileNotFoundError if isinstance(error, FileNotFoundError) else FileExistsError
            raise kind(str(where)) from error
        except BaseError as error:
            refusals = PermissionDeniedError, UnauthenticatedError
            if isinstance(error, refusals) or _REFUSED.search(str(error)):
                raise RefusedError(
                    f"{where} is refused ({_reason(error)}); expected the right to use it; check "
                    f"{_CREDENTIALS.get(self.address.scheme, _OF_WEB)}"
                ) from error
            if _ignores_ranges(error):
                raise RemoteError(
                    f"{where} is on a server that sends whole files where parts of them are asked "
                    f"for; expected one that answers requests with the header Range; serve it with "
                    f"nginx or Apache, or copy it"
                ) from error
            raise RemoteError(
                f"{where} cannot be reached ({_reason(error)}); expected storage that answers; "
                f"check the address and the network, then run it again"
            ) from error


# Of a listing that is refused obstore makes an error of no kind.
_REFUSED = re.compile(r"status code: 40[13]\b|<Code>AccessDenied")

# Servers that have GET alone.
_NO_HEAD = re.compile(r"status code: (405|501)\b")
_NO_RANGE = re.compile(r"status code: 416\b")

_OF_WEB = "the user and password, or the signature"
_S3 = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or the profile in ~/.aws, and AWS_REGION"
_AZURE = "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
_AZURE_SCHEMES = ("az", "abfs", "abfss", "adl")
_CREDENTIALS = {
    "s3": _S3,
    "s3a": _S3,
    "gs": "GOOGLE_APPLICATION_CREDENTIALS",
    **dict.fromkeys(_AZURE_SCHEMES, _AZURE),
}


def _open(address: Address, sending: bool = False) -> Any:
    """Open the bucket or server of an address; keys are paths in it."""
    client = {
        "user_agent": f"mtfast/{installed_version()}",
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "timeout": SENDING if sending else REQUEST,
        "allow_http": _is_plain(address),
    }
    if not sending:
        client["read_timeout"] = timedelta(seconds=silence())
    # From the first try on, which may have sent for long before its connection was cut.
    patience = SENDING if sending else RETRY_SECONDS
    retries = {"max_retries": n_retries(), "retry_timeout": patience}
    options: dict[str, Any] = {"client_options": client, "retry_config": retries}
    if address.scheme in WEB:
        user, _, host = address.host.rpartition("@")
        if user:
            # obstore leaves out what an address has of it.
            client["default_headers"] = header_of(user)
        # The query, which may be a signature, goes with every request.
        query = f"?{address.query}" if address.query else ""
        return HTTPStore.from_url(f"{address.scheme}://{host}{query}", **options)
    if address.scheme in ("s3", "s3a"):
        check_s3_settings()
        return S3Store(address.host, **options, **_credentials(address))
    kind = GCSStore if address.scheme == "gs" else AzureStore
    return kind.from_url(address.root.url, **options)


def _is_plain(address: Address) -> bool:
    """Whether requests are not encrypted: an address or endpoint of http, as a user gave it."""
    endpoint = next((os.environ[name] for name in S3_ENDPOINTS if os.environ.get(name)), "")
    return address.scheme == "http" or endpoint.lower().startswith("http://")


def _credentials(address: Address) -> dict[str, Any]:
    """Find the keys of S3: obstore looks in the environment alone, boto3 in profiles as well.

    Without any, requests are not signed: public buckets take these.
    """
    if os.environ.get("AWS_ACCESS_KEY_ID") or os.environ.get("AWS_SKIP_SIGNATURE"):
        return {}
    from boto3 import Session
    from botocore.exceptions import BotoCoreError
    from obstore.auth.boto3 import Boto3CredentialProvider

    try:
        session = Session()
        if session.get_credentials() is None:
            return {"skip_signature": True}
        return {"credential_provider": Boto3CredentialProvider(session)}
    except BotoCoreError as error:
        raise RefusedError(
            f"{address} needs credentials ({_reason(error)}); expected a profile that has them; "
            f"check {_S3}"
        ) from error


def _ignores_ranges(error: Exception) -> bool:
    text = str(error)
    return "Range request not supported" in text or "Received non-partial response" in text


def _stat(meta: Any) -> Stat:
    # obstore says 1970 where a server says nothing.
    changed = meta["last_modified"]
    dated = changed.isoformat() if changed.timestamp() else ""
    return Stat(meta["size"], _stamp(meta["e_tag"]) or dated)


def _n_bytes(file: BinaryIO) -> int:
    """Return the size of a file, from which it is then read."""
    return file.seek(0, os.SEEK_END) - file.seek(0)


def _stamp(tag: str | None) -> str:
    """Return a tag without its quotes, which Azure leaves out in listings."""
    return (tag or "").strip('"')


def _reason(error: Exception) -> str:
    """Return the first line of an error of obstore: the rest is its source, and the request."""
    text = str(error).partition("\n\nDebug source")[0].partition("\n\nUsage")[0]
    text = without_secrets(" ".join(text.split()))
    if "<Code>" in text:
        return text.partition("<Code>")[2].partition("</Code>")[0]
    # What the server said comes last, after the address and the retries.
    text = text if len(text) <= 200 else text.rpartition(" - ")[2]
    return text if len(text) <= 200 else f"{text[:197]}..."
