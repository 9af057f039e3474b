"""Where kernels run: what the host makes of tensors, and what is said without a device."""

from __future__ import annotations

import ctypes
import gc
import mmap
import multiprocessing
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from mtfast.errors import MtfastError
from mtfast.gpu import driver
from mtfast.gpu.launching import HostLauncher, launcher_of
from mtfast.kernels.device.twice import device_kernel
from mtfast.loaders.gpu import free_memory, memory
from mtfast.loaders.gpu.memory import Memory, choose_memory


@device_kernel("u32[] u8[] i64", threads=4)
def put(bx, by, t, scratch, words, out, n):
    """Write the lowest byte of each word, and how many there are at the end."""
    if t < n:
        out[t] = words[t] & 255
    if t == 3:
        out[3] = words.size


def test_memory_of_tensors_is_read_as_the_kernel_says():
    """Bytes after the last whole word are left out."""
    words = torch.tensor([1, 300, -1], dtype=torch.int32)
    out = torch.zeros(4, dtype=torch.uint8)
    launcher_of(torch.device("cpu")).launch(put, (1, 1), words, out, 3)
    assert out.tolist() == [1, 44, 255, 3]
    HostLauncher().launch(put, (1, 1), torch.arange(6, dtype=torch.uint8), out, 1)
    assert out.tolist() == [0, 44, 255, 1]
    flags = torch.zeros((2, 2), dtype=torch.bool)
    HostLauncher().launch(put, (1, 1), words, flags, 1)
    assert flags.tolist() == [[True, False], [False, True]]


@pytest.mark.parametrize("empty", [torch.zeros(0), torch.from_numpy(np.zeros(0, np.int32))[:0]])
def test_memory_of_no_elements(empty):
    out = torch.zeros(4, dtype=torch.uint8)
    HostLauncher().launch(put, (1, 1), torch.empty_strided((0,), (0,)), out, 0)
    HostLauncher().launch(put, (1, 1), empty, out, 0)
    assert out.tolist() == [0, 0, 0, 0]


def test_wrong_numbers_of_arguments():
    with pytest.raises(ValueError, match="is longer"):
        HostLauncher().launch(put, (1, 1), torch.zeros(3, dtype=torch.int32))


def test_no_device(monkeypatch):
    with pytest.raises(MtfastError, match="device 'meta'; expected a CUDA device"):
        launcher_of(torch.device("meta"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MtfastError, match="device 'cuda:5'; .*use mtfast.loaders.torch.Loader"):
        launcher_of(torch.device("cuda", 5))


def test_a_library_that_is_missing(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setitem(sys.modules, "cuda", None)
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    driver.driver_of.cache_clear()
    with pytest.raises(MtfastError, match=r"run: pip install 'mtfast\[gpu\]'") as error:
        launcher_of(torch.device("cuda", 7))
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("n_bytes", "free", "kind"),
    [(100, 10**15, "device"), (1000, 100, "host"), (2**62, 100, "disk")],
)
def test_memory_that_is_free(monkeypatch, n_bytes, free, kind):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, free))
    assert choose_memory("auto", torch.device("cuda"), n_bytes).kind == kind
    assert choose_memory("auto", torch.device("cpu"), n_bytes).kind == "device"
    with pytest.raises(MtfastError, match="memory"):
        choose_memory("gpu", torch.device("cpu"), n_bytes)


