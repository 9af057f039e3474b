"""Pixels to runs and back: masks and label maps, in C and in F order."""
