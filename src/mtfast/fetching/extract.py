"""A zip becomes a folder, whole or not at all."""

from __future__ import annotations

import logging
import shutil
import stat
import zlib
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from mtfast.atomic import PARTIAL, check_room, explain_errors, move, sync_tree
from mtfast.errors import SourceError, shown
from mtfast.paths import is_name, refuse_link
from mtfast.progress import Progress, track

__all__ = ["extract"]

logger = logging.getLogger(__name__)

BLOCK = 1 << 20
_DAMAGED = (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error)
# What macOS adds to zips.
_RESOURCE_FORKS = "__MACOSX"


def extract(file: Path, folder: Path, progress: Progress | None = None) -> int:
    """Unpack a zip.

    A folder in which all of the zip lies is left out: some sets lie in one, some do not.

    Parameters
    ----------
    file : Path
    folder : Path
        Is made. A lock on it must be held.
    progress : callable, optional

    Returns
    -------
    int
        How many files.

    Raises
    ------
    SourceError
        If it is damaged, or has names that lead elsewhere, links, or more bytes than it states.
    MtfastError
        If the disk has no room for the sizes that the zip states.
    """
    work = folder.with_name(f".{folder.name}{PARTIAL}unpack")
    refuse_link(work)
    shutil.rmtree(work, ignore_errors=True)
    try:
        with explain_errors(folder, work, SourceError), ZipFile(file) as archive:
            members = _members(archive, file)
            n_bytes = sum(info.file_size for info in members.values())
            check_room(folder.parent, n_bytes, f"the files in {file.name}")
            work.mkdir()
            for name, info in track(members.items(), f"unpacking {file.name}", progress):
                _write(archive, info, work / name)
            sync_tree(work)
            if folder.is_dir():
                folder.rmdir()  # An empty one.
            move(work, folder)
    except _DAMAGED as error:
        raise SourceError(
            f"{file} is damaged ({error}); expected a zip that can be unpacked; remove it and "
            f"fetch it again"
        ) from error
    finally:
        shutil.rmtree(work, ignore_errors=True)
    logger.info("unpacked %d files of %s", len(members), file)
    return len(members)


def _members(archive: ZipFile, file: Path) -> dict[str, ZipInfo]:
    """Return the files of a zip by the paths that they get, all of them checked."""
    infos = [info for info in archive.infolist() if not info.is_dir()]
    infos = [info for info in infos if not info.filename.startswith(f"{_RESOURCE_FORKS}/")]
    parts = [_checked_parts(info, file) for info in infos]
    tops = {part[0] for part in parts}
    skipped = 1 if len(tops) == 1 and all(len(part) > 1 for part in parts) else 0
    names = [str(PurePosixPath(*part[skipped:])) for part in parts]
    members = dict(zip(names, infos, strict=True))
    # Some disks take names that differ in case alone for the same.
    files = {name.lower() for name in members}
    if len(files) < len(infos):
        raise _refused(file, "a file twice")
    if not files.isdisjoint(str(at) for name in files for at in PurePosixPath(name).parents):
        raise _refused(file, "a file that is a folder too")
    return members


def _checked_parts(info: ZipInfo, file: Path) -> tuple[str, ...]:
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG):
        raise _refused(file, f"{shown(info.filename)}, which is a link or no file")
    parts = tuple(info.filename.split("/"))
    if not all(map(is_name, parts)):
        raise _refused(file, f"{shown(info.filename)}, a name that leads elsewhere")
    return parts


def _refused(file: Path, what: str) -> SourceError:
    return SourceError(
        f"{file} has {what}; expected files of a set; remove it, and look at where it is from"
    )


def _write(archive: ZipFile, info: ZipInfo, path: Path) -> None:
    """Unpack one file; zipfile reads no more than the size that it states, and compares the CRC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as packed, path.open("xb") as out:
        shutil.copyfileobj(packed, out, BLOCK)
    if path.stat().st_size != info.file_size:
        raise BadZipFile(f"{info.filename} is {path.stat().st_size} bytes, not {info.file_size}")
