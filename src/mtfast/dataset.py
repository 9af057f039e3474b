"""One view of a dataset, whether it is a source or a store, opened or still a path.

Every function that takes a dataset goes through :func:`open_dataset`, or through
:func:`expect_source` where it needs the files as they were published.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from mtfast.addresses import Address, locate
from mtfast.errors import RefusedError, SourceError, SourceNameError, no_such
from mtfast.remote import objects_at
from mtfast.rles.rasterizers import RASTERIZERS
from mtfast.sources import Source, open_source, refusal_of_store
from mtfast.sources.coco.read import Reading
from mtfast.sources.split import SourceSplit, decode_image
from mtfast.store.reading.store import Store, open_store
from mtfast.table import RunTable

__all__ = [
    "CategorySummary",
    "DatasetLike",
    "DatasetView",
    "SplitView",
    "count_categories",
    "decode_image",
    "examine",
    "expect_source",
    "is_store",
    "open_dataset",
]

DatasetLike = str | os.PathLike[str] | Address | Source | Store
"""What stands for a dataset: its path or address, or an opened source or store."""

_METADATA = "zarr.json"
_FILES = (".zip", ".json", ".json.gz")


@dataclass(frozen=True)
class CategorySummary:
    """A class and the number of its instances.

    Attributes
    ----------
    id : int
    name : str
        "(not listed)" where annotations use a category that the file does not list.
    n_instances : int
    """

    id: int
    name: str
    n_instances: int


class SplitView(Protocol):
    """What reports, previews and exports need of a split."""

    @property
    def name(self) -> str:
        """Name of the split."""
        ...

    @property
    def semantic_variant(self) -> str:
        """The variant that semantic masks are painted from by default."""
        ...

    @property
    def variants(self) -> tuple[str, ...]:
        """Names of all its annotation variants."""
        ...

    def table(self, variant: str | None = None) -> RunTable:
        """Return the instances of a variant.

        Parameters
        ----------
        variant : str, optional
            By default :attr:`semantic_variant`.

        Returns
        -------
        RunTable

        Raises
        ------
        MtfastError
            If there is no such variant, or its annotations are malformed.
        """
        ...

    @property
    def has_images(self) -> bool:
        """Whether there are images, not only their masks."""
        ...

    @property
    def set_members(self) -> dict[str, str]:
        """The exfoliation run of each image whose run is known, by its stem."""
        ...

    def image(self, image: str) -> NDArray[Any]:
        """Decode an image, turned as its masks are.

        Parameters
        ----------
        image : str
            Its file name.

        Returns
        -------
        (height, width, 3) uint8, or (height, width) or (height, width, 3) uint16, C order
            RGB, or grey of 16 bits.

        Raises
        ------
        MtfastError
            If it is missing or does not decode.
        """
        ...


class DatasetView:
    """A dataset with its splits.

    Attributes
    ----------
    path : Path or Address
        As it was given, absolute for an opened source or store.
    kind : str
        "store", or the layout of a source such as "maskterial".
    splits : mapping
        Each :class:`SplitView`, by its name.
    findings : mapping
        What a store says of the records that were bad when it was made, by split.
    rasterizer : str
        Whose pixels polygons are, if there are any; see :func:`mtfast.open_source`.
    """

    def __init__(
        self,
        path: Path | Address,
        kind: str,
        splits: Mapping[str, SplitView],
        findings: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        rasterizer: str = RASTERIZERS[0],
    ) -> None:
        self.path = path
        self.kind = kind
        self.splits = splits
        self.findings = findings or {}
        self.rasterizer = rasterizer

    @property
    def name(self) -> str:
        """Last part of the path, also of a path such as ``.``."""
        return (self.path if isinstance(self.path, Address) else self.path.resolve()).name

    def split(self, name: str | None = None) -> SplitView:
        """Return a split.

        Parameters
        ----------
        name : str, optional
            By default the first split.

        Returns
        -------
        SplitView

        Raises
        ------
        SourceError
            If there is no such split.
        """
        chosen = next(iter(self.splits)) if name is None else name
        if chosen not in self.splits:
            raise SourceNameError(no_such("split", chosen, self.splits, str(self.path)))
        return self.splits[chosen]


def open_dataset(dataset: DatasetLike) -> DatasetView:
    """Open a source or a store.

    Parameters
    ----------
    dataset : path-like, Source or Store
        A path or address of either kind, or what :func:`mtfast.open_source` or
        :func:`mtfast.open` returned.

    Returns
    -------
    DatasetView

    Raises
    ------
    MtfastError
        If the path leads to nothing that is known.

    Examples
    --------
    >>> open_dataset("graphene.zarr").split("train").semantic_variant
    'annotations_with_class_200'
    """
    if isinstance(dataset, Store):
        return _view_of_store(dataset, dataset.path)
    if isinstance(dataset, Source):
        return _view_of_source(dataset, dataset.path)
    place = locate(dataset)
    if is_store(place):
        return _view_of_store(open_store(place), place)
    return _view_of_source(open_source(place), place)


def expect_source(source: DatasetLike) -> Source:
    """Open a dataset whose own files are wanted.

    Parameters
    ----------
    source : path-like or Source

    Returns
    -------
    Source

    Raises
    ------
    SourceError
        If it is a store, or nothing that is known.
    MtfastError
        If it is at an address that cannot be read.
    """
    if isinstance(source, Source):
        return source
    place = source.path if isinstance(source, Store) else locate(source)
    if is_store(place):
        raise SourceError(refusal_of_store(place))
    return open_source(place)


def is_store(place: Path | Address) -> bool:
    """Return whether a store is at a path or address.

    Parameters
    ----------
    place : Path or Address

    Returns
    -------
    bool
        Whether there is a ``zarr.json``, whatever it says.

    Raises
    ------
    RemoteError
        If the storage does not answer.
    """
    if isinstance(place, Address):
        objects = objects_at(place)
        if place.name.lower().endswith(_FILES):
            return False
        try:
            objects.stat(_METADATA)
        except (FileNotFoundError, RefusedError):
            # Storage that may not be listed refuses what is not there.
            return False
        return True
    return (place / _METADATA).is_file()


def _view_of_store(store: Store, path: Path | Address) -> DatasetView:
    # Older stores do not say it: they had no choice.
    made_from = store.attributes.get("source")
    noted = made_from.get("rasterizer") if isinstance(made_from, Mapping) else None
    rasterizer = str(noted or RASTERIZERS[0])
    return DatasetView(path, "store", dict(store), store.attributes.get("findings"), rasterizer)


def _view_of_source(source: Source, path: Path | Address) -> DatasetView:
    return DatasetView(path, source.kind, dict(source), None, source.rasterizer)


def examine(split: SplitView, variant: str) -> Reading:
    """Read what can be read of a variant, and what is wrong with the rest.

    Parameters
    ----------
    split : SplitView
    variant : str

    Returns
    -------
    Reading
        Of a store, whose records were settled when it was made, the table alone.

    Raises
    ------
    MtfastError
        If there is no such variant, or its file cannot be read at all.
    """
    if isinstance(split, SourceSplit):
        return split.examine(variant)
    return Reading(split.table(variant))


def count_categories(table: RunTable) -> tuple[CategorySummary, ...]:
    """Count the instances of every category that a table lists or uses.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    tuple of CategorySummary
        In ascending order of their ids.
    """
    named = {c.id: c.name for c in table.categories}
    return tuple(
        CategorySummary(number, named.get(number, "(not listed)"), n)
        for number, n in table.category_counts().items()
    )
