"""Each fault is planted once into a sound set, and found once, and nothing else is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mtfast
import naive
from commands import call, run
from image_samples import HEIGHT, WIDTH, an_image, exif, saved
from mtfast.diagnosis import diagnose
from mtfast.diagnosis.checks import CHECKS, annotation_twice, sizes_differ
from mtfast.diagnosis.diagnose import Diagnosis
from mtfast.diagnosis.facts import ImageFile, SplitFacts
from schemas import DOCS, validate

Content = dict[str, Any]


def edit(folder: Path, name: str, change: Callable[[Content], Any]) -> None:
    path = folder / "RLE_annotations" / f"{name}.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def images_of(folder: Path, split: str = "train") -> list[Path]:
    return sorted((folder / f"{split}_images").iterdir())


def above_notes(diagnosis: Diagnosis) -> dict[tuple[str, str | None], int]:
    validate(diagnosis.as_dict(), "doctor.schema.json")
    return {(f.check, f.split): f.count for f in diagnosis.findings if f.severity != "note"}


def finding(diagnosis: Diagnosis, check: str) -> Any:
    (found,) = [f for f in diagnosis.findings if f.check == check]
    return found


def test_a_sound_set(tiny_set):
    diagnosis = mtfast.diagnose(tiny_set, decode=True)
    assert diagnosis.is_sound
    assert above_notes(diagnosis) == {}
    assert {f.check for f in diagnosis.findings} <= {"classes overlap"}


def first_annotation(**values: Any) -> Callable[[Content], Any]:
    return lambda content: content["annotations"][0].update(values)


def shift_box(content: Content) -> None:
    content["annotations"][1]["bbox"][3] -= 1


def grow_area(content: Content) -> None:
    content["annotations"][1]["area"] += 1


def empty(content: Content) -> None:
    annotation = content["annotations"][0]
    nothing = naive.text_of_counts([96 * 128]).decode()
    annotation["segmentation"]["counts"] = nothing
    annotation |= {"area": 0, "bbox": [0, 0, 0, 0]}


def crowd_an_image(content: Content) -> None:
    annotation = content["annotations"][0]
    others = [a for a in content["annotations"] if a["image_id"] == annotation["image_id"]]
    for k in range(256 - len(others)):
        pixel = np.zeros((96, 128), np.uint8)
        pixel[k // 32, k % 32] = 1
        text = naive.text_of_mask(pixel).decode()
        content["annotations"].append(
            annotation
            | {"id": 10_000 + k, "area": 1, "bbox": [k % 32, k // 32, 1, 1]}
            | {"segmentation": {"size": [96, 128], "counts": text}}
        )


def repeat_one(content: Content) -> None:
    content["annotations"].append(content["annotations"][1] | {"id": 10_000})


def name_classes_alike(content: Content) -> None:
    for category in content["categories"][:2]:
        category["name"] = "mono"


def drop_one(content: Content) -> None:
    del content["annotations"][0]


def swap_ids(content: Content) -> None:
    a, b = content["annotations"][:2]
    a["id"], b["id"] = b["id"], a["id"]


def break_text(content: Content) -> None:
    content["annotations"][2]["segmentation"]["counts"] = "0"


# Neither a class-agnostic file nor n-shot subsets go with these annotations.
ALONE = "test_annotations_with_class_200"

IN_A_FILE = [
    ("annotation id 0", ALONE, first_annotation(id=0), 1),
    ("category id 0", ALONE, first_annotation(category_id=0), 1),
    ("category not listed", ALONE, first_annotation(category_id=77), 1),
    ("empty mask", ALONE, empty, 1),
    ("area disagrees", ALONE, first_annotation(area=7), 1),
    ("area disagrees", ALONE, grow_area, 1),
    ("bbox disagrees", ALONE, shift_box, 1),
    ("annotation twice", ALONE, repeat_one, 1),
    ("classes of one name", ALONE, name_classes_alike, 1),
    ("over 255 instances", ALONE, crowd_an_image, 1),
    ("ids disagree", "test_annotations_300", drop_one, 1),
    ("ids disagree", "test_annotations_with_class_300", drop_one, 1),
    ("ids disagree", "test_annotations_300", swap_ids, 2),
    ("RLE that does not fill its frame", ALONE, break_text, 1),
]


@pytest.mark.parametrize(("check", "file", "plant", "count"), IN_A_FILE)
def test_faults_of_annotation_files(damaged, check, file, plant, count):
    edit(damaged, file, plant)
    diagnosis = mtfast.diagnose(damaged, splits=["test"])
    assert above_notes(diagnosis) == {(check, "test"): count}
    assert not diagnosis.is_sound
    assert any(file.removeprefix("test_") in text for text in finding(diagnosis, check).examples)


def write_shares(file: Path, annotations: int) -> Path:
    """Polygons in shares of the image's size, as YOLO has them; and one in pixels."""
    square = [0.1, 0.1, 0.9, 0.1, 0.9, 0.9, 0.1, 0.9]
    shapes = [square, square[::-1], [5, 5, 20, 5, 20, 20]][:annotations]
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 40, "width": 60}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": k, "segmentation": [shape]}
            for k, shape in enumerate(shapes, 1)
        ],
        "categories": [{"id": k, "name": str(k)} for k in (1, 2, 3)],
    }
    file.write_text(json.dumps(content))
    return file


