"""Names of files in the folder of an export, made from the names that a dataset has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from mtfast.errors import MtfastError
from mtfast.paths import base_name, is_name, split_page

__all__ = ["expect_apart", "exported_name", "with_ending"]


def exported_name(name: str) -> str:
    """Return where an image goes in the folder of its split.

    Parameters
    ----------
    name : str
        As the annotations have it.

    Returns
    -------
    str
        With its folders, unless these lead out of the folder. A page of a stack is a file of its
        own.

    Examples
    --------
    >>> exported_name("run1/a1.jpg"), exported_name("../a1.jpg"), exported_name("stack.tif[3]")
    ('run1/a1.jpg', 'a1.jpg', 'stack[3].tif')
    """
    file, page = split_page(name)
    path = PurePosixPath(file.replace("\\", "/"))
    if name[1:2] == ":" or not all(map(is_name, path.parts)):
        path = PurePosixPath(base_name(file))
    if page is not None:
        path = path.with_name(f"{path.stem}[{page}]{path.suffix}")
    if not path.parts or not all(map(is_name, path.parts)):
        raise MtfastError(
            f"image {name!r} names no file; expected a name such as a1.jpg; rename it in the "
            f"annotations"
        )
    return str(path)


def with_ending(name: str, ending: str) -> str:
    """Return the name of an image with another ending.

    Parameters
    ----------
    name, ending : str

    Returns
    -------
    str

    Examples
    --------
    >>> with_ending("run1/a1.tile.jpg", ".txt"), with_ending("stack[3].tif", ".txt")
    ('run1/a1.tile.txt', 'stack[3].txt')
    """
    path = PurePosixPath(name)
    return str(path.with_name(f"{path.stem}{ending}"))


def expect_apart(files: Iterable[tuple[str, str]], split: str) -> None:
    """Refuse two images that would have one file.

    Parameters
    ----------
    files : iterable of (file, image)
    split : str
        For the message.

    Raises
    ------
    MtfastError
    """
    taken: dict[str, str] = {}
    for file, image in files:
        if file in taken:
            raise MtfastError(
                f"images {taken[file]!r} and {image!r} of split {split!r} would both have the file "
                f"{file}; expected one for each; rename one of them in the dataset"
            )
        taken[file] = image
