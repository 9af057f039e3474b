"""What users see of modules: the names that ``dir()`` lists, and the types in signatures."""

from __future__ import annotations

import ast
import importlib
import inspect
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

NEEDS_TORCH = ("mtfast.gpu", "mtfast.loaders.gpu", "mtfast.loaders.torch")
DOORS = ("mtfast", "mtfast.mask", "mtfast.loaders", "mtfast.loaders.weights", *NEEDS_TORCH)


@pytest.fixture(params=DOORS)
def door(request):
    if request.param in NEEDS_TORCH and find_spec("torch") is None:
        pytest.skip("PyTorch is not installed")
    return importlib.import_module(request.param)


def test_dir_lists_public_names_only(door):
    shown = dir(door)
    assert set(door.__all__) <= set(shown)
    assert {name for name in shown if name not in door.__all__} <= {
        name for name in vars(door) if name.startswith("__") and name.endswith("__")
    }
    assert {"__name__", "__doc__", "__file__"} <= set(shown)
    assert all(getattr(door, name, None) is not None for name in door.__all__)


def test_dir_loads_nothing():
    code = (
        "import sys, mtfast; before = set(sys.modules); dir(mtfast); "
        "print(*set(sys.modules) - before)"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["mtfast.public"]


def functions_of(name, value):
    """Yield every function that a public name leads to, with its name."""
    if inspect.isfunction(value):
        yield name, value
    if not inspect.isclass(value):
        return
    for base in inspect.getmro(value):
        if not base.__module__.startswith("mtfast"):
            continue
        for attribute, member in vars(base).items():
            is_public = not attribute.startswith("_") or attribute in IN_DOCUMENTS
            member = getattr(member, "__func__", getattr(member, "fget", member))
            member = getattr(member, "_compute", member)
            if is_public and inspect.isfunction(member):
                yield f"{name}.{attribute}", member


IN_DOCUMENTS = ("__init__", "__call__", "__contains__", "__getitem__", "__iter__", "__len__")


def is_bare(annotation):
    """Whether an annotation says nothing: Any alone, or Any or None."""
    if not isinstance(annotation, str):  # Of a method that dataclass has made.
        return annotation is Any
    union = ast.parse(annotation, mode="eval").body
    parts = []
    while isinstance(union, ast.BinOp):
        parts.append(union.right)
        union = union.left
    parts.append(union)
    return "Any" in map(ast.unparse, parts)


def bare_annotations(name, function):
    for parameter, annotation in inspect.get_annotations(inspect.unwrap(function)).items():
        if is_bare(annotation):
            yield f"{name}: {parameter}: {annotation}"


def test_signatures_at_the_doors_say_what_they_take_and_return(door):
    found = [
        line
        for public in door.__all__
        for name, function in functions_of(f"{door.__name__}.{public}", getattr(door, public))
        if not name.startswith("mtfast.RunTable.")
        for line in bare_annotations(name, function)
    ]
    assert found == []


def test_signatures_of_what_the_doors_return_do_too():
    from mtfast.sources import Source
    from mtfast.sources.split import SourceSplit
    from mtfast.store.reading.sample import CroppedSample, Sample
    from mtfast.store.reading.selection import Selection
    from mtfast.store.reading.store import Split, Store

    classes = (Source, SourceSplit, Store, Split, Selection, Sample, CroppedSample)
    members = [pair for kind in classes for pair in functions_of(kind.__name__, kind)]
    assert len(members) > 60
    assert [line for pair in members for line in bare_annotations(*pair)] == []


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("Any", True),
        ("Any | None", True),
        ("int | Any", True),
        ("NDArray[Any]", False),
        ("dict[str, Any] | None", False),
    ],
)
def test_a_bare_any_is_found(annotation, expected):
    assert is_bare(annotation) == expected


def test_every_public_function_states_its_types(door):
    for public in door.__all__:
        for name, function in functions_of(public, getattr(door, public)):
            found = set(inspect.get_annotations(inspect.unwrap(function)))
            given = {*inspect.signature(inspect.unwrap(function)).parameters} - {"self", "cls"}
            assert given <= found, name
            assert "return" in found, name
