"""``mtfast check``: everything in a store against its checksums and against each other.

::

    zarr.json files ──► metadata ──► layout    files that are missing, and that are no part of it
                            │
                            ├──────► tables    columns and texts, and what has to hold between them
                            │
                            └──────► shards    masks, image files and crop index, shard by shard

Each finding names the file that is wrong. ``repair`` makes those files again, from what is whole
or from what the store was made of, checks them in the same way, and moves them into their places.
"""
