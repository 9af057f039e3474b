"""What the header of a JPEG file says, without decoding a pixel.

Source: ITU-T T.81, annex B.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from mtfast.errors import MtfastError

__all__ = ["EOI", "SOS", "JpegHeader", "Segment", "read_header", "segments"]

_SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
_NO_LENGTH = {0x01, *range(0xD0, 0xD8)}
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_BASELINE, _EXTENDED, _PROGRESSIVE = 0xC0, 0xC1, 0xC2


class JpegHeader(NamedTuple):
    """Size and kind of a JPEG image: height and width in pixels, 1 (grey) or 3 components."""

    height: int
    width: int
    n_components: int


def read_header(data: bytes) -> JpegHeader:
    """Read the header of a whole JPEG file and make sure that it is one that can be stored.

    Parameters
    ----------
    data : bytes
        The file. It may go on after its end marker.

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
    >>> read_header(open("image.jpg", "rb").read())     # doctest: +SKIP
    JpegHeader(height=1200, width=1920, n_components=3)
    """
    header: JpegHeader | None = None
    for segment in segments(data):
        if segment.marker in _FRAMES:
            header = _read_frame(segment.marker, segment.content)
    if header is None:
        raise MtfastError(
            "a JPEG whose scan comes before its size; expected a frame header; "
            "fetch the image again"
        )
    # Coded data never holds this pair of bytes, so no decoding is needed to see the end missing.
    if data.rfind(bytes([0xFF, EOI])) < segment.stop:
        raise _truncated(data)
    return header


class Segment(NamedTuple):
    """A part of the header: its marker, what it holds, and the byte of the file it ends before."""

    marker: int
    content: bytes
    stop: int


def segments(data: bytes) -> Iterator[Segment]:
    """Go through the segments of a header, up to that of the first scan, which is the last.

    Raises
    ------
    MtfastError
        If the data is no JPEG, or ends before its first scan.
    """
    if data[:2] != bytes([0xFF, _SOI]):
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
        if length < 2 or len(content) != length - 2:
            raise _truncated(data)
        at += 2 + length
        yield Segment(marker, content, at)


def _read_frame(marker: int, segment: bytes) -> JpegHeader:
    if len(segment) < 6:
        raise MtfastError("a JPEG with a damaged frame header; expected a size; fetch it again")
    bits = segment[0]
    height = int.from_bytes(segment[1:3], "big")
    width = int.from_bytes(segment[3:5], "big")
    n_components = segment[5]
    if marker not in (_BASELINE, _EXTENDED, _PROGRESSIVE) or bits != 8:
        raise MtfastError(
            f"a JPEG of type SOF{marker - 0xC0} with {bits} bits a sample; expected a baseline or "
            f"progressive one with 8 bits; save it as an ordinary JPEG"
        )
    if n_components not in (1, 3):
        kind = "a CMYK JPEG" if n_components == 4 else f"a JPEG of {n_components} components"
        raise MtfastError(f"{kind}; expected RGB or grey; save it as an RGB JPEG")
    if not height or not width:
        raise MtfastError(
            f"a JPEG of {height} x {width} pixels; expected at least 1 x 1; fetch it again"
        )
    return JpegHeader(height, width, n_components)


def _skip_fill(data: bytes, at: int) -> int:
    """Any number of 0xFF bytes may stand before a marker."""
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
