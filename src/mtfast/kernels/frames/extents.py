"""Areas and bounding boxes of masks, in one pass over their pixels.

Each row is added up, and laid over a row that collects all of them::

    . # # .     2
    . . # #     2
    . . . .     0       area 4, rows 0 .. 1
    . # # #     columns 1 .. 3
"""

from mtfast.kernels.jit import i64, kernel, read, u8, write

__all__ = ["extents"]


@kernel(i64(read(u8), i64, i64, write(u8), write(i64), write(i64)))
def extents(masks, height, width, seen, areas, boxes):
    """Measure masks.

    Parameters
    ----------
    masks : (n * height * width,) uint8
        Masks one after another, each row by row; 1 is foreground, 0 background.
    height, width : int
    seen : (width,) uint8, scratch
    areas : (n,) int64, out
        Pixels of the foreground.
    boxes : (4 * n,) int64, out
        First column and row, and those after the last; zeros for an empty mask.

    Returns
    -------
    int
        How many masks are not empty.
    """
    n_filled = 0
    for k in range(areas.size):
        seen[:] = 0
        area = top = bottom = 0
        for y in range(height):
            at = (k * height + y) * width
            row = masks[at : at + width]
            n = 0
            for x in range(width):
                n += i64(row[x])
            if n:
                if bottom == 0:
                    top = y
                bottom = y + 1
                area += n
                for x in range(width):
                    seen[x] |= row[x]
        left = right = 0
        for x in range(width):
            if seen[x]:
                if right == 0:
                    left = x
                right = x + 1
        areas[k] = area
        boxes[4 * k] = left
        boxes[4 * k + 1] = top
        boxes[4 * k + 2] = right
        boxes[4 * k + 3] = bottom
        n_filled += area > 0
    return n_filled
