"""What kernels accept as arguments, and what they make of the rest."""

from __future__ import annotations

import gc
import os
import pickle
import subprocess
import sys
import threading
import weakref

import numba
import numpy as np
import pytest

from mtfast.kernels import entries
from mtfast.kernels.jit import f64, i16, i64, kernel, pair, read, strided, u8, u16, u64, write

pytestmark = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="nothing is compiled")


@kernel(i64(read(i64)))
def add_all(numbers):
    total = 0
    for number in numbers:
        total += number
    return total


@kernel(i64(read(u8), write(u8)), i64(read(u16), write(u16)))
def double(numbers, out):
    for k in range(numbers.size):
        out[k] = numbers[k] + numbers[k]
    return numbers.itemsize


@kernel(i64(strided(u8)))
def columns_before_rows(frame):
    at = 1
    for x in range(frame.shape[1]):
        for y in range(frame.shape[0]):
            frame[y, x] = at
            at += 1
    return at


@kernel(i64(u8))
def small(number):
    return number


@kernel(i64(i16))
def short(number):
    return number


@kernel(u64(u64))
def same(number):
    return number


@kernel(i64(i64))
def signed(number):
    return number


@kernel(f64(f64))
def half(number):
    return number / 2


@kernel(pair(i64, i64))
def both(a, b):
    return b, a


@kernel(i64(i64, i64))
def quotient(a, b):
    return a // b


@kernel(i64(i64, read(i64), i64))
def between(a, numbers, b):
    return a + b + numbers.size


NUMBERS = np.arange(5)


def test_an_array_is_read():
    assert add_all(NUMBERS) == 10
    assert add_all(NUMBERS[2:]) == 9
    assert add_all(np.empty(0, np.int64)) == 0


def test_read_only_arrays_are_read():
    locked = NUMBERS.copy()
    locked.flags.writeable = False
    assert add_all(locked) == 10


def test_arrays_of_subclasses_are_read(tmp_path):
    NUMBERS.tofile(tmp_path / "numbers")
    assert add_all(np.memmap(tmp_path / "numbers", np.int64, "r")) == 10
    assert add_all(NUMBERS.view(np.recarray)) == 10


def test_both_of_numpys_types_for_an_integer_are_read():
    assert {np.dtype(code).num for code in "lq" if np.dtype(code) == np.int64} >= {7, 9} or (
        os.name == "nt"
    )
    for code in "lq":
        if np.dtype(code) == np.int64:
            assert add_all(NUMBERS.astype(code)) == 10


def test_a_dtype_that_is_another_object_is_the_same():
    """Those of unpickled arrays are; those with metadata are, too."""
    unpickled = pickle.loads(pickle.dumps(NUMBERS))
    assert unpickled.dtype is not NUMBERS.dtype
    assert add_all(unpickled) == 10
    assert add_all(NUMBERS.astype(np.dtype(np.int64, metadata={"a": 1}))) == 10


def test_the_signature_is_chosen_by_the_types():
    for dtype, size in ((np.uint8, 1), (np.uint16, 2)):
        out = np.zeros(3, dtype)
        assert double(np.array([1, 2, 3], dtype), out) == size
        assert out.tolist() == [2, 4, 6]


def test_strides_are_followed():
    for frame in (
        np.zeros((3, 2), np.uint8),
        np.zeros((3, 2), np.uint8, order="F"),
        np.zeros((6, 6), np.uint8)[::2, 1::3],
        np.zeros((3, 2), np.uint8)[::-1, ::-1],
    ):
        assert columns_before_rows(frame) == 7
        assert frame.tolist() == [[1, 4], [2, 5], [3, 6]]


READ_ONLY = np.zeros(3, np.uint8)
READ_ONLY.flags.writeable = False
UNALIGNED = np.zeros(41, np.uint8)[1:].view(np.int64)


@pytest.mark.parametrize(
    ("function", "arguments", "found"),
    [
        (add_all, (NUMBERS.astype(np.int32),), "int32 1-d"),
        (add_all, (NUMBERS.astype(np.uint64),), "uint64 1-d"),
        (add_all, (NUMBERS.astype(float),), "float64 1-d"),
        (add_all, (NUMBERS.astype(">i8"),), ">i8 1-d"),
        (add_all, (NUMBERS.astype("M8[ns]"),), "datetime64"),
        (add_all, (NUMBERS.astype(object),), "object 1-d"),
        (add_all, (NUMBERS.view([("a", "i8")]),), "'a'"),
        (add_all, (NUMBERS[::2],), "not contiguous"),
        (add_all, (NUMBERS[::-1],), "not contiguous"),
        (add_all, (UNALIGNED,), "not aligned"),
        (add_all, (NUMBERS[None],), "int64 2-d"),
        (add_all, (np.array(5),), "int64 0-d"),
        (add_all, ([0, 1],), "list [0, 1]"),
        (add_all, (5,), "int 5"),
        (add_all, (None,), "NoneType None"),
        (add_all, (b"bytes",), "bytes b'bytes'"),
        (add_all, (np.ndarray,), "type"),
        (add_all, (), "()"),
        (add_all, (NUMBERS, NUMBERS), "int64 1-d, "),
        (double, (READ_ONLY, READ_ONLY), "read-only uint8 1-d)"),
        (double, (np.zeros(3, np.uint8), np.zeros(3, np.uint16)), "uint8 1-d, uint16 1-d"),
        (columns_before_rows, (np.zeros((2, 2, 2), np.uint8),), "uint8 3-d"),
        (columns_before_rows, (np.zeros(2, bool),), "bool 1-d"),
        (signed, (2**63,), "int 9223372036854775808"),
        (signed, (-(2**63) - 1,), "int -9223372036854775809"),
        (signed, (1.0,), "float 1.0"),
        (signed, ("1",), "str '1'"),
        (signed, (NUMBERS,), "int64 1-d"),
        (same, (-1,), "int -1"),
        (same, (2**64,), "int 18446744073709551616"),
        (same, (1.5,), "float 1.5"),
        (small, (256,), "int 256"),
        (small, (-1,), "int -1"),
        (short, (2**15,), "int 32768"),
        (short, (-(2**15) - 1,), "int -32769"),
        (half, ("1",), "str '1'"),
        (half, (10**400,), "int 1000"),
        (half, (None,), "NoneType None"),
    ],
)
def test_other_arguments_are_refused(function, arguments, found):
    with pytest.raises(
        TypeError, match=f"^{function.__name__} got \\(.*\\); it takes \\("
    ) as error:
        function(*arguments)
    assert found in str(error.value)
    assert "\n" not in str(error.value)


