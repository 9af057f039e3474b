"""Masks of one split, painted by any rule from any of its annotation files, and those it ships."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.painting.overlap import PAINT_ORDERS, Overlap
from mtfast.painting.paint import semantic, semantic_dtype
from mtfast.paths import base_name
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.sources.label_png import decode_labels
from mtfast.sources.variants import threshold_of
from mtfast.table import RunTable

__all__ = ["Painter", "Rule"]

Int64 = NDArray[np.int64]

# The smallest area in the masks of the published sets, of which it is not known whether it belongs.
PUBLISHED_LIMIT = 200


class Rule(NamedTuple):
    """How masks are painted: from which file, from which area on, which instance shows on top."""

    variant: str
    min_area: int = 0
    overlap: Overlap = "last"

    def __str__(self) -> str:
        area = f", areas of {self.min_area} px and more" if self.min_area else ""
        return f"{self.variant}{area}, {self.overlap} on top"


@dataclass(frozen=True)
class Painter:
    """The annotations of a split, to paint the mask of any image by any rule.

    ``masks`` are the names of the masks that come with it, None without a folder of them; ``rows``
    has the row of each image in the table of a variant, ``areas`` those of its instances.
    """

    source: Source
    split: str
    masks: tuple[str, ...] | None
    tables: dict[str, RunTable]
    areas: dict[str, Int64]
    rows: dict[str, dict[str, int]]

    @classmethod
    def read(
        cls, source: Source, split: str, variants: Sequence[str], progress: Progress | None = None
    ) -> Painter:
        """Read annotation files."""
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
        """The type of pixels that holds the classes of all files."""
        classes = [table.category_ids for table in self.tables.values()]
        return semantic_dtype(np.concatenate(classes))

    def images(self) -> list[str]:
        """Names of all images that the files list, in the order of the first that does."""
        return list(dict.fromkeys(name for rows in self.rows.values() for name in rows))

    def pairs(self) -> dict[str, str]:
        """Name of the mask of each image that has one: they share a stem."""
        masks = {_stem(mask): mask for mask in self.masks or ()}
        return {image: masks[_stem(image)] for image in self.images() if _stem(image) in masks}

    def instances(self, image: str, variant: str, min_area: int) -> RunTable:
        """Return the instances that a rule paints into an image that one of the files lists."""
        if image in self.rows[variant]:
            table, row = self.tables[variant], self.rows[variant][image]
            first, last = table.image_offsets[row : row + 2]
            kept = self.areas[variant][first:last] >= min_area
            return table[row] if kept.all() else table[row].select(kept)
        other = next(v for v, rows in self.rows.items() if image in rows)
        return self.tables[other][self.rows[other][image]].select(np.empty(0, np.int64))

    def paint(self, image: str, rule: Rule) -> NDArray[Any]:
        """Paint the mask of an image, (height, width)."""
        table = self.instances(image, rule.variant, rule.min_area)
        mask: NDArray[Any] = semantic(table, overlap=rule.overlap)[0]
        return mask

    def shipped(self, mask: str) -> NDArray[Any]:
        """Decode a shipped mask; SourceError if it is no PNG of labels."""
        return decode_labels(self.source.read_mask(self.split, mask), mask)

    def rules(self) -> Iterator[Rule]:
        """Yield the rules that masks may have been painted by."""
        limits = {PUBLISHED_LIMIT, *(threshold_of(variant) or 0 for variant in self.tables)}
        for variant, areas in self.areas.items():
            # "At least 200" and "more than 200"; a limit that leaves nothing out is no other rule.
            bounds = {bound for limit in limits for bound in (limit, limit + 1)}
            telling = sorted(bound for bound in bounds if areas.min(initial=bound) < bound)
            for min_area, overlap in product((0, *telling), PAINT_ORDERS):
                yield Rule(variant, min_area, overlap)


def _stem(name: str) -> str:
    return PurePosixPath(base_name(name)).stem
