"""Training loaders: which samples in which order, which view of each, and as what.

    order ──► views ───► reader ──► torch ──► batches
    (sampler, (before    (pixels    (tensors, worker
    progress)  pixels)   of one)    processes)

Only ``torch``, ``forms`` and ``gpu`` import PyTorch.
"""

from mtfast.loaders.views import Augment

__all__ = ["Augment"]
