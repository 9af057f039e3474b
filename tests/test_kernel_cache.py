"""The kernels that are compiled before the tests begin."""

from __future__ import annotations

import kernel_cache


def test_imports_are_other_modules_of_kernels():
    found = kernel_cache.imports()
    assert "mtfast.kernels.rle.columns" in found
    assert all(inner in found and inner != name for name, used in found.items() for inner in used)


def test_a_module_that_fails_is_named_and_the_others_are_loaded(monkeypatch):
    modules = {
        "json": set(),
        "no_such_kernel": {"json"},
        "csv": {"json"},
        "graphlib": {"no_such_kernel"},
    }
    monkeypatch.setattr(kernel_cache, "imports", lambda: modules)
    (failed,) = kernel_cache.fill(1).items()
    assert failed[0] == "no_such_kernel"
    assert isinstance(failed[1], ModuleNotFoundError)