def test_coordinates_in_shares_of_the_size(tmp_path):
    """They are read as pixels: nearly nothing is left of them."""
    diagnosis = mtfast.diagnose(write_shares(tmp_path / "a.json", 3))
    assert finding(diagnosis, "mask in the corner").count == 2
    assert "multiply them" in finding(diagnosis, "mask in the corner").advice


def test_annotations_that_are_twice_with_one_alike_between():
    """Two masks of one area and one box, of which the first is there again."""
    first, other = b"011000010", b"022OO000"
    table = mtfast.RunTable.of_texts((3, 3), [[first, other, first, first]])
    assert table.area().tolist() == [5] * 4
    assert (table.bbox() == [0, 0, 3, 3]).all()
    assert annotation_twice(table).places == [(1, 3), (1, 4)]


def test_a_file_without_annotations(tmp_path):
    diagnosis = mtfast.diagnose(write_shares(tmp_path / "a.json", 0))
    assert finding(diagnosis, "no annotations").examples == ("annotations: 1 image",)


def replace_jpeg(folder: Path) -> None:
    Image.new("RGB", (130, 96)).save(images_of(folder)[0])


def cut_jpeg(folder: Path) -> None:
    data = images_of(folder)[0].read_bytes()
    images_of(folder)[0].write_bytes(data[: len(data) // 2])


def share_a_run(folder: Path) -> None:
    name = json.loads((folder / "meta_data/train_set_name_to_uuid.json").read_text())
    path = folder / "meta_data" / "test_set_name_to_uuid.json"
    path.write_text(json.dumps({"test sets": [next(iter(name))]}))


IN_IMAGES = [
    ("sizes disagree", "train", replace_jpeg),
    ("image without file", "train", lambda folder: images_of(folder)[0].unlink()),
    ("unreadable image", "train", cut_jpeg),
    ("identical images", "train", lambda f: shutil.copy(images_of(f)[0], images_of(f)[1])),
    (
        "identical across splits",
        None,
        lambda f: shutil.copy(images_of(f)[0], images_of(f, "test")[1]),
    ),
    ("run in two splits", None, share_a_run),
    (
        "unreadable file",
        "test",
        lambda f: (f / "meta_data" / "test_set_name_to_uuid.json").write_text('{"Set'),
    ),
]


@pytest.mark.parametrize(("check", "split", "plant"), IN_IMAGES)
def test_faults_of_images_and_meta_data(damaged, check, split, plant):
    plant(damaged)
    assert above_notes(mtfast.diagnose(damaged)) == {(check, split): 1}


def test_all_faults_at_once_are_found_once_each(damaged):
    edit(damaged, ALONE, first_annotation(id=0))
    edit(damaged, ALONE, lambda c: c["annotations"][1].update(category_id=0))
    edit(damaged, ALONE, lambda c: c["annotations"][2].update(category_id=77))
    edit(damaged, "train_annotations_with_class_200", first_annotation(iscrowd=1))
    edit(damaged, "test_annotations_with_class_full", break_text)
    replace_jpeg(damaged)
    images_of(damaged)[5].unlink()
    done = call("doctor", damaged, "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    validate(said, "doctor.schema.json")
    found = {(f["check"], f["split"]): f["count"] for f in said["findings"]}
    found.pop(("classes overlap", "train"), None)
    found.pop(("classes overlap", "test"), None)
    assert found == {
        ("annotation id 0", "test"): 1,
        ("category id 0", "test"): 1,
        ("category not listed", "test"): 1,
        ("iscrowd", "train"): 1,
        ("RLE that does not fill its frame", "test"): 1,
        ("sizes disagree", "train"): 1,
        ("image without file", "train"): 1,
    }
    severities = [f["severity"] for f in said["findings"]]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)


def test_a_fault_in_several_files_counts_once(damaged):
    ids = []

    def crowd_last(content: Content) -> None:
        content["annotations"][-1]["iscrowd"] = 1
        ids.append(content["annotations"][-1]["id"])

    for variant in ("with_class_200", "with_class_300", "300", "with_class_full"):
        edit(damaged, f"test_annotations_{variant}", crowd_last)
    found = finding(mtfast.diagnose(damaged, splits=["test"]), "iscrowd")
    assert found.count == len(set(ids)) == len(found.examples) < 3


def test_n_shot_subsets_are_compared_with_the_file_they_come_from(damaged):
    subset = "10_shot/run_0/train_annotations_with_class_300"
    edit(damaged, subset, first_annotation(category_id=3, iscrowd=1))
    edit(damaged, subset, lambda c: c["annotations"][0].update(category_id=4))
    diagnosis = mtfast.diagnose(damaged, splits=["train"])
    assert above_notes(diagnosis) == {("ids disagree", "train"): 1}
    assert subset.replace("train_", "") in finding(diagnosis, "ids disagree").examples[0]
    # Without that file they are looked at themselves.
    path = damaged / "RLE_annotations" / "train_annotations_with_class_300.json"
    path.write_text(path.read_text()[:500])
    found = above_notes(mtfast.diagnose(damaged, splits=["train"]))
    assert found == {("unreadable file", "train"): 1}
    (crowd,) = finding(mtfast.diagnose(damaged, splits=["train"]), "iscrowd").examples
    assert crowd.startswith(subset.replace("train_", ""))


def test_files_without_a_threshold_in_their_names_are_compared(damaged):
    """annotations.json has to go with annotations_with_class.json."""
    folder = damaged / "RLE_annotations"
    for name in ("annotations", "annotations_with_class"):
        shutil.copy(folder / f"test_{name}_300.json", folder / f"test_{name}.json")
    assert above_notes(mtfast.diagnose(damaged, splits=["test"])) == {}
    edit(damaged, "test_annotations", drop_one)
    diagnosis = mtfast.diagnose(damaged, splits=["test"])
    assert above_notes(diagnosis) == {("ids disagree", "test"): 1}
    (example,) = finding(diagnosis, "ids disagree").examples
    assert example.endswith(" differs in annotations_with_class and annotations")


def test_an_image_in_three_splits_is_three_pairs(damaged):
    shutil.copy(
        damaged / "RLE_annotations" / "test_annotations_300.json",
        damaged / "RLE_annotations" / "val_annotations_300.json",
    )
    shutil.copytree(damaged / "test_images", damaged / "val_images")
    first, second = (path.name for path in images_of(damaged, "test")[:2])
    content = (damaged / "train_images" / images_of(damaged)[0].name).read_bytes()
    for split in ("test", "val"):
        for name in (first, second):
            (damaged / f"{split}_images" / name).write_bytes(content)
    found = above_notes(mtfast.diagnose(damaged))
    # Of test and val all four images are the same, which are three different ones.
    assert found["identical across splits", None] == 2 + 3
    assert found["identical images", "test"] == found["identical images", "val"] == 1


def test_messages_name_what_is_wrong(damaged):
    edit(damaged, ALONE, break_text)
    found = finding(mtfast.diagnose(damaged, splits=["test"]), "RLE that does not fill its frame")
    (said,) = found.examples
    assert said.startswith(f"{ALONE.removeprefix('test_')}: annotation ")
    assert "(number 2): " in said
    assert "bad='skip' leaves them out" in found.advice
    replace_jpeg(damaged)
    name = images_of(damaged)[0].name
    found = finding(mtfast.diagnose(damaged, splits=["train"]), "sizes disagree")
    assert found.examples == (f"{name}: 96 x 128 in annotations, 96 x 130 pixels",)


def test_pixels_in_which_classes_overlap(damaged):
    """Against counting in frames."""
    table = mtfast.open_source(damaged).table("train", "annotations_with_class_200")
    n_pairs = n_pixels = 0
    for image in map(table.image, range(table.n_images)):
        frames = [
            mtfast.mask.decode({"size": [96, 128], "counts": image.text(k)})
            for k in range(image.n_instances)
        ]
        for b in range(image.n_instances):
            for a in range(b):
                if image.category_ids[a] != image.category_ids[b]:
                    shared = np.count_nonzero(frames[a] & frames[b])
                    n_pairs += shared > 0
                    n_pixels += shared
    assert n_pairs
    found = finding(mtfast.diagnose(damaged, splits=["train"]), "classes overlap")
    assert (found.severity, found.count, found.n_pixels) == ("note", n_pairs, n_pixels)


def test_decoding_finds_what_headers_do_not_show(damaged):
    path = images_of(damaged)[0]
    data = path.read_bytes()
    start = data.index(b"\xff\xdb")
    stop = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
    # A table is missing, and so the decoder gives up.
    path.write_bytes(data[:start] + data[stop:])
    assert mtfast.diagnose(damaged).is_sound
    diagnosis = mtfast.diagnose(damaged, decode=True, workers=3)
    assert above_notes(diagnosis) == {("unreadable image", "train"): 1}
    words = finding(diagnosis, "unreadable image").examples[0]
    assert f"{path.name} is a JPEG that does not decode" in words


def test_sets_without_images(damaged):
    shutil.rmtree(damaged / "train_images")
    diagnosis = mtfast.diagnose(damaged)
    assert above_notes(diagnosis) == {("no image files", "train"): 1}
    assert finding(diagnosis, "no image files").severity == "error"
    assert mtfast.diagnose(damaged, images=False).is_sound


def test_missing_images_are_found_where_convert_refuses_them(tmp_path):
    """Whether their folder is gone, is there without them, or holds the JSON file alone."""
    path, images = tmp_path / "set.json", tmp_path / "images"
    path.write_text(json.dumps(one_image("a.jpg")))
    for names, check in (
        ([], "no image files"),
        (["notes.txt"], "image without file"),
        (["b.jpg"], "image without file"),
    ):
        if names:
            images.mkdir(exist_ok=True)
        for name in names:
            (images / name).touch()
        assert above_notes(mtfast.diagnose(path)) == {(check, "train"): 1}
        with pytest.raises(mtfast.SourceError, match="no image folder|image without file"):
            mtfast.convert(path, tmp_path / "set.zarr")
        assert mtfast.diagnose(path, images="none").is_sound
    mtfast.convert(path, tmp_path / "set.zarr", images="none")


def test_a_split_that_lists_no_images_needs_none(tmp_path):
    """As Roboflow writes for a test split of nothing; convert leaves it out."""
    for split, content in (("train", one_image("a.jpg")), ("test", one_image("a.jpg"))):
        (tmp_path / split).mkdir()
        content["images"] = content["images"] * (split == "train")
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(content))
    Image.new("RGB", (4, 4), "red").save(tmp_path / "train" / "a.jpg")
    assert above_notes(mtfast.diagnose(tmp_path)) == {}


def one_image(name):
    image = {"id": 1, "file_name": name, "height": 4, "width": 4}
    return {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "flake"}]}


