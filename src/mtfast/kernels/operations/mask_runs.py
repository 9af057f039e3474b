"""The row-major runs of many semantic masks, one after another."""

from mtfast.kernels.jit import i64, kernel, read, u8, write
from mtfast.kernels.operations.row_runs import row_runs

LARGEST = 255


@kernel(
    i64(
        read(u8),
        read(i64),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        i64,
        write(i64),
        write(i64),
        write(i64),
    )
)
def runs_of_images(
    text, offsets, image_offsets, values, first, height, width, capacity, scratch, runs, ends
):
    """Write the runs of the semantic masks of images first, first + 1, ...

    It ends before the first image that there might be no room for, that has more runs than one
    image may, or with an instance whose string is bad or whose value no byte holds.

    Parameters
    ----------
    text, offsets : (n_bytes,) uint8 and (n + 1,) int64
        COCO strings of n instances.
    image_offsets : (n_images + 1,) int64
        The instances of image i are image_offsets[i] .. image_offsets[i + 1] - 1.
    values : (n,) int64
    first, height, width : int
    capacity : int
        Row runs of all instances of an image, overlapped or not.
    scratch : int64
        See :func:`mtfast.kernels.operations.row_runs.scratch_size`.
    runs : (3 * room,) int64, out
        Starts, stops and values as by :func:`mtfast.kernels.operations.row_runs.row_runs`, a third
        each. An image needs room for 2 * capacity.
    ends : (>= n_images - first,) int64, out
        Where the runs of each image end; those of the first begin at 0.

    Returns
    -------
    int
        Of how many images the runs were written.
    """
    room = runs.size // 3
    starts = runs[:room]
    stops = runs[room : 2 * room]
    run_values = runs[2 * room : 3 * room]
    at = 0
    for image in range(first, image_offsets.size - 1):
        if 2 * capacity > room - at:
            return image - first
        begin = image_offsets[image]
        end = image_offsets[image + 1]
        for k in range(begin, end):
            if values[k] < 0 or values[k] > LARGEST:
                return image - first
        here = at + 2 * capacity
        n = row_runs(
            text,
            offsets,
            values,
            begin,
            end,
            height,
            width,
            scratch,
            starts[at:here],
            stops[at:here],
            run_values[at:here],
        )
        if n < 0:
            return image - first
        at += n
        ends[image - first] = at
    return image_offsets.size - 1 - first
