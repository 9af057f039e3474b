"""The code of docs/LOADERS.md runs, where the libraries that it uses are installed."""

from __future__ import annotations

import ast
import importlib
import re
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

from mtfast.loaders.torch import Loader

TEXT = (Path(__file__).parents[2] / "docs" / "LOADERS.md").read_text()
SECTION = re.compile(r"^## Use it (?:in|on) (.*?)\n(.*?)(?=^## |\Z)", re.DOTALL | re.MULTILINE)
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)
BLOCKS = {
    f"{title}-{number}": block
    for title, section in SECTION.findall(TEXT)
    for number, block in enumerate(BLOCK.findall(section))
}


def test_the_document_shows_each_library():
    titles = {name.rpartition("-")[0] for name in BLOCKS}
    assert titles == {
        "PyTorch",
        "Lightning",
        "Accelerate",
        "detectron2 and Mask2Former",
        "torchvision",
        "a GPU",
    }


def libraries(block):
    """The modules that a block imports, but for what is always there."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        if isinstance(node, ast.ImportFrom):
            yield node.module


@pytest.mark.parametrize("name", BLOCKS)
@pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")
@pytest.mark.filterwarnings("ignore::UserWarning:lightning")
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
def test_a_block_runs(name, store, tmp_path, monkeypatch):
    # The images of the store are smaller than those of the document.
    block = BLOCKS[name].replace("512", "64")
    # The twins of the kernels run everywhere.
    block = block.replace('"cuda"', '"cpu"')
    code = compile(block, name, "exec")
    for library in libraries(block):
        try:
            importlib.import_module(library)
        except (ImportError, RuntimeError) as error:
            # torchvision raises a RuntimeError beside a PyTorch that it was not built for.
            pytest.skip(f"{library}: {error}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphene.zarr").symlink_to(store)
    space = {"__name__": "document"}
    exec(code, space)
    for value in space.values():
        if isinstance(value, Loader):
            value.close()
