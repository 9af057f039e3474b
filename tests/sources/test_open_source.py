"""Which layout open_source finds, what it says where there is none, and the files of a folder."""

from __future__ import annotations

import json
import logging
import os
import pickle
from pathlib import Path
from typing import ClassVar

import pytest

import mtfast
from mtfast.errors import SourceError
from mtfast.sources import Source
from mtfast.sources.files import Folder
from mtfast.sources.image_folder import ImageFolder
from mtfast.sources.known import KNOWN
from mtfast.sources.split_names import chosen_splits

EMPTY = '{"images": [], "annotations": [], "categories": []}'


def test_no_such_path(tmp_path):
    with pytest.raises(
        SourceError, match=r"^no such file or folder: .*nowhere; expected .*; check"
    ):
        mtfast.open_source(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("set.tar", "an archive that is no zip; .*; unpack it"),
        ("README", "a file that does not end in .json; .*; check the path"),
        ("annotations.XML", "an XML file, as of CVAT or Pascal VOC; .*; export it as COCO"),
        ("a.jpg", "an image; .*; give the path of its folder"),
    ],
)
def test_files_that_are_no_json(tmp_path, name, words):
    (tmp_path / name).touch()
    with pytest.raises(SourceError, match=f"^{name} is {words}"):
        mtfast.open_source(tmp_path / name)


OTHER_FORMATS = {
    "YOLO labels \\(labels/\\) and not their images": {"labels/a.txt": "0 0.1", "a.jpg": ""},
    "YOLO labels \\(a/labels/\\)": {
        "a/labels/train/a.txt": "0",
        "a/images/train/a.jpg": "",
        "a.jpg": "",
    },
    "a YOLO dataset \\(data.yaml\\)": {"data.yaml": "names: [a]", "images/a.jpg": ""},
    "a CVAT export \\(annotations.xml\\)": {
        "annotations.xml": "<?xml version='1.0'?>\n<annotations>",
        "images/a.jpg": "",
    },
    "Pascal VOC annotations \\(Annotations/a.xml\\)": {
        "Annotations/a.xml": "<annotation>",
        "JPEGImages/a.jpg": "",
    },
    "GeoJSON \\(a.geojson\\)": {"a.geojson": "{}", "a.jpg": ""},
    "COCO files without instances: annotations/captions_val2017.json;": {
        "annotations/captions_val2017.json": "{}",
        "val2017/a.jpg": "",
    },
}


@pytest.mark.parametrize("words", OTHER_FORMATS)
def test_annotations_of_other_formats_are_not_overlooked(tmp_path, words):
    """Their images would pass for a set without any instance."""
    for name, text in OTHER_FORMATS[words].items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=f" holds {words.strip()}"):
        mtfast.open_source(tmp_path)


def test_metadata_beside_images_is_no_annotation(tmp_path):
    (tmp_path / "a.jpg").touch()
    (tmp_path / "a_metadata.xml").write_text("<Image><Pixels/></Image>")
    (tmp_path / "camera.yaml").write_text("exposure: 3")
    assert mtfast.open_source(tmp_path).kind == "images"


def test_persons_alone_are_instances(tmp_path):
    (tmp_path / "annotations").mkdir()
    for name in ("captions_val2017", "person_keypoints_val2017"):
        (tmp_path / "annotations" / f"{name}.json").write_text(EMPTY)
    source = mtfast.open_source(tmp_path)
    assert source.variant_file("val2017", "annotations").endswith("person_keypoints_val2017.json")


def test_addresses_that_nothing_reads_are_refused(tmp_path):
    (tmp_path / "a.json").write_text(EMPTY)
    for arguments in (["none://host/set"], [tmp_path / "a.json", "none://host/images"]):
        with pytest.raises(mtfast.MtfastError, match=r"^none://host/\w+ begins with none://"):
            mtfast.open_source(*arguments)


def kinds_of(cls: type[Source]) -> set[str]:
    inner = set().union(*map(kinds_of, cls.__subclasses__()))
    is_ours = cls.__module__.startswith("mtfast.") and "kind" in vars(cls)
    return inner | ({cls.kind} if is_ours else set())


def test_messages_know_all_formats_that_are_read():
    assert kinds_of(Source) == KNOWN.keys()


REFUSED = [
    ("x.geojson", "{}"),
    ("x.json", '{"type": "FeatureCollection", "features": []}'),
    ("x.json", '{"_via_img_metadata": {}}'),
    ("x.csv", ""),
    ("x.xml", ""),
]


