"""All that cutting a window out of a JPEG needs to know of its header.

What is read here strictly is what a decoder would look at; everything else of a file, such as EXIF
data, is left behind. Source: ITU-T T.81, annexes A and B; the JFIF and Adobe segments, by which
decoders tell RGB from YCbCr.
"""

from __future__ import annotations

import struct
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.jpeg.header import Segment, segments
from mtfast.jpeg.huffman import Codes, CodeTable, make_codes, read_tables, write_tables

__all__ = ["Layout", "read_layout"]

_BASELINE, _EXTENDED = 0xC0, 0xC1
_OTHER_FRAMES = {*range(0xC2, 0xD0)} - {0xC4, 0xC8, 0xCC}
_DHT, _DQT, _DRI = 0xC4, 0xDB, 0xDD
_JFIF, _ADOBE = 0xE0, 0xEE
_MAX_BLOCKS = 10
_BLOCK = 8
# One scan of all coefficients, as they are: first, last, and precision.
_SEQUENTIAL = bytes([0, 63, 0])


class Component(NamedTuple):
    """A colour: its number in the file, and its samples across and down of an MCU, in blocks."""

    number: int
    across: int
    down: int


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
    blocks : int64
        Of each block of an MCU, see :func:`mtfast.kernels.files.jpeg_scan.skip_mcus`.
    dc_codes : int64
        Codes of the categories of each component.
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
        components = _read_components(frame.content)
        self.height = int.from_bytes(frame.content[1:3], "big")
        self.width = int.from_bytes(frame.content[3:5], "big")
        chosen = _read_scan(scan.content, components)
        if len(components) == 1:
            # A scan of one component has no order of blocks to agree on.
            components = [components[0]._replace(across=1, down=1)]
        across = max(c.across for c in components)
        down = max(c.down for c in components)
        if any(across % c.across or down % c.down for c in components):
            raise _unsuitable("subsampling by a fraction", "whole numbers")
        self.mcu_height, self.mcu_width = _BLOCK * down, _BLOCK * across
        self.n_rows = -(-self.height // self.mcu_height)
        self.n_columns = -(-self.width // self.mcu_width)
        try:
            used = {t: tables[t] for pair in chosen for t in pair}
        except KeyError as error:
            raise MtfastError(
                f"a JPEG without its Huffman table {error}; expected all that it uses; "
                f"fetch the image again"
            ) from None
        self.codes: Codes = make_codes(tuple(sorted(used.items())))
        self.blocks = _blocks(components, chosen)
        self.dc_codes = self.codes.dc_codes[[dc for dc, _ in chosen]].reshape(-1)

    @cached_property
    def _parts(self) -> tuple[bytes, bytes]:
        """The header of a crop, before its size and after it."""
        kept = b"".join(_segment(*segment[:2]) for segment in self._kept)
        frame = _segment(*self._frame[:2])
        tables = _segment(_DHT, write_tables(self.codes.tables))
        before = b"\xff\xd8" + kept + frame[:5]
        return before, frame[9:] + tables + _segment(*self._scan[:2])

    def entries_in_row(self, step: int) -> int:
        """Count the entries that an index with one every ``step`` MCUs has for a row."""
        return -(-self.n_columns // step)

    def n_entries(self, step: int) -> int:
        """Count the entries of such an index."""
        return self.n_rows * self.entries_in_row(step) + 1

    def header(self, height: int, width: int) -> bytes:
        """Make the header of a JPEG of another size, without restarts."""
        before, after = self._parts
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
    MtfastError
        If it is no JPEG, is damaged, or is of a kind that cannot be cut: progressive, in several
        scans, arithmetic-coded, not of 8 bits.
    """
    frame: Segment | None = None
    tables: dict[int, CodeTable] = {}
    kept = []
    restart = 0
    for segment in segments(data):
        marker, content, _ = segment
        if marker in (_BASELINE, _EXTENDED):
            if frame:
                raise _unsuitable("two frames", "one")
            frame = segment
        elif marker in _OTHER_FRAMES:
            raise _unsuitable(f"type SOF{marker - 0xC0}", "a baseline one")
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


def _read_components(frame: bytes) -> list[Component]:
    n = frame[5] if len(frame) > 5 else 0
    sides = frame[1:3], frame[3:5]
    if len(frame) != 6 + 3 * n or frame[0] != 8 or n not in (1, 3) or b"\0\0" in sides:
        raise _unsuitable("another kind of frame", "1 or 3 components of 8 bits")
    components = [
        Component(frame[at], frame[at + 1] >> 4, frame[at + 1] & 15)
        for at in range(6, len(frame), 3)
    ]
    shares = [c.across * c.down for c in components]
    whole = all(1 <= c.across <= 4 and 1 <= c.down <= 4 for c in components)
    if not whole or (n > 1 and sum(shares) > _MAX_BLOCKS):
        raise _unsuitable("damaged sampling factors", "1 to 4, and ten blocks at most")
    return components


def _read_scan(scan: bytes, components: list[Component]) -> list[tuple[int, int]]:
    """Return the numbers of the DC and the AC table of each component."""
    n = len(components)
    if len(scan) != 4 + 2 * n or scan[0] != n or scan[-3:] != _SEQUENTIAL:
        raise _unsuitable("several scans", "one of all components")
    if [scan[1 + 2 * k] for k in range(n)] != [c.number for c in components]:
        raise _unsuitable("components out of order", "the order of the frame")
    pairs = [scan[2 + 2 * k] for k in range(n)]
    return [(pair >> 4, 16 | pair & 15) for pair in pairs]


def _blocks(components: list[Component], chosen: list[tuple[int, int]]) -> NDArray[np.int64]:
    from mtfast.kernels.files import jpeg_scan

    blocks: list[int] = []
    for k, (component, (dc, ac)) in enumerate(zip(components, chosen, strict=True)):
        table = ac & 3
        fast = jpeg_scan.FAST + (table << jpeg_scan.FAST_BITS)
        entry = [dc << 16, (jpeg_scan.AC_TABLES + table) << 16, fast, k]
        blocks += entry * (component.across * component.down)
    return np.array(blocks, np.int64)


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def _unsuitable(found: str, expected: str) -> MtfastError:
    return MtfastError(
        f"a JPEG with {found}; expected {expected}, to cut windows out of; decode it whole"
    )
