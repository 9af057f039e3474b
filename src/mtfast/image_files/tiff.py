"""TIFF files, through tifffile: strips and tiles, compressed or not, and pages of stacks.

A file is a list of directories, one a page, each a table of tags; see
:mod:`mtfast.image_files.tiff_directories`. Source: TIFF 6.0.
"""

from __future__ import annotations

import io
import logging
import math
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.image_files import jpeg, png, webp
from mtfast.image_files.exif import ORIENTATION
from mtfast.image_files.header import (
    UINT8,
    UINT16,
    ImageHeader,
    check_density,
    check_page,
    check_size,
    cut_off,
    decoding,
)
from mtfast.image_files.pixels import fill, fill_from_cmyk, fill_from_palette
from mtfast.image_files.tiff_directories import (
    Directory,
    check_parts,
    find_value,
    read_directories,
)

if TYPE_CHECKING:
    from tifffile import TiffPage

__all__ = ["decode", "find_orientation", "read_header", "recognises"]

# tifffile reports what is odd about a file there, which otherwise appears on standard error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_WHAT = "a TIFF"

_SUB_DIRECTORIES, _UIC2, _DNG_VERSION = 330, 33629, 50706

_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _CMYK, _YCBCR = 0, 1, 2, 3, 5, 6
_CFA, _LINEAR_RAW = 32803, 34892
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _CMYK: 4, _YCBCR: 3}
# Kinds of extra samples.
_UNSPECIFIED, _PREMULTIPLIED = 0, 1

_PLAIN, _LZW, _OLD_JPEG, _JPEG = 1, 5, 6, 7
# Bytes that a stored byte can become. LZW: 3,838 for 12 bits; deflate: 258 for two bits; zstd: 128
# KiB for three bytes; fax: a row for a bit; LZMA stays below these.
_DENSE = 2**16
_MOST_BYTES_A_BYTE = {
    _PLAIN: 1,
    2: _DENSE,  # fax, as are 3 and 4
    3: _DENSE,
    4: _DENSE,
    _LZW: 2560,
    8: 1032,  # deflate
    32773: 64,  # PackBits
    32946: 1032,  # deflate
    34925: _DENSE,  # LZMA
    34926: _DENSE,  # zstd
    50000: _DENSE,  # zstd
}
_LOWEST_BIT_FIRST = 2


class _Layout(NamedTuple):
    """What the samples of a page are.

    ``bits`` are those of a sample, ``extras`` the kinds of the samples after the colours.
    """

    photometric: int
    bits: int
    n_colours: int
    extras: tuple[int, ...]


def recognises(data: bytes) -> bool:
    r"""Return whether a file begins as a TIFF or BigTIFF does, and not as a Canon RAW photograph.

    Parameters
    ----------
    data : bytes

    Returns
    -------
    bool

    Examples
    --------
    >>> recognises(b"II*\0"), recognises(b"MM\0+")
    (True, True)
    """
    return data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+") and data[8:10] != b"CR"


def read_header(data: bytes, page: int | None = None) -> ImageHeader:
    """Read the header of a page.

    Parameters
    ----------
    data : bytes
        The whole file.
    page : int, optional
        From 0 on; reduced copies and masks of other pages do not count. Not needed where there is
        one.

    Returns
    -------
    ImageHeader

    Raises
    ------
    MtfastError
        If the file is cut off or damaged, there is no such page, several and none stated, or it is
        no image of up to 16 bits: grey, RGB, palette or 8-bit CMYK.

    Examples
    --------
    >>> import tifffile
    >>> file = io.BytesIO()
    >>> tifffile.imwrite(file, np.zeros((3, 120, 192), np.uint16), photometric="minisblack")
    >>> header = read_header(file.getvalue(), page=1)
    >>> header.shape, header.n_pages
    ((120, 192), 3)
    """
    directories = _read_directories(data)
    number = check_page(_WHAT, page, len(directories))
    with _opened(data, directories[number]) as found:
        height, width = found.imagelength, found.imagewidth
        check_size(_WHAT, height, width)
        _check_hidden(found, len(directories))
        layout = _read_layout(found)
        _check_segments(found, len(data))
        _check_inner_sizes(found, data)
        tag = found.tags.get(ORIENTATION)
        orientation = tag.value if tag is not None and tag.count == 1 else 1
    is_deep = layout.bits > 8
    return ImageHeader(
        "tiff",
        height,
        width,
        UINT16 if is_deep else UINT8,
        1 if is_deep and layout.photometric in (_WHITE_IS_ZERO, _BLACK_IS_ZERO) else 3,
        int(orientation) if orientation in range(1, 9) else 1,
        bool(layout.extras),
        is_cmyk=layout.photometric == _CMYK,
        page=number,
        n_pages=len(directories),
    )


