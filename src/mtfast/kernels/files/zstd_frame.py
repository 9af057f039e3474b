"""Row-major runs -> a zstd frame, written without painting the pixels.

A zstd frame is a sequence of blocks, and an RLE block is a single byte and how often it is
repeated. Each stretch of equal pixels becomes one RLE block, a longer one several::

    magic    header                              block                          block ... last block
    4 bytes  descriptor, window, 8 bytes: size   3 bytes: header, 1 byte: value

    block header    bit 0: last block | bits 1, 2: kind, 1 is RLE | bits 3 to 23: repetitions

The header asks for a window of 128 KiB and not for one as large as the frame, because readers that
decode in pieces refuse large windows. All numbers are little-endian. Source: RFC 8878, section
3.1.1.

:mod:`mtfast.kernels.files.zstd_corner` reads such frames. It has a file of its own, as each kernel
of a module takes 3 ms when that is imported.
"""

from mtfast.kernels.files.zstd_layout import (
    BLOCK_BYTES,
    DESCRIPTOR,
    HEADER_BYTES,
    LAST_BLOCK,
    MAGIC,
    MAX_BLOCK,
    RLE_BLOCK,
    WINDOW,
)
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

__all__ = ["MAX_BLOCK", "frame_capacity", "write_frame", "write_frames"]

# The types of `starts`, `stops` and `values`.
RUNS = (read(i64), read(i64), read(i64))


@kernel(i64(i64, i64))
def frame_capacity(n_runs, n_pixels):
    """Return how many bytes a frame of n_pixels, with n_runs runs, needs at most."""
    return HEADER_BYTES + BLOCK_BYTES * (2 * n_runs + 1 + n_pixels // MAX_BLOCK)


@kernel(i64(i64, write(u8), i64))
def write_header(n_pixels, out, at):
    """Write the frame header; return where it ends."""
    for i in range(4):
        out[at + i] = MAGIC >> 8 * i & 255
    out[at + 4] = DESCRIPTOR
    out[at + 5] = WINDOW
    for i in range(8):
        out[at + 6 + i] = n_pixels >> 8 * i & 255
    return at + HEADER_BYTES


@kernel(i64(i64, i64, write(u8), i64))
def write_stretch(length, value, out, at):
    """Write ``length`` pixels of one value as RLE blocks; return where they end."""
    while length > 0:
        size = min(length, MAX_BLOCK)
        # Four stores with unsigned indices: with a loop, or with signed indices, which numba checks
        # for negative values, the whole frame takes twice as long.
        i = u64(at)
        out[i] = (size << 3 | RLE_BLOCK) & 255
        out[i + u64(1)] = size >> 5 & 255
        out[i + u64(2)] = size >> 13
        out[i + u64(3)] = value
        at += BLOCK_BYTES
        length -= size
    return at


@kernel(i64(*RUNS, i64, i64, i64, write(u8), i64))
def write_frame(starts, stops, values, begin, end, n_pixels, out, at):
    """Write one frame; return where it ends.

    Parameters
    ----------
    starts, stops, values : (>= end,) int64
        Range of pixels and value, 0 to 255, of each run, ascending and disjoint; all other pixels
        are 0.
    begin, end : int
        The runs begin .. end - 1 are those of the frame.
    n_pixels : int
    out : uint8, out
        Capacity :func:`frame_capacity` after ``at``.
    at : int
        Where the frame begins in ``out``.

    Returns
    -------
    int
    """
    at = write_header(n_pixels, out, at)
    if n_pixels == 0:
        # A frame must have a block: the last and only one is raw and holds nothing.
        out[at : at + 3] = 0
        out[at] = LAST_BLOCK
        return at + 3
    written = 0
    i = begin
    while i < end:
        start = starts[i]
        stop = stops[i]
        value = values[i]
        i += 1
        # Runs that touch, also over the end of a row, become one.
        while i < end and starts[i] == stop and values[i] == value:
            stop = stops[i]
            i += 1
        if value != 0:
            at = write_stretch(start - written, 0, out, at)
            at = write_stretch(stop - start, value, out, at)
            written = stop
    at = write_stretch(n_pixels - written, 0, out, at)
    out[at - BLOCK_BYTES] |= LAST_BLOCK
    return at


@kernel(i64(*RUNS, read(i64), i64, write(u8), write(i64)))
def write_frames(starts, stops, values, run_ends, n_pixels, out, ends):
    """Write one frame an image; return where the last one ends.

    Parameters
    ----------
    starts, stops, values : int64
        As for :func:`write_frame`, one image after another.
    run_ends : (n_images,) int64
        Where the runs of each image end; those of the first begin at 0.
    n_pixels : int
    out : uint8, out
        Capacity for :func:`frame_capacity` of every image.
    ends : (n_images,) int64, out
        Where each frame ends; the first begins at 0.

    Returns
    -------
    int
    """
    at = 0
    begin = 0
    for image in range(run_ends.size):
        at = write_frame(starts, stops, values, begin, run_ends[image], n_pixels, out, at)
        ends[image] = at
        begin = run_ends[image]
    return at
