"""Fuzz mtfast.mask: malformed input is refused, and sound input gets the right answer.

::

    python tests/fuzz_mask.py --seconds 3600 --seed 0
    NUMBA_BOUNDSCHECK=1 python tests/fuzz_mask.py        # a step outside an array is a finding
    python tests/fuzz_mask.py --replay fuzz-findings/*   # run saved findings again

fuzz_inputs.py makes the masks, fuzzing.py runs the trials. The expected answers are those of the
twins in naive.py and, for input that does not crash it, of pycocotools.
"""

from __future__ import annotations

import importlib
import math
import pkgutil
import random
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pycocotools.mask as coco

import naive
from fuzz_inputs import JUNK, NUMBERS, a_batch, a_shape
from fuzzing import ANYTHING, MARGIN, REFUSED, Trial, main
from mtfast import MtfastError, RunTable, kernels, mask

# Compiling takes longer than any trial may.
for module in pkgutil.walk_packages(kernels.__path__, "mtfast.kernels."):
    importlib.import_module(module.name)


def coco_rle(pixels: np.ndarray) -> dict[str, Any]:
    text = coco.encode(np.asfortranarray(pixels, np.uint8))["counts"] if pixels.size else b"0"
    return {"size": list(pixels.shape), "counts": text}


def with_junk(rng: random.Random, options: dict[str, Any], answer: Any) -> tuple[dict, Any]:
    """Now and then replace an option by junk, which may be refused or accepted."""
    if options and rng.random() < 0.05:
        return options | {rng.choice(list(options)): rng.choice(JUNK)}, ANYTHING
    return options, answer


def a_frame(
    rng: random.Random, shape: tuple[int, ...], dtype: Any, order: Any
) -> tuple[np.ndarray, bool]:
    """An output array inside a larger one, and whether it fits."""
    fault = rng.random()
    if fault < 0.02:
        shape = (*shape[:-1], shape[-1] + 1)
    if 0.02 < fault < 0.04:
        dtype = np.int32
    n = math.prod(shape)
    around = np.full(n + 2 * MARGIN, 99, dtype)
    if 0.04 < fault < 0.06:
        around.flags.writeable = False
    return around[MARGIN : MARGIN + n].reshape(shape, order=order), fault > 0.06


def decode(rng: random.Random) -> Trial:
    batch = a_batch(rng)
    order, dtype = rng.choice("FC"), np.dtype(rng.choice("BBHI"))
    value = rng.choice((1, 1, 1, 0, 255, np.iinfo(dtype).max, -1, 256))
    options: dict[str, Any] = {"order": order, "value": value}
    masks, fits = batch.pixels(), True
    stack = np.empty((0, 0, 0))
    if masks:
        stack = masks[0] if batch.single else np.stack(masks, axis=-1 if order == "F" else 0)
    if dtype != np.uint8 or rng.random() < 0.5:
        options["out"], fits = a_frame(rng, stack.shape, dtype, order)
    fits = fits and masks is not None and 0 <= value <= np.iinfo(dtype).max
    answer = stack.astype(dtype) * dtype.type(value) if fits else REFUSED
    return Trial(mask.decode, (batch.given,), *with_junk(rng, options, answer))


def area(rng: random.Random) -> Trial:
    batch = a_batch(rng, large=True)
    if None in batch.read:
        return Trial(mask.area, (batch.given,), {}, REFUSED)
    wide = any(height * width >= 2**32 for height, width, _ in batch.read)
    dtype = np.uint64 if wide else np.uint32
    areas = np.array([np.sum(counts[1::2]) for _, _, counts in batch.read], dtype)
    return Trial(mask.area, (batch.given,), {}, areas[0] if batch.single else areas)


def box(rng: random.Random) -> Trial:
    batch = a_batch(rng)
    if None in batch.read:
        return Trial(mask.toBbox, (batch.given,), {}, REFUSED)
    masks = [naive.mask_of_counts(counts, *size) for *size, counts in batch.read]
    boxes = np.array([naive.bbox(pixels) for pixels in masks], np.float64).reshape(-1, 4)
    return Trial(mask.toBbox, (batch.given,), {}, boxes[0] if batch.single else boxes)


def to_uncompressed(rng: random.Random) -> Trial:
    batch = a_batch(rng, large=True)
    if None in batch.read:
        return Trial(mask.to_uncompressed, (batch.given,), {}, REFUSED)
    found = [{"size": [h, w], "counts": counts.tolist()} for h, w, counts in batch.read]
    return Trial(mask.to_uncompressed, (batch.given,), {}, found[0] if batch.single else found)


