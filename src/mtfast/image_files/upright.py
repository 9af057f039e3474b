"""Image files without their EXIF orientation, so that every program shows them as they are stored.

One value in the file is replaced; coded pixels and all other bytes stay.
"""

from __future__ import annotations

import struct
from zlib import crc32

from mtfast.errors import MtfastError
from mtfast.image_files import jpeg, png, tiff, webp
from mtfast.image_files.exif import find_orientation
from mtfast.image_files.files import read_header

__all__ = ["without_orientation"]


def without_orientation(data: bytes) -> bytes:
    """Return an image file that is shown as it is stored.

    Parameters
    ----------
    data : bytes
        A file of one image.

    Returns
    -------
    bytes
        As many; the same ones where the file states no orientation.

    Raises
    ------
    MtfastError
        If the file cannot be read, or states its orientation in a way that cannot be changed.

    Examples
    --------
    >>> from io import BytesIO
    >>> from PIL import Image
    >>> exif, file = Image.Exif(), BytesIO()
    >>> exif[0x0112] = 6
    >>> Image.new("RGB", (192, 120)).save(file, "JPEG", exif=exif)
    >>> turned = file.getvalue()
    >>> read_header(turned).orientation, read_header(without_orientation(turned)).orientation
    (6, 1)
    """
    place = _find(data)
    if place is None:
        return data
    at, form = place
    made = bytearray(data)
    struct.pack_into(form, made, at, 1)
    if png.recognises(data):
        _sign(made, png.find_exif(data))
    upright = bytes(made)
    if (found := read_header(upright).orientation) != 1:
        raise MtfastError(
            f"an image of orientation {found}, which cannot be changed; expected it to be stated "
            f"once; save the image again"
        )
    return upright


def _find(data: bytes) -> tuple[int, str] | None:
    """Find the byte of the orientation, and its format."""
    if tiff.recognises(data):
        return tiff.find_orientation(data)
    kind = next((k for k in (jpeg, png, webp) if k.recognises(data)), None)
    exif = kind.find_exif(data) if kind else None
    if exif is None or (place := find_orientation(data[exif])) is None:
        return None
    return exif.start + place[0], place[1]


def _sign(made: bytearray, content: slice | None) -> None:
    """Write the checksum of a chunk of a PNG file, which is of its name and its content."""
    if content is not None:
        checksum = crc32(made[content.start - 4 : content.stop])
        made[content.stop : content.stop + 4] = checksum.to_bytes(4, "big")
