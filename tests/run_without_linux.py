"""Convert, index, masks, reads and loaders without what Windows or macOS lack; run as a process.

What is taken away: pread, fork, memfd, fadvise, affinity, flags of open, signal masks, locks and
hard links of the disk, and syncing a whole disk. Results are compared with those of this process
before.
"""

from __future__ import annotations

import errno
import fcntl
import multiprocessing
import os
import sys
import types
import warnings
from importlib.util import find_spec
from pathlib import Path

FUNCTIONS = ("pread", "posix_fadvise", "memfd_create", "fork", "sched_getaffinity", "getuid")
FLAGS = ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC")


def refuse(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSYS, "Function not implemented")


def take_away() -> None:
    """Take it away, here and in worker processes, which run this module as well."""
    flags = {name: vars(os).pop(name) for name in FLAGS}
    import mtfast.paths

    assert mtfast.paths
    # Other packages look for these on this system.
    vars(os).update(flags)
    import mtfast.atomic
    import mtfast.parallel

    for name in FUNCTIONS:
        vars(os).pop(name)
    # As os defines it where there is no affinity, from Python 3.13 on.
    os.process_cpu_count = os.cpu_count
    mtfast.atomic._syncfs = lambda: None
    mtfast.parallel.signal = types.SimpleNamespace()
    fcntl.flock = refuse
    os.link = refuse
    # That this disk has no locks, which it has not.
    warnings.filterwarnings("ignore", "flock not supported")


take_away()


def main(source: Path, folder: Path, scheduler: str) -> None:
    import numpy as np

    import mtfast
    from mtfast.conversion.crop_index import add_crop_index
    from mtfast.export import export_masks

    store = folder / "s.zarr"
    mtfast.convert(source, store, scheduler=scheduler)
    add_crop_index(store, scheduler=scheduler)
    # Processes take seconds to start, and do no more than threads here.
    forms = ("png", "tiff", "zarr") if scheduler == "threads" else ("png",)
    for form in forms:
        export_masks(store, folder / form, format=form, scheduler=scheduler)
    if scheduler == "threads":
        mtfast.convert(source, store, overwrite=True, crop_index=True)
        mtfast.derive_dataset(source, folder / "set", class_agnostic=True)
        # Its workers are processes of its own, whatever runs the jobs.
        load(store)
    read, table = mtfast.open(store), mtfast.open_source(source)
    for split in map(read.__getitem__, read):
        masks = mtfast.semantic(table.table(split.name, split.semantic_variant))
        for i, mask in enumerate(masks):
            assert np.array_equal(split.semantic(i), mask)
            assert split.image_bytes(i) == table.read_image(split.name, str(split.names[i]))
            assert np.array_equal(split.crop_image(i, 3, 5, 40, 50), split.image(i)[3:43, 5:55])
    print("all equal")


def load(store: Path) -> None:
    if find_spec("torch") is None:
        return
    from mtfast.loaders.torch import Dataset, Loader

    with_workers, without = (
        list(Loader(Dataset(store, "train"), batch_size=2, workers=workers)) for workers in (1, 0)
    )
    assert len(with_workers) == len(without)


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