def validate(rng: random.Random) -> Trial:
    batch = a_batch(rng, large=True)
    bad = [k for k, read in enumerate(batch.read) if read is None]
    return Trial(numbers_of_problems, (batch.given,), {}, bad)


def numbers_of_problems(masks: Any) -> list[int]:
    return [number for number, _ in mask.validate(masks)]


def unchanged(rle: Any, counts: np.ndarray) -> dict[str, Any]:
    """A mask with its text as it was given."""
    text = rle["counts"].encode() if isinstance(rle["counts"], str) else rle["counts"]
    compressed = isinstance(text, bytes | bytearray | memoryview)
    text = bytes(text) if compressed else naive.text_of_counts(counts.tolist())
    return {"size": [int(side) for side in rle["size"]], "counts": text}


def merge(rng: random.Random) -> Trial:
    batch, intersect = a_batch(rng, single=False), rng.choice((0, 1, True))
    masks = batch.pixels()
    if masks is None:
        answer: Any = REFUSED
    elif len(masks) > 1:
        answer = coco_rle((np.logical_and if intersect else np.logical_or).reduce(masks))
    elif not masks:
        answer = {"size": [0, 0], "counts": b""}
    elif isinstance(batch.given, RunTable):
        answer = {"size": [*masks[0].shape], "counts": batch.given.text(0)}
    else:
        answer = unchanged(batch.given[0], batch.read[0][2])
    return Trial(mask.merge, (batch.given, intersect), {}, answer)


def iou(rng: random.Random) -> Trial:
    shape = a_shape(rng)
    dt, gt = a_batch(rng, shape, single=False), a_batch(rng, shape, single=False)
    crowd: Any = [rng.randrange(2) for _ in gt.read]
    first, second = dt.pixels(), gt.pixels()
    answer: Any = REFUSED
    if not dt.read or not gt.read:
        # The other side is not checked.
        answer = ANYTHING
    elif None not in dt.read + gt.read and rng.random() < 0.5:
        sides = [[naive.mask_of_counts(c, *size) for *size, c in side.read] for side in (dt, gt)]
        crowds = list(zip(sides[1], crowd, strict=True))
        answer = np.array([[iou_of(a, b, c) for b, c in crowds] for a in sides[0]])
        return Trial(iou_that_may_warn, (dt.given, gt.given, crowd), {}, answer)
    elif first and second and first[0].shape == second[0].shape:
        crowds = list(zip(second, crowd, strict=True))
        answer = np.array([[naive.iou(a, b, c) for b, c in crowds] for a in first])
    if rng.random() < 0.3:
        crowd = rng.choice((tuple, np.array, lambda flags: [*map(bool, flags)]))(crowd)
    if rng.random() < 0.03:
        crowd, answer = rng.choice((*JUNK, [*crowd, 0])), ANYTHING
    return Trial(mask.iou, (dt.given, gt.given, crowd), {"other_size": "error"}, answer)


def iou_of(a: np.ndarray, b: np.ndarray, crowd: int) -> float:
    """What pycocotools returns for two masks, of one size or not."""
    if a.shape == b.shape:
        return naive.iou(a, b, crowd)
    boxes = (np.array([naive.bbox(pixels)], float) for pixels in (a, b))
    return -1.0 if coco.iou(*boxes, [crowd])[0, 0] > 0 else 0.0


def iou_that_may_warn(dt: Any, gt: Any, crowd: Any) -> Any:
    with warnings.catch_warnings(action="ignore"):
        return mask.iou(dt, gt, crowd)


def iou_of_boxes(rng: random.Random) -> Trial:
    def boxes() -> list[list[float]]:
        far = (math.nan, math.inf, -math.inf, 1e308, 0)
        kinds = (lambda: rng.randint(-3, 9), lambda: 9 * rng.random(), lambda: rng.choice(far))
        number = rng.choice(kinds)
        return [[number() for _ in range(4)] for _ in range(rng.randint(1, 4))]

    dt, gt = boxes(), boxes()
    crowd = [rng.randrange(2) for _ in gt]
    answer: Any = REFUSED
    if np.isfinite(np.array(dt, float)).all() and np.isfinite(np.array(gt, float)).all():
        answer = coco.iou(np.array(dt, float), np.array(gt, float), crowd)
    given: list[Any] = [np.array(side) if rng.random() < 0.3 else side for side in (dt, gt)]
    if rng.random() < 0.3:
        given[rng.randrange(2)] = rng.choice((*JUNK, [[*dt[0][:3], rng.choice(JUNK)]]))
        answer = ANYTHING
    return Trial(mask.iou, (*given, crowd), {}, answer)


