"""Counts -> pixels of a C-order frame.

The runs of a mask go down the columns, the bytes of a frame along the rows::

    run (x, y0..y1)      .  .  x  .        one store each width apart
                      y0 .  .  #  .
                         .  .  #  .
                      y1 .  .  .  .

A flake is a few dozen columns wide, so the lines that one column touches are still in the cache
when the next one is painted.
"""

from mtfast._jit import i64, kernel, read, u8, u16, u32, u64, write
from mtfast.kernels.coco_string import decode_counts


@kernel(
    i64(read(i64), i64, i64, i64, write(u8)),
    i64(read(i64), i64, i64, i64, write(u16)),
    i64(read(i64), i64, i64, i64, write(u32)),
)
def paint_counts(counts, n, height, value, frame):
    """Paint one mask, given as n counts that tile the frame, with a value.

    Parameters
    ----------
    counts : (>= n,) int64
    n, height : int
    value : int
    frame : (height * width,) uint8, uint16 or uint32, out
        Rows one after another; pixels outside the mask stay as they are.
    """
    width = frame.size // height if height else 0
    down = u64(width)
    x = 0
    y = 0
    for i in range(n):
        left = counts[i]
        if i & 1:
            while left > 0:
                length = min(left, height - y)
                # An unsigned index spares the test for indices that count from the end.
                at = u64(y * width + x)
                for _ in range(length):
                    frame[at] = value
                    at += down
                left -= length
                y += length
                if y == height:
                    y = 0
                    x += 1
        else:
            y += left
            if y >= height and height:
                x += y // height
                y %= height
    return n


@kernel(
    i64(read(u8), read(i64), read(i64), read(i64), i64, i64, write(i64), write(i64), write(u8)),
    i64(read(u8), read(i64), read(i64), read(i64), i64, i64, write(i64), write(i64), write(u16)),
    i64(read(u8), read(i64), read(i64), read(i64), i64, i64, write(i64), write(i64), write(u32)),
)
def paint_images(text, offsets, image_offsets, values, height, largest, counts, ends, frames):
    """Paint the instances of each image, later ones over earlier ones, on background 0.

    All instances of an image are checked before the first pixel of its frame is written.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        COCO strings of n instances.
    image_offsets : (n_images + 1,) int64
        The instances of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    values : (n,) int64
        0 .. largest.
    height : int
    largest : int
        The largest value that a pixel holds.
    counts, ends : int64, scratch
        As long as all strings of any one image, and as many as its instances.
    frames : (n_images * height * width,) uint8, uint16 or uint32, out

    Returns
    -------
    int
        -1, or the first instance whose string or value is bad.
    """
    n_images = image_offsets.size - 1
    n_pixels = frames.size // n_images if n_images else 0
    for image in range(n_images):
        first = image_offsets[image]
        n_instances = image_offsets[image + 1] - first
        end = 0
        for i in range(n_instances):
            k = first + i
            if values[k] < 0 or values[k] > largest:
                return k
            n = decode_counts(text, offsets[k], offsets[k + 1], n_pixels, counts[end:])
            if n < 0:
                return k
            end += n
            ends[i] = end
        frame = frames[image * n_pixels : (image + 1) * n_pixels]
        frame[:] = 0
        start = 0
        for i in range(n_instances):
            paint_counts(counts[start:], ends[i] - start, height, values[first + i], frame)
            start = ends[i]
    return -1
