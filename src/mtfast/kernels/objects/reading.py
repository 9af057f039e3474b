"""Python objects read by compiled code; the only kernels that read memory by its address.

For one mask the work is 0.1 us. A call of a kernel costs 0.1 us, each small array of numpy another
0.1, and bringing dicts into arrays in Python 5. So a C function that numba compiles
(:mod:`mtfast.kernels.objects.builtin`) reads the dicts, copies their texts and sizes into arrays
that it keeps, and calls kernels on those. Nothing but the reading happens here.

Why it is safe:

1. **No Python code runs while objects are read.** The GIL is held from the call to its return;
   types are compared exactly, so no method of a subclass is called; the keys of a dict are walked,
   not looked up, so none is asked whether it is equal. Borrowed references stay valid all along.
2. **What is not exactly the usual is left alone**: ``UNUSUAL`` is returned, and the caller takes
   the way through Python, which explains what is wrong, or takes it after all.
3. **No error of Python is left set.** One function can set one, for a str that has no UTF-8, and it
   is cleared there; what is read by then is not used any more, as making an error may run Python
   code (the garbage collector of CPython up to 3.11).
4. **No address is in the code that is kept on disk.** Functions and types of CPython are found by
   their names; arrays are handed over as objects.
5. **What is no API is looked at first**: where the type of an object, the data and shape of an
   array, and the value of a scalar of numpy, lie. :func:`mtfast.kernels.layout.problem` compares
   them with what Python says.
"""

import numpy as np

from mtfast.kernels.jit import Deferred, i64, part
from mtfast.kernels.layout import (
    ARRAY_DTYPE,
    ARRAY_FLAGS,
    ARRAY_N_DIMENSIONS,
    ARRAY_SHAPE,
    C_CONTIGUOUS,
    F_CONTIGUOUS,
    OBJECT_TYPE,
    SCALAR_VALUE,
)

__all__ = [
    "FUNCTIONS",
    "NO",
    "N_WORDS",
    "UNUSUAL",
    "argument",
    "as_f64",
    "as_i64",
    "as_u8",
    "as_u32",
    "as_u64",
    "bytes_object",
    "flags_of",
    "is_frame",
    "is_true",
    "item",
    "n_masks",
    "read_boxes",
    "read_counts",
    "read_masks",
    "read_rings",
    "read_side",
    "side",
    "u32_scalar",
    "yes_or_no",
]

# Longest side of a frame that is read here: two of them make no more than MAX_PIXELS.
MAX_SIDE = 1 << 20
UNUSUAL = -1

# The number of a type's function that makes its objects, which is part of CPython's stable ABI.
TP_ALLOC = 47

# Words that functions of CPython write to, and the keys "size" and "counts" as they were last seen:
# nearly all masks have the same two objects, and to compare addresses takes a tenth of the time.
POSITION, KEY, VALUE, OTHER, SIZE_KEY, COUNTS_KEY = range(6)
N_WORDS = 6

_ADDRESS = "int64"
_LOWERING = "mtfast.kernels.objects.lowering"

FUNCTIONS = {
    "PyBool_FromLong": (_ADDRESS, "int64"),
    "PyBytes_AsString": (_ADDRESS, _ADDRESS),
    "PyBytes_FromStringAndSize": (_ADDRESS, _ADDRESS, "int64"),
    "PyBytes_Size": ("int64", _ADDRESS),
    "PyDict_Next": ("int32", _ADDRESS, _ADDRESS, _ADDRESS, _ADDRESS),
    "PyErr_Clear": ("void",),
    "PyFloat_AsDouble": ("float64", _ADDRESS),
    "PyList_GetItem": (_ADDRESS, _ADDRESS, "int64"),
    "PyList_Size": ("int64", _ADDRESS),
    "PyLong_AsLongLongAndOverflow": ("int64", _ADDRESS, _ADDRESS),
    "PyTuple_GetItem": (_ADDRESS, _ADDRESS, "int64"),
    "PyTuple_Size": ("int64", _ADDRESS),
    "PyType_GetSlot": (_ADDRESS, _ADDRESS, "int32"),
    "PyUnicode_AsUTF8AndSize": (_ADDRESS, _ADDRESS, _ADDRESS),
    "PyUnicode_CompareWithASCIIString": ("int32", _ADDRESS, _ADDRESS),
}
"""The functions of CPython that are called, by name: the types of the result and arguments."""


