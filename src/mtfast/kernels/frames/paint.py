"""Texts -> pixels of a C-order frame.

The runs of a mask go down the columns, the pixels of a frame along the rows, so two pixels of a run
are a row apart in memory::

    . . . .      column 2, rows 1..2: pixels 6 and 10
    . . # .
    . . # .      4 apart, the width
    . . . .

A flake is a few dozen columns wide, so the cache lines that one column touches are still there when
the next column is painted.
"""

from mtfast.kernels.jit import i64, kernel, read, strided, u8, u16, u32, u64, write
from mtfast.kernels.rle.columns import column_of
from mtfast.kernels.rle.places import places_of_text

__all__ = ["paint_images", "paint_over", "paint_places"]


@kernel(
    i64(read(i64), i64, i64, i64, write(u8)),
    i64(read(i64), i64, i64, i64, write(u16)),
    i64(read(i64), i64, i64, i64, write(u32)),
)
def paint_places(places, n, height, value, frame):
    """Paint one mask with a value.

    Parameters
    ----------
    places : (>= n,) int64
        Places, or the toggles of a list.
    n, height : int
    value : int
    frame : (height * width,) uint8, uint16 or uint32, out
        Rows one after another; pixels outside the mask stay as they are.

    Returns
    -------
    int
        n
    """
    width = frame.size // height if height else 0
    down = u64(width)
    x = top = 0
    for i in range(1, n, 2):
        start = places[i - 1]
        stop = places[i]
        while start < stop:
            x, top = column_of(start, x, top, height)
            length = min(stop, top + height) - start
            # An unsigned index saves the test for indices that count from the end.
            at = u64((start - top) * width + x)
            for _ in range(length):
                frame[at] = value
                at += down
            start += length
    return n


@kernel(
    i64(read(u8), *3 * (read(i64),), i64, i64, write(i64), write(i64), write(u8)),
    i64(read(u8), *3 * (read(i64),), i64, i64, write(i64), write(i64), write(u16)),
    i64(read(u8), *3 * (read(i64),), i64, i64, write(i64), write(i64), write(u32)),
)
def paint_images(text, offsets, image_offsets, values, height, largest, places, ends, frames):
    """Paint the instances of each image, later ones over earlier ones, on background 0.

    All instances of an image are checked before the first pixel of its frame is written.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        Texts of n instances.
    image_offsets : (n_images + 1,) int64
        The instances of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    values : (n,) int64
        0 .. largest.
    height : int
    largest : int
        The largest value that a pixel holds.
    places, ends : int64, scratch
        As many values as the texts of one image have characters, and as it has instances.
    frames : (n_images * height * width,) uint8, uint16 or uint32, out

    Returns
    -------
    int
        -1, or the first instance whose text or value is bad.
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
            n = places_of_text(text, offsets[k], offsets[k + 1], n_pixels, places[end:])
            if n < 0:
                return k
            end += n
            ends[i] = end
        frame = frames[image * n_pixels : (image + 1) * n_pixels]
        frame[:] = 0
        start = 0
        for i in range(n_instances):
            paint_places(places[start:], ends[i] - start, height, values[first + i], frame)
            start = ends[i]
    return -1


@kernel(
    i64(read(i64), read(i64), read(u8), strided(u8)),
    i64(read(i64), read(i64), read(u16), strided(u16)),
    i64(read(i64), read(i64), read(u32), strided(u32)),
    i64(read(i64), read(i64), read(u64), strided(u64)),
)
def paint_over(toggles, offsets, values, frame):
    """Paint masks over what a frame holds, later ones over earlier ones.

    Parameters
    ----------
    toggles, offsets : int64 and (n + 1,) int64
        Toggle lists of masks as large as the frame.
    values : (n,) of the type of the frame
    frame : (height, width) uint8, uint16, uint32 or uint64, out
        Of any strides; pixels outside the masks stay as they are.

    Returns
    -------
    int
        n
    """
    n = offsets.size - 1
    height = frame.shape[0]
    for k in range(n):
        value = values[k]
        x = top = 0
        for i in range(offsets[k], offsets[k + 1] - 1, 2):
            start = toggles[i]
            stop = toggles[i + 1]
            while start < stop:
                x, top = column_of(start, x, top, height)
                end = min(stop, top + height)
                for y in range(u64(start - top), u64(end - top)):
                    frame[y, u64(x)] = value
                start = end
    return n
