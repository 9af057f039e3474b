"""Training loaders: which samples in which order, which window of each, and as what.

    sampling ──► windows ──► reading ──► torch ──► batches
    (order,      (before     (pixels     (tensors, worker
    progress)    pixels)     of one)     processes)

Only ``torch``, ``forms`` and ``gpu`` import PyTorch.
"""
