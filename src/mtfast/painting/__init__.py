"""A RunTable becomes pixels, or files that hold them: which masks, in which order, as what."""
