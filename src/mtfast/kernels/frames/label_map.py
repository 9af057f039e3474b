"""Label map -> toggle lists of every label, in one pass over the map.

The map is read row by row, as it is in memory, but COCO's runs go down the columns. A column
changes its label where a pixel differs from the one above it; such pixels are few, and found 64 at
a time. Sorted by column, they are the label runs::

    . . 1 1      changes, row by row    2 -> 1    3 -> 1    1 -> 2    2 -> 2      columns -> labels
    . 2 2 1      label runs             2: 3..4    1: 4..5    2: 5..6    1: 6..8      label: places
"""

from mtfast.kernels.intrinsics import (
    PREFETCH_DISTANCE,
    differ64,
    drop_lowest,
    prefetch,
    trailing_zeros,
)
from mtfast.kernels.jit import i64, kernel, read, u8, u16, u64, write
from mtfast.kernels.rle.toggle_lists import OUT_LISTS, SENTINEL, append_run

__all__ = ["column_changes", "lists_of_runs", "runs_of_changes"]

BLOCK = 64


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
        Rows one after another. A map in F order is one of width 1.
    height, width, background : int
    places : int64, out
        Place of each change, row by row.
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
        prefetch(labels, start + PREFETCH_DISTANCE)
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


@kernel(i64(read(i64), read(i64), i64, i64, i64, *4 * (write(i64),)))
def runs_of_changes(places, values, height, width, background, columns, labels, starts, stops):
    """Turn the changes of :func:`column_changes` into label runs.

    Parameters
    ----------
    places, values : (n,) int64
    height, width, background : int
    columns : (width + 1,) int64, scratch
    labels, starts, stops : (n,) int64, out
        Label runs; stops are the places after their last pixels.

    Returns
    -------
    int
        The number of runs.
    """
    n = places.size
    # A counting sort by column keeps the rows of a column in order. Its result is in the outputs: a
    # run is written only after its change and the next one have been read.
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


@kernel(i64(read(i64), read(i64), read(i64), write(i64), *OUT_LISTS))
def lists_of_runs(owners, starts, stops, ends, toggles, offsets):
    """Collect label runs into one toggle list for each owner.

    Parameters
    ----------
    owners : (n,) int64
        0 .. n_owners - 1, each of which has a run.
    starts, stops : (n,) int64
        Ascending places.
    ends : (n_owners,) int64, scratch
    toggles, offsets : (>= 2 * n + n_owners,) and (n_owners + 1,) int64, out
        Toggle lists.

    Returns
    -------
    int
        The number of values written.
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
        offsets[k + 1] += offsets[k] + 1
        ends[k] = 0
    # From here on, how many toggles list k has.
    for i in range(owners.size):
        k = owners[i]
        ends[k] = append_run(starts[i], stops[i], toggles[offsets[k] :], u64(ends[k]))
    for k in range(n_owners):
        toggles[offsets[k + 1] - 1] = SENTINEL
    return offsets[n_owners]
