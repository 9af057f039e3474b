"""torchvision for the tests, also where its compiled operators do not load.

The operators are built for one build of PyTorch. Beside another, such as that for CPUs, torchvision
does not import, as it describes two operators that are not there. Declared, they let it import, and
everything that is plain Python works.
"""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from types import ModuleType

import pytest


def import_torchvision() -> ModuleType:
    """Import it, or skip the test or the file of tests where it is not installed."""
    torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")
    if importlib.util.find_spec("torchvision") is None:
        pytest.skip("no torchvision", allow_module_level=True)
    with contextlib.suppress(RuntimeError):
        return importlib.import_module("torchvision")
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    declare_operators(torch)
    return importlib.import_module("torchvision")


def declare_operators(torch: ModuleType) -> None:
    library = torch.library.Library("torchvision", "DEF")
    for name in ("nms", "qnms"):
        library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # It undeclares them when it is collected.
    declare_operators.library = library
