"""Paths of this machine, and the names of files inside datasets.

Names inside datasets come from strangers: folders may be separated by ``/`` or by a backslash,
on any system.
"""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePosixPath

from mtfast.errors import MtfastError

__all__ = ["base_name", "local_path", "split_page", "stem_of"]

# pathlib makes "s3:/bucket" of "s3://bucket". One letter before the colon is a drive of Windows.
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:/")
_PAGE = re.compile(r"(.+\.tiff?)\[([0-9]{1,9})\]", re.IGNORECASE | re.DOTALL)


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return a path on this machine; every function and command that takes a path calls this.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Path
        As given, neither resolved nor made absolute.

    Raises
    ------
    MtfastError
        If it is an address such as ``s3://bucket/set.zarr`` or ``https://…``.

    Examples
    --------
    >>> local_path("sets/graphene.zarr").name
    'graphene.zarr'
    """
    text = os.fspath(path)
    if _SCHEME.match(text):
        raise MtfastError(
            f"{text} is an address; expected a path on this machine; copy or mount the data"
        )
    return Path(text)


def base_name(name: str) -> str:
    """Return the last part of a name, without its folders.

    Parameters
    ----------
    name : str
        Of a file inside a dataset.

    Returns
    -------
    str

    Examples
    --------
    >>> base_name("run1/a1.jpg"), base_name("run1" + chr(92) + "a1.jpg")
    ('a1.jpg', 'a1.jpg')
    """
    return PurePosixPath(name.replace("\\", "/")).name


def split_page(name: str) -> tuple[str, int | None]:
    """Split the name of a page of a TIFF stack into the file and the page.

    Parameters
    ----------
    name : str
        Of an image inside a dataset. ``stack.tif[3]`` is the fourth page of ``stack.tif``, as
        ImageMagick and tifffile count.

    Returns
    -------
    file : str
    page : int or None
        From 0 on; None where the name is that of a file.

    Examples
    --------
    >>> split_page("run1/stack.tif[3]"), split_page("a[1].jpg")
    (('run1/stack.tif', 3), ('a[1].jpg', None))

    Notes
    -----
    Source: https://imagemagick.org/script/command-line-processing.php#selecting-frames
    """
    found = _PAGE.fullmatch(name)
    return (found[1], int(found[2])) if found else (name, None)


def stem_of(name: str) -> str:
    """Return a name without its folders and its ending: what images and their masks share.

    Parameters
    ----------
    name : str
        Of a file inside a dataset.

    Returns
    -------
    str

    Examples
    --------
    >>> stem_of("run1/a1.tile.jpg"), stem_of("run1/stack.tif[3]")
    ('a1.tile', 'stack[3]')
    """
    file, page = split_page(base_name(name))
    stem = PurePosixPath(file).stem
    return stem if page is None else f"{stem}[{page}]"
