"""The instance masks of a dataset as columns.

``run_table`` is the type, where its invariants stand; ``columns`` declares and checks its columns,
``selection`` makes tables of some of its instances or images, ``malformed`` says what is wrong with
a text.
"""

from mtfast.table.columns import MAX_PIXELS, PER_IMAGE, PER_INSTANCE, Category, one_size
from mtfast.table.malformed import explain
from mtfast.table.run_table import RunTable

__all__ = [
    "MAX_PIXELS",
    "PER_IMAGE",
    "PER_INSTANCE",
    "Category",
    "RunTable",
    "explain",
    "one_size",
]
