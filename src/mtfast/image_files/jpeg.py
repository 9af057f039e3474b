"""JPEG files: grey, colour and CMYK, baseline and progressive."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.image_files.exif import read_orientation, shown_size
from mtfast.image_files.header import (
    ImageHeader,
    check_density,
    check_page,
    check_size,
    cut_off,
    decoding,
)
from mtfast.image_files.pixels import fill_from_cmyk
from mtfast.jpeg.header import (
    BASELINE,
    EOI,
    EXTENDED,
    FRAMES,
    PROGRESSIVE,
    SOI,
    SOS,
    Frame,
    read_frame,
    segments,
)

__all__ = [
    "decode",
    "find_exif",
    "read_header",
    "read_shown_size",
    "read_size",
    "read_stored_size",
    "recognises",
]

_WHAT = "a JPEG"
_APP1 = 0xE1
_CODINGS = {3: "lossless", **dict.fromkeys((5, 6, 7), "hierarchical")}
# A block takes at least one bit, and an MCU of at most 32 x 32 pixels at least nine.
_MOST_PIXELS_A_BYTE = 1024
# Each scan passes over the whole image. libjpeg-turbo's own tools stop at as many.
_MOST_SCANS = 500


class _Start(NamedTuple):
    """What stands before the coded data."""

    frame: Frame
    orientation: int


def recognises(data: bytes) -> bool:
    """Return whether a file begins as a JPEG does.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    bool

    Examples
    --------
    >>> recognises(bytes.fromhex("ffd8ffe0"))
    True
    """
    return data[:3] == bytes([0xFF, SOI, 0xFF])


def read_header(data: bytes, page: int | None = None) -> ImageHeader:
    """Read the header of a JPEG file.

    Parameters
    ----------
    data : bytes
        The whole file; bytes after its end marker are ignored.
    page : int, optional
        Only 0.

    Returns
    -------
    ImageHeader

    Raises
    ------
    MtfastError
        If the file is cut off or damaged, or is arithmetic-coded, lossless, hierarchical, not of 8
        bits, or neither grey nor of 3 or 4 components.

    Examples
    --------
    >>> import imagecodecs
    >>> read_header(imagecodecs.jpeg8_encode(np.zeros((120, 192), np.uint8))).shape
    (120, 192, 3)
    """
    check_page(_WHAT, page, 1)
    frame, orientation = _read_start(data)
    is_cmyk = len(frame.components) == 4
    return ImageHeader("jpeg", frame.height, frame.width, orientation=orientation, is_cmyk=is_cmyk)


def decode(data: bytes, header: ImageHeader, out: NDArray[Any]) -> None:
    """Decode a JPEG file, straight into an array unless it is CMYK.

    Parameters
    ----------
    data : bytes
    header : ImageHeader
        Of this file.
    out : (H, W, 3) uint8
        Is overwritten, in C order.

    Raises
    ------
    MtfastError
        If the data does not decode.

    Examples
    --------
    >>> import imagecodecs
    >>> data = imagecodecs.jpeg8_encode(np.full((8, 8), 60, np.uint8))
    >>> out = np.empty((8, 8, 3), np.uint8)
    >>> decode(data, read_header(data), out)
    >>> out[3, 4].tolist()
    [60, 60, 60]
    """
    import imagecodecs

    with decoding(_WHAT):
        if not header.is_cmyk:
            imagecodecs.jpeg8_decode(data, outcolorspace="RGB", out=out)
        else:
            inks = imagecodecs.jpeg8_decode(data, outcolorspace="CMYK")
            # As Adobe writes them, which everyone does: 0 is all of the ink.
            fill_from_cmyk(out, np.invert(inks, out=inks))


def read_size(data: bytes) -> tuple[int, int]:
    """Read the size of a JPEG that is part of another file, which may hold its tables.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    height, width : int

    Raises
    ------
    MtfastError
        If the data has no size, or too many scans to decode.

    Examples
    --------
    >>> import imagecodecs
    >>> read_size(imagecodecs.jpeg8_encode(np.zeros((120, 192), np.uint8)))
    (120, 192)
    """
    _check_scans(data)
    for segment in segments(data):
        if segment.marker in FRAMES:
            frame = read_frame(segment)
            return frame.height, frame.width
    raise _sizeless()


def read_shown_size(head: bytes) -> tuple[int, int] | None:
    """Read the size of a JPEG as viewers show it from its first bytes; nothing else is checked.

    Parameters
    ----------
    head : bytes
        The beginning of a file, or all of it.

    Returns
    -------
    (height, width) or None
        Turned as the EXIF orientation says. None if it is no JPEG, or its size comes later.

    Examples
    --------
    >>> import imagecodecs
    >>> read_shown_size(imagecodecs.jpeg8_encode(np.zeros((120, 192), np.uint8))[:400])
    (120, 192)
    >>> read_shown_size(b"II*")
    """
    found = read_stored_size(head)
    return None if found is None else shown_size(*found)


def read_stored_size(head: bytes) -> tuple[int, int, int] | None:
    """Read the size of a JPEG as it is stored, and how viewers turn it, from its first bytes.

    Parameters
    ----------
    head : bytes
        The beginning of a file, or all of it.

    Returns
    -------
    (height, width, orientation) or None
        None if it is no JPEG, or its size comes later.
    """
    orientation: int | None = None
    try:
        for segment in segments(head) if recognises(head) else ():
            if segment.marker == _APP1 and orientation is None:
                is_exif = segment.content.startswith(b"Exif\0\0")
                orientation = read_orientation(segment.content) if is_exif else None
            if segment.marker in FRAMES:
                frame = read_frame(segment)
                return frame.height, frame.width, orientation or 1
    except MtfastError:
        return None
    return None


def find_exif(data: bytes) -> slice | None:
    """Find the EXIF data of a JPEG file.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    slice or None
        Its bytes in the file, of the first segment that has some.
    """
    found = (s for s in segments(data) if s.marker == _APP1 and s.content.startswith(b"Exif\0\0"))
    first = next(found, None)
    return None if first is None else slice(first.stop - len(first.content), first.stop)


def _read_start(data: bytes) -> _Start:
    frame: Frame | None = None
    orientation: int | None = None
    for segment in segments(data):
        if segment.marker in FRAMES:
            frame = read_frame(segment)
        elif segment.marker == _APP1 and orientation is None:
            is_exif = segment.content.startswith(b"Exif\0\0")
            orientation = read_orientation(segment.content) if is_exif else None
    if frame is None:
        raise _sizeless()
    _check_frame(frame)
    # Coded data never holds this pair of bytes, so a missing end shows without decoding.
    if data.rfind(bytes([0xFF, EOI])) < segment.stop:
        raise cut_off(_WHAT, len(data), "an end marker")
    check_density(_WHAT, frame.height * frame.width, len(data), _MOST_PIXELS_A_BYTE)
    if segment.content[:1] != bytes([len(frame.components)]) or frame.kind == PROGRESSIVE:
        _check_scans(data)
    return _Start(frame, orientation or 1)


def _check_frame(frame: Frame) -> None:
    """Refuse a frame that decoders do not read."""
    check_size(_WHAT, frame.height, frame.width)
    if frame.kind not in (BASELINE, EXTENDED, PROGRESSIVE):
        coding = _CODINGS.get(frame.kind, "arithmetic-coded")
        raise MtfastError(
            f"{'an' if coding[0] == 'a' else 'a'} {coding} JPEG (SOF{frame.kind}); expected a "
            f"baseline or progressive one; save it as an ordinary JPEG, or as PNG"
        )
    if frame.bits != 8:
        raise MtfastError(
            f"a JPEG with {frame.bits} bits a sample; expected 8; save it as a 16-bit PNG or TIFF"
        )
    n = len(frame.components)
    if n not in (1, 3, 4):
        raise MtfastError(
            f"a JPEG of {n} components; expected grey, RGB or CMYK; save it as an RGB JPEG"
        )


def _check_scans(data: bytes) -> None:
    n = data.count(bytes([0xFF, SOS]))
    if n > _MOST_SCANS:
        raise MtfastError(
            f"a JPEG of {n:,} scans; expected at most {_MOST_SCANS}, as more take minutes to "
            f"decode; save it again"
        )


def _sizeless() -> MtfastError:
    return MtfastError(
        "a JPEG whose scan comes before its size; expected a frame header; copy the file again"
    )
