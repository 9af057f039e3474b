"""What a split holds, in a few words and from metadata alone: for reprs, which read no file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtfast.errors import StoreError, counted
from mtfast.store import schema
from mtfast.store.reading.metadata import StoredArray, read_array

if TYPE_CHECKING:
    from mtfast.store.reading.split import Split

__all__ = ["describe"]


def describe(split: Split) -> str:
    """Return how many images, classes and variants a split has, and how large its images are.

    Parameters
    ----------
    split : Split

    Returns
    -------
    str
        Without what its metadata do not say where they are damaged: whoever reads it is told.

    Examples
    --------
    >>> describe(mtfast.open("graphene.zarr")["test"]).split(", ")[:3]
    ['4 images of up to 96 x 128', '4 classes', '4 variants']
    """
    masks = _array(split, schema.SEMANTIC)
    variants = _array(split, "variants/name")
    parts = [counted(split.n_images, "image")]
    if masks is not None and len(masks.shape) == 3:
        parts[0] += f" of up to {masks.shape[1]} x {masks.shape[2]}"
    values = None if masks is None else masks.attributes.get("flag_values")
    if isinstance(values, list):
        parts.append(counted(sum(value != 0 for value in values), "class", "classes"))
    if variants is not None and variants.shape:
        parts.append(counted(variants.shape[0], "variant"))
    if not split.has_images:
        parts.append("masks only")
    elif split.has_crop_index:
        parts.append("crop index")
    return ", ".join(parts)


def _array(split: Split, name: str) -> StoredArray | None:
    try:
        return read_array(split.store.files, f"{split.name}/{name}")
    except StoreError:
        return None
