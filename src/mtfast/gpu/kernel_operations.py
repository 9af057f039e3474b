"""Operations on masks of a CUDA device, by kernels of :mod:`mtfast.kernels.device`.

The functions are those of :mod:`mtfast.gpu.torch_operations`, which states what they do.
"""

from __future__ import annotations

import math

import torch

from mtfast.gpu.launching import launcher_of
from mtfast.gpu.places import Lists, Places, running_sums
from mtfast.kernels.device import change_words, encode, toggle_lists
from mtfast.kernels.device.change_words import ROWS, THREADS

__all__ = [
    "common_areas",
    "facts_of_lists",
    "frames_of_lists",
    "most_frames",
    "places_of_labels",
    "places_of_masks",
    "text_of_places",
]

# Words of a batch: threads are numbered with 31 bits.
_MOST_WORDS = 2**30

# Names of kernels' types for integers of a number of bytes.
_KINDS = {1: "u8", 2: "i16", 4: "i32", 8: "i64"}
_FLOATS = (torch.float16, torch.bfloat16, torch.float32)
_INTEGERS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def most_frames(height: int, width: int) -> int:
    """Return how many frames may be encoded at once."""
    return max(_MOST_WORDS // (-(-height // ROWS) * width), 1)


def places_of_masks(masks: torch.Tensor, threshold: float | None) -> Places:
    """Find where masks change down their columns."""
    low, high = 0, 255
    if threshold is not None and masks.dtype in _FLOATS:
        low, high = _order_numbers(threshold, masks.dtype)
        masks = masks.view(_INTEGERS[masks.itemsize])
    elif threshold is not None:
        masks = (masks > threshold).view(torch.uint8)
    else:
        masks = (masks if masks.itemsize == 1 else masks != 0).view(torch.uint8)
    n, height, width = masks.shape
    words = _new_words(masks)
    flat = masks.reshape(-1)
    launch = launcher_of(masks.device).launch
    if masks.dtype == torch.uint8 and width % 4 == 0 and masks.data_ptr() % 4 == 0:
        kernel = change_words.changes_of_four_bytes
        launch(kernel, _grid(words.numel() // 4), flat, height, width, words.numel(), words)
    else:
        kernel = change_words.CHANGES_OF_MASKS[_KINDS[masks.itemsize]]
        launch(kernel, _grid(words.numel()), flat, height, width, words.numel(), low, high, words)
    return _places_of_words(words, n, height, width)


def places_of_labels(labels: torch.Tensor) -> Places:
    """Find where labels change down the columns of their maps."""
    n, height, width = labels.shape
    words = _new_words(labels)
    kind = _KINDS[labels.itemsize]
    flat = labels.reshape(-1).view(_INTEGERS[labels.itemsize])
    launcher_of(labels.device).launch(
        change_words.CHANGES_OF_LABELS[kind],
        _grid(words.numel()),
        flat,
        height,
        width,
        words.numel(),
        words,
    )
    return _places_of_words(words, n, height, width)


def text_of_places(places: Places, n_pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Write masks as COCO text."""
    ends, offsets = places
    n, n_masks = ends.numel(), offsets.numel() - 1
    launch = launcher_of(ends.device).launch
    n_segments = -(-n // encode.SEGMENT)
    lengths = torch.empty(n_segments, dtype=torch.int32, device=ends.device)
    grid = _grid(n_segments)
    launch(encode.text_lengths, grid, ends, n, offsets, n_masks, lengths)
    # A number has a sign, and five bits a character.
    most = n * (n_pixels.bit_length() // 5 + 1)
    text = torch.empty(most, dtype=torch.uint8, device=ends.device)
    text_offsets = torch.empty_like(offsets)
    starts = running_sums(lengths)
    launch(encode.write_text, grid, ends, n, offsets, n_masks, starts, text, text_offsets)
    return text, text_offsets


def frames_of_lists(lists: Lists, height: int, width: int) -> torch.Tensor:
    """Paint masks."""
    frames = torch.empty((lists.n, height, width), dtype=torch.uint8, device=lists.toggles.device)
    step = most_frames(height, width)
    for first in range(0, lists.n, step):
        _paint(lists.offsets[first:], lists.toggles, frames[first : first + step])
    return frames


def _paint(offsets: torch.Tensor, toggles: torch.Tensor, frames: torch.Tensor) -> None:
    n, height, width = frames.shape
    words = _new_words(frames)
    launch = launcher_of(frames.device).launch
    launch(
        toggle_lists.words_of_lists,
        _grid(n * width),
        toggles,
        offsets,
        height,
        width,
        n * width,
        words,
    )
    flat = frames.reshape(-1)
    kernel, pixels = toggle_lists.bytes_of_words, 1
    if width % 4 == 0 and frames.data_ptr() % 4 == 0:
        kernel, pixels = toggle_lists.four_bytes_of_words, 4
    launch(kernel, _grid(words.numel() // pixels), words, height, width, words.numel(), flat)


def facts_of_lists(lists: Lists) -> torch.Tensor:
    """Measure the area of masks, and the box around each."""
    shape = (lists.n, toggle_lists.N_FACTS)
    facts = torch.empty(shape, dtype=torch.int32, device=lists.toggles.device)
    launcher_of(facts.device).launch(
        toggle_lists.facts_of_lists,
        (lists.n, 1),
        lists.toggles,
        lists.offsets,
        lists.heights,
        facts.reshape(-1),
    )
    return facts.to(torch.int64)


def common_areas(first: Lists, second: Lists, n_pixels: int) -> torch.Tensor:
    """Count the pixels that masks share."""
    areas = torch.empty((first.n, second.n), dtype=torch.int32, device=first.toggles.device)
    launcher_of(areas.device).launch(
        toggle_lists.common_areas,
        _grid(areas.numel()),
        first.toggles,
        first.offsets,
        second.toggles,
        second.offsets,
        second.n,
        areas.numel(),
        areas.reshape(-1),
    )
    return areas.to(torch.int64)


def _places_of_words(words: torch.Tensor, n: int, height: int, width: int) -> Places:
    n_columns = n * width
    launch = launcher_of(words.device).launch
    lengths = torch.empty(n_columns, dtype=torch.int32, device=words.device)
    launch(encode.column_lengths, _grid(n_columns), words, height, width, n_columns, lengths)
    starts = running_sums(lengths)
    # Here the host waits for the device: how much memory the places take is known only there.
    places = torch.empty(int(starts[-1]), dtype=torch.int32, device=words.device)
    launch(
        encode.places_of_words, _grid(n_columns), words, height, width, n_columns, starts, places
    )
    return Places(places, starts[::width].contiguous())


def _new_words(frames: torch.Tensor) -> torch.Tensor:
    n, height, width = frames.shape
    n_words = n * -(-height // ROWS) * width
    return torch.empty(n_words, dtype=torch.int32, device=frames.device)


def _grid(n_threads: int) -> tuple[int, int]:
    return -(-n_threads // THREADS), 1


def _order_numbers(threshold: float, dtype: torch.dtype) -> tuple[int, int]:
    """Return the order numbers of a threshold and of infinity; equal ones if it is no number."""
    # Adding 0 makes the negative zero the other one, to which it is equal.
    bounds = torch.tensor([threshold, math.inf], dtype=dtype, device="cpu") + 0
    low, high = bounds.view(_INTEGERS[dtype.itemsize]).tolist()
    high = int(change_words.order_number(high))
    return (high if math.isnan(threshold) else int(change_words.order_number(low))), high
