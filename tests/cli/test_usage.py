"""What was meant, and the next step: misspelt names, other formats, the wrong kind of dataset."""

from __future__ import annotations

import json
import re

import pytest

import mtfast
from commands import invoke
from mtfast.errors import nearest
from mtfast.paths import advice_for


def error_of(*arguments: object) -> str:
    status, said, errors = invoke(*map(str, arguments))
    assert (status, said) == (2, "")
    # Progress may have been printed before.
    line = errors.splitlines()[-1]
    assert line.count("; expected") == 1
    return line.removeprefix("mtfast: error: ")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["cnvert"], "no command 'cnvert' in mtfast; .* did you mean 'convert'?"),
        (["fly"], "no command 'fly' in mtfast; expected one of: demo, .*, bench; pick one of them"),
        (["help"], "no command 'help' in mtfast; .* did you mean '--help'?"),
        (["."], ". is a path; expected a command before it; did you mean 'mtfast info .'?"),
        (["info", ".", "--jsn"], "no option '--jsn' in 'mtfast info'; .* did you mean '--json'?"),
        (["info", ".", "--xyzzy"], "no option '--xyzzy' in 'mtfast info'; .* correct the command"),
        (
            ["convert", ".", "a", "--image", "none"],
            "no option '--image' .* did you mean '--images'?",
        ),
        (["masks", ".", "a", "--format", "tif"], "--format is 'tif'; .* did you mean 'tiff'?"),
        (["masks", ".", "a", "--kind", "1"], "--kind is '1'; .* boundary; pick one of them"),
        (["convert", ".", "a", "--split"], "Option '--split' requires an argument; "),
        (
            ["preview", "."],
            "Missing argument 'OUT'; expected 'mtfast preview [OPTIONS] SRC|STORE... OUT'",
        ),
        (
            ["bench", "a", "b"],
            "Got unexpected extra argument (b); expected 'mtfast bench [OPTIONS] STORE",
        ),
        (["info", "a", "b"], "2 sources: a b; expected one, or a COCO file for each split, "),
        (["masks", ".", "a", "--map", "1=2", "--map", "1=3"], "class 1 is mapped twice; "),
        (
            ["masks", ".", "a", "--map", "one=2"],
            "Invalid value for '--map': 'one=2' is no pair of ",
        ),
        (["convert", ".", "a.zip"], "a.zip for a folder; expected a name without .zip, the "),
        (["info", ".", "--areas", "a.xlsx"], "a.xlsx for a table; expected .csv; rename it"),
        (["info", ".", "--json", "--areas", "a.csv"], "--json with --areas or --plots; "),
    ],
)
def test_a_line_says_what_was_meant(tmp_path, monkeypatch, arguments, line):
    monkeypatch.chdir(tmp_path)
    assert re.match(".*".join(map(re.escape, line.split(".*"))), error_of(*arguments))
    assert not list(tmp_path.iterdir())


def test_aliases_are_not_advised():
    assert "--no-images" not in error_of("synth", "a", "--no-image")


@pytest.mark.parametrize("command", ["index", "check", "bench"])
def test_a_dataset_where_a_store_is_wanted(tiny_set, tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    found = error_of(command, tiny_set)
    assert found.endswith(f"if it is a dataset, run 'mtfast convert {tiny_set} STORE' first")
    (tmp_path / "coco.json").write_text("{}")
    found = error_of(command, "coco.json")
    assert found.endswith(
        f"if this file is of a dataset, run 'mtfast convert {tmp_path / 'coco.json'} STORE' first"
    )
    (tmp_path / "set.zarr").mkdir()
    assert error_of(command, "set.zar").endswith("; did you mean 'set.zarr'?")


@pytest.mark.parametrize(
    ("command", "more"), [("convert", ["a"]), ("doctor", []), ("verify", []), ("derive", ["a"])]
)
def test_a_store_where_a_dataset_is_wanted(tiny_set, tmp_path, command, more):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", images="none")
    more = [*more, "--min-area", "3"] if command == "derive" else more
    found = error_of(command, store, *(tmp_path / m if m == "a" else m for m in more))
    assert "s.zarr is a store; expected a dataset as it was published" in found
    assert "'mtfast check'" in found


FOREIGN = {
    "via.json": (
        '{"_via_img_metadata": {}}',
        "is a VGG Image Annotator (VIA) project",
        "export it from VIA as COCO format",
    ),
    "createml.json": (
        json.dumps([{"image": "a.jpg", "annotations": []}]),
        "is a createML file",
        "export it as COCO; createML has boxes alone",
    ),
    "data.yaml": ("names: [a]", "names no images", "check that it is the right file"),
    "a.xml": ("<annotation>", "CVAT or Pascal VOC", "export it as COCO"),
    "a.zip": ("PK", "is cut off or damaged", "download it again"),
    "a.tar.gz": ("", "is an archive", "unpack it, and give the path of its folder"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize(
    "line",
    ["info {}", "convert {} a", "masks {} a", "preview {} a.png", "derive {} a --min-area 3"],
)
def test_other_formats_are_called_by_their_names(tmp_path, monkeypatch, name, line):
    monkeypatch.chdir(tmp_path)
    content, found, advice = FOREIGN[name]
    (tmp_path / name).write_text(content)
    said = error_of(*line.format(name).split())
    assert found in said
    assert said.endswith(advice) or advice in said
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("command", ["info", "doctor", "verify"])
def test_a_path_that_is_misspelt(tmp_path, monkeypatch, command):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "graphene").mkdir()
    assert error_of(command, "grafene").endswith("; did you mean 'graphene'?")
    assert error_of(command, "elsewhere").endswith("; check the path")
    assert error_of(command, "no/graphene").endswith(f": there is no folder {tmp_path / 'no'}")


def test_a_source_to_repair_from_is_looked_for_first(tiny_set, tmp_path):
    """Also where nothing is damaged, so that it is not needed."""
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", images="none")
    assert "no such file or folder" in error_of("check", store, "--repair", tmp_path / "nothing")


def test_nearest_of_many():
    names = [f"image_{k:05}.jpg" for k in range(40_000)]
    assert nearest("image_00007.jp", names) in names
    assert nearest("zzz", names) is None


def test_advice_for_a_folder_that_cannot_be_listed(tmp_path, monkeypatch):
    def refuse(_):
        raise PermissionError

    monkeypatch.setattr("os.listdir", refuse)
    assert advice_for(tmp_path / "a") == "check the path"
