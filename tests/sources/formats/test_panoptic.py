"""COCO's panoptic format: PNG files whose colours are ids, and a JSON file."""

from __future__ import annotations

import json
import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mtfast
from mtfast.errors import SourceError
from mtfast.sources.formats.panoptic import decode_ids
from other_tools import (
    expect_same_after_derive,
    kinds_of,
    masks_of,
    put,
    put_image,
    rle_of,
    table_of,
)

CATEGORIES = [
    {"id": 1, "name": "flake", "isthing": 1, "color": [220, 20, 60], "supercategory": "x"},
    {"id": 9, "name": "tape", "isthing": 0},
]


def png_of(ids: np.ndarray) -> bytes:
    """The PNG of a map of ids; as panopticapi's id2rgb writes it."""
    channels = np.stack([ids % 256, ids // 256 % 256, ids // 256**2], -1).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(channels).save(file, "PNG")
    return file.getvalue()


def segments_of(ids: np.ndarray) -> list[dict[str, Any]]:
    return [
        {
            "id": int(id_),
            "category_id": 9 if k == 0 else 1,
            "area": int((ids == id_).sum()),
            "bbox": [0, 0, 1, 1],
            "iscrowd": int(k == 2),
        }
        for k, id_ in enumerate(np.unique(ids[ids > 0]))
    ]


def content(**maps: np.ndarray) -> dict[str, Any]:
    numbered = list(enumerate(maps.items(), 5))
    return {
        "info": {"year": 2018},
        "images": [
            {"id": i, "file_name": f"{n}.jpg", "height": m.shape[0], "width": m.shape[1], "x": 1}
            for i, (n, m) in numbered
        ],
        "annotations": [
            {"image_id": i, "file_name": f"{n}.png", "segments_info": segments_of(m)}
            for i, (n, m) in numbered
        ],
        "categories": CATEGORIES,
    }


@pytest.fixture
def maps(rng) -> dict[str, np.ndarray]:
    ids = np.array([0, 7, 300, 70_000, 2**24 - 1])
    blocks = {name: ids[rng.integers(0, 5, (4, 6))] for name in ("a", "b")}
    return {name: np.kron(block, np.ones((10, 10), int)) for name, block in blocks.items()}


def make(folder: Path, maps: dict[str, np.ndarray], name: str = "panoptic_val2017") -> Path:
    put(folder / "annotations" / f"{name}.json", json.dumps(content(**maps)))
    for stem, ids in maps.items():
        put(folder / "annotations" / name / f"{stem}.png", png_of(ids))
        put_image(folder / "val2017" / f"{stem}.jpg", *ids.shape)
    return folder


def expected(maps: dict[str, np.ndarray]) -> dict[str, list[tuple[int, bytes]]]:
    return {
        f"{stem}.jpg": [
            (segment["category_id"], rle_of(ids == segment["id"])["counts"].encode())
            for segment in segments_of(ids)
        ]
        for stem, ids in maps.items()
    }


def test_segments_are_those_of_the_pixels(tmp_path, maps):
    source = mtfast.open_source(make(tmp_path, maps))
    assert (source.kind, source.splits) == ("coco_panoptic", ("val2017",))
    table = source.table("val2017", "annotations")
    assert masks_of(table) == expected(maps)
    assert table.image_ids.tolist() == [5, 6]
    assert table.iscrowd.tolist() == [0, 0, 1, 0] * 2
    assert table.stated_area.tolist() == table.area().tolist()
    assert table.categories == ((1, "flake"), (9, "tape"))
    assert source.read_image("val2017", "a.jpg")


def test_one_file_wherever_its_masks_are(tmp_path, maps):
    make(tmp_path, maps)
    file = tmp_path / "annotations/panoptic_val2017.json"
    assert masks_of(table_of(file)) == expected(maps)
    (tmp_path / "annotations/panoptic_val2017").rename(tmp_path / "annotations/panoptic")
    assert masks_of(table_of(file.rename(file.with_name("any.json")))) == expected(maps)
    moved = tmp_path / "val2017"
    moved = moved.rename(tmp_path / "elsewhere")
    source = mtfast.open_source(file.with_name("any.json"), moved)
    assert source.read_image("train", "a.jpg")


@pytest.mark.parametrize("first", ["images", "annotations"])
def test_large_files_in_any_order(tmp_path, maps, first):
    """Where images come first, the first bytes are those of any COCO file."""
    whole = content(**maps)
    whole = {first: whole[first], **whole}
    whole["images"] += [
        {"id": 100 + k, "file_name": f"{k}.jpg", "height": 4, "width": 6} for k in range(1000)
    ]
    put(tmp_path / "x.json", json.dumps(whole))
    for stem, ids in maps.items():
        put(tmp_path / "x" / f"{stem}.png", png_of(ids))
    for path in (tmp_path, tmp_path / "x.json"):
        source = mtfast.open_source(path)
        assert source.kind == "coco_panoptic"
        assert source.table("train", "annotations").n_images == 1002


def test_instances_of_the_same_images_come_first(tmp_path, maps):
    make(tmp_path, maps)
    text = json.dumps({"images": [], "annotations": [], "categories": []})
    put(tmp_path / "annotations/instances_val2017.json", text)
    assert mtfast.open_source(tmp_path).kind == "coco"


def test_what_columns_leave_out_is_written_again(tmp_path, maps):
    source = mtfast.open_source(make(tmp_path / "set", maps))
    derived = expect_same_after_derive(source, tmp_path / "derived")
    records = json.loads(derived.records("val2017", "annotations_with_class_full").text)
    assert records["categories"] == CATEGORIES
    assert records["images"][0]["x"] == 1
    assert [r["segment_id"] for r in records["annotations"]][:4] == [7, 300, 70_000, 2**24 - 1]


def test_areas_that_are_stated_wrongly(tmp_path, maps):
    whole = content(**maps)
    whole["annotations"][0]["segments_info"][1]["area"] += 50
    make(tmp_path, maps)
    put(tmp_path / "annotations/panoptic_val2017.json", json.dumps(whole))
    found = mtfast.diagnose(tmp_path).findings
    (area,) = [finding for finding in found if finding.check == "area disagrees"]
    assert area.count == 1


def change(tmp_path: Path, maps: dict[str, np.ndarray], edit: Any) -> Path:
    whole = content(**maps)
    edit(whole, whole["annotations"][0]["segments_info"])
    make(tmp_path, maps)
    put(tmp_path / "annotations/panoptic_val2017.json", json.dumps(whole))
    return tmp_path


BAD: dict[str, Any] = {
    "segment without pixels": lambda whole, segments: segments[0].update(id=8),
    "pixels of no class": lambda whole, segments: segments.pop(),
    "malformed record": lambda whole, segments: segments[0].update(id="7"),
    "category not listed": lambda whole, segments: segments[0].update(category_id=4),
    "annotation without image": lambda whole, segments: whole["annotations"][0].update(image_id=1),
    "unreadable mask": lambda whole, segments: whole["annotations"][0].update(file_name="c.png"),
    "mask of another size": lambda whole, segments: whole["images"][0].update(height=41),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_records(tmp_path, maps, kind):
    folder = change(tmp_path, maps, BAD[kind])
    with pytest.raises(SourceError, match=rf"bad records?: (.*, )?\d x {kind} "):
        table_of(folder)
    assert kind in kinds_of(folder, bad="skip")
    left = masks_of(table_of(folder, bad="skip"))
    assert left["b.jpg"] == expected(maps)["b.jpg"]
    whole = expected(maps)["a.jpg"]
    assert all(found in whole for found in left["a.jpg"])
    assert len(left["a.jpg"]) < len(whole)


@pytest.mark.parametrize("record", [None, 3, {}, {"image_id": 5}, {"image_id": 5, "file_name": 3}])
def test_records_that_are_none(tmp_path, maps, record):
    folder = change(tmp_path, maps, lambda whole, _: whole["annotations"].append(record))
    assert kinds_of(folder, bad="skip")["malformed record"][:2] == ("skipped", 1)
    assert masks_of(table_of(folder, bad="skip")) == expected(maps)


def test_a_file_that_is_none(tmp_path):
    path = put(tmp_path / "a.json", '{"annotations": [{"segments_info": NaN}], "images": []}')
    with pytest.raises(SourceError, match=r"^a.json is no COCO panoptic file \(.*\); exp"):
        table_of(path)


def bomb(height: int, width: int) -> bytes:
    """A PNG of few bytes that states any size."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + data


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a PNG"),
        (bomb(65535, 65535), "of 65535 x 65535 pixels"),
        (bomb(40, 60), "cannot be decoded"),
        (b"\xff\xd8\xff\xe0" * 20, "is not a PNG"),
    ],
)
def test_bad_masks(tmp_path, maps, data, words):
    make(tmp_path, maps)
    put(tmp_path / "annotations/panoptic_val2017/a.png", data)
    done, n, (found,) = kinds_of(tmp_path, bad="skip")["unreadable mask"]
    assert (done, n) == ("skipped", 1)
    assert words in found
    with pytest.raises(SourceError, match="1 x unreadable mask"):
        table_of(tmp_path)


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_masks_without_colours(mode):
    file = BytesIO()
    Image.new(mode, (6, 4)).save(file, "PNG")
    with pytest.raises(SourceError, match=r"^a.png is a PNG without 8-bit colours; expected red"):
        decode_ids(file.getvalue(), "a.png")


def test_alpha_is_no_part_of_ids(maps):
    file = BytesIO()
    Image.open(BytesIO(png_of(maps["a"]))).convert("RGBA").save(file, "PNG")
    assert np.array_equal(decode_ids(file.getvalue(), "a.png"), maps["a"])
