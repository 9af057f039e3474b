"""Masks on the device to COCO RLE, beside a copy to the host and the libraries there."""

from collections.abc import Iterator

import numpy as np
import pycocotools.mask
import torch

from benchmarks import data
from benchmarks.gpu.peers import has_module
from benchmarks.gpu.work import Cells, Work
from benchmarks.table import amount as shown
from benchmarks.table import times
from mtfast import gpu

AIM = 5e-6
# Copied and encoded on the CPU, which takes milliseconds a mask.
FEW = 10


def encode(work: Work) -> Iterator[Cells]:
    """Time masks of a flake each, as a network predicts them."""
    n, size = work.amount.masks, work.amount.size
    rles = data.masks("flake", size, n)
    masks = gpu.decode(rles, work.device)
    (ours,) = work.seconds(lambda _: gpu.encode(masks))
    ours /= n
    verdict = f"{'✓' if ours <= AIM else '✗'} {shown(AIM)}"
    name = f"encode {n} masks of {size[0]} x {size[1]}"
    yield f"{name}, mtfast.gpu", f"{shown(ours)} a mask", f"{1 / ours:,.0f}/s", verdict, ""
    for peer, encode_one in _peers().items():
        few = masks[:FEW]

        def job(_: int, few: torch.Tensor = few, encode_one: object = encode_one) -> list[object]:
            return [encode_one(mask) for mask in few.cpu().numpy()]

        (theirs,) = work.seconds(job, rounds=2)
        theirs /= len(few)
        ratio = f"mtfast.gpu is {times(theirs / ours)} as fast"
        yield f"copy, {peer}", f"{shown(theirs)} a mask", f"{1 / theirs:,.0f}/s", "", ratio
    logits = masks.to(torch.float16) - 0.5
    (taken,) = work.seconds(lambda _: gpu.encode(logits, threshold=0))
    yield "encode, float16 logits", f"{shown(taken / n)} a mask", f"{n / taken:,.0f}/s", "", ""
    (taken,) = work.seconds(lambda _: gpu.decode(rles, work.device))
    yield "decode", f"{shown(taken / n)} a mask", f"{n / taken:,.0f}/s", "", ""
    (taken,) = work.seconds(lambda _: gpu.iou(rles, rles, None, work.device))
    yield f"iou of {n} x {n}", shown(taken), "", "", ""


def _peers() -> dict[str, object]:
    peers = {"pycocotools": lambda mask: pycocotools.mask.encode(np.asfortranarray(mask))}
    if has_module("rlemasklib"):
        import rlemasklib

        peers["rlemasklib"] = rlemasklib.encode
    return peers