def _function(name: str) -> Deferred:
    return Deferred(_LOWERING, "function", name, *FUNCTIONS[name])


bool_object = _function("PyBool_FromLong")
bytes_data = _function("PyBytes_AsString")
bytes_size = _function("PyBytes_Size")
clear_error = _function("PyErr_Clear")
float_value = _function("PyFloat_AsDouble")
dict_next = _function("PyDict_Next")
integer_value = _function("PyLong_AsLongLongAndOverflow")
list_item = _function("PyList_GetItem")
list_size = _function("PyList_Size")
new_bytes = _function("PyBytes_FromStringAndSize")
str_utf8 = _function("PyUnicode_AsUTF8AndSize")
str_compare = _function("PyUnicode_CompareWithASCIIString")
tuple_item = _function("PyTuple_GetItem")
tuple_size = _function("PyTuple_Size")
type_slot = _function("PyType_GetSlot")


def _object(name: str) -> Deferred:
    """Return the function that returns the address of an object of CPython."""
    return Deferred(_LOWERING, "object_address", name)


bool_type, bytes_type, dict_type = map(_object, ("PyBool_Type", "PyBytes_Type", "PyDict_Type"))
float_type, int_type = map(_object, ("PyFloat_Type", "PyLong_Type"))
list_type = _object("PyList_Type")
str_type, tuple_type = map(_object, ("PyUnicode_Type", "PyTuple_Type"))
true = _object("_Py_TrueStruct")
COUNTS, SIZE = (Deferred(_LOWERING, "ascii_address", text) for text in ("counts", "size"))

_word, _int = Deferred(_LOWERING, "word", "int64"), Deferred(_LOWERING, "word", "int32")
_bytes_at = Deferred(_LOWERING, "array_at", "uint8")
_u32s_at = Deferred(_LOWERING, "array_at", "uint32")
_made_by = Deferred(_LOWERING, "new_object")

# A contiguous array, given as an object, as a flat one. The caller answers for its dtype, and that
# it is contiguous.
as_u8 = Deferred(_LOWERING, "flat_array", "uint8")
as_u32 = Deferred(_LOWERING, "flat_array", "uint32")
as_u64 = Deferred(_LOWERING, "flat_array", "uint64")
as_i64 = Deferred(_LOWERING, "flat_array", "int64")
as_f64 = Deferred(_LOWERING, "flat_array", "float64")


@part
def _type(thing):
    return _word(thing + OBJECT_TYPE)


@part
def argument(arguments, k):
    """Return argument k of a call."""
    return _word(arguments + 8 * k)


@part
def item(things, k):
    """Return object k of the tuple that the builtin function has as its self."""
    return tuple_item(things, k)


@part
def yes_or_no(answer):
    """Return True or False, as a result."""
    return bool_object(i64(answer))


@part
def is_true(thing):
    """Return whether it is True itself."""
    return thing == true()


@part
def NO():  # noqa: N802
    """Return False, as a result."""
    return bool_object(0)


@part
def bytes_object(text, n):
    """Return the first n elements of an array of bytes, as a result."""
    return new_bytes(text.ctypes.data, n)


@part
def u32_scalar(type_, value):
    """Return a number as numpy.uint32, which is given as ``type_``, as a result.

    As numpy does: the type makes an object, into which the value is written. To call the type takes
    0.4 us, an array of one and its element 0.3, this 0.02.
    """
    made = _made_by(type_slot(type_, TP_ALLOC), type_)
    if made != 0:
        _u32s_at(made + SCALAR_VALUE, 1)[0] = value
    return made


@part
def side(array, k):
    """Return how long an array is along a dimension that it has."""
    return _word(_word(array + ARRAY_SHAPE) + 8 * k)


@part
def is_frame(thing, array_type, *dtypes):
    """Return whether it is a two-dimensional array in F order of one of the dtypes."""
    if _type(thing) != array_type or _int(thing + ARRAY_N_DIMENSIONS) != 2:
        return False
    found = _word(thing + ARRAY_DTYPE)
    return found in dtypes and _int(thing + ARRAY_FLAGS) & F_CONTIGUOUS != 0


