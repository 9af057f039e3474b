"""Training loaders: which samples in which order, which view of each, and in which format.

    sampler ──► views ───► reader ──► torch ──► batches
    (order,     (before    (pixels    (tensors, worker
    progress)   pixels)    of one)    processes)

``epoch_order`` orders the samples of an epoch, and ``sampler`` counts those that were handed out;
``views`` chooses the window of an image and how it is mirrored and turned; ``reader`` reads that
view of the image and of its masks; ``batches`` says how samples travel between processes and
``forms`` what a model is given. ``torch`` is the door: its Dataset and Loader.

``reader``, ``sampler`` and ``views``, with all that they import, do without PyTorch.
"""

from mtfast.loaders.views import Augment
from mtfast.public import public_names

__all__ = ["Augment"]


def __dir__() -> list[str]:
    return public_names(globals())
