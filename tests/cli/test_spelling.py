"""One message for two worlds: arguments in Python, options on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import pytest

import mtfast
from commands import invoke
from mtfast.cli.entry import cli
from mtfast.cli.spelling import as_options

SOURCE = Path(mtfast.__file__).parent


@pytest.mark.parametrize(
    ("said", "typed"),
    [
        ("leave it out with bad='skip'", "leave it out with --bad skip"),
        ("pass overwrite=True, or", "pass --overwrite, or"),
        ("with mapping={0: 12}, or", "with --map 0=12, or"),
        ("with mapping=…, or", "with --map FROM=TO, or"),
        ("made with min_areas=[300]", "made with --min-area 300"),
        ("before=[0] for the first", "--before 0 for the first"),
        ("image_folder=…", "--image-folder DIR"),
        ("images='none'", "--images none"),
        ("train=a.json val=b.json", "train=a.json val=b.json"),
        ("nothing='such'", "nothing='such'"),
        ("(convert with mapping={0: 2}); or", "(convert with --map 0=2); or"),
        ("no such folder: /runs/seed=3/batch=32/a", "no such folder: /runs/seed=3/batch=32/a"),
        ("no split 'n=3' in size=512", "no split 'n=3' in size=512"),
        ("runs/overwrite=True/a, overwrite=True.png", "runs/overwrite=True/a, overwrite=True.png"),
    ],
)
def test_arguments_are_spelled_as_options(said, typed):
    assert as_options(said) == typed


def test_paths_are_told_as_they_are(tmp_path):
    """Such as those of sweeps, which are called after their settings."""
    out = tmp_path / "seed=3" / "zoom=True"
    line = ("synth", str(out), "--train", "2", "--test", "1", "--size", "64x64")
    assert invoke(*line)[1].startswith(f"{out}: ")
    assert f"no such file or folder: {out}/nothing; " in invoke("info", f"{out}/nothing")[2]


def test_every_argument_of_a_message_is_spelled():
    """All that stand in the text of the library, wherever they stand in their sentences."""
    argument = re.compile(r"\b(\w+)=(?:'[a-z]+'|True|…|\[…\]|\[\d+\])")
    options = {
        o.name for c in cli.commands.values() for o in c.params if isinstance(o, click.Option)
    }
    n_found = 0
    for file in SOURCE.rglob("*.py"):
        if file.is_relative_to(SOURCE / "cli"):
            continue
        for whole in re.findall(r'"((?:[^"\\\n]|\\.)*)"', file.read_text(encoding="utf-8")):
            # Without what an f-string puts in.
            text = re.sub(r"\{[^{}]*\}", "", whole)
            said = [found[0] for found in argument.finditer(text) if found[1] in options]
            n_found += len(said)
            assert not [words for words in said if words in as_options(text)], (file.name, text)
    assert n_found > 30


def test_all_that_messages_advise_are_options():
    """No message of the library names an option, and each argument has one."""
    flags = {name for c in cli.commands.values() for p in c.params for name in p.opts}
    # Other programs' options, and commands that are named as such.
    elsewhere = re.compile(r"'mtfast [^']*'|mtfast fetch --list|pip install.*|dask worker .*")
    for file in SOURCE.rglob("*.py"):
        if file.is_relative_to(SOURCE / "cli"):
            continue
        for text in re.findall(r'"((?:[^"\\\n]|\\.)*)"', file.read_text(encoding="utf-8")):
            named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", elsewhere.sub("", text)))
            assert not named & flags, (file.name, text)


@pytest.fixture
def bad_set(tmp_path):
    """An annotation of an image that is not there."""
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [[1, 1, 5, 1, 5, 5]]}
        ],
        "categories": [{"id": 1, "name": "mono"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    return tmp_path / "a.json"


def test_an_error_is_spelled_for_who_reads_it(bad_set, tmp_path):
    with pytest.raises(mtfast.MtfastError, match="bad='skip'") as caught:
        mtfast.convert(bad_set, tmp_path / "a.zarr", images=False)
    assert "--bad" not in str(caught.value)
    _, _, said = invoke("convert", str(bad_set), str(tmp_path / "a.zarr"), "--images", "none")
    assert "--bad skip" in said
    assert "bad='" not in said


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_advice_is_spelled_for_who_reads_it(bad_set, form):
    (found,) = [f for f in mtfast.diagnose(bad_set).findings if "bad=" in f.advice]
    assert "--bad" not in found.advice
    _, said, _ = invoke("doctor", str(bad_set), *form)
    assert "--bad skip" in said
    assert "bad='" not in said


def test_every_option_of_a_message_takes_what_it_says():
    taken = {o.name for c in cli.commands.values() for o in c.params if isinstance(o, click.Option)}
    assert {"bad", "mapping", "overwrite", "images", "image_folder", "orientation"} <= taken
