"""What the functions of this room keep from call to call, and how much they take on."""

import numpy as np

from mtfast.kernels.objects import reading

__all__ = [
    "ARRAY_TYPE",
    "BITS",
    "BOOL",
    "FACTS",
    "FLAGS",
    "FLOAT64",
    "HEIGHTS",
    "MADE",
    "MASKS",
    "MAX_CHARACTERS",
    "MAX_CLEAR_FRAME",
    "MAX_FRAME",
    "MAX_MASKS",
    "MAX_PIXELS",
    "OFFSETS",
    "OTHER",
    "POINTS",
    "TEXT",
    "THINGS",
    "TOGGLES",
    "TOGGLE_OFFSETS",
    "UINT8",
    "UINT32",
    "WIDTHS",
    "WORDS",
]

# More is left to kernels that release the GIL: it is held for a millisecond or two at most, and for
# 10 us where a frame is filled or read.
MAX_MASKS = 4096
MAX_CHARACTERS = 1 << 18
MAX_FRAME = 1 << 19
# Of a frame that numpy has cleared, with the GIL held as well.
MAX_CLEAR_FRAME = 1 << 23

# As in mtfast.table, which is above this room.
MAX_PIXELS = 1 << 40

# A text has at most nine characters for each count.
_MADE = 9 * (MAX_CHARACTERS + MAX_MASKS)

WORDS, TEXT, OFFSETS, HEIGHTS, WIDTHS, TOGGLES, TOGGLE_OFFSETS, OTHER = range(8)
FLAGS, FACTS, BITS, MADE, POINTS, MASKS, ARRAY_TYPE, UINT8, BOOL, UINT32, FLOAT64 = range(8, 19)

# Most of it is never touched, and takes no memory.
THINGS = (
    np.zeros(reading.N_WORDS, np.int64),
    np.empty(MAX_CHARACTERS, np.uint8),
    np.empty(MAX_MASKS + 1, np.int64),
    np.empty(MAX_MASKS, np.int64),
    np.empty(MAX_MASKS, np.int64),
    np.empty(MAX_CHARACTERS + MAX_MASKS, np.int64),
    np.empty(MAX_MASKS + 1, np.int64),
    np.empty(MAX_CHARACTERS + MAX_MASKS, np.int64),
    np.empty(MAX_MASKS, np.uint8),
    np.empty(5 * MAX_MASKS, np.int64),
    np.empty(MAX_FRAME // 64 + 2, np.uint64),
    np.empty(_MADE, np.uint8),
    np.empty(MAX_CHARACTERS, np.float64),
    np.arange(MAX_MASKS + 1),
    np.ndarray,
    np.dtype(np.uint8),
    np.dtype(np.bool_),
    np.uint32,
    np.dtype(np.float64),
)
"""Objects by the numbers above: scratch, and what the arrays of callers are compared with."""