@part
def n_masks(masks):
    """Return the length of a list, 1 for a dict, UNUSUAL for anything else."""
    if _type(masks) == list_type():
        return list_size(masks)
    return 1 if _type(masks) == dict_type() else UNUSUAL


@part
def read_side(number, words):
    """Return an integer from 0 to MAX_SIDE, or UNUSUAL."""
    if _type(number) != int_type():
        return UNUSUAL
    # -1 for what has no 64 bits.
    value = integer_value(number, words.ctypes.data + 8 * OTHER)
    return value if 0 <= value <= MAX_SIDE else UNUSUAL


@part
def _sides(size, words):
    """Return the two numbers of a list or tuple, or UNUSUAL."""
    if _type(size) == list_type() and list_size(size) == 2:
        return read_side(list_item(size, 0), words), read_side(list_item(size, 1), words)
    if _type(size) == tuple_type() and tuple_size(size) == 2:
        return read_side(tuple_item(size, 0), words), read_side(tuple_item(size, 1), words)
    return UNUSUAL, UNUSUAL


@part
def _characters(text, words):
    """Return the address and the length of a text, or 0 and UNUSUAL."""
    if _type(text) == bytes_type():
        return bytes_data(text), bytes_size(text)
    if _type(text) != str_type():
        return 0, UNUSUAL
    data = str_utf8(text, words.ctypes.data + 8 * OTHER)
    if data == 0:
        clear_error()
        return 0, UNUSUAL
    return data, words[OTHER]


@part
def _read_mask(mask, words):
    """Return address and length of the text, height and width; UNUSUAL where one is not usual."""
    at = words.ctypes.data
    counts = size = 0
    words[POSITION] = 0
    while counts == 0 or size == 0:
        if dict_next(mask, at + 8 * POSITION, at + 8 * KEY, at + 8 * VALUE) == 0:
            return 0, UNUSUAL, UNUSUAL, UNUSUAL
        key = words[KEY]
        if key != words[SIZE_KEY] and key != words[COUNTS_KEY] and _type(key) == str_type():
            if str_compare(key, SIZE()) == 0:
                words[SIZE_KEY] = key
            elif str_compare(key, COUNTS()) == 0:
                words[COUNTS_KEY] = key
        if key == words[SIZE_KEY]:
            size = words[VALUE]
        elif key == words[COUNTS_KEY]:
            counts = words[VALUE]
    height, width = _sides(size, words)
    data, length = _characters(counts, words)
    return data, length, height, width


@part
def read_masks(masks, first, words, text, offsets, heights, widths):
    """Copy the texts and sizes of masks into arrays.

    Parameters
    ----------
    masks : address of a list of dicts, or of one dict
    first : int
        How many masks are in the arrays already.
    words : (N_WORDS,) int64, scratch
    text : uint8, out
    offsets, heights, widths : int64, out
        As in :class:`mtfast.rles.Rles`.

    Returns
    -------
    int
        How many masks are in the arrays now, or UNUSUAL.
    """
    n = n_masks(masks)
    if n < 0 or first + n > heights.size:
        return UNUSUAL
    is_list = _type(masks) == list_type()
    # Keys of an earlier call may be gone, and another object in their place.
    words[SIZE_KEY] = words[COUNTS_KEY] = 0
    offsets[0] = 0
    for k in range(first, first + n):
        mask = list_item(masks, k - first) if is_list else masks
        if _type(mask) != dict_type():
            return UNUSUAL
        data, length, heights[k], widths[k] = _read_mask(mask, words)
        start = offsets[k]
        if min(length, heights[k], widths[k]) < 0 or length > text.size - start:
            return UNUSUAL
        offsets[k + 1] = start + length
        source, here = _bytes_at(data, length), text[start : start + length]
        for i in range(length):
            here[i] = source[i]
    return first + n


