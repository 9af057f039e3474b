"""A store as it is written: groups and columns through zarr, shards by ourselves."""
