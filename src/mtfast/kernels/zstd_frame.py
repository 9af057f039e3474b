"""Row-major runs -> a zstd frame, written as it would be read: run by run.

A zstd frame is a sequence of blocks, and one kind of block is a single byte with the number of its
repetitions. Each stretch of equal pixels becomes one of them, a longer one several::

    magic  28 B5 2F FD    header  C0 38 + size of the content, 8 bytes
    block  3 bytes: last block (1 bit), kind (2 bits: 1 is RLE), repetitions (21 bits)
           1 byte:  the value

The header asks for a window of 128 KiB and not for one as large as the frame: readers that decode
in pieces refuse large windows. All numbers are little-endian. Source: RFC 8878, section 3.1.1.
"""

from mtfast._jit import i64, kernel, read, u8, u64, write
from mtfast.kernels.row_runs import row_runs

MAX_BLOCK = 1 << 17
HEADER_BYTES = 14
BLOCK_BYTES = 4

MAGIC = 0xFD2FB528
# No dictionary, no checksum, eight bytes of content size; window of 2**(10 + 7) bytes.
DESCRIPTOR = 0xC0
WINDOW = 7 << 3

RLE_BLOCK = 1 << 1
LAST_BLOCK = 1

LARGEST = 255


@kernel(i64(i64, i64))
def frame_room(n_runs, n_pixels):
    """Return how many bytes the frame of n_runs runs and the gaps between them may need."""
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
    """Write length pixels of one value as RLE blocks; return where they end."""
    while length > 0:
        size = min(length, MAX_BLOCK)
        # Four stores with unsigned indices: a loop, or indices that might count from the end,
        # take twice as long for the whole frame.
        i = u64(at)
        out[i] = (size << 3 | RLE_BLOCK) & 255
        out[i + u64(1)] = size >> 5 & 255
        out[i + u64(2)] = size >> 13
        out[i + u64(3)] = value
        at += BLOCK_BYTES
        length -= size
    return at


@kernel(i64(read(i64), read(i64), read(i64), i64, i64, write(u8), i64))
def write_frame(starts, stops, values, n, n_pixels, out, at):
    """Write one frame; return where it ends.

    Parameters
    ----------
    starts, stops, values : (>= n,) int64
        Range of pixels and value, 0 to 255, of each run, ascending and disjoint; elsewhere is 0.
    n, n_pixels : int
    out : uint8, out
        :func:`frame_room` says how much room is needed behind ``at``.
    at : int
    """
    at = write_header(n_pixels, out, at)
    if n_pixels == 0:
        # A frame must have a block: the last and only one is raw and holds nothing.
        out[at : at + 3] = 0
        out[at] = LAST_BLOCK
        return at + 3
    written = 0
    i = 0
    while i < n:
        start = starts[i]
        stop = stops[i]
        value = values[i]
        i += 1
        # Runs that touch, also over the end of a row, become one.
        while i < n and starts[i] == stop and values[i] == value:
            stop = stops[i]
            i += 1
        if value != 0:
            at = write_stretch(start - written, 0, out, at)
            at = write_stretch(stop - start, value, out, at)
            written = stop
    at = write_stretch(n_pixels - written, 0, out, at)
    out[at - BLOCK_BYTES] |= LAST_BLOCK
    return at


@kernel(
    i64(
        read(u8),
        read(i64),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(u8),
        write(i64),
    )
)
def encode_images(
    text, offsets, image_offsets, values, first, height, width, scratch, runs, frames, ends
):
    """Write the semantic masks of images first, first + 1, ... as one frame each.

    It ends before the first image whose frame might not fit, that has more runs than there is
    room for, or with an instance whose string or value is bad.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        COCO strings of n instances.
    image_offsets : (n_images + 1,) int64
        The instances of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    values : (n,) int64
    first, height, width : int
    scratch : int64
        See :func:`mtfast.kernels.row_runs.scratch_size`.
    runs : (6 * capacity,) int64, scratch
        Room for the runs of one image.
    frames : uint8, out
        Room for :func:`frame_room` (2 * capacity, height * width) bytes, or no image fits.
    ends : (n_images - first,) int64, out
        Where each frame ends; the first begins at 0.

    Returns
    -------
    int
        How many frames were written.
    """
    room = runs.size // 3
    starts = runs[:room]
    stops = runs[room : 2 * room]
    run_values = runs[2 * room : 3 * room]
    n_pixels = height * width
    needed = frame_room(room, n_pixels)
    at = 0
    for image in range(first, image_offsets.size - 1):
        if needed > frames.size - at:
            return image - first
        begin = image_offsets[image]
        end = image_offsets[image + 1]
        for k in range(begin, end):
            if values[k] < 0 or values[k] > LARGEST:
                return image - first
        n = row_runs(
            text, offsets, values, begin, end, height, width, scratch, starts, stops, run_values
        )
        if n < 0:
            return image - first
        at = write_frame(starts, stops, run_values, n, n_pixels, frames, at)
        ends[image - first] = at
    return image_offsets.size - 1 - first
