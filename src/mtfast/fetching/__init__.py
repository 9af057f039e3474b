"""The published MaskTerial sets, by name: what there is, and how it comes here.

``catalogue`` knows the names, ``record`` asks Zenodo for sizes and checksums, ``web`` makes
requests, ``partial`` keeps what has arrived, ``download`` brings a file, ``extract`` unpacks it;
``fetch`` is what users call.
"""

from mtfast.fetching.catalogue import SETS, PublishedSet, find_set
from mtfast.fetching.fetch import fetch, known_sizes

__all__ = ["SETS", "PublishedSet", "fetch", "find_set", "known_sizes"]
