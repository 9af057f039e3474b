"""What the header of a JPEG file says, without decoding a pixel.

A header is a row of segments, each a marker and what it holds::

    FF D8   FF E0 length JFIF   FF DB length tables   FF C0 length frame   ...   FF DA length scan
    start   one segment         another                                         the last one

:func:`segments` walks it and :func:`read_frame` reads the frame header. They are the only ones:
:mod:`mtfast.jpeg.layout` builds on both. Source: ITU-T T.81, annex B.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from mtfast.errors import MtfastError

__all__ = ["Component", "Frame", "JpegHeader", "Segment", "read_frame", "read_header", "segments"]

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
# Markers of the frame headers SOF0 to SOF15; three of the numbers mean something else.
SOF0 = 0xC0
FRAMES = {*range(SOF0, SOF0 + 16)} - {0xC4, 0xC8, 0xCC}
BASELINE, EXTENDED, PROGRESSIVE = 0, 1, 2

# TEM and RSTn have neither a length nor content.
_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}


class JpegHeader(NamedTuple):
    """Size and kind of a JPEG image: height and width in pixels, 1 (grey) or 3 components."""

    height: int
    width: int
    n_components: int


class Segment(NamedTuple):
    """A segment of the header: its marker, its content, and the byte of the file after it."""

    marker: int
    content: bytes
    stop: int


class Component(NamedTuple):
    """A colour: its number in the file, and its samples across and down of an MCU, in blocks."""

    number: int
    across: int
    down: int


class Frame(NamedTuple):
    """A frame header.

    Attributes
    ----------
    kind : int
        The n of SOFn: 0 is baseline, 1 extended, 2 progressive; others are not in use.
    bits : int
        Of a sample.
    height, width : int
        Pixels, at least 1 x 1.
    components : tuple of Component
    """

    kind: int
    bits: int
    height: int
    width: int
    components: tuple[Component, ...]


def read_header(data: bytes) -> JpegHeader:
    """Read the header of a whole JPEG file and make sure that it is one that can be stored.

    Parameters
    ----------
    data : bytes
        The file; bytes after its end marker are ignored.

    Returns
    -------
    JpegHeader

    Raises
    ------
    MtfastError
        If the data is no JPEG, is cut off (no end marker after the first scan), or is of a kind
        that is not supported: not 8 bits a sample, not Huffman-coded, not grey or RGB.

    Examples
    --------
    >>> import imagecodecs, numpy as np
    >>> read_header(imagecodecs.jpeg8_encode(np.zeros((120, 192, 3), np.uint8)))
    JpegHeader(height=120, width=192, n_components=3)
    """
    header: JpegHeader | None = None
    for segment in segments(data):
        if segment.marker in FRAMES:
            header = _storable(read_frame(segment))
    if header is None:
        raise MtfastError(
            "a JPEG whose scan comes before its size; expected a frame header; "
            "fetch the image again"
        )
    # Coded data never holds this pair of bytes, so a missing end shows without decoding.
    if data.rfind(bytes([0xFF, EOI])) < segment.stop:
        raise _truncated(data)
    return header


def segments(data: bytes) -> Iterator[Segment]:
    """Walk the segments of a header, up to that of the first scan, which is the last.

    Parameters
    ----------
    data : bytes
        The file, or as much of it as its header.

    Yields
    ------
    Segment

    Raises
    ------
    MtfastError
        If the data is no JPEG, or ends before its first scan.

    Examples
    --------
    >>> [hex(s.marker) for s in segments(bytes.fromhex("ffd8 fffe0003 21 ffda0002"))]
    ['0xfe', '0xda']
    """
    if data[:2] != bytes([0xFF, SOI]):
        what = "a PNG image" if data[:8] == b"\x89PNG\r\n\x1a\n" else _describe(data)
        raise MtfastError(f"{what}; expected a JPEG image; convert it to JPEG or remove it")
    at = 2
    marker = -1
    while marker != SOS:
        at = _skip_fill(data, at)
        if at + 4 > len(data):
            raise _truncated(data)
        marker = data[at + 1]
        if data[at] != 0xFF:
            raise MtfastError(
                f"a JPEG with no marker at byte {at}; expected 0xFF; fetch the image again"
            )
        if marker == EOI:
            raise MtfastError("a JPEG without image data; expected a scan; fetch the image again")
        if marker in _NO_LENGTH:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if len(content) != length - 2:
            raise _truncated(data)
        at += 2 + length
        yield Segment(marker, content, at)


def read_frame(segment: Segment) -> Frame:
    """Read a frame header of any kind.

    Parameters
    ----------
    segment : Segment
        One of the markers in FRAMES.

    Returns
    -------
    Frame

    Raises
    ------
    MtfastError
        If it is damaged: of the wrong length, or of no pixel.

    Examples
    --------
    >>> frame = read_frame(Segment(0xC2, bytes.fromhex("08 0078 00c0 01 01 11 00"), 0))
    >>> frame.kind, frame.height, frame.width, frame.components
    (2, 120, 192, (Component(number=1, across=1, down=1),))
    """
    content = segment.content
    if len(content) < 6 or len(content) != 6 + 3 * content[5]:
        raise MtfastError(
            f"a JPEG with a damaged frame header of {len(content)} bytes; expected a size and "
            f"three bytes for each component; fetch the image again"
        )
    bits, height, width = struct.unpack_from(">BHH", content)
    if not height or not width:
        raise MtfastError(
            f"a JPEG of {height} x {width} pixels; expected at least 1 x 1; fetch the image again"
        )
    components = [
        Component(number, factors >> 4, factors & 15)
        for number, factors, _ in struct.iter_unpack("BBB", content[6:])
    ]
    return Frame(segment.marker - SOF0, bits, height, width, tuple(components))


def _storable(frame: Frame) -> JpegHeader:
    """Refuse a frame that not all decoders read."""
    if frame.kind not in (BASELINE, EXTENDED, PROGRESSIVE) or frame.bits != 8:
        raise MtfastError(
            f"a JPEG of type SOF{frame.kind} with {frame.bits} bits a sample; expected a baseline "
            f"or progressive one with 8 bits; save it as an ordinary JPEG"
        )
    n = len(frame.components)
    if n not in (1, 3):
        kind = "a CMYK JPEG" if n == 4 else f"a JPEG of {n} components"
        raise MtfastError(f"{kind}; expected RGB or grey; save it as an RGB JPEG")
    return JpegHeader(frame.height, frame.width, n)


def _skip_fill(data: bytes, at: int) -> int:
    """Skip fill bytes: any number of 0xFF may precede a marker."""
    while at + 1 < len(data) and data[at] == 0xFF and data[at + 1] == 0xFF:
        at += 1
    return at


def _describe(data: bytes) -> str:
    return f"a file that begins with {data[:4]!r}" if data else "an empty file"


def _truncated(data: bytes) -> MtfastError:
    return MtfastError(
        f"a JPEG that is cut off after {len(data)} bytes; expected an end marker; "
        f"fetch the image again"
    )
