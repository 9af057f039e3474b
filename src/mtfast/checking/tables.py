"""What has to hold between the columns of a split, whatever their checksums say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from mtfast.checking.findings import Finding
from mtfast.checking.readers import SplitReaders
from mtfast.store import schema
from mtfast.store.reading.annotations import Annotations

__all__ = ["check_padding", "check_tables"]

_UNKNOWN_RUN = ""


def check_tables(split: SplitReaders) -> Iterator[Finding]:
    """Check the invariants of those columns of a split that are whole.

    Parameters
    ----------
    split : SplitReaders

    Yields
    ------
    Finding
    """
    found = [words for rule in _OF_IMAGES if (words := rule(split))]
    if split.annotations is not None:
        for check in _OF_ANNOTATIONS:
            found += check(split, split.annotations)
    for words in found:
        yield Finding("contradicting tables", words, None, split.name)


def check_padding(split: SplitReaders) -> Iterator[Finding]:
    """Check what the last chunk of the RLE texts has after its end.

    Parameters
    ----------
    split : SplitReaders

    Yields
    ------
    Finding
    """
    key = split.key("instances/rle")
    stored = split.layout.arrays.get(key)
    if stored is None or stored.codecs != ("bytes",) or not stored.shape[0]:
        return
    number, n_used = divmod(stored.shape[0] - 1, stored.chunk[0])
    file = stored.file_name.format(number)
    if split.root.files.exists(file):
        data = split.root.files.read(file)
        if len(data) != stored.chunk[0] or any(data[n_used + 1 :]):
            words = f"{file} has other bytes than zeros after its texts, or not as many"
            yield Finding("damaged RLE", words, file, split.name, key)


def _heights_and_widths(split: SplitReaders) -> str:
    sides = [split.column(name) for name in ("height", "width")]
    below = [column for column in sides if column is not None and column.min(initial=1) < 1]
    return "an image has no pixels" if below else ""


def _names(split: SplitReaders) -> str:
    names = split.column(schema.NAME)
    if names is None or len(set(names.tolist())) == len(names):
        return ""
    return "several images have one name"


def _sets(split: SplitReaders) -> str:
    names = split.column("set_name")
    known = split.root.attributes_of(split.name).get("sets")
    if names is None or not isinstance(known, list):
        return ""
    strange = set(names.tolist()) - {_UNKNOWN_RUN, *map(str, known)}
    return f"run {min(strange)!r} is not one of the runs of the split" if strange else ""


def _lengths(split: SplitReaders) -> str:
    lengths, stored = split.column("file_bytes"), split.layout.arrays.get(split.key(schema.FILE))
    if lengths is None or stored is None or lengths.max(initial=0) == stored.shape[1]:
        return ""
    return f"the longest image file has {lengths.max(initial=0)} bytes of {stored.shape[1]}"


_OF_IMAGES: tuple[Callable[[SplitReaders], str], ...] = (
    _heights_and_widths,
    _names,
    _sets,
    _lengths,
)


def _painted_variant(split: SplitReaders, annotations: Annotations) -> Iterator[str]:
    variant = split.root.attributes_of(split.name).get("semantic_variant")
    if variant not in annotations.variants:
        yield f"the masks are of variant {variant!r}, which is not among the variants"


def _all_texts(split: SplitReaders, annotations: Annotations) -> Iterator[str]:
    offsets = split.columns[split.key("instances/rle_offsets")]
    stored = split.layout.arrays[split.key("instances/rle")]
    if offsets[0] != 0 or offsets[-1] != stored.shape[0]:
        yield f"the instances have {offsets[-1] - offsets[0]} of {stored.shape[0]} bytes of RLE"


def _rows(split: SplitReaders, annotations: Annotations) -> Iterator[str]:
    """Each row of a variant is another image, and its entries are instances of that image."""
    image_of = split.columns[split.key("instances/image")]
    entries = split.columns[split.key("variants/instance")]
    rows, at = split.columns[split.key("variants/row_offsets")].tolist(), 0
    bounds = split.columns[split.key("variants/entry_offsets")]
    for v, variant in enumerate(annotations.variants):
        images = annotations.images_of(variant)
        if len(np.unique(images)) != len(images):
            yield f"variant {variant!r} lists an image twice"
        at = rows[v]
        here = bounds[at : at + len(images) + 1]
        of_entry = image_of[entries[here[0] : here[-1]]]
        if not np.array_equal(of_entry, np.repeat(images, np.diff(here))):
            yield f"variant {variant!r} lists instances of one image with another"


def _categories(split: SplitReaders, annotations: Annotations) -> Iterator[str]:
    for variant in annotations.variants:
        listed = {category.id for category in annotations.categories_of(variant)}
        used = set(np.unique(annotations.labels_of(variant)[0]).tolist())
        if used - listed:
            yield f"variant {variant!r} uses category {min(used - listed)}, which it does not list"


_OF_ANNOTATIONS: tuple[Callable[[SplitReaders, Annotations], Iterator[str]], ...] = (
    _painted_variant,
    _all_texts,
    _rows,
    _categories,
)
