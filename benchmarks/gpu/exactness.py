"""Whether batches made on the device, and masks encoded there, are those of the CPU."""

from collections.abc import Iterator
from itertools import chain, islice, repeat
from typing import Any

import numpy as np
import pycocotools.mask
import torch

import mtfast
from benchmarks import data
from benchmarks.gpu.work import Cells, Work
from mtfast import gpu
from mtfast.loaders import Augment
from mtfast.loaders import gpu as on_device
from mtfast.loaders import torch as on_cpu

THREADS = "threads:8"
MEMORIES = ("device", "host", "disk")


def samples(work: Work) -> dict[str, dict[str, Any]]:
    """Return the datasets that are compared."""
    usual = work.amount.crops[1]
    return {
        "mirrored, turned, near instances": {"crop": usual, "augment": Augment(near=0.5)},
        "scaled, not square": {
            "crop": (usual // 2 - 3, usual + 5),
            "augment": Augment(scale=(0.5, 2)),
        },
        "scaled a little, BGR": {
            "crop": usual,
            "augment": Augment(near=1.0, scale=(0.8, 1.25)),
            "image_format": "BGR",
        },
        "whole images": {"augment": Augment(turn=False)},
        "middle, crowds ignored": {"crop": usual, "crowds": "ignore"},
    }


def loaders(work: Work, name: str) -> Iterator[Cells]:
    """Compare batches with those of the CPU's loader, tensor by tensor."""
    n, batch = work.amount.exact
    for kind, options in samples(work).items():
        with on_cpu.Loader(on_cpu.Dataset(work.store, **options), batch, workers=THREADS) as loader:
            expected = list(islice(loader, n))
        for memory in MEMORIES:
            data_set = on_cpu.Dataset(work.store, **options)
            with on_device.Loader(data_set, batch, device=work.device, memory=memory) as loader:
                found = list(islice(loader, n))
            tensors, wrong = differences(expected, found)
            yield f"{name}, {kind}, {memory}", *_verdict(tensors, wrong), ""


def mixtures(work: Work) -> Iterator[Cells]:
    """Compare batches of a mixture: of a set, and of the same with other views."""
    n, batch = work.amount.exact
    for memory in MEMORIES:

        def mixed() -> on_cpu.Dataset:
            options = {"crop": work.amount.crops[0], "augment": Augment(near=0.5)}
            sets = [on_cpu.Dataset(work.store, seed=seed, **options) for seed in (0, 1)]
            return on_cpu.Dataset.mix(sets, shares=[2, 1])

        with on_cpu.Loader(mixed(), batch, workers=THREADS) as loader:
            expected = list(islice(loader, n))
        with on_device.Loader(mixed(), batch, device=work.device, memory=memory) as loader:
            found = list(islice(loader, n))
        yield f"a mixture, {memory}", *_verdict(*differences(expected, found)), ""


def crops(work: Work) -> Iterator[Cells]:
    """Compare windows and images of a split that are decoded on their own."""
    split = mtfast.open(work.store)["train"]
    n, side = work.amount.exact[1], work.amount.crops[0]
    rng = np.random.default_rng(data.SEED)
    height, width = work.amount.size
    places = rng.integers([len(split), height - side + 1, width - side + 1], size=(n, 3)).tolist()
    windows = [(*place, side, side) for place in places]
    found = split.crops_gpu(windows, work.device)
    wrong = sum(
        not np.array_equal(one.permute(1, 2, 0).cpu().numpy(), split.crop_image(*window))
        for one, window in zip(found, windows, strict=True)
    )
    yield "crops_gpu", *_verdict(n, wrong), "crop_image"
    images = split.images_gpu([0, len(split) - 1], work.device).permute(0, 2, 3, 1).cpu().numpy()
    expected = [split.image(0), split.image(len(split) - 1)]
    wrong = sum(not np.array_equal(*pair) for pair in zip(images, expected, strict=True))
    yield "images_gpu", *_verdict(2, wrong), "image"


def states(work: Work) -> Iterator[Cells]:
    """Change from one loader to the other in the middle of an epoch."""
    n, batch = work.amount.exact
    options = {"crop": work.amount.crops[0], "augment": Augment(), "targets": ["semantic"]}

    def make(is_device: bool) -> on_cpu.Loader:
        dataset = on_cpu.Dataset(work.store, **options)
        if is_device:
            return on_device.Loader(dataset, batch, device=work.device)
        return on_cpu.Loader(dataset, batch)

    with make(False) as loader:
        expected = list(islice(chain.from_iterable(repeat(loader)), n + 1))
    for first in (True, False):
        with make(first) as loader:
            iterator = iter(loader)
            found = [next(iterator)]
            state = loader.state_dict()
        with make(not first) as loader:
            loader.load_state_dict(state)
            found += islice(chain.from_iterable(repeat(loader)), n)
        tensors, wrong = differences(expected, found)
        way = "from the GPU to the CPU" if first else "from the CPU to the GPU"
        yield f"resumed in mid-epoch, {way}", *_verdict(tensors, wrong), ""


def masks(work: Work) -> Iterator[Cells]:
    """Compare mtfast.gpu with pycocotools."""
    rng = np.random.default_rng(data.SEED)
    counts = dict.fromkeys(("encode", "logits", "label map", "decode", "area", "bbox", "iou"), 0)
    wrong = dict(counts)
    for k in range(4 * work.amount.exact[0]):
        height, width = (int(side) for side in rng.integers(1, 400, 2))
        share = float(rng.choice([0, 0.02, 0.5, 0.98, 1]))
        pixels = (rng.random((3, height, width)) < share).astype(np.uint8)
        if k % 2:
            # A block, as an object has it.
            pixels = pixels & (rng.random(pixels.shape) < 0.01).astype(np.uint8)
            pixels[:, height // 3 : height // 2, width // 4 :] = 1
        for name, is_equal in _comparisons(pixels, work.device):
            counts[name] += 1
            wrong[name] += not is_equal
    for name in counts:
        yield f"mtfast.gpu, {name}", *_verdict(counts[name], wrong[name]), "pycocotools"


def _comparisons(pixels: np.ndarray, device: torch.device) -> Iterator[tuple[str, bool]]:
    expected = [pycocotools.mask.encode(np.asfortranarray(mask)) for mask in pixels]
    on = torch.from_numpy(pixels).to(device)
    yield "encode", gpu.encode(on) == expected
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        yield "logits", gpu.encode((on.to(dtype) - 0.5) * 3, threshold=0) == expected
    labels = np.where(pixels[0], 7, np.where(pixels[1], 3, 0))
    numbers = [number for number in (3, 7) if (labels == number).any()]
    of_labels = [pycocotools.mask.encode(np.asfortranarray(labels == k)) for k in numbers]
    ((found, rles),) = gpu.from_label_map(torch.from_numpy(labels).to(device)[None])
    yield "label map", (found.tolist(), rles) == (numbers, of_labels)
    yield "decode", torch.equal(gpu.decode(expected, device), on)
    yield "area", gpu.area(expected, device).tolist() == pycocotools.mask.area(expected).tolist()
    yield "bbox", gpu.bbox(expected, device).tolist() == pycocotools.mask.toBbox(expected).tolist()
    crowds = [0, 1, 0]
    overlaps = pycocotools.mask.iou(expected, expected, crowds)
    mine = gpu.iou(expected, expected, crowds, device)
    # Where there is nothing to divide by, pycocotools has what is not a number.
    yield "iou", bool(np.array_equal(np.nan_to_num(mine.cpu().numpy()), np.nan_to_num(overlaps)))


def differences(expected: list[Any], found: list[Any]) -> tuple[int, int]:
    """Return how many tensors were compared, and how many differ."""
    tensors = wrong = 0
    if len(expected) != len(found):
        return 1, 1
    for one, other in zip(expected, found, strict=True):
        if list(one) != list(other):
            return 1, 1
        for key in one:
            pairs = [(one[key], other[key])]
            if isinstance(one[key], list):
                wrong += len(one[key]) != len(other[key])
                pairs = list(zip(one[key], other[key], strict=False))
            tensors += len(pairs)
            wrong += sum(not _same(a, b) for a, b in pairs)
    return tensors, wrong


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str):
        return bool(one == other)
    layout = one.dtype == other.dtype and one.stride() == other.stride()
    return layout and torch.equal(one, other.cpu())


def _verdict(n: int, wrong: int) -> tuple[str, str, str]:
    return f"{n:,} compared", f"{wrong:,} differ", "✓" if n and not wrong else "✗"
