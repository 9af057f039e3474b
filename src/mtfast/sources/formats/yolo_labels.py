"""A label file of YOLO: a line for each object, its class and its outline.

::

    0 0.681 0.485 0.670 0.487 0.676 0.502       class, then x y x y …: one ring
    1 0.500 0.500 0.250 0.100                   class, then centre, width and height: a box

Numbers are shares of the width and height of the image. Objects with holes or of several parts are
one ring that passes through all of them.

Source: https://docs.ultralytics.com/datasets/segment/ and ``img2label_paths`` of ultralytics.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import NamedTuple

__all__ = ["IMAGES", "LABELS", "MALFORMED", "NO_OUTLINE", "Shape", "labels_of", "read_labels"]

IMAGES, LABELS = "images", "labels"
MALFORMED = "malformed record"
NO_OUTLINE = "no segmentation"

_BOX = 4
_TRIANGLE = 6
_MOST_CLASSES = 1 << 31
# Objects may end outside of their image; numbers beyond these are pixels.
_LEAST_SHARE, _MOST_SHARE = -1.0, 2.0


class Shape(NamedTuple):
    """An object of a label file, or what is wrong with its line.

    Attributes
    ----------
    line : int
        From 1 on.
    class_ : int
        As in the file, from 0 on.
    ring : sequence of float
        x, y, x, y, … in pixels; of a box, its corners.
    fault : str
        The kind of bad record that it is: one of a box alone is ``NO_OUTLINE``.
    words : str
        What was found.
    is_beyond : bool
        Whether the ring leaves the image.
    """

    line: int
    class_: int = 0
    ring: Sequence[float] = ()
    fault: str = ""
    words: str = ""
    is_beyond: bool = False


def labels_of(path: str, ending: str = "") -> str:
    """Return where the labels of an image, or of a folder of images, are.

    Parameters
    ----------
    path : str
    ending : str, optional
        Of the label file; empty for a folder.

    Returns
    -------
    str
        The path, where the last folder called "images" is "labels".

    Examples
    --------
    >>> labels_of("train/images/a.jpg", ".txt"), labels_of("images/train")
    ('train/labels/a.txt', 'labels/train')
    """
    parts = list(PurePosixPath(path).parts)
    folders = parts[:-1] if ending else parts
    if IMAGES in folders:
        parts[len(folders) - 1 - folders[::-1].index(IMAGES)] = LABELS
    if ending:
        parts[-1] = f"{PurePosixPath(parts[-1]).stem}{ending}"
    return "/".join(parts)


def read_labels(text: str, height: int, width: int) -> list[Shape]:
    """Read a label file.

    Parameters
    ----------
    text : str
    height, width : int
        Of its image, in pixels.

    Returns
    -------
    list of Shape
        In the order of the lines; empty lines are skipped.

    Examples
    --------
    >>> read_labels("2 0 0 0.5 0 0.5 1", 100, 200)[0].ring
    [0.0, 0.0, 100.0, 0.0, 100.0, 100.0]
    """
    numbered = ((number, line.split()) for number, line in enumerate(text.splitlines(), 1))
    return [_shape(number, words, height, width) for number, words in numbered if words]


def _shape(line: int, words: list[str], height: int, width: int) -> Shape:
    try:
        class_, *shares = map(float, words)
    except ValueError:
        return Shape(line, fault=MALFORMED, words="something that is no number")
    # NaN is not between them.
    if not (0 <= class_ < _MOST_CLASSES and class_.is_integer()):
        return Shape(line, fault=MALFORMED, words=f"class {class_:g}")
    n = len(shares)
    if n % 2 or (n < _TRIANGLE and n != _BOX):
        return Shape(line, fault=MALFORMED, words=f"{n} numbers after the class")
    if not all(map(math.isfinite, shares)):
        return Shape(line, fault=MALFORMED, words="a coordinate that is not finite")
    is_box = n == _BOX
    if is_box:
        shares = _corners(*shares)
    least, most = min(shares), max(shares)
    if least < _LEAST_SHARE or most > _MOST_SHARE:
        far = most if most > _MOST_SHARE else least
        return Shape(line, fault=MALFORMED, words=f"{far:g}, which is no share of the image's size")
    ring = [0.0] * len(shares)
    ring[::2] = [x * width for x in shares[::2]]
    ring[1::2] = [y * height for y in shares[1::2]]
    fault, found = (NO_OUTLINE, "a box alone") if is_box else ("", "")
    return Shape(line, int(class_), ring, fault, found, least < 0 or most > 1)


def _corners(x: float, y: float, width: float, height: float) -> list[float]:
    left, right = x - width / 2, x + width / 2
    top, bottom = y - height / 2, y + height / 2
    return [left, top, left, bottom, right, bottom, right, top]
