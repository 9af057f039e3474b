"""Every operation of mtfast.mask, on masks from sparse to dense, in small and large frames."""

from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks import data
from mtfast import mask

SIZES = ("small", "large")
# Noise is for the pixels alone: no list of masks is as dense.
DENSITIES = data.KINDS[:3]
SINGLE = 4
BATCH = 30
MARGINS = (16, 16, 16, 16)


class Arguments:
    """What the operations are called with, made when it is asked for."""

    def __init__(self, frame: str, kind: str) -> None:
        self.kind = kind
        self.size = data.scale.frames[SIZES.index(frame)]
        self.window = tuple(side // 4 for side in self.size) + tuple(s // 2 for s in self.size)
        self.rles = data.masks(kind, self.size, BATCH)
        self.others = self.rles[1:] + self.rles[:1]
        self.frame = np.empty(self.size, np.uint8)

    @cached_property
    def pixels(self) -> np.ndarray:
        return mask.decode(self.rles)

    @cached_property
    def label_map(self) -> np.ndarray:
        return mask.to_label_map(self.rles)

    @cached_property
    def rings(self) -> list[list[float]]:
        return data.rings(self.kind, self.size, BATCH)


OPERATIONS = {
    "area": lambda a: mask.area(a.rles),
    "boundary": lambda a: mask.boundary(a.rles),
    "components": lambda a: mask.components(a.rles[0]),
    "crop": lambda a: mask.crop(a.rles, *a.window),
    "decode": lambda a: mask.decode(a.rles),
    "encode": lambda a: mask.encode(a.pixels),
    "erode": lambda a: mask.erode(a.rles),
    "flip": lambda a: mask.flip(a.rles, "horizontal"),
    "frPyObjects": lambda a: mask.frPyObjects(a.rings, *a.size),
    "from_label_map": lambda a: mask.from_label_map(a.label_map),
    "iou": lambda a: mask.iou(a.rles, a.others, [0] * BATCH),
    "merge": lambda a: mask.merge(a.rles),
    "merge, and": lambda a: mask.merge(a.rles, intersect=True),
    "pad": lambda a: mask.pad(a.rles, *MARGINS),
    "paint": lambda a: mask.paint(a.rles, a.frame, 1),
    "polygons": lambda a: mask.polygons(a.rles),
    "rot90": lambda a: mask.rot90(a.rles),
    "toBbox": lambda a: mask.toBbox(a.rles),
    "to_label_map": lambda a: mask.to_label_map(a.rles, out=a.frame),
    "to_uncompressed": lambda a: mask.to_uncompressed(a.rles),
    "validate": lambda a: mask.validate(a.rles),
}


class Batch:
    """A list of masks of one size."""

    params = (SIZES, DENSITIES, tuple(OPERATIONS))
    param_names = ("frame", "masks", "operation")

    def setup(self, frame: str, masks: str, operation: str) -> None:
        self.arguments = Arguments(frame, masks)
        self.time_batch(frame, masks, operation)

    def time_batch(self, frame: str, masks: str, operation: str) -> None:
        OPERATIONS[operation](self.arguments)


class BatchMemory:
    """Operations whose results are large: pixels, or a number for every pair of masks."""

    params = (SIZES, DENSITIES, ("decode", "encode", "from_label_map", "iou", "to_label_map"))
    param_names = ("frame", "masks", "operation")

    def setup(self, frame: str, masks: str, operation: str) -> None:
        self.arguments = Arguments(frame, masks)

    def peakmem_batch(self, frame: str, masks: str, operation: str) -> None:
        OPERATIONS[operation](self.arguments)


class Single:
    """A few masks <-> pixels, one after another."""

    params = (SIZES, data.KINDS)
    param_names = ("frame", "masks")

    def setup(self, frame: str, masks: str) -> None:
        size = data.scale.frames[SIZES.index(frame)]
        self.rles = data.masks(masks, size, SINGLE)
        self.frame = np.empty(size, np.uint8)
        self.in_f = [mask.decode(rle) for rle in self.rles]
        self.in_c = [mask.decode(rle, order="C") for rle in self.rles]
        self.time_encode_f(frame, masks)
        self.time_encode_c(frame, masks)
        self.time_decode_into(frame, masks)

    def time_decode_f(self, frame: str, masks: str) -> None:
        for rle in self.rles:
            mask.decode(rle)

    def time_decode_c(self, frame: str, masks: str) -> None:
        for rle in self.rles:
            mask.decode(rle, order="C")

    def time_decode_into(self, frame: str, masks: str) -> None:
        for rle in self.rles:
            mask.decode(rle, order="C", out=self.frame)

    def time_fill(self, frame: str, masks: str) -> None:
        """The least that decoding can take."""
        for _ in self.rles:
            self.frame.fill(0)

    def time_encode_f(self, frame: str, masks: str) -> None:
        for pixels in self.in_f:
            mask.encode(pixels)

    def time_encode_c(self, frame: str, masks: str) -> None:
        for pixels in self.in_c:
            mask.encode(pixels)


class Threads:
    """Decoding in two threads: its time as a fraction of one thread's time for the same work."""

    params = DENSITIES
    param_names = ("kind",)
    unit = "of one thread's time"
    CALLS = 200

    def setup(self, kind: str) -> None:
        self.arguments = [Arguments("large", kind) for _ in range(2)]
        self.track_two_threads(kind)

    def track_two_threads(self, kind: str) -> float:
        ours = []
        for n_threads in (1, 2) * 5:
            arguments = self.arguments[:n_threads]
            with ThreadPoolExecutor(n_threads) as pool:
                start = perf_counter()
                list(pool.map(self.decode, arguments, [self.CALLS // n_threads] * n_threads))
                ours.append(perf_counter() - start)
        return median(ours[1::2]) / median(ours[::2])

    def decode(self, arguments: Arguments, n_calls: int) -> None:
        for i in range(n_calls):
            mask.decode(arguments.rles[i % BATCH], order="C", out=arguments.frame)