def test_sizes_that_files_state_are_compared_without_images(tmp_path):
    (tmp_path / "annotations").mkdir()
    for limit, width in ((100, 4), (200, 5)):
        image = {"id": 1, "file_name": "a.jpg", "height": 4, "width": width}
        content = {"images": [image], "annotations": [], "categories": []}
        path = tmp_path / "annotations" / f"train_annotations_{limit}.json"
        path.write_text(json.dumps(content))
    diagnosis = mtfast.diagnose(tmp_path, images=False)
    assert above_notes(diagnosis) == {("sizes disagree", "train"): 1}
    assert finding(diagnosis, "sizes disagree").examples == ("a.jpg: 4 x 4 and 4 x 5",)


def test_unreadable_images_are_not_called_identical(damaged):
    cut_jpeg(damaged)
    shutil.copy(images_of(damaged)[0], images_of(damaged)[1])
    assert above_notes(mtfast.diagnose(damaged)) == {("unreadable image", "train"): 2}


def test_images_keep_their_names_in_any_number_of_jobs(damaged, monkeypatch):
    replace_jpeg(damaged)
    whole = mtfast.diagnose(damaged, splits=["train"])
    monkeypatch.setattr(diagnose, "IMAGES_PER_JOB", 3)
    assert mtfast.diagnose(damaged, splits=["train"], workers=2) == whole
    assert above_notes(whole) == {("sizes disagree", "train"): 1}


