"""How much a stranger's file may make us take: memory and time are bounded before they are spent.

A few bytes can state any size. Images are bounded by their pixels, which ``MTFAST_MAX_PIXELS`` in
the environment changes, for all commands and functions and in all processes; image files and
packed JSON by what images and annotations of that size can need.
"""

from __future__ import annotations

import os

from mtfast.errors import MtfastError

__all__ = [
    "MAX_JSON_BYTES",
    "MAX_LIST_BYTES",
    "MAX_PIXELS",
    "check_pixels",
    "max_file_bytes",
    "max_pixels",
    "max_unpacked_bytes",
]

MAX_PIXELS = "MTFAST_MAX_PIXELS"
"""The environment variable."""

MAX_JSON_BYTES = 1 << 35
"""Of an annotation file. 400,000 annotations take 176 MB."""

MAX_LIST_BYTES = 1 << 28
"""Of a file of names: 42,000 of them take 2 MB."""

# Of a packed file: so many bytes unpacked, or so many for each of its own. COCO's own files take 4
# to 6, those with indents 20; deflate can make 1032 of one.
_UNPACKED = 1 << 27
_UNPACKED_A_BYTE = 50

# 1.5 GiB of RGB, 23,170 pixels a side.
_MOST = 1 << 29
# RGB and alpha of 16 bits, not compressed.
_BYTES_A_PIXEL = 8
# For profiles and the like.
_EXTRA_BYTES = 1 << 26


def max_pixels() -> int:
    """Return how many pixels an image may have.

    Returns
    -------
    int

    Raises
    ------
    MtfastError
        If the environment does not state a number.

    Examples
    --------
    >>> max_pixels()
    536870912
    """
    text = os.environ.get(MAX_PIXELS)
    if not text:
        return _MOST
    if not (text.isascii() and text.isdecimal() and int(text[:20])):
        raise MtfastError(
            f"{MAX_PIXELS} is {text[:20]!r}; expected a number of pixels; correct it or unset it"
        )
    return int(text[:20])


def max_file_bytes() -> int:
    """Return how long the file of an image may be.

    Returns
    -------
    int
        Bytes: of the largest image that is read, uncompressed, in 16 bits and with alpha.

    Examples
    --------
    >>> max_file_bytes()
    4362076160
    """
    return _BYTES_A_PIXEL * max_pixels() + _EXTRA_BYTES


def max_unpacked_bytes(n_packed: int) -> int:
    """Return how long what is in a packed file may be.

    Parameters
    ----------
    n_packed : int
        Bytes of the packed file.

    Returns
    -------
    int

    Examples
    --------
    >>> max_unpacked_bytes(1000)
    134217728
    """
    return max(_UNPACKED, _UNPACKED_A_BYTE * n_packed)


def check_pixels(
    what: str, height: int, width: int, error: type[MtfastError] = MtfastError
) -> None:
    """Refuse an image of more pixels than are read.

    Parameters
    ----------
    what : str
        What the message calls the image.
    height, width : int
        As stated, one pixel or more.
    error : type
        What to raise.

    Raises
    ------
    MtfastError
        Or ``error``.

    Examples
    --------
    >>> check_pixels("a JPEG", 65535, 65535)                   # doctest: +ELLIPSIS
    Traceback (most recent call last):
    mtfast.errors.MtfastError: a JPEG of 65535 x 65535 pixels; expected at most 536,870,912 in ...
    """
    most = max_pixels()
    if height * width > most:
        raise error(
            f"{what} of {height} x {width} pixels; expected at most {most:,} in all; cut it into "
            f"tiles, or set {MAX_PIXELS} to read larger images"
        )
