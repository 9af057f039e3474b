"""Fuzz image files: of any bytes, the pixels that the header says or a refusal.

::

    python tests/fuzz_images.py --seconds 3600 --seed 0
    python tests/fuzz_images.py --replay fuzz-findings/*   # run the findings again

Files are made in image_samples.py, damaged here, and trials run by fuzzing.py.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from fuzzing import ANYTHING, Trial, main
from image_samples import an_image, bmp, deep_pixels, exif, pages, png, rgba, saved, tiff
from mtfast.image_files import decode, read_header, turn

MOST_PIXELS = 1 << 24

PILLOW = {
    "jpeg": ("L", "RGB", "CMYK"),
    "png": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "webp": ("RGB", "RGBA"),
    "bmp": ("1", "L", "P", "RGB", "RGBA"),
    "tiff": ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK"),
}
OPTIONS = {
    "jpeg": ({}, {"progressive": True}, {"exif": exif(6)}),
    "png": ({}, {"exif": exif(5)}),
    "webp": ({}, {"lossless": True}, {"exif": exif(8)}),
    "bmp": ({},),
    "tiff": ({}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}),
}
LAYOUTS = ({}, {"rowsperstrip": 7}, {"tile": (16, 32)})
CODECS = (None, "zlib", "lzw", "zstd", "lzma", "packbits", "jpeg2000", "png")


def of_pillow(mode: str, kind: str, options: dict[str, object]) -> bytes:
    return saved(an_image(mode), kind, **options)


def deep_tiff(codec: str | None, layout: dict[str, object]) -> bytes:
    return tiff(deep_pixels(45, 70), compression=codec, **layout)


def by_hand(number: int) -> bytes:
    return (
        pages(3),
        png(deep_pixels(9, 8), 16, 0),
        png(deep_pixels(9, 8, 3), 16, 2),
        png(rgba(), 8, 6),
        bmp(b"\x05\x07\x06\x01\0\0" * 6 + b"\0\1", 11, 6, 8, 1, extra=bytes(1024)),
        tiff(rgba(), photometric="rgb", extrasamples=["assocalpha"]),
        tiff(deep_pixels(45, 70), imagej=True),
        tiff(deep_pixels(45, 70), bigtiff=True, byteorder=">", predictor=2, compression="zlib"),
    )[number]


MAKERS: list[tuple[Callable[..., bytes], tuple[object, ...]]] = [
    *(
        (of_pillow, (mode, kind, options))
        for kind in PILLOW
        for mode, options in itertools.product(PILLOW[kind], OPTIONS[kind])
    ),
    *((of_pillow, ("1", "tiff", {"compression": codec})) for codec in ("group3", "group4")),
    *((of_pillow, (mode, "tiff", {"compression": "jpeg"})) for mode in ("L", "RGB", "YCbCr")),
    *((deep_tiff, choice) for choice in itertools.product(CODECS, LAYOUTS)),
    *((by_hand, (number,)) for number in range(8)),
]


@lru_cache(maxsize=len(MAKERS))
def a_file(number: int) -> bytes:
    function, arguments = MAKERS[number]
    return function(*arguments)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Change, drop, repeat or cut off bytes, a few times; mostly where headers are."""
    broken = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        stop = rng.choice((40, 200, len(broken)))
        start = rng.choice((0, 0, max(0, len(broken) - 250)))
        at, n = start + rng.randrange(max(1, min(stop, len(broken) - start))), rng.randint(1, 4)
        kind = rng.randrange(8)
        if kind == 0:
            del broken[at : at + n]
        elif kind == 1:
            broken[at:at] = broken[at : at + 8 * n]
        elif kind == 2:
            del broken[at:]
        elif kind == 3:
            broken[at : at + n] = rng.randbytes(n)
        elif at < len(broken):
            broken[at] = rng.choice((0, 1, 0x7F, 0xFF, broken[at] ^ 1 << rng.randrange(8)))
    return bytes(broken)


def read(data: bytes, page: int | None) -> None:
    """Read all that there is of a file; an AssertionError is a finding."""
    header = read_header(data, page)
    # A few bytes of a dense kind may hold as much, but it takes long.
    if header.height * header.width > MOST_PIXELS:
        return
    pixels = decode(data, page=page)
    assert (pixels.shape, pixels.dtype) == (header.shape, header.dtype)
    assert pixels.dtype in (np.uint8, np.uint16)
    assert turn(pixels, header.orientation).size == pixels.size


def make_trial(seed: int, number: int) -> Trial:
    rng = random.Random(f"{seed}/{number}")
    data = a_file(rng.randrange(len(MAKERS)))
    if rng.random() > 0.05:
        data = damaged(rng, data)
    if rng.random() < 0.02:
        data = rng.randbytes(rng.randrange(40))
    return Trial(read, (data, rng.choice((None, None, 0, 1))), {}, ANYTHING)


if __name__ == "__main__":
    main(make_trial, __doc__)
