"""One polygon ring -> counts, byte for byte as pycocotools rasterises it.

The ring is drawn on a grid five times finer than the pixels, edge by edge along the longer axis.
Wherever the outline passes the middle of a column of pixels it leaves a toggle; between an odd and
an even toggle of the column-major frame lies the inside (even-odd rule)::

    . . ,-+-. .      +  outline meets the middle of a column: toggle at the next pixel below
    . .+# # #+.
    . . '-+-' .      vertices with integer coordinates act as corners of pixels

Source: ``rleFrPoly`` in maskApi.c of pycocotools.
"""

from mtfast._jit import f64, i64, kernel, read, write

SCALE = 5.0


@kernel(i64(f64))
def _fine(coordinate):
    """Coordinate on the fine grid, rounded half up and truncated toward zero as in C."""
    return i64(SCALE * coordinate + 0.5)


@kernel(i64(read(f64), i64, i64, i64, write(i64)))
def outline_toggles(ring, n_points, height, width, toggles):
    """Write the toggles of a ring of n_points (x, y) pairs, unsorted; return how many.

    An edge passes each column once: ``toggles`` needs room for n_points * (width + 1) values.
    """
    n = 0
    first = True
    last_u = 0
    last_v = 0
    for j in range(n_points):
        k = j + 1 if j + 1 < n_points else 0
        xs = _fine(ring[2 * j])
        ys = _fine(ring[2 * j + 1])
        xe = _fine(ring[2 * k])
        ye = _fine(ring[2 * k + 1])
        dx = abs(xe - xs)
        dy = abs(ye - ys)
        flip = (dx >= dy and xs > xe) or (dx < dy and ys > ye)
        if flip:
            xs, xe = xe, xs
            ys, ye = ye, ys
        steps = max(dx, dy)
        slope = 0.0
        if steps > 0:
            slope = (ye - ys) / dx if dx >= dy else (xe - xs) / dy
        for d in range(steps + 1):
            t = steps - d if flip else d
            if dx >= dy:
                u = xs + t
                v = i64(ys + slope * t + 0.5)
            else:
                v = ys + t
                u = i64(xs + slope * t + 0.5)
            if not first and u != last_u:
                x = ((u if u < last_u else u - 1) + 0.5) / SCALE - 0.5
                column = i64(x)
                if x >= 0 and column == x and column <= width - 1:
                    y = (min(v, last_v) + 0.5) / SCALE - 0.5
                    y = min(max(y, 0.0), f64(height))
                    row = i64(y)
                    if row < y:
                        row += 1
                    toggles[n] = column * height + row
                    n += 1
            first = False
            last_u = u
            last_v = v
    return n


@kernel(i64(read(i64), i64, i64, write(i64)))
def counts_of_toggles(toggles, n, n_pixels, counts):
    """Write the counts (at most n + 1) between n toggles in ascending order; return how many.

    Two toggles at one place cancel: the runs on either side of them become one.
    """
    m = 0
    previous = 0
    cancelled = False
    for i in range(n + 1):
        position = toggles[i] if i < n else n_pixels
        length = position - previous
        previous = position
        if cancelled:
            counts[m - 1] += length
            cancelled = False
        elif length == 0 and i > 0:
            cancelled = True
        else:
            counts[m] = length
            m += 1
    return m
