"""Which of several training processes this one is."""

from __future__ import annotations

import torch.distributed

__all__ = ["distributed_world"]


def distributed_world() -> tuple[int, int]:
    """Return the rank of this process, and how many there are.

    Returns
    -------
    rank, ranks : int
        What ``torch.distributed`` says at this moment; (0, 1) if it is not initialised.

    Examples
    --------
    >>> distributed_world()
    (0, 1)
    """
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        return torch.distributed.get_rank(), torch.distributed.get_world_size()
    return 0, 1
