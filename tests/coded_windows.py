"""Windows of JPEG files decoded by the kernels of a GPU, which run on the host."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from mtfast.arguments import Window
from mtfast.jpeg.device import CodedImage, read_coded, read_coded_window
from mtfast.jpeg.index import build_index
from mtfast.jpeg.layout import read_layout
from mtfast.kernels.device import jpeg_blocks, jpeg_pixels, plan, resize_windows
from mtfast.kernels.device import window_table as fields
from mtfast.kernels.device.twice import DeviceKernel
from mtfast.loaders.views import View

Run = Callable[..., None]

# Memory after an array of results, which must stay as it is.
MARGIN = 64


class CodedFiles(NamedTuple):
    """Files side by side, as kernels read them."""

    images: np.ndarray
    row_words: np.ndarray
    words: np.ndarray
    bits: np.ndarray
    dcs: np.ndarray
    tables: np.ndarray
    long_codes: np.ndarray


class Made(NamedTuple):
    """What kernels make of the windows of a batch."""

    pixels: np.ndarray
    status: np.ndarray
    windows: np.ndarray


def code_files(files: Sequence[bytes], step: int) -> CodedFiles:
    return put_together([read_coded(data, step) for data in files])


def code_windows(files: Sequence[bytes], views: Sequence[View], step: int) -> CodedFiles:
    """Files of which only what a view shows is read, by a crop index of a step."""
    coded = []
    for data, view in zip(files, views, strict=True):
        layout = read_layout(data)
        y, x = max(view.y, 0), max(view.x, 0)
        h, w = min(view.y + view.h, layout.height) - y, min(view.x + view.w, layout.width) - x
        window = Window(y, x, h, w)
        coded.append(read_coded_window(partial(ranges_of, data), build_index(data, step), window))
    return put_together(coded)


def ranges_of(data: bytes, ranges: Sequence[tuple[int, int]]) -> bytes:
    return b"".join(data[start:stop] for start, stop in ranges)


def put_together(coded: Sequence[CodedImage]) -> CodedFiles:
    rows = np.zeros((len(coded), fields.FIELDS), np.int64)
    n_words = n_entries = n_long = n_rows = 0
    for number, (row, image) in enumerate(zip(rows, coded, strict=True)):
        row[fields.WORDS], row[fields.WORDS_END] = n_words, n_words + image.words.size
        row[fields.ENTRIES], row[fields.PER_ROW] = n_entries, image.per_row
        row[fields.FIRST_ROW], row[fields.FIRST_COLUMN] = image.first_row, image.first_column
        row[fields.STEP] = image.step
        row[fields.CHECKED], row[fields.ROWS_AT] = 1, n_rows
        row[fields.N_COLUMNS], row[fields.RESTART] = image.n_columns, image.restart
        row[[fields.KIND, fields.DOWN, fields.ACROSS]] = image.kind, image.down, image.across
        row[fields.TABLES], row[fields.LONG_CODES] = number, n_long
        row[fields.FRAME_HEIGHT], row[fields.FRAME_WIDTH] = image.height, image.width
        n_words += image.words.size
        n_entries += image.bits.size
        n_long += image.tables.long_codes.size
        n_rows += image.n_rows + 1
    return CodedFiles(
        rows.reshape(-1),
        np.concatenate([image.bits[:: image.per_row].astype(np.int64) >> 5 for image in coded]),
        np.concatenate([image.words for image in coded]),
        np.concatenate([image.bits for image in coded]),
        np.concatenate([image.dcs.reshape(-1) for image in coded]),
        np.concatenate([image.tables.lookup for image in coded]),
        np.concatenate([image.tables.long_codes for image in coded]),
    )


def make_windows(
    files: CodedFiles,
    numbers: Sequence[int],
    views: Sequence[View],
    is_copied: bool = False,
    run: Run = DeviceKernel.run,
) -> Made:
    """Decode, resize and turn the windows of a batch.

    ``numbers`` are those of the files; the views are of one size after they are turned. ``run``
    is called with a kernel, a grid and the arguments.
    """
    n = len(views)
    windows, totals = np.empty(n * fields.FIELDS, np.int64), np.empty(plan.TOTALS, np.int64)
    lists = np.empty(3 * n, np.int32)
    of_views = np.array(views, np.int64).reshape(-1)
    plan.place_windows(
        files.images, files.row_words, np.array(numbers, np.int64), of_views, is_copied, windows,
        lists, totals,
    )  # fmt: skip
    words = files.words
    if is_copied:
        words = np.full(totals[plan.COPIED], 0xDEADBEEF, np.uint32)
        grid = int(totals[plan.ROWS]), n
        run(jpeg_blocks.copy_rows, grid, windows, files.bits, files.words, words)
    planes = np.full(totals[plan.PLANE_BYTES] + MARGIN, 99, np.uint8)
    status = np.zeros(n, np.int32)
    run(
        jpeg_blocks.decode_stretches,
        (-(-int(totals[plan.STRETCHES]) // jpeg_blocks.THREADS), n),
        windows, words, files.bits, files.dcs, files.tables, files.long_codes,
        planes.view(np.uint32), status,
    )  # fmt: skip
    assert np.all(planes[totals[plan.PLANE_BYTES] :] == 99)
    height, width = views[0].shape
    out = np.full(n * height * width * 3 + MARGIN, 99, np.uint8)
    plain, resized = lists[: totals[plan.PLAIN]], lists[n:][: totals[plan.RESIZED]]
    tiles = int(totals[plan.WINDOW_TILES])
    _make_pixels(run, tiles, windows, plain, planes, 1, out)
    if resized.size:
        pixels = np.full(3 * totals[plan.RESIZED_PIXELS] + MARGIN, 99, np.uint8)
        _make_pixels(run, tiles, windows, resized, planes, 0, pixels)
        _resize(run, windows, resized, pixels, (height, width), out)
    assert np.all(out[-MARGIN:] == 99)
    return Made(out[:-MARGIN].reshape(n, height, width, 3), status, windows)


def _make_pixels(
    run: Run,
    tiles: int,
    windows: np.ndarray,
    chosen: np.ndarray,
    planes: np.ndarray,
    oriented: int,
    out: np.ndarray,
) -> None:
    grid = tiles, len(chosen)
    words = out[: out.size // 4 * 4].view(np.uint32)
    run(jpeg_pixels.make_pixels, grid, windows, chosen, planes, oriented, out, words)


def _resize(
    run: Run,
    windows: np.ndarray,
    chosen: np.ndarray,
    pixels: np.ndarray,
    size: tuple[int, int],
    out: np.ndarray,
) -> None:
    passes = np.empty(len(chosen) * resize_windows.PASS_FIELDS, np.int64)
    totals = np.empty(3, np.int64)
    most = plan.place_passes(windows, chosen, passes, totals)
    starts, weights = np.empty(totals[0], np.int64), np.empty(totals[1], np.int32)
    between = np.empty(totals[2], np.uint8)
    shared = windows, chosen, passes, starts, weights
    n_blocks = -(-sum(size) // resize_windows.THREADS)
    run(resize_windows.weigh_windows, (n_blocks, len(chosen)), *shared)
    n_blocks = -(-most // resize_windows.THREADS)
    run(resize_windows.resize_first, (n_blocks, len(chosen)), *shared, pixels, between)
    n_blocks = -(-size[0] // jpeg_pixels.TILE) * -(-size[1] // jpeg_pixels.TILE)
    words = out[: out.size // 4 * 4].view(np.uint32)
    run(resize_windows.resize_second, (n_blocks, len(chosen)), *shared, between, out, words)


def expected_window(whole: np.ndarray, view: View) -> np.ndarray:
    """The pixels of a view of an image, cut with numpy, black outside, resized on the CPU."""
    window = np.zeros((view.h, view.w, 3), np.uint8)
    top, left = max(view.y, 0), max(view.x, 0)
    inside = whole[top : max(view.y + view.h, 0), left : max(view.x + view.w, 0)]
    window[top - view.y :, left - view.x :][: inside.shape[0], : inside.shape[1]] = inside
    return view.apply_to_image(window)
