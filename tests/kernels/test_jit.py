"""The compile cache: shared, keyed on what matters, and safe to start on when empty."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import mtfast.kernels
from mtfast.kernels.jit import cache_key

KERNELS = Path(mtfast.kernels.__file__).parent
# One that takes little time to compile.
USE_KERNELS = """
import numpy as np
from mtfast.kernels.operations import setops
counts = np.empty(5, np.int64)
masks = np.array([1, 2, 1]), 3, np.array([2, 2]), 2
n = setops.combine_counts(*masks, setops.OR, counts)
assert counts[:n].tolist() == [1, 3], counts
print(len(setops.combine_counts.stats.cache_misses))
"""


def use_kernels(cache, **environment) -> str:
    done = subprocess.run(
        [sys.executable, "-c", USE_KERNELS],
        capture_output=True,
        text=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(cache)} | environment,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_eight_processes_start_on_an_empty_cache(tmp_path):
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: use_kernels(tmp_path), range(8)))
    assert use_kernels(tmp_path) == "0"
    (folder,) = tmp_path.iterdir()
    assert folder.name.startswith("kernels-")
    files = {p.name for p in folder.rglob("*.nbc")}
    assert any("setops.combine_counts" in name for name in files)


def test_checked_code_has_a_cache_of_its_own(tmp_path):
    for checked in "01":
        use_kernels(tmp_path, NUMBA_BOUNDSCHECK=checked)
    assert len(list(tmp_path.iterdir())) == 2


def test_the_users_numba_configuration_stays(tmp_path):
    script = USE_KERNELS + "import numba; print(numba.config.CACHE_DIR)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)},
    )
    assert done.stdout.split()[-1] == str(tmp_path)


@pytest.mark.parametrize("changed", sorted(KERNELS.rglob("*.py")), ids=lambda p: p.stem)
def test_a_change_of_any_source_of_the_kernels_compiles_anew(changed, tmp_path):
    copied = tmp_path / "kernels"
    shutil.copytree(KERNELS, copied)
    before = cache_key(copied)
    assert before == cache_key(KERNELS)
    with (copied / changed.relative_to(KERNELS)).open("a") as source:
        source.write("# changed")
    assert cache_key(copied) != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_cache_folder_without_rights(tmp_path):
    tmp_path.chmod(0o500)
    use_kernels(tmp_path / "locked")


def test_kernels_run_as_plain_python():
    script = USE_KERNELS[: USE_KERNELS.index("print")] + "print('plain')"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
    )
    assert done.stdout == "plain\n", done.stderr
