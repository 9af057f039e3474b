"""What a file format for annotations has to do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import counted
from mtfast.interchange.inputs import SplitInput, scores_of
from mtfast.interchange.names import with_ending
from mtfast.rles import Rles
from mtfast.rles.polygons import rasterise
from mtfast.table import Category, RunTable

__all__ = ["AnnotationFormat", "FormatOfImages", "ImageFile", "rasterised", "renumbered"]

# Of classes that have got other numbers, as many are named.
_MOST_NAMED = 3

Int64 = NDArray[np.int64]


class ImageFile(NamedTuple):
    """The annotations of an image in a format.

    Attributes
    ----------
    data : bytes
        The file.
    kept : (n,) int64
        The instances that it holds.
    again : Rles or None
        Their masks, as they are read from the file; None where these cannot differ.
    """

    data: bytes
    kept: Int64
    again: Rles | None = None


class AnnotationFormat(ABC):
    """Writes annotations for other tools.

    What its methods are given and return is said here once; a format says what it makes of it.

    Parameters
    ----------
    categories : sequence of Category
        The classes of all splits.
    """

    holds_ids: ClassVar[bool] = False
    """Whether instances have the ids that they had."""
    holds_scores: ClassVar[bool] = False
    """Whether predictions have their scores."""

    def __init__(self, categories: Sequence[Category]) -> None:
        self.categories = categories
        self.names = {category.id: category.name for category in categories}

    @abstractmethod
    def image_folder(self, split: str) -> str:
        """Return the folder of the images of a split.

        Parameters
        ----------
        split : str

        Returns
        -------
        str
        """

    def whole_files(self, splits: Sequence[SplitInput]) -> dict[str, bytes]:
        """Write the files that are not of one image.

        Parameters
        ----------
        splits : sequence of SplitInput

        Returns
        -------
        dict
            Their bytes, by their names; by default there are none.
        """
        return {}

    def notes(self, splits: Sequence[SplitInput]) -> list[str]:
        """Say what the files do not show and a user has to know.

        Parameters
        ----------
        splits : sequence of SplitInput

        Returns
        -------
        list of str
        """
        said = [] if self.holds_ids else ["ids of instances are not kept, as the format has none"]
        n_scores = 0 if self.holds_scores else sum(len(scores_of(split)) for split in splits)
        if n_scores:
            of = counted(n_scores, "prediction")
            said.append(f"scores of {of} are not kept, as the format has none")
        return said


class FormatOfImages(AnnotationFormat):
    """Writes a file for each image."""

    ending: ClassVar[str]

    def image_folder(self, split: str) -> str:
        """Return the folder of the images of a split: by default that of their annotations.

        Parameters
        ----------
        split : str

        Returns
        -------
        str
        """
        return split

    def annotation_file(self, split: str, file: str) -> str:
        """Return where the annotations of an image are.

        Parameters
        ----------
        split, file : str
            The file of the image.

        Returns
        -------
        str
            Beside the image, by default.
        """
        return f"{self.image_folder(split)}/{with_ending(file, self.ending)}"

    def begin_split(self, split: SplitInput) -> None:
        """Read what the table of a split does not have; nothing, by default.

        Parameters
        ----------
        split : SplitInput
            Of the images that are written next.
        """
        return

    @abstractmethod
    def write_image(self, table: RunTable, file: str) -> ImageFile:
        """Write the annotations of an image.

        Parameters
        ----------
        table : RunTable
            Of this image.
        file : str
            Where the image is, in the folder of its split.

        Returns
        -------
        ImageFile
        """


def rasterised(rings_of_masks: Sequence[Any], table: RunTable) -> Rles:
    """Rasterise masks of an image again, each the union of its rings.

    Parameters
    ----------
    rings_of_masks : sequence of lists of rings
    table : RunTable
        Of this image.

    Returns
    -------
    Rles
    """
    size = int(table.heights[0]), int(table.widths[0])
    sizes = [size] * len(rings_of_masks)
    texts = rasterise(rings_of_masks, sizes, "mask {}".format)
    return Rles.of([text.encode("ascii") for text in texts], sizes)


def renumbered(why: str, moved: Sequence[str]) -> list[str]:
    """Say which classes have other numbers in the files.

    Parameters
    ----------
    why : str
    moved : sequence of str
        Each of them, such as "3 is 2".

    Returns
    -------
    list of str
        One note; none if all classes have their own numbers.

    Examples
    --------
    >>> renumbered("YOLO numbers classes from 0", ["1 is 0", "2 is 1", "3 is 2", "7 is 3"])
    ['YOLO numbers classes from 0: 1 is 0, 2 is 1, 3 is 2 and 1 other']
    """
    n_others = len(moved) - _MOST_NAMED
    more = f" and {counted(n_others, 'other')}" if n_others > 0 else ""
    return [f"{why}: {', '.join(moved[:_MOST_NAMED])}{more}"] if moved else []
