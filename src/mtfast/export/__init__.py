"""Masks of a dataset, made from its RLE: as Zarr arrays, PNG files or TIFF files.

::

    inputs    source or store -> RunTable of each split, checked
    masks     plans batches of images, which jobs write side by side
    manifest  what a folder holds, so that a later run goes on with it or refuses to

``format`` says what a file format has to do. A new one is a module with a class like
:class:`mtfast.export.zarr_arrays.ZarrArrays`, and a line in :data:`mtfast.export.masks.FORMATS`.
"""

from mtfast.export.masks import ExportedMasks, export_masks

__all__ = ["ExportedMasks", "export_masks"]
