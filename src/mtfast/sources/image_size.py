"""The size of an image file of any kind, and how EXIF turns it."""

from __future__ import annotations

from typing import NamedTuple

from mtfast.errors import MtfastError, SourceError
from mtfast.image_files import read_header

__all__ = ["ImageSize", "read_size"]


class ImageSize(NamedTuple):
    """What the header of an image file says.

    Attributes
    ----------
    height, width : int
        As stored in the file, before it is turned.
    orientation : int
        EXIF orientation, 1 to 8; 1 is upright.
    kind : str
        Such as "JPEG" or "PNG".
    n_channels : int
    """

    height: int
    width: int
    orientation: int
    kind: str
    n_channels: int


def read_size(data: bytes, name: str) -> ImageSize:
    """Read the header of an image file.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        For messages.

    Returns
    -------
    ImageSize

    Raises
    ------
    SourceError
        If it is no image.
    """
    try:
        header = read_header(data)
    except MtfastError as error:
        raise SourceError(f"{name} is {error}") from error
    n_channels = 4 if header.is_cmyk else 3
    kind = header.kind.upper()
    return ImageSize(header.height, header.width, header.orientation, kind, n_channels)
