"""COCO JSON files, each with a folder of images: one file, or one for each split."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from mtfast.errors import SourceError
from mtfast.sources.bad_records import NAME_FOLDER
from mtfast.sources.coco.names import split_named, stem_of_json
from mtfast.sources.files import FileTree, Folder
from mtfast.sources.image_folder import FilePlace, ImageFolder
from mtfast.sources.source import Source, in_order

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
    def path(self) -> Path:
        """Absolute path of the file or folder."""
        return self.files.root / self.file

    @property
    def name(self) -> str:
        """Name of the folder, or of the file without its ending."""
        return stem_of_json(self.path.name) if self.file else self.path.name

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
        beside = self.files.root / self._folder_of_file(split)
        if images is None:
            return f"{beside} or its {looked_for}"
        also = f", names with folders in {beside} too" if images.root != beside else ""
        return f"{images.root}{also}"

    def _missing_image(self, split: str, name: str) -> SourceError:
        variants, images, looked_for = self.found[split]
        if images is not None:
            return super()._missing_image(split, name)
        file = next(iter(variants.values()))
        return SourceError(
            f"image {name!r} of {file} is missing: no folder of images; "
            f"expected one of {looked_for} beside it; "
            f"{NAME_FOLDER} or with open_source(path, image_folder=…)"
        )


def open_coco(path: Path, images: Path | None = None) -> CocoFiles:
    """Open a COCO file, and find its images.

    Parameters
    ----------
    path : Path
        Absolute.
    images : Path, optional
        The folder of the images, absolute; by default it is looked for.

    Returns
    -------
    CocoFiles
        Its split is what the name of the file says, "train" where it says nothing.

    Raises
    ------
    SourceError
        If the named folder is not there.
    """
    files = Folder(path.parent)
    split = split_named(path.name, path.parent.name)
    found = {split: coco_split(files, {"annotations": path.name}, split, images)}
    return CocoFiles(files, found, path.name)


def open_coco_files(paths: Mapping[str, Path], images: Path | None = None) -> CocoFiles:
    """Open several COCO files as the splits of one dataset.

    Parameters
    ----------
    paths : mapping of str to Path
        The file of each split, absolute.
    images : Path, optional
        The folder of all images, absolute; by default each file's is looked for.

    Returns
    -------
    CocoFiles

    Raises
    ------
    SourceError
        If the named folder is not there.
    """
    root = Path(*_common([path.parent.parts for path in paths.values()]))
    files = Folder(root)
    found = {
        split: coco_split(files, {"annotations": path.relative_to(root).as_posix()}, split, images)
        for split, path in paths.items()
    }
    return CocoFiles(files, in_order(found))


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """Return the parts that paths begin with."""
    first, last = min(paths), max(paths)
    n = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:n]


def coco_split(
    files: FileTree, variants: dict[str, str], split: str, images: Path | None = None
) -> CocoSplit:
    """Find the images of the annotation files of a split.

    Parameters
    ----------
    files : FileTree
    variants : dict
        The annotation file of each variant.
    split : str
    images : Path, optional
        The folder of the images, absolute; by default it is looked for.

    Returns
    -------
    CocoSplit

    Raises
    ------
    SourceError
        If the named folder is not there.
    """
    path = files.root / next(iter(variants.values()))
    if images is not None:
        folder = Folder(images)
        if folder.names() is None:
            raise SourceError(
                f"no folder {images}; expected the folder of the images of {path.name}; "
                f"check the path"
            )
        return CocoSplit(variants, folder, str(images))
    candidates = _image_folders(path, split)
    found = [(folder, ImageFolder(folder).names()) for folder in map(Folder, candidates)]
    with_images = [folder for folder, names in found if names]
    # Images may be in subfolders of a folder of them, but not of the one of the JSON file.
    empty = [folder for folder, names in found if names == () and folder.root != path.parent]
    looked_for = ", ".join(dict.fromkeys(f"{c.name}/" for c in candidates if c != path.parent))
    chosen = next(iter(with_images + empty), None)
    if chosen is None:
        logger.info("no folder of images beside %s; looked for %s", path.name, looked_for)
    else:
        logger.info("images of %s taken from %s", path.name, chosen.root)
    return CocoSplit(variants, chosen, looked_for)


def _image_folders(path: Path, split: str) -> list[Path]:
    """Where the images of a COCO file may be, likeliest first.

    ``train_images/``, ``train/`` and ``images/`` beside ``train.json``, and as in COCO itself
    ``train2017/`` beside the folder of ``annotations/instances_train2017.json``.
    """
    stem = stem_of_json(path.name).partition("_annotations")[0]
    parts = [part for part in (stem, stem.split("_")[-1], split) if part]
    names = list(dict.fromkeys((*(f"{part}_images" for part in parts[:1]), *parts)))
    names += [*(f"images/{name}" for name in names), "images"]
    folders = [*(path.parent / name for name in names), path.parent]
    if "annotations" in path.parent.name:
        folders += [path.parent.parent / name for name in names]
    return folders
