"""What :mod:`mtfast.kernels.objects.reading` calls, as numba and LLVM have it.

No address is in the code: what belongs to CPython is found by its name.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import populate_array

from mtfast.kernels import layout

__all__ = [
    "array_at",
    "ascii_address",
    "flat_array",
    "function",
    "new_object",
    "object_address",
    "word",
]

_address = types.int64
_WORD = ir.IntType(64)


def function(name: str, result: str, *arguments: str) -> Any:
    """Make a function of CPython callable.

    Parameters
    ----------
    name, result, *arguments : str
        The function, and the names of its types.

    Returns
    -------
    numba function
    """
    signature = getattr(types, result)(*(getattr(types, argument) for argument in arguments))
    return types.ExternalFunction(name, signature)


def object_address(name: str) -> Any:
    """Make the function that returns the address of an object of CPython.

    Parameters
    ----------
    name : str

    Returns
    -------
    numba intrinsic
    """

    @intrinsic
    def address_of_object(typing_context):
        def lower(context, builder, signature, args):
            byte = cgutils.voidptr_t.pointee
            symbol = context.get_c_value(builder, byte, name, dllimport=True)
            return builder.ptrtoint(symbol, cgutils.intp_t)

        return _address(), lower

    return address_of_object


def ascii_address(text: str) -> Any:
    """Make the function that returns the address of a text of the code itself.

    Parameters
    ----------
    text : str

    Returns
    -------
    numba intrinsic
    """

    @intrinsic
    def address_of_text(typing_context):
        def lower(context, builder, signature, args):
            symbol = context.insert_const_string(builder.module, text)
            return builder.ptrtoint(symbol, cgutils.intp_t)

        return _address(), lower

    return address_of_text


@intrinsic
def new_object(typing_context, alloc, type_):
    """Call the function that makes objects of a type, and return the address of one, or 0.

    Parameters
    ----------
    alloc, type_ : int64
        Addresses of the function, an ``allocfunc`` of CPython, and of the type.
    """

    def lower(context, builder, signature, args):
        made_by = ir.FunctionType(_WORD, [_WORD, _WORD]).as_pointer()
        return builder.call(builder.inttoptr(args[0], made_by), [args[1], ir.Constant(_WORD, 0)])

    return _address(_address, _address), lower


def word(name: str) -> Any:
    """Make the function that returns the integer at an address.

    Parameters
    ----------
    name : str
        Of its type.

    Returns
    -------
    numba intrinsic
    """
    kind = getattr(types, name)

    @intrinsic
    def word_at(typing_context, at):
        def lower(context, builder, signature, args):
            return _read(builder, args[0], 0, context.get_data_type(kind))

        return kind(_address), lower

    return word_at


def array_at(name: str) -> Any:
    """Make the function that returns the n elements at an address as an array.

    Parameters
    ----------
    name : str
        Of the type of an element.

    Returns
    -------
    numba intrinsic
    """
    kind = _flat(name)

    @intrinsic
    def elements_at(typing_context, at, n):
        def lower(context, builder, signature, args):
            return _array(context, builder, kind, *args)

        return kind(_address, types.int64), lower

    return elements_at


def flat_array(name: str) -> Any:
    """Make the function that returns a contiguous array, given as an object, as a flat one.

    Parameters
    ----------
    name : str
        Of the type of an element.

    Returns
    -------
    numba intrinsic
    """
    kind = _flat(name)

    @intrinsic
    def flat_array_of(typing_context, thing):
        def lower(context, builder, signature, args):
            (thing,) = args
            shape = _read(builder, thing, layout.ARRAY_SHAPE, _WORD)
            n_dimensions = _read(builder, thing, layout.ARRAY_N_DIMENSIONS, ir.IntType(32))
            n = cgutils.alloca_once_value(builder, ir.Constant(_WORD, 1))
            with cgutils.for_range(builder, builder.zext(n_dimensions, _WORD)) as loop:
                at = builder.add(shape, builder.mul(loop.index, ir.Constant(_WORD, 8)))
                builder.store(builder.mul(builder.load(n), _read(builder, at, 0, _WORD)), n)
            data = _read(builder, thing, layout.ARRAY_DATA, _WORD)
            return _array(context, builder, kind, data, builder.load(n))

        return kind(_address), lower

    return flat_array_of


def _flat(name: str) -> Any:
    return types.Array(getattr(types, name), 1, "C")


def _read(builder: Any, at: Any, offset: int, kind: ir.Type) -> Any:
    where = builder.add(at, ir.Constant(_WORD, offset))
    return builder.load(builder.inttoptr(where, kind.as_pointer()))


def _array(context: Any, builder: Any, kind: Any, at: Any, n: Any) -> Any:
    """Return an array that does not own its memory."""
    element = context.get_data_type(kind.dtype)
    size = kind.dtype.bitwidth // 8
    array = context.make_array(kind)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(at, element.as_pointer()),
        shape=[n],
        strides=[ir.Constant(_WORD, size)],
        itemsize=ir.Constant(_WORD, size),
        meminfo=None,
    )
    return array._getvalue()
