"""``mtfast.check_store``: whether a store is whole, and what makes it so."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mtfast.addresses import Address, locate
from mtfast.checking.examine import Examined, examine
from mtfast.checking.findings import Finding
from mtfast.checking.listing import sizes_of
from mtfast.checking.metadata import read_metadata
from mtfast.checking.reference import open_reference
from mtfast.checking.repair import Repaired, make_whole
from mtfast.errors import StoreError
from mtfast.progress import Progress, shows_progress
from mtfast.sources import Source, SourcePath
from mtfast.store.reading.store import Store
from mtfast.work.folder import working
from mtfast.work.records import Plan

__all__ = ["StoreCheck", "check_store"]


@dataclass(frozen=True)
class StoreCheck:
    """What :func:`check_store` found.

    Attributes
    ----------
    path : str
    n_images : dict of str to int
        Images of each split.
    n_files, n_bytes : int
        Files of the store, and what they take.
    findings : tuple of Finding
        What is wrong, or worth a note, with the store as it is now.
    mended : tuple of Finding
        What was wrong before files were made again.
    repaired : tuple of str
        Files that were made again, by their paths in the store.
    why_not : dict of str to str
        File -> why it could not be made again.
    """

    path: str
    n_images: dict[str, int]
    n_files: int
    n_bytes: int
    findings: tuple[Finding, ...]
    mended: tuple[Finding, ...] = ()
    repaired: tuple[str, ...] = ()
    why_not: dict[str, str] | None = None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is wrong; there may be notes."""
        return all(finding.severity == "note" for finding in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """Return plain dicts, lists, strings and numbers, as docs/check.schema.json has them."""
        return {
            "is_whole": self.is_whole,
            "path": self.path,
            "n_images": self.n_images,
            "n_files": self.n_files,
            "n_bytes": self.n_bytes,
            "findings": [finding.as_dict() for finding in self.findings],
            "mended": [finding.as_dict() for finding in self.mended],
            "repaired": list(self.repaired),
            "why_not": self.why_not or {},
        }


@shows_progress
def check_store(
    store: Store | str | os.PathLike[str],
    *,
    repair: Source | Store | SourcePath | bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
) -> StoreCheck:
    """Check every byte of a store: against its checksums, and what it says against each other.

    Every mask is painted again from its RLE, the crop index is compared with a scan of the image
    files, their headers with the columns, and the files with what the metadata promise.

    Parameters
    ----------
    store : Store or path-like
        Also an address such as ``s3://bucket/set.zarr``, from which all is read once.
    repair : Source, Store, path-like, mapping or bool
        Make damaged files again, bit for bit as :func:`mtfast.convert` wrote them: from the dataset
        that the store was made of, or from another copy of the store. True makes only what follows
        from other parts of the store: metadata, masks, the crop index and some columns. A new file
        is checked before it takes the place of a damaged one, and whole files are left alone.
    workers : int, optional
        Threads, by default enough to keep all cores busy.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    StoreCheck

    Raises
    ------
    StoreError
        If there is no store, its layout is another one, it cannot be written, or it was not made
        from what it is to be repaired from.
    SourceError
        If there is no such dataset.

    Examples
    --------
    >>> found = mtfast.check_store("graphene.zarr")
    >>> found.is_whole, found.n_images
    (True, {'train': 10, 'test': 4})
    """
    path = store.path if isinstance(store, Store) else locate(store)
    if repair is False:
        path = path if isinstance(path, Address) else path.resolve()
        return _result(path, examine(path, None, None, workers, progress))
    if isinstance(path, Address):
        raise StoreError(
            f"{path} is elsewhere, where files are not made again; expected a folder of this "
            f"machine; repair a copy of it, or check it without repair"
        )
    path = path.resolve()
    reference = None if repair is True else open_reference(repair, workers, progress)
    # What is no store is not written to.
    read_metadata(path)
    with working(path, Plan("check", {}, {}), lambda: None, error=StoreError) as work:
        done = make_whole(path, work.content, reference, workers, progress)
    return _result(path, done.after, done)


def _result(path: Path | Address, examined: Examined, done: Repaired | None = None) -> StoreCheck:
    found = sizes_of(path, examined.layout.files)
    sizes = [n for file in examined.layout.files if (n := found.get(file)) is not None]
    mended = [f for f in done.before.findings if f.file in done.files] if done else []
    return StoreCheck(
        path=str(path),
        n_images={split.name: split.n_images for split in examined.splits.values()},
        n_files=len(sizes),
        n_bytes=sum(sizes),
        findings=tuple(examined.findings),
        mended=tuple(mended),
        repaired=done.files if done else (),
        why_not=done.why_not if done else None,
    )
