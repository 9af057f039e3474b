"""Area and bounding box from the places at which runs end, without pixels."""

from mtfast.kernels.jit import f64, i64, kernel, read, u8, write
from mtfast.kernels.rle.coco_string import decode_places


@kernel(i64(read(i64), i64))
def area_of_places(places, n):
    """Count the foreground pixels of one mask, given by the n places at which its counts end."""
    area = 0
    for i in range(1, n, 2):
        area += places[i] - places[i - 1]
    return area


@kernel(i64(read(i64), i64, i64, write(f64)))
def bbox_of_places(places, n, height, box):
    """Write [x, y, width, height] of the smallest box around one mask; zeros for an empty one.

    A run that goes on into the next column reaches the bottom of one and the top of the other, so
    the box has the full height.
    """
    left = -1
    x = 0
    column = 0  # place of the first pixel of column x
    top = height
    bottom = 0
    for i in range(1, n, 2):
        start = places[i - 1]
        stop = places[i]
        if start == stop:
            continue
        if start >= column + height:
            # Mostly the next column; a division takes as long as all the rest.
            x += 1
            column += height
            if start >= column + height:
                x = start // height
                column = x * height
        if left < 0:
            left = x
        if stop > column + height:
            top = 0
            bottom = height
            x = (stop - 1) // height
            column = x * height
        else:
            top = min(top, start - column)
            bottom = max(bottom, stop - column)
    if left < 0:
        box[:] = 0.0
    else:
        box[0] = left
        box[1] = top
        box[2] = x + 1 - left
        box[3] = bottom - top
    return 0


@kernel(i64(read(u8), read(i64), read(i64), read(i64), write(i64), write(i64)))
def areas(text, offsets, image_offsets, n_pixels, places, out):
    """Area of every instance of a table; returns -1, or the first malformed instance."""
    for image in range(image_offsets.size - 1):
        for k in range(image_offsets[image], image_offsets[image + 1]):
            n = decode_places(text, offsets[k], offsets[k + 1], n_pixels[image], places)
            if n < 0:
                return k
            out[k] = area_of_places(places, n)
    return -1


@kernel(i64(read(u8), read(i64), read(i64), read(i64), read(i64), write(i64), write(f64)))
def bboxes(text, offsets, image_offsets, heights, widths, places, out):
    """Box of every instance of a table into out, (4 * n,); returns -1, or the first malformed."""
    for image in range(image_offsets.size - 1):
        height = heights[image]
        n_pixels = height * widths[image]
        for k in range(image_offsets[image], image_offsets[image + 1]):
            n = decode_places(text, offsets[k], offsets[k + 1], n_pixels, places)
            if n < 0:
                return k
            bbox_of_places(places, n, height, out[4 * k : 4 * k + 4])
    return -1
