"""What every reader of a dataset offers, and all that layouts share.

A layout is a subclass of :class:`Source` that says where its files are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar, NamedTuple

from mtfast.errors import SourceError, no_such
from mtfast.sources.coco.parse import parse_coco
from mtfast.sources.coco.records import Records
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import FilePlace, ImageFolder, find_first, read_first
from mtfast.table import RunTable

__all__ = ["SetNames", "Source", "chosen_splits", "expect_one_of"]


class SetNames(NamedTuple):
    """The named sets (exfoliation runs) of a split.

    ``members`` maps the stem of an image to the name of its set; it is empty where only the sets
    are listed.
    """

    sets: tuple[str, ...]
    members: dict[str, str]


@dataclass(frozen=True)
class Source(ABC):
    """A dataset to read: images and their instance masks, in splits and annotation variants.

    A source holds paths and names, no data: it pickles small, and every call reads its file anew.

    A layout overrides ``kind``, ``_annotations_at`` and ``_image_folder``. Everything else has a
    default: one split "train" with one variant "annotations", which is COCO JSON, no semantic
    masks, no named sets. Methods that start with an underscore are given names that are known to
    be there.

    Attributes
    ----------
    files : FileTree
        The files of the dataset.
    kind : str
        The layout: "maskterial", "coco" or "label_png".

    Examples
    --------
    >>> source = mtfast.open_source("Graphene")
    >>> source.table("train", source.variants("train")[0]).n_images
    10
    """

    files: FileTree
    kind: ClassVar[str]

    @property
    def path(self) -> Path:
        """Absolute path of the folder or file."""
        return self.files.root

    @property
    def name(self) -> str:
        """Name of the folder, or of the file without its ending."""
        return self.path.name

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return ("train",)

    def variants(self, split: str) -> tuple[str, ...]:
        """Name the annotation variants of a split; see :mod:`mtfast.sources.variants`.

        Parameters
        ----------
        split : str

        Returns
        -------
        tuple of str
            n-shot subsets last.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        return self._variants(split)

    def variant_file(self, split: str, variant: str) -> str:
        """Return where the annotations of a variant are.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        str
            A path relative to the root of :attr:`files`.

        Raises
        ------
        SourceError
            If there is no such split or variant.
        """
        expect_one_of(variant, self.variants(split), f"variant of {split}", self.name)
        return self._annotations_at(split, variant)

    def table(self, split: str, variant: str) -> RunTable:
        """Read the annotations of a variant.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        RunTable
            Images in file order; all masks and ids have been checked.

        Raises
        ------
        SourceError
            If there is no such split or variant, or its file is missing or contradicts itself.
        RLEError
            If a mask is malformed; the message names the file and the annotation.
        """
        return self._read_table(self.variant_file(split, variant))

    def records(self, split: str, variant: str) -> Records:
        """Read the annotations of a variant as JSON text, with all that a table leaves out.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        Records

        Raises
        ------
        SourceError
            If there is no such split or variant, or its file is missing.
        """
        return self._read_records(self.variant_file(split, variant))

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """List the image files of a split.

        Parameters
        ----------
        split : str

        Returns
        -------
        tuple of str or None
            Sorted names; None if there is no folder of them.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        folder = self._image_folder(split)
        return None if folder is None else folder.names()

    def find_image(self, split: str, name: str) -> str | None:
        """Return where the file is that :meth:`read_image` reads.

        Parameters
        ----------
        split, name : str

        Returns
        -------
        str or None
            An absolute path; None if the file is missing.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        return find_first(self._image_places(split, name))

    def read_image(self, split: str, name: str) -> bytes:
        """Read the file of an image.

        Parameters
        ----------
        split : str
        name : str
            As the annotations have it. A name that holds folders is looked up as it is, then
            without its folders.

        Returns
        -------
        bytes
            The file, not decoded.

        Raises
        ------
        SourceError
            If there is no such split, or the file is missing or cannot be read.
        """
        self._expect_split(split)
        data = read_first(self._image_places(split, name))
        if data is None:
            raise self._missing_image(split, name)
        return data

    def set_names(self, split: str) -> SetNames:
        """Return the named sets of a split.

        Parameters
        ----------
        split : str

        Returns
        -------
        SetNames
            Empty where the dataset has none.

        Raises
        ------
        SourceError
            If there is no such split, or the file of the sets is not in order.
        """
        self._expect_split(split)
        return self._set_names(split)

    def set_lists(self, split: str) -> dict[str, list[str]]:
        """Return what the dataset's own file says of the sets.

        Parameters
        ----------
        split : str

        Returns
        -------
        dict
            Lists of names by their keys, as they are in the file; empty where there is none.

        Raises
        ------
        SourceError
            If there is no such split, or the file is not in order.
        """
        self._expect_split(split)
        return self._set_lists(split)

    def mask_names(self, split: str) -> tuple[str, ...] | None:
        """List the semantic masks that come with a split.

        Parameters
        ----------
        split : str

        Returns
        -------
        tuple of str or None
            Sorted names; None if no masks come with it.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        folder = self._mask_folder(split)
        return None if folder is None else folder.names()

    def find_mask(self, split: str, name: str) -> str | None:
        """Return where the file is that :meth:`read_mask` reads.

        Parameters
        ----------
        split, name : str

        Returns
        -------
        str or None
            An absolute path; None if the file is missing.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        folder = self._mask_folder(split)
        return None if folder is None else find_first(folder.places(name))

    def read_mask(self, split: str, name: str) -> bytes:
        """Read the file of a semantic mask.

        Parameters
        ----------
        split, name : str

        Returns
        -------
        bytes
            The file, not decoded.

        Raises
        ------
        SourceError
            If there is no such split, no masks come with the dataset, or the file is missing or
            cannot be read.
        """
        self._expect_split(split)
        folder = self._mask_folder(split)
        if folder is None:
            raise SourceError(
                f"semantic mask {name!r} of {self.name}; expected a dataset with semantic masks; "
                f"paint masks with mtfast.semantic"
            )
        data = read_first(folder.places(name))
        if data is None:
            raise folder.missing(name, "mask")
        return data

    def _variants(self, split: str) -> tuple[str, ...]:
        return ("annotations",)

    @abstractmethod
    def _annotations_at(self, split: str, variant: str) -> str: ...

    @abstractmethod
    def _image_folder(self, split: str) -> ImageFolder | None: ...

    def _mask_folder(self, split: str) -> ImageFolder | None:
        return None

    def _read_table(self, file: str) -> RunTable:
        with self._open(file) as stream:
            return parse_coco(stream, file)

    def _read_records(self, file: str) -> Records:
        with self._open(file) as stream:
            return Records(stream.read(), file)

    def _image_places(self, split: str, name: str) -> Sequence[FilePlace]:
        folder = self._image_folder(split)
        return [] if folder is None else folder.places(name)

    def _missing_image(self, split: str, name: str) -> SourceError:
        folder = self._image_folder(split)
        if folder is not None:
            return folder.missing(name, "image")
        return SourceError(
            f"image {name!r} of {self.name} is missing: no folder of images; expected one; "
            f"add it, or go on without the images"
        )

    def _set_names(self, split: str) -> SetNames:
        return SetNames((), {})

    def _set_lists(self, split: str) -> dict[str, list[str]]:
        return {}

    def _expect_split(self, split: str) -> None:
        expect_one_of(split, self.splits, "split", self.name)

    def _open(self, file: str) -> BinaryIO:
        """Open a file that was there when the dataset was opened."""
        try:
            return self.files.open(file)
        except FileNotFoundError as error:
            raise SourceError(
                f"{file} is missing in {self.files.root.name}; expected it where it was when the "
                f"dataset was opened; put it back or open the dataset again"
            ) from error


def chosen_splits(source: Source, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the splits to work on.

    Parameters
    ----------
    source : Source
    wanted : sequence of str or None
        None or nothing stands for all.

    Returns
    -------
    tuple of str
        Each once, in the order in which they are wanted.

    Raises
    ------
    SourceError
        If one of them is not there.
    """
    for split in wanted or ():
        expect_one_of(split, source.splits, "split", source.name)
    return tuple(dict.fromkeys(wanted)) if wanted else source.splits


def expect_one_of(given: str, known: Collection[str], what: str, where: str) -> None:
    """Check that a name is one of those that are there.

    Parameters
    ----------
    given : str
    known : collection of str
    what, where : str
        What has such names and where they were looked for, for the message.

    Raises
    ------
    SourceError
        If it is not among them; the message lists those that are, and the nearest.
    """
    if given not in known:
        raise SourceError(no_such(what, given, known, where))
