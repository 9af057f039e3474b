"""Image files beside exported annotations: linked, copied, or written from a store."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from mtfast.errors import MtfastError
from mtfast.image_files import jpeg, read_header, shown_size, without_orientation
from mtfast.interchange.inputs import SplitInput
from mtfast.sources import Orientation
from mtfast.sources.image_folder import FilePlace
from mtfast.sources.split import SourceSplit
from mtfast.store.reading.split import Split

__all__ = ["ImagesChoice", "create", "find_files", "frame_of", "make_upright", "put_image"]

ImagesChoice = Literal["link", "copy", "none"]
Frame = Orientation | Literal["either"]


# The size of nearly every JPEG, and how it is turned, are in its first bytes.
_HEAD = 1 << 16


def find_files(split: SplitInput) -> dict[str, FilePlace]:
    """Find the image files of a source; none where it is a store.

    Parameters
    ----------
    split : SplitInput

    Returns
    -------
    dict
        By the names of images; none for a file that several names lead to.
    """
    if not isinstance(split.view, SourceSplit):
        return {}
    return split.view.source.find_places(split.name, split.table.names.tolist())


def put_image(
    split: SplitInput,
    k: int,
    files: Mapping[str, FilePlace],
    target: Path,
    images: ImagesChoice,
) -> bool:
    """Put the file of an image where it belongs.

    Parameters
    ----------
    split : SplitInput
    k : int
        Number of the image.
    files : mapping of str to FilePlace
        Of :func:`find_files`.
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
        place = files.get(name)
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


def frame_of(split: SplitInput, k: int, file: Path) -> Frame | None:
    """Return what the masks of an image lie on, which its EXIF orientation turns.

    Parameters
    ----------
    split : SplitInput
    k : int
        Number of the image.
    file : Path
        Of the image.

    Returns
    -------
    {"stored", "shown", "either"} or None
        "either" where masks fit both ways, and nothing says which way they lie; None where nothing
        is turned, or masks do not fit.
    """
    with file.open("rb") as stream:
        found = jpeg.read_stored_size(stream.read(_HEAD))
    if found is None:
        try:
            header = read_header(file.read_bytes())
        except MtfastError:
            return None
        found = header.height, header.width, header.orientation
    height, width, orientation = found
    if orientation == 1:
        return None
    size = int(split.table.heights[k]), int(split.table.widths[k])
    fits_stored, fits_shown = size == (height, width), size == shown_size(*found)
    if fits_stored and fits_shown:
        return _settled(split, k) or "either"
    return "stored" if fits_stored else "shown" if fits_shown else None


def _settled(split: SplitInput, k: int) -> Orientation | None:
    """Return what a source says of its masks, or a store, for which it was settled."""
    if isinstance(split.view, SourceSplit):
        return split.view.source.frame
    if isinstance(split.view, Split):
        return "shown" if split.view.orientations[k] > 1 else "stored"
    return None


def make_upright(file: Path) -> bool:
    """Replace an image file by a copy that every program shows as it is stored.

    Parameters
    ----------
    file : Path
        A copy, or a link to a file that stays as it is.

    Returns
    -------
    bool
        Whether that can be done.
    """
    try:
        data = without_orientation(file.read_bytes())
    except MtfastError:
        return False
    file.unlink()
    create(file, data)
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
