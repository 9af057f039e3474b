"""Bring published sets here."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from mtfast.arguments import as_integer
from mtfast.atomic import check_new_folder, locked
from mtfast.errors import MtfastError, RemoteError, counted
from mtfast.fetching.catalogue import PublishedSet, find_sets
from mtfast.fetching.download import Checksum, download, sizes_differ
from mtfast.fetching.extract import extract as extract_zip
from mtfast.fetching.record import RemoteFile, direct_file, published_files
from mtfast.fetching.web import BusyError, UnreachableError, Web
from mtfast.paths import target_path
from mtfast.progress import Progress, shows_progress

__all__ = ["MOST_CONNECTIONS", "fetch", "known_sizes"]

logger = logging.getLogger(__name__)

MOST_CONNECTIONS = 8
"""Side by side; Zenodo is free for all, and serves others as well."""


@shows_progress
def fetch(
    names: str | Sequence[str],
    folder: str | os.PathLike[str] = ".",
    *,
    extract: bool = False,
    remove_zip: bool = False,
    connections: int = 4,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> list[Path]:
    """Download published MaskTerial sets from Zenodo, one after another.

    A download that was stopped goes on where it was. Checksums are compared with those that the
    record states. What is there already, and whole, is not downloaded again.

    Parameters
    ----------
    names : str or sequence of str
        Such as "Real_WSe2", or "GrapheneL" where only one set is of that material.
    folder : path
        Where they go; is made if it is not there.
    extract : bool
        Unpack each into a folder of its own, such as ``Real_WSe2``.
    remove_zip : bool
        With ``extract``, remove the zip after that.
    connections : int
        How many at most side by side, from 1 to 8.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total), with
        megabytes while it downloads.
    tell : callable, optional
        Called with a line about each set; by default these are logged.

    Returns
    -------
    list of Path
        A zip for each set, ``NAME.zip``; with ``extract`` a folder for each.

    Raises
    ------
    MtfastError
        If a name is not that of one set, or the disk has no room.
    RemoteError
        If the server does not answer, refuses, or sends something else than the record states.

    Examples
    --------
    >>> zips = mtfast.fetch(["Real_WSe2", "Real_WS2"], "sets")          # doctest: +SKIP
    >>> mtfast.convert(zips[0], "wse2.zarr")                            # doctest: +SKIP

    Notes
    -----
    Source: the MaskTerial data sets, https://zenodo.org/records/15765514.
    """
    wanted = find_sets(names)
    connections = as_integer("connections", connections, 1, MOST_CONNECTIONS)
    if remove_zip and not extract:
        raise MtfastError(
            "remove_zip without extract; expected both, as nothing would be left; add extract or "
            "leave out remove_zip"
        )
    place = _make_folder(folder)
    with Web() as web:
        job = _Job(web, place, connections, progress, tell or logger.info)
        return [job.run(known, extract, remove_zip) for known in wanted]


def known_sizes() -> dict[str, int]:
    """Ask the record how long the files of the sets are.

    Returns
    -------
    dict of str to int
        Bytes of each zip, by the name of the set.

    Raises
    ------
    RemoteError
        If it does not answer.
    """
    with Web() as web:
        files = published_files(web, tries=1).values()
    return {Path(file.name).stem: file.n_bytes for file in files if file.n_bytes is not None}


def _make_folder(folder: str | os.PathLike[str]) -> Path:
    place = target_path(folder)
    if not place.is_dir():
        check_new_folder(place)
        place.mkdir(parents=True)
    return Path(folder)


class _Job:
    """Brings one set after another into a folder."""

    def __init__(
        self,
        web: Web,
        place: Path,
        connections: int,
        progress: Progress | None,
        tell: Callable[[str], None],
    ) -> None:
        self.web, self.place, self.connections = web, place, connections
        self.progress, self.tell = progress, tell
        self._files: dict[str, RemoteFile] | None = None

    def run(self, known: PublishedSet, extract: bool, remove_zip: bool) -> Path:
        """Bring a set; other runs that want the same one are refused meanwhile."""
        file, folder = self.place / known.file_name, self.place / known.name
        with locked(file):
            if extract and folder.is_dir() and any(folder.iterdir()):
                self.tell(f"{folder} is there already; nothing was downloaded or compared")
                return folder
            self._bring(known, file, 2 if extract else 1)
            if not extract:
                return file
            n_files = extract_zip(file, folder, self.progress)
            self.tell(f"{folder}: {counted(n_files, 'file')} unpacked")
            if remove_zip:
                file.unlink()
            return folder

    def _bring(self, known: PublishedSet, target: Path, room_for: int) -> None:
        file = self._file(known)
        if target.exists():
            checksum = self._compare(file, target)
            self.tell(f"{target} is there already; {_compared(checksum)}")
            return
        checksum = download(
            self.web,
            file,
            target,
            connections=self.connections,
            room_for=room_for,
            progress=self.progress,
        )
        self.tell(f"{target}: {target.stat().st_size / 1e6:,.1f} MB; {_compared(checksum)}")

    def _compare(self, file: RemoteFile, target: Path) -> Checksum:
        """Refuse a file that is there and is another one than the record states."""
        checksum = Checksum(target, file.checksum)
        n_bytes = target.stat().st_size
        if sizes_differ(file, n_bytes):
            found = f"of {n_bytes:,} bytes; expected {file.n_bytes:,}"
        elif not checksum.complete(file.name, self.progress):
            found = f"with the {checksum.kind} {checksum.found}; expected {checksum.expected}"
        else:
            return checksum
        raise MtfastError(
            f"{target} is there, {found}, as the record states; move or remove it, then run the "
            f"same again"
        )

    def _file(self, known: PublishedSet) -> RemoteFile:
        if self._files is None:
            self._files = _ask_record(self.web)
        if not self._files:
            return direct_file(known.file_name)
        if known.file_name not in self._files:
            raise RemoteError(
                f"the record has no {known.file_name}; expected it among its "
                f"{counted(len(self._files), 'file')}; look at the record with a browser"
            )
        return self._files[known.file_name]


def _ask_record(web: Web) -> dict[str, RemoteFile]:
    """Return the files of the record; none if it cannot say, but its server answers."""
    try:
        return published_files(web)
    except (BusyError, UnreachableError):
        raise
    except RemoteError as error:
        logger.warning("%s; going on with the direct link, which has no checksum", error)
        return {}


def _compared(checksum: Checksum) -> str:
    if checksum.is_known:
        return f"its {checksum.kind} is that of the record"
    return "no checksum is known of it"
