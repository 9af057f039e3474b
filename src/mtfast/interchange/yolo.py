"""YOLO's segments: ``labels/SPLIT/STEM.txt``, ``images/SPLIT/`` and ``data.yaml``.

A line is the number of a class and the corners of one ring, as fractions of the sides of the image.

Source: https://docs.ultralytics.com/datasets/segment/
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mtfast.interchange.annotation_format import FormatOfImages, ImageFile, rasterised, renumbered
from mtfast.interchange.bridges import bridged, joined
from mtfast.interchange.inputs import SplitInput
from mtfast.mask import polygons
from mtfast.sources.formats.yolo_labels import labels_of
from mtfast.table import Category, RunTable

__all__ = ["Yolo"]

_DIGITS = 6
# Names that are plain texts of YAML.
_PLAIN = re.compile(r"(?!(?i:y|n|yes|no|on|off|true|false|null)$)[A-Za-z][\w./-]*", re.ASCII)


class Yolo(FormatOfImages):
    """Writes a ring for each instance: holes and parts are joined by bridges.

    Crowds are left out, as they would be instances.
    """

    ending = ".txt"

    def __init__(self, categories: Sequence[Category]) -> None:
        super().__init__(categories)
        self.number_of = {category.id: k for k, category in enumerate(categories)}

    def image_folder(self, split: str) -> str:
        """Return the folder of the images of a split."""
        return f"images/{split}"

    def annotation_file(self, split: str, file: str) -> str:
        """Return where Ultralytics looks for the annotations of an image."""
        return labels_of(f"{self.image_folder(split)}/{file}", self.ending)

    def write_image(self, table: RunTable, file: str) -> ImageFile:
        """Write the lines of an image."""
        size = np.array([table.widths[0], table.heights[0]])
        # A hundredth of a pixel: pycocotools rounds to tenths.
        digits = max(_DIGITS, len(str(size.max())) + 2)
        lines, kept = [], []
        for k, parts in enumerate(polygons(table)):
            if parts and not table.iscrowd[k]:
                ring = joined([bridged(part.outer, part.holes) for part in parts])
                numbers = " ".join([f"{x:.{digits}f}" for x in (ring / size).ravel().tolist()])
                lines.append(f"{self.number_of[int(table.category_ids[k])]} {numbers}\n")
                kept.append(k)
        again = rasterised([[_read(line, size)] for line in lines], table)
        return ImageFile("".join(lines).encode("ascii"), np.array(kept, np.int64), again)

    def whole_files(self, splits: Sequence[SplitInput]) -> dict[str, bytes]:
        """Write data.yaml, with paths relative to itself."""
        folders = _splits_of(splits)
        # Strings of JSON are strings of YAML.
        lines = [
            f"{_text(key)}: {_text(self.image_folder(split))}" for key, split in folders.items()
        ]
        lines.append("names:" if self.categories else "names: {}")
        lines += [f"  {k}: {json.dumps(c.name)}" for k, c in enumerate(self.categories)]
        return {"data.yaml": "\n".join([*lines, ""]).encode("ascii")}

    def notes(self, splits: Sequence[SplitInput]) -> list[str]:
        """Say what stands for a split that is not there, and which classes have got new numbers."""
        said = super().notes(splits)
        said += [
            f"there is no split {key!r}, which Ultralytics asks for: in data.yaml it is {split!r}"
            for key, split in _splits_of(splits).items()
            if split != key
        ]
        moved = [f"{id_} is {k}" for id_, k in self.number_of.items() if id_ != k]
        return [*said, *renumbered("YOLO numbers classes from 0", moved)]


def _splits_of(splits: Sequence[SplitInput]) -> dict[str, str]:
    """Return the split of each key of data.yaml."""
    names = [split.name for split in splits]
    train = _called(names, "train") or names[0]
    val = _called(names, "val") or _called(names, "test") or train
    return {"train": train, "val": val} | {name: name for name in names}


def _called(names: Sequence[str], key: str) -> str | None:
    """Return the split of a key, or one whose name begins so, as valid and val2017 do."""
    return key if key in names else next((n for n in names if n.lower().startswith(key)), None)


def _text(text: str) -> str:
    """Return a text as YAML; only what may be read as something else is quoted."""
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def _read(line: str, size: NDArray[np.int64]) -> list[float]:
    """Read a line as YOLO's users do."""
    fractions = np.array(line.split()[1:], np.float64).reshape(-1, 2)
    numbers: list[float] = (fractions * size).ravel().tolist()
    return numbers