@pytest.mark.parametrize(("name", "text"), REFUSED)
@pytest.mark.parametrize("format_", [k for k in KNOWN.values() if k.file])
def test_a_refusal_names_the_files_that_are_read(tmp_path, name, text, format_):
    (tmp_path / name).write_text(text)
    with pytest.raises(SourceError, match=f"; expected .*{format_.name}.*; ") as caught:
        mtfast.open_source(tmp_path / name)
    assert caught.value.args[0].startswith(f"{name} is ")


@pytest.mark.parametrize("format_", ["png", "tiff"])
def test_masks_that_were_written_are_called_by_their_name(tiny_set, tmp_path, format_):
    mtfast.export_masks(tiny_set, tmp_path / "out", format=format_)
    with pytest.raises(
        SourceError, match=r"^masks\.json is the record of masks that 'mtfast masks'"
    ):
        mtfast.open_source(tmp_path / "out")["train"].table()


def test_a_folder_without_a_dataset(tmp_path):
    (tmp_path / "images").mkdir()
    with pytest.raises(SourceError) as caught:
        mtfast.open_source(tmp_path)
    message = str(caught.value)
    assert message.startswith(f"no dataset in {tmp_path}; expected ")
    for part in (
        "RLE_annotations/",
        "annotations/",
        "images/",
        "instance_masks/",
        "a JSON file of COCO",
    ):
        assert part in message
    (tmp_path / "coco.json").touch()
    assert mtfast.open_source(tmp_path).kind == "coco"
    (tmp_path / "zarr.json").touch()
    with pytest.raises(SourceError, match=r"is a store; .*; pass the source .* mtfast.open,"):
        mtfast.open_source(tmp_path)


@pytest.mark.parametrize(
    ("files", "path", "kind", "words"),
    [
        (
            ["RLE_annotations/train_annotations_300.json", "RLE_annotations/val_annotations.json"],
            "",
            "maskterial",
            "is a MaskTerial set: RLE_annotations/ has annotation files of train (1), val (1)",
        ),
        (["images/a.jpg", "instance_masks/a.png"], "", "label_png", "masks of train"),
        (["a.json", "images/a.jpg"], "a.json", "coco", "images of a.json taken from "),
        (["a.json"], "a.json", "coco", "no folder of images beside a.json; looked for a_images/"),
    ],
)
def test_the_layout_that_was_found_is_logged(tmp_path, caplog, files, path, kind, words):
    for name in files:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(EMPTY)
    with caplog.at_level(logging.INFO, "mtfast"):
        assert mtfast.open_source(tmp_path / path).kind == kind
    (record,) = caplog.records
    assert words in record.getMessage()
    assert (record.levelname, record.name.split(".")[:2]) == ("INFO", ["mtfast", "sources"])


class Pages(Source):
    """A layout as small as can be: COCO files, one a split, beside a folder of pictures."""

    kind: ClassVar[str] = "pages"

    @property
    def splits(self) -> tuple[str, ...]:
        return tuple(name.removesuffix(".json") for name in self.files.names() or ())

    def _annotations_at(self, split: str, variant: str) -> str:
        return f"{split}.json"

    def _image_folder(self, split: str) -> ImageFolder:
        return ImageFolder(self.files, "pictures")


def test_a_layout_says_where_its_files_are_and_no_more(tmp_path):
    image = {"id": 1, "file_name": "run/a.JPG", "height": 2, "width": 3}
    content = {"images": [image], "annotations": [], "categories": []}
    for split in ("new", "old"):
        (tmp_path / f"{split}.json").write_text(json.dumps(content))
    (tmp_path / "pictures" / "run").mkdir(parents=True)
    for name in ("a.JPG", "b.Tiff", "c.txt", "run/a.JPG"):
        (tmp_path / "pictures" / name).write_text(name)
    src = pickle.loads(pickle.dumps(Pages(Folder(tmp_path))))
    assert isinstance(src, Source)
    assert (src.name, src.path, src.splits) == (tmp_path.name, tmp_path, ("new", "old"))
    assert src.variants("old") == ("annotations",)
    assert src.table("old", "annotations").names.tolist() == ["run/a.JPG"]
    assert json.loads(src.records("new", "annotations").text) == content
    assert src.image_names("new") == ("a.JPG", "b.Tiff")
    for name, found in (("run/a.JPG", "run/a.JPG"), ("walk\\a.JPG", "a.JPG"), ("d.jpg", None)):
        path = src.find_image("old", name)
        assert path == (found and str(tmp_path / "pictures" / found))
        assert found is None or src.read_image("old", name).decode() == found
    with pytest.raises(SourceError, match=r"^image 'd.jpg' is missing in pictures/; expected"):
        src.read_image("old", "d.jpg")
    assert (src.mask_names("new"), src.find_mask("new", "a.png")) == (None, None)
    assert (src.set_names("new"), src.set_lists("new")) == (((), {}), {})
    for call in (src.variants, src.image_names, src.set_names, src.set_lists, src.mask_names):
        with pytest.raises(SourceError, match=r"no split 'train' in .*; expected one of: new, old"):
            call("train")
    for call in (src.find_image, src.read_image, src.find_mask, src.read_mask, src.table):
        with pytest.raises(SourceError, match=r"no split 'train' in .*; expected one of: new, old"):
            call("train", "annotations")


