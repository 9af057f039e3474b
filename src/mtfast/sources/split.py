"""One split of a source."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast import image_files
from mtfast.errors import MtfastError, SourceError, counted
from mtfast.sources.coco.read import Reading
from mtfast.sources.variants import default_variant
from mtfast.table import RunTable

if TYPE_CHECKING:
    from mtfast.sources.source import Source

__all__ = ["SourceSplit", "decode_image", "describe"]

_Sizes = tuple[NDArray[Any], NDArray[np.int64], NDArray[np.int64]]


def _sizes_of(table: RunTable) -> _Sizes:
    return table.names, table.heights, table.widths


class SourceSplit:
    """One split of a source; ``mtfast.open_source(path)[name]`` makes it.

    Every call reads files anew.

    Attributes
    ----------
    name : str
    variants : tuple of str
        Names of its annotation variants.
    semantic_variant : str
        The variant that semantic masks are painted from by default.

    Examples
    --------
    >>> train = mtfast.open_source("Graphene")["train"]
    >>> table = train.table()
    >>> table.n_images, train.image(table.names[3]).shape
    (10, (96, 128, 3))
    """

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        # Names, heights and widths of the table that was read last.
        self._listed: _Sizes | None = None
        self.name = name
        self.variants = source.variants(name)
        self.semantic_variant = default_variant(self.variants)

    def __repr__(self) -> str:
        return f"<split {self.name!r} of {self._source.name}: {describe(self.variants)}>"

    @property
    def source(self) -> Source:
        """What it is a split of."""
        return self._source

    @property
    def has_images(self) -> bool:
        """Whether the file of any image is there that its annotations list."""
        names, *_ = self._listed or _sizes_of(self.examine(self.semantic_variant).table)
        return self._source.has_images(self.name, names.tolist())

    @property
    def set_members(self) -> dict[str, str]:
        """The exfoliation run of each image whose run is known, by its stem."""
        return self._source.set_names(self.name).members

    def table(self, variant: str | None = None) -> RunTable:
        """Read the annotations of a variant.

        Parameters
        ----------
        variant : str, optional
            By default :attr:`semantic_variant`.

        Returns
        -------
        RunTable
            Images in file order.

        Raises
        ------
        SourceError, RLEError
            As :meth:`mtfast.sources.Source.table`.
        """
        table = self._source.table(self.name, variant or self.semantic_variant)
        self._listed = _sizes_of(table)
        return table

    def examine(self, variant: str) -> Reading:
        """Read all that can be read of a variant, and all that is wrong with the rest.

        Parameters
        ----------
        variant : str

        Returns
        -------
        Reading

        Raises
        ------
        SourceError
            As :meth:`mtfast.sources.Source.examine`.
        """
        reading = self._source.examine(self.name, variant)
        self._listed = _sizes_of(reading.table)
        return reading

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
        SourceError
            If it is missing or does not decode.
        """
        names, heights, widths = self._listed or _sizes_of(self.table())
        (found,) = np.nonzero(names == image)
        size = (int(heights[found[0]]), int(widths[found[0]])) if found.size else None
        return decode_image(self._source, self.name, image, size)


def describe(variants: Sequence[str]) -> str:
    """Return how many variants there are, and their name where it is one.

    Parameters
    ----------
    variants : sequence of str

    Returns
    -------
    str

    Examples
    --------
    >>> describe(["annotations"]), describe(["full", "200"])
    ('variant annotations', '2 variants')
    """
    return f"variant {variants[0]}" if len(variants) == 1 else counted(len(variants), "variant")


def decode_image(
    source: Source, split: str, image: str, size: tuple[int, int] | None
) -> NDArray[Any]:
    """Decode an image of a source, turned as its masks are.

    Parameters
    ----------
    source : Source
    split, image : str
        Name of the split, and of the image in its annotations.
    size : (height, width) or None
        Of its masks, in pixels. An image is turned as its EXIF orientation says where only that
        makes it fit.

    Returns
    -------
    (height, width, 3) uint8, or (height, width) or (height, width, 3) uint16, C order
        RGB, or grey of 16 bits.

    Raises
    ------
    SourceError
        If the image is missing or does not decode.
    """
    data = source.read_image(split, image)
    try:
        pixels = image_files.decode(data)
        if size is not None and (size != pixels.shape[:2] or source.frame == "shown"):
            shown = image_files.turn(pixels, image_files.read_header(data).orientation)
            pixels = shown if shown.shape[:2] == size else pixels
    except MtfastError as error:
        raise SourceError(f"image {image} of split {split!r} is {error}") from error
    return pixels
