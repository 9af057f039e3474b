"""A folder of images or masks, and where files are looked up that something lists by name.

A name such as ``stack.tif[3]`` is that of a page of a TIFF stack, see
:func:`mtfast.paths.split_page`, unless a file is called so.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote

from mtfast.errors import MtfastError, RemoteError, SourceError
from mtfast.image_files import cut_page
from mtfast.limits import max_file_bytes
from mtfast.paths import split_page
from mtfast.sources.files import FileTree

__all__ = ["FilePlace", "ImageFolder", "find_first", "read_first", "spellings"]

_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


def spellings(name: str) -> list[str]:
    r"""Return what a file may be called that an annotation file lists.

    Parameters
    ----------
    name : str
        A name, a path of any system or an address.

    Returns
    -------
    list of str
        The name; with normalised slashes; then its trailing parts, the longest first.

    Examples
    --------
    >>> spellings(r"..\label\1.jpg")
    ['..\\label\\1.jpg', '../label/1.jpg', 'label/1.jpg', '1.jpg']
    >>> spellings("https://host/data/1%20b.jpg?x=1")
    ['https://host/data/1%20b.jpg?x=1', 'host/data/1 b.jpg', 'data/1 b.jpg', '1 b.jpg']
    """
    path = name
    if "://" in path:
        path = unquote(path.partition("://")[2].partition("?")[0])
    path = path.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    tails = ["/".join(parts[k:]) for k in range(len(parts))]
    return list(dict.fromkeys((name, *tails)))


class FilePlace(NamedTuple):
    """A file that may be there: a path in a tree, and which page of it if it is a stack."""

    files: FileTree
    path: str
    page: int | None = None

    @property
    def name(self) -> str:
        """The path, with the page."""
        return self.path if self.page is None else f"{self.path}[{self.page}]"

    def where(self) -> str:
        """Say where the file is, of a page its stack; see :meth:`FileTree.where`."""
        return self.files.where(self.path)

    def read(self) -> bytes:
        """Read the file; of a stack, the page as a file of its own.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        SourceError
            If it cannot be read, or has no such page.
        """
        if self.page is None:
            return self.files.read(self.path, max_file_bytes())
        with self.files.open(self.path) as stream:
            try:
                return cut_page(stream, self.page)
            except RemoteError:
                raise
            except MtfastError as error:
                raise SourceError(f"{self.name} is {error}") from error


class ImageFolder(NamedTuple):
    """A folder of images or masks: one of a tree, "" for its root."""

    files: FileTree
    folder: str = ""

    def names(self) -> tuple[str, ...] | None:
        """Return the sorted names of the image files; None if there is no such folder."""
        names = self.files.names(self.folder)
        if names is None:
            return None
        return tuple(name for name in names if name.lower().endswith(_SUFFIXES))

    def places(self, name: str) -> list[FilePlace]:
        """Return where a file is looked up that something lists by name.

        Parameters
        ----------
        name : str

        Returns
        -------
        list of FilePlace
            The name as it is, then without the folders in it, the outermost first; then those of
            the stack, if it names a page.
        """
        file, page = split_page(name)
        pages = [] if page is None else spellings(file)
        return [
            *(FilePlace(self.files, self._path(spelling)) for spelling in spellings(name)),
            *(FilePlace(self.files, self._path(spelling), page) for spelling in pages),
        ]

    def alike(self, name: str) -> FilePlace | None:
        """Find a file whose name differs in Unicode form or in case.

        Parameters
        ----------
        name : str

        Returns
        -------
        FilePlace or None
            None if there is no such file, or there are several.
        """
        file, page = split_page(name)
        found = self._alike(name)
        if found is None and page is not None and (stack := self._alike(file)):
            return stack._replace(page=page)
        return found

    def _alike(self, name: str) -> FilePlace | None:
        for spelling in spellings(name):
            folder, _, base = spelling.rpartition("/")
            here = self._path(folder)
            listing = _listing(self.files, here)
            for key in (_unicode_form, _without_case):
                found = listing.get((key.__name__, key(base)), ())
                if len(found) == 1:
                    return FilePlace(self.files, f"{here}/{found[0]}" if here else found[0])
        return None

    def _path(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder and name else self.folder or name

    def missing(self, name: str, what: str) -> SourceError:
        """Return the error for a file that is listed and not there.

        Parameters
        ----------
        name : str
        what : str
            What it is: "image" or "mask".

        Returns
        -------
        SourceError
        """
        root = self.files.name
        place = f"{self.folder or root}/"
        if self.files.names(self.folder) is None:
            return SourceError(
                f"{what} {name!r} is missing, as is its folder {place} in {root}; "
                f"expected that folder with every {what} in it; "
                f"unpack it from the dataset's archive, or go on without the {what}s"
            )
        return SourceError(
            f"{what} {name!r} is missing in {place}; expected a file for every {what} that is "
            f"listed; put it there, or remove it from the annotations"
        )


def find_first(places: Sequence[FilePlace]) -> FilePlace | None:
    """Find the first of several files that is there.

    Parameters
    ----------
    places : sequence of FilePlace

    Returns
    -------
    FilePlace or None
        None if none is there.
    """
    for place in places:
        if place.files.exists(place.path):
            return place
    return None


def read_first(places: Sequence[FilePlace]) -> bytes | None:
    """Read the first of several files that is there.

    Parameters
    ----------
    places : sequence of FilePlace

    Returns
    -------
    bytes or None
        None if none is there.

    Raises
    ------
    SourceError
        If it cannot be read.
    """
    for place in places:
        try:
            return place.read()
        except FileNotFoundError:
            continue
    return None


def _unicode_form(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _without_case(name: str) -> str:
    return _unicode_form(_unicode_form(name).casefold())


def _listing(files: FileTree, folder: str) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return the names of files in a folder by what is left without Unicode form and case."""
    changed = files.changed(folder)
    return {} if changed is None else _listed(files, folder, changed)


@lru_cache(maxsize=16)
def _listed(files: FileTree, folder: str, changed: int) -> dict[tuple[str, str], tuple[str, ...]]:
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in files.names(folder) or ():
        for key in (_unicode_form, _without_case):
            at = key.__name__, key(name)
            found[at] = (*found.get(at, ()), name)
    return found
