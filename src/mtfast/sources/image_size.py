"""The header of an image file of any kind, through PIL."""

from __future__ import annotations

from io import BytesIO
from typing import NamedTuple

from PIL import Image

from mtfast.errors import SourceError

__all__ = ["ImageSize", "read_size"]

_ORIENTATION = 0x0112
_TOO_LARGE = (Image.DecompressionBombError, Image.DecompressionBombWarning)


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
    """

    height: int
    width: int
    orientation: int
    kind: str

    @property
    def shown(self) -> tuple[int, int]:
        """Height and width of the upright image."""
        turned = self.orientation >= 5
        return (self.width, self.height) if turned else (self.height, self.width)


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
        with Image.open(BytesIO(data)) as image:
            orientation = int(image.getexif().get(_ORIENTATION, 1))
            kind = image.format or ""
            width, height = image.size
    except (OSError, ValueError, SyntaxError, TypeError, *_TOO_LARGE) as error:
        raise SourceError(
            f"{name} is no image ({' '.join(str(error).split())[:80]}); expected an image file; "
            f"replace or remove it"
        ) from error
    return ImageSize(height, width, orientation if 1 <= orientation <= 8 else 1, kind)
