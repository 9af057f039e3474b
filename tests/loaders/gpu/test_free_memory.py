"""The memory that is free for a process, in folders as those that Linux shows."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from mtfast.loaders.gpu import free_memory
from mtfast.loaders.gpu.free_memory import free_host_bytes

GB = 10**9


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with 64 GB available; returns what writes its files."""
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    for name, place in (("_MACHINE", "meminfo"), ("_OWN_GROUPS", "own"), ("_MOUNT", "cgroup")):
        monkeypatch.setattr(free_memory, name, tmp_path / place)

    def write(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")

    write("meminfo", "MemTotal: 90000000 kB\nMemFree: 1000 kB\nMemAvailable:   62500000 kB")
    return write


def group(write, folder, limit, used, cached):
    write(f"cgroup/{folder}/memory.max", limit)
    write(f"cgroup/{folder}/memory.current", used)
    write(f"cgroup/{folder}/memory.stat", f"anon 77\ninactive_file {cached}\nshmem 0")


def test_a_machine_without_groups(machine):
    """What is cached of files is free."""
    assert free_host_bytes() == 64 * GB


def test_a_job_of_a_batch_system(machine):
    """The limit may be that of a group above; the smallest one counts."""
    machine("own", "0::/slurm/job_7/step_0")
    assert free_host_bytes() == 64 * GB
    group(machine, "slurm/job_7/step_0", "max", 5 * GB, GB)
    assert free_host_bytes() == 64 * GB
    group(machine, "slurm/job_7", 32 * GB, 20 * GB, 3 * GB)
    assert free_host_bytes() == 15 * GB
    group(machine, "slurm", 40 * GB, 39 * GB, 0)
    assert free_host_bytes() == GB


def test_more_is_used_than_the_limit(machine):
    machine("own", "0::/")
    group(machine, ".", 2 * GB, 3 * GB, 0)
    assert free_host_bytes() == 0


def test_a_container_that_is_told_its_path_outside(machine):
    """With the older controllers, of which one is of memory; its own group is the mount."""
    machine("own", "5:devices:/docker/1f\n4:cpu,cpuacct:/docker/1f\n3:memory:/docker/1f\n0::/x")
    machine("cgroup/memory/memory.limit_in_bytes", 8 * GB)
    machine("cgroup/memory/memory.usage_in_bytes", 6 * GB)
    machine("cgroup/memory/memory.stat", f"cache 9\ntotal_inactive_file {GB}")
    assert free_host_bytes() == 3 * GB


def test_processes_of_torchrun_share_it(machine, monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert free_host_bytes() == 16 * GB


def test_this_machine():
    """At most what it has, by Python's own word."""
    import os

    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < free_host_bytes() <= total
