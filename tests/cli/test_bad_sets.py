"""``verify`` and ``derive`` of a set with bad records, which their errors advise on."""

from __future__ import annotations

import json
from pathlib import Path

import pycocotools.mask as pm
import pytest

from mtfast.cli import main


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


@pytest.fixture
def bad_set(damaged: Path) -> Path:
    """Class 1 is called 0 by all annotations; the masks that are shipped show it as 1."""
    for path in (damaged / "RLE_annotations").rglob("*with_class*.json"):
        content = json.loads(path.read_text())
        for annotation in content["annotations"]:
            annotation["category_id"] %= 4
        for category in content["categories"]:
            category["id"] %= 4
        path.write_text(json.dumps(content))
    return damaged


@pytest.mark.parametrize(
    ("options", "expected"), [([], 2), (["--map", "0=4"], 0), (["--bad", "skip"], 1)]
)
def test_verify(bad_set, options, expected, capsys):
    assert status("verify", bad_set, *options) == expected
    advised = "map class 0 to a free number with 'convert --map 0=4', or go on: --bad skip"
    assert (advised in capsys.readouterr().err) == (not options)


def test_derive(bad_set, tmp_path, capsys):
    """What is left out is in no new file, and areas are those of the annotations that are left."""
    assert status("derive", bad_set, tmp_path / "new", "--min-area", "40") == 2
    assert "or go on: --bad skip" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert status("derive", bad_set, tmp_path / "new", "--min-area", "40", "--bad", "skip") == 0
    full = bad_set / "RLE_annotations/train_annotations_with_class_full.json"
    sound = [a for a in json.loads(full.read_text())["annotations"] if a["category_id"]]
    files = {p.name: p for p in (tmp_path / "new/RLE_annotations").glob("train_*with_class_*.json")}
    ids = {
        name: [annotation["id"] for annotation in json.loads(path.read_text())["annotations"]]
        for name, path in files.items()
    }
    assert ids[full.name] == [a["id"] for a in sound]
    large = [a["id"] for a in sound if pm.area(a["segmentation"]) > 40]
    assert ids["train_annotations_with_class_40.json"] == large
    assert 0 < len(large) < len(sound) < len(json.loads(full.read_text())["annotations"])
