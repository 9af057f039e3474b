"""Files that are no image of a kind that is read are called by their names."""

from __future__ import annotations

import gzip
import io
import json
import zipfile

import numpy as np
import pytest
from PIL import Image

from image_samples import an_image, saved
from mtfast import MtfastError
from mtfast.image_files import decode, read_header


def numpy_file() -> bytes:
    file = io.BytesIO()
    np.save(file, np.zeros(3))
    return file.getvalue()


def zip_file() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a", "b")
    return file.getvalue()


def box(brand: bytes, *others: bytes) -> bytes:
    body = b"ftyp" + brand + bytes(4) + b"".join(others)
    return (len(body) + 4).to_bytes(4, "big") + body + bytes(40)


FILES = [
    (saved(an_image("P"), "gif"), "a GIF image", "save it as PNG"),
    (saved(an_image("RGB"), "jpeg2000"), "a JPEG 2000 image", "save it as PNG or TIFF"),
    (saved(an_image("RGB"), "jpeg2000", no_jp2=True), "a JPEG 2000 image", "save it as PNG"),
    (saved(an_image("RGB"), "avif"), "an AVIF image", "save it as PNG or TIFF"),
    (box(b"heic", b"mif1", b"heic"), "a HEIC image", "save it as PNG or TIFF"),
    (box(b"mif1", b"mif1", b"avif"), "a HEIC image", "save it as PNG or TIFF"),
    (box(b"XXXX", b"miaf", b"avif"), "an AVIF image", "save it as PNG or TIFF"),
    (box(b"crx ", b"isom"), "a RAW photograph", "develop it to a 16-bit TIFF"),
    (box(b"isom", b"mp42"), "a video (MP4 or QuickTime)", "save each frame as PNG or TIFF"),
    (box(b"qt  "), "a video (MP4 or QuickTime)", "save each frame"),
    (b"RIFF\x99\0\0\0AVI LIST", "a video (AVI)", "save each frame"),
    (b"RIFF\x99\0\0\0WAVEfmt ", "a sound file", "remove it"),
    (b"\x1a\x45\xdf\xa3\x01", "a video (Matroska or WebM)", "save each frame"),
    (b"\0\0\1\xba\x44", "a video (MPEG)", "save each frame"),
    (b"II*\0\x10\0\0\0CR\2\0" + bytes(9), "a RAW photograph", "develop it"),
    (b"FUJIFILMCCD-RAW 0201", "a RAW photograph", "develop it"),
    (b"IIRO\x08\0\0\0", "a RAW photograph", "develop it"),
    (saved(an_image("RGB"), "ppm"), "a Netpbm image", "save it as PNG or TIFF"),
    (saved(an_image("L"), "ppm"), "a Netpbm image", "save it as PNG or TIFF"),
    (saved(Image.new("RGB", (16, 16)), "ico"), "an icon", "save it as PNG"),
    (saved(an_image("RGB"), "pdf"), "a PDF document", "export its images"),
    (numpy_file(), "a NumPy array", "save it as PNG or TIFF"),
    (zip_file(), "a zip archive", "unpack it"),
    (gzip.compress(b"a"), "a gzip archive", "unpack it"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "export its images as TIFF"),
    (b"ZISRAWFILE" + bytes(9), "a Zeiss CZI file", "export its images as TIFF"),
    (b"SIMPLE  =    T", "a FITS image", "save it as a 16-bit TIFF"),
    (bytes(128) + b"DICM", "a DICOM file", "export its images"),
    (b"\xff\x0a\x01\x02", "a JPEG XL image", "save it as PNG or TIFF"),
    (b"8BPS\0\1", "a Photoshop document", "save it as PNG or TIFF"),
    (b"\xff\xd8", "a damaged JPEG", "copy the image again or remove it"),
    (b"\x89PNG\n\x1a\n", "a PNG image that was changed", "copy the image again"),
    (b"", "an empty file", "copy the image again or remove it"),
    (bytes(1000), "a file of zeros", "copy the image again or remove it"),
    (b"\n<!DOCTYPE html><p>Not found", "a web page", "download the image again"),
    (b"<html>", "a web page", "download the image again"),
    (b'<?xml version="1.0"?><svg/>', "an SVG drawing", "save it as PNG"),
    (b"<svg/>", "an SVG drawing", "save it as PNG"),
    (json.dumps({"images": []}).encode(), "a JSON file", "remove it from the images"),
    (b"version https://git-lfs.github.com/spec/v1\noid", "a Git LFS pointer", "git lfs pull"),
    (b"name,width\na.jpg,60\n", "a text file", "remove it from the images"),
    (b"\x01\x02\x03\x04\x05", "a file that begins with b'\\x01\\x02\\x03\\x04", "save it as one"),
]


@pytest.mark.parametrize(("data", "found", "advice"), FILES, ids=[f[1] for f in FILES])
def test_names(data, found, advice):
    for function in (read_header, decode):
        with pytest.raises(MtfastError) as caught:
            function(data)
        message = str(caught.value)
        assert message.startswith(found)
        assert "; expected a JPEG, PNG, TIFF, WebP or BMP image; " in message
        assert message.partition(" BMP image; ")[2].startswith(advice) or "git lfs" in message
        assert "\n" not in message
