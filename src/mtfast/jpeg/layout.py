"""What cutting a window out of a JPEG needs to know of its header.

What a decoder uses is read strictly; everything else, such as EXIF data, is left out of the crop.
Source: ITU-T T.81, annexes A and B; the JFIF and Adobe segments, by which decoders
tell RGB from YCbCr.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.errors import MtfastError
from mtfast.jpeg.header import (
    BASELINE,
    EXTENDED,
    FRAMES,
    Component,
    Frame,
    Segment,
    read_frame,
    segments,
)
from mtfast.jpeg.huffman import Codes, CodeTable, make_codes, read_tables, write_tables

__all__ = ["CannotCutError", "Layout", "read_layout"]

_DHT, _DQT, _DRI = 0xC4, 0xDB, 0xDD
_JFIF, _ADOBE = 0xE0, 0xEE
_MAX_BLOCKS = 10
_BLOCK = 8
# First and last coefficient of a scan, and its precision: all of them, unshifted.
_SEQUENTIAL = bytes([0, 63, 0])

# The tables of a component: its DC table, 0 to 3, and its AC table, 16 to 19.
_TablePair = tuple[int, int]


class CannotCutError(MtfastError):
    """A JPEG that no window can be cut out of; its text says why. It has to be decoded whole."""


class Layout:
    """What a file consists of.

    Attributes
    ----------
    height, width : int
        Of the image, in pixels.
    scan : int
        Byte of the file at which the coded data begins.
    mcu_height, mcu_width : int
        Pixels of an MCU.
    n_rows, n_columns : int
        MCUs of the image.
    restart : int
        MCUs between restarts, or 0.
    codes : Codes
    blocks : (4 * n_blocks,) int64
        Of each block of an MCU, see :func:`mtfast.kernels.files.jpeg_scan.skip_mcus`.
    dc_codes : (12 * n_components,) int64
        Codes of the categories of each component.
    components : tuple of Component
    chosen : tuple of (int, int)
        Numbers of the DC table and the AC table of each component.
    """

    def __init__(
        self,
        frame: Segment,
        scan: Segment,
        kept: list[Segment],
        tables: dict[int, CodeTable],
        restart: int,
    ) -> None:
        self._frame, self._scan, self._kept = frame, scan, kept
        self.scan, self.restart = scan.stop, restart
        found = read_frame(frame)
        self.height, self.width = found.height, found.width
        components = _cuttable_components(found)
        chosen = _read_scan(scan.content, components)
        if len(components) == 1:
            # A scan of one component has no order of blocks to agree on.
            components = (components[0]._replace(across=1, down=1),)
        self.mcu_height = _BLOCK * max(c.down for c in components)
        self.mcu_width = _BLOCK * max(c.across for c in components)
        self.n_rows = -(-self.height // self.mcu_height)
        self.n_columns = -(-self.width // self.mcu_width)
        self.components, self.chosen = components, tuple(chosen)
        self.codes: Codes = make_codes(_used(tables, chosen))
        self.blocks = _blocks(components, chosen)
        self.dc_codes = self.codes.dc_codes[[dc for dc, _ in chosen]].reshape(-1)

    @cached_property
    def _around_size(self) -> tuple[bytes, bytes]:
        """The header of a crop, before its size and after it."""
        kept = b"".join(_segment(*segment[:2]) for segment in self._kept)
        frame = _segment(*self._frame[:2])
        tables = _segment(_DHT, write_tables(self.codes.tables))
        before = b"\xff\xd8" + kept + frame[:5]
        return before, frame[9:] + tables + _segment(*self._scan[:2])

    @cached_property
    def quanta(self) -> NDArray[np.uint16]:
        """Factors of the coefficients of each component, (n, 64) in the order of the file.

        Raises
        ------
        MtfastError
            If a table is missing or damaged.
        """
        tables: dict[int, NDArray[np.uint16]] = {}
        for marker, content, _ in self._kept:
            if marker == _DQT:
                tables |= _read_quanta(content)
        chosen = [self._frame.content[8 + 3 * k] for k in range(len(self.components))]
        if any(number not in tables for number in chosen):
            raise MtfastError(
                "a JPEG without one of its quantisation tables; expected all that it uses; "
                "fetch the image again"
            )
        return np.stack([tables[number] for number in chosen])

    @cached_property
    def is_rgb(self) -> bool:
        """Whether the three components are red, green and blue, as decoders tell."""
        contents = {marker: content for marker, content, _ in self._kept}
        jfif, adobe = contents.get(_JFIF, b""), contents.get(_ADOBE, b"")
        if len(self.components) != 3 or (len(jfif) >= 14 and jfif[:5] == b"JFIF\0"):
            return False
        if len(adobe) >= 12 and adobe[:5] == b"Adobe":
            return adobe[11] == 0
        return bytes(c.number for c in self.components) == b"RGB"

    def entries_in_row(self, step: int) -> int:
        """Count the entries of a crop index for one row of MCUs.

        Parameters
        ----------
        step : int
            MCUs from one entry to the next.

        Returns
        -------
        int
        """
        return -(-self.n_columns // step)

    def n_entries(self, step: int) -> int:
        """Count all entries of a crop index: those of every row, and one at the end.

        Parameters
        ----------
        step : int
            MCUs from one entry of a row to the next.

        Returns
        -------
        int
        """
        return self.n_rows * self.entries_in_row(step) + 1

    def header(self, height: int, width: int) -> bytes:
        """Make the header of a JPEG of another size, without restarts.

        Parameters
        ----------
        height, width : int
            Pixels.

        Returns
        -------
        bytes
            From the start of the file to its coded data.
        """
        before, after = self._around_size
        return before + struct.pack(">HH", height, width) + after


def read_layout(data: bytes) -> Layout:
    """Read the header of a JPEG file that windows are to be cut out of.

    Parameters
    ----------
    data : bytes
        The file, or as much of it as its header.

    Returns
    -------
    Layout

    Raises
    ------
    CannotCutError
        If it is of a kind that cannot be cut: progressive, in several scans, arithmetic-coded, not
        of 8 bits.
    MtfastError
        If it is no JPEG, or is damaged.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> pixels = np.zeros((120, 200, 3), np.uint8)
    >>> layout = read_layout(imagecodecs.jpeg8_encode(pixels, subsampling="420"))
    >>> layout.mcu_height, layout.mcu_width, layout.n_rows, layout.n_columns
    (16, 16, 8, 13)
    >>> layout.n_entries(step=4)
    33
    """
    frame: Segment | None = None
    tables: dict[int, CodeTable] = {}
    kept = []
    restart = 0
    for segment in segments(data):
        marker, content, _ = segment
        if marker in FRAMES:
            if frame:
                raise _unsuitable("two frames", "one")
            frame = segment
        elif marker == _DHT:
            tables |= read_tables(content)
        elif marker == _DRI:
            if len(content) != 2:
                raise _unsuitable("a damaged restart interval", "two bytes")
            restart = int.from_bytes(content, "big")
        elif marker in (_DQT, _JFIF, _ADOBE):
            kept.append(segment)
    if frame is None:
        raise _unsuitable("no frame", "one")
    return Layout(frame, segment, kept, tables, restart)


def _cuttable_components(frame: Frame) -> tuple[Component, ...]:
    """Return the components of a frame, if windows can be cut out of such a one."""
    if frame.kind not in (BASELINE, EXTENDED):
        raise _unsuitable(f"a frame of type SOF{frame.kind}", "a baseline one")
    components = frame.components
    n = len(components)
    if frame.bits != 8 or n not in (1, 3):
        raise _unsuitable(f"{n} components of {frame.bits} bits", "1 or 3 components of 8 bits")
    n_blocks = sum(c.across * c.down for c in components)
    whole = all(1 <= c.across <= 4 and 1 <= c.down <= 4 for c in components)
    if not whole or (n > 1 and n_blocks > _MAX_BLOCKS):
        raise _unsuitable("damaged sampling factors", "1 to 4, and ten blocks at most")
    across = max(c.across for c in components)
    down = max(c.down for c in components)
    if any(across % c.across or down % c.down for c in components):
        raise _unsuitable("subsampling by a fraction", "whole numbers")
    return components


def _read_scan(scan: bytes, components: tuple[Component, ...]) -> list[_TablePair]:
    """Return the tables of each component."""
    n = len(components)
    if len(scan) != 4 + 2 * n or scan[0] != n or scan[-3:] != _SEQUENTIAL:
        raise _unsuitable("several scans", "one of all components")
    if [scan[1 + 2 * k] for k in range(n)] != [c.number for c in components]:
        raise _unsuitable("components out of order", "the order of the frame")
    pairs = [scan[2 + 2 * k] for k in range(n)]
    return [(pair >> 4, 16 | pair & 15) for pair in pairs]


def _used(
    tables: dict[int, CodeTable], chosen: list[_TablePair]
) -> tuple[tuple[int, CodeTable], ...]:
    """Pick the tables that the scan uses, in ascending order."""
    numbers = sorted({number for pair in chosen for number in pair})
    missing = [number for number in numbers if number not in tables]
    if missing:
        raise MtfastError(
            f"a JPEG without its Huffman table {missing[0]}; expected all that it uses; "
            f"fetch the image again"
        )
    return tuple((number, tables[number]) for number in numbers)


def _blocks(components: tuple[Component, ...], chosen: list[_TablePair]) -> NDArray[np.int64]:
    """Describe each block of an MCU as the kernels read it."""
    from mtfast.kernels.files import jpeg_scan

    blocks: list[int] = []
    for k, (component, (dc, ac)) in enumerate(zip(components, chosen, strict=True)):
        table = ac & 3
        fast = jpeg_scan.FAST + (table << jpeg_scan.FAST_BITS)
        block = [dc << 16, (jpeg_scan.AC_TABLES + table) << 16, fast, k]
        blocks += block * (component.across * component.down)
    return np.array(blocks, np.int64)


def _read_quanta(content: bytes) -> dict[int, NDArray[np.uint16]]:
    """Read the tables of a DQT segment, by their numbers."""
    tables = {}
    at = 0
    while at < len(content):
        dtype = np.dtype(">u2" if content[at] >> 4 else "u1")
        table = np.frombuffer(content[at + 1 : at + 1 + 64 * dtype.itemsize], dtype)
        if len(table) != 64:
            raise MtfastError(
                "a JPEG with damaged quantisation tables; expected 64 factors in each; "
                "fetch the image again"
            )
        tables[content[at] & 15] = table.astype(np.uint16)
        at += 1 + 64 * dtype.itemsize
    return tables


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _unsuitable(found: str, expected: str) -> CannotCutError:
    return CannotCutError(
        f"a JPEG with {found}; expected {expected}, to cut windows out of it; decode it whole"
    )
