"""How often each image of a dataset was read, counted by all workers together.

``dataset[7]`` does not say in which epoch it is. So that a view does not come again in the next
epoch, its number is that of the earlier reads of the image, by whichever worker::

               main process   worker 0   worker 1
    image 0          0            2          0       each process writes into a column of its own,
    image 1          1            0          1       in memory that all of them share; the sum of
    image 2          0            1          1       a row is the number of the next view
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from multiprocessing.context import get_spawning_popen
from typing import Any

import numpy as np
import torch.utils.data
from numpy.typing import NDArray

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError
from mtfast.loaders.slots import shared_memory
from mtfast.loaders.world import distributed_world

__all__ = ["MOST_EPOCHS", "ReadCounts"]

MOST_EPOCHS = 2**31 - 1

# Workers beyond as many share columns: two that read one image at the same time may see one view.
_ROWS = 65


class ReadCounts:
    """Counts of the reads of each image since an epoch was set.

    Parameters
    ----------
    n : int
        Images of the set.

    Examples
    --------
    >>> reads = ReadCounts(3)
    >>> reads.count(1), reads.count(1), reads.count(2)
    (0, 1, 0)
    >>> reads.set_epoch(4)
    >>> reads.epoch, reads.count(1)
    (4, 0)
    """

    def __init__(self, n: int) -> None:
        self._n = n
        # The counts of an image are side by side. In the last place is the epoch.
        self._memory = shared_memory(4 * _ROWS * (n + 1))
        self._world = (0, 1)

    def __getstate__(self) -> dict[str, Any]:
        # Spawned workers do not know of torch.distributed what this process knows.
        state = self.__dict__ | {"_world": self._rank_of_ranks()}
        if get_spawning_popen() is None:
            # A copy counts for itself.
            state["_memory"] = self._table.sum(axis=1, dtype=np.int32)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if isinstance(self._memory, np.ndarray):
            counts, self._memory = self._memory, shared_memory(4 * _ROWS * (self._n + 1))
            self._table[:, 0] = counts

    @property
    def _table(self) -> NDArray[np.int32]:
        return np.frombuffer(self._memory, np.int32).reshape(self._n + 1, _ROWS)

    @property
    def epoch(self) -> int:
        """The epoch that was set; 0 at first."""
        return int(self._table[-1, 0])

    def set_epoch(self, epoch: int) -> None:
        """Count from 0 again in another epoch; go on counting in the same one.

        Parameters
        ----------
        epoch : int
        """
        if epoch != self.epoch:
            self._table[:-1] = 0
            self._table[-1, 0] = epoch

    def count(self, position: int) -> int:
        """Count a read.

        Parameters
        ----------
        position : int
            Of the image, from 0 on.

        Returns
        -------
        int
            The number of earlier reads; of several ranks each has numbers of its own.
        """
        counts = self._table[position]
        n = int(counts.sum())
        counts[self._column] += 1
        rank, ranks = self._rank_of_ranks()
        return n * ranks + rank

    @property
    def _column(self) -> int:
        worker = torch.utils.data.get_worker_info()
        return 0 if worker is None else 1 + int(worker.id) % (_ROWS - 1)

    def _rank_of_ranks(self) -> tuple[int, int]:
        found = distributed_world()
        return self._world if found == (0, 1) else found

    def state_dict(self) -> dict[str, Any]:
        """Return the epoch and the reads of this process, as a number and text."""
        reads = self._table[:-1, self._column].astype("<i4").tobytes()
        text = base64.b64encode(zlib.compress(reads, 1)).decode("ascii")
        return {"epoch": self.epoch, "reads": text}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the epoch and the reads of this process.

        Parameters
        ----------
        state : mapping
            What :meth:`state_dict` returned in the same worker.

        Raises
        ------
        MtfastError
            If it is of a set of another size, or no state.
        """
        try:
            epoch = as_integer("epoch", state["epoch"], 0, MOST_EPOCHS)
            reads = np.frombuffer(zlib.decompress(base64.b64decode(state["reads"])), "<i4")
        except (KeyError, TypeError, ValueError, MtfastError, zlib.error):
            raise MtfastError(
                "a state that is not one of a dataset; expected what state_dict returns; pass that"
            ) from None
        if reads.size != self._n:
            raise MtfastError(
                f"a state of a set of {reads.size} images; expected {self._n}; make the dataset as "
                f"it was made when the state was saved"
            )
        self._table[:-1, self._column] = reads
        self._table[-1, 0] = epoch
