"""Names for files that are no image of a kind that is read, and what to do with them."""

from __future__ import annotations

__all__ = ["name_kind"]

_SAVE = "save it as PNG or TIFF"
_FRAME = "save each frame as PNG or TIFF"
_DEVELOP = "develop it to a 16-bit TIFF"
_EXPORT = "export its images as TIFF"
_REPLACE = "copy the image again or remove it"

# What files begin with.
_PREFIXES: tuple[tuple[bytes, str, str], ...] = (
    (b"GIF8", "a GIF image", "save it as PNG"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 image", _SAVE),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 image", _SAVE),
    (b"\0\0\0\x0cJXL ", "a JPEG XL image", _SAVE),
    (b"\xff\x0a", "a JPEG XL image", _SAVE),
    (b"\xff\xd8", "a damaged JPEG", _REPLACE),
    (b"\x89PNG", "a PNG image that was changed, as by a transfer of text", _REPLACE),
    (b"8BPS", "a Photoshop document", _SAVE),
    (b"\0\0\1\0", "an icon", "save it as PNG"),
    (b"\x76\x2f\x31\x01", "an OpenEXR image", "save it as a 16-bit TIFF"),
    (b"SIMPLE  =", "a FITS image", "save it as a 16-bit TIFF"),
    *((b"P%d" % n + end, "a Netpbm image", _SAVE) for n in range(1, 8) for end in (b"\n", b" ")),
    (b"FUJIFILMCCD-RAW", "a RAW photograph", _DEVELOP),
    *((start, "a RAW photograph", _DEVELOP) for start in (b"IIRO", b"IIRS", b"MMOR", b"IIU\0")),
    (b"ZISRAWFILE", "a Zeiss CZI file", _EXPORT),
    (b"\xda\xce\xbe\x0a", "a Nikon ND2 file", _EXPORT),
    (b"\x70\0\0\0", "a Leica LIF file", _EXPORT),
    (b"\xd0\xcf\x11\xe0", "an OLE document, such as Olympus OIB or Zeiss ZVI", _EXPORT),
    (b"\x89HDF\r\n", "an HDF5 file", _EXPORT),
    (b"\x93NUMPY", "a NumPy array", _SAVE),
    (b"\x1a\x45\xdf\xa3", "a video (Matroska or WebM)", _FRAME),
    (b"\0\0\1\xba", "a video (MPEG)", _FRAME),
    (b"\0\0\1\xb3", "a video (MPEG)", _FRAME),
    (b"%PDF", "a PDF document", "export its images as PNG"),
    (b"PK\3\4", "a zip archive", "unpack it"),
    (b"\x1f\x8b", "a gzip archive", "unpack it"),
    (b"version https://git-lfs", "a Git LFS pointer, not the file", "fetch it with 'git lfs pull'"),
)

# The brands of files that begin with a box "ftyp".
_BRANDS: tuple[tuple[tuple[bytes, ...], str, str], ...] = (
    ((b"avif", b"avis"), "an AVIF image", _SAVE),
    ((b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1"), "a HEIC image", _SAVE),
    ((b"crx ",), "a RAW photograph", _DEVELOP),
)

_RIFF = {b"AVI ": ("a video (AVI)", _FRAME), b"WAVE": ("a sound file", "remove it")}


def name_kind(data: bytes) -> tuple[str, str]:
    """Say what a file is, for a message.

    Parameters
    ----------
    data : bytes
        The file, of none of the kinds that are read.

    Returns
    -------
    found, advice : str

    Examples
    --------
    >>> name_kind(b"GIF89a")
    ('a GIF image', 'save it as PNG')
    >>> name_kind(b"")
    ('an empty file', 'copy the image again or remove it')
    """
    for prefix, found, advice in _PREFIXES:
        if data.startswith(prefix):
            return found, advice
    if data[4:8] == b"ftyp":
        return _name_brand(data)
    if data[:4] == b"RIFF" and data[8:12] in _RIFF:
        return _RIFF[data[8:12]]
    if data[:4] in (b"II*\0", b"MM\0*"):
        return "a RAW photograph", _DEVELOP
    if data[128:132] == b"DICM":
        return "a DICOM file", _EXPORT
    return _name_content(data)


def _name_brand(data: bytes) -> tuple[str, str]:
    """Tell images from videos by the brands of the first box: the main one, then others."""
    stop = min(int.from_bytes(data[:4], "big"), 256)
    brands = [data[8:12], *(data[at : at + 4] for at in range(16, stop, 4))]
    for brand in brands:
        for names, found, advice in _BRANDS:
            if brand in names:
                return found, advice
    return "a video (MP4 or QuickTime)", _FRAME


def _name_content(data: bytes) -> tuple[str, str]:
    """Tell files without a signature by what is in them."""
    if not data:
        return "an empty file", _REPLACE
    start = data[:512]
    if not any(start):
        return "a file of zeros", _REPLACE
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "a web page", "download the image again, as what came was a page"
    if text.startswith(b"<svg") or (text.startswith(b"<?xml") and b"<svg" in text):
        return "an SVG drawing", "save it as PNG"
    if text.startswith((b"{", b"[")):
        return "a JSON file", "remove it from the images"
    if _is_text(start):
        return "a text file", "remove it from the images"
    return f"a file that begins with {start[:8]!r}", "save it as one of these or remove it"


def _is_text(start: bytes) -> bool:
    return all(byte >= 32 or byte in b"\t\n\r\f" for byte in start) and start.isascii()
