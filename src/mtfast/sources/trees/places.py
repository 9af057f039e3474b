"""What a user gave for a dataset: which tree of files that is, and which file of it."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from mtfast.addresses import WEB, Address, locate
from mtfast.errors import SourceError
from mtfast.paths import advice_for, open_regular
from mtfast.remote import objects_at
from mtfast.sources.coco.names import is_json
from mtfast.sources.files import FileTree, Folder
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.known import file_wanted
from mtfast.sources.trees.bucket import BucketContents
from mtfast.sources.trees.listed import ListedTree
from mtfast.sources.trees.web import WebContents
from mtfast.sources.trees.zip_file import ZipContents

__all__ = ["folder_at", "place_of"]

_DATASET = f"a folder with a dataset, a zip of one, or {file_wanted()}"
# Folders that are part of a dataset, not the dataset itself.
_PARTS = {"rle_annotations", "annotations", "images", "instance_masks"}


def place_of(given: str | os.PathLike[str] | Address) -> tuple[FileTree, str]:
    """Find the files of what a user gave.

    Parameters
    ----------
    given : str, path-like or Address
        A folder, a file or a zip; of this machine, a bucket or a web server.

    Returns
    -------
    files : FileTree
        Of the folder or zip, or of the folder that the file is in.
    file : str
        Its name there; "" for a folder or zip.

    Raises
    ------
    SourceError
        If nothing is there.
    MtfastError
        If nothing reads such an address.
    """
    at = locate(given)
    return _place_at(at) if isinstance(at, Address) else _place_here(at.absolute())


def folder_at(given: str | os.PathLike[str] | Address) -> FileTree:
    """Return the tree of a folder or zip that a user gave, whether there is one or not.

    Parameters
    ----------
    given : str, path-like or Address

    Returns
    -------
    FileTree
    """
    at = locate(given)
    if isinstance(at, Address):
        _expect_known(at)
        found = _in_zip_at(at)
    else:
        at = at.absolute()
        found = _in_zip(at)
    if found is None:
        return _folder_of(at) if isinstance(at, Address) else Folder(at)
    contents, inner = found
    return ListedTree(contents, inner) if inner else _images_of(ListedTree(contents))


def _place_here(path: Path) -> tuple[FileTree, str]:
    if path.is_dir():
        return Folder(path), ""
    found = _in_zip(path)
    if found is not None:
        contents, inner = found
        return _place_in(ListedTree(contents), inner, str(path))
    if not path.exists():
        raise SourceError(
            f"no such file or folder: {path}; expected {_DATASET}; {advice_for(path)}"
        )
    return Folder(path.parent), path.name


def _in_zip(path: Path) -> tuple[ZipContents, str] | None:
    """Open the zip that a path leads to or into; None if there is none."""
    for zipped in (path, *path.parents):
        if zipped.is_file():
            if not _is_zip(zipped):
                return None
            return ZipContents(zipped), path.relative_to(zipped).as_posix().removeprefix(".")
    return None


def _is_zip(path: Path) -> bool:
    if path.name.lower().endswith(".zip") or is_json(path.name):
        return not is_json(path.name)
    try:
        with os.fdopen(open_regular(path), "rb") as file:
            return file.read(4) == b"PK\x03\x04"
    except OSError:
        return False


def _place_in(files: FileTree, inner: str, shown: str) -> tuple[FileTree, str]:
    """Find a file or folder in a zip, or the dataset in all of it."""
    if not inner:
        return _entrance(files), ""
    if files.exists(inner):
        folder, _, name = inner.rpartition("/")
        return files.below(folder), name
    if files.names(inner) is None:
        raise SourceError(
            f"no such file or folder: {shown}; expected {_DATASET}; check the path in the zip"
        )
    return files.below(inner), ""


def _entrance(files: FileTree) -> FileTree:
    """Return the one folder that a zip holds, as most do, or all of it."""
    folders = files.folders()
    if len(folders) != 1 or ImageFolder(files).names() or any(map(is_json, files.names() or ())):
        return files
    name = folders[0].lower()
    is_part = name in _PARTS or name.endswith(("_images", "_masks"))
    return files if is_part else files.below(folders[0])


def _images_of(files: FileTree) -> FileTree:
    """Return the folder of a zip of images that holds them: all, or the one that is there."""
    while not ImageFolder(files).names() and len(folders := files.folders()) == 1:
        files = files.below(folders[0])
    return files


def _place_at(address: Address) -> tuple[FileTree, str]:
    _expect_known(address)
    if (found := _in_zip_at(address)) is not None:
        contents, inner = found
        return _place_in(ListedTree(contents), inner, str(address))
    if is_json(address.name):
        files = _folder_of(address.parent)
        if not files.exists(address.name):
            raise _missing(address)
        return files, address.name
    tree = _folder_of(address)
    if tree.names() is None:
        if isinstance(tree.contents, WebContents) and not tree.contents.lists:
            raise _unlisted(address)
        raise _missing(address)
    return tree, ""


def _expect_known(address: Address) -> None:
    """Refuse what nothing reads by the address that was given, not by that of its host."""
    objects_at(address)


def _in_zip_at(address: Address) -> tuple[ZipContents, str] | None:
    """Open the zip that an address leads to or into; None if there is none in it."""
    parts = address.key.split("/")
    n = next((k for k, part in enumerate(parts, 1) if part.lower().endswith(".zip")), 0)
    if n:
        inner = "/".join(parts[n:])
        try:
            return ZipContents(replace(address, key="/".join(parts[:n]))), inner
        except FileNotFoundError as error:
            # A folder may be called so, too.
            if not inner:
                raise _missing(address) from error
    if address.query:
        raise SourceError(
            f"{address} has a query, which only the address of a zip may have; expected a "
            f"folder or a COCO .json file without one; leave out what follows the '?'"
        )
    return None


def _folder_of(address: Address) -> ListedTree:
    if address.scheme in WEB:
        return ListedTree(WebContents(address.root, address.key), address.key)
    return ListedTree(BucketContents(address.root), address.key)


def _missing(address: Address) -> SourceError:
    return SourceError(
        f"nothing is at {address}; expected {_DATASET}; check the address, and the rights to list"
    )


def _unlisted(address: Address) -> SourceError:
    return SourceError(
        f"{address} is no folder that its server lists; expected a page of links, as Apache and "
        f"nginx make it, or the address of a zip or a .json file; give that of a zip or file"
    )