@part
def read_counts(numbers, words, out):
    """Copy the integers of a list into an array.

    Parameters
    ----------
    numbers : address of a list
    words : (N_WORDS,) int64, scratch
    out : int64, out

    Returns
    -------
    int
        How many there are, or UNUSUAL.
    """
    if _type(numbers) != list_type() or list_size(numbers) > out.size:
        return UNUSUAL
    n = list_size(numbers)
    for k in range(n):
        number = list_item(numbers, k)
        if _type(number) != int_type():
            return UNUSUAL
        # -1 for what has no 64 bits.
        out[k] = integer_value(number, words.ctypes.data + 8 * OTHER)
    return n


@part
def read_rings(rings, words, points, offsets):
    """Copy the numbers of rings into an array.

    Parameters
    ----------
    rings : address of a list of lists of floats and integers
        More than four numbers each: four may be a box.
    words : (N_WORDS,) int64, scratch
    points : float64, out
    offsets : int64, out
        Ring k is points[offsets[k]:offsets[k + 1]].

    Returns
    -------
    int
        How many there are, or UNUSUAL.
    """
    if _type(rings) != list_type() or list_size(rings) >= offsets.size:
        return UNUSUAL
    n = list_size(rings)
    at = 0
    offsets[0] = 0
    for k in range(n):
        ring = list_item(rings, k)
        if _type(ring) != list_type() or not 4 < list_size(ring) <= points.size - at:
            return UNUSUAL
        for i in range(list_size(ring)):
            points[at], is_number = _number(list_item(ring, i), words)
            if not is_number:
                return UNUSUAL
            at += 1
        offsets[k + 1] = at
    return n


@part
def _number(thing, words):
    """Return a float or an integer of 64 bits as a float, and whether it is one."""
    if _type(thing) == float_type():
        return float_value(thing), True
    if _type(thing) != int_type():
        return 0.0, False
    words[OTHER] = 0
    value = integer_value(thing, words.ctypes.data + 8 * OTHER)
    return float(value), words[OTHER] == 0


@part
def read_boxes(boxes, array_type, dtype, words, out):
    """Copy the numbers of boxes into an array.

    Parameters
    ----------
    boxes : address of an (n, 4) array in C order, or of a list of lists of four numbers
    array_type, dtype : addresses of numpy.ndarray and of numpy's float64
    words : (N_WORDS,) int64, scratch
    out : float64, out

    Returns
    -------
    int
        How many there are, or UNUSUAL; also where a number is not finite.
    """
    if _type(boxes) == array_type:
        n = _copy_boxes(boxes, dtype, out)
    else:
        n = _boxes_of_list(boxes, words, out)
    for i in range(4 * n):
        if not np.isfinite(out[i]):
            return UNUSUAL
    return n


@part
def _copy_boxes(array, dtype, out):
    if _int(array + ARRAY_N_DIMENSIONS) != 2 or _word(array + ARRAY_DTYPE) != dtype:
        return UNUSUAL
    if _int(array + ARRAY_FLAGS) & C_CONTIGUOUS == 0 or side(array, 1) != 4:
        return UNUSUAL
    source = as_f64(array)
    if source.size > out.size:
        return UNUSUAL
    for i in range(source.size):
        out[i] = source[i]
    return side(array, 0)


@part
def _boxes_of_list(boxes, words, out):
    if _type(boxes) != list_type() or 4 * list_size(boxes) > out.size:
        return UNUSUAL
    n = list_size(boxes)
    for k in range(n):
        box = list_item(boxes, k)
        if _type(box) != list_type() or list_size(box) != 4:
            return UNUSUAL
        for i in range(4):
            out[4 * k + i], is_number = _number(list_item(box, i), words)
            if not is_number:
                return UNUSUAL
    return n


@part
def flags_of(numbers, words, out):
    """Write whether each integer or bool of a list differs from 0.

    Parameters
    ----------
    numbers : address of a list
    words : (N_WORDS,) int64, scratch
    out : uint8, out

    Returns
    -------
    int
        How many there are, or UNUSUAL.
    """
    if _type(numbers) != list_type() or list_size(numbers) > out.size:
        return UNUSUAL
    n = list_size(numbers)
    for k in range(n):
        number = list_item(numbers, k)
        if _type(number) != int_type() and _type(number) != bool_type():
            return UNUSUAL
        words[OTHER] = 0
        value = integer_value(number, words.ctypes.data + 8 * OTHER)
        if words[OTHER] != 0:
            return UNUSUAL
        out[k] = value != 0
    return n
