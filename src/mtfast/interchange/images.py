"""Image files beside exported annotations: linked, copied, or written from a store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Literal

from mtfast.errors import MtfastError
from mtfast.interchange.inputs import SplitInput
from mtfast.sources.split import SourceSplit
from mtfast.store.reading.split import Split

__all__ = ["ImagesChoice", "create", "put_image"]

ImagesChoice = Literal["link", "copy", "none"]


def put_image(split: SplitInput, k: int, target: Path, images: ImagesChoice) -> bool:
    """Put the file of an image where it belongs.

    Parameters
    ----------
    split : SplitInput
    k : int
        Number of the image.
    target : Path
    images : {"link", "copy"}
        Whether a file of a source is linked, if that can be. Pages of stacks, images of stores, and
        files that are not on a disk are written.

    Returns
    -------
    bool
        Whether there is such a file.

    Raises
    ------
    MtfastError
        If another image has that file already, or it cannot be read.
    """
    name = str(split.table.names[k])
    if isinstance(split.view, SourceSplit):
        place = split.view.source.image_place(split.name, name)
        if place is None:
            return False
        file = None if place.page is not None else place.files.local(place.path)
        if file is None:
            create(target, place.read())
        else:
            _link(file, target) if images == "link" else _copy(file, target)
        return True
    if not isinstance(split.view, Split) or not split.view.has_images:
        return False
    create(target, split.view.image_bytes(name))
    return True


def create(target: Path, data: bytes) -> None:
    """Write a new file.

    Parameters
    ----------
    target : Path
    data : bytes

    Raises
    ------
    MtfastError
        If it is there.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with target.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise _taken(target) from None


def _link(file: Path, target: Path) -> None:
    """Link a file; copy it where that fails, from another disk for instance."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A hard link to a symbolic link would break when the folder is moved.
        target.hardlink_to(file.resolve())
    except FileExistsError:
        raise _taken(target) from None
    except OSError:
        _copy(file, target)


def _copy(file: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with file.open("rb") as old, target.open("xb") as new:
            shutil.copyfileobj(old, new)
    except FileExistsError:
        raise _taken(target) from None


def _taken(target: Path) -> MtfastError:
    return MtfastError(
        f"two images would both have the file {target.name}, on a disk that may be blind to case; "
        f"expected one for each; rename one of them in the dataset"
    )
