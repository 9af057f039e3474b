"""Machine code as functions of Python."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

AT_EXIT = """
import numpy as np
import mtfast.mask as mask
from mtfast.kernels.rle import coco_string

class Ring:
    pass

# Freed with what is left, after the modules.
ring = Ring()
ring.itself, ring.functions = ring, [*vars(coco_string).values()]
rle = mask.encode(np.eye(4, dtype=np.uint8))
mask.area(rle), mask.decode(rle), mask.merge([rle, rle])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the allocator is the one of glibc")
def test_functions_outlive_the_modules_that_made_them():
    """A process that had done its work ended with a fault of memory, once it was large."""
    env = {**os.environ, "PYTHONMALLOC": "malloc", "MALLOC_PERTURB_": "2"}
    done = subprocess.run([sys.executable, "-c", AT_EXIT], env=env, check=False)
    assert done.returncode == 0
