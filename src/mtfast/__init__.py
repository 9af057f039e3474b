"""mtfast: COCO-RLE datasets become chunked Zarr stores with fast random access."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtfast import mask as mask
    from mtfast.checking.check import check_store as check_store
    from mtfast.conversion.convert import convert as convert
    from mtfast.derivation import derive_dataset as derive_dataset
    from mtfast.diagnosis.diagnose import diagnose as diagnose
    from mtfast.errors import MtfastError as MtfastError
    from mtfast.errors import RLEError as RLEError
    from mtfast.errors import SourceError as SourceError
    from mtfast.errors import StoreError as StoreError
    from mtfast.export.masks import export_masks as export_masks
    from mtfast.fetching.fetch import fetch as fetch
    from mtfast.interchange import export_annotations as export_annotations
    from mtfast.painting.paint import semantic as semantic
    from mtfast.sources import open_source as open_source
    from mtfast.store.reading.store import open_store as open  # noqa: A004 - the library's own verb
    from mtfast.table import Category as Category
    from mtfast.table import RunTable as RunTable
    from mtfast.verification.verify import verify as verify

    __version__: str

# Names are loaded when they are first asked for: `import mtfast` costs nothing, LLVM is loaded
# when a kernel is needed, numba when one is compiled, and zarr when a store is written.
_HOMES = {
    "Category": "mtfast.table",
    "MtfastError": "mtfast.errors",
    "RLEError": "mtfast.errors",
    "RunTable": "mtfast.table",
    "SourceError": "mtfast.errors",
    "StoreError": "mtfast.errors",
    "check_store": "mtfast.checking.check",
    "convert": "mtfast.conversion.convert",
    "derive_dataset": "mtfast.derivation",
    "diagnose": "mtfast.diagnosis.diagnose",
    "export_annotations": "mtfast.interchange",
    "export_masks": "mtfast.export",
    "fetch": "mtfast.fetching.fetch",
    "open": "mtfast.store.reading.store",
    "open_source": "mtfast.sources",
    "semantic": "mtfast.painting.paint",
    "verify": "mtfast.verification.verify",
}
_RENAMED = {"open": "open_store"}

__all__ = [
    "Category",
    "MtfastError",
    "RLEError",
    "RunTable",
    "SourceError",
    "StoreError",
    "check_store",
    "convert",
    "derive_dataset",
    "diagnose",
    "export_annotations",
    "export_masks",
    "fetch",
    "mask",
    "open",
    "open_source",
    "semantic",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "mask":
        return import_module("mtfast.mask")
    if name == "__version__":
        # Reading the metadata of a package takes 15 ms.
        from mtfast.version import installed_version

        return installed_version()
    if name not in _HOMES:
        raise AttributeError(f"module 'mtfast' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), _RENAMED.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    from mtfast.public import public_names

    return public_names(globals())
