"""Makes the damaged files of a store again, and checks them before they take their places.

::

    examine ──► derive, supply ──► content/ ──► examine the store with content/ above it ──► move
       ▲                                              │
       └──────────── what has become known ◄──────────┘
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mtfast.atomic import move, sync_tree
from mtfast.checking.derive import derive
from mtfast.checking.examine import Examined, ShardName, examine
from mtfast.checking.metadata import file_of
from mtfast.checking.reference import Reference
from mtfast.progress import Progress

__all__ = ["Repaired", "make_whole"]

_MOST_ROUNDS = 8
"""Metadata, columns, shards, columns of shards, crop index; each may need a second try."""


_NO_SOURCE = "it does not follow from the rest of the store; give what it was made from"
_NOT_THERE = "it can be made from nothing that is there"


class Repaired(NamedTuple):
    """What has been done.

    Attributes
    ----------
    before, after : Examined
    files : tuple of str
        Those that were made again.
    why_not : dict
        File -> why it could not be made.
    """

    before: Examined
    after: Examined
    files: tuple[str, ...]
    why_not: dict[str, str]


def make_whole(
    path: Path,
    content: Path,
    reference: Reference | None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Repaired:
    """Make the damaged files of a store again.

    Parameters
    ----------
    path : Path
        Of the store, absolute; nobody else writes to it.
    content : Path
        An empty folder on the same disk.
    reference : Reference or None
        For what does not follow from the store itself.
    workers : int, optional
        Threads.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    Repaired

    Raises
    ------
    StoreError
        If the store cannot be checked or written, or was not made from the reference.
    """
    before = examined = examine(path, content, None, workers, progress)
    known = _Known(set(), set(), set(), {})
    for _ in range(_MOST_ROUNDS):
        _discard(content, examined.bad_files, known)
        _make(examined, content, reference, known, workers, progress)
        if not any((content / file).exists() for file in examined.bad_files):
            break
        examined = examine(path, content, _to_check(examined), workers, progress)
    left = examined.bad_files
    made = [file for file in known.bad - left if (content / file).exists()]
    made.sort(key=_order)
    _move_all(content, path, made)
    why = _NO_SOURCE if reference is None else _NOT_THERE
    why_not = {file: known.why_not.get(file, why) for file in sorted(left)}
    return Repaired(before, examined, tuple(made), why_not)


class _Known(NamedTuple):
    """Files that were bad at some time, and those that were made in each of the two ways."""

    bad: set[str]
    derived: set[str]
    supplied: set[str]
    why_not: dict[str, str]


def _discard(content: Path, bad: set[str], known: _Known) -> None:
    """Remove what was made and has turned out not to be what was to be made."""
    known.bad.update(bad)
    for file in bad:
        if (content / file).exists():
            (content / file).unlink()
            known.why_not[file] = "what was made in its place does not have its checksum"


def _make(
    examined: Examined,
    content: Path,
    reference: Reference | None,
    known: _Known,
    workers: int | None,
    progress: Progress | None,
) -> None:
    bad = examined.bad_files
    derive(examined, bad - known.derived, content, workers, progress)
    there = {file for file in bad if (content / file).exists()}
    known.derived.update(there)
    left = bad - there - known.supplied
    if reference is not None and left:
        known.why_not.update(reference.supply(examined, left, content))
        known.supplied.update(file for file in left if (content / file).exists())


def _to_check(examined: Examined) -> set[ShardName] | None:
    """List the shards about which not all was known; None if they are all."""
    if not examined.metadata.whole:
        return None
    found: set[ShardName] = set()
    bad = [file for file in examined.bad_files if not file.endswith("zarr.json")]
    for split in examined.splits.values():
        mine = [f for f in bad if examined.layout.files.get(f, "").startswith(split.key(""))]
        found.update(_shards_of(split.name, mine))
        if any(not _is_shard(file) for file in mine):
            n_shards = -(-split.n_images // split.root.shard)
            found.update((split.name, number) for number in range(n_shards))
    return found


def _is_shard(file: str) -> bool:
    return Path(file).name.startswith("c.")


def _shards_of(split: str, files: list[str]) -> Iterator[ShardName]:
    for file in filter(_is_shard, files):
        yield split, int(Path(file).name.split(".")[1])


def _order(file: str) -> tuple[bool, bool, str]:
    """Sort files so that what declares others comes after them, and the root last."""
    return file == file_of(""), file.endswith("zarr.json"), file


def _move_all(content: Path, path: Path, files: list[str]) -> None:
    if files:
        sync_tree(content)
    for file in files:
        (path / file).parent.mkdir(parents=True, exist_ok=True)
        move(content / file, path / file)
