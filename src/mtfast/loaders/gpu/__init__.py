"""Batches that are made on a GPU, and masks painted there.

::

    Dataset --> coded_set    files, crop entries and runs of the set, in the memory of the device
                    |        or of the host
    sampler --> maker        views of a batch, planned at once; kernels decode, resize and paint
                    |
                 loader      batches ahead of the training step, on a stream of their own

Kernels are in :mod:`mtfast.kernels.device`.
"""

try:
    import torch as _torch  # noqa: F401
except ImportError:
    from mtfast.errors import MtfastError

    raise MtfastError(
        "a loader for a GPU, but no 'torch'; expected it to be installed; "
        "run: pip install 'mtfast[gpu]'"
    ) from None

from mtfast.loaders.gpu.loader import Loader
from mtfast.loaders.gpu.nvjpeg import decode_jpegs
from mtfast.loaders.gpu.painting import paint, paint_instances
from mtfast.public import public_names

__all__ = ["Loader", "decode_jpegs", "paint", "paint_instances"]


def __dir__() -> list[str]:
    return public_names(globals())
