"""Sets made from other sets: more annotation files, a validation split, several sets in one.

::

    variant_rules, n_shot  ->  variants, validation_split, merging  ->  output
    (which annotations)        (what is made of them)                   (the folder)

A choice is made on columns; what is written are the JSON records of the source, with everything
that they hold. Images and masks are linked, not copied.
"""

from mtfast.derivation.derive import derive_dataset
from mtfast.derivation.merging import derive_merged
from mtfast.derivation.output import Derived
from mtfast.derivation.validation_split import derive_validation
from mtfast.derivation.variants import derive_variants

__all__ = [
    "Derived",
    "derive_dataset",
    "derive_merged",
    "derive_validation",
    "derive_variants",
]
