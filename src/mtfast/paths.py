"""Paths of this machine, and the names of files inside datasets.

Names inside datasets come from strangers: folders may be separated by ``/`` or by a backslash,
on any system.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import sys
from pathlib import Path, PurePosixPath

from mtfast.addresses import Address, locate
from mtfast.errors import MtfastError, nearest

__all__ = [
    "advice_for",
    "base_name",
    "is_name",
    "is_reserved",
    "local_path",
    "open_regular",
    "refuse_link",
    "split_page",
    "stem_of",
    "target_path",
]

# What may be where a file is expected.
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
# A pipe is opened without waiting for a writer, and a terminal does not become ours.
_READ = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _READ |= getattr(os, _flag, 0)
# Devices, whatever their ending; and characters that no name has, of which ":" begins a stream.
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\..*)?"
    r'|.*[<>:"|?*\x00-\x1f].*',
    re.IGNORECASE | re.DOTALL,
)
_PAGE = re.compile(r"(.+\.tiff?)\[([0-9]{1,9})\]", re.IGNORECASE | re.DOTALL)


def local_path(path: str | os.PathLike[str]) -> Path:
    """Return a path on this machine; what takes no address calls this.

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
        If it is an address such as ``s3://bucket/set.zarr``; see :func:`mtfast.addresses.locate`.

    Examples
    --------
    >>> local_path("sets/graphene.zarr").name
    'graphene.zarr'
    """
    found = locate(path)
    if isinstance(found, Address):
        raise MtfastError(
            f"{found} is an address; expected a path on this machine; give one, and copy from the "
            f"address or to it, or mount it"
        )
    return found


def advice_for(missing: Path) -> str:
    """Return what to do about a path that leads nowhere: a similar name may be there.

    Parameters
    ----------
    missing : Path
        Absolute.

    Returns
    -------
    str

    Examples
    --------
    >>> advice_for(Path("/nowhere/graphene"))
    'check the path: there is no folder /nowhere'
    """
    folder = missing.parent
    if not folder.is_dir():
        return f"check the path: there is no folder {folder}"
    try:
        near = nearest(missing.name, os.listdir(folder))  # noqa: PTH208 - names alone
    except OSError:
        near = None
    return f"did you mean {near!r}?" if near else "check the path"


def target_path(path: str | os.PathLike[str]) -> Path:
    """Return where something is to be written: symbolic links are followed, never replaced.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Path
        Absolute, without a link in it. It need not exist.

    Raises
    ------
    MtfastError
        If it is an address, or a link that leads back to itself.
    """
    given = local_path(path)
    try:
        target = given.resolve()
    except RuntimeError:
        # Python up to 3.12; later ones return the link.
        target = given
    if target.is_symlink():
        raise MtfastError(
            f"{given} is a symbolic link that leads back to itself; expected one to a file or "
            f"folder; remove it or choose another path"
        )
    return target


def refuse_link(path: Path, error: type[MtfastError] = MtfastError) -> None:
    """Refuse a symbolic link inside of a folder that is written to: it may lead out of that.

    Parameters
    ----------
    path : Path
    error : type
        What to raise.

    Raises
    ------
    MtfastError
        Or ``error``.
    """
    if path.is_symlink():
        raise error(
            f"{path} is a symbolic link to {path.readlink()}; expected a file or folder, as it "
            f"is written to; put what it leads to in its place, or choose another folder"
        )


def open_regular(path: str | os.PathLike[str]) -> int:
    """Open a regular file for reading, or a symbolic link to one.

    Others are refused unread: a pipe would make us wait for ever, and a device has no end.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    int
        Its descriptor.

    Raises
    ------
    OSError
        If it cannot be opened, or is anything else.

    Examples
    --------
    >>> open_regular(os.curdir)
    Traceback (most recent call last):
    OSError: [Errno 22] it is a folder: '.'
    """
    descriptor = os.open(path, _READ)
    kind = stat.S_IFMT(os.fstat(descriptor).st_mode)
    if kind != stat.S_IFREG:
        os.close(descriptor)
        raise OSError(errno.EINVAL, f"it is {_KINDS.get(kind, 'no file')}", os.fspath(path))
    return descriptor


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


def is_name(text: str) -> bool:
    """Return whether a text can name a file or folder, and so leads to no other one.

    Parameters
    ----------
    text : str
        From a stranger.

    Returns
    -------
    bool
        Without a separator of any system; on Windows also without what that does not take.

    Examples
    --------
    >>> [is_name(text) for text in ("train", "..", "a/b", "a" + chr(92) + "b", "")]
    [True, False, False, False, False]
    """
    if not text.strip(". ") or any(c in text for c in "/\\\0"):
        return False
    return sys.platform != "win32" or not is_reserved(text)


def is_reserved(name: str) -> bool:
    """Return whether Windows has no file of such a name: a device, a stream, or an odd character.

    Parameters
    ----------
    name : str
        Without folders.

    Returns
    -------
    bool

    Examples
    --------
    >>> [is_reserved(name) for name in ("a1.png", "nul.png", "a:b.png", "a.")]
    [False, True, True, True]

    Notes
    -----
    Source: the page "Naming Files, Paths, and Namespaces" of Microsoft's Win32 documentation.
    """
    return bool(_RESERVED.fullmatch(name)) or name[-1:] in (".", " ")


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
