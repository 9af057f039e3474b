"""What every reader of a dataset offers, and all that layouts share.

A layout is a subclass of :class:`Source` that says where its files are.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, ClassVar, Literal, NamedTuple

from mtfast.addresses import Address
from mtfast.errors import SourceError
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources.annotation_file import open_annotations
from mtfast.sources.bad_records import BadRecords, Ledger, LedgerPolicy, Policy
from mtfast.sources.coco.read import Reading, read_coco
from mtfast.sources.coco.records import (
    Records,
    with_added_classes,
    with_mapped_classes,
    without_left_out,
)
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import FilePlace, ImageFolder, find_first, read_first
from mtfast.sources.image_places import leave_to_one, look_at, tell_matches
from mtfast.sources.image_size import read_size
from mtfast.sources.split import SourceSplit, describe
from mtfast.sources.split_names import expect_one_of
from mtfast.splits import SplitMapping
from mtfast.table import RunTable

__all__ = ["Orientation", "SetNames", "Source"]

Orientation = Literal["stored", "shown"]
"""What masks lie on: images as they are stored, or as their EXIF orientation shows them."""


class SetNames(NamedTuple):
    """The named sets (exfoliation runs) of a split.

    ``members`` maps the stem of an image to the name of its set; it is empty where only the sets
    are listed.
    """

    sets: tuple[str, ...]
    members: dict[str, str]


@dataclass(frozen=True, repr=False)
class Source(SplitMapping[SourceSplit], ABC):
    """A dataset to read: images and their instance masks, in splits and annotation variants.

    It is a mapping of the names of splits to splits: ``source["train"].table()`` is the table of
    the default variant.

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
        The layout: "maskterial", "coco", "label_png", "labelme", "label_studio", "yolo", "sa1b",
        "coco_panoptic", "coco_results", "class_maps" or "images".
    has_classes : bool
        Whether the categories of its one variant are classes; names of variants say it otherwise.
    takes_image_folder : bool
        Whether the folder of the images can be named, see :func:`mtfast.open_source`.
    drawn_on : {"stored", "shown"} or None
        Whether a layout has masks on images as they are stored, or as their EXIF orientation shows
        them; None where it does not say, and the size of the masks does.
    orientation : {"stored", "shown"} or None
        What a user says of it; see :func:`mtfast.open_source`.
    only : str or None
        The one variant that is offered; None where all are.
    bad : {"refuse", "skip", "repair"}
        What becomes of bad records; see :func:`mtfast.open_source`.
    mapping : tuple of (old, new)
        Classes that get other numbers.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels polygons become; see :func:`mtfast.open_source`.

    Examples
    --------
    >>> source = mtfast.open_source("Graphene")
    >>> source.table("train", source.variants("train")[0]).n_images
    10
    """

    files: FileTree
    bad: Policy = field(default="refuse", kw_only=True)
    mapping: tuple[tuple[int, int], ...] = field(default=(), kw_only=True)
    rasterizer: Rasterizer = field(default="pycocotools", kw_only=True)
    orientation: Orientation | None = field(default=None, kw_only=True)
    only: str | None = field(default=None, kw_only=True)
    kind: ClassVar[str]
    takes_image_folder: ClassVar[bool] = False
    drawn_on: ClassVar[Orientation | None] = None
    has_classes: ClassVar[bool] = True

    def __repr__(self) -> str:
        splits = [f"\n  {name}: {describe(self.variants(name))}" for name in self.splits]
        return f"<{self.kind} dataset {self.path}{''.join(splits)}>"

    def _split(self, name: str) -> SourceSplit:
        return SourceSplit(self, name)

    @property
    def path(self) -> Path | Address:
        """Absolute path of the folder or file, or its address."""
        return self.files.location

    @property
    def frame(self) -> Orientation | None:
        """What masks of one size with an image both ways lie on; None where nothing says it."""
        return self.orientation or self.drawn_on

    @property
    def choices(self) -> dict[str, str | int]:
        """How masks were made where there is a choice, which a store keeps."""
        return {"rasterizer": self.rasterizer}

    @property
    def name(self) -> str:
        """Name of the folder, or of the file without its ending."""
        return self.files.name

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
            If there is no such split, or it does not have :attr:`only`.
        """
        self._expect_split(split)
        found = self._variants(split)
        if self.only is None:
            return found
        expect_one_of(self.only, found, f"variant of {split}", self.name)
        return (self.only,)

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
            Images in file order; all masks and ids have been checked. With :attr:`bad` "skip" or
            "repair" what is left of them.

        Raises
        ------
        SourceError
            If there is no such split or variant, its file is missing, or records are refused; the
            message counts these by kind.
        RLEError
            If a mask is malformed; the message names the file and the annotation.
        """
        return self.read(split, variant).table

    def read(self, split: str, variant: str) -> Reading:
        """Read the annotations of a variant, and what is to be said of them.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        Reading
            The table, and what was skipped, repaired, mapped or counted.

        Raises
        ------
        SourceError, RLEError
            As :meth:`table` does.
        """
        return self._read(split, self.variant_file(split, variant), self.bad)

    def examine(self, split: str, variant: str) -> Reading:
        """Read all that can be read of a variant, and all that is wrong with the rest.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        Reading
            As if bad records that can be repaired were, and others were skipped.

        Raises
        ------
        SourceError
            If there is no such split or variant, or its file cannot be read at all.
        """
        return self._read(split, self.variant_file(split, variant), "examine")

    def findings(self, split: str) -> tuple[BadRecords, ...]:
        """Return what is to be said of all annotation files of a split, and of its images.

        Every file is read for it; :meth:`read` has those of one file together with its table.

        Parameters
        ----------
        split : str

        Returns
        -------
        tuple of BadRecords

        Raises
        ------
        SourceError, RLEError
            As :meth:`table` does.
        """
        found: list[BadRecords] = []
        names: dict[str, None] = {}
        for variant in self.variants(split):
            table, said, _ = self.read(split, variant)
            found += said
            names |= dict.fromkeys(table.names.tolist())
        return (*found, *self.matched(split, list(names)))

    def matched(self, split: str, names: Sequence[str]) -> tuple[BadRecords, ...]:
        """Return which images are found under another name than the listed one, or in a stack.

        Parameters
        ----------
        split : str
        names : sequence of str
            As the annotations have them.

        Returns
        -------
        tuple of BadRecords
            Files of another spelling, and pages of stacks.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        ledger = Ledger(split, self.bad)
        tell_matches(self.find_places(split, names), ledger)
        return ledger.found()

    def find_images(self, split: str, names: Sequence[str]) -> dict[str, str]:
        """Find the files of many images, each file for one image alone.

        Parameters
        ----------
        split : str
        names : sequence of str
            As the annotations have them.

        Returns
        -------
        dict
            Where the file of each image is that has one, of a page that of its stack: an absolute
            path or an address. A file that several names lead to is the one that is called so;
            where that is none of them, all of these are left out.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        found = self.find_places(split, names)
        return {name: place.where() for name, place in found.items()}

    def find_places(self, split: str, names: Sequence[str]) -> dict[str, FilePlace]:
        """Find the files of many images as :meth:`find_images` does.

        Parameters
        ----------
        split : str
        names : sequence of str
            As the annotations have them.

        Returns
        -------
        dict
            The file of each image that has one of its own.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        listed = set(self.image_names(split) or ())
        folder = self._image_folder(split)
        if folder is not None and not folder.files.lists:
            folder.files.look_at(folder.places(name)[0].path for name in names)
        found: dict[str, FilePlace] = {}
        for name in dict.fromkeys(names):
            # What is listed needs no look at the disk.
            here = folder is not None and name in listed
            place = folder.places(name)[0] if folder and here else self._find(split, name)
            if place is not None:
                found[name] = place
        own = leave_to_one(found)
        return {name: own[name] for name in names if name in own}

    def image_stamps(self, split: str, names: Sequence[str]) -> dict[str, list[int | str]]:
        """Return what changes when the files of images do, without reading them.

        Parameters
        ----------
        split : str
        names : sequence of str
            Of images whose files are there.

        Returns
        -------
        dict
            Where each file is, as of :meth:`find_images`, and its stamp; see
            :meth:`mtfast.sources.files.FileTree.stamp`.

        Raises
        ------
        SourceError
            If there is no such split.
        OSError
            If a file cannot be looked at.
        """
        places = self.find_places(split, names).values()
        look_at(places)
        return {place.where(): place.files.stamp(place.path) for place in places}

    def has_images(self, split: str, names: Iterable[str]) -> bool:
        """Whether the file of any of some images is there, as :meth:`find_image` finds it.

        Parameters
        ----------
        split : str
        names : iterable of str
            As the annotations have them.

        Returns
        -------
        bool

        Raises
        ------
        SourceError
            If there is no such split.
        """
        return any(self.find_image(split, name) is not None for name in names)

    def looked_for(self, split: str) -> str:
        """Say where the images of a split are looked for, for messages.

        Parameters
        ----------
        split : str

        Returns
        -------
        str
            Such as "/data/Graphene/train_images".

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        return self._looked_for(split)

    def longest_image(self, split: str, names: Sequence[str]) -> int:
        """Return the length of the longest of some images, as :meth:`read_image` reads them.

        Parameters
        ----------
        split : str
        names : sequence of str
            Of images whose files are there.

        Returns
        -------
        int
            Bytes.

        Raises
        ------
        SourceError
            If there is no such split, or a page of a stack cannot be read.
        """
        places = self.find_places(split, names).values()
        look_at(places)
        return max(
            int(place.files.stamp(place.path)[0]) if place.page is None else len(place.read())
            for place in places
        )

    def records(self, split: str, variant: str) -> Records:
        """Read the annotations of a variant as JSON text, with all that a table leaves out.

        With :attr:`bad` "skip" or "repair" it is the text of what is left in the table; classes
        have the numbers that :attr:`mapping` gives them.

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
        return self._read_records(split, self.variant_file(split, variant))

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
            An absolute path or an address; None if the file is missing.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        place = self.image_place(split, name)
        return None if place is None else place.where()

    def image_place(self, split: str, name: str) -> FilePlace | None:
        """Find the file that :meth:`read_image` reads.

        Parameters
        ----------
        split, name : str

        Returns
        -------
        FilePlace or None
            None if the file is missing.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        return self._find(split, name)

    def read_image(self, split: str, name: str) -> bytes:
        """Read the file of an image.

        Parameters
        ----------
        split : str
        name : str
            As the annotations have it. It is looked up as it is, then with normalised slashes, by
            its trailing parts if it is a path or an address, as a page of a stack if it is like
            ``stack.tif[3]``, in another Unicode form, and in another case where only one file has
            that.

        Returns
        -------
        bytes
            The file, not decoded; of a stack, the page as a file of its own.

        Raises
        ------
        SourceError
            If there is no such split, or the file is missing or cannot be read.
        """
        self._expect_split(split)
        place = self._find(split, name)
        data = None if place is None else read_first([place])
        if data is None:
            raise self._missing_image(split, name)
        return data

    def is_far(self, split: str) -> bool:
        """Whether each :meth:`read_image` is a request to storage elsewhere.

        Parameters
        ----------
        split : str

        Returns
        -------
        bool
            Then several at once take the time of one.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        self._expect_split(split)
        folder = self._image_folder(split)
        return folder is not None and folder.files.is_far

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
            An absolute path or an address; None if the file is missing.

        Raises
        ------
        SourceError
            If there is no such split.
        """
        place = self.mask_place(split, name)
        return None if place is None else place.where()

    def mask_place(self, split: str, name: str) -> FilePlace | None:
        """Find the file that :meth:`read_mask` reads.

        Parameters
        ----------
        split, name : str

        Returns
        -------
        FilePlace or None
            None if the file is missing.

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

    def _read(self, split: str, file: str, policy: LedgerPolicy) -> Reading:
        return self._read_coco(split, file, policy)

    def _read_coco(
        self, split: str, file: str, policy: LedgerPolicy, *, keep_text: bool = False
    ) -> Reading:
        def size_of(name: str) -> tuple[int, int] | None:
            try:
                size = read_size(self.read_image(split, name), name)
            except SourceError:
                return None
            return size.height, size.width

        with self._open(file) as stream:
            return read_coco(
                stream,
                file,
                policy,
                dict(self.mapping),
                size_of,
                keep_text=keep_text,
                rasterizer=self.rasterizer,
            )

    def _read_records(self, split: str, file: str) -> Records:
        mapping = dict(self.mapping)
        if self.bad == "refuse":
            with self._open(file) as stream:
                return with_mapped_classes(Records(stream.read(), file), mapping)
        reading = self._read_coco(split, file, self.bad, keep_text=True)
        text = reading.text
        if text is None:
            with self._open(file) as stream:
                text = stream.read()
        records = without_left_out(Records(text, file), reading.table)
        return with_added_classes(with_mapped_classes(records, mapping), reading.table)

    def _find(self, split: str, name: str) -> FilePlace | None:
        """Find the file of an image."""
        found = find_first(self._image_places(split, name))
        folder = self._image_folder(split)
        return found or (None if folder is None else folder.alike(name))

    def _image_places(self, split: str, name: str) -> Sequence[FilePlace]:
        folder = self._image_folder(split)
        return [] if folder is None else folder.places(name)

    def _looked_for(self, split: str) -> str:
        folder = self._image_folder(split)
        return str(self.path) if folder is None else folder.files.where(folder.folder)

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
        return open_annotations(self.files, file)
