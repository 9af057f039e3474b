"""Semantic masks of a dataset, written anew: as Zarr arrays, PNG files or TIFF files."""

from mtfast.export.masks import export_masks

__all__ = ["export_masks"]
