"""The files of a web server: listed by its pages of folders if it has such pages.

Apache, nginx and Python's http.server answer the address of a folder with an HTML page of links, if
they are told to. Where a server does not, files are looked for one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from html.parser import HTMLParser
from io import BytesIO
from secrets import token_hex
from threading import RLock
from typing import BinaryIO
from urllib.parse import unquote, urljoin, urlsplit

from mtfast.addresses import Address
from mtfast.errors import RefusedError
from mtfast.limits import MAX_JSON_BYTES
from mtfast.remote import Stat, objects_at
from mtfast.remote.pages import read_page
from mtfast.sources.files import too_long

__all__ = ["WebContents", "links_of"]

# Requests side by side: browsers make six to a host, and servers are used to more.
_N_REQUESTS = 16


class WebContents:
    """Everything on a web server, as it is when a folder is listed or a file looked for first.

    Parameters
    ----------
    location : Address
        Of the server.
    top : str
        The folder that a user gave: if the server does not list it, it lists none.
    token : str, optional
        Equal for those that may share what they have listed; by default another each time.

    Attributes
    ----------
    lists : bool
        Whether folders are listed.
    """

    is_far = True

    def __init__(self, location: Address, top: str, token: str = "") -> None:
        self.location = location
        self._objects = objects_at(location)
        self._top, self._token = top, token or token_hex(8)
        self._lock = RLock()
        self._folders: dict[str, dict[str, bool] | None] = {}
        self._stats: dict[str, Stat | None] = {}
        self.lists = self._index(top) is not None

    def __reduce__(self) -> tuple[Callable[..., WebContents], tuple[Address, str, str]]:
        return _opened, (self.location, self._top, self._token)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WebContents):
            return NotImplemented
        return (self.location, self._token) == (other.location, other._token)

    def __hash__(self) -> int:
        return hash((self.location, self._token))

    def __repr__(self) -> str:
        return f"<files of {self.location}>"

    @property
    def name(self) -> str:
        """Name of the server."""
        return self.location.name

    def listing(self, folder: str) -> dict[str, bool] | None:
        """List a folder: names, and whether each is a folder; None if it is not listed."""
        return self._index(folder) if self.lists else None

    def has(self, path: str) -> bool:
        """Whether there is such a file."""
        if not self.lists:
            return self._stat(path) is not None
        folder, _, name = path.rpartition("/")
        return (self._index(folder) or {}).get(name) is False

    def stamp(self, path: str) -> list[int | str]:
        """Return the bytes of a file, and its entity tag or time; FileNotFoundError if none."""
        found = self._stat(path)
        if found is None:
            raise FileNotFoundError(path)
        return list(found)

    def look_at(self, paths: Collection[str]) -> None:
        """Ask for many files at once."""
        with ThreadPoolExecutor(_N_REQUESTS) as pool:
            list(pool.map(self._stat, paths))

    def open(self, path: str) -> BinaryIO:
        """Read a file: many servers send no parts of files."""
        return self.whole(path)

    def whole(self, path: str) -> BinaryIO:
        """Read a file with one request."""
        return BytesIO(self.read(path, MAX_JSON_BYTES))

    def read(self, path: str, most: int) -> bytes:
        """Read a file with one request; FileNotFoundError if there is none."""
        known = self._stats.get(path)
        if known is not None and known.n_bytes > most:
            raise too_long(path, known.n_bytes, most)
        data = self._objects.read(path)
        if len(data) > most:
            raise too_long(path, len(data), most)
        return data

    def _stat(self, path: str) -> Stat | None:
        if path not in self._stats:
            try:
                self._stats[path] = self._objects.stat(path)
            except FileNotFoundError:
                self._stats[path] = None
        return self._stats[path]

    def _index(self, folder: str) -> dict[str, bool] | None:
        with self._lock:
            if folder not in self._folders:
                self._folders[folder] = self._read_index(folder)
            return self._folders[folder]

    def _read_index(self, folder: str) -> dict[str, bool] | None:
        try:
            page = read_page(self.location / folder)
        except FileNotFoundError:
            return None
        except RefusedError:
            # Many servers forbid it: the files may be read all the same.
            return None
        return None if page is None else links_of(page, (self.location / folder).url + "/")


@lru_cache(maxsize=8)
def _opened(location: Address, top: str, token: str) -> WebContents:
    """List a server once in each process that is sent it."""
    return WebContents(location, top, token)


class _Page(HTMLParser):
    """The links of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note a link."""
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]


def links_of(page: bytes, url: str) -> dict[str, bool] | None:
    """Return what is in a folder, by the page that a server has of it.

    Parameters
    ----------
    page : bytes
        HTML.
    url : str
        Of the folder, with a "/" at its end.

    Returns
    -------
    dict or None
        Names, and whether each is a folder; None if it is no such page.

    Examples
    --------
    >>> page = b'<title>Index of /set</title><a href="../">..</a> <a href="a%20b.jpg">a b.jpg</a>'
    >>> links_of(page, "https://host/set/")
    {'a b.jpg': False}
    """
    text = page.decode(errors="replace")
    head = text[:4096].lower()
    if not any(sign in head for sign in ("index of", "directory listing", "<title>listing")):
        return None
    parser = _Page()
    parser.feed(text)
    return dict(_inside(parser.links, url))


def _inside(links: list[str], url: str) -> Iterator[tuple[str, bool]]:
    """Yield what is in a folder itself: not the folder above, columns to sort by, other hosts."""
    here = urlsplit(url)
    for link in links:
        to = urlsplit(urljoin(url, link))
        path, above = unquote(to.path), unquote(here.path)
        if (to.netloc, to.query) != (here.netloc, "") or not path.startswith(above):
            continue
        name = path[len(above) :].removesuffix("/")
        if name and "/" not in name:
            yield name, path.endswith("/")
