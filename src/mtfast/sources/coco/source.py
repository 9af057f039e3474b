"""A COCO JSON file with a folder of images."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from mtfast.errors import SourceError
from mtfast.paths import base_name
from mtfast.sources.files import FileTree, Folder
from mtfast.sources.image_folder import FilePlace, ImageFolder
from mtfast.sources.source import Source

__all__ = ["CocoFile", "open_coco"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CocoFile(Source):
    """A COCO JSON file; see :class:`mtfast.sources.Source`.

    Attributes
    ----------
    file : str
        Its name in :attr:`files`.
    images : FileTree or None
        The folder of its images, None if none was found.
    looked_for : str
        Where that was looked for, for messages.
    """

    file: str
    images: FileTree | None
    looked_for: str
    kind: ClassVar[str] = "coco"

    @property
    def path(self) -> Path:
        """Absolute path of the file."""
        return self.files.root / self.file

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return self.path.stem

    def _annotations_at(self, split: str, variant: str) -> str:
        return self.file

    def _image_folder(self, split: str) -> ImageFolder | None:
        return None if self.images is None else ImageFolder(self.images)

    def _image_places(self, split: str, name: str) -> Sequence[FilePlace]:
        """Look up a name that holds folders beside the JSON file, too."""
        places = super()._image_places(split, name)
        if name == base_name(name):
            return places
        return [*places[:1], FilePlace(self.files, name), *places[1:]]

    def _missing_image(self, split: str, name: str) -> SourceError:
        if self.images is not None:
            return super()._missing_image(split, name)
        return SourceError(
            f"image {name!r} of {self.file} is missing: no folder of images; "
            f"expected one of {self.looked_for} beside it; "
            f"make one of these a link to your folder, or use open_source(path, image_folder=…)"
        )


def open_coco(path: Path, images: Path | None = None) -> CocoFile:
    """Open a COCO file, and find its images.

    Parameters
    ----------
    path : Path
        Absolute.
    images : Path, optional
        The folder of the images, absolute; by default it is looked for.

    Returns
    -------
    CocoFile

    Raises
    ------
    SourceError
        If the named folder is not there.
    """
    files = Folder(path.parent)
    if images is not None:
        folder = Folder(images)
        if folder.names() is None:
            raise SourceError(
                f"no folder {images}; expected the folder of the images of {path.name}; "
                f"check the path"
            )
        return CocoFile(files, path.name, folder, str(images))
    candidates = _image_folders(path)
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
    return CocoFile(files, path.name, chosen, looked_for)


def _image_folders(path: Path) -> list[Path]:
    """Where the images of a COCO file may be, likeliest first.

    ``train_images/``, ``train/`` and ``images/`` beside ``train.json``, and as in COCO itself
    ``train2017/`` beside the folder of ``annotations/instances_train2017.json``.
    """
    split = path.stem.partition("_annotations")[0]
    names = list(dict.fromkeys((f"{split}_images", split, split.split("_")[-1])))
    names += [*(f"images/{name}" for name in names), "images"]
    folders = [*(path.parent / name for name in names), path.parent]
    if "annotations" in path.parent.name:
        folders += [path.parent.parent / name for name in names]
    return folders
