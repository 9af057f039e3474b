"""Image files that cannot be stored: refused in one line that counts all, or left out."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from pycocotools import mask as coco_mask

import mtfast
from commands import call
from image_samples import deep_pixels, exif, pages
from mtfast.errors import SourceError

SHAPE = (24, 36)
SOUND = ("0.jpg", "1.png", "2.tif", "3.webp", "4.bmp")
FAULTS = {
    "cut.jpg": "unreadable image",
    "cut.png": "unreadable image",
    "cut.tif": "unreadable image",
    "cut.webp": "unreadable image",
    "cut.bmp": "unreadable image",
    "empty.jpg": "unreadable image",
    "text.jpg": "unreadable image",
    "gif.jpg": "unreadable image",
    "folder.jpg": "image without file",
    "stack.tif": "unreadable image",
    "gone.jpg": "image without file",
    "small.jpg": "sizes disagree",
    "turned.jpg": "sizes disagree",
}


def photograph(seed: int, size: tuple[int, int] = SHAPE) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8))


def spoil(file: Path) -> None:
    """Write the file of a fault."""
    stem = file.stem
    if stem == "cut":
        photograph(7).save(file)
        # Pillow reads a BMP to its end whatever its header says: cut in the middle of its pixels.
        data = file.read_bytes()
        file.write_bytes(data[: len(data) // 2])
    elif stem == "empty":
        file.touch()
    elif stem == "text":
        file.write_text("404 not found")
    elif stem == "gif":
        photograph(7).save(file, "GIF")
    elif stem == "folder":
        file.mkdir()
    elif stem == "stack":
        file.write_bytes(pages(3))
    elif stem == "small":
        photograph(7, (24, 35)).save(file)
    elif stem == "turned":
        photograph(7, (40, 50)).save(file, exif=exif(6))


def write_set(folder: Path, names: list[str], file: str = "train.json") -> Path:
    """A set in which each image has two rectangles; those of FAULTS are spoiled."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for number, name in enumerate(names, 1):
        height, width = SHAPE
        images.append({"id": number, "file_name": name, "height": height, "width": width})
        for k in (1, 2):
            pixels = np.zeros(SHAPE, np.uint8, order="F")
            pixels[k : k + number, 3 * k : 3 * k + 5] = 1
            rle = coco_mask.encode(pixels)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": k,
                    "segmentation": {**rle, "counts": rle["counts"].decode()},
                }
            )
        if name in FAULTS:
            spoil(folder / "images" / name)
        else:
            photograph(number).save(folder / "images" / name)
    categories = [{"id": k, "name": f"class {k}"} for k in (1, 2)]
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / file).write_text(json.dumps(content))
    return folder / file


def expect_sound(annotations: Path, store: Path, split: str) -> None:
    """Only sound images are there, with the pixels of Pillow and the masks of pycocotools."""
    content = json.loads(annotations.read_text())
    sound = {i["id"]: i["file_name"] for i in content["images"] if i["file_name"] not in FAULTS}
    opened = mtfast.open(store)[split]
    assert list(opened.names) == list(sound.values())
    assert opened.table().names.tolist() == list(sound.values())
    for id_, name in sound.items():
        file = annotations.parent / "images" / name
        np.testing.assert_array_equal(opened.image(name), np.asarray(Image.open(file)))
        mask = np.zeros(SHAPE, np.uint8)
        mine = [a for a in content["annotations"] if a["image_id"] == id_]
        for annotation in mine:
            mask[coco_mask.decode(annotation["segmentation"]) > 0] = annotation["category_id"]
        np.testing.assert_array_equal(opened.semantic(name), mask)
        ids = opened.instances(opened.index(name)).instance_ids
        assert ids.tolist() == [a["id"] for a in mine]


def counts(findings: list[dict]) -> dict[str, int]:
    return {found["kind"]: found["n"] for found in findings}


@pytest.mark.parametrize(
    ("fault", "scheduler"),
    [
        *((fault, "threads") for fault in FAULTS),
        *((fault, "processes") for fault in ("cut.jpg", "gone.jpg", "small.jpg")),
    ],
)
def test_one_bad_image(tmp_path, fault, scheduler):
    path = write_set(tmp_path, [*SOUND, fault])
    store = tmp_path / "s.zarr"
    # Each process takes a second to start.
    workers = 1 if scheduler == "processes" else None
    options = {"shard": 2, "scheduler": scheduler, "workers": workers}
    for bad in ("refuse", "repair"):
        what = "" if bad == "refuse" else " that cannot be repaired"
        with pytest.raises(SourceError) as caught:
            mtfast.convert(path, store, bad=bad, **options)
        words = str(caught.value)
        assert words.startswith(f"train: 1 bad record{what}: 1 x {FAULTS[fault]} (")
        assert fault in words
        assert "bad='skip'" in words
        assert ", or convert with images='none'" in words
        assert not store.exists()
    mtfast.convert(path, store, bad="skip", **options)
    expect_sound(path, store, "train")
    (found,) = mtfast.open(store).attributes["findings"]["train"]
    assert (found["kind"], found["n"], found["done"]) == (FAULTS[fault], 1, "skipped")
    assert fault in found["examples"][0]


