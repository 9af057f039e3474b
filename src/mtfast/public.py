"""What ``dir()`` of a module shows."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["public_names"]


def public_names(module: Mapping[str, object]) -> list[str]:
    """Return the names of a module that users are to see: in ``dir()`` and where Tab is pressed.

    Parameters
    ----------
    module : mapping
        Its ``globals()``, with ``__all__``.

    Returns
    -------
    list of str
        Those in ``__all__``, and those with two underscores on both sides.

    Examples
    --------
    >>> public_names({"__all__": ["area"], "__doc__": None, "np": None, "area": None})
    ['__all__', '__doc__', 'area']
    """
    listed = module["__all__"]
    dunder = [name for name in module if name.startswith("__") and name.endswith("__")]
    return sorted({*dunder, *(listed if isinstance(listed, list) else ())})
