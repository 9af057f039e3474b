"""Folders of COCO files as tools write them.

::

    annotations/instances_train2017.json, train2017/        COCO
    train/_annotations.coco.json, beside its images         Roboflow
    coco/train_annotations_with_class.json, coco/images/    the MaskTerial trainer
    result.json, images/                                    Label Studio, or any one file
    train.json, val.json, images/
"""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

from mtfast.errors import SourceError, counted
from mtfast.paths import base_name
from mtfast.sources.coco.foreign import READ_ELSEWHERE, foreign_message
from mtfast.sources.coco.names import ROBOFLOW, is_json, split_named, stem_of_json
from mtfast.sources.coco.peek import COCO, peek
from mtfast.sources.coco.source import CocoFiles, coco_split
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.split_names import in_order

__all__ = ["find_coco"]

logger = logging.getLogger(__name__)

_FOLDERS = ("", "annotations", "coco")
_INSTANCES = re.compile(r"instances_.+")
# What COCO has beside the instances of the same images.
_OTHERS = re.compile(r"(captions|person_keypoints|panoptic|stuff|image_info)_.+")
_VARIANT = re.compile(r"(?P<split>[^_]+)_(?P<variant>annotations.*)")

_MOST_LOOKS = 48
"""Files that are opened to see which of many is COCO."""

_MOST_NAMED = 4

Found = dict[str, dict[str, str]]
"""The file of each variant of each split."""


def find_coco(files: FileTree, images: FileTree | None = None) -> CocoFiles | None:
    """Find COCO files in a folder.

    Parameters
    ----------
    files : FileTree
    images : FileTree, optional
        The folder of all images; by default each file's is looked for.

    Returns
    -------
    CocoFiles or None
        None if there are none.

    Raises
    ------
    SourceError
        If there are several whose names do not say which splits they are, or the named folder is
        not there.
    """
    if files.exists("zarr.json"):
        return None
    found = _roboflow(files)
    several: list[str] = []
    others: list[str] = []
    for folder in () if found else _FOLDERS:
        names = [name for name in files.names(folder) or () if is_json(name)]
        chosen = [name for name in names if _INSTANCES.fullmatch(name)]
        chosen = chosen or [name for name in names if not _OTHERS.fullmatch(name)]
        # Those have masks, too, of persons alone.
        chosen = chosen or [name for name in names if name.startswith("person_keypoints_")]
        others += [f"{folder}/{name}" if folder else name for name in names if name not in chosen]
        found = _by_split(chosen, f"{folder}/" if folder else "", files.name)
        if found:
            break
        several = several or [f"{folder}/{name}" if folder else name for name in chosen]
    looked = {} if found else _look_at(files, several)
    named = [file for variants in found.values() for file in variants.values()]
    formats = set(looked.values()) or {peek(files, file) for file in named[:_MOST_NAMED]}
    if formats & READ_ELSEWHERE and COCO not in formats:
        return None
    found = found or _among_others(files, several, looked)
    if found:
        logger.info("%s has COCO files of %s", files.name, ", ".join(found))
        splits = {
            split: coco_split(files, variants, split, images) for split, variants in found.items()
        }
        return CocoFiles(files, in_order(splits))
    if several:
        raise SourceError(_several(files, several, looked))
    if others:
        raise SourceError(
            f"{files.location} holds COCO files without instances: {', '.join(others)}; "
            f"expected instances_….json; get that of the same images, or pass the folder of images"
        )
    return None


def _roboflow(files: FileTree) -> Found:
    if files.exists(ROBOFLOW):
        return {split_named(ROBOFLOW, files.name): {"annotations": ROBOFLOW}}
    return {
        folder: {"annotations": f"{folder}/{ROBOFLOW}"}
        for folder in files.folders()
        if files.exists(f"{folder}/{ROBOFLOW}")
    }


def _by_split(names: list[str], folder: str, root: str) -> Found:
    """Tell splits and variants by the names of files; empty where these do not say."""
    if len(names) == 1:
        return {split_named(names[0], root): {"annotations": folder + names[0]}}
    found: Found = {}
    for name in names:
        stem = stem_of_json(name)
        match = _VARIANT.fullmatch(stem)
        split = match["split"] if match else split_named(name) if _says_split(stem) else ""
        variant = match["variant"] if match else "annotations"
        if not split or variant in found.setdefault(split, {}):
            return {}
        found[split][variant] = folder + name
    return found


def _says_split(stem: str) -> bool:
    return split_named(stem) != "train" or split_named(stem, "val") == "train"


def _look_at(files: FileTree, names: list[str]) -> dict[str, str | None]:
    """Name the formats of some files by their first bytes, those not called as an image first."""
    likeliest = names
    if len(names) > _MOST_LOOKS:
        of_image = _called_as_images(files, names)
        likeliest = sorted(names, key=of_image.__contains__)
    return {name: peek(files, name) for name in likeliest[:_MOST_LOOKS]}


def _called_as_images(files: FileTree, names: list[str]) -> set[str]:
    folder = names[0].rpartition("/")[0]
    images = {PurePosixPath(name).stem for name in ImageFolder(files, folder).names() or ()}
    return {name for name in names if stem_of_json(base_name(name)) in images}


def _among_others(files: FileTree, names: list[str], looked: dict[str, str | None]) -> Found:
    """Find the COCO files among files of other formats, such as one for each image."""
    coco = [name for name, what in looked.items() if what == COCO]
    others = [what for what in looked.values() if what != COCO]
    if not coco or not others or None in others:
        return {}
    if not _called_as_images(files, names) >= {*names} - looked.keys():
        # There may be more COCO files among those that were not looked at.
        return {}
    folder, slash, _ = coco[0].rpartition("/")
    found = _by_split([base_name(name) for name in coco], folder + slash, files.name)
    if found:
        logger.info(
            "%s: read %s, and not %s of other formats (%s)",
            files.name,
            ", ".join(coco),
            counted(len(names) - len(coco), "JSON file"),
            _tally(others),
        )
    return found


def _tally(formats: Iterable[str | None]) -> str:
    """Say how many files are what."""
    n = Counter(what or "an unknown format" for what in formats)
    return ", ".join(f"{k:,} x {what}" for what, k in n.most_common())


def _several(files: FileTree, names: list[str], looked: dict[str, str | None]) -> str:
    formats = set(looked.values())
    foreign = next(((what, name) for name, what in looked.items() if what), None)
    if foreign and COCO not in formats:
        return foreign_message(*foreign)
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    what = "" if formats == {COCO} else f" ({_tally(looked.values())})"
    return (
        f"{files.location} holds {len(names)} JSON files whose names do not say which splits "
        f"they are: {shown}{what}; expected one, or names such as train.json and val.json; "
        f"give the path of one of them, or several as train=a.json val=b.json"
    )
