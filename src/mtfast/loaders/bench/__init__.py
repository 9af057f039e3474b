"""How many samples a second the loaders make, beside a loader without mtfast."""
