"""The rules that the masks of a split may have been painted by, and the masks that they paint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.painting.overlap import PAINT_ORDERS, Overlap
from mtfast.painting.paint import semantic, semantic_dtype
from mtfast.paths import stem_of
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.sources.label_png import decode_labels
from mtfast.sources.variants import threshold_of
from mtfast.table import RunTable

__all__ = ["MaskRule", "SplitMasks"]

Int64 = NDArray[np.int64]

# The threshold of the masks of the published sets, of which none says whether it is included.
PUBLISHED_LIMIT = 200


class MaskRule(NamedTuple):
    """How masks are painted.

    Attributes
    ----------
    variant : str
        Annotation file that they are painted from.
    min_area : float
        Only instances larger than this many pixels are painted.
    overlap : {"last", "first", "largest", "smallest"}
        Which instance shows where several overlap.

    Examples
    --------
    >>> print(MaskRule("annotations_with_class_full", 200, "smallest"))
    annotations_with_class_full, areas larger than 200 px, smallest on top
    """

    variant: str
    min_area: float = 0
    overlap: Overlap = "last"

    def __str__(self) -> str:
        area = f", areas larger than {self.min_area} px" if self.min_area else ""
        return f"{self.variant}{area}, {self.overlap} on top"


@dataclass(frozen=True)
class SplitMasks:
    """The masks of a split: those that it ships, and those that its annotations make by any rule.

    Attributes
    ----------
    source : Source
    split : str
    mask_names : tuple of str, or None
        Names of the masks that the split ships; None without a folder of them.
    tables : dict
        The annotations of each variant.
    areas : dict
        Pixels of the instances of each variant, (n_instances,) int64.
    rows : dict
        For each variant, the index of each image in its table, by the image's name.
    """

    source: Source
    split: str
    mask_names: tuple[str, ...] | None
    tables: dict[str, RunTable]
    areas: dict[str, Int64]
    rows: dict[str, dict[str, int]]

    @classmethod
    def read(
        cls, source: Source, split: str, variants: Sequence[str], progress: Progress | None = None
    ) -> SplitMasks:
        """Read annotation files.

        Parameters
        ----------
        source : Source
        split : str
        variants : sequence of str
            At least one.
        progress : callable, optional
            Called as (what, done, total).

        Returns
        -------
        SplitMasks

        Raises
        ------
        SourceError, RLEError
            If one of the files is missing or malformed.
        """
        tables = {}
        for variant in track(variants, f"reading annotations of {split}", progress):
            tables[variant] = source.table(split, variant)
        return cls(
            source,
            split,
            source.mask_names(split),
            tables,
            {variant: table.area() for variant, table in tables.items()},
            {
                variant: {name: row for row, name in enumerate(table.names.tolist())}
                for variant, table in tables.items()
            },
        )

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The type of pixels that holds the classes of all variants."""
        classes = [table.category_ids for table in self.tables.values()]
        return semantic_dtype(np.concatenate(classes))

    def images(self) -> list[str]:
        """Return the names of all images that a variant lists, in the order of the first that does.

        Returns
        -------
        list of str
        """
        return list(dict.fromkeys(name for rows in self.rows.values() for name in rows))

    def pairs(self) -> dict[str, str]:
        """Return the name of the mask of each image that has one: they share a stem.

        Returns
        -------
        dict
            Image name to mask name.
        """
        masks = {stem_of(mask): mask for mask in self.mask_names or ()}
        stems = {image: stem_of(image) for image in self.images()}
        return {image: masks[stem] for image, stem in stems.items() if stem in masks}

    def instances(self, image: str, variant: str, min_area: float) -> RunTable:
        """Return the instances that a rule paints into an image.

        Parameters
        ----------
        image : str
            An image that one of the variants lists.
        variant : str
        min_area : float
            Only instances larger than this many pixels.

        Returns
        -------
        RunTable
            Of this image alone; without instances where the variant does not list it.
        """
        if image in self.rows[variant]:
            table, row = self.tables[variant], self.rows[variant][image]
            first, last = table.image_offsets[row : row + 2]
            kept = self.areas[variant][first:last] > min_area
            return table.image(row) if kept.all() else table.image(row)[kept]
        other = next(v for v, rows in self.rows.items() if image in rows)
        return self.tables[other].image(self.rows[other][image])[:0]

    def regenerate(self, image: str, rule: MaskRule) -> NDArray[Any]:
        """Paint the mask of an image.

        Parameters
        ----------
        image : str
        rule : MaskRule

        Returns
        -------
        (height, width) uint8 or uint16, C order
            Category ids, 0 for the background.
        """
        table = self.instances(image, rule.variant, rule.min_area)
        mask: NDArray[Any] = semantic(table, overlap=rule.overlap)[0]
        return mask

    def shipped(self, mask: str) -> NDArray[Any]:
        """Decode a mask that the split ships.

        Parameters
        ----------
        mask : str
            Its name, one of :attr:`mask_names`.

        Returns
        -------
        (height, width) uint8 or uint16, C order
            Category ids.

        Raises
        ------
        SourceError
            If it is missing, or not a PNG of labels.
        """
        return decode_labels(self.source.read_mask(self.split, mask), mask)

    def rules(self) -> Iterator[MaskRule]:
        """Yield the rules that the shipped masks may have been painted by.

        Yields
        ------
        MaskRule
            Every variant with no threshold, those of file names and the published one, and every
            order of painting. A threshold that leaves nothing out is no other rule.
        """
        limits = {PUBLISHED_LIMIT, *(threshold_of(variant) or 0 for variant in self.tables)}
        # "At least 200 px" is larger than 199, "more than 200 px" larger than 200.
        bounds = sorted({bound for limit in limits for bound in (limit - 1, limit) if bound > 0})
        for variant, areas in self.areas.items():
            telling = [bound for bound in bounds if areas.min(initial=bound + 1) <= bound]
            for min_area, overlap in product((0, *telling), PAINT_ORDERS):
                yield MaskRule(variant, min_area, overlap)
