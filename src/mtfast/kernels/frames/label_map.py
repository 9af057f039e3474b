"""Pixels of a label map -> counts of every label, in one pass over the map.

The map is read row by row as it lies in memory, but COCO's runs go down the columns. A pixel that
differs from the one above it is where the column changes its label; those are few, and found 64 at
a time. Sorted by column they are the runs::

    row 0   . . 1 1      (column 2, row 0, label 1)
    row 1   . 2 2 1      (column 1, row 1, label 2), (column 2, row 1, label 2)
"""

from mtfast.kernels.intrinsics import differ64, drop_lowest, prefetch, trailing_zeros
from mtfast.kernels.jit import i64, kernel, read, u8, u16, u64, write

BLOCK = 64
# How many labels to ask for in advance.
AHEAD = 8192


@kernel(
    i64(read(u8), i64, i64, i64, write(i64), write(i64)),
    i64(read(u16), i64, i64, i64, write(i64), write(i64)),
    i64(read(i64), i64, i64, i64, write(i64), write(i64)),
)
def column_changes(labels, height, width, background, places, values):
    """Find where a label differs from the one above it; above the first row is background.

    Parameters
    ----------
    labels : (height * width,) uint8, uint16 or int64
        Rows one after another. Columns one after another are the rows of a map of width 1.
    height, width, background : int
    places : int64, out
        column * height + row of each change, row by row.
    values : int64, out
        The label from there on.

    Returns
    -------
    int
        The number of changes; more than fit into the outputs if there are more.
    """
    n = 0
    capacity = places.size
    for start in range(0, labels.size, BLOCK):
        prefetch(labels, start + AHEAD)
        word = u64(0)
        if width <= start and start + BLOCK <= labels.size:
            word = differ64(labels, start, labels, start - width)
        else:
            for i in range(start, min(start + BLOCK, labels.size)):
                above = i64(labels[i - width]) if i >= width else background
                word |= u64(i64(labels[i]) != above) << u64(i - start)
        while word:
            i = start + trailing_zeros(word)
            word = drop_lowest(word)
            if n == capacity:
                return n + 1
            y = i // width
            places[n] = (i - y * width) * height + y
            values[n] = labels[i]
            n += 1
    return n


@kernel(
    i64(
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
        write(i64),
    )
)
def runs_of_changes(places, values, height, width, background, columns, labels, starts, stops):
    """Turn the changes of column_changes into labelled column-major runs.

    Parameters
    ----------
    places, values : (n,) int64
    height, width, background : int
    columns : (width + 1,) int64, scratch
    labels, starts, stops : (n,) int64, out
        Label and pixel range of each run, ascending; a run ends with its column.

    Returns
    -------
    int
        The number of runs.
    """
    n = places.size
    # A counting sort by column keeps the rows of a column in order. The sorted changes wait in
    # the outputs: a run is written not before its change and the one after it have been read.
    columns[:] = 0
    for i in range(n):
        columns[places[i] // height + 1] += 1
    for x in range(width):
        columns[x + 1] += columns[x]
    for i in range(n):
        x = places[i] // height
        starts[columns[x]] = places[i]
        labels[columns[x]] = values[i]
        columns[x] += 1
    n_runs = 0
    for i in range(n):
        label = labels[i]
        start = starts[i]
        column_end = (start // height + 1) * height
        stop = starts[i + 1] if i + 1 < n else column_end
        if label != background:
            labels[n_runs] = label
            starts[n_runs] = start
            stops[n_runs] = min(stop, column_end)
            n_runs += 1
    return n_runs


@kernel(i64(read(i64), read(i64), read(i64), i64, write(i64), write(i64), write(i64)))
def counts_of_runs(owners, starts, stops, n_pixels, ends, offsets, counts):
    """Collect ascending runs into one list of counts for each owner.

    Parameters
    ----------
    owners : (n,) int64
        0 .. n_owners - 1, each of which has a run.
    starts, stops : (n,) int64
    n_pixels : int
    ends : (n_owners,) int64, scratch
    offsets : (n_owners + 1,) int64, out
        The counts of owner k are counts[offsets[k]:offsets[k + 1]].
    counts : (>= 2 * n + n_owners,) int64, out

    Returns
    -------
    int
        The number of counts written.
    """
    n_owners = ends.size
    ends[:] = -1
    offsets[:] = 0
    for i in range(owners.size):
        k = owners[i]
        if starts[i] != ends[k]:
            offsets[k + 1] += 2
        ends[k] = stops[i]
    for k in range(n_owners):
        if ends[k] != n_pixels:
            offsets[k + 1] += 1
        offsets[k + 1] += offsets[k]
    # offsets[k] serves as the cursor of owner k and is put back in the end.
    ends[:] = -1
    for i in range(owners.size):
        k = owners[i]
        length = stops[i] - starts[i]
        if starts[i] == ends[k]:
            counts[offsets[k] - 1] += length
        else:
            counts[offsets[k]] = starts[i] - max(ends[k], 0)
            counts[offsets[k] + 1] = length
            offsets[k] += 2
        ends[k] = stops[i]
    for k in range(n_owners):
        if ends[k] != n_pixels:
            counts[offsets[k]] = n_pixels - ends[k]
            offsets[k] += 1
    for k in range(n_owners - 1, 0, -1):
        offsets[k] = offsets[k - 1]
    if n_owners:
        offsets[0] = 0
    return offsets[n_owners]
