"""Plans a set, distributes the images to workers and writes the files.

Every image draws from a generator of its own, seeded with (seed, split, position, purpose). So a
set does not depend on the number of workers, nor its annotations on whether pixels are made.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path

import imagecodecs
import numpy as np

from mtfast.arguments import ImagesOption, as_integer, check_size, wants_images
from mtfast.kernels.rle.coco_string import MAX_CHARACTERS, encode_counts
from mtfast.kernels.rle.toggle_lists import counts_of_list
from mtfast.parallel import n_cores
from mtfast.paths import local_path, target_path
from mtfast.progress import Progress, shows_progress, track
from mtfast.synth.palette import PALETTES
from mtfast.synth.render import label_map, render
from mtfast.synth.scene import FULL_FRAME, Frame, ToggleList, draw_flakes
from mtfast.synth.write import ImageRecord, write_meta_data, write_split
from mtfast.work.folder import WorkFolder, working
from mtfast.work.folder_state import refuse_taken
from mtfast.work.records import FileSum, Made, Plan

__all__ = ["make_set"]

SPLITS = ("train", "test")
# Purposes of a generator: what is on an image, what it looks like, which images form a run.
_FLAKES, _PIXELS, _RUNS = 0, 1, 2

MIN_SIDE = 64
MAX_SIDE = 65_500  # of a JPEG
MAX_CLASSES = 255  # of an 8-bit mask

# Images of a task: about a second of work, so that starting processes pays.
_PER_TASK_WITH_PIXELS = 4
_PER_TASK_WITHOUT = 1024


@dataclass(frozen=True)
class _SetPlan:
    """What every worker needs to know about the set."""

    folder: Path
    seed: int
    size: tuple[int, int]
    n_classes: int
    images: bool


@dataclass(frozen=True)
class _Task:
    """Images start, ..., start + len(palettes) - 1 of a split, and how each is to look."""

    split: str
    start: int
    palettes: tuple[int, ...]


@shows_progress
def make_set(
    out: str | os.PathLike[str],
    *,
    name: str = "Graphene",
    train: int = 64,
    test: int = 8,
    size: int | tuple[int, int] = (1200, 1920),
    classes: int = 4,
    seed: int = 0,
    images: ImagesOption = True,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Path:
    """Make a synthetic data set in the layout of a MaskTerial set.

    Parameters
    ----------
    out : path
        Folder of the set; it must be empty or not exist. It appears when the set is whole; a run
        that was stopped is gone on with by the next.
    name : str
        Material, for ``info`` and the names of the exfoliation runs.
    train, test : int
        Number of images; a split without images gets no files.
    size : int or (height, width)
        Pixels, 64 to 65500 each; one integer is the side of a square.
    classes : int
        Category ids run from 1 to this number (of layers), 255 at most.
    seed : int
        Equal seeds give equal files, for any number of workers.
    images : bool, "keep" or "none"
        Whether to make the JPEG images and the PNG masks, or only the JSON files.
    workers : int, optional
        Processes; as many as there are cores and work for by default. They are spawned: a script
        that asks for more than one needs ``if __name__ == "__main__":``.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    Path
        ``out``.

    Raises
    ------
    MtfastError
        For arguments out of range, and for a folder that is not empty.

    Examples
    --------
    >>> folder = make_set("synthetic", train=4, test=2, size=(96, 128), workers=1)
    >>> sorted(path.name for path in folder.glob("train_*"))
    ['train_images', 'train_semantic_masks']
    """
    path = local_path(out)
    train = as_integer("train", train, 0, 10_000_000)
    test = as_integer("test", test, 0, 10_000_000)
    as_integer("train + test", train + test, 1, 20_000_000)
    height, width = check_size(size, "size")
    as_integer("height", height, MIN_SIDE, MAX_SIDE)
    as_integer("width", width, MIN_SIDE, MAX_SIDE)
    classes = as_integer("classes", classes, 1, MAX_CLASSES)
    seed = as_integer("seed", seed, 0)
    if workers is not None:
        workers = as_integer("workers", workers, 1, 1024)

    target = target_path(path)
    n_images, pixels = dict(zip(SPLITS, (train, test), strict=True)), wants_images(images)
    options = {"name": name, **n_images, "seed": seed}
    options |= {"size": [height, width], "classes": classes, "images": pixels}
    check = partial(refuse_taken, target)
    with working(target, Plan("synth", options, {}), check) as work:
        plan = _SetPlan(work.content, seed, (height, width), classes, pixels)
        _fill(plan, work, name, n_images, workers, progress)
        work.put(target, last="RLE_annotations")
    return path


def _fill(
    plan: _SetPlan,
    work: WorkFolder,
    name: str,
    n_images: dict[str, int],
    workers: int | None,
    progress: Progress | None,
) -> None:
    """Make all files of a set in the plan's folder."""
    run_lengths = {
        split: _draw_run_lengths(plan.seed, split, n) for split, n in n_images.items() if n
    }
    if plan.images:
        for split in run_lengths:
            (plan.folder / f"{split}_images").mkdir()
            (plan.folder / f"{split}_semantic_masks").mkdir()

    n_total = sum(n_images.values())
    per_task = _PER_TASK_WITHOUT
    if plan.images:
        pixels = plan.size[0] * plan.size[1]
        per_task = min(per_task, max(1, _PER_TASK_WITH_PIXELS * FULL_FRAME // pixels))
    if workers is not None:
        per_task = min(per_task, -(-n_total // workers))
    tasks = [
        task for split in run_lengths for task in _tasks(plan, split, run_lengths[split], per_task)
    ]
    records: dict[str, list[ImageRecord]] = {split: [] for split in run_lengths}
    n_workers = min(workers if workers is not None else n_cores(), len(tasks))
    scheduler = "processes" if n_workers > 1 else "sync"
    # The kernels are compiled by the import above at the latest, so workers find them in the cache.
    make = partial(_make_images, plan)
    keys = [f"{task.split}/{task.start}/{len(task.palettes)}" for task in tasks]
    with work.run_jobs(make, tasks, keys, "make-images", scheduler, n_workers) as results:
        made = dict(track(results, "making images", progress, n_total, lambda r: len(r[1])))
    for number, task in enumerate(tasks):
        records[task.split] += [ImageRecord(*values) for values in made[number]]

    _write_json_files(plan, name, run_lengths, records)


def _write_json_files(
    plan: _SetPlan,
    name: str,
    run_lengths: dict[str, list[int]],
    records: dict[str, list[ImageRecord]],
) -> None:
    """Write the annotations, and which images form a run."""
    n_sets = 0
    for split, lengths in run_lengths.items():
        write_split(
            plan.folder,
            split,
            records[split],
            name=name,
            size=plan.size,
            n_classes=plan.n_classes,
        )
        stops = np.cumsum([0, *lengths]).tolist()
        sets = {}
        for start, stop in pairwise(stops):
            n_sets += 1
            stems = [record.stem for record in records[split][start:stop]]
            sets[f"Set_{name}_{n_sets:03d}"] = stems
        write_meta_data(plan.folder, split, sets)


def _draw_run_lengths(seed: int, split: str, n_images: int) -> list[int]:
    """Divide the images into exfoliation runs of 20 to 40; a small set gets five shorter ones.

    The images of a run look alike, and a set of a few dozen should still show all kinds of chips.
    """
    rng = np.random.default_rng([seed, SPLITS.index(split), 0, _RUNS])
    lengths: list[int] = []
    while (left := n_images - sum(lengths)) > 0:
        length = min(int(rng.integers(20, 41)), max(1, n_images // 5))
        lengths.append(min(length, left))
    return lengths


def _tasks(plan: _SetPlan, split: str, run_lengths: list[int], per_task: int) -> Iterator[_Task]:
    """Cut a split into tasks of per_task images; runs take the palettes in turn."""
    first = plan.seed + 3 * SPLITS.index(split)
    palettes = [
        (first + run) % len(PALETTES) for run, n in enumerate(run_lengths) for _ in range(n)
    ]
    for start in range(0, len(palettes), per_task):
        yield _Task(split, start, tuple(palettes[start : start + per_task]))


def _make_images(plan: _SetPlan, task: _Task) -> Made:
    """Draw the images of a task and write their files, if the plan says so."""
    frame, files = Frame(*plan.size), dict[str, FileSum]()
    records = [
        _make_image(plan, frame, task.split, task.start + k, palette, files)
        for k, palette in enumerate(task.palettes)
    ]
    return Made(records, files)


def _make_image(
    plan: _SetPlan,
    frame: Frame,
    split: str,
    position: int,
    palette: int,
    files: dict[str, FileSum],
) -> ImageRecord:
    """Draw one image, and note the files that are written."""
    seed = [plan.seed, SPLITS.index(split), position]
    rng = np.random.default_rng([*seed, _FLAKES])
    stem = str(uuid.UUID(bytes=rng.bytes(16), version=4))
    flakes = draw_flakes(rng, frame, plan.n_classes)
    if plan.images:
        pixels = render(np.random.default_rng([*seed, _PIXELS]), flakes, frame, PALETTES[palette])
        jpeg = imagecodecs.jpeg8_encode(pixels, level=100, subsampling="420")
        png = imagecodecs.png_encode(label_map(flakes, frame, larger_than=200))
        for name, data in (
            (f"{split}_images/{stem}.jpg", jpeg),
            (f"{split}_semantic_masks/{stem}.png", png),
        ):
            (plan.folder / name).write_bytes(data)
            files[name] = FileSum.of(data)
    return ImageRecord(
        stem,
        [category_id for category_id, _ in flakes],
        [_coco_text(toggles, frame.n_pixels) for _, toggles in flakes],
    )


def _coco_text(toggles: ToggleList, n_pixels: int) -> str:
    """Write a mask as COCO's compressed text."""
    counts = toggles.copy()
    n = counts_of_list(counts, counts.size - 1, n_pixels)
    text = np.empty(MAX_CHARACTERS * n, np.uint8)
    stop = encode_counts(counts, 0, n, text, 0)
    return text[:stop].tobytes().decode("ascii")
