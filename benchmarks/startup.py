"""What a user waits for before the first result; each benchmark starts a process of its own."""

import os
import pkgutil
import subprocess
import sys

import mtfast.kernels
from benchmarks import data

KERNELS = [m.name for m in pkgutil.walk_packages(mtfast.kernels.__path__, "mtfast.kernels.")]
MASK = "{'size': [2, 2], 'counts': b'22'}"
CALLS = {
    "encode": "import numpy, mtfast.mask as m; m.encode(numpy.eye(9, dtype='u1'))",
    "decode": f"import mtfast.mask as m; m.decode({MASK})",
    "area": f"import mtfast.mask as m; m.area({MASK})",
    "iou": f"import mtfast.mask as m; m.iou([{MASK}], [{MASK}], [0])",
}


class Startup:
    """From nothing to a first answer, with compiled kernels on disk."""

    def setup(self) -> None:
        self.time_first_kernel()

    def time_python(self) -> None:
        """The floor of all others."""
        _python("-c", "pass")

    def time_import(self) -> None:
        _python("-c", "import mtfast")

    def time_import_mask(self) -> None:
        _python("-c", "import mtfast.mask")

    def time_help(self) -> None:
        _python("-m", "mtfast", "--help")

    def time_first_kernel(self) -> None:
        _python(
            "-c",
            "import numpy, mtfast.rles.label_map as m; m.scan_labels(numpy.eye(9, dtype='u1'))",
        )


class FirstCall:
    """One operation, into an empty cache: only the kernels that it needs are compiled."""

    params = tuple(CALLS)
    param_names = ("operation",)
    number = 1
    repeat = 1
    warmup_time = 0
    timeout = 120

    def time_first_call(self, operation: str) -> None:
        with data.scratch() as folder:
            _python("-c", CALLS[operation], NUMBA_CACHE_DIR=folder)


class Compile:
    """All kernels, into an empty cache: once for each version of Python, numba and mtfast."""

    number = 1
    repeat = 1
    warmup_time = 0

    def time_compile(self) -> None:
        with data.scratch() as folder:
            _python("-c", f"import {', '.join(KERNELS)}", NUMBA_CACHE_DIR=folder)


def _python(*arguments: str, **environment: str) -> None:
    subprocess.run(
        [sys.executable, *arguments],
        check=True,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
    )
