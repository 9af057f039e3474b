"""What the documents show is what happens."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

import mtfast
from mtfast.store import schema
from mtfast.synth import make_set

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    """The folder in which the README's session has been typed, and what each command said."""
    folder = tmp_path_factory.mktemp("readme")
    said = {}
    (console,) = blocks("README.md", "console")
    for command in re.findall(r"^\$ mtfast (.*)$", console, re.MULTILINE):
        arguments = shlex.split(command)
        if arguments[0] == "synth":
            # The same set on small frames, which takes seconds.
            arguments += ["--size", "240x320"]
        done = subprocess.run(
            [sys.executable, "-m", "mtfast", *arguments], cwd=folder, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        said[command] = done.stdout
    return folder, console, said


def test_the_readme_session(session):
    """Line for line, but for the numbers, which depend on the size of the frames."""
    _, console, said = session

    def shape(text: str) -> list[str]:
        return [
            re.sub(r"[\d,]+", "N", " ".join(line.split())) for line in text.splitlines() if line
        ]

    typed = re.split(r"^\$ mtfast (.*)\n", console, flags=re.MULTILINE)[1:]
    for command, shown in zip(typed[::2], typed[1::2], strict=True):
        assert shape(shown) == shape(said[command]), command


def test_the_numbers_of_the_readme_session(tmp_path):
    """The counts and areas shown are those of the set at full size."""
    (console,) = blocks("README.md", "console")
    synth, info = re.findall(r"^\$ mtfast ((?:synth|info) .*)$", console, re.MULTILINE)
    for command in (f"{synth} --no-images", info):
        done = subprocess.run(
            [sys.executable, "-m", "mtfast", *shlex.split(command)],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
    shown = console.partition(f"$ mtfast {info}\n")[2].partition("\n\n$")[0]
    assert done.stdout.replace("without images", "with images").split() == shown.split()


def test_the_readme_states_rates():
    section = (ROOT / "README.md").read_text().partition("## Rates")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    assert len(rows) > 8
    assert re.search(r"\d+ cores, Python 3\.\d+", section)
    assert "42,274" in section


@pytest.mark.parametrize("document", ["README.md", "docs/FORMAT.md"])
def test_python_blocks_run(session, document, monkeypatch, capsys):
    monkeypatch.chdir(session[0])
    found = blocks(document, "python")
    assert found
    for block in found:
        if "mtfast.loaders.torch" in block and find_spec("torch") is None:
            continue
        # The frames are smaller than those of the README.
        exec(compile(block.replace("512", "128"), document, "exec"), {})


def test_format_document_names_every_array():
    text = (ROOT / "docs" / "FORMAT.md").read_text()
    assert f"layout version {schema.FORMAT}" in text
    for declared in (schema.SPLIT, schema.CROP_INDEX, schema.INSTANCES, schema.VARIANTS):
        for name, column in declared.items():
            dimensions = ", ".join(column.dimensions)
            dtype = "string" if column.dtype == "str" else column.dtype
            assert re.search(rf"^ +{name} +\({dimensions}\) +{dtype}\b", text, re.MULTILINE), name


def test_the_changelog_is_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{mtfast.__version__}]" in text
    assert f'version = "{mtfast.__version__}"' in (ROOT / "pyproject.toml").read_text()


def test_every_dependency_is_justified():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("## Dependencies")[2]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=!~ ]", requirement)[0]
        assert re.search(rf"^\|.*\b{name}\b", text, re.MULTILINE), name


def test_docstring_examples(tiny_set, tmp_path, monkeypatch):
    """In a folder with a set, Graphene, its store, graphene.zarr, and another set, GrapheneL."""
    import doctest
    import importlib
    import pkgutil

    from torchvision_ops import import_torchvision

    shutil.copytree(tiny_set, tmp_path / "Graphene")
    monkeypatch.chdir(tmp_path)
    make_set("GrapheneL", train=8, test=2, size=(96, 128), seed=4, workers=1)
    mtfast.convert("Graphene", "graphene.zarr")
    adapters = ("batches", "forms", "gpu", "reads", "seeding", "torch", "workers", "world")
    needs_torch = tuple(f"mtfast.loaders.{name}" for name in adapters)
    n = 0
    for module in pkgutil.walk_packages(mtfast.__path__, "mtfast."):
        if module.name == "mtfast.__main__":
            continue
        if module.name.startswith(needs_torch) and find_spec("torch") is None:
            continue
        if module.name == "mtfast.loaders.forms.tv_classes":
            if find_spec("torchvision") is None:
                continue
            import_torchvision()
        result = doctest.testmod(
            importlib.import_module(module.name), extraglobs={"mtfast": mtfast}
        )
        assert result.failed == 0, module.name
        n += result.attempted
    assert n > 5
