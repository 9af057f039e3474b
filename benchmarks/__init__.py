"""Benchmarks: an asv suite, one file a room, and the ratios that the README states.

``asv run --python=same --quick`` runs the suite; ``python -m benchmarks.ratios`` prints the table
of the ordinary ways, ``python -m benchmarks.peers`` that of the libraries like ``mtfast.mask``.
"""