def test_all_are_counted_in_one_line(tmp_path):
    """In the words of doctor, whichever is met first and in whatever split."""
    train = write_set(tmp_path, [*FAULTS, *SOUND])
    val = write_set(tmp_path, [*SOUND, "cut.jpg", "gone.jpg"], "val.json")
    n = len(FAULTS)
    with pytest.raises(SourceError) as caught:
        mtfast.convert({"train": train, "val": val}, tmp_path / "s.zarr")
    words = str(caught.value)
    assert len(words.splitlines()) == 1
    assert f": {n + 2} bad records: 3 x image without file (train: 'folder.jpg', …), " in words
    assert "10 x unreadable image (train: cut.jpg is a JPEG that is cut off" in words
    assert "2 x sizes disagree (train: small.jpg: 24 x 36 in annotations, 24 x 35 pixels" in words
    mtfast.convert({"train": train, "val": val}, tmp_path / "s.zarr", bad="skip")
    findings = mtfast.open(tmp_path / "s.zarr").attributes["findings"]
    left_out = [name for found in findings["train"] for name in found["places"]]
    assert sorted(left_out) == sorted(FAULTS)
    for split, path in (("train", train), ("val", val)):
        expect_sound(path, tmp_path / "s.zarr", split)
        doctor = {f.check: f.count for f in mtfast.diagnose(path).findings}
        assert counts(findings[split]) == {kind: doctor[kind] for kind in counts(findings[split])}


def test_a_bad_image_among_missing_ones_and_bad_records(tmp_path):
    path = write_set(tmp_path, [*SOUND, "cut.jpg", "gone.jpg"])
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"] = []
    path.write_text(json.dumps(content))
    mtfast.convert(path, tmp_path / "s.zarr", bad="skip")
    findings = mtfast.open(tmp_path / "s.zarr").attributes["findings"]["train"]
    assert counts(findings) == {
        "no segmentation and no box": 1,
        "image without file": 1,
        "unreadable image": 1,
    }


def test_without_images_nothing_is_asked_of_them(tmp_path):
    path = write_set(tmp_path, [*SOUND, *FAULTS])
    mtfast.convert(path, tmp_path / "s.zarr", images="none")
    assert len(mtfast.open(tmp_path / "s.zarr")["train"]) == len(SOUND) + len(FAULTS)


def test_no_image_is_left(tmp_path):
    path = write_set(tmp_path, ["cut.jpg", "gone.jpg"])
    with pytest.raises(
        SourceError, match=r"split 'train' .* has no image left \(1 x image without file \('gone"
    ):
        mtfast.convert(path, tmp_path / "s.zarr", bad="skip")


def test_files_that_disagree_about_a_size(tmp_path):
    folder = tmp_path / "coco"
    path = write_set(folder, list(SOUND), "train_annotations.json")
    content = json.loads(path.read_text())
    content["images"][1]["height"] = 25
    content["annotations"] = []
    (folder / "train_annotations_with_class.json").write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"1 x sizes disagree \(1.png: 24 x 36 and 25 x 36\)"):
        mtfast.convert(tmp_path, tmp_path / "s.zarr")
    mtfast.convert(tmp_path, tmp_path / "s.zarr", bad="skip")
    assert list(mtfast.open(tmp_path / "s.zarr")["train"].names) == [
        name for name in SOUND if name != "1.png"
    ]


def test_an_unclear_orientation_is_never_left_out(tmp_path):
    """All images of a camera may be so."""
    path = write_set(tmp_path, list(SOUND))
    photograph(1).save(tmp_path / "images" / "0.jpg", exif=exif(3))
    for bad in ("refuse", "skip", "repair"):
        with pytest.raises(
            SourceError,
            match=r"1 x EXIF orientation unclear \(0.jpg: orientation 3\); .* orientation='shown'$",
        ):
            mtfast.convert(path, tmp_path / "s.zarr", bad=bad)
    mtfast.convert(path, tmp_path / "s.zarr", bad="skip", orientation="stored")
    expect_sound(path, tmp_path / "s.zarr", "train")


def test_the_command_says_what_was_left_out(tmp_path):
    path = write_set(tmp_path, [*SOUND, "cut.jpg", "gone.jpg"])
    done = call("convert", path, tmp_path / "s.zarr", "--bad", "skip")
    assert done.returncode == 0, done.stderr
    assert "train: 1 x image without file ('gone.jpg'): skipped" in done.stdout
    assert "train: 1 x unreadable image (cut.jpg is a JPEG that is cut off" in done.stdout


