"""What launches kernels on a device, on a stand-in for NVIDIA's libraries."""

from __future__ import annotations

import ctypes
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from mtfast.errors import MtfastError
from mtfast.gpu import driver
from mtfast.kernels.code_folder import CodeFolder
from mtfast.kernels.device.change_words import changes_of_four_bytes as kernel
from mtfast.kernels.device.twice import DeviceCode, DeviceKernel

DEVICE = torch.device("cuda", 0)
CONTEXT = 7


class Libraries:
    """Compiles a kernel to "cubin" and logs the arguments of its launches."""

    def __init__(self) -> None:
        self.n_compiled, self.launches, self.status = 0, [], 0
        self.current = 0
        # Each thread has a context of its own, at first none.
        self.contexts = threading.local()

    def context(self):
        return 0, getattr(self.contexts, "entered", 0)

    def enter(self, context):
        self.contexts.entered = context
        return (0,)

    @contextmanager
    def made_current(self, device):
        before, self.current = self.current, device.index
        yield
        self.current = before

    def compile_for(self, kernel, capability):
        self.n_compiled += 1
        return DeviceCode(b"ptx", f"entry of {kernel.name}")

    def launch(self, handle, *arguments):
        grid, parameters = arguments[:3], arguments[8]
        addresses = (ctypes.c_uint64 * len(kernel.types)).from_address(parameters)
        given = [ctypes.c_int64.from_address(address).value for address in addresses]
        assert self.current == DEVICE.index
        assert self.context() == (0, CONTEXT)
        self.launches.append((handle, grid, given))
        return (self.status,)

    def modules(self):
        link = SimpleNamespace(link=lambda kind: SimpleNamespace(code=kind.encode()))
        code = SimpleNamespace(
            from_ptx=lambda ptx: ptx,
            from_cubin=lambda cubin: SimpleNamespace(
                get_kernel=lambda entry: SimpleNamespace(handle=len(cubin + entry.encode()))
            ),
        )
        core, bindings = ModuleType("cuda.core"), ModuleType("cuda.bindings")
        core.Device = lambda index: SimpleNamespace(set_current=lambda: self.enter(CONTEXT))
        core.ObjectCode, core.LinkerOptions = code, lambda arch: arch
        core.Linker = lambda ptx, options: link
        bindings.driver = SimpleNamespace(
            CUfunction=int,
            cuLaunchKernel=self.launch,
            cuCtxGetCurrent=self.context,
            cuCtxSetCurrent=self.enter,
        )
        cuda = ModuleType("cuda")
        cuda.core, cuda.bindings = core, bindings
        return {"cuda": cuda, "cuda.core": core, "cuda.bindings": bindings}


