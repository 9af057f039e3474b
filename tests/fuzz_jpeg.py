"""Fuzz windows of JPEG files: of any bytes, the pixels of the whole file or a refusal.

::

    python tests/fuzz_jpeg.py --seconds 3600 --seed 0
    NUMBA_BOUNDSCHECK=1 python tests/fuzz_jpeg.py        # a step outside an array is a finding
    python tests/fuzz_jpeg.py --replay fuzz-findings/*   # run the findings again

Files are made in jpegs.py, damaged here, and trials run by fuzzing.py.
"""

from __future__ import annotations

import random
from functools import lru_cache

import numpy as np

from fuzzing import ANYTHING, Trial, main
from jpegs import KINDS, OPTIONS, a_jpeg, decoded
from mtfast.arguments import Window
from mtfast.errors import MtfastError
from mtfast.jpeg.crop import cut_window
from mtfast.jpeg.index import CropIndex, build_index
from mtfast.jpeg.layout import CannotCutError, read_layout
from mtfast.kernels.files import jpeg_crop, jpeg_index, jpeg_scan  # noqa: F401 - compiled before trials

N_FILES = 200
LARGEST = 1 << 16


@lru_cache(maxsize=N_FILES)
def a_file(number: int) -> bytes:
    rng = random.Random(number)
    kind = rng.choice(KINDS)
    options = {} if kind in ("440", "411") else rng.choice(OPTIONS)
    return a_jpeg(rng, kind, options, most=70)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Change, drop, repeat or insert bytes, a few times; in the header or anywhere."""
    broken = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        stop = read_layout(data).scan if rng.random() < 0.2 else len(broken)
        at, n = rng.randrange(2, max(3, min(stop, len(broken)))), rng.randint(1, 8)
        kind = rng.randrange(12)
        if kind == 0:
            del broken[at : at + n]
        elif kind == 1:
            broken[at:at] = broken[at : at + 8 * n]
        elif kind == 2:
            broken[at:at] = bytes([0xFF, rng.choice((0, 0xC4, 0xD0, 0xD3, 0xD9, 0xDA, 0xDD, 0xFF))])
        elif kind == 3:
            del broken[at:]
        elif kind == 4:
            broken[at : at + n] = rng.randbytes(n)
        else:
            broken[at : at + 1] = bytes([rng.choice((0, 1, 0x11, 0x7F, 0xFF, rng.randrange(256)))])
    return bytes(broken)


def a_window(rng: random.Random, height: int, width: int) -> Window:
    h, w = rng.randint(1, height), rng.randint(1, width)
    return Window(rng.randint(0, height - h), rng.randint(0, width - w), h, w)


def cut(data: bytes, index: CropIndex, window: Window) -> np.ndarray:
    small = cut_window(lambda ranges: b"".join(data[a:b] for a, b in ranges), index, window)
    try:
        pixels = decoded(small.data)
    except (ValueError, RuntimeError) as error:
        raise MtfastError(str(error)) from error
    return pixels[small.y : small.y + window.height, small.x : small.x + window.width]


def windows_agree(data: bytes, step: int, seed: int, sound: bool) -> bool:
    """Whether windows are those of the whole file; a damaged file may be refused instead."""
    rng = random.Random(seed)
    try:
        layout = read_layout(data)
        if not sound and layout.height * layout.width > LARGEST:
            return True
        index = build_index(data, step)
        whole = decoded(data)
    except (MtfastError, RuntimeError):
        return not sound
    for _ in range(4):
        window = a_window(rng, layout.height, layout.width)
        y, x, h, w = window
        try:
            pixels = cut(data, index, window)
        except CannotCutError:
            if sound:
                return False
        else:
            if not np.array_equal(pixels, whole[y : y + h, x : x + w]):
                return False
    return True


def cut_with(data: bytes, index: CropIndex, window: Window) -> None:
    """Cut with an index that may not belong to the file."""
    cut(data, index, window)


def of_files(rng: random.Random) -> Trial:
    data, sound = a_file(rng.randrange(N_FILES)), rng.random() < 0.1
    data = data if sound else damaged(rng, data)
    step, seed = rng.choice((1, 2, 3, 4, 16)), rng.getrandbits(32)
    return Trial(windows_agree, (data, step, seed, sound), {}, True)


def of_indexes(rng: random.Random) -> Trial:
    data, step = a_file(rng.randrange(N_FILES)), rng.choice((1, 2, 4))
    layout, index = read_layout(data), build_index(data, step)
    positions, dcs = index.positions.copy(), index.dcs.copy()
    most = 8 * len(data)
    for _ in range(rng.randint(0, 5)):
        k = rng.randrange(positions.size)
        kind = rng.randrange(4)
        if kind == 0:
            positions[k:] += rng.randint(-20, 2000)
        elif kind == 1:
            positions[k] = rng.choice((0, most, 2**62, rng.randrange(most)))
        elif kind == 2:
            dcs[:, k] = rng.randint(-(2**15), 2**15 - 1)
        else:
            step = rng.choice((1, 2, 3, 5, 2**15))
    if rng.random() < 0.2:
        data = damaged(rng, data)
    if rng.random() < 0.5:
        # As a store holds them: differences, which are never negative.
        positions = np.cumsum(np.abs(np.diff(np.clip(positions, 0, 2**40), prepend=0)))
    window = a_window(rng, layout.height + (rng.random() < 0.05), layout.width)
    return Trial(cut_with, (data, CropIndex(step, positions, dcs), window), {}, ANYTHING)


def make_trial(seed: int, number: int) -> Trial:
    rng = random.Random(f"{seed}/{number}")
    return of_files(rng) if rng.random() < 0.7 else of_indexes(rng)


if __name__ == "__main__":
    main(make_trial, __doc__)
