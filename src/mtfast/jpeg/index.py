"""Where decoding can begin in the midst of a JPEG file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.jpeg.layout import Layout, read_layout

__all__ = ["CropIndex", "build_index"]

N_COMPONENTS = 3
# Beyond it, 512 MB, positions would need more room than there is in a store.
MAX_BITS = 2**32 - 1


class CropIndex(NamedTuple):
    """Entries every ``step`` MCUs of each row of MCUs, and one at the end of the last row.

    Attributes
    ----------
    step : int
    positions : (n_entries,) int64
        Bit of the file at which the MCU before ends; the header ends at that of the first entry.
    dcs : (3, n_entries) int16
        The DCs that it leaves behind, of each component; 0 for those that there are not.
    """

    step: int
    positions: NDArray[np.int64]
    dcs: NDArray[np.int16]

    def coarser(self, layout: Layout) -> CropIndex:
        """Return the index with every other entry of a row."""
        last = len(self.positions) - 1
        kept = np.append(np.arange(last).reshape(layout.n_rows, -1)[:, ::2], last)
        return CropIndex(2 * self.step, self.positions[kept], self.dcs[:, kept])


def build_index(data: bytes, step: int, layout: Layout | None = None) -> CropIndex:
    """Walk the coded data of a JPEG file and note what is needed to begin in its midst.

    Parameters
    ----------
    data : bytes
        The file; it may go on after its end marker.
    step : int
        MCUs from one entry of a row to the next.
    layout : Layout, optional
        Of the file, where it has been read already.

    Returns
    -------
    CropIndex

    Raises
    ------
    MtfastError
        If the file is damaged, or of a kind that cannot be cut, see
        :func:`mtfast.jpeg.layout.read_layout`.

    Examples
    --------
    >>> index = build_index(open("image.jpg", "rb").read(), step=4)       # doctest: +SKIP
    >>> index.positions.shape                                             # doctest: +SKIP
    (2251,)
    """
    from mtfast.kernels.files import jpeg_index, jpeg_scan

    layout = layout or read_layout(data)
    room = len(data) - layout.scan
    # A block has two codes, of a bit at least: what is to be made room for is bounded.
    n_blocks = layout.blocks.size // jpeg_scan.BLOCK_FIELDS
    if layout.n_rows * layout.n_columns * n_blocks > 4 * room:
        raise _damaged("less coded data than blocks")
    plain = np.empty(room + jpeg_scan.MARGIN, np.uint8)
    dropped = np.empty(room // 2 + 1, np.int64)
    coded = np.frombuffer(data, np.uint8)
    n_bytes = jpeg_scan.unstuff(coded, layout.scan, coded.size, plain, 0, dropped)
    if n_bytes < 0:
        raise _damaged("a marker in its coded data, or several scans")
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
        found = {
            jpeg_scan.BAD_CODE: "bits that are no code",
            jpeg_scan.TOO_SHORT: "coded data that ends too early",
            jpeg_scan.BAD_RESTART: "a restart marker in the wrong place",
            jpeg_scan.BAD_DC: "brightnesses beyond all bounds",
        }
        raise _damaged(found[status])
    jpeg_index.to_file_positions(dropped, layout.scan, positions)
    if positions[-1] > MAX_BITS:
        raise _damaged(f"{positions[-1]} bits")
    return CropIndex(step, positions, dcs)


def _damaged(found: str) -> MtfastError:
    return MtfastError(
        f"a JPEG with {found}; expected one scan of sound codes; fetch the image again"
    )