def some_pixels(rng: random.Random) -> np.ndarray:
    """An array of any type and layout, with few or many changes."""
    shape: tuple[int, ...] = a_shape(rng)
    if rng.random() < 0.3:
        shape = (*shape, rng.choice((0, 1, 2, 5))) if rng.random() < 0.8 else shape[:1]
    noise = np.frombuffer(rng.randbytes(math.prod(shape)), np.uint8)
    pixels = np.where(noise < rng.choice((0, 2, 90, 255)), noise % 7, 0).reshape(shape)
    pixels = np.asarray(pixels.astype(rng.choice("?BbHiLqfdU?B?B?B")), order=rng.choice("CF"))
    if rng.random() < 0.2:
        pixels = pixels[:: rng.choice((-1, 2, -3))]
    return pixels.swapaxes(0, 1) if pixels.ndim > 1 and rng.random() < 0.2 else pixels


def encode(rng: random.Random) -> Trial:
    if rng.random() < 0.1:
        return Trial(mask.encode, (rng.choice(JUNK),), {}, ANYTHING)
    pixels, answer = some_pixels(rng), REFUSED
    if pixels.ndim == 2 and pixels.dtype.kind in "bui":
        answer = coco_rle(pixels != 0)
    elif pixels.ndim == 3 and (pixels.dtype.kind in "bui" or not pixels.shape[2]):
        answer = [coco_rle(pixels[:, :, k] != 0) for k in range(pixels.shape[2])]
    return Trial(mask.encode, (pixels,), {}, answer)


def from_label_map(rng: random.Random) -> Trial:
    pixels, background = some_pixels(rng), rng.choice((0, 0, 1, -1, 300))
    answer: Any = REFUSED
    if pixels.ndim == 2 and pixels.dtype.kind in "bui":
        labels = [v for v in np.unique(pixels.astype(int)).tolist() if v != background]
        answer = np.array(labels, np.int64), [coco_rle(pixels == label) for label in labels]
    options, answer = with_junk(rng, {"background": background}, answer)
    return Trial(mask.from_label_map, (pixels,), options, answer)


def objects(rng: random.Random) -> Trial:
    """Polygons and boxes that pycocotools takes, and uncompressed masks."""
    size = rng.choice((1, 5, 64, 300)), rng.choice((1, 7, 64, 300))
    rings: Any = some_rings(rng)
    if rng.random() < 0.3:
        batch = a_batch(rng)
        masks = [batch.given] if batch.single else batch.given
        if isinstance(masks, RunTable) or None in batch.read:
            # Junk alone may be a polygon.
            dicts = isinstance(masks, RunTable) or any(isinstance(rle, dict) for rle in masks)
            answer = REFUSED if dicts else ANYTHING
            return Trial(mask.frPyObjects, (batch.given, *size), {}, answer)
        answer = [unchanged(rle, read[2]) for rle, read in zip(masks, batch.read, strict=True)]
        answer = answer[0] if batch.single else answer
        return Trial(mask.frPyObjects, (batch.given, *size), {}, answer)
    boxes = len(rings[0]) == 4
    answer = coco.frPyObjects(np.array(rings, float) if boxes else rings, *size)
    if boxes and rng.random() < 0.5:
        rings = np.array(rings)
    elif rng.random() < 0.3:
        rings, answer = rings[0], answer[0]
    return Trial(mask.frPyObjects, (rings, *size), {}, answer)


def some_rings(rng: random.Random) -> list[list[float]]:
    reach = rng.choice((10, 80, 400, 3000))
    kinds = (lambda: rng.randint(-9, reach), lambda: rng.uniform(-reach, reach))
    number, length = rng.choice(kinds), rng.choice((4, 6, 7, 8, 30))
    lengths = [length + (length > 4) * rng.randint(0, 3) for _ in range(rng.randint(1, 4))]
    return [[number() for _ in range(n)] for n in lengths]


