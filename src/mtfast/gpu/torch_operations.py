"""Operations on masks by PyTorch's own functions, for devices that run no kernels of ours."""

from __future__ import annotations

from typing import NamedTuple

import torch

from mtfast.gpu.places import Lists, Places, running_sums

__all__ = [
    "common_areas",
    "facts_of_lists",
    "frames_of_lists",
    "most_frames",
    "places_of_labels",
    "places_of_masks",
    "text_of_places",
]

# A frame is copied, and all its changes are listed as int64.
_MOST_PIXELS = 2**28
# Pairs of toggle and mask that are compared at once.
_MOST_PAIRS = 2**22


def most_frames(height: int, width: int) -> int:
    """Return how many frames may be encoded at once.

    Parameters
    ----------
    height, width : int
        At least 1.

    Returns
    -------
    int
    """
    return max(_MOST_PIXELS // (height * width), 1)


def places_of_masks(masks: torch.Tensor, threshold: float | None) -> Places:
    """Find where masks change down their columns; the first pixel is compared with background.

    Parameters
    ----------
    masks : (n, height, width) tensor
        Without an axis of length 0, C order.
    threshold : float, optional
        Pixels above it are foreground, by default those that are not 0.

    Returns
    -------
    Places
    """
    down = _columns(masks != 0 if threshold is None else masks > threshold)
    changes = down.clone()
    changes[:, 1:] = down[:, 1:] != down[:, :-1]
    return _places_of_changes(changes)


def places_of_labels(labels: torch.Tensor) -> Places:
    """Find where labels change down the columns of their maps; the first pixel is a change.

    Parameters
    ----------
    labels : (n, height, width) tensor of integers
        Without an axis of length 0, C order.

    Returns
    -------
    Places
    """
    down = _columns(labels)
    changes = torch.ones_like(down, dtype=torch.bool)
    changes[:, 1:] = down[:, 1:] != down[:, :-1]
    return _places_of_changes(changes)


def _columns(frames: torch.Tensor) -> torch.Tensor:
    return frames.transpose(1, 2).reshape(len(frames), -1)


def _places_of_changes(changes: torch.Tensor) -> Places:
    n, n_pixels = changes.shape
    mask, place = changes.nonzero(as_tuple=True)
    offsets = running_sums(torch.bincount(mask, minlength=n) + 1)
    places = torch.full((place.numel() + n,), n_pixels, device=changes.device)
    # Before the changes of mask k there are k ends.
    places[torch.arange(place.numel(), device=changes.device) + mask] = place
    return Places(places, offsets)


def text_of_places(places: Places, n_pixels: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Write masks as COCO text; see :mod:`mtfast.kernels.rle.coco_string`.

    Parameters
    ----------
    places : Places
    n_pixels : int
        Of a frame.

    Returns
    -------
    text : uint8 tensor
        Perhaps with unused bytes after the end.
    offsets : (n + 1,) int64 tensor
    """
    ends, offsets = places.places.to(torch.int64), places.offsets
    device = ends.device
    mask = torch.repeat_interleave(offsets.diff(), output_size=ends.numel())
    order = torch.arange(ends.numel(), device=device) - offsets[mask]
    counts = ends.clone()
    counts[1:] -= torch.where(order[1:] > 0, ends[:-1], 0)
    numbers = counts.clone()
    # The differences begin with the fourth count.
    numbers[2:] -= torch.where(order[2:] > 2, counts[:-2], 0)
    magnitude = numbers ^ (numbers >> 63)
    lengths = torch.ones_like(numbers)
    shifts = range(4, n_pixels.bit_length(), 5)
    for shift in shifts:
        lengths += magnitude >= 1 << shift
    starts = running_sums(lengths)
    text = torch.empty(int(starts[-1]), dtype=torch.uint8, device=device)
    for group in range(len(shifts) + 1):
        here = lengths > group
        more = (lengths[here] > group + 1) * 32
        payload = (numbers[here] >> (5 * group)) & 31
        text[starts[:-1][here] + group] = (payload + more + 48).to(torch.uint8)
    return text, starts[offsets]


def frames_of_lists(lists: Lists, height: int, width: int) -> torch.Tensor:
    """Paint masks.

    Parameters
    ----------
    lists : Lists
    height, width : int
        Of all masks, at least 1.

    Returns
    -------
    (n, height, width) uint8 tensor
        0 and 1, C order.
    """
    n_pixels = height * width
    runs = _runs_of(lists)
    # One more place, for masks that end with the frame.
    toggles = torch.zeros(lists.n * (n_pixels + 1), dtype=torch.uint8, device=runs.start.device)
    for ends in (runs.start, runs.stop):
        toggles[runs.mask * (n_pixels + 1) + ends] = 1
    # Sums modulo 256 keep what is odd.
    down = torch.cumsum(toggles.view(lists.n, -1), 1, dtype=torch.uint8)[:, :-1] & 1
    return down.reshape(lists.n, width, height).transpose(1, 2).contiguous()


class _Runs(NamedTuple):
    """Runs of foreground of all masks: first place, place after the last, and their mask."""

    start: torch.Tensor
    stop: torch.Tensor
    mask: torch.Tensor


def _runs_of(lists: Lists) -> _Runs:
    is_toggle = torch.ones_like(lists.toggles, dtype=torch.bool)
    is_toggle[lists.offsets[1:] - 1] = False
    start, stop = lists.toggles[is_toggle].to(torch.int64).view(-1, 2).unbind(1)
    mask = torch.repeat_interleave(lists.offsets.diff() // 2, output_size=start.numel())
    return _Runs(start, stop, mask)


def facts_of_lists(lists: Lists) -> torch.Tensor:
    """Measure the area of masks, and the box around each.

    Parameters
    ----------
    lists : Lists

    Returns
    -------
    (n, 5) int64 tensor
        Area, left, top, right, bottom, the last two excluded. An empty mask has an area of 0, and
        a box that means nothing.
    """
    start, stop, mask = _runs_of(lists)
    height = lists.heights[mask].to(torch.int64)
    column, last = start // height, (stop - 1) // height
    # A run that goes on into the next column has all rows.
    is_whole = column != last
    top = torch.where(is_whole, 0, start - column * height)
    bottom = torch.where(is_whole, height, stop - column * height)
    facts = torch.zeros((5, lists.n), dtype=torch.int64, device=start.device)
    facts[0].index_add_(0, mask, stop - start)
    for fact, values, reduce in (
        (facts[1], column, "amin"),
        (facts[2], top, "amin"),
        (facts[3], last + 1, "amax"),
        (facts[4], bottom, "amax"),
    ):
        fact.scatter_reduce_(0, mask, values, reduce, include_self=False)
    return facts.T


def common_areas(first: Lists, second: Lists, n_pixels: int) -> torch.Tensor:
    """Count the pixels that masks share.

    Parameters
    ----------
    first, second : Lists
        Of m and n masks.
    n_pixels : int
        Of a frame.

    Returns
    -------
    (m, n) int64 tensor
    """
    runs, others = _runs_of(first), _runs_of(second)
    device = runs.start.device
    areas = torch.zeros((first.n, second.n), dtype=torch.int64, device=device)
    # The toggles of all masks in one ascending line, a frame after the other.
    line = torch.stack([others.start, others.stop], 1) + (others.mask * (n_pixels + 1))[:, None]
    line = line.reshape(-1)
    signed = torch.stack([-others.start, others.stop], 1).reshape(-1)
    sums, begins = (
        running_sums(signed),
        (second.offsets - torch.arange(second.n + 1, device=device)),
    )
    step = max(_MOST_PAIRS // max(runs.start.numel(), 1), 1)
    for left in range(0, second.n, step):
        masks = torch.arange(left, min(left + step, second.n), device=device)
        covered = [
            _covered(place[:, None], masks, line, sums, begins, n_pixels)
            for place in (runs.start, runs.stop)
        ]
        areas[:, left : left + step].index_add_(0, runs.mask, covered[1] - covered[0])
    return areas


def _covered(
    place: torch.Tensor,
    masks: torch.Tensor,
    line: torch.Tensor,
    sums: torch.Tensor,
    begins: torch.Tensor,
    n_pixels: int,
) -> torch.Tensor:
    """Count the foreground pixels of masks before places."""
    index = torch.searchsorted(line, place + masks * (n_pixels + 1))
    is_inside = (index - begins[masks]) & 1
    return sums[index] - sums[begins[masks]] + is_inside * place
