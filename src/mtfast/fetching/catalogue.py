"""The fifteen published sets: their names, and how much is in them.

The numbers, and the names of the zip files, are those of the page on datasets in MaskTerial's
repository. The record itself states sizes and checksums; see :mod:`mtfast.fetching.record`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mtfast.errors import MtfastError, nearest, shown

__all__ = ["SETS", "PublishedSet", "find_set", "find_sets", "suggestion"]


class PublishedSet(NamedTuple):
    """A set of the record.

    Attributes
    ----------
    kind : str
        "Real" or "Synthetic".
    material : str
        Such as "GrapheneL"; three are the name of a real set and of a synthetic one.
    n_train, n_test : int
        Images.
    n_classes : int
        Classes are 1 layer, 2 layers, and so on.
    """

    kind: str
    material: str
    n_train: int
    n_test: int
    n_classes: int

    @property
    def name(self) -> str:
        """Its name, that no other set has."""
        return f"{self.kind}_{self.material}"

    @property
    def file_name(self) -> str:
        """Its file in the record."""
        return f"{self.name}.zip"


SETS = (
    PublishedSet("Real", "GrapheneL", 425, 1362, 4),
    PublishedSet("Real", "GrapheneM", 325, 357, 4),
    PublishedSet("Real", "GrapheneH", 438, 480, 4),
    PublishedSet("Real", "WSe2", 97, 99, 3),
    PublishedSet("Real", "WSe2L", 92, 420, 3),
    PublishedSet("Real", "MoSe2", 97, 63, 2),
    PublishedSet("Real", "WS2", 53, 94, 1),
    PublishedSet("Real", "hBN_Thin", 73, 62, 3),
    PublishedSet("Synthetic", "Graphene", 42274, 100, 10),
    PublishedSet("Synthetic", "CrI3", 40338, 100, 10),
    PublishedSet("Synthetic", "hBN", 43511, 100, 10),
    PublishedSet("Synthetic", "MoSe2", 41645, 100, 10),
    PublishedSet("Synthetic", "TaS2", 42850, 100, 10),
    PublishedSet("Synthetic", "WS2", 42451, 100, 10),
    PublishedSet("Synthetic", "WSe2", 41146, 100, 10),
)
"""All sets of the record."""

_SEE = "see all with: mtfast fetch --list"


def find_set(name: str) -> PublishedSet:
    """Return the set that a name stands for.

    Parameters
    ----------
    name : str
        Such as "Real_WSe2", or "GrapheneL" where only one set is of that material.

    Returns
    -------
    PublishedSet

    Raises
    ------
    MtfastError
        If there is no such set, or if two are of that material.

    Examples
    --------
    >>> find_set("hBN_Thin").file_name
    'Real_hBN_Thin.zip'
    >>> find_set("WSe2")
    Traceback (most recent call last):
    mtfast.errors.MtfastError: 'WSe2' is the name of two sets; expected Real_WSe2 or \
Synthetic_WSe2; name one of them
    """
    found = [known for known in SETS if name in (known.name, known.material)]
    if len(found) > 1:
        names = " or ".join(known.name for known in found)
        raise MtfastError(f"{name!r} is the name of two sets; expected {names}; name one of them")
    if not found:
        near = suggestion(name)
        advice = f"did you mean {near}? ({_SEE})" if near else _SEE
        raise MtfastError(
            f"no published set {shown(name)}; expected a name such as Real_WSe2 or GrapheneL; "
            f"{advice}"
        )
    return found[0]


def find_sets(names: str | Sequence[str]) -> list[PublishedSet]:
    """Return the sets that names stand for, each once; see :func:`find_set`.

    Parameters
    ----------
    names : str or sequence of str

    Returns
    -------
    list of PublishedSet
        In the order of the names.

    Examples
    --------
    >>> [known.name for known in find_sets(["CrI3", "Synthetic_CrI3", "Real_WS2"])]
    ['Synthetic_CrI3', 'Real_WS2']
    """
    given = [names] if isinstance(names, str) else names
    return list(dict.fromkeys(find_set(name) for name in given))


def suggestion(name: str) -> str:
    """Return the names of the sets that a name may have been meant for.

    Parameters
    ----------
    name : str
        Of no set.

    Returns
    -------
    str
        In words; "" if none is similar.

    Examples
    --------
    >>> suggestion("graphenel"), suggestion("wse2"), suggestion("data")
    ("'Real_GrapheneL'", "'Real_WSe2' or 'Synthetic_WSe2'", '')
    """
    # Of equal similarity is first what differs in case alone.
    spelled = {word.lower() for known in SETS for word in (known.name, known.material)}
    near = nearest(name.lower(), sorted(spelled))
    found = [s.name for s in SETS if near in (s.name.lower(), s.material.lower())]
    return " or ".join(map(repr, found))