def test_several_sizes_are_a_note(tmp_path):
    content = {
        "images": [
            {"id": 1, "file_name": "a.jpg", "height": 4, "width": 4},
            {"id": 2, "file_name": "sub/b.jpg", "height": 5, "width": 4},
        ],
        "annotations": [
            {"id": 3, "image_id": 2, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]]}
        ],
        "categories": [{"id": 1, "name": "flake"}],
    }
    (tmp_path / "set.json").write_text(json.dumps(content))
    (tmp_path / "images" / "sub").mkdir(parents=True)
    Image.new("RGB", (4, 4), "red").save(tmp_path / "images" / "a.jpg")
    Image.new("RGB", (4, 5), "blue").save(tmp_path / "images" / "sub" / "b.jpg")
    diagnosis = mtfast.diagnose(tmp_path / "set.json")
    assert (diagnosis.kind, diagnosis.is_sound) == ("coco", True)
    assert [(f.check, f.count) for f in diagnosis.findings] == [("several sizes", 2)]
    (tmp_path / "images" / "sub" / "b.jpg").unlink()
    assert above_notes(mtfast.diagnose(tmp_path / "set.json")) == {
        ("image without file", "train"): 1
    }


@pytest.mark.parametrize("decode", [False, True])
def test_a_mixed_set_is_sound(mixed_set, decode):
    """Whatever the kind of its images, and whether EXIF turns them or not."""
    diagnosis = mtfast.diagnose(mixed_set.annotations, decode=decode)
    assert above_notes(diagnosis) == {}
    assert finding(diagnosis, "several sizes").count == len(set(mixed_set.sizes().values()))


