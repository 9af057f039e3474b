"""Kernels of several phases, compared with loops in Python, and kernels that make no sense."""

from __future__ import annotations

import importlib
import pkgutil
from types import SimpleNamespace

import numpy as np
import pytest

from mtfast.kernels.device import window_table
from mtfast.kernels.device.twice import (
    DeviceFunction,
    DeviceKernel,
    device_function,
    device_kernel,
    dtype_of,
)
from mtfast.kernels.jit import i32
from strict_runs import OutsideError, run_strictly

THREADS = 8


@device_function
def doubled(value):
    return i32(value + value)


@device_function
def doubled_and_one(value):
    """A helper that calls another one."""
    return i32(doubled(value) + 1)


@device_function
def add_others(bx, by, t, scratch, numbers, n, sums):
    """Sum what all threads of the block have kept, which is there after the barrier only."""
    total = i32(0)
    for k in range(THREADS):
        total = i32(total + scratch[k])
    if t == 0:
        sums[by * n + bx] = total
    scratch[t] = 0


@device_function
def count_zeros(bx, by, t, scratch, numbers, n, sums):
    if t == 0:
        for k in range(THREADS):
            sums[by * n + bx] += scratch[k]


@device_kernel("i32[] i64 i32[]", THREADS, scratch=("i32", THREADS), then=[add_others, count_zeros])
def sums_of_blocks(bx, by, t, scratch, numbers, n, sums):
    """Keep a number of each thread."""
    scratch[t] = doubled_and_one(numbers[(by * n + bx) * THREADS + t])


@pytest.mark.parametrize("run", [DeviceKernel.run, run_strictly])
def test_phases_wait_for_each_other(rng, run):
    numbers = rng.integers(-1000, 1000, 3 * 2 * THREADS, np.int32)
    sums = np.zeros(6, np.int32)
    run(sums_of_blocks, (3, 2), numbers, 3, sums)
    assert sums.tolist() == (2 * numbers + 1).reshape(6, THREADS).sum(axis=1).tolist()


def test_no_blocks():
    sums = np.full(1, 7, np.int32)
    sums_of_blocks.run((0, 1), np.zeros(0, np.int32), 3, sums)
    sums_of_blocks.run((1, 0), np.zeros(0, np.int32), 3, sums)
    assert sums.tolist() == [7]


def test_helpers_are_plain_functions():
    assert doubled_and_one(4) == 9
    assert doubled_and_one.__name__ == "doubled_and_one"
    assert doubled_and_one.__doc__ == "A helper that calls another one."


def test_helpers_are_compiled_with_what_they_call():
    """Each helper is compiled once where it is called, and replaced where a device has it."""
    compiled = []

    def compile_(function):
        compiled.append(function.__name__)
        return function

    library = SimpleNamespace(there="the device's own")
    cuda = SimpleNamespace(libdevice=library, jit=lambda device: compile_)
    assert doubled_and_one.on_device(cuda)(4) == 9
    assert compiled == ["doubled", "doubled_and_one"]
    own = DeviceFunction(doubled.function, on_device="there")
    assert own.on_device(cuda) == "the device's own"
    assert own.on_host(4) == 8


def test_wrong_arguments():
    numbers, sums = np.zeros(THREADS, np.int32), np.zeros(1, np.int32)
    with pytest.raises(TypeError, match="sums_of_blocks given int64; expected i32"):
        sums_of_blocks.run((1, 1), numbers.astype(np.int64), 1, sums)
    with pytest.raises(ValueError, match="is longer"):
        sums_of_blocks.run((1, 1), numbers, 1)
    with pytest.raises(ValueError, match="is shorter"):
        sums_of_blocks.run((1, 1), numbers, 1, sums, 2)


def test_declarations():
    """A type for each argument, after those that every body has."""
    with pytest.raises(TypeError, match=r"f\('bx', 'by', 't', 'scratch', 'out'\).*expected one"):

        @device_kernel("i32[] i64", 32)
        def f(bx, by, t, scratch, out):
            out[0] = 1

    with pytest.raises(TypeError, match="expected one for each"):

        @device_kernel("i32[]", 32)
        def g(bx, t, scratch, by, out):
            out[0] = 1

    assert dtype_of("u16[]") == np.uint16
    assert dtype_of("f32") == np.float32


def test_strict_runs_refuse_places_from_the_end():
    """What numba's bounds checks let pass."""

    @device_kernel("i32[]", 1)
    def last(bx, by, t, scratch, out):
        out[-1] = 1

    out = np.zeros(3, np.int32)
    last.run((1, 1), out)
    assert out.tolist() == [0, 0, 1]
    with pytest.raises(OutsideError, match=r"out\[-1\] of 3"):
        run_strictly(last, (1, 1), out)


def test_fields_of_windows_are_in_order():
    """Each has a place of its own, and none is left out."""
    names = [n for n in window_table.__all__ if n != "FIELDS" and not n.startswith("KIND_")]
    numbers = sorted(getattr(window_table, name) for name in names)
    assert numbers == list(range(window_table.FIELDS))
    kinds = [getattr(window_table, n) for n in window_table.__all__ if n.startswith("KIND_")]
    assert 0 not in kinds
    assert len(set(kinds)) == len(kinds)
    # The view, as mtfast.loaders.views.View has it.
    view = [getattr(window_table, n) for n in ("VIEW_Y", "VIEW_X", "VIEW_H", "VIEW_W")]
    view += [window_table.HEIGHT, window_table.WIDTH, window_table.MIRRORED, window_table.TURNS]
    assert view == list(range(view[0], view[0] + 8))


def test_kernels_have_names_of_their_own():
    """Machine code of a device is looked up by them."""
    import mtfast.kernels.device

    modules = [
        importlib.import_module(f"mtfast.kernels.device.{module.name}")
        for module in pkgutil.iter_modules(mtfast.kernels.device.__path__)
    ]
    found = [value for module in modules for value in vars(module).values()]
    found += [v for value in found if isinstance(value, dict) for v in value.values()]
    kernels = {id(value): value for value in found if isinstance(value, DeviceKernel)}
    names = [kernel.name for kernel in kernels.values()]
    assert len(names) > 10
    assert len(set(names)) == len(names)
