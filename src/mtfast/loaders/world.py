"""Which of several training processes this one is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch.distributed

from mtfast.errors import MtfastError

__all__ = ["distributed_world", "world_of"]


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


def world_of(rank: int | None, ranks: int | None) -> Callable[[], tuple[int, int]]:
    """Return what tells the number of this process and of all.

    Parameters
    ----------
    rank, ranks : int, optional
        By default ``torch.distributed`` is asked at each call.

    Returns
    -------
    callable
        It returns both numbers, and pickles.

    Raises
    ------
    MtfastError
        If one is given without the other.

    Examples
    --------
    >>> world_of(1, 4)()
    (1, 4)
    """
    if rank is not None and ranks is not None:
        return partial(_given, rank, ranks)
    if rank is not None or ranks is not None:
        raise MtfastError(
            f"rank {rank} of {ranks} ranks; expected both numbers or neither; give the other one"
        )
    return distributed_world


def _given(rank: int, ranks: int) -> tuple[int, int]:
    return rank, ranks