def write_image(folder: Path, size: tuple[int, int], name: str, data: bytes) -> Path:
    """A set of one image of a stated size."""
    height, width = size
    content = {
        "images": [{"id": 1, "file_name": name, "height": height, "width": width}],
        "annotations": [],
        "categories": [],
    }
    (folder / "images").mkdir(exist_ok=True)
    (folder / "images" / name).write_bytes(data)
    (folder / "set.json").write_text(json.dumps(content))
    return folder / "set.json"


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP", "BMP"])
def test_damaged_images_of_all_kinds(tmp_path, kind):
    data = saved(an_image("RGB"), kind)
    path = write_image(tmp_path, (HEIGHT, WIDTH), "a.jpg", data)
    assert mtfast.diagnose(path, decode=True).is_sound
    path = write_image(tmp_path, (HEIGHT, WIDTH), "a.jpg", data[: len(data) // 2])
    assert above_notes(mtfast.diagnose(path)) == {("unreadable image", "train"): 1}
    path = write_image(tmp_path, (HEIGHT + 1, WIDTH), "a.jpg", data)
    assert above_notes(mtfast.diagnose(path)) == {("sizes disagree", "train"): 1}


def test_an_exif_orientation_that_both_sizes_fit(tmp_path):
    """Half of a turn fits whatever the masks were drawn on, as a quarter of a square does."""
    for orientation, height in ((2, 20), (3, 20), (4, 20), (5, 30), (6, 30)):
        data = saved(Image.new("RGB", (30, height)), "JPEG", exif=exif(orientation))
        path = write_image(tmp_path, (height, 30), "a.jpg", data)
        found = mtfast.diagnose(path)
        assert above_notes(found) == {("EXIF orientation unclear", "train"): 1}
        words = (f"a.jpg: orientation {orientation}",)
        assert finding(found, "EXIF orientation unclear").examples == words


def test_a_size_that_fits_neither_way_names_exif(tmp_path):
    data = saved(Image.new("RGB", (30, 20)), "JPEG", exif=exif(6))
    found = mtfast.diagnose(write_image(tmp_path, (30, 21), "a.jpg", data))
    (words,) = finding(found, "sizes disagree").examples
    assert words == (
        "a.jpg: 30 x 21 in annotations, 20 x 30 pixels, 30 x 20 by its EXIF orientation 6"
    )


@pytest.mark.parametrize("orientation", [5, 8])
def test_an_image_of_both_sizes_in_two_files(orientation):
    """One file has it as stored, the other as shown: one of them is wrong."""
    images = {"a.jpg": ImageFile((20, 30), "", b"", orientation)}
    for sizes, n in (({(20, 30)}, 0), ({(30, 20)}, 0), ({(20, 30), (30, 20)}, 1)):
        facts = SplitFacts("train", sizes={"a.jpg": sizes}, images=images)
        assert len(sizes_differ(facts).places) == n


def test_files_of_polygons_state_the_measures_of_outlines(tmp_path, rng):
    annotations = []
    for k in range(40):
        angle = np.linspace(0, 2 * np.pi, 23, endpoint=False)
        radius = rng.uniform(0.8, 1, 23) * rng.uniform(3, 20)
        x, y = 50 + radius * np.cos(angle), 40 + radius * np.sin(angle)
        area = abs(x @ np.roll(y, 1) - y @ np.roll(x, 1)) / 2
        box = [x.min(), y.min(), np.ptp(x), np.ptp(y)]
        ring = np.stack([x, y], axis=1).ravel().tolist()
        annotations.append(
            {"id": k + 1, "image_id": 1, "category_id": 1, "segmentation": [ring]}
            | {"area": area, "bbox": box}
        )
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 80, "width": 100}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "flake"}],
    }
    path = tmp_path / "set.json"
    path.write_text(json.dumps(content))
    assert above_notes(mtfast.diagnose(path, images=False)) == {}
    annotations[3]["area"] += 300
    annotations[4]["bbox"][0] += 3
    path.write_text(json.dumps(content))
    assert above_notes(mtfast.diagnose(path, images=False)) == {
        ("area disagrees", "train"): 1,
        ("bbox disagrees", "train"): 1,
    }


