"""Where decoding can begin mid-file: the crop index of a JPEG."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.jpeg.layout import Layout, read_layout

__all__ = ["CropIndex", "Walk", "build_index", "walk_scan"]

N_COMPONENTS = 3
# Stores keep positions in 32 bits; a file of more is larger than 512 MB.
MAX_BITS = 2**32 - 1
# A block takes at least two bits, one for each of its codes.
MAX_BLOCKS_OF_BYTE = 4


class CropIndex(NamedTuple):
    """Entries every ``step`` MCUs of each row of MCUs, and one at the end of the last row.

    Attributes
    ----------
    step : int
    positions : (n_entries,) int64
        Bit of the file at which the MCU before ends; that of the first entry is the end of the
        header.
    dcs : (3, n_entries) int16
        The DCs of that MCU, of each component; 0 for components that the file does not have.
    sums : (n_entries // 2 + 1,) uint32, optional
        Checksums of the file up to the positions of :func:`mtfast.jpeg.checks.checked`.
    """

    step: int
    positions: NDArray[np.int64]
    dcs: NDArray[np.int16]
    sums: NDArray[np.uint32] | None = None

    def coarser(self, layout: Layout) -> CropIndex:
        """Return the index with every other entry of a row.

        Parameters
        ----------
        layout : Layout
            Of the same file.

        Returns
        -------
        CropIndex
            That :func:`build_index` makes for twice the step.
        """
        kept = self.kept(layout)
        return CropIndex(2 * self.step, self.positions[kept], self.dcs[:, kept])

    def kept(self, layout: Layout) -> NDArray[np.int64]:
        """Return which entries :meth:`coarser` keeps.

        Parameters
        ----------
        layout : Layout
            Of the same file.

        Returns
        -------
        (n,) int64
        """
        last = len(self.positions) - 1
        return np.append(np.arange(last).reshape(layout.n_rows, -1)[:, ::2], last)


def build_index(data: bytes, step: int, layout: Layout | None = None) -> CropIndex:
    """Walk the coded data of a JPEG file and note what is needed to begin mid-file.

    Parameters
    ----------
    data : bytes
        The file; bytes after its end marker are ignored.
    step : int
        MCUs from one entry of a row to the next, at least 1.
    layout : Layout, optional
        Of the file, where it has been read already.

    Returns
    -------
    CropIndex

    Raises
    ------
    CannotCutError
        If the file is of a kind that cannot be cut, see :func:`mtfast.jpeg.layout.read_layout`.
    MtfastError
        If the file is damaged, or the step is below 1.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> data = imagecodecs.jpeg8_encode(np.zeros((120, 200, 3), np.uint8), subsampling="420")
    >>> index = build_index(data, step=4)
    >>> index.positions.shape
    (33,)
    """
    from mtfast.kernels.files import jpeg_index

    if step < 1:
        raise MtfastError(f"a crop index every {step} MCUs; expected a step of 1 or more; raise it")
    layout = layout or read_layout(data)
    walk = walk_scan(data, step, layout)
    jpeg_index.to_file_positions(walk.dropped, layout.scan, walk.positions)
    if walk.positions[-1] > MAX_BITS:
        raise _damaged(f"{walk.positions[-1]} bits")
    return CropIndex(step, walk.positions, walk.dcs)


class Walk(NamedTuple):
    """A scan that was walked.

    Attributes
    ----------
    plain : (n_bytes + margin,) uint8
        The scan without stuffing and markers; zeros follow.
    n_bytes : int
    dropped : (n,) int64
        What was left out, see :func:`mtfast.kernels.files.jpeg_scan.unstuff`.
    positions : (n_entries,) int64
        Those of a :class:`CropIndex`, but in bits of the scan without stuffing.
    dcs : (3, n_entries) int16
    """

    plain: NDArray[np.uint8]
    n_bytes: int
    dropped: NDArray[np.int64]
    positions: NDArray[np.int64]
    dcs: NDArray[np.int16]


def walk_scan(data: bytes, step: int, layout: Layout) -> Walk:
    """Walk the coded data of a JPEG file.

    Parameters
    ----------
    data : bytes
        The file.
    step : int
        MCUs from one entry of a row to the next.
    layout : Layout
        Of the file.

    Returns
    -------
    Walk

    Raises
    ------
    MtfastError
        If the file is damaged.
    """
    from mtfast.kernels.files import jpeg_index, jpeg_scan

    plain, n_bytes, dropped = _unstuffed(data, layout)
    n_entries = layout.n_entries(step)
    positions = np.empty(n_entries, np.int64)
    dcs = np.empty((N_COMPONENTS, n_entries), np.int16)
    status = jpeg_index.index_scan(
        plain,
        n_bytes,
        dropped,
        layout.n_columns,
        layout.n_rows,
        step,
        layout.restart,
        layout.blocks,
        layout.codes.lookup,
        np.empty(N_COMPONENTS, np.int64),
        positions,
        dcs.reshape(-1),
    )
    if status < 0:
        raise _damaged(jpeg_scan.STATUSES[status])
    return Walk(plain, n_bytes, dropped, positions, dcs)


def _unstuffed(data: bytes, layout: Layout) -> tuple[NDArray[np.uint8], int, NDArray[np.int64]]:
    """Copy the scan without stuffing; return the copy, its bytes, and what was dropped."""
    from mtfast.kernels.files import jpeg_scan

    n_coded = len(data) - layout.scan
    # Checked before anything is allocated: a header of a few bytes may claim gigabytes of entries.
    n_blocks = layout.n_rows * layout.n_columns * (layout.blocks.size // jpeg_scan.BLOCK_FIELDS)
    if n_blocks > MAX_BLOCKS_OF_BYTE * n_coded:
        raise _damaged("less coded data than blocks")
    plain = np.empty(n_coded + jpeg_scan.MARGIN, np.uint8)
    # Each thing that is dropped takes two bytes in the file; FAR follows the last one.
    dropped = np.empty(n_coded // 2 + 1, np.int64)
    coded = np.frombuffer(data, np.uint8)
    n_bytes = jpeg_scan.unstuff(coded, layout.scan, coded.size, plain, 0, dropped)
    if n_bytes < 0:
        raise _damaged(jpeg_scan.STATUSES[n_bytes])
    return plain, n_bytes, dropped


def _damaged(found: str) -> MtfastError:
    return MtfastError(
        f"a JPEG with {found}; expected one scan of sound codes; fetch the image again"
    )
