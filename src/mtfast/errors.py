"""What mtfast raises. Every message says what was found, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Collection
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")

# Number of names that are compared with the given one: difflib takes 20 us for each.
_NEAR = 500
# Number of names that a message lists.
_LISTED = 8


class MtfastError(ValueError):
    """Bad input or bad usage; the base of every error that mtfast raises on purpose."""


class RLEError(MtfastError):
    """An RLE that does not describe a mask of its frame."""


class SourceError(MtfastError):
    """A dataset that is missing, unreadable or contradicts itself."""


class StoreError(MtfastError):
    """A store that is missing, incomplete or damaged, or that would be overwritten."""


class RemoteError(MtfastError):
    """Storage elsewhere that does not answer, refuses, or has sent something else."""


class RefusedError(RemoteError):
    """Storage elsewhere that does not let this user do it."""


class _NameError(KeyError):
    # That of KeyError returns the repr of the message.
    __str__ = Exception.__str__


class SourceNameError(SourceError, _NameError):
    """A name that a source does not have; as it looks names up, a KeyError too."""


class StoreNameError(StoreError, _NameError):
    """A name that a store does not have; as it looks names up, a KeyError too."""


def shown(value: Any) -> str:
    """Return the repr of a value for a message, on one line of at most 80 characters.

    Parameters
    ----------
    value : object

    Returns
    -------
    str

    Examples
    --------
    >>> shown([[1, 2], "x"])
    "[[1, 2], 'x']"
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= 80 else f"{text[:77]}..."


def printable(text: str) -> str:
    r"""Escape what breaks a line, commands a terminal or is no Unicode: names come from strangers.

    Parameters
    ----------
    text : str

    Returns
    -------
    str

    Examples
    --------
    >>> print(printable("a\nb.jpg"))
    a\nb.jpg
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def one_of(name: str, value: Any, allowed: Collection[T]) -> T:
    """Return the one of the values that an argument may have that it equals.

    Parameters
    ----------
    name : str
        Of the argument, for the message.
    value : object
    allowed : collection of hashable values

    Returns
    -------
    object
        The value as it stands in ``allowed``: kernels take no 1.0 and no True of numpy's for 1.

    Raises
    ------
    MtfastError
        If it equals none of them.

    Examples
    --------
    >>> one_of("connectivity", 8.0, (4, 8))
    8
    >>> one_of("connectivity", 6, (4, 8))
    Traceback (most recent call last):
    mtfast.errors.MtfastError: connectivity is 6; expected one of (4, 8); choose one
    """
    try:
        hash(value)
        found = [known for known in allowed if known == value]
    except TypeError:
        # Arrays and lists are not hashable, and none of the values.
        found = []
    if not found:
        raise MtfastError(f"{name} is {shown(value)}; expected one of {allowed}; choose one")
    return found[0]


def nearest(given: str, known: Collection[str]) -> str | None:
    """Return the name that is most similar to one that does not exist.

    Takes no longer for forty thousand names than for five hundred.

    Parameters
    ----------
    given : str
        The name that does not exist.
    known : collection of str
        The names that exist.

    Returns
    -------
    str or None
        None if none is similar.

    Examples
    --------
    >>> nearest("tran", ("train", "test")), nearest("val", ("train", "test"))
    ('train', None)
    """
    import difflib

    # Of many names, only those with the same first letters are compared.
    alike = known if len(known) <= _NEAR else [k for k in known if k[:3] == given[:3]]
    near = difflib.get_close_matches(given, list(islice(alike, _NEAR)), 1)
    return near[0] if near else None


def no_such(
    what: str, given: str, known: Collection[str], where: str, *, most: int = _LISTED
) -> str:
    """Return the message for a name that does not exist, with the most similar name that does.

    Parameters
    ----------
    what : str
        What has the name, such as "split".
    given : str
        The name that does not exist.
    known : collection of str
        The names that exist.
    where : str
        What they are names in.
    most : int
        How many of the names to list.

    Returns
    -------
    str

    Examples
    --------
    >>> no_such("split", "tran", ("train", "test"), "Graphene")
    "no split 'tran' in Graphene; expected one of: train, test; did you mean 'train'?"
    """
    near = nearest(given, known)
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    listed = ", ".join(islice(known, most)) or "none"
    advice = f"did you mean {near!r}?" if near else "pick one of them"
    return f"no {what} {given!r} in {where}; expected one of: {listed}{more}; {advice}"


def counted(n: int, what: str, several: str = "") -> str:
    """Return a number of things in words.

    Parameters
    ----------
    n : int
    what : str
        One of them.
    several : str
        Several of them; by default with an "s" at the end.

    Returns
    -------
    str

    Examples
    --------
    >>> counted(1, "image"), counted(4000, "image"), counted(2, "is", "are")
    ('1 image', '4,000 images', '2 are')
    """
    return f"{n:,} {what if n == 1 else several or f'{what}s'}"