@pytest.mark.parametrize(
    ("n", "has", "is_"), [(1, "1 image has", "1 image is"), (2, "2 images have", "2 images are")]
)
def test_counted_messages_are_english(tmp_path, caplog, n, has, is_):
    path = write_set(tmp_path, ["a.png", "b.png", "c.jpg", "d.jpg"])
    for clear, turned in (("a.png", "c.jpg"), ("b.png", "d.jpg"))[:n]:
        photograph(1).convert("RGBA").save(tmp_path / "images" / clear)
        photograph(1, SHAPE[::-1]).save(tmp_path / "images" / turned, exif=exif(6))
    mtfast.convert(path, tmp_path / "s.zarr")
    assert f"train: {has} an alpha channel, which is stored but is not part" in caplog.text
    assert f"train: {is_} turned by EXIF orientation, as the masks are" in caplog.text


@pytest.mark.parametrize("options", [{}, {"imagej": True}, {"compression": "zlib"}])
def test_pages_of_a_stack(tmp_path, options):
    """Each page is an image: named as ImageMagick does, stored as a file of its own."""
    names = ["stack.tif[0]", "stack.tif[2]", "0.jpg"]
    path = write_set(tmp_path, ["0.jpg"])
    stack = deep_pixels(3, *SHAPE)
    tifffile.imwrite(tmp_path / "images/stack.tif", stack, photometric="minisblack", **options)
    content = json.loads(path.read_text())
    content["images"] = [
        {"id": k, "file_name": name, "height": SHAPE[0], "width": SHAPE[1]}
        for k, name in enumerate(names, 1)
    ]
    path.write_text(json.dumps(content))
    store = mtfast.open(mtfast.convert(path, tmp_path / "s.zarr"))
    train = store["train"]
    for page in (0, 2):
        name = f"stack.tif[{page}]"
        np.testing.assert_array_equal(train.image(name), stack[page])
        assert train.index(f"stack[{page}]") == train.index(name)
        file = tmp_path / "page.tif"
        file.write_bytes(train.image_bytes(train.index(name)))
        np.testing.assert_array_equal(tifffile.imread(file), stack[page])
        np.testing.assert_array_equal(np.asarray(Image.open(file)), stack[page])
    (found,) = store.attributes["findings"]["train"]
    assert (found["kind"], found["n"], found["done"]) == ("page of a TIFF stack", 2, "rewritten")
    assert found["examples"] == ["page 0 of stack.tif", "page 2 of stack.tif"]
    diagnosis = mtfast.diagnose(path)
    assert [f.check for f in diagnosis.findings if f.severity != "note"] == []
    assert "page of a TIFF stack" in [f.check for f in diagnosis.findings]
    content["images"][1]["file_name"] = "stack.tif[3]"
    path.write_text(json.dumps(content))
    with pytest.raises(SourceError, match=r"stack.tif\[3\] is page 3 of a TIFF of 3 pages"):
        mtfast.convert(path, tmp_path / "other.zarr")


def test_a_split_without_images_is_left_out(tmp_path, caplog):
    """As Roboflow exports a test split for nothing."""
    train, test = write_set(tmp_path, list(SOUND)), write_set(tmp_path, [], "test.json")
    store = mtfast.convert({"train": train, "test": test}, tmp_path / "s.zarr")
    assert list(mtfast.open(store)) == ["train"]
    assert "test: no images are listed; the split is left out" in caplog.text
    with pytest.raises(SourceError, match="split 'test' .* has no images; expected at least one"):
        mtfast.convert({"train": train, "test": test}, tmp_path / "t.zarr", splits=["test"])
    with pytest.raises(SourceError, match="split 'test' .* has no images; expected at least one"):
        mtfast.convert({"test": test}, tmp_path / "t.zarr")


def test_names_and_ids_that_are_no_unicode(tmp_path):
    """JSON can hold halves of characters; what is said of them in the store cannot."""
    path = write_set(tmp_path, list(SOUND))
    content = json.loads(path.read_text())
    content["images"][0]["file_name"] = "\ud800.jpg"
    content["images"][1]["id"] = "\udc80"
    for annotation in content["annotations"][2:4]:
        annotation["image_id"] = "\udc80"
    path.write_text(json.dumps(content))
    store = mtfast.open(mtfast.convert(path, tmp_path / "s.zarr", bad="skip"))
    assert list(store["train"].names) == list(SOUND[1:])
    assert store["train"].instances(0).n_instances == 2
    findings = {f["kind"]: f for f in store.attributes["findings"]["train"]}
    assert findings["file name missing"]["places"] == ["\\ud800.jpg"]
    assert findings["id of text"]["mapping"][0][0] == "\\udc80"
