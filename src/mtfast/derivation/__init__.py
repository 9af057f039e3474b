"""Sets made of other sets: more annotation files, a validation split, several sets in one.

rules, n_shot (which annotations) -> variants, validation, merging -> output (the new folder)

A choice is made on columns; what is written are the JSON records of the source, with whatever
they hold. Images and masks are linked, not copied.
"""

from mtfast.derivation.merging import derive_merged
from mtfast.derivation.validation import derive_validation
from mtfast.derivation.variants import derive_variants

__all__ = ["derive_merged", "derive_validation", "derive_variants"]
