"""A dataset becomes a store; a store gets a crop index."""