def objects_of_junk(rng: random.Random) -> Trial:
    rings: Any = some_rings(rng)
    k, size = rng.randrange(len(rings)), [64, 80]
    kind = rng.randrange(4)
    if kind == 0:
        rings[k][rng.randrange(len(rings[k]))] = rng.choice(JUNK)
    elif kind == 1:
        rings[k] = rng.choice(JUNK)
    elif kind == 2:
        size = rng.sample((*NUMBERS, 2**20, 2**40, 50), 2)
    else:
        rings = rng.choice(JUNK)
    return Trial(all_sound, (rings, *size), {}, ANYTHING)


def all_sound(pyobj: Any, h: Any, w: Any) -> None:
    """Junk may be accepted, but the results must be masks."""
    made = mask.frPyObjects(pyobj, h, w)
    for rle in [made] if isinstance(made, dict) else made:
        assert naive.read_rle(rle), rle


def to_label_map(rng: random.Random) -> Trial:
    batch, dtype = a_batch(rng, single=False), np.dtype(rng.choice("BHI"))
    masks, fits = batch.pixels(), True
    labels = [rng.choice((0, 1, 2, 200, np.iinfo(dtype).max)) for _ in batch.read]
    overlap = rng.choice(("last", "first", "largest", "smallest"))
    options: dict[str, Any] = {"labels": labels, "overlap": overlap, "dtype": dtype}
    shape = masks[0].shape if masks else (0, 0)
    if rng.random() < 0.5:
        options["out"], fits = a_frame(rng, shape, dtype, "C")
    answer: Any = REFUSED
    if masks is not None and fits:
        rank: Any = {
            "last": lambda k: k,
            "first": lambda k: -k,
            "largest": lambda k: (naive.area(masks[k]), k),
            "smallest": lambda k: (-naive.area(masks[k]), k),
        }[overlap]
        order = sorted(range(len(masks)), key=rank)
        painted = naive.semantic([masks[k] for k in order], [labels[k] for k in order], shape)
        answer = painted.astype(dtype)
    return Trial(mask.to_label_map, (batch.given,), *with_junk(rng, options, answer))


def paint(rng: random.Random) -> Trial:
    """Masks over a frame of any type and strides, with channels or without."""
    batch, dtype = a_batch(rng), np.dtype(rng.choice("BBBHIQbhiqfd?"))
    n, masks = len(batch.read), batch.pixels()
    shape: tuple[int, ...] = masks[0].shape if masks else a_shape(rng)
    fits = rng.random() > 0.04
    shape = shape if fits else (shape[0] + 1, shape[1])
    channels = (rng.choice((0, 1, 3, 4)),) if rng.random() < 0.3 else ()
    around, view = some_view(rng, (*shape, *channels), dtype)
    per_mask, values_fit = some_values(rng, (n, *channels), dtype)
    values: Any = per_mask
    if rng.random() < 0.3 and per_mask.size:
        values = per_mask[0] if channels else per_mask.tolist()[0]
        per_mask = np.broadcast_to(values, per_mask.shape)
    answer: Any = REFUSED
    if not n:
        answer = around.copy()
    elif masks is not None and fits and values_fit:
        answer = around.copy()
        for pixels, value in zip(masks, per_mask, strict=True):
            answer[view][pixels > 0] = value
    if rng.random() < 0.3 and isinstance(values, np.ndarray):
        values = values.tolist()
    if rng.random() < 0.03:
        values, answer = rng.choice(JUNK), ANYTHING
    return Trial(paint_in_place, (batch.given, around, view, values), {}, answer)


def some_view(
    rng: random.Random, shape: tuple[int, ...], dtype: np.dtype
) -> tuple[np.ndarray, tuple[slice, ...]]:
    """An array, and which part of it has a shape: strides of any sign, pixels around it."""
    steps = [rng.choice((1, 1, 1, 2, -1, -3)) for _ in shape]
    sides = [abs(step) * n + 2 for step, n in zip(steps, shape, strict=True)]
    noise = np.frombuffer(rng.randbytes(math.prod(sides)), np.uint8) % 99
    around = np.asarray(noise.reshape(sides).astype(dtype), order=rng.choice("CF"))
    view = tuple(
        slice(1, 1 + n * step, step) if step > 0 else slice(-step * n, 0, step)
        for n, step in zip(shape, steps, strict=True)
    )
    return around, view


