"""Which file is that of which image, where several names lead to one or another spelling does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from unicodedata import is_normalized

from mtfast.sources.bad_records import Ledger
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import FilePlace

__all__ = ["leave_to_one", "look_at", "tell_matches"]


def leave_to_one(found: Mapping[str, FilePlace]) -> dict[str, FilePlace]:
    """Leave each file to one image: the one that is called so, if several names lead to it.

    Parameters
    ----------
    found : mapping
        Name of an image -> the file that it leads to.

    Returns
    -------
    dict
        Without names that lead to one file of which none is its own.
    """
    taken: dict[tuple[str, int | None], dict[str, FilePlace]] = {}
    for name, place in found.items():
        taken.setdefault((place.where(), place.page), {})[name] = place
    own: dict[str, FilePlace] = {}
    for claims in taken.values():
        exact = {name: place for name, place in claims.items() if _is_exact(place, name)}
        if len(only := exact or claims) == 1:
            own |= only
    return own


def tell_matches(found: Mapping[str, FilePlace], ledger: Ledger) -> None:
    """Say which images are found under another name than the listed one, or in a stack.

    Parameters
    ----------
    found : mapping
        Name of an image -> its file.
    ledger : Ledger
    """
    spelled = {n: place.name for n, place in found.items() if not _is_exact(place, n)}
    words = [_both_spellings(name, path) for name, path in spelled.items()]
    ledger.say("file of another spelling", list(spelled), words)
    pages = {n: place for n, place in found.items() if place.page is not None}
    words = [f"page {place.page} of {place.path}" for place in pages.values()]
    ledger.say("page of a TIFF stack", list(pages), words)


def look_at(places: Iterable[FilePlace]) -> None:
    """Let the trees of files that are asked for one after another look at all of them at once.

    Parameters
    ----------
    places : iterable of FilePlace
    """
    paths: dict[FileTree, list[str]] = {}
    for place in places:
        paths.setdefault(place.files, []).append(place.path)
    for files, some in paths.items():
        files.look_at(some)


def _both_spellings(name: str, path: str) -> str:
    """Say how a file is listed and called; forms of Unicode look alike, so they are escaped."""
    if is_normalized("NFC", name) and is_normalized("NFC", path):
        return f"{name!r} is {path}"
    return f"{name!a} is {path!a}"


def _is_exact(place: FilePlace, name: str) -> bool:
    """Whether a file is called as it is listed."""
    return f"/{place.name}".endswith(f"/{name}")
