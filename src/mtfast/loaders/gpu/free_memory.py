"""How much of the machine's memory a process may take.

A container or a job of a batch system has a part of the machine, which its control group states; a
process that takes more is killed. See the kernel's documentation of the memory controller:
https://docs.kernel.org/admin-guide/cgroup-v2.html#memory and, for the older one,
https://docs.kernel.org/admin-guide/cgroup-v1/memory.html.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import NamedTuple

__all__ = ["free_host_bytes"]

_MACHINE = Path("/proc/meminfo")
_OWN_GROUPS = Path("/proc/self/cgroup")
_MOUNT = Path("/sys/fs/cgroup")


class _Controller(NamedTuple):
    """Where the groups of a memory controller lie, and the names of their files."""

    folder: str
    limit: str
    usage: str
    reclaimable: str


_VERSION_2 = _Controller(".", "memory.max", "memory.current", "inactive_file")
_VERSION_1 = _Controller(
    "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
)


def free_host_bytes() -> int:
    """Return how many bytes of the machine's memory are free for this process.

    Returns
    -------
    int
        The least of what the machine has and what each control group leaves; of that, the share of
        one process where torchrun has started several. What is only cached of files counts as
        free. 0 where the system does not tell.
    """
    return max(min([_free_of_machine(), *_left_by_groups()]), 0) // _processes()


def _free_of_machine() -> int:
    try:
        lines = _MACHINE.read_text().splitlines()
        sums = dict(line.split(":") for line in lines)
        return 1024 * int(sums["MemAvailable"].removesuffix("kB"))
    except (OSError, KeyError, ValueError):
        pass
    # Not on Linux: without what is cached.
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return 0


def _left_by_groups() -> Iterator[int]:
    """Look for the bytes that are left to the groups of this process, and to those above them."""
    try:
        lines = _OWN_GROUPS.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        controller = _VERSION_1 if controllers else _VERSION_2
        own = PurePosixPath(path.lstrip("/"))
        # In a container the path may be that outside; then the mount itself is its group.
        for group in (own, *own.parents):
            left = _left_by(_MOUNT / controller.folder / group, controller)
            if left is not None:
                yield left


def _left_by(group: Path, controller: _Controller) -> int | None:
    """Return the bytes that are left to a group, what is only cached of files included."""
    try:
        limit = int((group / controller.limit).read_text())
        used = int((group / controller.usage).read_text())
        stated = (group / "memory.stat").read_text().split()
    except (OSError, ValueError):
        # No such group; or "max", which is no limit.
        return None
    sums = dict(zip(stated[::2], map(int, stated[1::2]), strict=True))
    return limit - used + sums.get(controller.reclaimable, 0)


def _processes() -> int:
    """Return how many processes torchrun has started on this machine, each for a set of its own."""
    stated = os.environ.get("LOCAL_WORLD_SIZE", "")
    return max(int(stated), 1) if stated.isdecimal() else 1
