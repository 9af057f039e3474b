"""The table of instances and the plots, against pycocotools and painted masks."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

import mtfast
import naive
from mtfast.report import figures, read_instances, write_area_table, write_plots
from mtfast.report.instances import SplitInstances, _covered
from tables import make_table, random_masks

FULL = "annotations_with_class_full"


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class Page(HTMLParser):
    """Counts the elements of a page and collects its text and what it loads."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.counts: dict[str, int] = {}
        self.words = ""
        self.loads: list[str] = []
        self.ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.loads += [v for k, v in attrs if k in ("src", "href", "xlink:href", "srcset")]
        self.ids += [v for k, v in attrs if k == "id"]

    def handle_data(self, data):
        self.words += data


def test_a_row_for_each_instance(small_set, tmp_path):
    store = mtfast.convert(small_set, tmp_path / "set.zarr")
    tables = []
    for path in (small_set, store):
        out = write_area_table(read_instances(path), tmp_path / "areas.csv", um2_per_px=0.25)
        tables.append(out.read_text())
    assert tables[0] == tables[1]
    rows = rows_of(tmp_path / "areas.csv")
    for split in ("train", "test"):
        data = json.loads((small_set / f"RLE_annotations/{split}_{FULL}.json").read_bytes())
        sets = json.loads((small_set / f"meta_data/{split}_set_name_to_uuid.json").read_bytes())
        set_of = {Path(n).stem: key for key, names in sets.items() for n in names}
        names = {image["id"]: image["file_name"] for image in data["images"]}
        classes = {c["id"]: c["name"] for c in data["categories"]}
        expected = []
        for a in data["annotations"]:
            area = int(coco_mask.area(a["segmentation"]))
            box = [str(int(v)) for v in coco_mask.toBbox(a["segmentation"])]
            name = names[a["image_id"]]
            expected.append(
                [split, set_of[Path(name).stem], name, str(a["id"]), str(a["category_id"]),
                 classes[a["category_id"]], str(area), f"{area / 4:.6g}", *box]
            )  # fmt: skip
        assert [list(row.values()) for row in rows if row["split"] == split] == expected
    assert list(rows[0]) == [
        *("split", "set", "image", "id", "class_id", "class", "area_px", "area_um2"),
        *("x", "y", "width", "height"),
    ]


