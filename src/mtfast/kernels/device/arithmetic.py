"""Arithmetic of 32 bits: a GPU divides numbers of 64 bits ten times as slowly."""

from mtfast.kernels.device.twice import device_function
from mtfast.kernels.jit import i32, u32

__all__ = ["quotient", "remainder"]


@device_function
def quotient(a, b):
    """Divide two numbers that are not negative, of 31 bits."""
    return i32(u32(a) // u32(b))


@device_function
def remainder(a, b):
    """Return what is left after :func:`quotient`."""
    return i32(u32(a) % u32(b))
