"""Image files of all kinds, small, and what independent libraries make of them."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zlib
from typing import Any

import numpy as np
import tifffile
from PIL import Image

from jpegs import photograph

HEIGHT, WIDTH = 45, 70


def pixels(seed: int = 0, height: int = HEIGHT, width: int = WIDTH) -> np.ndarray:
    return photograph(random.Random(seed), height, width)


def deep_pixels(*shape: int, most: int = 65535) -> np.ndarray:
    return np.random.default_rng(3).integers(0, most + 1, shape).astype(np.uint16)


def rgba(seed: int = 0) -> np.ndarray:
    alpha = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 1)).astype(np.uint8)
    return np.concatenate([pixels(seed), np.where(alpha < 60, 0, alpha)], axis=2)


def an_image(mode: str, seed: int = 0) -> Image.Image:
    """An image of a mode of Pillow, with transparency where the mode has it."""
    if mode in ("LA", "RGBA", "PA"):
        image = Image.fromarray(rgba(seed))
        return image if mode == "RGBA" else image.convert(mode)
    if mode == "CMYK":
        inks = np.concatenate([pixels(seed), pixels(seed + 1)[..., :1]], axis=2)
        return Image.fromarray(inks, "CMYK")
    return Image.fromarray(pixels(seed)).convert(mode)


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: Any) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


def shown(data: bytes) -> np.ndarray:
    """What Pillow shows of a file, (H, W, 3) uint8."""
    with warnings.catch_warnings(), Image.open(io.BytesIO(data)) as image:
        # That transparency is left out, which is meant.
        warnings.filterwarnings("ignore", "Palette images with Transparency", UserWarning)
        return np.asarray(image.convert("RGB"))


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    check = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)


def png(
    samples: np.ndarray, depth: int, colour: int, before: bytes = b"", after: bytes = b""
) -> bytes:
    """A PNG file, made by hand: samples (H, W[, channels]), unpacked; chunks before its pixels."""
    height, width = samples.shape[:2]
    rows = samples.reshape(height, -1)
    if depth == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        bits = np.unpackbits(rows.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(height, -1), axis=1)
    lines = b"".join(b"\0" + row.tobytes() for row in packed)
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + before
        + chunk(b"IDAT", zlib.compress(lines))
        + after
        + chunk(b"IEND", b"")
    )


def tiff(samples: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, samples, **options)
    return file.getvalue()


def pages(n: int, **options: Any) -> bytes:
    """A TIFF of several pages, each of its number."""
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number in range(n):
            writer.write(np.full((9, 8), number, np.uint8), **options)
    return file.getvalue()


def bmp(
    rows: bytes, width: int, height: int, bits: int, compression: int = 0, extra: bytes = b""
) -> bytes:
    """A BMP file, made by hand; `extra` is what stands between header and pixels."""
    start = 54 + len(extra)
    return (
        b"BM"
        + struct.pack("<IHHI", start + len(rows), 0, 0, start)
        + struct.pack(
            "<IiiHHIIiiII", 40, width, height, 1, bits, compression, len(rows), 0, 0, 0, 0
        )
        + extra
        + rows
    )
