"""The set that a derivation makes: a MaskTerial folder, with what did not change carried over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from mtfast.arguments import ImagesOption, wants_images
from mtfast.errors import MtfastError, counted
from mtfast.paths import base_name, is_name, local_path, stem_of, target_path
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.sources.coco.records import Records
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import FilePlace
from mtfast.sources.variants import default_variant, is_n_shot
from mtfast.work.folder import WorkFolder, working
from mtfast.work.folder_place import sum_of_file
from mtfast.work.folder_state import refuse_taken
from mtfast.work.records import Made, Plan

_BLOCK = 1 << 20

__all__ = ["Derived", "NewSet", "layout_variants", "listed_names", "new_set"]


@dataclass
class Derived:
    """What a derivation did.

    Attributes
    ----------
    path : Path
        The new set.
    n_made, n_kept : int
        Annotation files that were made, and that were copied.
    n_images, n_masks : int
        Images and semantic masks that were linked or copied.
    n_copied : int
        How many of them were copied: from zips, addresses and other disks.
    notes : list of str
        What the files do not show and a user has to know.
    """

    path: Path
    n_made: int = 0
    n_kept: int = 0
    n_images: int = 0
    n_masks: int = 0
    n_copied: int = 0
    notes: list[str] = field(default_factory=list)


@contextmanager
def new_set(
    out: str | os.PathLike[str],
    sources: Sequence[Source],
    options: Mapping[str, Any],
    images: ImagesOption,
    progress: Progress | None,
) -> Iterator[NewSet]:
    """Make a set that appears when the block ends; a run that was stopped is gone on with.

    Parameters
    ----------
    out : path-like
        A new name, or an empty folder.
    sources : sequence of Source
        What it is made from.
    options : mapping
        How.
    images : bool, "keep" or "none"
        Whether images and masks are linked.
    progress : callable or None
        See :data:`mtfast.progress.Progress`.

    Yields
    ------
    NewSet

    Raises
    ------
    MtfastError
        If there is something already, or the set cannot be written.
    """
    path = local_path(out)
    target = target_path(path)
    read = {
        "bad": [source.bad for source in sources],
        "map": [source.mapping for source in sources],
        "variant": [source.only for source in sources],
    }
    chosen = {"images": wants_images(images), **read, **options}
    inputs = {name: value for source in sources for name, value in _contents(source)}
    plan = Plan("derive", chosen, inputs)
    with working(target, plan, partial(refuse_taken, target)) as work:
        new = NewSet(work, path, images, progress)
        yield new
        work.put(target, last=new.annotations.name)


def _contents(source: Source) -> Iterator[tuple[str, Any]]:
    """Tell what the annotations of a source are in, and what changes when they do."""
    for split in source.splits:
        for variant in source.variants(split):
            file = source.variant_file(split, variant)
            found = [file] if source.files.exists(file) else source.files.walk(file)
            yield from ((source.files.where(path), _content(source.files, path)) for path in found)


def _content(files: FileTree, path: str) -> object:
    """Return what changes when the content of a file does; files elsewhere have a stamp of it."""
    local = files.local(path)
    return files.stamp(path) if local is None else sum_of_file(local)


class NewSet:
    """Writes a set into a folder.

    Parameters
    ----------
    work : WorkFolder
    path : Path
        Where the set will be when it is whole.
    images : bool, "keep" or "none"
        Whether images and masks are linked.
    progress : callable or None
        See :data:`mtfast.progress.Progress`.

    Attributes
    ----------
    annotations : Path
        The folder of annotations.
    done : Derived
        What has been written so far.
    """

    def __init__(
        self, work: WorkFolder, path: Path, images: ImagesOption, progress: Progress | None
    ) -> None:
        self._work, folder = work, work.content
        self.annotations = folder / "RLE_annotations"
        self.annotations.mkdir()
        self.done = Derived(path)
        self._folder = folder
        self._images = wants_images(images)
        self._progress = progress

    def write_variant(self, split: str, variant: str, text: bytes) -> None:
        """Write an annotation file that was made.

        Parameters
        ----------
        split, variant : str
        text : bytes
            JSON.
        """
        self._write(split, variant, text)
        self.done.n_made += 1

    def has_variant(self, split: str, variant: str) -> bool:
        """Whether an annotation file has been written.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        bool
        """
        return self._file(split, variant).exists()

    def read_variant(self, split: str, variant: str) -> Records:
        """Read an annotation file that has been written.

        Parameters
        ----------
        split, variant : str

        Returns
        -------
        Records
        """
        path = self._file(split, variant)
        return Records(path.read_bytes(), path.name)

    def keep_variants(self, source: Source, split: str, without: Iterable[str] = ()) -> None:
        """Copy the annotation files of a split; links would share later edits with the source.

        Parameters
        ----------
        source : Source
        split : str
        without : iterable of str
            Variants to leave out.
        """
        variants = {k: v for k, v in layout_variants(source, split).items() if k not in without}
        what = f"copying annotations of {split}"
        for variant, there in track(variants.items(), what, self._progress):
            self._write(split, variant, source.records(split, there).text)
        self.done.n_kept += len(variants)

    def write_set_lists(self, split: str, lists: dict[str, list[str]]) -> None:
        """Write which images belong to which exfoliation run, if that is known.

        Parameters
        ----------
        split : str
        lists : dict
            As of :meth:`mtfast.sources.Source.set_lists`.
        """
        if lists:
            folder = self._folder / "meta_data"
            folder.mkdir(exist_ok=True)
            text = msgspec.json.format(msgspec.json.encode(lists), indent=4)
            (folder / f"{split}_set_name_to_uuid.json").write_bytes(text)

    def link_pictures(
        self,
        source: Source,
        split: str,
        names: Sequence[str],
        to: str | None = None,
        masks: bool = True,
    ) -> None:
        """Link images, and the semantic masks of the same stems, into the new set.

        A file that cannot be linked, to another disk for instance, is copied. Nothing happens if
        the set is to have no images, or the source has none.

        Parameters
        ----------
        source : Source
        split : str
            Of the source.
        names : sequence of str
            Images.
        to : str, optional
            The split of the new set, by default the same.
        masks : bool
            Whether masks are linked, too. They are left out where classes have got other numbers.

        Raises
        ------
        MtfastError
            If two files would get one name.
        """
        if not self._images:
            return
        to = to or split
        there = {stem_of(name): name for name in source.mask_names(split) or ()}
        if there and not (masks := masks and not source.mapping):
            self.note(
                f"masks of {split} in {source.name} were left out: they show category ids that "
                f"have changed"
            )
        elif there and masks and source.only not in (None, _painted_from(source, split)):
            self.note(
                f"masks of {split} in {source.name} are as they were, and may show other instances "
                f"than {source.only}; compare them with 'mtfast verify'"
            )
        missing = []
        places = source.find_places(split, names)
        for name in track(names, f"adding images of {to}", self._progress):
            if found := places.get(name):
                self._link(found, f"{to}_images/{_inside(name)}")
                self.done.n_images += 1
            else:
                missing.append(name)
            mask = there.get(stem_of(name))
            if masks and mask and (found := source.mask_place(split, mask)):
                self._link(found, f"{to}_semantic_masks/{mask}")
                self.done.n_masks += 1
        # A set may come without any images, and without a folder of them.
        if missing and (len(missing) < len(names) or source.image_names(split) is not None):
            images = counted(len(missing), "image")
            self.note(
                f"{images} of {split} without a file of its own in {source.name}, such as "
                f"{missing[0]}"
            )

    def keep_split(self, source: Source, split: str) -> None:
        """Carry a whole split over.

        Parameters
        ----------
        source : Source
        split : str
        """
        self.keep_variants(source, split)
        self.write_set_lists(split, source.set_lists(split))
        self.link_pictures(source, split, listed_names(source, split))

    def note(self, text: str) -> None:
        """Tell the user something that the files do not show, once.

        Parameters
        ----------
        text : str
        """
        if text not in self.done.notes:
            self.done.notes.append(text)

    def _write(self, split: str, variant: str, text: bytes) -> None:
        path = self._file(split, variant)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)

    def _link(self, place: FilePlace, name: str) -> None:
        """Link a file into the set; copy it, from another disk for instance, where that fails."""
        target = self._folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path = place.files.local(place.path)
        if path is None:
            self._copy(place, target, name)
            return
        try:
            # A hard link to a symbolic link would break when the set is moved.
            os.link(os.path.realpath(path), target)
        except FileExistsError:
            # Copying over the file would destroy the source's own one, which it is a link to.
            raise _two_pictures(name) from None
        except OSError:
            self._copy(place, target, name)

    def _copy(self, place: FilePlace, target: Path, name: str) -> None:
        """Copy a file, unless an earlier run has, and it has not changed since."""
        stamp = place.files.stamp(place.path)
        if name in self._work.done:
            raise _two_pictures(name)
        self.done.n_copied += 1
        before = self._work.before.get(name)
        if before and before.result == stamp and self._work.place.recover(before.files):
            self._work.record(name, before._replace(was_there=True))
            return
        with place.files.open(place.path) as file, target.open("xb") as copy:
            shutil.copyfileobj(file, copy, _BLOCK)
        self._work.record(name, Made(stamp, {name: sum_of_file(target)}))

    def _file(self, split: str, variant: str) -> Path:
        path = self.annotations / variant
        return path.with_name(f"{split}_{path.name}.json")


def _painted_from(source: Source, split: str) -> str:
    """Return which annotation file masks show, as far as that is known."""
    return default_variant(replace(source, only=None).variants(split))


def _two_pictures(name: str) -> MtfastError:
    return MtfastError(
        f"two pictures would both be {name}; expected a name of its own for each; rename one of "
        f"them"
    )


def layout_variants(source: Source, split: str) -> dict[str, str]:
    """Map the names of variants in MaskTerial's layout to their names in a source.

    Parameters
    ----------
    source : Source
    split : str

    Returns
    -------
    dict
        The variant of other layouts that masks are painted from becomes ``_full``, with classes if
        it has any.
    """
    if source.kind == "maskterial":
        return {variant: variant for variant in source.variants(split)}
    full = "annotations_with_class_full" if source.has_classes else "annotations_full"
    return {full: default_variant(source.variants(split))}


def listed_names(source: Source, split: str) -> tuple[str, ...]:
    """List the images that the annotation files of a split name.

    Parameters
    ----------
    source : Source
    split : str

    Returns
    -------
    tuple of str
        In the order of the first file that names them. n-shot subsets, which name no others, are
        only read if there is no other file.
    """
    variants = source.variants(split)
    whole = [variant for variant in variants if not is_n_shot(variant)] or variants
    names: dict[str, None] = {}
    for variant in whole:
        names |= dict.fromkeys(source.records(split, variant).image_keys.names)
    return tuple(names)


def _inside(name: str) -> str:
    """Return where an image is put in its folder; no name leads out of that."""
    parts = PurePosixPath(name.replace("\\", "/")).parts
    has_drive = name[1:2] == ":"
    return name if all(map(is_name, parts)) and not has_drive else base_name(name)
