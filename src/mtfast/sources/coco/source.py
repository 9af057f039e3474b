"""COCO JSON files, each with a folder of images: one file, or one for each split."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from mtfast.addresses import Address
from mtfast.errors import SourceError
from mtfast.paths import base_name
from mtfast.sources.bad_records import NAME_FOLDER
from mtfast.sources.coco.names import split_named, stem_of_json
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import FilePlace, ImageFolder
from mtfast.sources.source import Source
from mtfast.sources.split_names import in_order

__all__ = ["CocoFiles", "CocoSplit", "coco_split", "open_coco", "open_coco_files"]

logger = logging.getLogger(__name__)


class CocoSplit(NamedTuple):
    """The files of a split.

    Attributes
    ----------
    variants : dict
        The annotation file of each variant, in :attr:`CocoFiles.files`.
    images : FileTree or None
        The folder of its images, None if none was found.
    looked_for : str
        Where that was looked for, for messages.
    """

    variants: dict[str, str]
    images: FileTree | None
    looked_for: str


@dataclass(frozen=True, repr=False)
class CocoFiles(Source):
    """COCO JSON files; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    found : dict
        The files of each split.
    file : str
        The file that was opened, in :attr:`files`; empty if a folder was.
    """

    found: dict[str, CocoSplit]
    file: str = ""
    kind: ClassVar[str] = "coco"
    takes_image_folder: ClassVar[bool] = True

    @property
    def path(self) -> Path | Address:
        """Absolute path of the file or folder, or its address."""
        return self.files.location / self.file

    @property
    def name(self) -> str:
        """Name of the folder, or of the file without its ending."""
        return stem_of_json(base_name(self.file)) if self.file else self.files.name

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    def _variants(self, split: str) -> tuple[str, ...]:
        return tuple(self.found[split].variants)

    def _annotations_at(self, split: str, variant: str) -> str:
        return self.found[split].variants[variant]

    def _image_folder(self, split: str) -> ImageFolder | None:
        images = self.found[split].images
        return None if images is None else ImageFolder(images)

    def _image_places(self, split: str, name: str) -> Sequence[FilePlace]:
        """Look up a name that holds folders beside the JSON file, too."""
        places = super()._image_places(split, name)
        if "/" not in name and "\\" not in name:
            return places
        beside = ImageFolder(self.files, self._folder_of_file(split))
        # Its tail alone is looked for in the folder of images: others are other images.
        return [*places[:1], *beside.places(name)[:-1], *places[1:]]

    def _folder_of_file(self, split: str) -> str:
        file = next(iter(self.found[split].variants.values()))
        return file.rpartition("/")[0]

    def _looked_for(self, split: str) -> str:
        _, images, looked_for = self.found[split]
        beside = self.files.where(self._folder_of_file(split))
        if images is None:
            return f"{beside} or its {looked_for}"
        also = f", names with folders in {beside} too" if images.where() != beside else ""
        return f"{images.where()}{also}"

    def _missing_image(self, split: str, name: str) -> SourceError:
        variants, images, looked_for = self.found[split]
        if images is not None:
            return super()._missing_image(split, name)
        file = next(iter(variants.values()))
        return SourceError(
            f"image {name!r} of {file} is missing: no folder of images; "
            f"expected one of {looked_for} beside it; "
            f"{NAME_FOLDER}"
        )


def open_coco(files: FileTree, file: str, images: FileTree | None = None) -> CocoFiles:
    """Open a COCO file, and find its images.

    Parameters
    ----------
    files : FileTree
        Of the folder that it is in.
    file : str
        Its name there.
    images : FileTree, optional
        The folder of the images; by default it is looked for.

    Returns
    -------
    CocoFiles
        Its split is what the name of the file says, "train" where it says nothing.

    Raises
    ------
    SourceError
        If the named folder is not there.
    """
    split = split_named(file, files.name)
    found = {split: coco_split(files, {"annotations": file}, split, images)}
    return CocoFiles(files, found, file)


def open_coco_files(
    paths: Mapping[str, tuple[FileTree, str]], images: FileTree | None = None
) -> CocoFiles:
    """Open several COCO files as the splits of one dataset.

    Parameters
    ----------
    paths : mapping of str to (FileTree, str)
        The file of each split: the tree of its folder, and its name there.
    images : FileTree, optional
        The folder of all images; by default each file's is looked for.

    Returns
    -------
    CocoFiles

    Raises
    ------
    SourceError
        If the named folder is not there, or no folder holds all files.
    """
    above = {split: _upwards(folder) for split, (folder, _) in paths.items()}
    first, *others = above.values()
    files = next((tree for tree in first if all(tree in other for other in others)), None)
    if files is None:
        places = " and ".join(folder.where(file) for folder, file in list(paths.values())[:2])
        raise SourceError(
            f"{places} are in different places; expected COCO files in one folder, archive or "
            f"bucket, or in folders of it; put them together"
        )
    found = {}
    for split, (_, file) in paths.items():
        inner = [tree.name for tree in above[split][: above[split].index(files)]]
        at = "/".join([*reversed(inner), file])
        found[split] = coco_split(files, {"annotations": at}, split, images)
    return CocoFiles(files, in_order(found))


def _upwards(files: FileTree) -> list[FileTree]:
    """Return a tree, and those of all folders that it is in."""
    above = [files]
    while (parent := above[-1].parent) is not None:
        above.append(parent)
    return above


def coco_split(
    files: FileTree, variants: dict[str, str], split: str, images: FileTree | None = None
) -> CocoSplit:
    """Find the images of the annotation files of a split.

    Parameters
    ----------
    files : FileTree
    variants : dict
        The annotation file of each variant.
    split : str
    images : FileTree, optional
        The folder of the images; by default it is looked for.

    Returns
    -------
    CocoSplit

    Raises
    ------
    SourceError
        If the named folder is not there.
    """
    inner, _, file = next(iter(variants.values())).rpartition("/")
    beside = files.below(inner)
    if images is not None:
        if images.lists and images.names() is None:
            raise SourceError(
                f"no folder {images.where()}; expected the folder of the images of {file}; "
                f"check the path"
            )
        return CocoSplit(variants, images, images.where())
    candidates = _image_folders(beside, file, split)
    found = [(folder, ImageFolder(folder).names()) for folder in candidates]
    with_images = [folder for folder, names in found if names]
    # Images may be in subfolders of a folder of them, but not of the one of the JSON file.
    empty = [folder for folder, names in found if names == () and folder != beside]
    looked_for = ", ".join(dict.fromkeys(f"{c.name}/" for c in candidates if c != beside))
    chosen = next(iter(with_images + empty), None if files.lists else beside)
    if chosen is None:
        logger.info("no folder of images beside %s; looked for %s", file, looked_for)
    else:
        logger.info("images of %s taken from %s", file, chosen.where())
    return CocoSplit(variants, chosen, looked_for)


def _image_folders(beside: FileTree, file: str, split: str) -> list[FileTree]:
    """Where the images of a COCO file may be, likeliest first; it is in the folder ``beside``.

    ``train_images/``, ``train/`` and ``images/`` beside ``train.json``, and as in COCO itself
    ``train2017/`` beside the folder of ``annotations/instances_train2017.json``.
    """
    stem = stem_of_json(file).partition("_annotations")[0]
    parts = [part for part in (stem, stem.split("_")[-1], split) if part]
    names = list(dict.fromkeys((*(f"{part}_images" for part in parts[:1]), *parts)))
    names += [*(f"images/{name}" for name in names), "images"]
    folders = [*map(beside.below, names), beside]
    if "annotations" in beside.name and beside.parent is not None:
        folders += map(beside.parent.below, names)
    return folders
