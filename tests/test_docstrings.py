"""The examples of docstrings, in a file of their own: files are spread over processes."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from importlib.util import find_spec

import mtfast
from mtfast.synth import make_set
from torchvision_ops import import_torchvision


def test_docstring_examples(tmp_path, monkeypatch):
    """In a folder with a set, Graphene, its store, graphene.zarr, and another set, GrapheneL."""
    monkeypatch.chdir(tmp_path)
    make_set("Graphene", train=10, test=4, size=(96, 128), seed=3, workers=1)
    make_set("GrapheneL", train=8, test=2, size=(96, 128), seed=4, workers=1)
    mtfast.convert("Graphene", "graphene.zarr")
    adapters = (
        *("batches", "forms", "gpu", "pinned_memory", "reads", "seeding", "stream", "torch"),
        *("workers", "world"),
    )
    needs_torch = ("mtfast.gpu", *(f"mtfast.loaders.{name}" for name in adapters))

    needs_frames = ("mtfast.table.run_table", "mtfast.tabular.data_frames")

    def expect_torch(package):
        """Packages are imported to be walked; without PyTorch some raise."""
        assert package.startswith(needs_torch), package
        assert find_spec("torch") is None

    n = 0
    for module in pkgutil.walk_packages(mtfast.__path__, "mtfast.", expect_torch):
        if module.name == "mtfast.__main__":
            continue
        if module.name.startswith(needs_torch) and find_spec("torch") is None:
            continue
        if module.name in needs_frames and not (find_spec("pandas") and find_spec("pyarrow")):
            continue
        if module.name == "mtfast.loaders.forms.tv_classes":
            if find_spec("torchvision") is None:
                continue
            import_torchvision()
        imported = importlib.import_module(module.name)
        # To look for docstrings takes 0.05 s in each module.
        if ">>>" not in inspect.getsource(imported):
            continue
        result = doctest.testmod(imported, extraglobs={"mtfast": mtfast})
        assert result.failed == 0, module.name
        n += result.attempted
    assert n > 5
