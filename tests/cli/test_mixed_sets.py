"""The commands on a set of several sizes and kinds, and on its store."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from commands import call


@pytest.fixture(params=["source", "store"])
def dataset(request, mixed_set, mixed_store):
    return mixed_set.annotations if request.param == "source" else mixed_store


def test_info_names_the_sizes(dataset, mixed_set):
    sizes = set(mixed_set.sizes().values())
    done = call("info", dataset)
    assert done.returncode == 0, done.stderr
    n = len(mixed_set.names)
    words = f"{n} images of {len(sizes)} sizes, 30 to 64 high and 45 to 200 wide, with images"
    assert words in done.stdout
    (train,) = json.loads(call("info", dataset, "--json").stdout)["splits"]
    assert (train["height"], train["width"]) == (None, None)
    assert (train["heights"], train["widths"]) == ([30, 64], [45, 200])
    assert train["n_sizes"] == len(sizes)


def test_the_area_table(dataset, mixed_set, tmp_path):
    """Areas and boxes are those of the annotations."""
    done = call("info", dataset, "--areas", tmp_path / "areas.csv")
    assert done.returncode == 0, done.stderr
    listed = json.loads(mixed_set.annotations.read_text())["annotations"]
    with (tmp_path / "areas.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["area_px"]) for row in rows] == [a["area"] for a in listed]
    boxes = [[float(row[side]) for side in ("x", "y", "width", "height")] for row in rows]
    assert boxes == [a["bbox"] for a in listed]


def test_plots_are_drawn_on_images(dataset, tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is the extra 'plots'")
    done = call("info", dataset, "--plots", tmp_path / "plots.html")
    assert done.returncode == 0, done.stderr
    assert "Outlines of the instances on the images." in (tmp_path / "plots.html").read_text()


def test_preview_and_masks(dataset, mixed_set, tmp_path):
    done = call("preview", dataset, tmp_path / "sheet.png", "-n", "30")
    assert done.returncode == 0, done.stderr
    done = call("masks", dataset, tmp_path / "masks", "--format", "png")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "masks" / "train_semantic_masks"
    for name, expected in mixed_set.masks.items():
        with Image.open(folder / f"{name.rpartition('.')[0]}.png") as mask:
            np.testing.assert_array_equal(np.asarray(mask), expected, name)


def test_doctor_has_only_notes(mixed_set):
    done = call("doctor", mixed_set.annotations, "--decode-check")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "several sizes in train" in done.stdout
    assert "EXIF orientation in train" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("0 errors, 0 warnings, ")