def test_what_is_known_of_files_without_reading_them(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.jpg").write_bytes(b"abc")
    (tmp_path / "new.json").write_text(EMPTY)
    os.utime(tmp_path / "pictures" / "a.jpg", ns=(5, 7_000_000_001))
    files, at = Folder(tmp_path), str(tmp_path / "pictures" / "a.jpg")
    assert files.stamp("pictures/a.jpg") == [3, 7_000_000_001]
    assert Pages(files).image_stamps("new", ["a.jpg", "b.jpg"]) == {at: [3, 7_000_000_001]}
    assert (files.where("pictures/a.jpg"), files.local("pictures/a.jpg")) == (at, Path(at))
    assert (files.name, files.location) == (tmp_path.name, tmp_path)
    assert list(files.walk()) == ["new.json", "pictures/a.jpg"]
    assert files.below("pictures").parent == files
    with pytest.raises(FileNotFoundError):
        files.stamp("pictures/b.jpg")


def test_splits_to_work_on(tmp_path):
    for split in ("a", "b", "c"):
        (tmp_path / f"{split}.json").write_text(EMPTY)
    src = Pages(Folder(tmp_path))
    for wanted in (None, (), []):
        assert chosen_splits(src.splits, wanted, src.name) == ("a", "b", "c")
    assert chosen_splits(src.splits, ["c", "a", "c"], src.name) == ("c", "a")
    with pytest.raises(SourceError, match=r"^no split 'd' in .*; expected one of: a, b, c; pick"):
        chosen_splits(src.splits, ["a", "d"], src.name)


def test_instance_masks_beside_other_annotations(tmp_path):
    for name in ("images", "instance_masks", "annotations"):
        (tmp_path / name).mkdir()
    assert mtfast.open_source(tmp_path).kind == "label_png"


def test_folder(tmp_path):
    for name in ("b.txt", "a.txt", ".hidden", ".git/x", "sub/c.txt", "sub/deep/d.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    files = Folder(tmp_path)
    assert files.names() == ["a.txt", "b.txt"]
    assert files.names("sub") == ["c.txt"]
    assert files.names("none") is None
    assert files.names("a.txt") is None
    assert files.folders() == ["sub"]
    assert files.folders("sub") == ["deep"]
    assert files.folders("none") == []
    assert files.exists("sub/c.txt")
    assert not any(map(files.exists, ("sub", "none", "../x", "a\0", "")))
    assert files.below("sub").read("deep/d.txt") == b"sub/deep/d.txt"
    assert files.read("sub/deep/d.txt") == b"sub/deep/d.txt"
    for path in ("none", "none/x", "a.txt/x", f"../{tmp_path.name}/a.txt", str(tmp_path / "a.txt")):
        with pytest.raises(FileNotFoundError):
            files.read(path)
    with pytest.raises(SourceError, match=r"^sub cannot be read \(it is a folder\); expected a re"):
        files.read("sub")


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_files(tmp_path):
    (tmp_path / "a.txt").touch(mode=0)
    (tmp_path / "sub").mkdir(mode=0)
    for call in (lambda f: f.read("a.txt"), lambda f: f.names("sub")):
        with pytest.raises(SourceError, match=r"cannot be read \(Permission denied\)"):
            call(Folder(tmp_path))


def test_what_is_open_already_is_no_path(small_set, tiny_store):
    for opened in (mtfast.open_source(small_set), mtfast.open(tiny_store)):
        with pytest.raises(SourceError, match="open already; expected a path"):
            mtfast.open_source(opened)