def test_folders_of_labels(tmp_path):
    for folder in ("images", "instance_masks"):
        (tmp_path / folder).mkdir()
    for k in range(2):
        Image.new("RGB", (40, 30), (200 * k, 0, 0)).save(tmp_path / "images" / f"{k}.jpg")
        Image.new("L", (40, 30), k).save(tmp_path / "instance_masks" / f"{k}.png")
    assert mtfast.diagnose(tmp_path).findings == ()
    (tmp_path / "instance_masks" / "1.png").unlink()
    diagnosis = mtfast.diagnose(tmp_path)
    assert diagnosis.is_sound
    assert finding(diagnosis, "image without mask").examples == ("annotations: '1.jpg'",)
    (tmp_path / "images" / "0.jpg").unlink()
    assert above_notes(mtfast.diagnose(tmp_path)) == {("mask without image", "train"): 1}


def test_a_store_is_refused(tiny_set, tmp_path):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", images="none", splits=["test"])
    with pytest.raises(mtfast.SourceError, match="is a store; .*; pass the source"):
        mtfast.diagnose(store)


def test_the_command_for_people(damaged):
    done = run("doctor", damaged)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("0 errors, 0 warnings, ")
    edit(damaged, ALONE, first_annotation(id=0, area=7))
    done = call("doctor", damaged, "--decode-check")
    assert done.returncode == 1, done.stderr
    assert "error" in done.stdout
    assert "annotation id 0 in test" in done.stdout
    assert "give it another id" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("1 error, 1 warning, ")


def test_the_schema_names_every_check():
    schema = json.loads((DOCS / "doctor.schema.json").read_text())
    item = schema["properties"]["findings"]["items"]
    assert item["properties"]["check"]["enum"] == [check.name for check in CHECKS]


def coco(folder: Path, *records: dict[str, Any], **image: Any) -> Path:
    """A set of one image of 4 x 6 pixels with a sound annotation, and with others."""
    listed = {"id": 1, "file_name": "a.png", "height": 4, "width": 6} | image
    sound = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 3, 0, 3]]}
    content = {
        "images": [listed],
        "annotations": [sound, *({**sound, "id": k, **r} for k, r in enumerate(records, 2))],
        "categories": [{"id": 1, "name": "flake"}],
    }
    folder.mkdir(exist_ok=True)
    (folder / "coco.json").write_text(json.dumps(content))
    return folder / "coco.json"