def decode(data: bytes, header: ImageHeader, out: NDArray[Any]) -> None:
    """Decode a page.

    Parameters
    ----------
    data : bytes
    header : ImageHeader
        Of this file and page.
    out : array
        Of the header's shape and type, in C order; is overwritten. 16-bit values are those of the
        file, also where 0 is white; 8-bit ones are made what Pillow shows.

    Raises
    ------
    MtfastError
        If the data does not decode.

    Examples
    --------
    >>> import tifffile
    >>> file = io.BytesIO()
    >>> tifffile.imwrite(file, np.full((8, 8), 60000, np.uint16))
    >>> out = np.empty((8, 8), np.uint16)
    >>> decode(file.getvalue(), read_header(file.getvalue()), out)
    >>> int(out[3, 4])
    60000
    """
    with _opened(data, _read_directories(data)[header.page]) as page:
        layout = _read_layout(page)
        if page.compression == _LZW:
            _check_lzw(page, data)
        if _is_direct(page, layout, out):
            page.asarray(out=out.reshape(page.shaped), squeeze=False, maxworkers=1)
            return
        # (planes, depth, H, W, samples); callers run side by side, so one thread is enough.
        stored = page.asarray(squeeze=False, maxworkers=1)[:, 0]
        samples = np.moveaxis(stored[..., 0], 0, -1) if len(stored) > 1 else stored[0]
        colours = samples[..., : layout.n_colours]
        if layout.photometric == _PALETTE:
            fill_from_palette(out, _read_palette(page, out.dtype), colours[..., 0])
        elif layout.photometric == _CMYK:
            fill_from_cmyk(out, colours)
        elif layout.bits <= 8:
            _fill_8_bit(out, layout, samples)
        else:
            fill(out, colours)


def _is_direct(page: TiffPage, layout: _Layout, out: NDArray[Any]) -> bool:
    """Whether stored samples are the pixels, so that tifffile can write them to their place."""
    is_shown = layout.bits == 16 or (layout.bits == 8 and layout.photometric in (_RGB, _YCBCR))
    return (
        is_shown
        and layout.photometric != _PALETTE
        and page.shaped[0] == 1
        and page.shaped[2:] == (*out.shape, 1)[:3]
    )


@contextmanager
def _opened(data: bytes, directory: Directory) -> Iterator[TiffPage]:
    """Open a page; whatever tifffile raises about it is one line."""
    from tifffile import TiffFile

    check_parts(lambda at, n: data[at : at + n], directory)
    with decoding(_WHAT), TiffFile(io.BytesIO(data)) as file:
        yield file.pages[directory.number].aspage()


def find_orientation(data: bytes) -> tuple[int, str] | None:
    """Find where the first page states its orientation.

    Parameters
    ----------
    data : bytes
        The whole file.

    Returns
    -------
    (at, form) or None
        The byte of the value, and its format, as :mod:`struct` has it; None where it is missing.
    """
    return find_value(lambda at, n: data[at : at + n], _read_directories(data)[0], ORIENTATION)


def _read_directories(data: bytes) -> list[Directory]:
    return read_directories(lambda at, n: data[at : at + n], len(data))


