"""What is gathered of a dataset, for the checks to look at."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.image_files import shown_size
from mtfast.sources import BadRecords
from mtfast.table import Category

__all__ = ["ImageFile", "Instances", "SplitFacts"]

Int64 = NDArray[np.int64]


class ImageFile(NamedTuple):
    """An image file.

    Attributes
    ----------
    size : (height, width) or None
        As stored in the file; None if it cannot be read.
    fault : str
        Why it cannot be read; empty if it can.
    digest : bytes
        SHA-256 of the file.
    orientation : int
        EXIF orientation, 1 to 8; 1 is upright.
    """

    size: tuple[int, int] | None
    fault: str
    digest: bytes
    orientation: int = 1

    @property
    def shown(self) -> tuple[int, int] | None:
        """Height and width of the upright image."""
        return shown_size(*self.size, self.orientation) if self.size else None


class Instances(NamedTuple):
    """The instances of an annotation file, each (n_instances,) int64, by ascending id.

    ``marks`` are hashes of the name of the image and the text of the mask.
    """

    ids: Int64
    marks: Int64
    category_ids: Int64


@dataclass
class SplitFacts:
    """What is gathered of a split while its files are read.

    Attributes
    ----------
    name : str
    unreadable : dict
        The error for each variant, or "meta data", whose file cannot be read.
    sizes : dict
        The sizes (height, width) that the annotation files state for each image.
    instances : dict
        Of each variant that was read.
    has_images : bool
        Whether images belong to the set, as for :func:`mtfast.convert`.
    image_files : dict or None
        Where each file in the folder of images is, by its name there; None without such a folder.
    images : dict
        The image files that were found, by the names that the annotations have for them.
    paths : dict
        Where these are.
    matched : tuple of BadRecords
        Those that are found under another name than the listed one, or in a stack.
    lost : dict
        Why images could not be listed, by their files: where there are no annotations, the files
        say how large they are.
    left_out : set of str
        Images that no annotation file or mask is of, which records have told already.
    shared : frozenset of str
        Paths that other splits use of the same folder of images.
    sets : tuple of str
        The named sets (exfoliation runs).
    frame : str or None
        As :attr:`mtfast.sources.Source.frame`.
    classes : tuple of Category
        Of the variant that masks are painted from.
    """

    name: str
    unreadable: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, set[tuple[int, int]]] = field(default_factory=dict)
    instances: dict[str, Instances] = field(default_factory=dict)
    has_images: bool = True
    image_files: dict[str, str] | None = None
    images: dict[str, ImageFile] = field(default_factory=dict)
    paths: dict[str, str] = field(default_factory=dict)
    matched: tuple[BadRecords, ...] = ()
    lost: dict[str, str] = field(default_factory=dict)
    left_out: set[str] = field(default_factory=set)
    shared: frozenset[str] = frozenset()
    sets: tuple[str, ...] = ()
    frame: str | None = None
    classes: tuple[Category, ...] = ()