def test_odd_names_and_places(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": 'a "b", ü.jpg', "height": 4, "width": 5}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 7, "segmentation": [[0, 0, 3, 0, 3, 3]]}
        ],
        "categories": [{"id": 7, "name": "7 layers, ü"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    instances = read_instances(tmp_path / "a.json")
    (row,) = rows_of(write_area_table(instances, tmp_path / "a.csv"))
    assert (row["image"], row["class"], row["set"]) == ('a "b", ü.jpg', "7 layers, ü", "")
    assert "area_um2" not in row
    with pytest.raises(mtfast.MtfastError, match="nowhere.* cannot be written"):
        write_area_table(instances, tmp_path / "nowhere" / "a.csv")


def test_runs_are_found_by_the_stem_of_an_image(rng):
    table = make_table([random_masks(rng, (4, 6), 1) for _ in range(3)], (4, 6))
    table = replace(table, names=[r"run1\a1.jpg", "run2/a2.tile.jpg", "a3.jpg"])
    view = SimpleNamespace(set_members={"a1": "one", "a2.tile": "two"})
    split = SplitInstances(view, "v", table, np.zeros(3, np.int64))
    assert split.runs == ["one", "two", ""]


def test_the_most_frequent_classes_are_shown(rng, monkeypatch):
    """Many by their frequency, few by their ids."""
    table = make_table([random_masks(rng, (4, 6), 7)], (4, 6), n_categories=3)
    table = replace(table, category_ids=np.array([1, 1, 2, 3, 3, 3, 1][:7]))
    split = SplitInstances(None, "v", table, np.zeros(1, np.int64))
    assert [c.id for c in figures._most_frequent(split, 2)] == [1, 2, 3]
    monkeypatch.setattr(figures, "MAX_IN_ORDER", 2)
    assert [c.id for c in figures._most_frequent(split, 2)] == [1, 3]


@pytest.mark.parametrize("chunk", [1, 2, 9])
def test_coverage_and_co_occurrence_are_those_of_painted_masks(rng, monkeypatch, chunk):
    monkeypatch.setattr("mtfast.report.instances._CHUNK", chunk)
    shape = (13, 17)
    masks = [random_masks(rng, shape, n) for n in (0, 1, 4, 7, 2)]
    table = make_table(masks, shape)
    covered = _covered(table, "train", lambda *_: None)
    expected = [naive.area(np.bitwise_or.reduce(some)) if some else 0 for some in masks]
    assert covered.tolist() == expected
    split = SplitInstances(None, "v", table, covered)
    np.testing.assert_allclose(split.coverage, np.array(expected) / (13 * 17))
    assert split.n_per_image.tolist() == [0, 1, 4, 7, 2]
    classes = [
        set(image.category_ids.tolist()) for image in map(table.image, range(table.n_images))
    ]
    together = split.co_occurrence([1, 2, 3])
    for i, j in np.ndindex(3, 3):
        assert together[i, j] == sum({i + 1, j + 1} <= some for some in classes)


def test_a_page_that_needs_nothing_else(small_set, tmp_path):
    instances = read_instances(small_set)
    out = write_plots(instances, tmp_path / "a.html", title="<Set> & $x$", um2_per_px=0.25)
    text = out.read_text()
    page = Page(text)
    assert page.counts["svg"] == 10
    n_examples = [min(12, np.count_nonzero(split.n_per_image)) for split in instances]
    assert page.counts["img"] == sum(n_examples)
    # Parts of the same drawing, and pictures in the page itself.
    assert {load.partition(":")[0] for load in page.loads if not load.startswith("#")} == {"data"}
    assert "url(http" not in text
    assert "@import" not in text
    assert "<Set> & $x$" in page.words
    assert page.words.count("area in µm²") == 2
    assert page.words.count("on the images") == 2
    n_train = instances[0].table.n_instances
    assert f"20 images of 240 x 320 pixels, {n_train} instances in {FULL}" in page.words
    assert "mathdefault" not in text
    again = [write_plots(instances[1:], tmp_path / f"{k}.html", title="x") for k in range(2)]
    assert again[0].read_text() == again[1].read_text()
    assert "µm²" not in again[0].read_text()


def split_of(areas, ids=None, variants=("annotations",), shape=(200, 300)):
    """A split of one image, whose instances have the given areas."""
    masks = []
    for area in areas:
        mask = np.zeros(shape, np.uint8)
        mask.T.flat[:area] = 1
        masks.append(mask)
    ids = np.array(ids or [1] * len(areas))
    table = make_table([masks], shape, n_categories=max(ids, default=1))
    view = SimpleNamespace(variants=variants, name="train")
    table = replace(table, category_ids=ids)
    return SplitInstances(view, "v", table, np.zeros(1, np.int64))


def bars_of(panel):
    """Return the figure's axes, and its bars as (x, y, width, height) of them all."""
    figure = figures._figure(panel.height)
    axes = figure.subplots()
    panel.draw(axes)
    figure.draw_without_rendering()
    place = axes.get_window_extent()
    boxes = [bar.get_window_extent() for bar in axes.patches if bar.get_height()]
    shares = [(b.width / place.width, b.height / place.height) for b in boxes if b.width]
    return axes, shares


@pytest.mark.parametrize("areas", [[700], [700] * 5, [3], [1], [50_000]])
def test_one_of_something_is_no_slab(areas):
    """A bar takes at most a quarter of its figure's shorter side."""
    panels = figures.panels_of(split_of(areas), None)
    assert [panel.title for panel in panels] == [
        *("Instances of each class", "Area of the instances"),
        *("Instances in an image", "Coverage"),
    ]
    (_, ((_, thickness),)), *others = map(bars_of, panels[:3])
    assert thickness < 0.25
    for _, shares in others:
        assert 0.01 < max(width for width, _ in shares) < 0.25


def test_bars_of_many_classes_keep_their_distance():
    ids = [k for k in range(1, 81) for _ in range(1 + k % 7)]
    (panel, *_) = figures.panels_of(split_of([9] * len(ids), ids), None)
    assert panel.is_high
    assert (
        panel.caption == f"{len(ids)} instances of 80 classes: the 30 most frequent, and 50 more."
    )
    axes, shares = bars_of(panel)
    assert len(shares) == 31
    labels = [label.get_window_extent() for label in axes.get_yticklabels()]
    assert len(labels) == 31
    assert axes.get_yticklabels()[-1].get_text() == "and 50 more"
    for upper, lower in pairwise(labels):
        assert upper.y0 >= lower.y1 - 0.5
    counts = np.bincount(ids)
    shown = [bar.get_width() for bar in axes.patches]
    assert sum(shown) == len(ids)
    assert shown[:30] == sorted(counts.tolist(), reverse=True)[:30]


def test_lines_have_names():
    variants = ("annotations_200", "annotations_with_class_300", "annotations_with_class_full")
    split = split_of([5, 250, 1023, 1024, 9216, 9217, 40_000], variants=variants)
    panel = figures.panels_of(split, None)[1]
    axes, _ = bars_of(panel)
    named = {round(float(note.xy[0])): note.get_text() for note in axes.texts}
    assert named == {
        200: "variant 200",
        300: "variant 300",
        1024: "32²  small | medium",
        9216: "96²  medium | large",
    }
    assert sorted(line.get_xdata()[0] for line in axes.lines) == sorted(named)
    assert panel.caption == (
        "Half have 1,024 pixels or more. In COCO's words, 43% are small (below 32²), 29% medium "
        "and 29% large (above 96²). 86% have more than 200, 71% have more than 300: the thresholds "
        "of this set's variants."
    )
    plain = figures.panels_of(split_of([5, 250, 40_000]), None)[1]
    assert [note.get_text()[:3] for note in bars_of(plain)[0].texts] == ["32²", "96²"]


def test_the_page_follows_the_reader(small_set, tmp_path):
    """On dark screens, too, and with ids that it has once each."""
    out = write_plots(read_instances(small_set), tmp_path / "a.html", title="a")
    text = out.read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert {load[1:] for load in page.loads if load.startswith("#")} <= set(page.ids)
    assert set(re.findall(r"url\(#([^)]*)\)", text)) <= set(page.ids)
    assert "prefers-color-scheme: dark" in text
    assert "currentColor" in text
    drawn = "".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert not re.search(rf"{figures.INK}|{figures.FAINT}|fill: *(#fff|white)|<metadata", drawn)


def test_one_picture(small_set, tmp_path):
    instances = read_instances(small_set)[1:]
    for name, kind in (("a.png", "PNG"), ("a.JPG", "JPEG")):
        write_plots(instances, tmp_path / name, title="set")
        with Image.open(tmp_path / name) as picture:
            assert picture.format == kind
            assert picture.height > picture.width > 1000
            assert len(picture.convert("RGB").getcolors(1 << 24)) > 1000


@pytest.mark.parametrize("n_classes", [0, 1, 2, 40])
def test_any_number_of_classes(tmp_path, n_classes):
    annotations = [
        {"id": k, "image_id": 1, "category_id": k, "segmentation": [[0, 0, 3, 0, 3, 3]]}
        for k in range(1, n_classes + 1)
    ]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 5}],
        "annotations": annotations,
        "categories": [
            {"id": a["id"], "name": f"<{a['id']}> $a_b$ " + "long " * 9} for a in annotations
        ],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    out = write_plots(read_instances(tmp_path / "a.json"), tmp_path / "a.html", title="a")
    page = Page(out.read_text())
    assert page.counts["svg"] == (4 if n_classes < 2 else 5)
    assert page.counts["img"] == 1
    assert "alone, as there are no images" in page.words
    assert ("no instances" in page.words) == (n_classes == 0)
    assert ("the 30 most frequent, and 10 more" in page.words) == (n_classes == 40)
    if n_classes:
        assert "<1> $a_b$ long" in page.words
        (split,) = read_instances(tmp_path / "a.json")
        # Names are not formulas.
        words = Page(figures.draw_svg(figures.panels_of(split, None)[0])).words
        assert words.count("$a_b$") == min(n_classes, 30)