@pytest.fixture
def libraries(monkeypatch, tmp_path):
    stand_in = Libraries()
    for name, module in stand_in.modules().items():
        monkeypatch.setitem(sys.modules, name, module)
    stream = SimpleNamespace(cuda_stream=0, synchronize=lambda: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device", stand_in.made_current)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: stand_in.current)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device=None: stream)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(driver, "CODE_FOLDER", CodeFolder(tmp_path))
    monkeypatch.setattr(driver, "version", lambda name: "0.30.4")
    monkeypatch.setattr(driver, "_versions", lambda: ("0.30.4",))
    monkeypatch.setattr(driver, "import_compiler", lambda: None)
    monkeypatch.setattr(DeviceKernel, "compile_for", lambda *given: stand_in.compile_for(*given))
    return stand_in


def test_a_kernel_is_compiled_once_and_kept(libraries, monkeypatch):
    frames, words = torch.zeros(8, dtype=torch.int32), torch.zeros(16, dtype=torch.int32)
    launched = (len(b"cubin") + len(f"entry of {kernel.name}"), (3, 1, 1))
    given = [frames.data_ptr(), 8, 4, 16, words.data_ptr()]
    first = driver.Driver(DEVICE)
    for _ in range(2):
        first.launch(kernel, (3, 1), frames, 8, 4, 16, words)
    first.launch(kernel, (0, 1), frames, 8, 4, 0, words)
    assert libraries.launches == [(*launched, given)] * 2
    assert libraries.n_compiled == 1

    def refuse():
        raise AssertionError("numba-cuda is imported by a process that compiles nothing")

    monkeypatch.setattr(driver, "import_compiler", refuse)
    driver.Driver(DEVICE).launch(kernel, (3, 1), frames, 8, 4, 16, words)
    assert libraries.launches == [(*launched, given)] * 3
    assert libraries.n_compiled == 1


def test_a_device_that_is_not_the_current_one(libraries):
    """As a tensor of the second GPU while the first one is PyTorch's current device."""
    launching = driver.Driver(DEVICE)
    libraries.current = 3
    launching.launch(kernel, (1, 1), 0, 8, 4, 16, 0)
    assert (len(libraries.launches), libraries.current) == (1, 3)


def test_a_thread_that_has_not_worked_with_cuda(libraries):
    """As one that encodes masks beside the training, in memory that PyTorch has at hand."""
    launching = driver.Driver(DEVICE)
    with ThreadPoolExecutor(1) as pool:
        for _ in range(2):
            pool.submit(launching.launch, kernel, (1, 1), 0, 8, 4, 16, 0).result()
    assert len(libraries.launches) == 2


def test_kernels_of_one_name_are_two(libraries):
    """Of two modules, as each room names its own."""
    other = DeviceKernel(
        kernel.phases, " ".join(kernel.types), 2 * kernel.threads, name=kernel.name
    )
    other.module = "another"
    launching = driver.Driver(DEVICE)
    for each in (kernel, other, kernel, other):
        launching.launch(each, (1, 1), 0, 8, 4, 16, 0)
    assert libraries.n_compiled == 2


def test_a_compiler_that_does_not_go_with_numpy(libraries, monkeypatch):
    def fail():
        raise AttributeError("module 'numpy' has no attribute 'row_stack'")

    monkeypatch.setattr(driver, "import_compiler", fail)
    found = r"numba-cuda 0.30.4 that does not import beside numpy \d.* \(module 'numpy' has no "
    with pytest.raises(
        MtfastError, match=f"^{found}.*; expected .*; run: pip install 'numpy<2.5'$"
    ):
        driver.Driver(DEVICE).launch(kernel, (1, 1), 0, 8, 4, 16, 0)


def test_a_launch_that_fails(libraries):
    libraries.status = SimpleNamespace(name="CUDA_ERROR_OUT_OF_MEMORY")
    refused = r"3 x 1 blocks \(CUDA_ERROR_OUT_OF_MEMORY\); expected .*smaller batch_size$"
    with pytest.raises(MtfastError, match=refused):
        driver.Driver(DEVICE).launch(kernel, (3, 1), 0, 8, 4, 16, 0)
    libraries.status = SimpleNamespace(name="CUDA_ERROR_ILLEGAL_ADDRESS")
    with pytest.raises(MtfastError, match=r"\(CUDA_ERROR_ILLEGAL_ADDRESS\).*an earlier kernel"):
        driver.Driver(DEVICE).launch(kernel, (3, 1), 0, 8, 4, 16, 0)


@pytest.mark.parametrize("missing", ["numba_cuda", "cuda", "cuda.core"])
def test_what_is_not_installed(libraries, monkeypatch, missing):
    monkeypatch.setattr(driver, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(MtfastError, match=f"no '{missing}'; .*; run: pip install 'mtfast.gpu.'"):
        driver.driver_of(DEVICE)


def test_what_is_no_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in (DEVICE, torch.device("cpu")):
        with pytest.raises(MtfastError, match=f"device '{device}'; expected a CUDA device"):
            driver.driver_of(device)


@pytest.mark.parametrize(
    ("module", "extra"), [("mtfast.gpu", "torch"), ("mtfast.loaders.gpu", "gpu")]
)
def test_without_torch(module, extra):
    code = f"import sys; sys.modules['torch'] = None; import {module}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("mtfast.errors.MtfastError: ")
    assert last.endswith(
        f"no 'torch'; expected it to be installed; run: pip install 'mtfast[{extra}]'"
    )