def _check_hidden(page: TiffPage, n_pages: int) -> None:
    """Refuse stacks that list one page and describe the others elsewhere."""
    n = 1
    if page.is_stk:
        n = page.tags[_UIC2].count
    elif page.is_imagej:
        stated = re.search(r"^images=(\d{1,9})", page.imagej_description or "", re.MULTILINE)
        n = int(stated[1]) if stated else 1
    elif page.is_shaped:
        stated = re.search(r'"shape": \[([\d, ]{1,200})\]', page.shaped_description or "")
        sizes = [int(size) for size in stated[1].split(",")] if stated else [page.size]
        n = math.prod(sizes) // page.size
    if n > n_pages:
        raise MtfastError(
            f"a TIFF stack of {n:,} images that lists {n_pages:,}; expected a page for each; save "
            f"each image as a file"
        )
    if page.imagedepth > 1:
        raise MtfastError(
            f"a TIFF volume, {page.imagedepth:,} images deep; expected an image; save each image "
            f"as a file"
        )


def _read_layout(page: TiffPage) -> _Layout:
    """Find out what the samples are, and refuse those that are not read."""
    photometric, bits = int(page.photometric), page.bitspersample
    is_raw = photometric in (_CFA, _LINEAR_RAW) or _DNG_VERSION in page.tags
    if is_raw or (page.is_reduced and _SUB_DIRECTORIES in page.tags):
        raise _unread("a RAW photograph", "develop it to a 16-bit TIFF")
    is_jpeg = page.compression in (_OLD_JPEG, _JPEG)
    if photometric not in _COLOURS or (photometric == _YCBCR and not is_jpeg):
        name = getattr(page.photometric, "name", photometric)
        raise _unread(f"a TIFF of {name} colours", "save it as an RGB TIFF")
    if page.dtype is None or page.dtype.kind not in "ub" or not _is_read(photometric, bits):
        name = "mixed" if page.dtype is None else page.dtype.name
        raise _unread(
            f"a TIFF of {name} samples with {bits} bits",
            "scale the values and save them as 8 or 16 bits",
        )
    n_colours = _COLOURS[photometric]
    extras = _read_extras(page, n_colours)
    if n_colours == 1 and _UNSPECIFIED in extras:
        raise _unread(
            f"a TIFF of {page.samplesperpixel} channels",
            "save it as RGB, or each channel as a file",
        )
    return _Layout(photometric, bits, n_colours, extras)


def _is_read(photometric: int, bits: int) -> bool:
    if photometric in (_CMYK, _YCBCR):
        return bits == 8
    if photometric == _PALETTE:
        return bits in (1, 2, 4, 8, 16)
    if photometric == _RGB:
        return 8 <= bits <= 16
    return bits in (1, 2, 4) or 8 <= bits <= 16


def _read_extras(page: TiffPage, n_colours: int) -> tuple[int, ...]:
    """Return the kinds of the samples after the colours; some files do not state them."""
    n = page.samplesperpixel - n_colours
    if n < 0:
        raise _unread(
            f"a TIFF of {page.samplesperpixel} samples a pixel", "copy the file again or remove it"
        )
    stated = tuple(int(kind) for kind in page.extrasamples)[:n]
    return stated + (_UNSPECIFIED,) * (n - len(stated))


def _unread(found: str, advice: str) -> MtfastError:
    return MtfastError(
        f"{found}; expected grey, RGB, palette or 8-bit CMYK, unsigned, of up to 16 bits; {advice}"
    )


