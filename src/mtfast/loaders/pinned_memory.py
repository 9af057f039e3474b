"""Page-locked memory, from which batches reach a GPU faster."""

from __future__ import annotations

from collections.abc import Callable

import torch

from mtfast.loaders.batches import PackedBatch
from mtfast.loaders.slots import Slots

__all__ = ["pin_slots", "pinned"]


def pin_slots(slots: Slots) -> None:
    """Lock the pages of all slots, if there is a GPU.

    Parameters
    ----------
    slots : Slots
        One that was lent is then free when the GPU has done what its current stream was given
        until the slot was left.
    """
    if torch.cuda.is_available():
        runtime = torch.cuda.cudart()
        address, n_bytes = slots.all_bytes.ctypes.data, slots.all_bytes.size
        torch.cuda.check_error(int(runtime.cudaHostRegister(address, n_bytes, 0)))
        slots.when_freed(runtime.cudaHostUnregister, address)
        slots.wait_for(_mark_copies)


def _mark_copies() -> Callable[[], bool]:
    """Return what says whether the GPU has done all that this stream was given until now.

    ``to(device, non_blocking=True)`` returns before it has read the memory. Torch watches over
    copies of pages that it has locked itself, but not of these.
    """
    if not torch.cuda.is_initialized():
        return _yes  # In a forked process.
    event = torch.cuda.Event()
    event.record()
    return event.query  # type: ignore[no-any-return]


def _yes() -> bool:
    return True


def pinned(batch: PackedBatch) -> PackedBatch:
    """Return a batch in page-locked memory; most are there already.

    Parameters
    ----------
    batch : PackedBatch

    Returns
    -------
    PackedBatch
        The batch itself, if it is there or there is no GPU.
    """
    if not torch.cuda.is_available() or batch.data.is_pinned():
        return batch
    return batch._replace(data=batch.data.pin_memory())
