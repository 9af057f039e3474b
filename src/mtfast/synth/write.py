"""The JSON files of a set: annotations in all their variants, n-shot subsets, meta_data.

::

    OUT/RLE_annotations/{train,test}_annotations_with_class_{200,300,full}.json
                        {train,test}_annotations_300.json              one category: flake
                        train_annotations{,_with_class}_300_max_10.json
                        {1,2,3,5,10}_shot/run_{0..9}/train_annotations{,_with_class}_300.json
    OUT/meta_data/{train,test}_set_name_to_uuid.json

An annotation keeps its id in every file that has it. A limit of 300 means more than 300 pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from mtfast.derivation.n_shot import upstream_subsets, write_subsets
from mtfast.derivation.variant_rules import VariantRule
from mtfast.ragged import as_strings, offsets_of
from mtfast.sources.coco.records import Records, records_of
from mtfast.table import Category, RunTable

__all__ = ["ImageRecord", "write_meta_data", "write_split"]

MAX_LAYERS = 10

FULL = "annotations_with_class_full"
WITH_CLASS = VariantRule("annotations_with_class_300", FULL, min_area=300)
ONE_CLASS = VariantRule("annotations_300", FULL, min_area=300, one_class=True)
RULES = (VariantRule("annotations_with_class_200", FULL, min_area=200), WITH_CLASS, ONE_CLASS)
TRAIN_RULES = tuple(
    replace(rule, name=f"{rule.name}_max_{MAX_LAYERS}", max_category=MAX_LAYERS)
    for rule in (WITH_CLASS, ONE_CLASS)
)


class ImageRecord(NamedTuple):
    """One image and its annotations in file order, as a worker returns them."""

    stem: str
    category_ids: list[int]
    counts: list[str]


def write_split(
    out: Path,
    split: str,
    records: Sequence[ImageRecord],
    *,
    name: str,
    size: tuple[int, int],
    n_classes: int,
) -> None:
    """Write every annotation file of a split.

    Parameters
    ----------
    out : Path
        Root of the set.
    split : str
        ``train`` (which has the n-shot subsets and the ``_max_10`` files) or ``test``.
    records : sequence of ImageRecord
        Images in file order; ids count from 1.
    name : str
        Material, for the ``info`` of the files.
    size : (height, width)
        Pixels, the same for all images.
    n_classes : int
    """
    folder = out / "RLE_annotations"
    folder.mkdir(parents=True, exist_ok=True)
    table = _table(records, size, n_classes)
    full = records_of(
        table,
        FULL,
        info={"description": f"Synthetic {name} flakes, {split}", "contributor": "mtfast synth"},
        licenses=[{"id": 1, "name": "No rights reserved", "url": ""}],
    )
    areas = table.area()
    texts = {FULL: full.text}
    for rule in RULES + TRAIN_RULES if split == "train" else RULES:
        texts[rule.name] = rule.apply(full, areas)
    for variant, text in texts.items():
        (folder / f"{split}_{variant}.json").write_bytes(text)
    if split == "train":
        with_class = Records(texts[WITH_CLASS.name], WITH_CLASS.name)
        one_class = Records(texts[ONE_CLASS.name], ONE_CLASS.name)
        write_subsets(folder, split, with_class, one_class, upstream_subsets)


def _table(records: Sequence[ImageRecord], size: tuple[int, int], n_classes: int) -> RunTable:
    """Number images and annotations from 1 on, image after image."""
    n_images = len(records)
    texts = list(chain.from_iterable(record.counts for record in records))
    n = len(texts)
    return RunTable(
        names=as_strings([f"{record.stem}.jpg" for record in records]),
        image_ids=np.arange(1, n_images + 1),
        heights=np.full(n_images, size[0]),
        widths=np.full(n_images, size[1]),
        image_offsets=offsets_of([len(record.counts) for record in records]),
        instance_ids=np.arange(1, n + 1),
        category_ids=np.array([*chain.from_iterable(r.category_ids for r in records)], np.int64),
        iscrowd=np.zeros(n, np.uint8),
        positions=np.arange(n),
        stated_area=np.full(n, np.nan),
        stated_bbox=np.full((n, 4), np.nan),
        rle=np.frombuffer("".join(texts).encode("ascii"), np.uint8),
        rle_offsets=offsets_of([len(text) for text in texts]),
        categories=tuple(
            Category(k, f"{k} layer" if k == 1 else f"{k} layers") for k in range(1, n_classes + 1)
        ),
    )


def write_meta_data(out: Path, split: str, sets: dict[str, list[str]]) -> None:
    """Write which images come from which exfoliation run; the names there end in .png.

    Parameters
    ----------
    out : Path
        Root of the set.
    split : str
    sets : dict of str to list of str
        Stems of the images of each run.
    """
    folder = out / "meta_data"
    folder.mkdir(parents=True, exist_ok=True)
    names = {key: [f"{stem}.png" for stem in stems] for key, stems in sets.items()}
    text = msgspec.json.format(msgspec.json.encode(names), indent=4)
    (folder / f"{split}_set_name_to_uuid.json").write_bytes(text)
