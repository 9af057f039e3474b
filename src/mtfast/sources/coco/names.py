"""What the names of COCO files say."""

from __future__ import annotations

import re

__all__ = ["ROBOFLOW", "is_json", "split_named", "stem_of_json"]

ROBOFLOW = "_annotations.coco.json"
"""What Roboflow calls the COCO file in the folder of each split."""

_NAME = r"(?:mini)?(?:train(?:ing|val)?|valid(?:ation)?|val|test(?:ing)?)(?:-dev)?[0-9]*k?"
_SPLIT = re.compile(rf"(?:^|[^a-zA-Z0-9])({_NAME})(?:$|[^a-zA-Z0-9])", re.IGNORECASE)


def is_json(name: str) -> bool:
    """Whether a file is JSON, packed or not, by its name.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
    """
    return name.lower().endswith((".json", ".json.gz"))


def stem_of_json(name: str) -> str:
    """Return the name of a JSON file without its endings.

    Parameters
    ----------
    name : str

    Returns
    -------
    str

    Examples
    --------
    >>> stem_of_json("lvis_v1_val.json.gz"), stem_of_json("_annotations.coco.json")
    ('lvis_v1_val', '_annotations.coco')
    """
    return re.sub(r"\.json(\.gz)?$", "", name, flags=re.IGNORECASE)


def split_named(file: str, folder: str = "") -> str:
    """Return the split that the name of an annotation file says, or else its folder is.

    Parameters
    ----------
    file, folder : str
        The folder counts only if its whole name is that of a split.

    Returns
    -------
    str
        "train" where neither says any.

    Examples
    --------
    >>> split_named("instances_val2017.json"), split_named("test_annotations_300.json")
    ('val2017', 'test')
    >>> split_named("_annotations.coco.json", "valid"), split_named("flakes.json")
    ('valid', 'train')
    """
    if match := _SPLIT.search(stem_of_json(file)):
        return match[1]
    return folder if re.fullmatch(_NAME, folder, re.IGNORECASE) else "train"
