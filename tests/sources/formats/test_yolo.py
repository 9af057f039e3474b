"""YOLO's label files and Ultralytics' data.yaml."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pycocotools.mask as reference
import pytest
from PIL import Image, ImageDraw

import mtfast
from mtfast.errors import SourceError
from mtfast.sources.files import Folder
from mtfast.sources.formats.yolo_labels import read_labels
from mtfast.sources.formats.yolo_yaml import place_in
from other_tools import (
    expect_same_after_derive,
    kinds_of,
    masks_of,
    put,
    put_image,
    rle_of,
    table_of,
)

SQUARE = "0 0.25 0.25 0.75 0.25 0.75 0.75 0.25 0.75"
YAML = "train: images/train\nval: images/val\nnames: [mono, bi]\n"


def text_of_ring(shares: list[float], height: int, width: int) -> bytes:
    """One mask as pycocotools makes it of a line."""
    ring = np.array(shares) * np.tile([width, height], len(shares) // 2)
    return bytes(reference.merge(reference.frPyObjects([ring.tolist()], height, width))["counts"])


def make(folder: Path, *, yaml: str = YAML, **labels: str | None) -> Path:
    """Write a set of one image for each label file of train; None stands for no file."""
    put_image(folder / "images/val/v.jpg")
    put(folder / "labels/val/v.txt", SQUARE)
    for stem, text in labels.items():
        put_image(folder / f"images/train/{stem}.jpg")
        if text is not None:
            put(folder / f"labels/train/{stem}.txt", text)
    if yaml:
        put(folder / "data.yaml", yaml)
    return folder


@pytest.fixture
def flakes(tmp_path, rng):
    """Random rings; their numbers as they are in the files, by image."""
    shares = {
        stem: [rng.random(2 * n).round(6).tolist() for n in ns]
        for stem, ns in (("a", (3, 9, 40)), ("b", (5,)), ("c", ()))
    }
    lines = {
        stem: "".join(f"{k % 2} {' '.join(map(str, ring))}\n" for k, ring in enumerate(rings))
        for stem, rings in shares.items()
    }
    return make(tmp_path / "set", **lines), shares


def test_masks_are_those_of_pycocotools(flakes):
    folder, shares = flakes
    source = mtfast.open_source(folder)
    assert (source.kind, source.name, source.path) == ("yolo", "set", folder)
    assert (source.splits, source.variants("val")) == (("train", "val"), ("annotations",))
    assert len(pickle.dumps(source)) < 1_000
    table = source.table("train", "annotations")
    assert masks_of(table) == {
        f"{stem}.jpg": [(k % 2 + 1, text_of_ring(r, 40, 60)) for k, r in enumerate(rings)]
        for stem, rings in shares.items()
    }
    assert table.categories == ((1, "mono"), (2, "bi"))
    assert source.image_names("train") == ("a.jpg", "b.jpg", "c.jpg")
    assert source.find_image("train", "a.jpg") == str(folder / "images/train/a.jpg")


def test_commands_take_it(flakes, tmp_path):
    folder, _ = flakes
    source = mtfast.open_source(folder / "data.yaml")
    assert source.path == folder / "data.yaml"
    derived = expect_same_after_derive(source, tmp_path / "derived")
    assert derived.read_image("train", "a.jpg") == source.read_image("train", "a.jpg")
    store = mtfast.open(mtfast.convert(source, tmp_path / "a.zarr"))
    assert masks_of(store["train"].table()) == masks_of(source.table("train", "annotations"))
    assert store["train"].image(0).shape == (40, 60, 3)


def test_the_rasterizer_that_is_asked_for(flakes):
    folder, shares = flakes
    found = masks_of(table_of(folder, rasterizer="pil"))["a.jpg"]
    for (_, text), ring in zip(found, shares["a"], strict=True):
        drawn = Image.new("L", (60, 40))
        points = [(x * 60, y * 40) for x, y in zip(ring[::2], ring[1::2], strict=True)]
        ImageDraw.Draw(drawn).polygon(points, outline=1, fill=1)
        assert text == rle_of(np.asarray(drawn))["counts"].encode()


def test_a_ring_bridged_around_a_hole(tmp_path):
    """One ring that goes in to the hole and back along the same line."""
    outer, inner = (
        [0.2, 0.2, 0.8, 0.2, 0.8, 0.8, 0.2, 0.8, 0.2, 0.2],
        [0.4, 0.4, 0.4, 0.6, 0.6, 0.6, 0.6, 0.4, 0.4, 0.4],
    )
    ring = [*outer, *inner, 0.2, 0.2]
    folder = make(tmp_path, a=f"0 {' '.join(map(str, ring))}")
    ((_, text),) = masks_of(table_of(folder))["a.jpg"]
    pixels = reference.decode({"size": [40, 60], "counts": text})
    assert pixels[10, 30] == 1
    assert pixels[20, 30] == 0
    assert text == text_of_ring(ring, 40, 60)


LAYOUTS = {
    "Ultralytics": ("images/{}/{}.jpg", "labels/{}/{}.txt", YAML),
    "Roboflow": (
        "{}/images/{}.jpg",
        "{}/labels/{}.txt",
        "train: ../train/images\nval: ../val/images\ntest: ../test/images\n"
        "nc: 2\nnames: [mono, bi]",
    ),
    "by another machine": (
        "images/{}/{}.jpg",
        "labels/{}/{}.txt",
        "path: ../datasets/set\ntrain: images/train/\nval: /content/set/images/val\n"
        "names:\n  0: mono\n  1: bi\n",
    ),
    "without a YAML file": ("images/{}/{}.jpg", "labels/{}/{}.txt", ""),
    "without a YAML file, splits outside": ("{}/images/{}.jpg", "{}/labels/{}.txt", ""),
    "as lists": (
        "data/images/{}/{}.jpg",
        "data/labels/{}/{}.txt",
        "path: .\ntrain: train.txt\nval: [val.txt]\nnames: {0: mono, 1: bi}",
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, layout):
    images, labels, yaml = LAYOUTS[layout]
    for split in ("train", "val"):
        put_image(tmp_path / images.format(split, split[0]))
        put(tmp_path / labels.format(split, split[0]), SQUARE)
        lines = (
            f"./{images.format(split, split[0])}\n/home/x/set/{images.format(split, split[0])}\n"
        )
        put(tmp_path / f"{split}.txt", lines)
    put(tmp_path / "data.yaml", yaml) if yaml else put(tmp_path / "classes.txt", "mono\nbi\n")
    source = mtfast.open_source(tmp_path)
    assert source.kind == "yolo"
    assert source.splits == ("train", "val")
    for split in source.splits:
        table = source.table(split, "annotations")
        assert table.n_images == 1
        assert table.names[0].endswith(f"{split[0]}.jpg")
        assert table.area().tolist() == [600]
        assert table.categories == ((1, "mono"), (2, "bi"))
        assert source.image_names(split) == (table.names[0],)
        assert source.read_image(split, table.names[0])


def test_one_folder_for_all(tmp_path):
    put_image(tmp_path / "images/a.jpg")
    put_image(tmp_path / "images/deeper/b.jpg")
    put(tmp_path / "labels/a.txt", SQUARE)
    put(tmp_path / "labels/deeper/b.txt", SQUARE)
    source = mtfast.open_source(tmp_path)
    assert masks_of(source.table("train", "annotations")).keys() == {"a.jpg", "deeper/b.jpg"}
    # Without a file of names, classes are called by their numbers.
    assert source.table("train", "annotations").categories == ((1, "0"),)


def test_several_folders_of_a_split(tmp_path):
    for name in ("a", "b"):
        put_image(tmp_path / f"images/{name}/1.jpg")
        put(tmp_path / f"labels/{name}/1.txt", SQUARE)
    put(tmp_path / "data.yaml", "train: [images/a, images/b]\nnames: [x]")
    source = mtfast.open_source(tmp_path)
    table = source.table("train", "annotations")
    assert table.names.tolist() == ["images/a/1.jpg", "images/b/1.jpg"]
    assert source.find_images("train", table.names.tolist()).keys() == {*table.names.tolist()}


def test_names_are_texts_whatever_they_look_like(tmp_path):
    folder = make(tmp_path, a=SQUARE, yaml="train: images/train\nnames: {0: no, 1: 12, 2: 1e3}")
    assert [c.name for c in table_of(folder).categories] == ["no", "12", "1e3"]


def test_numbers_of_classes_alone(tmp_path):
    folder = make(tmp_path, a=SQUARE, yaml="train: images/train\nnc: 3")
    assert [tuple(c) for c in table_of(folder).categories] == [(1, "0"), (2, "1"), (3, "2")]


def test_images_without_labels(tmp_path):
    folder = make(tmp_path, a=SQUARE, b="", c=None, d="\n \n")
    assert {name: len(found) for name, found in masks_of(table_of(folder)).items()} == {
        "a.jpg": 1, "b.jpg": 0, "c.jpg": 0, "d.jpg": 0,
    }  # fmt: skip
    assert kinds_of(folder) == {"image without annotations": ("kept", 1, ("'c.jpg'",))}


def test_places_of_the_yaml_file_that_are_not_there(tmp_path):
    yaml = "train: [images/train, images/more]\nval: ../valid/images\nnames: [a]"
    folder = make(tmp_path, a=SQUARE, yaml=yaml)
    words = ("train: 'images/more'", "val: '../valid/images'")
    assert kinds_of(folder) == {"images of a split missing": ("dropped", 2, words)}
    (finding,) = mtfast.diagnose(folder).findings
    assert (finding.check, finding.severity) == ("images of a split missing", "warning")


def test_images_that_are_turned_by_exif(tmp_path):
    """Labels lie on the image as it is shown."""
    folder = make(tmp_path)
    exif = Image.Exif()
    exif[0x112] = 6
    put_image(folder / "images/train/a.jpg", 40, 60, exif=exif.tobytes())
    put(folder / "labels/train/a.txt", "0 0 0 1 0 1 0.5")
    table = table_of(folder)
    assert (table.heights[0], table.widths[0]) == (60, 40)
    assert table.text(0) == text_of_ring([0, 0, 1, 0, 1, 0.5], 60, 40)
    mtfast.convert(folder, tmp_path / "a.zarr", splits=["train"])


BAD_LINES = {
    "0 0.5 0.5 0.2 0.2": ("no segmentation", "a box alone"),
    "7 0.1 0.1 0.5 0.1 0.5 0.5": ("category not listed", "class 7"),
    "0 0.1 0.1 0.5 0.1 0.5": ("malformed record", "5 numbers after the class"),
    "0 0.1 0.1 0.5": ("malformed record", "3 numbers after the class"),
    "0": ("malformed record", "0 numbers after the class"),
    "0 0.1 0.1 0.5 nan 0.5 0.5": ("malformed record", "a coordinate that is not finite"),
    "0 0.1 0.1 0.5 inf 0.5 0.5": ("malformed record", "a coordinate that is not finite"),
    "nan 0.1 0.1 0.5 0.1 0.5 0.5": ("malformed record", "class nan"),
    "0.5 0.1 0.1 0.5 0.1 0.5 0.5": ("malformed record", "class 0.5"),
    "-1 0.1 0.1 0.5 0.1 0.5 0.5": ("malformed record", "class -1"),
    "1e300 0.1 0.1 0.5 0.1 0.5 0.5": ("malformed record", "class 1e+300"),
    "mono 0.1 0.1 0.5 0.1 0.5 0.5": ("malformed record", "something that is no number"),
    "0 10 10 50 10 50 50": ("malformed record", "50, which is no share of the image's size"),
}


@pytest.mark.parametrize("line", BAD_LINES)
def test_bad_lines(tmp_path, line):
    kind, words = BAD_LINES[line]
    folder = make(tmp_path, a=f"{SQUARE}\n{line}\n")
    where = f"labels/train/a.txt line 2: {words}"
    with pytest.raises(SourceError) as caught:
        table_of(folder)
    assert str(caught.value).startswith(
        f"labels/train: 1 bad record: 1 x {kind} ({where}); expected lines of a class and the "
    )
    assert kinds_of(folder, bad="skip") == {kind: ("skipped", 1, (where,))}
    assert masks_of(table_of(folder, bad="skip"))["a.jpg"] == [
        (1, text_of_ring(list(map(float, SQUARE.split()[1:])), 40, 60))
    ]


def test_boxes_alone_are_drawn_when_they_are_repaired(tmp_path):
    folder = make(tmp_path, a=f"1 0.5 0.5 0.5 0.25\n{SQUARE}\n9 0.1 0.1 0.5 0.1 0.5 0.5")
    table = table_of(folder, bad="repair")
    assert table.bbox()[:2].tolist() == [[15, 15, 30, 10], [15, 10, 30, 20]]
    assert table.category_ids.tolist() == [2, 1, 10]
    assert table.categories[-1] == (10, "9")


def test_outlines_that_leave_the_image(tmp_path):
    ring = [-0.25, 0.25, 0.5, -0.5, 1.25, 0.75, 0.5, 1.25]
    folder = make(tmp_path, a=f"{SQUARE}\n1 {' '.join(map(str, ring))}")
    table = table_of(folder)
    assert table.text(1) == text_of_ring(ring, 40, 60)
    where = "labels/train/a.txt line 2"
    assert kinds_of(folder) == {"outline beyond the image": ("kept", 1, (where,))}


def test_files_that_do_not_fit_together(tmp_path):
    folder = make(tmp_path, a=SQUARE, b=SQUARE)
    put(folder / "labels/train/gone.txt", SQUARE)
    put(folder / "labels/train/classes.txt", "mono")
    put(folder / "images/train/b.jpg", "no image")
    put(folder / "labels/train/a.txt", b"\xff\xfe")
    assert {kind: (n, words) for kind, (_, n, words) in kinds_of(folder, bad="skip").items()} == {
        "malformed record": (
            1,
            (
                "labels/train/a.txt: 'utf-8' codec can't decode byte 0xff in position 0: invalid "
                "start byte",
            ),
        ),
        "annotation without image": (1, ("labels/train/gone.txt",)),
        "unreadable image": (1, ("images/train/b.jpg is a text file",)),
    }


def test_images_of_a_list_that_are_not_there(tmp_path):
    folder = make(tmp_path, a=SQUARE, yaml="train: train.txt\nnames: [mono]")
    put(folder / "train.txt", "images/train/a.jpg\n../../etc/b.jpg\n")
    source = mtfast.open_source(folder, bad="skip")
    assert source.image_names("train") == ("images/train/a.jpg",)
    assert source.table("train", "annotations").names.tolist() == ["images/train/a.jpg"]
    assert kinds_of(folder, bad="skip")["image without file"][1] == 1


BAD_YAML = {
    "names: [a": "is not valid YAML",
    "- a": "holds no keys",
    "names: [a]": "names no images",
    "train: {a: 1}\nnames: [a]": "train is no path and no list of paths",
    "train: images/train\nnames: {a: b}": "names is no list of names",
    "train: images/train\nnames: [[a]]": "names is no list of names",
    "train: images/train\nnc: 99999999": "names is no list of names",
    "train: images/train\nnames: [a]\nkpt_shape: [17, 3]": "is of a set of key points",
    "train: elsewhere\nnames: [a]": "names elsewhere, none of which is in ",
    "a: &a [x, x]\nb: &b [*a, *a]\ntrain: images/train\nnames: [*b, *b]": "names is no list",
    "!!python/object/apply:os.system [ls]": "holds no keys",
    "[" * 1000: "is not valid YAML",
}


@pytest.mark.parametrize("text", BAD_YAML)
def test_bad_yaml(tmp_path, text):
    folder = make(tmp_path, a=SQUARE, yaml=text)
    with pytest.raises(SourceError, match=f"^data.yaml:? {BAD_YAML[text]}") as caught:
        mtfast.open_source(folder / "data.yaml")
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize("text", ["names: [a", "names: [a]", "a: 1"])
def test_a_bad_yaml_in_a_folder_is_not_overlooked(tmp_path, text):
    """Its names would be lost."""
    with pytest.raises(SourceError, match="^data.yaml "):
        mtfast.open_source(make(tmp_path, a=SQUARE, yaml=text))


def test_labels_of_windows(tmp_path):
    folder = make(tmp_path, a="\ufeff" + SQUARE.replace("\n", "\r\n"))
    assert table_of(folder).n_instances == 1


def test_no_path_leads_out_of_the_folder(tmp_path):
    put_image(tmp_path / "secret/train/a.jpg")
    put(tmp_path / "set/data.yaml", f"path: {tmp_path}\ntrain: secret/train\nnames: [a]")
    put(tmp_path / "set/a.txt", "")
    with pytest.raises(SourceError, match=f"none of which is in {tmp_path}/set;"):
        mtfast.open_source(tmp_path / "set/data.yaml")


def test_a_folder_that_is_missing_is_no_other_one(tmp_path):
    """``images/`` is not that of ``../test/images``."""
    put_image(tmp_path / "images/a.jpg")
    assert place_in(Folder(tmp_path), "../test/images", [""]) is None
    assert place_in(Folder(tmp_path), "images", [""]) == "images"


def test_coco_beside_it_is_read(tmp_path):
    folder = make(tmp_path, a=SQUARE)
    put(folder / "annotations/instances_train.json", '{"images":[],"annotations":[]}')
    assert mtfast.open_source(folder).kind == "coco"
    assert mtfast.open_source(folder / "data.yaml").kind == "yolo"


def test_numbers_of_any_form():
    (shape,) = read_labels("  1.0\t0 0  5e-1 .0 0.5 1\r\n\r\n", 10, 20)
    assert (shape.class_, shape.ring, shape.fault) == (1, [0, 0, 10, 0, 10, 10], "")


def test_lists_may_begin_with_a_byte_order_mark(tmp_path):
    put_image(tmp_path / "images/train/a.jpg")
    put(tmp_path / "labels/train/a.txt", SQUARE)
    put(tmp_path / "labels/classes.txt", b"\xef\xbb\xbfmono\nbi\n")
    assert table_of(tmp_path).categories == ((1, "mono"), (2, "bi"))
    put(tmp_path / "train.txt", b"\xef\xbb\xbf./images/train/a.jpg\n")
    put(tmp_path / "data.yaml", "train: train.txt\nnames: [mono, bi]\n")
    assert table_of(tmp_path).n_instances == 1


def test_data_yaml_counts_before_others(tmp_path):
    folder = make(tmp_path, a=SQUARE)
    put(folder / "a.yaml", YAML.replace("mono, bi", "person, car"))
    assert table_of(folder).categories == ((1, "mono"), (2, "bi"))
    (folder / "data.yaml").unlink()
    assert table_of(folder).categories == ((1, "person"), (2, "car"))


def test_labels_without_images_are_called_so(tmp_path):
    folder = make(tmp_path, a=SQUARE)
    mtfast.export_annotations(folder, tmp_path / "out", format="yolo", images="none")
    for path in (tmp_path / "out", tmp_path / "out/data.yaml"):
        with pytest.raises(SourceError, match=r"out holds YOLO labels and not their images \(ima"):
            mtfast.open_source(path)


def test_coco_of_roboflow_counts_before_yolo(tmp_path):
    """It has holes and parts."""
    put_image(tmp_path / "train/images/a.jpg")
    put(tmp_path / "train/labels/a.txt", SQUARE)
    put(tmp_path / "data.yaml", "train: train/images\nnames: [mono, bi]\n")
    assert mtfast.open_source(tmp_path).kind == "yolo"
    put(
        tmp_path / "train/_annotations.coco.json",
        '{"images": [], "annotations": [], "categories": []}',
    )
    assert mtfast.open_source(tmp_path).kind == "coco"