def put(path: Path, size: tuple[int, int] = (6, 4), orientation: int = 1, **options: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    exif = Image.Exif()
    if orientation > 1:
        exif[0x112] = orientation
    Image.new("RGB", size).save(path, exif=exif, **options)


def test_all_bad_records_are_found_though_the_first_would_stop_a_reader(tmp_path):
    path = coco(
        tmp_path,
        {"segmentation": []},
        {"segmentation": [], "bbox": [1, 1, 2, 2]},
        {"segmentation": {"size": [6, 4], "counts": "04"}},
        {"image_id": 9},
        {"category_id": 0},
        {"category_id": 9},
        {"area": float("nan")},
        {"iscrowd": 1},
    )
    put(tmp_path / "images" / "a.png")
    diagnosis = mtfast.diagnose(path, decode=True)
    assert above_notes(diagnosis) == {
        (kind, "train"): 1
        for kind in (
            "area or bbox not a number",
            "annotation twice",
            "annotation without image",
            "no segmentation",
            "no segmentation and no box",
            "RLE of another size",
            "category id 0",
            "category not listed",
        )
    }
    assert finding(diagnosis, "iscrowd").severity == "note"
    assert "4 (number 3)" in finding(diagnosis, "RLE of another size").examples[0]
    assert finding(diagnosis, "no segmentation").advice.endswith(
        "bad='skip' leaves them out; bad='repair' draws their boxes as rectangles"
    )
    # Once it is repaired nothing is left to say but of crowds.
    table = mtfast.open_source(path, bad="skip").table("train", "annotations")
    assert table.instance_ids.tolist() == [1, 8, 9]


def test_stock_crowds_are_a_note_and_files_of_nothing_else_a_warning(tmp_path):
    put(tmp_path / "images" / "a.png")
    few = mtfast.diagnose(coco(tmp_path, {"iscrowd": 1}))
    assert few.is_sound
    assert "set it to 0" not in finding(few, "iscrowd").advice
    many = mtfast.diagnose(coco(tmp_path, {"iscrowd": 1}, {"iscrowd": 1}))
    assert above_notes(many) == {("mostly crowds", "train"): 2, ("annotation twice", "train"): 1}


@pytest.mark.parametrize(
    ("stored", "orientation", "check", "severity", "words"),
    [
        ((6, 4), 1, None, None, ""),
        (
            (4, 6),
            6,
            "EXIF orientation",
            "note",
            "a.jpg: orientation 6, masks fit the image as shown",
        ),
        (
            (6, 4),
            6,
            "EXIF orientation",
            "note",
            "a.jpg: orientation 6, masks fit the image as stored",
        ),
        ((6, 4), 3, "EXIF orientation unclear", "error", "a.jpg: orientation 3"),
        (
            (4, 6),
            3,
            "sizes disagree",
            "error",
            "a.jpg: 4 x 6 in annotations, 6 x 4 pixels, 6 x 4 by its EXIF orientation 3",
        ),
        (
            (8, 7),
            8,
            "sizes disagree",
            "error",
            "a.jpg: 4 x 6 in annotations, 7 x 8 pixels, 8 x 7 by its EXIF orientation 8",
        ),
    ],
)
def test_orientation_of_images(tmp_path, stored, orientation, check, severity, words):
    path = coco(tmp_path, file_name="a.jpg")
    put(tmp_path / "images" / "a.jpg", stored, orientation)
    found = {f.check: f for f in mtfast.diagnose(path).findings}
    if check is None:
        assert found == {}
        return
    assert found[check].severity == severity
    assert found[check].examples == (words,)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp"])
def test_images_of_any_kind_are_read(tmp_path, name):
    path = coco(tmp_path, file_name=name)
    file = tmp_path / "images" / name
    put(file)
    assert mtfast.diagnose(path, decode=True).findings == ()
    file.write_bytes(b"nothing like an image")
    found = finding(mtfast.diagnose(path), "unreadable image")
    assert (
        found.examples == (f"{name} is no image (cannot identify image file)",) or found.count == 1
    )
    assert "bad='skip'" in found.advice


def test_jpegs_of_four_channels_are_sound(tmp_path):
    path = coco(tmp_path, file_name="a.jpg")
    (tmp_path / "images").mkdir()
    file = tmp_path / "images" / "a.jpg"
    Image.new("CMYK", (6, 4)).save(file)
    assert mtfast.diagnose(path, decode=True).findings == ()
    file.write_bytes(file.read_bytes()[:-40])
    assert above_notes(mtfast.diagnose(path, decode=True)) == {("unreadable image", "train"): 1}


def test_classes_that_no_mask_can_hold(tmp_path):
    path = coco(tmp_path, {"category_id": 65535}, {"category_id": 65536}, file_name="a.png")
    content = json.loads(path.read_text())
    content["categories"] += [{"id": id_, "name": str(id_)} for id_ in (65535, 65536)]
    path.write_text(json.dumps(content))
    put(tmp_path / "images" / "a.png")
    found = above_notes(mtfast.diagnose(path))
    assert found == {("category id beyond 65535", "train"): 1}
    mapped = mtfast.open_source(path, mapping={65536: 7})
    assert mtfast.diagnose(mapped).is_sound


def test_files_of_another_annotation_file_are_not_to_be_removed(tmp_path):
    path = coco(tmp_path)
    put(tmp_path / "images" / "a.png")
    put(tmp_path / "images" / "b.png", (7, 7))
    diagnosis = mtfast.diagnose(path)
    assert diagnosis.is_sound
    advice = finding(diagnosis, "file without image").advice
    assert "keep it if another annotation file lists it" in advice
    # Opened together each file is used.
    other = coco(tmp_path / "more", file_name="b.png", height=7, width=7)
    both = mtfast.open_source({"train": path, "val": other}, image_folder=tmp_path / "images")
    assert mtfast.diagnose(both).findings == ()


def test_classes_of_one_name_but_for_capitals_and_spaces(tmp_path):
    path = coco(tmp_path)
    content = json.loads(path.read_text())
    names = ("Mono layer", "mono", "mono  layer", "mono-layer", "mono")
    content["categories"] = [{"id": k, "name": name} for k, name in enumerate(names, 1)]
    path.write_text(json.dumps(content))
    found = finding(mtfast.diagnose(path), "classes of one name")
    assert (found.severity, found.count) == ("warning", 2)
    alike = ("'Mono layer': 1, 'mono  layer': 3", "'mono': 2, 5")
    assert found.examples == tuple(f"annotations: {words}" for words in alike)


@pytest.mark.parametrize("layout", ["labelme", "class maps", "label PNGs"])
def test_an_image_without_annotations_is_told_once(tmp_path, layout):
    images = tmp_path if layout == "labelme" else tmp_path / "images"
    for name in ("a.jpg", "b.jpg"):
        put(images / name)
    if layout == "labelme":
        shape = {"label": "x", "points": [[1, 1], [5, 1], [5, 3]], "shape_type": "polygon"}
        about = {"imagePath": "a.jpg", "imageHeight": 4, "imageWidth": 6}
        (tmp_path / "a.json").write_text(json.dumps({"shapes": [shape], **about}))
    else:
        folder = tmp_path / ("masks" if layout == "class maps" else "instance_masks")
        folder.mkdir()
        Image.new("L", (6, 4), 1).save(folder / "a.png")
        (tmp_path / "classes.txt").write_text("mono\n")
    told = "image without annotation file" if layout == "labelme" else "image without mask"
    found = {f.check: f.examples for f in mtfast.diagnose(tmp_path).findings}
    assert found.pop(told) == ("annotations: 'b.jpg'",)
    assert "file without image" not in found


def test_advice_on_records_names_no_other_format(tmp_path):
    put(tmp_path / "images" / "a.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.5 0.2 0.2\n")
    advice = finding(mtfast.diagnose(tmp_path), "no segmentation").advice
    assert "COCO" not in advice


def test_sizes_that_are_text_are_quoted(tmp_path):
    path = coco(tmp_path, height="4")
    put(tmp_path / "a.png")
    examples = finding(mtfast.diagnose(path), "image size missing").examples
    assert examples == ("annotations: image 'a.png' is '4' x 6",)


def test_forms_of_unicode_are_told_apart(tmp_path):
    path = coco(tmp_path, file_name="\u00fc.png")
    put(tmp_path / "images" / "u\u0308.png")
    examples = finding(mtfast.diagnose(path), "file of another spelling").examples
    assert examples == (r"'\xfc.png' is 'u\u0308.png'",)


def test_images_of_another_spelling(tmp_path):
    path = coco(tmp_path, file_name="data\\A.PNG")
    put(tmp_path / "images" / "a.png")
    diagnosis = mtfast.diagnose(path)
    assert diagnosis.is_sound
    assert finding(diagnosis, "file of another spelling").examples == ("'data\\\\A.PNG' is a.png",)


def test_the_command_takes_several_files(tmp_path):
    train, val = coco(tmp_path / "one"), coco(tmp_path / "two", {"segmentation": []})
    put(tmp_path / "images" / "a.png")
    given = (f"train={train}", f"val={val}", "--image-folder", tmp_path / "images")
    done = call("doctor", *given, "--json")
    said = json.loads(done.stdout)
    assert said["splits"] == ["train", "val"]
    found = {(f["check"], f["split"]) for f in said["findings"] if f["severity"] == "error"}
    assert found == {("no segmentation and no box", "val"), ("identical across splits", None)}
    assert done.returncode == 1


def test_images_without_annotations(tmp_path):
    Image.new("RGB", (6, 4)).save(tmp_path / "a.png")
    found = mtfast.diagnose(tmp_path)
    assert found.is_sound
    assert finding(found, "image without annotations").count == 1
    (tmp_path / "b.png").touch()
    assert above_notes(mtfast.diagnose(tmp_path)) == {("unreadable image", "train"): 1}


@pytest.mark.parametrize(("name", "n"), [("bilayer", 1), (None, 0)])
def test_a_number_that_means_another_class_in_another_split(tmp_path, caplog, name, n):
    train, val = coco(tmp_path / "one"), coco(tmp_path / "two")
    if name:
        content = json.loads(val.read_text())
        content["categories"][0]["name"] = name
        val.write_text(json.dumps(content))
    source = mtfast.open_source({"train": train, "val": val})
    found = [f for f in mtfast.diagnose(source, images="none").findings if "disagree" in f.check]
    assert [(f.check, f.severity, f.count) for f in found] == [
        ("classes of splits disagree", "error", 1)
    ] * n
    mtfast.convert(source, tmp_path / "a.zarr", images=False)
    assert caplog.text.count("what is trained on one is tested on another") == n
