"""labelme: ``SPLIT/STEM.json`` beside each image, with masks or polygons, and ``labels.txt``.

Source: ``labelme/_label_file.py`` and ``labelme/utils/shape.py`` of https://github.com/wkentaro/labelme
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.interchange.annotation_format import (
    FormatOfImages,
    ImageFile,
    rasterised,
    renumbered,
)
from mtfast.interchange.bridges import bridged
from mtfast.interchange.inputs import SplitInput
from mtfast.mask import crop, decode, polygons
from mtfast.paths import base_name
from mtfast.sources.drawn.labelme import CROWD
from mtfast.table import Category, RunTable

__all__ = ["Labelme"]

# Of labelme, whose files have been like that since.
_VERSION = "5.5.0"


class Labelme(FormatOfImages):
    """Writes a mask for each instance, or a polygon for each of its parts.

    Parameters
    ----------
    categories : tuple of Category
    as_polygons : bool
        Holes are joined with the outline by bridges, and parts of an instance share a ``group_id``.
    """

    ending = ".json"

    def __init__(self, categories: Sequence[Category], as_polygons: bool) -> None:
        super().__init__(categories)
        self.as_polygons = as_polygons

    def write_image(self, table: RunTable, file: str) -> ImageFile:
        """Write the shapes of an image."""
        shapes, kept, again = (self._polygons if self.as_polygons else self._masks)(table)
        content: dict[str, Any] = {
            "version": _VERSION,
            "flags": {},
            "shapes": shapes,
            "imagePath": base_name(file),
            "imageData": None,
            "imageHeight": int(table.heights[0]),
            "imageWidth": int(table.widths[0]),
        }
        data = msgspec.json.format(msgspec.json.encode(content), indent=2)
        return ImageFile(data, np.array(kept, np.int64), again)

    def whole_files(self, splits: Sequence[SplitInput]) -> dict[str, bytes]:
        """Write labels.txt, which labelme reads with ``--labels``: the order of the classes.

        Parameters
        ----------
        splits : sequence of SplitInput

        Returns
        -------
        dict
            Empty where a name is no line.
        """
        names = [category.name for category in self.categories]
        if any(name.splitlines() != [name] for name in names):
            return {}
        return {"labels.txt": "".join(f"{name}\n" for name in names).encode()}

    def notes(self, splits: Sequence[SplitInput]) -> list[str]:
        """Say also which classes are read again as one, or with other numbers."""
        names = dict.fromkeys(self.names.values())
        number_of = {name: k for k, name in enumerate(names, 1)}
        read = {id_: number_of[name] for id_, name in self.names.items()}
        moved = [f"{id_} is {number}" for id_, number in read.items() if id_ != number]
        one = [
            f"classes {', '.join(map(str, ids))} are all called {name!r}, and one in these files"
            for name in names
            if len(ids := [id_ for id_, called in self.names.items() if called == name]) > 1
        ]
        said = [*super().notes(splits), *one]
        return [*said, *renumbered("labelme numbers classes from 1", moved)]

    def _shape(self, table: RunTable, k: int, kind: str, points: Any) -> dict[str, Any]:
        return {
            "label": self.names[int(table.category_ids[k])],
            "points": points,
            "group_id": None,
            "description": "",
            "shape_type": kind,
            "flags": {CROWD: True} if table.iscrowd[k] else {},
            "mask": None,
        }

    def _masks(self, table: RunTable) -> tuple[list[dict[str, Any]], list[int], None]:
        kept = np.flatnonzero(table.area() > 0).tolist()
        boxes = table.bbox().astype(np.int64).tolist()
        shapes = []
        for k in kept:
            x, y, width, height = boxes[k]
            corners = [[x, y], [x + width - 1, y + height - 1]]
            (cut,) = crop(table[k : k + 1], y, x, height, width)
            mask = _png(decode(cut, order="C"))
            shapes.append(self._shape(table, k, "mask", corners) | {"mask": mask})
        return shapes, kept, None

    def _polygons(self, table: RunTable) -> tuple[list[dict[str, Any]], list[int], Any]:
        shapes, kept, rings = [], [], []
        for k, parts in enumerate(polygons(table)):
            if parts:
                drawn = [bridged(*part) for part in parts]
                group = k if len(parts) > 1 else None
                shapes += [
                    self._shape(table, k, "polygon", ring.tolist()) | {"group_id": group}
                    for ring in drawn
                ]
                kept.append(k)
                rings.append([ring.ravel().tolist() for ring in drawn])
        return shapes, kept, rasterised(rings, table)


def _png(pixels: NDArray[np.uint8]) -> str:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return b64encode(file.getvalue()).decode("ascii")
