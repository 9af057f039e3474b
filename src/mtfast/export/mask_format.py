"""What a file format for masks has to do, and the batch of images that one job writes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtfast.export.staging import Stage
from mtfast.painting.encode import MaskEncoder, encode_masks
from mtfast.painting.mask_kinds import Kind, MaskSpec
from mtfast.table import RunTable

__all__ = ["MaskBatch", "MaskFormat", "MaskSplit"]


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
        The largest value in any of them.
    """

    name: str
    variant: str
    table: RunTable
    dtype: np.dtype[Any]
    largest: int


@dataclass(frozen=True)
class MaskBatch:
    """Images of a split that one job writes: all that a worker needs to know.

    Attributes
    ----------
    stage : Stage
        Where the masks go.
    split : str
    number : int
        Batches of a split are numbered from 0.
    table : RunTable
        Of the split. Only the batch's own images are sent to another process.
    start, stop : int
        Its images are start .. stop - 1.
    spec : MaskSpec
        Which instances show, and as what.
    dtype : str
        Of the masks, "uint8" or "uint16".
    largest : int
        The largest value in any mask of the split.
    """

    stage: Stage
    split: str
    number: int
    table: RunTable
    start: int
    stop: int
    spec: MaskSpec
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
        return self.table.images(slice(self.start, self.stop))

    def encode(self, make_encoder: Callable[[int], MaskEncoder]) -> Iterator[bytes]:
        """Encode the mask of every image.

        Parameters
        ----------
        make_encoder : callable
            Makes what encodes, from the largest value in any mask.

        Yields
        ------
        bytes

        Raises
        ------
        RLEError, MtfastError
            As :func:`mtfast.painting.encode.encode_masks` does.
        """
        table = self.spec.select(self.images)
        return encode_masks(table, self.dtype, make_encoder(self.largest))


@dataclass(frozen=True)
class MaskFormat(ABC):
    """How masks are laid out in a folder.

    It is pickled to the workers.

    Parameters
    ----------
    kind : {"semantic", "instance", "binary", "boundary"}
        What the pixels are; part of the names of files and folders.
    """

    kind: Kind = "semantic"

    def name_of(self, split: str) -> str:
        """Name the folder or file of a split, as the published sets do.

        Parameters
        ----------
        split : str

        Returns
        -------
        str
            Such as "train_semantic_masks".
        """
        return f"{split}_{self.kind}_masks"

    def check(self, split: MaskSplit) -> None:  # noqa: B027 - most formats have nothing to check
        """Refuse a split whose masks cannot be written.

        Parameters
        ----------
        split : MaskSplit

        Raises
        ------
        MtfastError
        """

    @abstractmethod
    def outputs(self, out: Path, split: str) -> list[Path]:
        """List the files and folders that the masks of a split may be in.

        Parameters
        ----------
        out : Path
        split : str

        Returns
        -------
        list of Path
        """

    @abstractmethod
    def begin(self, content: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Stage the record, and what the batches need.

        Parameters
        ----------
        content : Path
            Empty.
        record : dict
            See :mod:`mtfast.export.manifest`.
        splits : sequence of MaskSplit
        """

    @abstractmethod
    def write(self, batch: MaskBatch) -> int:
        """Stage the masks of a batch that are not there yet.

        Parameters
        ----------
        batch : MaskBatch

        Returns
        -------
        int
            How many were written.
        """

    def finish_split(self, stage: Stage, split: MaskSplit) -> bool:
        """Do what is left once all batches of a split are staged.

        Parameters
        ----------
        stage : Stage
        split : MaskSplit

        Returns
        -------
        bool
            Whether the masks of the split turn out to be there.
        """
        return False

    def finish(self, out: Path) -> None:  # noqa: B027 - optional
        """Mark the folder complete once all masks are in it.

        Parameters
        ----------
        out : Path
        """
