"""A COCO JSON file with a folder of images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mtfast.errors import SourceError
from mtfast.paths import base_name
from mtfast.sources.coco.parse import parse_coco
from mtfast.sources.coco.records import Records
from mtfast.sources.files import Files, Folder
from mtfast.sources.source import (
    OneSplit,
    expect_one_of,
    find_listed,
    image_names,
    open_found,
    read_found,
    read_listed,
)
from mtfast.table import RunTable

__all__ = ["CocoFile", "open_coco"]


@dataclass(frozen=True)
class CocoFile(OneSplit):
    """A COCO JSON file; see :class:`mtfast.sources.Source`.

    ``images`` is the folder of its images, None if none was found; ``looked_for`` says where.
    """

    files: Files
    file: str
    images: Files | None
    looked_for: str
    kind: str = "coco"

    @property
    def path(self) -> Path:
        """Absolute path of the file."""
        return self.files.root / self.file

    @property
    def name(self) -> str:
        """Name of the file without its ending."""
        return self.path.stem

    def variant_file(self, split: str, variant: str) -> str:
        """Name of the file."""
        expect_one_of(variant, self.variants(split), f"variant of {split}", self.name)
        return self.file

    def table(self, split: str, variant: str) -> RunTable:
        """Read the annotations; see :meth:`mtfast.sources.Source.table`."""
        file = self.variant_file(split, variant)
        with open_found(self.files, file) as stream:
            return parse_coco(stream, file)

    def records(self, split: str, variant: str) -> Records:
        """Read the annotations as JSON text."""
        file = self.variant_file(split, variant)
        return Records(read_found(self.files, file), file)

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """Sorted names of the image files; None if no folder of them was found."""
        self._expect_split(split)
        return None if self.images is None else image_names(self.images, "")

    def find_image(self, split: str, name: str) -> str | None:
        """Path of the file of an image; None if it is missing."""
        self._expect_split(split)
        for files in self._places(name):
            if files.exists(name):
                return str(files.root / name)
        path = None if self.images is None else find_listed(self.images, "", name)
        return None if path is None or self.images is None else str(self.images.root / path)

    def _places(self, name: str) -> tuple[Files, ...]:
        """Where a name is looked up with the folders in it, if there are any."""
        if name == base_name(name):
            return ()
        return (self.files,) if self.images is None else (self.images, self.files)

    def read_image(self, split: str, name: str) -> bytes:
        """Contents of the file of an image; SourceError if it is missing.

        A name that holds folders is looked up in the folder of images as it is, beside the JSON
        file as it is, and in the folder of images without its folders.
        """
        self._expect_split(split)
        for files in self._places(name):
            if files.exists(name):
                return files.read(name)
        if self.images is None:
            raise SourceError(
                f"image {name!r} of {self.file} is missing: no folder of images; "
                f"expected one of {self.looked_for} beside it; "
                f"make one of these a link to your folder, or use open_source(path, images=…)"
            )
        return read_listed(self.images, "", name, "image")


def open_coco(path: Path, images: Path | None = None) -> CocoFile:
    """Open the COCO file at an absolute path; the images may have their folder named.

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
    found = [(folder, image_names(folder, "")) for folder in map(Folder, candidates)]
    with_images = [folder for folder, names in found if names]
    # Images may lie further down in a folder of them, but not in the one of the JSON file.
    empty = [folder for folder, names in found if names == () and folder.root != path.parent]
    looked_for = ", ".join(dict.fromkeys(f"{c.name}/" for c in candidates if c != path.parent))
    return CocoFile(files, path.name, next(iter(with_images + empty), None), looked_for)


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
