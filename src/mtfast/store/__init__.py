"""The Zarr store: its schema, its shards, how it is written and how it is read.

docs/FORMAT.md describes the layout for readers of other languages.
"""
