"""The runs of many masks in one call, and where such a call ends."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

import naive
from mtfast.kernels.operations.row_runs import runs_of_images, scratch_size
from tables import make_table, random_masks


class Batch:
    """A table with the buffers of :func:`runs_of_images`."""

    def __init__(self, table, capacity, spare):
        self.table, self.capacity = table, capacity
        self.size = int(table.heights[0]), int(table.widths[0])
        longest = table.scratch().size
        self.scratch = np.zeros(scratch_size(longest, self.size[0], capacity), np.int64)
        self.runs = np.zeros((3, 2 * capacity + spare), np.int64)
        self.ends = np.zeros(table.n_images, np.int64)

    def read(self, first, category_ids=None, rle=None):
        table = self.table
        n = runs_of_images(
            table.rle if rle is None else rle,
            table.rle_offsets,
            table.image_offsets,
            table.category_ids if category_ids is None else np.array(category_ids),
            first,
            *self.size,
            self.capacity,
            self.scratch,
            self.runs.reshape(-1),
            self.ends,
        )
        runs = [tuple(run) for run in self.runs.T.tolist()]
        return [runs[a:b] for a, b in pairwise([0, *self.ends[:n].tolist()])]


def painted(runs, shape):
    frame = np.zeros(shape[0] * shape[1], np.int64)
    for start, stop, value in runs:
        frame[start:stop] = value
    return frame.reshape(shape)


def test_many_images_a_call(rng):
    shape = (19, 27)
    masks = [random_masks(rng, shape, n) for n in (2, 0, 5, 1, 3)]
    table = make_table(masks, shape)
    found = Batch(table, 4000, 1 << 16).read(0)
    assert len(found) == 5
    for runs, image, drawn in zip(found, table, masks, strict=True):
        expected = naive.semantic(drawn, image.category_ids.tolist(), shape)
        np.testing.assert_array_equal(painted(runs, shape), expected)
    # Little by little, as there is room for.
    batch = Batch(table, 4000, 0)
    little = [batch.read(first)[0] for first in range(5)]
    assert little == found
    assert len(Batch(table, 4000, len(found[0])).read(0)) == 3
    assert len(Batch(table, 4000, len(found[0]) - 1).read(0)) == 1


def test_ends_before_what_it_cannot_write():
    shape = (4, 9)
    block = naive.mask("#" * 9 + " " + "#" * 9 + " " + "." * 9 + " " + "." * 9)
    table = make_table([[block], [block, block], [block]], shape)
    batch = Batch(table, 4, 1000)
    assert len(batch.read(0)) == 3
    assert len(Batch(table, 3, 1000).read(0)) == 1
    assert len(Batch(table, 3, 1000).read(1)) == 0
    assert len(Batch(table, 3, 1000).read(2)) == 1
    for value in (256, -1, 2**40, -(2**40)):
        assert len(batch.read(0, category_ids=[1, 2, value, 3])) == 1
        assert len(batch.read(0, category_ids=[1, 255, 0, value])) == 2
    broken = table.rle.copy()
    broken[table.rle_offsets[2]] = ord("p")
    assert len(batch.read(0, rle=broken)) == 1
    assert len(batch.read(1, rle=broken)) == 0
    assert batch.read(2, rle=broken) == batch.read(2)
