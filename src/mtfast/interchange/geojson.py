"""GeoJSON for QuPath: ``SPLIT/STEM.geojson`` beside each image.

Source: https://qupath.readthedocs.io/en/stable/docs/advanced/exporting_annotations.html
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.interchange.annotation_format import FormatOfImages, ImageFile
from mtfast.interchange.inputs import SplitInput, scores_of
from mtfast.mask import Polygon, polygons
from mtfast.pictures.palette import class_colour
from mtfast.table import Category, RunTable

__all__ = ["GeoJson"]


class GeoJson(FormatOfImages):
    """Writes a feature for each instance: a polygon, or several, with holes.

    Coordinates are corners of pixels from the upper left of the image on, as in QuPath.
    """

    ending = ".geojson"
    holds_ids = True
    holds_scores = True

    def __init__(self, categories: Sequence[Category]) -> None:
        super().__init__(categories)
        self._scores: dict[int, float] = {}

    def begin_split(self, split: SplitInput) -> None:
        """Read the scores of predictions, by the ids of instances."""
        self._scores = scores_of(split)

    def write_image(self, table: RunTable, file: str) -> ImageFile:
        """Write the features of an image."""
        columns = (table.instance_ids, table.category_ids, table.iscrowd)
        features, kept = [], []
        for k, (parts, id_, category_id, iscrowd) in enumerate(
            zip(polygons(table), *(column.tolist() for column in columns), strict=True)
        ):
            if parts:
                properties = self._properties(id_, category_id, iscrowd)
                features.append(
                    {"type": "Feature", "geometry": _geometry(parts), "properties": properties}
                )
                kept.append(k)
        content = {"type": "FeatureCollection", "features": features}
        return ImageFile(msgspec.json.encode(content), np.array(kept, np.int64))

    def _properties(self, id_: int, category_id: int, iscrowd: int) -> dict[str, Any]:
        """Describe an instance; QuPath passes over what is not its own."""
        classification = {"name": self.names[category_id], "color": class_colour(category_id)}
        properties = {
            "objectType": "annotation",
            "classification": classification,
            "instance_id": id_,
            "category_id": category_id,
            "iscrowd": iscrowd,
        }
        if id_ in self._scores:
            properties["measurements"] = {"score": self._scores[id_]}
        return properties


def _geometry(parts: Sequence[Polygon]) -> dict[str, Any]:
    coordinates = [[_closed(ring) for ring in (part.outer, *part.holes)] for part in parts]
    if len(coordinates) == 1:
        return {"type": "Polygon", "coordinates": coordinates[0]}
    return {"type": "MultiPolygon", "coordinates": coordinates}


def _closed(ring: NDArray[np.int64]) -> list[list[int]]:
    points: list[list[int]] = ring.tolist()
    return [*points, points[0]]