def some_values(
    rng: random.Random, shape: tuple[int, ...], dtype: np.dtype
) -> tuple[np.ndarray, bool]:
    """Numbers of a shape, and whether pixels of a type hold them."""
    limits = (0, 1) if dtype.kind == "b" else (-(2**15), 2**15)
    low, high = (np.iinfo(dtype).min, np.iinfo(dtype).max) if dtype.kind in "ui" else limits
    kind = dtype if dtype.kind in "ui" else np.int64
    numbers = [rng.choice((low, 0, 1, high)) for _ in range(math.prod(shape))]
    values = np.array(numbers, kind).reshape(shape)
    if rng.random() < 0.06 and values.size and dtype.kind != "f":
        wrong = rng.choice((values.astype(float) + 0.5, np.full(shape, high + 1, object)))
        return wrong, False
    return values, True


def paint_in_place(masks: Any, around: Any, view: tuple[slice, ...], values: Any) -> Any:
    """Paint a view and return the array that it is part of; what is refused paints nothing."""
    frame, before = around[view], around.copy()
    try:
        assert mask.paint(masks, frame, values) is frame
    except MtfastError:
        assert np.array_equal(around, before), "painted and refused"
        raise
    return around


def shaped(rng: random.Random) -> Trial:
    """Crop, pad, erode and components of small masks."""
    shape = rng.choice(((1, 9), (9, 1), (12, 13), (0, 4), (4, 0), (33, 5)))
    batch = a_batch(rng, shape)
    a, b, c, d = (rng.choice((0, 0, 1, 2, 3, 5)) for _ in range(4))
    value, connectivity = rng.randrange(2), rng.choice((4, 8))
    function, arguments, twin = rng.choice(
        (
            (mask.crop, (a, b, c, d), lambda p: p[a : a + c, b : b + d]),
            (
                mask.pad,
                (a, b, c, d, value),
                lambda p: np.pad(p, ((a, b), (c, d)), constant_values=value),
            ),
            (
                mask.erode,
                (a, connectivity, value),
                lambda p: naive.eroded(p, a, connectivity, value),
            ),
            (mask.components, (connectivity,), lambda p: naive.components(p, connectivity)),
        )
    )
    answer: Any = REFUSED
    if None not in batch.read:
        masks = [naive.mask_of_counts(counts, *size) for *size, counts in batch.read]
        if function is mask.components:
            if batch.single and masks[0].size <= 500:
                answer = [coco_rle(part) for part in twin(masks[0])]
            elif batch.single:
                answer = ANYTHING
        elif function is not mask.crop or all(
            a + c <= pixels.shape[0] and b + d <= pixels.shape[1] for pixels in masks
        ):
            answer = [coco_rle(twin(pixels)) for pixels in masks]
            answer = answer[0] if batch.single else answer
    if rng.random() < 0.1:
        k = rng.randrange(len(arguments))
        arguments = (*arguments[:k], rng.choice(JUNK), *arguments[k + 1 :])
        answer = ANYTHING
    return Trial(function, (batch.given, *arguments), {}, answer)


def inside(masks: Any) -> int | list[int]:
    """Areas of the polygons of masks, by the shoelace formula."""

    def area_of(polygons: list[mask.Polygon]) -> int:
        rings = [ring for polygon in polygons for ring in (polygon.outer, *polygon.holes)]
        following = [np.roll(ring, -1, axis=0) for ring in rings]
        pairs = zip(rings, following, strict=True)
        return sum(int((a[:, 0] * b[:, 1] - b[:, 0] * a[:, 1]).sum()) for a, b in pairs) // 2

    found = mask.polygons(masks)
    if isinstance(masks, Mapping):
        return area_of(found)
    return [area_of(polygons) for polygons in found]


def outline(rng: random.Random) -> Trial:
    """Polygons of small masks."""
    batch = a_batch(rng, rng.choice(((1, 9), (9, 1), (12, 13), (0, 4), (4, 0), (33, 5))))
    answer: Any = REFUSED
    if None not in batch.read:
        answer = [int(np.sum(counts[1::2])) for _, _, counts in batch.read]
        answer = answer[0] if batch.single else answer
    return Trial(inside, (batch.given,), {}, answer)


TARGETS: tuple[Callable[[random.Random], Trial], ...] = (
    *(decode, area, box, to_uncompressed, validate, merge, iou, iou_of_boxes, encode),
    *(from_label_map, objects, objects_of_junk, to_label_map, shaped, outline, paint),
)


def make_trial(seed: int, number: int) -> Trial:
    rng = random.Random(f"{seed}/{number}")
    return rng.choice(TARGETS)(rng)


if __name__ == "__main__":
    main(make_trial, __doc__)
