"""A folder of images with PNGs of instance labels.

::

    NAME/                                 NAME/                     as MaskTerial's demo
      images/          STEM.jpg             images/MATERIAL/          STEM.jpg
      instance_masks/  STEM.png             instance_masks/MATERIAL/  STEM.png

0 is background, every other value one instance. Each folder of masks is a split: "train" is that of
``instance_masks/`` itself, the others have the names of their folders, as a material has flakes
of its own. An image without a mask is left out and counted: it may show flakes, so it is no
negative.
"""

from __future__ import annotations

import logging
import os
import struct
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import SourceError
from mtfast.limits import check_pixels, max_file_bytes
from mtfast.paths import stem_of
from mtfast.ragged import as_strings, offsets_of
from mtfast.rles import Rles
from mtfast.rles.label_map import scan_labels
from mtfast.sources.bad_records import Ledger, LedgerPolicy, refusal
from mtfast.sources.categories import settle_categories
from mtfast.sources.coco.read import Reading
from mtfast.sources.coco.records import Records, records_of
from mtfast.sources.files import FileTree
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.source import Source
from mtfast.sources.split_names import in_order
from mtfast.table import Category, RunTable

__all__ = ["IMAGES", "MASKS", "LabelPng", "by_stem", "decode_labels", "find_label_png"]

logger = logging.getLogger(__name__)

IMAGES = "images"
MASKS = "instance_masks"
FLAKE = Category(1, "flake")


