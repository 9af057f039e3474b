"""What is said of an image file, and what no file may claim.

Sizes in a header are a stranger's word. They are compared with the length of the file before any
memory is taken for pixels: each kind knows how many pixels a byte of it can hold at most.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from mtfast.errors import MtfastError, counted
from mtfast.limits import check_pixels

__all__ = [
    "UINT8",
    "UINT16",
    "ImageHeader",
    "check_density",
    "check_page",
    "check_size",
    "cut_off",
    "decoding",
]

UINT8, UINT16 = np.dtype(np.uint8), np.dtype(np.uint16)


class ImageHeader(NamedTuple):
    """What the header of an image file says.

    Attributes
    ----------
    kind : str
        One of KINDS.
    height, width : int
        Pixels as stored, not turned.
    dtype : numpy.dtype
        Of decoded pixels, uint8 or uint16.
    channels : int
        Of decoded pixels: 3, or 1 for 16-bit grey, which has no axis for it.
    orientation : int
        EXIF orientation, 1 to 8; 1, which is upright, where the file states none.
    has_alpha : bool
        Whether the file has transparency, which is left out of decoded pixels.
    is_cmyk : bool
        Whether the file has inks, which are converted as Pillow does.
    page : int
        The page that this is about; 0 for kinds without pages.
    n_pages : int
        Pages of the file, without reduced copies and masks of other pages.
    """

    kind: str
    height: int
    width: int
    dtype: np.dtype[Any] = UINT8
    channels: int = 3
    orientation: int = 1
    has_alpha: bool = False
    is_cmyk: bool = False
    page: int = 0
    n_pages: int = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of decoded pixels: (height, width, 3), or (height, width) for 16-bit grey."""
        size = (self.height, self.width)
        return (*size, self.channels) if self.channels > 1 else size


def check_size(what: str, height: int, width: int) -> None:
    """Refuse images without pixels, and of more than are read; see :mod:`mtfast.limits`.

    Parameters
    ----------
    what : str
        What a message calls the file, such as "a PNG image".
    height, width : int

    Raises
    ------
    MtfastError

    Examples
    --------
    >>> check_size("a BMP image", 480, 640)
    """
    if min(height, width) < 1:
        raise MtfastError(
            f"{what} of {height} x {width} pixels; expected at least 1 x 1; "
            f"copy the file again or remove it"
        )
    check_pixels(what, height, width)


def check_density(what: str, n_claimed: int, n_stored: int, most: int) -> None:
    """Refuse a header that claims more than the bytes of the file can hold.

    Parameters
    ----------
    what : str
        What a message calls the file.
    n_claimed : int
        Pixels or bytes that the header claims.
    n_stored : int
        Bytes of the file that hold them.
    most : int
        What a stored byte can hold at most.

    Raises
    ------
    MtfastError

    Examples
    --------
    >>> check_density("a PNG image", 300_000, 1000, 1032)
    """
    if n_claimed > n_stored * most:
        raise MtfastError(
            f"{what} whose header claims more than {n_stored:,} bytes can hold; expected the data "
            f"of all its pixels; copy the file again or remove it"
        )


def check_page(what: str, page: int | None, n_pages: int) -> int:
    """Return the page to read, which has to be stated where there are several.

    Parameters
    ----------
    what : str
        What a message calls the file.
    page : int, optional
        From 0 on.
    n_pages : int

    Returns
    -------
    int

    Raises
    ------
    MtfastError
        If there is no such page, or if none is stated and the file has several.

    Examples
    --------
    >>> check_page("a TIFF", None, 1), check_page("a TIFF", 2, 12)
    (0, 2)
    """
    if page is None and n_pages > 1:
        raise MtfastError(
            f"{what} of {n_pages:,} pages; expected one image; name the page, from NAME.tif[0] to "
            f"NAME.tif[{n_pages - 1}], or save each page as a file"
        )
    if page is not None and not 0 <= page < n_pages:
        raise MtfastError(
            f"page {page} of {what} of {counted(n_pages, 'page')}; expected a page from 0 to "
            f"{n_pages - 1}; name another one"
        )
    return page or 0


def cut_off(what: str, n_bytes: int, expected: str) -> MtfastError:
    """Return the error for a file that ends too early.

    Parameters
    ----------
    what : str
        What the message calls the file.
    n_bytes : int
        Of the file.
    expected : str
        What is missing.

    Returns
    -------
    MtfastError

    Examples
    --------
    >>> print(cut_off("a PNG image", 57, "its last chunk"))
    a PNG image that is cut off after 57 bytes; expected its last chunk; copy the file again
    """
    return MtfastError(
        f"{what} that is cut off after {n_bytes:,} bytes; expected {expected}; copy the file again"
    )


@contextmanager
def decoding(what: str) -> Iterator[None]:
    """Turn what a decoder raises into one line.

    Parameters
    ----------
    what : str
        What the message calls the file.

    Raises
    ------
    MtfastError

    Examples
    --------
    >>> with decoding("a TIFF"):        # doctest: +ELLIPSIS
    ...     raise RuntimeError("bad code")
    Traceback (most recent call last):
    mtfast.errors.MtfastError: a TIFF that does not decode (bad code); expected sound data; copy ...
    """
    try:
        yield
    except MtfastError:
        raise
    # Damaged files make decoders raise anything, from struct.error to ZeroDivisionError.
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise MtfastError(
            f"{what} that does not decode ({reason[:80]}); expected sound data; "
            f"copy the file again or remove it"
        ) from error
