"""The version of mtfast, and of the packages whose versions matter to a report of a fault."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version

__all__ = ["installed_version", "versions"]

# What decodes, paints and stores, and what training runs on.
_MATTERS = (
    *("numpy", "numba", "pycocotools", "zarr", "dask", "tifffile", "imagecodecs", "pillow"),
    *("distributed", "torch", "numba-cuda"),
)


def installed_version() -> str:
    """Return the version of mtfast, which installing it takes from the newest git tag.

    Returns
    -------
    str
        As in ``"0.2.0"``; ``"0.2.1.dev4+g1a2b3c4"`` four commits later; ``"0+unknown"`` for a
        source tree that was never installed.

    Examples
    --------
    >>> installed_version().startswith("0")
    True
    """
    try:
        return version("mtfast")
    except PackageNotFoundError:
        return "0+unknown"


def versions() -> dict[str, str]:
    """Return what a report of a fault needs: the versions of all that has a part in the work.

    Nothing is imported for it, so that it also works where a package does not import.

    Returns
    -------
    dict of str to str
        mtfast, Python and the system first, then the packages that are installed.

    Examples
    --------
    >>> list(versions())[:3]
    ['mtfast', 'Python', 'system']
    """
    found = {
        "mtfast": installed_version(),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "system": f"{platform.system()} {platform.machine()}".strip() or sys.platform,
    }
    for package in _MATTERS:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