def test_names_of_arguments_are_refused():
    with pytest.raises(TypeError):
        add_all(numbers=NUMBERS)


def test_numbers_have_all_their_bits():
    for number in (0, 1, -1, 2**63 - 1, -(2**63), True, np.int64(-7), np.uint8(7), np.array(3)):
        assert signed(number) == number
        assert type(signed(number)) is int
    for number in (0, 2**63, 2**64 - 1, np.uint64(2**64 - 1)):
        assert same(number) == number
    assert [small(number) for number in (0, 255)] == [0, 255]
    assert [short(number) for number in (-(2**15), 2**15 - 1)] == [-(2**15), 2**15 - 1]
    for number in (0.5, 3, np.float32(1.5), np.int64(4), -1.0):
        assert half(number) == number / 2


def test_two_results_are_a_tuple():
    assert both(1, -2) == (-2, 1)


def test_division_is_that_of_numpy():
    assert [quotient(-7, 2), quotient(7, -2)] == [-4, -4]
    assert quotient(1, 0) == 0


def test_an_object_that_changes_an_array_when_it_is_read():
    """Numbers are read before arrays are, so its memory is not used after it is gone."""
    numbers = np.zeros(1 << 20, np.int64)

    class Evil:
        def __index__(self):
            numbers.resize(3, refcheck=False)
            return 4

    assert between(1, numbers, Evil()) == 8


def test_an_error_of_an_object_is_not_left_behind():
    class Broken:
        def __index__(self):
            raise RuntimeError("broken")

        def __float__(self):
            raise RuntimeError("broken")

    for function in (signed, same, small, half):
        with pytest.raises(TypeError, match="Broken"):
            function(Broken())


def test_no_reference_is_kept_or_lost():
    class Number:
        def __index__(self):
            return 1 << 40

    number, big = Number(), 1 << 50
    array = np.zeros(4, np.int64)
    things = (number, big, array, array.dtype)
    before = [sys.getrefcount(thing) for thing in things]
    for _ in range(1000):
        signed(number), same(number), signed(big), add_all(array), both(big, number)
        with pytest.raises(TypeError):
            small(number)
        with pytest.raises(TypeError):
            double(array, array)
    after = [sys.getrefcount(thing) for thing in things]
    # Arrays of the whole process share a dtype.
    assert after[:3] == before[:3]
    assert abs(after[3] - before[3]) < 100
    gone = weakref.ref(number)
    del number, things
    gc.collect()
    assert gone() is None


def test_the_lock_of_python_is_released():
    """One thread waits in a kernel for what the other writes."""
    signal = np.zeros(1, np.int64)

    def write_to_it():
        signal[0] = 1

    writer = threading.Thread(target=write_to_it)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        writer.start()
        assert wait_for(signal, 10**10) > 0
    finally:
        sys.setswitchinterval(before)
        writer.join()


@kernel(i64(write(i64), i64))
def wait_for(signal, limit):
    left = limit
    while signal[0] == 0 and left > 0:
        left -= 1
        # A write, so that the signal is read again.
        signal[0] += 0
    return left


def test_the_numbers_of_a_type_are_those_of_numpy():
    assert np.dtype(np.uint8).num in entries._numbers_of(numba.types.uint8)
    assert not entries._numbers_of(numba.types.int64) & entries._numbers_of(numba.types.uint64)


CHECKED = """
from mtfast.kernels.jit import i64, kernel, read
@kernel(i64(read(i64), i64))
def element(numbers, k):
    return numbers[k]
import numpy as np
numbers = np.arange(3)
assert element(numbers, 2) == 2
try:
    element(numbers, 3)
except IndexError as error:
    print(error)
"""


def test_what_a_kernel_raises_is_raised():
    """Bounds are checked on request; what fails then is told."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", CHECKED],
        env=os.environ | {"NUMBA_BOUNDSCHECK": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "index is out of bounds\n"
