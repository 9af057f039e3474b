"""Masks as a file for each image, ``OUT/SPLIT_KIND_masks/STEM.png`` or ``.tif``."""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar
from unicodedata import normalize

from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.export.manifest import write_record
from mtfast.export.mask_format import MaskBatch, MaskFormat, MaskSplit
from mtfast.export.tiff_pages import PageInfo, write_pages
from mtfast.export.zlib_files import PngFiles, ZlibStreams
from mtfast.painting.encode import MaskEncoder, MaskRowRuns
from mtfast.paths import is_reserved, stem_of
from mtfast.pictures.palette import colour_table

__all__ = ["PngFolder", "TiffFolder"]

LARGEST_SIDE = 2**31 - 1


@dataclass(frozen=True)
class _Folder(MaskFormat):
    """What folders of PNG and of TIFF files have in common."""

    suffix: ClassVar[str]

    @abstractmethod
    def encoder(self, largest: int) -> MaskEncoder:
        """Return what encodes masks, for the largest value in any of them."""

    def check(self, split: MaskSplit) -> None:
        """Refuse images that would have one file, and sides that no file may have."""
        taken: dict[str, str] = {}
        for name in split.table.names.tolist():
            stem = stem_of(name)
            if "\0" in stem or not stem:
                raise MtfastError(
                    f"image {name!r} of split {split.name!r} has no stem to name a file with; "
                    f"expected a stem as in a1b2.jpg; rename it, or write a Zarr array"
                )
            if sys.platform == "win32" and is_reserved(f"{stem}{self.suffix}"):
                raise MtfastError(
                    f"image {name!r} of split {split.name!r} would have a mask called "
                    f"{stem}{self.suffix}; expected a name that Windows takes; rename it, or write "
                    f"a Zarr array"
                )
            if (other := taken.setdefault(stem, name)) != name:
                raise MtfastError(
                    f"images {other!r} and {name!r} of split {split.name!r} have one stem; "
                    f"expected a stem for each, as it names the mask; rename one, or write a Zarr "
                    f"array"
                )
        longest = max(split.table.heights.max(initial=0), split.table.widths.max(initial=0))
        if longest > LARGEST_SIDE:
            raise MtfastError(
                f"an image of {longest} pixels a side; expected at most {LARGEST_SIDE} for a "
                f"{self.suffix} file; write a Zarr array"
            )

    def outputs(self, out: Path, split: str) -> list[Path]:
        """Return the folder of the split."""
        return [out / self.name_of(split)]

    def begin(self, content: Path, record: Any, splits: Sequence[MaskSplit]) -> None:
        """Make the folders."""
        write_record(content, record)
        for split in splits:
            folder = content / self.name_of(split.name)
            folder.mkdir()
            self._expect_apart(folder, split)

    def _expect_apart(self, folder: Path, split: MaskSplit) -> None:
        """Refuse stems that are one on this disk: others would take each other's file.

        Which are, macOS and Windows decide by disk; those that differ in case or in Unicode form
        are tried.
        """
        alike: dict[str, list[str]] = {}
        for name in split.table.names.tolist():
            stem = stem_of(name)
            alike.setdefault(normalize("NFC", normalize("NFC", stem).casefold()), []).append(stem)
        for first, *others in alike.values():
            if not others:
                continue
            tried = folder / f"{first}{self.suffix}"
            tried.touch()
            same = [other for other in others if (folder / f"{other}{self.suffix}").exists()]
            tried.unlink()
            if same:
                raise MtfastError(
                    f"images {first!r} and {same[0]!r} of split {split.name!r} would have one mask "
                    f"file on this disk, which is blind to case or Unicode form; expected a name "
                    f"for each; rename one, or write a Zarr array"
                )

    def write(self, batch: MaskBatch) -> int:
        """Stage the files of a batch that are not there."""
        folder = self.name_of(batch.split)
        names = [f"{folder}/{stem_of(name)}{self.suffix}" for name in batch.images.names.tolist()]
        files = zip(names, batch.encode(self.encoder), strict=True)
        return sum(batch.stage.put(name, data) for name, data in files)


@dataclass(frozen=True)
class PngFolder(_Folder):
    """PNG files of 8- or 16-bit grey, or with a palette.

    Parameters
    ----------
    kind : str
        See :class:`mtfast.export.mask_format.MaskFormat`.
    palette : bool
        Pixels are indices into a colour palette.
    """

    palette: bool = False
    suffix = ".png"

    def encoder(self, largest: int) -> PngFiles:
        """Return what encodes grey files, or files with a palette.

        Parameters
        ----------
        largest : int
            The largest value in any mask of the split.

        Returns
        -------
        PngFiles
        """
        return PngFiles(largest, colour_table(largest + 1) if self.palette else None)

    def check(self, split: MaskSplit) -> None:
        """Refuse more values than a palette has, and what other folders refuse.

        Parameters
        ----------
        split : MaskSplit

        Raises
        ------
        MtfastError
        """
        super().check(split)
        if self.palette and split.largest > 255:
            raise MtfastError(
                f"value {split.largest} in the masks of split {split.name!r}; expected at most 255 "
                f"for a palette; leave the palette out"
            )


@dataclass(frozen=True)
class TiffFolder(_Folder):
    """TIFF files of one page.

    Parameters
    ----------
    kind : str
        See :class:`mtfast.export.mask_format.MaskFormat`.
    pixel_size : float, optional
        Width of a pixel in micrometres.
    """

    pixel_size: float | None = None
    suffix = ".tif"

    def encoder(self, largest: int) -> _TiffFiles:
        """Return what encodes files of one page.

        Parameters
        ----------
        largest : int
            The largest value in any mask of the split.

        Returns
        -------
        MaskEncoder
        """
        return _TiffFiles(largest, self.pixel_size)


class _TiffFiles(ZlibStreams):
    """Whole TIFF files of one page."""

    def __init__(self, largest: int, pixel_size: float | None) -> None:
        super().__init__(largest)
        self._about = {dtype: PageInfo(dtype, largest, pixel_size) for dtype in ("uint8", "uint16")}

    def encode_runs(self, runs: MaskRowRuns) -> list[bytes]:
        """Put each stream into a file."""
        return [self._file(strip, runs.size, "uint8") for strip in super().encode_runs(runs)]

    def encode_pixels(self, mask: NDArray[Any]) -> bytes:
        """Put the stream into a file."""
        height, width = mask.shape
        return self._file(super().encode_pixels(mask), (height, width), mask.dtype.name)

    def _file(self, strip: bytes, size: tuple[int, int], dtype: str) -> bytes:
        file = BytesIO()
        write_pages(file, [strip], [size], self._about[dtype], len(strip))
        return file.getvalue()