def test_images_that_do_not_decode_are_left_out(small_set, tmp_path, caplog):
    (tmp_path / "images").mkdir()
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 4, "width": 5}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 1,
                "segmentation": {"size": [4, 5], "counts": [20]},
            }
        ],
        "categories": [{"id": 1, "name": "x"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(content))
    (tmp_path / "images" / "a.jpg").write_bytes(b"no JPEG")
    out = write_plots(read_instances(tmp_path / "a.json"), tmp_path / "a.html", title="a")
    words = Page(out.read_text()).words
    assert "instances alone: image a.jpg of split 'train' is a text file" in words
    assert "1 empty one is not shown" in words
    assert "the examples of train are without images: image a.jpg" in caplog.text


def test_a_split_without_images(tmp_path):
    (tmp_path / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
    for name in ("a.html", "a.png"):
        write_plots(read_instances(tmp_path / "a.json"), tmp_path / name, title="a")
        assert (tmp_path / name).stat().st_size > 1000


def test_bad_plots(small_set, tmp_path, monkeypatch):
    with pytest.raises(mtfast.MtfastError, match=r"a.svg for plots; expected .html or .png; ren"):
        write_plots((), tmp_path / "a.svg", title="a")
    monkeypatch.setattr(figures, "find_spec", lambda name: None)
    with pytest.raises(mtfast.MtfastError, match=r"run: pip install 'mtfast\[plots\]'$"):
        write_plots((), tmp_path / "a.html", title="a")
