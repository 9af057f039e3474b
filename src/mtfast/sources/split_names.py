"""Names of the splits of a dataset: in which order, and which of them are asked for."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeVar

from mtfast.errors import SourceNameError, no_such

__all__ = ["chosen_splits", "expect_one_of", "in_order"]

T = TypeVar("T")

_FIRST_SPLITS = ("train", "test")


def in_order(found: dict[str, T]) -> dict[str, T]:
    """Return what was found of each split, "train" and "test" before others.

    Parameters
    ----------
    found : dict

    Returns
    -------
    dict
    """
    first = [split for split in _FIRST_SPLITS if split in found]
    return {split: found[split] for split in (*first, *sorted(found.keys() - set(first)))}


def chosen_splits(
    known: Sequence[str], wanted: Sequence[str] | None, where: str
) -> tuple[str, ...]:
    """Return the splits to work on.

    Parameters
    ----------
    known : sequence of str
        Those that are there.
    wanted : sequence of str or None
        None or nothing stands for all.
    where : str
        Name of the dataset, for the message.

    Returns
    -------
    tuple of str
        Each once, in the order in which they are wanted.

    Raises
    ------
    SourceError
        If one of them is not there.

    Examples
    --------
    >>> chosen_splits(["train", "test"], ["test", "test"], "Graphene")
    ('test',)
    """
    for split in wanted or ():
        expect_one_of(split, known, "split", where)
    return tuple(dict.fromkeys(wanted or known))


def expect_one_of(given: str, known: Collection[str], what: str, where: str) -> None:
    """Check that a name is one of those that are there.

    Parameters
    ----------
    given : str
    known : collection of str
    what, where : str
        What has such names and where they were looked for, for the message.

    Raises
    ------
    SourceError
        Also a KeyError: if it is not among them; the message lists those that are, and the nearest.
    """
    if given not in known:
        raise SourceNameError(no_such(what, given, known, where))
