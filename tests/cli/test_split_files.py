"""COCO files that are named for each split, wherever a command reads a set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import mtfast
from commands import invoke


@pytest.fixture
def files(tmp_path):
    """Images a and b, each with a square, in a file for each of two splits."""
    made = {}
    for split, name in (("train", "a"), ("val", "b")):
        ring = [1, 1, 5, 1, 5, 5, 1, 5]
        content = {
            "images": [{"id": 1, "file_name": f"{name}.png", "height": 6, "width": 8}],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 2, "segmentation": [ring]}],
            "categories": [{"id": 2, "name": "mono"}],
        }
        Image.new("RGB", (8, 6)).save(tmp_path / f"{name}.png")
        made[split] = tmp_path / f"{name}.json"
        made[split].write_text(json.dumps(content))
    return [f"{split}={file}" for split, file in made.items()]


def run(*line: object) -> str:
    status, said, errors = invoke(*map(str, line))
    assert status == 0, errors
    return said


@pytest.mark.parametrize("n", [1, 2])
def test_info_shows_the_splits(files, n):
    said = json.loads(run("info", *files[:n], "--json"))
    assert [split["name"] for split in said["splits"]] == ["train", "val"][:n]


@pytest.mark.parametrize("table", ["areas.csv", "plots.png"])
def test_reports_are_of_all_files(files, tmp_path, table):
    out = tmp_path / table
    run("info", *files, f"--{out.stem}", out)
    assert out.stat().st_size
    if out.suffix == ".csv":
        assert len(out.read_text().splitlines()) == 3


def test_export_masks_and_derive_write_both(files, tmp_path):
    run("export", *files, tmp_path / "coco")
    assert mtfast.open_source(tmp_path / "coco").splits == ("train", "val")
    run("masks", *files, tmp_path / "masks", "--format", "png", "--map", "2=3")
    masks = sorted((tmp_path / "masks").rglob("*.png"))
    assert [(m.name, Image.open(m).getextrema()) for m in masks] == [
        ("a.png", (0, 3)),
        ("b.png", (0, 3)),
    ]
    run("derive", *files, tmp_path / "derived", "--min-area", "5")
    assert mtfast.open_source(tmp_path / "derived").splits == ("train", "val")


@pytest.mark.parametrize("spelling", [[], ["-o"]])
def test_preview_draws_one_of_them(files, tmp_path, spelling):
    run("preview", *files, "--split", "val", *spelling, tmp_path / "sheet.png")
    assert (tmp_path / "sheet.png").is_file()


def test_doctor_reads_them(files):
    _, said, _ = invoke("doctor", *files, "--json")
    assert json.loads(said)["splits"] == ["train", "val"]


COMMANDS = {
    "info": [],
    "doctor": [],
    "verify": [],
    "preview": ["out.png"],
    "masks": ["out"],
    "export": ["out"],
    "derive": ["out", "--min-area", "3"],
    "convert": ["out"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_coco_file_is_said_in_one_line(command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shape = {"label": "a", "points": [[0, 0], [3, 0], [3, 3]], "shape_type": "polygon"}
    content = {"version": "5.5.0", "shapes": [shape], "imagePath": "a.png", "imageData": None}
    Path("a.json").write_text(json.dumps(content | {"imageHeight": 6, "imageWidth": 8}))
    status, _, errors = invoke(command, "val=a.json", *COMMANDS[command])
    assert (status, errors) == (
        2,
        "mtfast: error: a.json of split 'val' is a labelme file; expected COCO files where splits "
        "are named, as val=FILE.json; give the path of its folder, or of this file alone\n",
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_sources_without_splits_are_refused(command):
    status, _, errors = invoke(command, "a.json", "b.json", *COMMANDS[command])
    assert status == 2
    assert "2 sources: a.json b.json; expected one, or a COCO file for each split" in errors
