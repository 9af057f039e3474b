"""Benchmarks: an asv suite, and the comparisons that docs/BENCHMARKS.md states.

``asv run --python=same --quick`` runs the suite, which has one file for each package of mtfast.
These print its tables: ``python -m benchmarks.ratios`` compares with the code that most
users write, ``python -m benchmarks.peers`` ``mtfast.mask`` with libraries like it, and ``python -m
benchmarks.loaders`` the training loader with other loaders.
``python -m benchmarks.jobs`` compares the runner of independent jobs with a plain pool.
"""