@dataclass(frozen=True, repr=False)
class LabelPng(Source):
    """A folder of images and instance-mask PNGs; see :class:`mtfast.sources.Source`.

    All instances are of category 1, and their ids count from 1 in the order of image and label.

    Attributes
    ----------
    found : dict
        The folder of each split, in both ``images/`` and ``instance_masks/``.
    without : tuple of str
        Folders in ``images/`` that have no masks.
    """

    found: dict[str, str]
    without: tuple[str, ...] = ()
    kind: ClassVar[str] = "label_png"
    has_classes: ClassVar[bool] = False

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits, "train" and "test" before others."""
        return tuple(self.found)

    def _annotations_at(self, split: str, variant: str) -> str:
        return _inside(MASKS, self.found[split])

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, _inside(IMAGES, self.found[split]))

    def _read(self, split: str, file: str, policy: LedgerPolicy) -> Reading:
        """Turn the masks into a table, each PNG in one pass."""
        ledger = Ledger(file, policy)
        folder = self._image_folder(split)
        images = by_stem(folder.names() or (), folder.folder)
        masks = by_stem(_pngs(self.files, file), file)
        for stem, mask in masks.items():
            if stem not in images:
                ledger.keep("mask without image", mask, repr(mask))
        lost = [image for stem, image in images.items() if stem not in masks]
        if split == self.splits[0]:
            lost += [f"{f}/{name}" for f in self.without for name in self._names(f)]
        ledger.say("image without mask", lost, map(repr, lost))
        paired = [stem for stem in images if stem in masks]
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            scans = list(pool.map(_scan, [(self.files, f"{file}/{masks[s]}") for s in paired]))
        names, sound = [], []
        for stem, scan in zip(paired, scans, strict=True):
            if isinstance(scan, SourceError):
                fault = str(scan).partition(";")[0]
                ledger.keep("unreadable mask", masks[stem], fault)
            else:
                names.append(images[stem])
                sound.append(scan)
        table = settle_categories(_table(tuple(names), sound), dict(self.mapping), ledger)
        if message := refusal(ledger, ledger.found()):
            raise SourceError(message)
        return Reading(table, ledger.found())

    def _read_records(self, split: str, file: str) -> Records:
        return records_of(self._read(split, file, self.bad).table, file)

    def _names(self, folder: str) -> tuple[str, ...]:
        return ImageFolder(self.files, _inside(IMAGES, folder)).names() or ()


def _scan(mask: tuple[FileTree, str]) -> tuple[tuple[int, int], Rles] | SourceError:
    """Read a mask: its size and its instances, or what is wrong with it."""
    files, file = mask
    try:
        labels = decode_labels(files.read(file, max_file_bytes()), file)
    except SourceError as error:
        return error
    except FileNotFoundError:
        return SourceError(f"{file} is missing; expected it where it was; open the dataset again")
    return (labels.shape[0], labels.shape[1]), scan_labels(labels)[1]


def find_label_png(files: FileTree) -> LabelPng | None:
    """Find ``images/`` and ``instance_masks/`` in a folder.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    LabelPng or None
        None if one of them is missing.
    """
    if not {IMAGES, MASKS} <= set(files.folders()):
        return None
    materials = [f for f in files.folders(MASKS) if _pngs(files, f"{MASKS}/{f}")]
    found = {material: material for material in materials}
    if _pngs(files, MASKS) or not found:
        found = {"train": "", **found}
    without = tuple(folder for folder in files.folders(IMAGES) if folder not in found)
    logger.info("%s has %s/ and %s/: masks of %s", files.name, IMAGES, MASKS, ", ".join(found))
    return LabelPng(files, in_order(found), without)


def _pngs(files: FileTree, folder: str) -> list[str]:
    return [name for name in files.names(folder) or () if name.lower().endswith(".png")]


def _inside(folder: str, inner: str) -> str:
    return f"{folder}/{inner}" if inner else folder


def decode_labels(data: bytes, file: str) -> NDArray[Any]:
    """Decode a PNG of labels.

    Parameters
    ----------
    data : bytes
        The file.
    file : str
        Its name, for messages.

    Returns
    -------
    (height, width) bool, uint8 or uint16
        The grey values; for PNGs with a palette the indices into it.

    Raises
    ------
    SourceError
        If it is not a PNG, is damaged, or has colours instead of labels.
    """
    if data[:8] != b"\x89PNG\r\n\x1a\n" or len(data) < 33:
        raise SourceError(
            f"{file} is not a PNG; expected a grey or palette PNG of labels; save it as one"
        )
    width, height, bit_depth, colour_type = struct.unpack_from(">IIBB", data, 16)
    check_pixels(f"{file} is a PNG", height, width, SourceError)
    if colour_type not in (0, 3):
        kind = {2: "RGB", 4: "grey and alpha", 6: "RGBA"}.get(colour_type, "damaged")
        raise SourceError(
            f"{file} is a PNG of {kind} pixels; expected grey or palette pixels, one label each; "
            f"save it with one channel"
        )
    decode = _decode_whole_bytes if colour_type == 0 and bit_depth >= 8 else _decode_any
    try:
        return decode(data)
    except (ValueError, RuntimeError, OSError, SyntaxError, MemoryError) as error:
        raise SourceError(
            f"{file} cannot be decoded ({error}); expected a whole PNG; copy it again"
        ) from error


def _decode_whole_bytes(data: bytes) -> NDArray[Any]:
    import imagecodecs

    labels: NDArray[Any] = imagecodecs.png_decode(data)
    # A grey level that is declared transparent brings a second channel with it.
    return labels if labels.ndim == 2 else labels[..., 0]


def _decode_any(data: bytes) -> NDArray[Any]:
    """Decode palettes, and pixels of fewer than eight bits, each of which becomes a byte."""
    # The plugin itself: Image.open warns of sizes that have been checked.
    from PIL.PngImagePlugin import PngImageFile

    with PngImageFile(BytesIO(data)) as image:
        return np.asarray(image)


def by_stem(names: Iterable[str], folder: str) -> dict[str, str]:
    """Return files by their stems.

    Parameters
    ----------
    names : iterable of str
    folder : str
        For messages.

    Returns
    -------
    dict

    Raises
    ------
    SourceError
        If two files have one stem.
    """
    stems: dict[str, str] = {}
    for name in names:
        other = stems.setdefault(stem_of(name), name)
        if other != name:
            raise SourceError(
                f"{other!r} and {name!r} in {folder}/ have one stem; "
                f"expected a stem of its own for each; rename or remove one"
            )
    return stems


def _table(names: tuple[str, ...], scans: list[tuple[tuple[int, int], Rles]]) -> RunTable:
    sizes = np.array([size for size, _ in scans], np.int64).reshape(-1, 2)
    n_images = len(names)
    lengths = [np.diff(rles.offsets) for _, rles in scans]
    rle_offsets = offsets_of(np.concatenate([np.zeros(0, np.int64), *lengths]))
    n_instances = rle_offsets.size - 1
    return RunTable(
        names=as_strings(names),
        image_ids=np.arange(1, n_images + 1),
        heights=sizes[:, 0],
        widths=sizes[:, 1],
        image_offsets=offsets_of([rles.n for _, rles in scans]),
        instance_ids=np.arange(1, n_instances + 1),
        category_ids=np.full(n_instances, FLAKE.id),
        iscrowd=np.zeros(n_instances, np.uint8),
        positions=np.arange(n_instances),
        stated_area=np.full(n_instances, np.nan),
        stated_bbox=np.full((n_instances, 4), np.nan),
        rle=np.concatenate([np.zeros(0, np.uint8), *(rles.text for _, rles in scans)]),
        rle_offsets=rle_offsets,
        categories=(FLAKE,),
    )
