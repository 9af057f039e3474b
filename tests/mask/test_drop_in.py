"""Odd but legal calls: what pycocotools.mask returns for them, to the letter."""

from __future__ import annotations

from typing import Any

import numpy as np
import pycocotools.mask as coco
import pytest

from mtfast import mask

PIXELS = np.zeros((4, 5, 2), np.uint8, "F")
PIXELS[1:3, 1:4, 0] = 1
PIXELS[2:4, 2:5, 1] = 1
READ_ONLY = PIXELS.copy("F")
READ_ONLY.flags.writeable = False
BOXES = np.array([[0.0, 0, 3, 3], [1, 1, 3, 3]])
READ_ONLY_BOXES = BOXES.copy()
READ_ONLY_BOXES.flags.writeable = False
A, B = coco.encode(PIXELS)
AS_STR = A | {"counts": A["counts"].decode()}
RING = [1.0, 1, 4, 1, 4, 3, 1, 3]
COUNTS = [5, 2, 2, 2, 2, 2, 5]

SIZES: dict[str, Any] = {
    "tuple": (4, 5),
    "array": np.array([4, 5]),
    "scalars of numpy": [np.int64(4), np.int32(5)],
    "floats": [4.0, 5.0],
    "floats of numpy": (np.float64(4), np.float32(5)),
    "array of floats": np.array([4.0, 5.0]),
    "arrays without dimensions": [np.array(4), np.array(5.0)],
}
FLAGS: dict[str, Any] = {
    "list": [1],
    "tuple": (1,),
    "bool": [True],
    "bool of numpy": [np.True_],
    "integer of numpy": [np.int64(0)],
    "another integer": [2],
    "float": [1.0],
    "array": np.array([1]),
    "small array": np.array([1], np.uint8),
    "array of bool": np.array([True]),
    "array of floats": np.array([0.0]),
    "read-only array": np.broadcast_to(np.array(1), (1,)),
}
CALLS: dict[str, Any] = {
    "encode, read-only": lambda m: m.encode(READ_ONLY),
    "encode, one, read-only": lambda m: m.encode(READ_ONLY[:, :, 0]),
    "encode, bool": lambda m: m.encode(PIXELS[:, :, 0].astype(bool)),
    "encode, none": lambda m: m.encode(PIXELS[:, :, :0]),
    "encode, no pixels": lambda m: m.encode(np.zeros((0, 0), np.uint8, "F")),
    "encode, no rows": lambda m: m.encode(np.zeros((0, 5), np.uint8, "F")),
    "decode, bytes and str": lambda m: m.decode([B, AS_STR]),
    "area, bytes and str": lambda m: m.area([A, AS_STR]),
    "area, none": lambda m: m.area([]),
    "toBbox, none": lambda m: m.toBbox([]),
    "toBbox, bytes and str": lambda m: m.toBbox([A, AS_STR]),
    "merge, none": lambda m: m.merge([]),
    "merge, one": lambda m: m.merge([AS_STR]),
    "merge, tuple": lambda m: m.merge((A, B)),
    "merge, bytes and str": lambda m: m.merge([B, AS_STR]),
    "merge, another integer": lambda m: m.merge([A, B], 2),
    "merge, by name": lambda m: m.merge([A, B], intersect=True),
    "merge, bool of numpy": lambda m: m.merge([A, B], np.True_),
    "iou, bytes and str": lambda m: m.iou([A, AS_STR], [B], [0]),
    "iou, no detections": lambda m: m.iou([], [A], [0]),
    "iou, no masks": lambda m: m.iou([A], [], []),
    "iou, nothing": lambda m: m.iou([], [], []),
    "iou, by name": lambda m: m.iou([A], [B], pyiscrowd=[0]),
    "iou, lists of boxes": lambda m: m.iou(BOXES.tolist(), [[1, 1, 3, 3]], [0]),
    "iou, integer boxes": lambda m: m.iou(BOXES.astype(int), BOXES[:1].astype(int), [0]),
    "iou, short floats": lambda m: m.iou(BOXES.astype(np.float32), BOXES[:1], [0]),
    "iou, read-only boxes": lambda m: m.iou(READ_ONLY_BOXES, BOXES, [0, 1]),
    "iou, no boxes": lambda m: m.iou(BOXES[:0], BOXES, [0, 0]),
    "iou, no boxes at all": lambda m: m.iou(BOXES[:0], BOXES[:0], []),
    "polygon, integers": lambda m: m.frPyObjects([[int(v) for v in RING]], 4, 5),
    "polygon, tuple": lambda m: m.frPyObjects([tuple(RING)], 4, 5),
    "polygon, array": lambda m: m.frPyObjects([np.array(RING)], 4, 5),
    "polygon, floats of numpy": lambda m: m.frPyObjects([[*map(np.float32, RING)]], 4, 5),
    "polygon, one number more": lambda m: m.frPyObjects([[*RING, 7.0]], 4, 5),
    "polygon, triangle": lambda m: m.frPyObjects([RING[:6]], 4, 5),
    "polygon, then two points": lambda m: m.frPyObjects([RING, RING[:4]], 4, 5),
    "boxes, read-only": lambda m: m.frPyObjects(READ_ONLY_BOXES, 4, 5),
    "boxes, none": lambda m: m.frPyObjects(BOXES[:0], 4, 5),
    **{
        f"{name}, size: {kind}": lambda m, name=name, size=size: getattr(m, name)(
            [A, A | {"size": size}] if name == "merge" else A | {"size": size}
        )
        for name in ("area", "toBbox", "decode", "merge")
        for kind, size in SIZES.items()
    },
    **{
        f"iou, size: {kind}": lambda m, size=size: m.iou([A | {"size": size}], [A], [0])
        for kind, size in SIZES.items()
    },
    **{
        f"iou, iscrowd: {kind}": lambda m, flags=flags: m.iou([A], [B], flags)
        for kind, flags in FLAGS.items()
    },
    **{
        f"iou of boxes, iscrowd: {kind}": lambda m, flags=flags: m.iou(BOXES, BOXES[:1], flags)
        for kind, flags in FLAGS.items()
    },
    **{
        f"polygon, size: {kind}": lambda m, size=size: m.frPyObjects([RING], *size)
        for kind, size in SIZES.items()
    },
    **{
        f"boxes, size: {kind}": lambda m, size=size: m.frPyObjects(BOXES, *size)
        for kind, size in SIZES.items()
    },
    **{
        f"counts: {kind}": lambda m, counts=counts: [
            m.frPyObjects(given, 4, 5)
            for given in ({"size": [4, 5], "counts": counts}, [{"size": [4, 5], "counts": counts}])
        ]
        for kind, counts in {
            "integers": COUNTS,
            "tuple": tuple(COUNTS),
            "floats": [*map(float, COUNTS)],
            "scalars of numpy": [*np.array(COUNTS)],
            "array": np.array(COUNTS),
            "short array": np.array(COUNTS, np.uint32),
            "array of floats": np.array(COUNTS, float),
        }.items()
    },
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_odd_but_legal(call):
    expected, got = call(coco), call(mask)
    assert type(got) is type(expected)
    if isinstance(expected, np.ndarray):
        assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
        assert got.ndim == 1 or got.dtype != np.uint8 or got.flags.f_contiguous
    np.testing.assert_equal(got, expected)
