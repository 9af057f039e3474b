"""What every reader of a dataset offers, and what they share."""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, runtime_checkable

from mtfast.errors import SourceError
from mtfast.paths import base_name
from mtfast.sources.coco.records import Records
from mtfast.sources.files import Files
from mtfast.table import RunTable

__all__ = ["SetNames", "Source", "chosen_splits"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp")


class SetNames(NamedTuple):
    """The named sets (exfoliation runs) of a split.

    ``members`` maps the stem of an image to the name of its set; it is empty where only the sets
    are listed.
    """

    sets: tuple[str, ...]
    members: dict[str, str]


@runtime_checkable
class Source(Protocol):
    """A dataset to read: images and their instance masks, in splits and annotation variants.

    A source holds paths and names, no data: it pickles small, and every call reads its file anew.
    """

    @property
    def path(self) -> Path:
        """Absolute path of the folder or file."""

    @property
    def name(self) -> str:
        """Name of the folder, or of the file without its ending."""

    @property
    def kind(self) -> str:
        """Which layout it has: "maskterial", "coco" or "label_png"."""

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""

    def variants(self, split: str) -> tuple[str, ...]:
        """Names of the annotation variants of a split, those of n-shot subsets last."""

    def variant_file(self, split: str, variant: str) -> str:
        """Path of the annotations of a variant, relative to :attr:`path`."""

    def table(self, split: str, variant: str) -> RunTable:
        """Read the annotations of a variant; all of them have been checked.

        Raises
        ------
        SourceError
            If there is no such split or variant, or its file is missing or contradicts itself.
        RLEError
            If a mask is malformed; the message names the file and the annotation.
        """

    def records(self, split: str, variant: str) -> Records:
        """Read the annotations of a variant as JSON text, with all that a table leaves out.

        Raises
        ------
        SourceError
            If there is no such split or variant, or its file is missing.
        """

    def image_names(self, split: str) -> tuple[str, ...] | None:
        """Sorted names of the image files of a split; None if there is no folder of them."""

    def find_image(self, split: str, name: str) -> str | None:
        """Path of the file that :meth:`read_image` reads, absolute or from :attr:`path`.

        None if it is missing.
        """

    def read_image(self, split: str, name: str) -> bytes:
        """Contents of the file of an image; SourceError if it is missing."""

    def set_names(self, split: str) -> SetNames:
        """Return the named sets of a split; empty where the dataset has none."""

    def set_lists(self, split: str) -> dict[str, list[str]]:
        """Return what the dataset's own file says of the sets; empty where it has none."""

    def mask_names(self, split: str) -> tuple[str, ...] | None:
        """Sorted names of the semantic masks that come with a split; None if none do."""

    def find_mask(self, split: str, name: str) -> str | None:
        """Path of the file that :meth:`read_mask` reads, as :meth:`find_image` gives it."""

    def read_mask(self, split: str, name: str) -> bytes:
        """Contents of the file of a semantic mask; SourceError if it is missing."""


class OneSplit(ABC):
    """What sources without splits, variants and masks of their own have in common."""

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the dataset."""

    @property
    def splits(self) -> tuple[str, ...]:
        """One split, "train"."""
        return ("train",)

    def variants(self, split: str) -> tuple[str, ...]:
        """One variant, "annotations"."""
        self._expect_split(split)
        return ("annotations",)

    def set_names(self, split: str) -> SetNames:
        """No sets have names here."""
        self._expect_split(split)
        return SetNames((), {})

    def set_lists(self, split: str) -> dict[str, list[str]]:
        """No sets have names here."""
        self._expect_split(split)
        return {}

    def mask_names(self, split: str) -> tuple[str, ...] | None:
        """No semantic masks come with it."""
        self._expect_split(split)
        return None

    def find_mask(self, split: str, name: str) -> str | None:
        """No semantic masks come with it."""
        self._expect_split(split)
        return None

    def read_mask(self, split: str, name: str) -> bytes:
        """No semantic masks come with it: SourceError."""
        self._expect_split(split)
        raise SourceError(
            f"semantic mask {name!r} of {self.name}; expected a dataset with semantic masks; "
            f"paint masks with mtfast.semantic"
        )

    def _expect_split(self, split: str) -> None:
        expect_one_of(split, self.splits, "split", self.name)


def expect_one_of(given: str, known: Iterable[str], what: str, where: str) -> None:
    """Raise a SourceError that lists the names known where if the given one is not among them."""
    known = list(known)
    if given in known:
        return
    shown = ", ".join(known[:20]) + (f" and {len(known) - 20} more" if len(known) > 20 else "")
    close = difflib.get_close_matches(given, known, 1)
    advice = f"did you mean {close[0]!r}?" if close else "pick one of them"
    raise SourceError(
        f"no {what} {given!r} in {where}; expected one of: {shown or 'none'}; {advice}"
    )


def image_names(files: Files, folder: str) -> tuple[str, ...] | None:
    """Sorted names of the image files in a folder; None if there is no such folder."""
    names = files.names(folder)
    if names is None:
        return None
    return tuple(name for name in names if name.lower().endswith(IMAGE_SUFFIXES))


def read_found(files: Files, file: str) -> bytes:
    """Read a file that was there when the dataset was opened; SourceError if it has gone."""
    with open_found(files, file) as stream:
        return stream.read()


def open_found(files: Files, file: str) -> BinaryIO:
    """Open a file that was there when the dataset was opened; SourceError if it has gone."""
    try:
        return files.open(file)
    except FileNotFoundError as error:
        raise SourceError(
            f"{file} is missing in {files.root.name}; expected it where it was when the dataset "
            f"was opened; put it back or open the dataset again"
        ) from error


def find_listed(files: Files, folder: str, name: str) -> str | None:
    """Path of the file that :func:`read_listed` reads; None if it is missing."""
    for candidate in dict.fromkeys((name, base_name(name))):
        path = f"{folder}/{candidate}" if folder else candidate
        if files.exists(path):
            return path
    return None


def read_listed(files: Files, folder: str, name: str, what: str) -> bytes:
    """Read a file that something lists by name.

    A name that holds folders is looked up as it is, then without its folders.

    Raises
    ------
    SourceError
        If it is missing; the message names the file, the folder and what was looked for.
    """
    for candidate in dict.fromkeys((name, base_name(name))):
        try:
            return files.read(f"{folder}/{candidate}" if folder else candidate)
        except FileNotFoundError:
            continue
    place = f"{folder or files.root.name}/"
    if files.names(folder) is None:
        raise SourceError(
            f"{what} {name!r} is missing, as is its folder {place} in {files.root.name}; "
            f"expected that folder with every {what} in it; "
            f"unpack it from the dataset's archive, or go on without the {what}s"
        )
    raise SourceError(
        f"{what} {name!r} is missing in {place}; expected a file for every {what} that is listed; "
        f"put it there, or remove it from the annotations"
    )


def chosen_splits(source: Source, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """Return the splits to convert, all if none are named; SourceError if there is no such."""
    unknown = [split for split in wanted or () if split not in source.splits]
    if unknown:
        raise SourceError(
            f"no split {unknown[0]!r} in {source.path}; "
            f"expected one of {', '.join(source.splits)}; pick one of these"
        )
    return tuple(dict.fromkeys(wanted)) if wanted else source.splits
