"""Storage that is not on this machine: objects in buckets, and files of web servers.

:mod:`mtfast.addresses` says what an address is; :func:`objects_at` opens it.
"""

from mtfast.remote.objects import Objects, Stat, objects_at

__all__ = ["Objects", "Stat", "objects_at"]