def _check_segments(page: TiffPage, n_bytes: int) -> None:
    """Refuse strips and tiles that are missing, leave the file, or claim more than they hold."""
    starts, counts = page.dataoffsets, page.databytecounts
    n = math.prod(page.chunked)
    if not (len(starts) == len(counts) == n) or min(counts) < 1 or min(starts) < 1:
        raise MtfastError(
            f"a TIFF with missing data; expected {n:,} strips or tiles; save it again without gaps"
        )
    stop = max(start + count for start, count in zip(starts, counts, strict=True))
    if stop > n_bytes:
        raise cut_off(_WHAT, n_bytes, f"{stop:,} of them")
    compression = int(page.compression)
    if compression not in _MOST_BYTES_A_BYTE and compression not in _READ_SIZE:
        name = getattr(page.compression, "name", compression)
        raise MtfastError(
            f"a TIFF compressed as {name}; expected zstd, deflate, LZW, JPEG or another usual "
            f"kind; save it with one of them"
        )
    most = _MOST_BYTES_A_BYTE.get(compression, _DENSE)
    planes, depth, height, width, samples = page.shaped
    row = -(-width * samples * page.bitspersample // 8)
    check_density(_WHAT, planes * depth * height * row, sum(counts), most)
    # A tile is decoded whole, however little of it is inside the image.
    if page.is_tiled:
        pixels = math.prod(page.chunks)
        check_density(_WHAT, pixels * page.bitspersample // 8, max(counts), most)


def _check_inner_sizes(page: TiffPage, data: bytes) -> None:
    """Refuse data that state a larger size than their strip or tile."""
    read_size = _READ_SIZE.get(int(page.compression))
    if read_size is None:
        return
    rows = page.tilelength if page.is_tiled else page.rowsperstrip
    columns = page.tilewidth if page.is_tiled else page.imagewidth
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        height, width = read_size(data[start : start + count])
        if height > rows or width > columns:
            raise MtfastError(
                f"a TIFF with data of {height} x {width} pixels in a strip or tile; expected at "
                f"most {rows} x {columns}; copy the file again or remove it"
            )


def _read_jpeg_2000_size(data: bytes) -> tuple[int, int]:
    """Read the size in a codestream: its first segment, of the reference grid."""
    if data[:4] != b"\xff\x4f\xff\x51" or len(data) < 24:
        raise MtfastError(
            "a TIFF with damaged JPEG 2000 data; expected a codestream; copy the file again or "
            "remove it"
        )
    right, bottom, left, top = struct.unpack_from(">IIII", data, 8)
    return bottom - top, right - left


# Data of these kinds state a size of their own, for which their decoders take memory.
_READ_SIZE: dict[int, Callable[[bytes], tuple[int, int]]] = {
    _OLD_JPEG: jpeg.read_size,
    _JPEG: jpeg.read_size,
    33003: _read_jpeg_2000_size,
    33005: _read_jpeg_2000_size,
    34712: _read_jpeg_2000_size,
    34933: lambda data: png.read_header(data)[1:3],
    50001: lambda data: webp.read_header(data)[1:3],
}


def _check_lzw(page: TiffPage, data: bytes) -> None:
    """Refuse data that make imagecodecs read outside of its table; takes a tenth of the decode."""
    import imagecodecs

    from mtfast.kernels.files.lzw_scan import INVALID, MOST_ENTRIES, scan_lzw

    lengths = np.empty(MOST_ENTRIES, np.int64)
    most = math.prod(page.chunks) * (UINT8 if page.bitspersample <= 8 else UINT16).itemsize
    for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        coded = np.frombuffer(data, np.uint8, count, start)
        if page.fillorder == _LOWEST_BIT_FIRST:
            coded = imagecodecs.bitorder_decode(coded)
        if scan_lzw(coded, most, lengths) == INVALID:
            raise MtfastError(
                "a TIFF with damaged LZW data; expected codes of its table; copy the file again or "
                "remove it"
            )


def _read_palette(page: TiffPage, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return the colours (n, 3), which files keep as 16 bits."""
    if page.colormap is None:
        raise MtfastError(
            "a TIFF without its palette; expected a colour map; copy the file again or remove it"
        )
    colours = page.colormap >> 8 if dtype == UINT8 else page.colormap
    return np.ascontiguousarray(colours.T, dtype)


def _fill_8_bit(out: NDArray[np.uint8], layout: _Layout, samples: NDArray[Any]) -> None:
    """Copy grey or RGB samples of up to 8 bits: scaled to 255, black at 0, alpha divided out."""
    colours = samples[..., : layout.n_colours].astype(np.uint8, copy=False)
    if layout.bits < 8:
        colours = colours * np.uint8(255 // (2**layout.bits - 1))
    if layout.photometric == _WHITE_IS_ZERO:
        colours = np.invert(colours)
    if layout.extras[:1] == (_PREMULTIPLIED,):
        alpha = samples[..., layout.n_colours, None]
        colours = _divided(colours, alpha)
    fill(out, colours)


def _divided(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Divide premultiplied colours by alpha, as Pillow does: fractions are cut off, clear is 0."""
    divided = colours.astype(np.uint16) * np.uint16(255) // np.maximum(alpha, 1)
    return np.where(alpha == 0, 0, np.minimum(divided, 255)).astype(np.uint8)
