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

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageRecord", "n_shot_orders", "write_meta_data", "write_split"]

N_SHOTS = (1, 2, 3, 5, 10)
N_RUNS = 10
N_SHOT_SEED = 42
MAX_LAYERS = 10

FLAKE = [{"id": 1, "name": "flake"}]


class ImageRecord(NamedTuple):
    """One image and its annotations in file order, as a worker hands them over."""

    stem: str
    category_ids: list[int]
    counts: list[str]
    areas: list[int]
    boxes: list[tuple[float, float, float, float]]


class _Image(msgspec.Struct, frozen=True, gc=False):
    id: int
    width: int
    height: int
    file_name: str


class _Segmentation(msgspec.Struct, frozen=True, gc=False):
    size: tuple[int, int]
    counts: str


class _Annotation(msgspec.Struct, frozen=True, gc=False):
    id: int
    image_id: int
    category_id: int
    segmentation: _Segmentation
    area: int
    bbox: tuple[float, float, float, float]
    iscrowd: int = 0


class _File(msgspec.Struct, frozen=True):
    info: dict[str, str]
    licenses: list[dict[str, Any]]
    images: Sequence[_Image]
    annotations: Sequence[_Annotation]
    categories: list[dict[str, Any]]


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
    info = {"description": f"Synthetic {name} flakes, {split}", "contributor": "mtfast synth"}
    licenses = [{"id": 1, "name": "No rights reserved", "url": ""}]
    layers = [
        {"id": k, "name": f"{k} layer" if k == 1 else f"{k} layers"}
        for k in range(1, n_classes + 1)
    ]
    images = [
        _Image(id=i, width=size[1], height=size[0], file_name=f"{record.stem}.jpg")
        for i, record in enumerate(records, start=1)
    ]
    full = list(_annotations(records, size))
    above_300 = [annotation for annotation in full if annotation.area > 300]

    def write(
        path: Path,
        annotations: Sequence[_Annotation],
        categories: list[dict[str, Any]],
        some: Sequence[_Image] = images,
        indent: int | None = None,
    ) -> None:
        text = msgspec.json.encode(_File(info, licenses, some, annotations, categories))
        if indent is not None:
            text = msgspec.json.format(text, indent=indent)
        path.write_bytes(text)

    stem = f"{split}_annotations"
    write(folder / f"{stem}_with_class_full.json", full, layers)
    write(folder / f"{stem}_with_class_200.json", [a for a in full if a.area > 200], layers)
    write(folder / f"{stem}_with_class_300.json", above_300, layers)
    write(folder / f"{stem}_300.json", _class_agnostic(above_300), FLAKE)
    if split != "train":
        return

    thin = [annotation for annotation in above_300 if annotation.category_id <= MAX_LAYERS]
    write(folder / f"{stem}_with_class_300_max_10.json", thin, layers[:MAX_LAYERS])
    write(folder / f"{stem}_300_max_10.json", _class_agnostic(thin), FLAKE)

    category_ids = np.array([a.category_id for a in above_300], np.int64)
    image_ids = np.array([a.image_id for a in above_300], np.int64)
    for n, run, order in n_shot_orders(category_ids, image_ids, n_classes):
        subset = folder / f"{n}_shot" / f"run_{run}"
        subset.mkdir(parents=True)
        shuffled = [above_300[k] for k in order.tolist()]
        some = [images[i - 1] for i in np.unique(image_ids[order]).tolist()]
        in_file_order = _class_agnostic(above_300[k] for k in np.sort(order).tolist())
        write(subset / f"{stem}_with_class_300.json", shuffled, layers, some, indent=4)
        write(subset / f"{stem}_300.json", in_file_order, FLAKE, some, indent=4)


def n_shot_orders(
    category_ids: NDArray[np.int64], image_ids: NDArray[np.int64], n_classes: int
) -> Iterator[tuple[int, int, NDArray[np.int64]]]:
    """Choose the annotations of the n-shot subsets.

    Parameters
    ----------
    category_ids, image_ids : (n_annotations,) int64
        Of the with-class annotations above 300 pixels, in file order.
    n_classes : int

    Yields
    ------
    n, run, order
        The positions of the subset's annotations, in shuffled order: the first n of each category,
        and with them all others of their images.

    Notes
    -----
    Follows the published sets: one generator, shuffles that accumulate, runs outside, n inside.
    Shuffling positions draws the same numbers as shuffling the list of annotations.
    """
    rng = np.random.RandomState(N_SHOT_SEED)
    order = np.arange(category_ids.size, dtype=np.int64)
    for run in range(N_RUNS):
        for n in N_SHOTS:
            rng.shuffle(order)
            shuffled = category_ids[order]
            first = [np.flatnonzero(shuffled == k)[:n] for k in range(1, n_classes + 1)]
            chosen_images = image_ids[order[np.concatenate(first)]]
            yield n, run, order[np.isin(image_ids[order], chosen_images)]


def write_meta_data(out: Path, split: str, sets: dict[str, list[str]]) -> None:
    """Write which image came from which exfoliation run; names carry .png there."""
    folder = out / "meta_data"
    folder.mkdir(parents=True, exist_ok=True)
    names = {key: [f"{stem}.png" for stem in stems] for key, stems in sets.items()}
    text = msgspec.json.format(msgspec.json.encode(names), indent=4)
    (folder / f"{split}_set_name_to_uuid.json").write_bytes(text)


def _annotations(records: Sequence[ImageRecord], size: tuple[int, int]) -> Iterator[_Annotation]:
    """Give the annotations of a split their ids: 1, 2, ... image after image."""
    next_id = 1
    for image_id, record in enumerate(records, start=1):
        for category_id, counts, area, box in zip(*record[1:], strict=True):
            yield _Annotation(
                next_id, image_id, category_id, _Segmentation(size, counts), area, box
            )
            next_id += 1


def _class_agnostic(annotations: Iterable[_Annotation]) -> list[_Annotation]:
    """Give every annotation the one category of the class-agnostic files."""
    return [_Annotation(a.id, a.image_id, 1, a.segmentation, a.area, a.bbox) for a in annotations]
