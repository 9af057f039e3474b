"""Fuzz windows of JPEG files decoded by the kernels of a GPU, run on the host.

::

    python tests/fuzz_windows.py                         # 10,000 windows over 30 kinds of files
    python tests/fuzz_windows.py --trials 25000 --seed 1
    NUMBA_BOUNDSCHECK=1 python tests/fuzz_windows.py     # a step outside an array is a finding
    python tests/fuzz_windows.py --replay fuzz-findings/*

A trial is a batch of WINDOWS windows of several files, each scaled, mirrored, turned and padded at
random; sound ones are compared with imagecodecs' pixels, damaged ones must end with a status or
with pixels. Trials are run by fuzzing.py.
"""

from __future__ import annotations

import random
import sys
from functools import lru_cache, partial

import numpy as np

import fuzz_jpeg
from coded_windows import (
    CodedFiles,
    Run,
    code_files,
    code_windows,
    expected_window,
    make_windows,
    put_together,
    ranges_of,
)
from fuzzing import ANYTHING, Trial, main
from jpegs import CASES, decoded, encoded, photograph
from mtfast.arguments import Window
from mtfast.jpeg.device import read_coded_window
from mtfast.jpeg.index import CropIndex
from mtfast.kernels.device import jpeg_blocks
from mtfast.kernels.device.twice import DeviceKernel
from mtfast.loaders.views import View

WINDOWS = 4
# Files of each kind, which differ in size, pixels and quality.
N_FILES = 6
MOST = 90
# Those that the kernels decode.
ENTERED = [case for case in CASES if case[0] != "411"]
DAMAGED_SHARE = 0.2
# Of a code of 16 bits.
LONGEST_ENTRY = 16 << 8 | 0xFF


def with_deep_factors(data: bytes) -> bytes:
    """A file whose first quantisation table has numbers of 16 bits, above 255 some of them."""
    start = data.index(b"\xff\xdb")
    end = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    factors = data[start + 5 : start + 69]
    rest = data[start + 69 : end]
    wide = b"".join((3 * factor).to_bytes(2, "big") for factor in factors)
    content = bytes([0x10 | data[start + 4]]) + wide + rest
    return data[:start] + b"\xff\xdb" + (len(content) + 2).to_bytes(2, "big") + content + data[end:]


def _kinds() -> list[tuple[str, dict, bool]]:
    """The 30 kinds of files: subsampling, Pillow's options, and whether factors have 16 bits."""
    deep = [(kind, {}, True) for kind in ("444", "420", "grey", "rgb")]
    return [(kind, options, False) for kind, options in ENTERED] + deep


FILE_KINDS = _kinds()


@lru_cache(maxsize=N_FILES * len(FILE_KINDS))
def a_file(number: int) -> bytes:
    """The file of a number, of kind ``number % 30``; the sixth of them is tiny."""
    rng = random.Random(number)
    kind, options, is_deep = FILE_KINDS[number % len(FILE_KINDS)]
    most = 12 if number // len(FILE_KINDS) % N_FILES == N_FILES - 1 else MOST
    # Narrower images with subsampled chroma are decoded on the CPU.
    pixels = photograph(rng, rng.randint(1, most), rng.randint(5, most))
    data = encoded(pixels, kind, rng.choice((25, 75, 95, 100)), **options)
    return with_deep_factors(data) if is_deep else data


@lru_cache(maxsize=N_FILES * len(FILE_KINDS))
def pixels_of(number: int) -> np.ndarray:
    return decoded(a_file(number))


def a_view(rng: random.Random, frame: tuple[int, int], shape: tuple[int, int]) -> View:
    """A view whose samples have a shape, which may lie outside of the image in part or wholly."""
    turns = rng.randrange(4)
    height, width = shape[::-1] if turns % 2 else shape
    h, w = height, width
    if rng.random() < 0.4:
        h, w = (max(1, round(side * rng.uniform(0.3, 2.5))) for side in (h, w))
    h = height if rng.random() < 0.1 else h
    beyond = 0 if rng.random() < 0.8 else rng.randint(1, 2 * MOST)
    y, x = (
        rng.randint(min(0, side - n) - beyond, max(0, side - n) + beyond)
        for side, n in zip(frame, (h, w), strict=True)
    )
    return View(y, x, h, w, height, width, rng.random() < 0.5, turns)


