"""Area and bounding box from counts, without pixels."""

from mtfast._jit import f64, i64, kernel, read, u8, write
from mtfast.kernels.coco_string import decode_counts


@kernel(i64(read(i64), i64))
def area_of_counts(counts, n):
    """Count the foreground pixels of one mask."""
    area = 0
    for i in range(1, n, 2):
        area += counts[i]
    return area


@kernel(i64(read(i64), i64, i64, write(f64)))
def bbox_of_counts(counts, n, height, box):
    """Write [x, y, width, height] of the smallest box around one mask; zeros for an empty one.

    A run that goes on into the next column reaches the bottom of one and the top of the other, so
    the box has the full height.
    """
    left = -1
    right = 0
    top = height
    bottom = 0
    at = 0
    for i in range(n):
        length = counts[i]
        if i & 1 and length > 0:
            x0 = at // height
            x1 = (at + length - 1) // height
            if left < 0:
                left = x0
            right = x1 + 1
            if x0 != x1:
                top = 0
                bottom = height
            else:
                y0 = at - x0 * height
                top = min(top, y0)
                bottom = max(bottom, y0 + length)
        at += length
    if left < 0:
        box[:] = 0.0
    else:
        box[0] = left
        box[1] = top
        box[2] = right - left
        box[3] = bottom - top
    return 0


@kernel(i64(read(u8), read(i64), read(i64), read(i64), write(i64), write(i64)))
def areas(text, offsets, image_offsets, n_pixels, counts, out):
    """Area of every instance of a table; returns -1, or the first malformed instance."""
    for image in range(image_offsets.size - 1):
        for k in range(image_offsets[image], image_offsets[image + 1]):
            n = decode_counts(text, offsets[k], offsets[k + 1], n_pixels[image], counts)
            if n < 0:
                return k
            out[k] = area_of_counts(counts, n)
    return -1


@kernel(i64(read(u8), read(i64), read(i64), read(i64), read(i64), write(i64), write(f64)))
def bboxes(text, offsets, image_offsets, heights, widths, counts, out):
    """Box of every instance of a table into out, (4 * n,); returns -1, or the first malformed."""
    for image in range(image_offsets.size - 1):
        height = heights[image]
        n_pixels = height * widths[image]
        for k in range(image_offsets[image], image_offsets[image + 1]):
            n = decode_counts(text, offsets[k], offsets[k + 1], n_pixels, counts)
            if n < 0:
                return k
            bbox_of_counts(counts, n, height, out[4 * k : 4 * k + 4])
    return -1
