"""JPEG files of all kinds, small, for tests."""

from __future__ import annotations

import io
import itertools
import random
from typing import Any

import imagecodecs
import numpy as np
from PIL import Image, ImageFile

# Files that hardly compress need more than Pillow allocates.
ImageFile.MAXBLOCK = 1 << 22

KINDS = ("444", "422", "420", "440", "411", "grey", "rgb")
OPTIONS: tuple[dict[str, Any], ...] = (
    {},
    {"optimize": True},
    {"restart_marker_blocks": 3},
    {"restart_marker_rows": 1},
    {"restart_marker_blocks": 1, "optimize": True},
)

CASES = [(k, o) for k, o in itertools.product(KINDS, OPTIONS) if k not in ("440", "411") or not o]


def photograph(rng: random.Random, height: int, width: int) -> np.ndarray:
    """Pixels with smooth shades, edges and noise, (height, width, 3) uint8."""
    draw = np.random.default_rng(rng.getrandbits(32))
    y, x = np.mgrid[:height, :width]
    shades = [np.sin(y / draw.uniform(3, 40) + x / draw.uniform(3, 40)) for _ in range(3)]
    pixels = 127 + 90 * np.stack(shades, -1) + draw.normal(0, rng.choice((0, 2, 30)), (*y.shape, 3))
    for _ in range(4):
        top, left = draw.integers(height), draw.integers(width)
        pixels[top : top + 20, left : left + 20] = draw.integers(0, 256, 3)
    return pixels.clip(0, 255).astype(np.uint8)


def encoded(pixels: np.ndarray, kind: str = "420", quality: int = 90, **options: Any) -> bytes:
    """A JPEG file of a subsampling, or of a kind: "grey", or "rgb", which is marked by APP14.

    Options are those of Pillow, which knows neither 440 nor 411.
    """
    if kind in ("440", "411"):
        return imagecodecs.jpeg8_encode(pixels, level=quality, subsampling=kind)
    image = Image.fromarray(pixels)
    if kind == "grey":
        image = image.convert("L")
    else:
        options |= (
            {"keep_rgb": True} if kind == "rgb" else {"subsampling": f"4:{kind[1]}:{kind[2]}"}
        )
    file = io.BytesIO()
    image.save(file, "jpeg", quality=quality, **options)
    return file.getvalue()


def a_jpeg(rng: random.Random, kind: str, options: dict[str, Any], most: int = 130) -> bytes:
    """A JPEG of random pixels, size and quality."""
    pixels = photograph(rng, rng.randint(1, most), rng.randint(1, most))
    return encoded(pixels, kind, rng.choice((25, 75, 95, 100)), **options)


def decoded(data: bytes | np.ndarray) -> np.ndarray:
    """All pixels, (height, width, 3) uint8."""
    return imagecodecs.jpeg8_decode(data, outcolorspace="RGB")


def patched(data: bytes, marker: int, at: int, new: bytes) -> bytes:
    """The file with other bytes in the content of its first segment of a marker."""
    at += data.index(bytes([0xFF, marker])) + 4
    return data[:at] + new + data[at + len(new) :]


def resized(data: bytes, height: int, width: int) -> bytes:
    """A baseline file whose header claims another size."""
    return patched(data, 0xC0, 1, height.to_bytes(2, "big") + width.to_bytes(2, "big"))


def with_scan(data: bytes, bits: str) -> bytes:
    """The header of a file of one scan, then other coded data and an end marker."""
    start = data.index(b"\xff\xda")
    start += 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    bits += "1" * (-len(bits) % 8)
    coded = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8))
    return data[:start] + coded.replace(b"\xff", b"\xff\0") + b"\xff\xd9"


def flat(height: int, width: int) -> bytes:
    """A grey file of one shade, in which each block takes two bits: 00."""
    return encoded(np.full((height, width, 3), 128, np.uint8), "grey", optimize=True)
