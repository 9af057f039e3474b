"""Compile all kernels before the tests begin: each once, on all cores.

Workers of pytest-xdist import the kernels side by side, so that on an empty cache each of them
compiles all of them: 50 s of processor time in every worker, measured on two cores of an AMD EPYC.
"""

from __future__ import annotations

import re
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from graphlib import TopologicalSorter
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import mtfast.kernels
from mtfast.kernels.device.twice import DeviceKernel

KERNELS = Path(mtfast.kernels.__file__).parent


def is_empty() -> bool:
    """Whether kernels are kept on disk, and none is there."""
    from mtfast.kernels.code_folder import CODE_FOLDER

    return CODE_FOLDER.path is not None and not any(CODE_FOLDER.path.iterdir())


def load(name: str) -> None:
    """Import a module, and compile the host twins of its kernels of a GPU."""
    for value in vars(import_module(name)).values():
        if isinstance(value, DeviceKernel):
            value._host


def imports() -> dict[str, set[str]]:
    """Return the modules of kernels, each with those that it imports."""
    texts = {
        ".".join(("mtfast.kernels", *file.relative_to(KERNELS).with_suffix("").parts)): file
        for file in KERNELS.rglob("*.py")
        if file.name != "__init__.py"
    }
    pattern = re.compile(r"^ *from (mtfast\.kernels\.[\w.]+) import", re.MULTILINE)
    return {
        name: texts.keys() & set(pattern.findall(file.read_text())) for name, file in texts.items()
    }


def fill(n_processes: int) -> dict[str, BaseException]:
    """Import modules after those that they import, as an import compiles what is not on disk.

    Modules that import one that fails are left out. Tests say more of it: they import it, too.

    Parameters
    ----------
    n_processes : int

    Returns
    -------
    dict
        What modules failed with, by their names.
    """
    order = TopologicalSorter(imports())
    order.prepare()
    running: dict[Future[None], str] = {}
    failed: dict[str, BaseException] = {}
    with ProcessPoolExecutor(n_processes, get_context("spawn")) as pool:
        while running := running | {pool.submit(load, name): name for name in order.get_ready()}:
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                name, error = running.pop(future), future.exception()
                if error is None:
                    order.done(name)
                else:
                    failed[name] = error
    return failed