def windows_agree(
    numbers: list[int], views: list[View], step: int, memory: str, run: Run = DeviceKernel.run
) -> bool:
    """Whether all windows of sound files have the pixels of imagecodecs.

    ``memory`` is that of the loader: from "disk" only what views show is read.
    """
    data = [a_file(k) for k in numbers]
    read = code_windows(data, views, step) if memory == "disk" else code_files(data, step)
    made = make_windows(read, range(len(numbers)), views, memory == "host", run)
    expected = [expected_window(pixels_of(k), view) for k, view in zip(numbers, views, strict=True)]
    return not made.status.any() and np.array_equal(made.pixels, expected)


def damaged(rng: random.Random, files: CodedFiles, is_copied: bool) -> CodedFiles:
    """Files whose words, entries, DCs or tables are not those that were read.

    What :mod:`mtfast.jpeg.device` makes, and not of what a file says, stays: the places of
    coefficients, marks that lead to long codes, and that no code has more than 16 bits. Entries
    stay where rows are copied.
    """
    changed = {
        name: getattr(files, name).copy()
        for name in ("words", "bits", "dcs", "tables", "long_codes")
    }
    for name in rng.sample(sorted(changed), rng.randint(1, 3)):
        array = changed[name]
        if not array.size or (name == "bits" and is_copied):
            continue
        for _ in range(rng.randint(1, 20)):
            at = rng.randrange(array.size)
            value = rng.choice(
                (0, rng.getrandbits(32), 2**32 - 1, int(array[at]) ^ 1 << rng.randrange(16))
            )
            place = at % jpeg_blocks.TABLE_SET if name == "tables" else 0
            if place >= jpeg_blocks.NATURAL:
                continue
            if name in ("tables", "long_codes") and place < jpeg_blocks.QUANTA:
                if array[at] & jpeg_blocks.LONG:
                    continue
                value = min(value & (jpeg_blocks.LONG - 1), LONGEST_ENTRY)
            array[at] = np.array(value, np.int64).astype(array.dtype)
    return files._replace(**changed)


def damaged_windows(
    files: CodedFiles, views: list[View], is_copied: bool, run: Run = DeviceKernel.run
) -> np.ndarray:
    """Decode windows of damaged files; returns the statuses."""
    return make_windows(files, range(len(views)), views, is_copied, run).status


def windows_of_indexes(data: bytes, index: CropIndex, view: View, run: Run) -> None:
    """Decode a window with an index that may not belong to the file."""
    window = Window(view.y, view.x, view.h, view.w)
    image = read_coded_window(partial(ranges_of, data), index, window)
    make_windows(put_together([image]), [0], [view], run=run)


def of_indexes(rng: random.Random, run: Run) -> Trial:
    trial = fuzz_jpeg.of_indexes(rng)
    data, index, window = trial.arguments
    view = View(*window, window.height, window.width)
    return Trial(windows_of_indexes, (data, index, view, run), {}, ANYTHING)


def make_trial(seed: int, number: int, run: Run = DeviceKernel.run) -> Trial:
    rng = random.Random(f"{seed}/{number}")
    if rng.random() < 0.1:
        return of_indexes(rng, run)
    numbers = [rng.randrange(N_FILES * len(FILE_KINDS)) for _ in range(WINDOWS)]
    shape = rng.randint(1, 80), rng.randint(1, 80)
    frames = [pixels_of(k).shape[:2] for k in numbers]
    views = [a_view(rng, frame, shape) for frame in frames]
    step, memory = rng.choice((1, 2, 3, 8, 200)), rng.choice(("device", "host", "disk"))
    if rng.random() < DAMAGED_SHARE:
        is_copied = memory == "host"
        files = damaged(rng, code_files([a_file(k) for k in numbers], step), is_copied)
        return Trial(damaged_windows, (files, views, is_copied, run), {}, ANYTHING)
    if not all(map(meets, views, frames)):
        memory = memory.replace("disk", "device")
    return Trial(windows_agree, (numbers, views, step, memory, run), {}, True)


def meets(view: View, frame: tuple[int, int]) -> bool:
    """Whether a view shows something of its image."""
    height, width = frame
    return -view.h < view.y < height and -view.w < view.x < width


if __name__ in ("__main__", "__mp_main__"):
    # Kernels are compiled before trials, whose time is limited, in the workers too.
    windows_agree([0], [View(0, 0, 9, 9, 8, 8)], 1, "host")
    windows_agree([0], [View(0, 0, 9, 9, 9, 9)], 1, "disk")

if __name__ == "__main__":
    if not {"--trials", "--seconds", "--replay"} & {word.split("=")[0] for word in sys.argv}:
        # 10,000 windows of sound files, and a third as many of damaged ones.
        sys.argv += [
            "--trials",
            str(round(10_000 / WINDOWS / 0.9 / (1 - DAMAGED_SHARE))),
            "--seconds",
            "inf",
        ]
    main(make_trial, __doc__)
