"""Which instances or images of a table an index, a mask, a slice or names choose."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, counted, no_such, printable, shown
from mtfast.indexing import Selector, is_scalar, picked, place_of
from mtfast.ragged import gather_texts, offsets_of
from mtfast.table.columns import PER_IMAGE, PER_INSTANCE

if TYPE_CHECKING:
    from mtfast.table.run_table import RunTable

__all__ = ["of_image", "of_images", "of_instances"]

Int64 = NDArray[np.int64]


def of_instances(table: RunTable, instances: Selector) -> RunTable:
    """Return a table of some instances, see :meth:`RunTable.__getitem__`."""
    if isinstance(instances, slice) and instances.step in (None, 1):
        start, stop, _ = instances.indices(table.n_instances)
        stop = max(start, stop)
        offsets = np.clip(table.image_offsets - start, 0, stop - start)
        return _between(table, slice(None), start, stop, offsets)
    _refuse_ambiguous(instances)
    _refuse_mask_of_images(table, instances)
    return _of_chosen(table, picked(instances, table.n_instances, "instance"))


def of_image(table: RunTable, image: int | str) -> RunTable:
    """Return the table of one image, see :meth:`RunTable.image`."""
    if isinstance(image, str):
        (start,) = _places_of(table, [image])
    else:
        start = place_of(image, table.n_images, "image")
    return _images_between(table, start, start + 1)


def of_images(table: RunTable, images: Selector | Sequence[str]) -> RunTable:
    """Return a table of some images, see :meth:`RunTable.images`."""
    if isinstance(images, slice) and images.step in (None, 1):
        start, stop, _ = images.indices(table.n_images)
        return _images_between(table, start, max(start, stop))
    _refuse_one_image(images)
    names = _as_names(images)
    chosen = (
        picked(cast("Selector", images), table.n_images, "image")
        if names is None
        else np.array(_places_of(table, names), np.int64)
    )
    twice = np.bincount(chosen, minlength=1) > 1
    if twice.any():
        raise MtfastError(
            f"image {printable(str(table.names[twice.argmax()]))!r} is selected twice; expected "
            f"each image once; leave out the second, as np.unique does"
        )
    offsets = offsets_of(np.diff(table.image_offsets)[chosen])
    shifts = np.repeat(table.image_offsets[chosen] - offsets[:-1], np.diff(offsets))
    per_image = {name: _read_only(getattr(table, name)[chosen]) for name in PER_IMAGE}
    return _gathered(table, shifts + np.arange(offsets[-1]), per_image, offsets)


def _images_between(table: RunTable, start: int, stop: int) -> RunTable:
    first, last = int(table.image_offsets[start]), int(table.image_offsets[stop])
    offsets = table.image_offsets[start : stop + 1] - first
    return _between(table, slice(start, stop), first, last, offsets)


def _between(
    table: RunTable, images: slice, first: int, last: int, image_offsets: Int64
) -> RunTable:
    """Share the columns of adjacent images, and of instances first .. last - 1."""
    begin, end = int(table.rle_offsets[first]), int(table.rle_offsets[last])
    columns: dict[str, Any] = {name: getattr(table, name)[images] for name in PER_IMAGE}
    columns |= {name: getattr(table, name)[first:last] for name in PER_INSTANCE}
    return table.unchecked(
        **columns,
        image_offsets=_read_only(image_offsets),
        rle=table.rle[begin:end],
        rle_offsets=_read_only(table.rle_offsets[first : last + 1] - begin),
        categories=table.categories,
    )


def _of_chosen(table: RunTable, chosen: Int64) -> RunTable:
    if np.any(chosen[1:] <= chosen[:-1]) and np.unique(chosen).size < chosen.size:
        raise MtfastError(
            "a selection with an instance twice; expected each once, as ids are; a column of "
            "0 and 1 selects as a mask where it is compared: table[table.iscrowd == 1]"
        )
    image = table.image_of_instance[chosen]
    if np.any(image[1:] < image[:-1]):
        raise MtfastError(
            "a selection that jumps back to an earlier image; expected instances grouped by "
            "image; sort the indices first, as with np.sort"
        )
    per_image = {name: getattr(table, name) for name in PER_IMAGE}
    offsets = np.searchsorted(image, np.arange(table.n_images + 1))
    return _gathered(table, chosen, per_image, offsets)


def _gathered(
    table: RunTable, chosen: Int64, per_image: Mapping[str, NDArray[Any]], image_offsets: Int64
) -> RunTable:
    """Copy instances; ``image_offsets`` are those of the images given."""
    rle, rle_offsets = gather_texts(table.rle, table.rle_offsets, chosen)
    columns = {name: getattr(table, name)[chosen] for name in PER_INSTANCE}
    columns |= {"image_offsets": image_offsets, "rle": rle, "rle_offsets": rle_offsets}
    for column in columns.values():
        column.flags.writeable = False
    return table.unchecked(**per_image, **columns, categories=table.categories)


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _places_of(table: RunTable, names: Sequence[str]) -> list[int]:
    places = table._place_of_name
    for name in names:
        if name not in places:
            raise MtfastError(no_such("image", name, places, "the table"))
    return [places[name] for name in names]


def _refuse_ambiguous(key: object) -> None:
    """Refuse what could mean an image as well as an instance."""
    if isinstance(key, tuple):
        listed = ", ".join(map(shown, key))
        raise TypeError(
            f"table[{listed}] has {counted(len(key), 'index', 'indices')} side by side; expected "
            f"one mask, list or slice; write table[[{listed}]] for these instances"
        )
    if is_scalar(key):
        one = f"table.image({shown(key)})"
        more = "" if isinstance(key, str | bytes) else f", or table[[{shown(key)}]] for an instance"
        raise TypeError(
            f"table[{shown(key)}] names one thing; expected a mask, indices or a slice of "
            f"instances; write {one} for an image{more}"
        )


def _refuse_mask_of_images(table: RunTable, selector: Selector) -> None:
    size = getattr(selector, "size", None)
    if getattr(selector, "dtype", None) == np.bool_ and size == table.n_images != table.n_instances:
        raise IndexError(
            f"table[mask] with a mask of n_images = {size}; expected one of n_instances = "
            f"{table.n_instances}; write table.images(mask) for these images"
        )


def _refuse_one_image(key: object) -> None:
    if is_scalar(key):
        raise TypeError(
            f"images({shown(key)}) names one image; expected a mask, indices, a slice or names; "
            f"write image({shown(key)}), or images([{shown(key)}])"
        )


def _as_names(selector: object) -> list[str] | None:
    """Return a selection as names; None if it is none by names."""
    if isinstance(selector, slice):
        return None
    dtype = getattr(selector, "dtype", None)
    if dtype is None:
        names = list(selector) if isinstance(selector, Iterable) else []
    elif getattr(dtype, "kind", "") in "UTO":
        names = np.asarray(selector, object).tolist()
    else:
        return None
    return (
        [str(name) for name in names] if names and all(isinstance(n, str) for n in names) else None
    )