@pytest.mark.parametrize(
    ("processes", "kind"),
    [(None, "host"), ("1", "host"), ("8", "disk"), ("0", "host"), ("", "host")],
)
def test_memory_that_several_processes_share(monkeypatch, processes, kind):
    """Each rank of a machine loads the whole set, as its samples are drawn anew each epoch."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 10))
    monkeypatch.setattr(free_memory, "_free_of_machine", lambda: 40_000)
    monkeypatch.delenv("LOCAL_WORLD_SIZE", raising=False)
    if processes is not None:
        monkeypatch.setenv("LOCAL_WORLD_SIZE", processes)
    assert choose_memory("auto", torch.device("cuda", 0), 10_000).kind == kind


def test_memory_that_is_not_there():
    with pytest.raises(
        MtfastError, match="files of .* bytes, for which cpu has no memory"
    ) as error:
        choose_memory("device", torch.device("cpu"), 0).words(2**60)
    assert len(str(error.value).splitlines()) == 1


class Runtime:
    """CUDA's runtime, as far as memory of the host is locked with it; it keeps the last error."""

    def __init__(self, monkeypatch, status=0):
        self.status, self.error, self.locked = status, 0, []
        calls = {"cudaHostRegister": self.register, "cudaHostUnregister": self.locked.remove}
        monkeypatch.setattr(torch.cuda, "cudart", lambda: SimpleNamespace(**calls))
        monkeypatch.setattr(torch.cuda, "check_error", self.check)
        monkeypatch.setattr(torch, "zeros", self.launch)

    def register(self, address, n_bytes, flags):
        assert (n_bytes, flags) == (40, 0)
        self.error = self.status
        if not self.status:
            self.locked.append(address)
        return self.status

    def check(self, status):
        if status:
            raise RuntimeError(f"operation not supported ({status})")

    def launch(self, n, device):
        """Raise the error that is kept, as PyTorch does after a launch, and clear it."""
        found, self.error = self.error, 0
        self.check(found)


def test_memory_of_the_host_is_locked_until_it_is_freed(monkeypatch):
    runtime = Runtime(monkeypatch)
    words = Memory("host", torch.device("cuda", 1)).words(10)
    part = words[3:].numpy()
    assert runtime.locked == [words.data_ptr()]
    del words
    gc.collect()
    assert len(runtime.locked) == 1
    del part
    gc.collect()
    assert runtime.locked == []


def is_mapped(address):
    """Whether this process has memory at an address."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    ranges = [[int(end, 16) for end in line.split()[0].split("-")] for line in lines]
    return any(start <= address < end for start, end in ranges)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux copies locked pages when it forks")
def test_memory_of_the_host_is_not_copied_for_forked_processes(monkeypatch):
    Runtime(monkeypatch)
    words = Memory("host", torch.device("cuda", 1)).words(10)
    words[:] = torch.arange(10)
    assert is_mapped(words.data_ptr())
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=lambda: writer.send(is_mapped(words.data_ptr())))
    process.start()
    assert reader.poll(60)
    assert reader.recv() is False
    process.join(60)
    assert process.exitcode == 0
    assert words.tolist() == [*range(10)]


def is_kept_when_dropped(held, n_bytes):
    """Whether a process that drops memory which it does not have keeps its own at that address."""
    address = held[0].data_ptr()
    map_ = ctypes.CDLL(None).mmap
    map_.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    # MAP_FIXED_NOREPLACE: there, unless something of its own lies there already.
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x100000
    map_(address, n_bytes, mmap.PROT_READ, flags, -1, 0)
    before = is_mapped(address)
    held.clear()
    gc.collect()
    return before, is_mapped(address)


@pytest.mark.skipif(sys.platform != "linux", reason="only there is memory kept from forks")
def test_a_forked_process_unmaps_nothing_of_its_own():
    n_bytes = 1 << 24
    held = [memory._empty_not_inherited(n_bytes // 4)]
    context = multiprocessing.get_context("fork")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=lambda: writer.send(is_kept_when_dropped(held, n_bytes)))
    process.start()
    assert reader.poll(60)
    assert reader.recv() == (True, True)
    process.join(60)
    assert process.exitcode == 0
    # Here it is given back.
    address = held[0].data_ptr()
    held.clear()
    gc.collect()
    assert not is_mapped(address)


def test_memory_of_the_host_that_cannot_be_locked(monkeypatch):
    """CUDA's error is not left for the next kernel, with which it has nothing to do."""
    runtime = Runtime(monkeypatch, status=801)
    expected = r"cpu has no memory \(operation not supported \(801\)\); .*; give memory='disk'$"
    with pytest.raises(MtfastError, match=expected):
        Memory("host", torch.device("cuda", 1)).words(10)
    assert (runtime.error, runtime.locked) == (0, [])
