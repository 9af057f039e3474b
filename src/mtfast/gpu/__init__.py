"""Masks made and measured on a device, without a frame leaving it: COCO RLE of PyTorch tensors.

What a network predicts lies on a GPU, and its RLE has a thousandth of the bytes. On a CUDA device
with numba-cuda all of this is done by kernels of :mod:`mtfast.kernels.device`, elsewhere by
PyTorch's own operations; both give the same bytes and numbers::

    from mtfast import gpu

    rles = gpu.encode(logits, threshold=0)          # (n, height, width) -> n dicts
    masks = gpu.decode(rles, "cuda")                # and back

=======================  ==========================================================
:mod:`.masks`            encode, encode_rles, encode_table
:mod:`.label_maps`       from_label_map
:mod:`.lists`            decode, area, bbox, iou
=======================  ==========================================================
"""

from mtfast.errors import MtfastError

try:
    import torch  # noqa: F401
except ImportError:
    raise MtfastError(
        "masks on a device, but no 'torch'; expected it to be installed; "
        "run: pip install 'mtfast[torch]'"
    ) from None

from mtfast.gpu.label_maps import from_label_map
from mtfast.gpu.lists import area, bbox, decode, iou
from mtfast.gpu.masks import encode, encode_rles, encode_table
from mtfast.public import public_names

__all__ = [
    "area",
    "bbox",
    "decode",
    "encode",
    "encode_rles",
    "encode_table",
    "from_label_map",
    "iou",
]


def __dir__() -> list[str]:
    return public_names(globals())
