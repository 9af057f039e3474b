"""The set that a derivation makes: MaskTerial's layout, with what did not change carried over."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import msgspec

from mtfast.errors import MtfastError
from mtfast.paths import base_name
from mtfast.progress import Progress, track
from mtfast.sources import Source
from mtfast.sources.coco.records import Records
from mtfast.sources.variants import is_n_shot

__all__ = ["Derived", "NewSet", "layout_variants", "listed_names"]


@dataclass
class Derived:
    """What a derivation did: how many files of each kind, and what a user has to know."""

    path: Path
    n_made: int = 0
    n_kept: int = 0
    n_images: int = 0
    n_masks: int = 0
    notes: list[str] = field(default_factory=list)


class NewSet:
    """A set that grows in ``folder`` and will be called ``path``."""

    def __init__(self, folder: Path, path: Path, images: bool, progress: Progress | None) -> None:
        self.annotations = folder / "RLE_annotations"
        self.annotations.mkdir()
        self.done = Derived(path)
        self._folder = folder
        self._images = images
        self._progress = progress

    def write_variant(self, split: str, variant: str, text: bytes) -> None:
        """Write an annotation file that was made."""
        self._write(split, variant, text)
        self.done.n_made += 1

    def has_variant(self, split: str, variant: str) -> bool:
        """Whether an annotation file has been written."""
        return self._file(split, variant).exists()

    def read_variant(self, split: str, variant: str) -> Records:
        """Read back an annotation file."""
        path = self._file(split, variant)
        return Records(path.read_bytes(), path.name)

    def keep_variants(self, source: Source, split: str, without: Iterable[str] = ()) -> None:
        """Copy the annotation files of a split as they are; they may be edited, so no links."""
        variants = {k: v for k, v in layout_variants(source, split).items() if k not in without}
        what = f"copying annotations of {split}"
        for variant, there in track(variants.items(), what, self._progress):
            self._write(split, variant, source.records(split, there).text)
        self.done.n_kept += len(variants)

    def write_set_lists(self, split: str, lists: dict[str, list[str]]) -> None:
        """Write which images belong to which exfoliation run, if anything is known of it."""
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
        """Give images, and the semantic masks of the same stems, a place in the new set too.

        A file that cannot be linked, to another disk for instance, is copied. Nothing happens
        where the set is to have no images, or the source has none.
        """
        if not self._images:
            return
        to = to or split
        has_images = source.image_names(split) is not None
        there = {PurePosixPath(name).stem: name for name in source.mask_names(split) or ()}
        missing = []
        for name in track(names, f"linking images of {to}", self._progress):
            if found := source.find_image(split, name) if has_images else None:
                _link(source.path / found, self._folder / f"{to}_images" / _inside(name))
                self.done.n_images += 1
            elif has_images:
                missing.append(name)
            mask = there.get(PurePosixPath(base_name(name)).stem)
            if masks and mask and (found := source.find_mask(split, mask)):
                _link(source.path / found, self._folder / f"{to}_semantic_masks" / mask)
                self.done.n_masks += 1
        if missing:
            more = f" and {len(missing) - 1:,} more" if len(missing) > 1 else ""
            self.note(f"image {missing[0]}{more} of {split} is missing in {source.name}")

    def keep_split(self, source: Source, split: str) -> None:
        """Carry a whole split over."""
        self.keep_variants(source, split)
        self.write_set_lists(split, source.set_lists(split))
        self.link_pictures(source, split, listed_names(source, split))

    def note(self, text: str) -> None:
        """Tell the user something that the files do not show."""
        self.done.notes.append(text)

    def _write(self, split: str, variant: str, text: bytes) -> None:
        path = self._file(split, variant)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)

    def _file(self, split: str, variant: str) -> Path:
        path = self.annotations / variant
        return path.with_name(f"{split}_{path.name}.json")


def layout_variants(source: Source, split: str) -> dict[str, str]:
    """Map the names of variants in MaskTerial's layout to their names in a source.

    The one file of other layouts becomes ``_full``, with classes if it has any.
    """
    variants = source.variants(split)
    if variants == ("annotations",):
        full = "annotations_full" if source.kind == "label_png" else "annotations_with_class_full"
        return {full: "annotations"}
    return {variant: variant for variant in variants}


def listed_names(source: Source, split: str) -> tuple[str, ...]:
    """Names of the images in the annotation files of a split, in the order of the first of them.

    n-shot subsets name no others; they count where there is nothing else.
    """
    variants = source.variants(split)
    whole = [variant for variant in variants if not is_n_shot(variant)] or variants
    names: dict[str, None] = {}
    for variant in whole:
        names |= dict.fromkeys(source.records(split, variant).image_keys.names)
    return tuple(names)


def _inside(name: str) -> str:
    """Return the path of an image in its folder, which no name leads out of."""
    parts = PurePosixPath(name).parts
    return base_name(name) if ".." in parts or "/" in parts else name


def _link(path: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        # A link to a symbolic link would break when the set is moved.
        os.link(os.path.realpath(path), target)
    except FileExistsError:
        # Never to be copied over: the file there is one of the source's own, linked.
        raise MtfastError(
            f"two pictures would both be {target.parent.name}/{target.name}; expected a name of "
            f"its own for each; rename one of them"
        ) from None
    except OSError:
        shutil.copyfile(path, target)
