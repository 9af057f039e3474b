"""What is written where: a part of the images of a split, and the format that writes it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from mtfast.painting.encode import MaskForm, encode_masks
from mtfast.painting.selection import Selection
from mtfast.table import RunTable

__all__ = ["FOLDER", "Format", "MaskSplit", "Part"]

FOLDER = "{split}_semantic_masks"
"""Where the masks of a split are, whatever their kind; the name that the published sets have."""


@dataclass(frozen=True)
class MaskSplit:
    """A split whose masks are to be written.

    Attributes
    ----------
    name, variant : str
    table : RunTable
        All its annotations, nothing selected yet.
    dtype : numpy dtype
        Of the masks, uint8 or uint16.
    largest : int
        The largest value that any of them holds.
    """

    name: str
    variant: str
    table: RunTable
    dtype: np.dtype[Any]
    largest: int


@dataclass(frozen=True)
class Part:
    """Images of a split that one job writes: all that a worker needs to know.

    Attributes
    ----------
    table : RunTable
        Of the split. Only the part's own images are sent to another process.
    start, stop : int
        Its images are start .. stop - 1.
    """

    out: Path
    split: str
    number: int
    table: RunTable
    start: int
    stop: int
    selection: Selection
    dtype: str
    largest: int

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"table": self.images, "start": 0, "stop": self.n_images}

    @property
    def n_images(self) -> int:
        """Number of images."""
        return self.stop - self.start

    @property
    def images(self) -> RunTable:
        """Annotations of its images, nothing selected yet."""
        return self.table[self.start : self.stop]

    def encode(self, form: Callable[[int], MaskForm]) -> Iterator[bytes]:
        """Encode the mask of every image; the form is made for the largest value."""
        table = self.selection.select(self.images)
        turns = np.flatnonzero(np.diff(table.heights) | np.diff(table.widths)) + 1
        for start, stop in pairwise([0, *turns.tolist(), table.n_images]):
            yield from encode_masks(table[start:stop], self.dtype, form(self.largest))


class Format(ABC):
    """How masks lie in a folder.

    It is sent to the workers. Whatever it writes takes its name when it is whole, and so is known
    to be by that name.
    """

    one_size: ClassVar[bool] = True
    """Whether the images of a split must all have one size."""

    def check(self, split: MaskSplit) -> None:  # noqa: B027 - most do nothing here
        """Raise MtfastError if the masks of a split cannot be written."""

    @abstractmethod
    def outputs(self, out: Path, split: str) -> list[Path]:
        """All files and folders in which the masks of a split end up."""

    @abstractmethod
    def begin(self, out: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Keep the record, and make what the parts need or find it made."""

    def is_whole(self, out: Path, split: MaskSplit) -> bool:
        """Whether no part of a split has to be looked at any more."""
        return False

    @abstractmethod
    def write(self, part: Part) -> int:
        """Write the masks of a part that are not there yet; return how many that were."""

    def gather(self, out: Path, split: MaskSplit) -> None:  # noqa: B027 - most do nothing here
        """Make of the parts of a split what it is to be."""

    def end(self, out: Path) -> None:  # noqa: B027 - most do nothing here
        """Say that all is there."""
