"""Writing a store: groups and columns through zarr, shards without it."""
