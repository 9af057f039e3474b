"""Ultralytics' ``data.yaml``: the names of classes, and where the images of each split are.

::

    path: ../datasets/flakes      where the others are relative to; the file's folder by default
    train: images/train           a folder, a text that lists images, or a list of such
    val: [images/a, images/b]
    names: [mono, bi]             or  {0: mono, 1: bi}

Paths are written on other machines, and Roboflow's begin with a ``..`` too many: what is not there
is looked for by its trailing parts. All that is read lies in the folder of the file.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import yaml

from mtfast.errors import SourceError
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import spellings

__all__ = ["DataYaml", "is_yaml", "looks_like_yolo", "place_in", "read_yaml"]

_MOST_BYTES = 1 << 20
_SPLITS = ("train", "val", "test")
_MOST_CLASSES = 1 << 16


class DataYaml(NamedTuple):
    """What the file says.

    Attributes
    ----------
    path : str
        As written; empty where there is none.
    splits : dict
        The places of each split, as written.
    names : tuple of (int, str)
        Classes by their numbers.
    """

    path: str
    splits: dict[str, list[str]]
    names: tuple[tuple[int, str], ...]


def is_yaml(name: str) -> bool:
    """Whether a file is YAML, by its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
    """
    return name.lower().endswith((".yaml", ".yml"))


def looks_like_yolo(files: FileTree, name: str) -> bool:
    """Whether a YAML file has classes and splits.

    Parameters
    ----------
    files : FileTree
    name : str

    Returns
    -------
    bool
    """
    try:
        content = _load(files, name)
    except SourceError:
        return False
    return bool(content.keys() & {"names", "nc"} and content.keys() & {*_SPLITS})


def read_yaml(files: FileTree, name: str) -> DataYaml:
    """Read the file.

    Parameters
    ----------
    files : FileTree
    name : str

    Returns
    -------
    DataYaml

    Raises
    ------
    SourceError
        If it is no such file, or one of key points.
    """
    content = _load(files, name)
    if "kpt_shape" in content:
        raise SourceError(
            f"{name} is of a set of key points (kpt_shape); expected outlines of objects; export "
            f"the set for segmentation"
        )
    splits = {split: _texts(content[split], name, split) for split in _SPLITS if split in content}
    if not any(splits.values()):
        raise SourceError(
            f"{name} names no images; expected train, val or test as in Ultralytics' data.yaml; "
            f"check that it is the right file"
        )
    path = content.get("path") or ""
    return DataYaml(path if isinstance(path, str) else "", splits, _names(content, name))


def _load(files: FileTree, name: str) -> dict[str, Any]:
    """Load a file; all its scalars are texts."""
    try:
        # This loader makes no objects, and no numbers or truth values of names such as 1 and no.
        content = yaml.load(files.read(name, _MOST_BYTES), Loader=yaml.BaseLoader)  # noqa: S506
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        found = " ".join(str(error).split())[:200] or type(error).__name__
        raise SourceError(
            f"{name} is not valid YAML ({found}); expected Ultralytics' data.yaml; correct it"
        ) from error
    if not isinstance(content, dict):
        raise SourceError(
            f"{name} holds no keys; expected Ultralytics' data.yaml; check that it is the right "
            f"file"
        )
    return content


def _texts(value: Any, name: str, key: str) -> list[str]:
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in values):
        raise SourceError(
            f"{name}: {key} is no path and no list of paths; expected folders of images, or texts "
            f"that list them; correct it"
        )
    return [text for text in values if text.strip()]


def _names(content: dict[str, Any], name: str) -> tuple[tuple[int, str], ...]:
    names = content.get("names")
    if names is None:
        names = list(map(str, range(_number(content.get("nc"), _MOST_CLASSES + 1) or 0)))
    if isinstance(names, list):
        names = dict(enumerate(names))
    pairs: Iterable[tuple[Any, Any]] = names.items() if isinstance(names, dict) else ()
    found = [(_number(key, _MOST_CLASSES), text) for key, text in pairs]
    listed = tuple((key, text) for key, text in found if key is not None and isinstance(text, str))
    if not listed or len(listed) < len(found):
        raise SourceError(
            f"{name}: names is no list of names, and no map of numbers below {_MOST_CLASSES} to "
            f"names; expected the names of classes; correct it"
        )
    return listed


def _number(value: Any, most: int) -> int | None:
    text = str(value) if isinstance(value, str | int) else ""
    is_number = text.isascii() and text.isdecimal() and len(text) < 9
    return int(text) if is_number and int(text) < most else None


def place_in(
    files: FileTree, place: str, bases: Sequence[str], *, is_file: bool = False
) -> str | None:
    """Find a folder or a file that a set names by a path of some machine.

    Parameters
    ----------
    files : FileTree
    place : str
        As written.
    bases : sequence of str
        Folders that it may be relative to, likeliest first.
    is_file : bool
        Whether it has to be a file; otherwise it may be a folder.

    Returns
    -------
    str or None
        A path of the tree; None if it is nowhere.
    """
    tried = [f"{base}/{place}" for base in bases if not place.startswith("/")]
    # One part alone, such as "images", may be another folder than the one that is missing.
    least = 1 if is_file else 2
    tails = [
        tail
        for spelling in (*tried, place)
        for tail in spellings(_normal(spelling))
        if tail.count("/") + 1 >= least
    ]
    for tail in dict.fromkeys((*map(_normal, tried), *tails)):
        if files.exists(tail) or not (is_file or files.names(tail) is None):
            return tail
    return None


def _normal(path: str) -> str:
    """Resolve the dots in a path; it stays in its folder.

    >>> _normal("../train/./images"), _normal("a/../b")
    ('train/images', 'b')
    """
    parts: list[str] = []
    for part in path.replace("\\", "/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
