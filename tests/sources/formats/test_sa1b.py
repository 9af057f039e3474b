"""SA-1B: a JSON file beside each image."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import pytest

import mtfast
from mtfast.errors import MtfastError, SourceError
from mtfast.sources.bad_records import Ledger
from mtfast.sources.formats.as_coco import CocoText
from other_tools import (
    box,
    expect_same_after_derive,
    kinds_of,
    masks_of,
    put,
    put_image,
    rle_of,
    table_of,
)


def content(image: int, *tops: int) -> dict[str, object]:
    masks = [
        {
            "bbox": [10, top, 20, 10],
            "area": 200,
            "segmentation": rle_of(box(top, 10, 10, 20)),
            "predicted_iou": 0.9,
            "point_coords": [[1.0, 2.0]],
            "crop_box": [0, 0, 60, 40],
            "id": 100 * image + k,
            "stability_score": 0.95,
        }
        for k, top in enumerate(tops)
    ]
    name = f"sa_{image}.jpg"
    sizes = {"image_id": image, "width": 60, "height": 40, "file_name": name}
    return {"image": sizes, "annotations": masks}


def make(folder: Path, *images: tuple[int, ...]) -> Path:
    for image, *tops in images:
        put_image(folder / f"sa_{image}.jpg")
        put(folder / f"sa_{image}.json", json.dumps(content(image, *tops)))
    return folder


def test_a_folder(tmp_path):
    folder = make(tmp_path / "set", (7, 0, 5), (12, 3), (30,))
    source = mtfast.open_source(folder)
    assert (source.kind, source.splits, source.name) == ("sa1b", ("train",), "set")
    table = source.table("train", "annotations")
    assert masks_of(table) == {
        f"sa_{image}.jpg": [(1, rle_of(box(top, 10, 10, 20))["counts"].encode()) for top in tops]
        for image, tops in ((12, [3]), (30, []), (7, [0, 5]))
    }
    assert table.instance_ids.tolist() == [1200, 700, 701]
    assert table.image_ids.tolist() == [12, 30, 7]
    assert table.categories == ((1, "mask"),)
    assert table.stated_area.tolist() == [200] * 3
    assert source.image_names("train") == ("sa_12.jpg", "sa_30.jpg", "sa_7.jpg")
    assert source.read_image("train", "sa_7.jpg")


def test_folders_are_splits(tmp_path):
    make(tmp_path / "sa_000000", (1, 5))
    make(tmp_path / "sa_000001", (2, 5), (3, 6))
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("sa_000000", "sa_000001")
    assert source.table("sa_000001", "annotations").n_images == 2
    assert source.read_image("sa_000001", "sa_3.jpg")


def test_json_and_images_in_folders_of_their_own(tmp_path):
    put_image(tmp_path / "images/sa_1.jpg")
    put(tmp_path / "annotations/sa_1.json", json.dumps(content(1, 5)))
    source = mtfast.open_source(tmp_path)
    assert source.kind == "sa1b"
    assert source.read_image("train", "sa_1.jpg")


def test_one_file(tmp_path):
    folder = make(tmp_path, (1, 5), (2, 6))
    source = mtfast.open_source(folder / "sa_2.json")
    assert source.path == folder / "sa_2.json"
    assert masks_of(source.table("train", "annotations")).keys() == {"sa_2.jpg"}


def test_what_columns_leave_out_is_written_again(tmp_path):
    source = mtfast.open_source(make(tmp_path / "set", (1, 5, 9)))
    derived = expect_same_after_derive(source, tmp_path / "derived")
    assert "annotations_full" in derived.variants("train")
    written = json.loads(derived.records("train", "annotations_full").text)["annotations"]
    assert [record["predicted_iou"] for record in written] == [0.9, 0.9]
    assert written[0]["crop_box"] == [0, 0, 60, 40]


BAD_FILES = {
    "": "Input data was truncated",
    "[]": "Expected `object`, got `array`",
    '{"image": {"image_id": 1}, "annotations": []}': "Object missing required field `width`",
    '{"image": {"image_id": NaN}, "annotations": []}': "JSON is malformed",
    '{"x": ' + "[" * 100_000: "recursion",
}


@pytest.mark.parametrize("text", BAD_FILES)
def test_bad_files(tmp_path, text):
    folder = make(tmp_path, (1, 5), (2, 6))
    put(folder / "sa_2.json", text)
    with pytest.raises(SourceError, match=r"1 bad record: 1 x malformed record \(sa_2.json: "):
        table_of(folder)
    ((kind, (done, n, (words,))),) = kinds_of(folder, bad="skip").items()
    assert (kind, done, n) == ("malformed record", "skipped", 1)
    assert BAD_FILES[text] in words
    assert table_of(folder, bad="skip").names.tolist() == ["sa_1.jpg"]


def test_a_first_file_that_is_cut_off(tmp_path):
    make(tmp_path, (1, 5), (2, 6))
    put(tmp_path / "sa_1.json", "")
    assert mtfast.open_source(tmp_path).kind == "sa1b"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        ({"segmentation": {"size": [60, 40], "counts": "1"}}, "RLE of another size"),
        ({"segmentation": {"size": [40, 60], "counts": "11"}}, "RLE that does not fill its frame"),
        ({"segmentation": None}, "no segmentation"),
        ({"segmentation": 3}, "malformed segmentation"),
        ({"id": 100}, "annotation id twice"),
    ],
)
def test_bad_records(tmp_path, change, kind):
    folder = make(tmp_path, (1, 5, 9))
    whole = content(1, 5, 9)
    whole["annotations"][1] |= change
    put(folder / "sa_1.json", json.dumps(whole))
    assert kinds_of(folder, bad="skip").keys() == {kind}
    with pytest.raises(MtfastError, match=f"1 bad record: 1 x {kind}"):
        table_of(folder)


@pytest.mark.parametrize("record", [3, {}, [], None, "x"])
def test_records_that_are_none(tmp_path, record):
    folder = make(tmp_path, (1, 5))
    whole = content(1, 5)
    whole["annotations"].append(record)
    put(folder / "sa_1.json", json.dumps(whole))
    assert sum(n for _, n, _ in kinds_of(folder, bad="skip").values()) == 1
    assert table_of(folder, bad="skip").n_instances == 1


def test_files_are_not_all_in_memory(tmp_path, monkeypatch):
    """Beyond a few megabytes, the text of a set is on the disk."""
    monkeypatch.setattr("mtfast.sources.formats.as_coco._IN_MEMORY", 1 << 20)
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    for image in range(1, 41):
        whole = content(image, 5)
        whole["annotations"][0]["note"] = "x" * (1 << 20)
        put(tmp_path / f"sa_{image}.json", json.dumps(whole))
    source = mtfast.open_source(tmp_path)
    tracemalloc.start()
    try:
        with CocoText() as text:
            source._write("train", "set", text, Ledger("set", "refuse"))
            peak = tracemalloc.get_traced_memory()[1]
            assert text.stream().seek(0, 2) > 40 << 20
    finally:
        tracemalloc.stop()
    assert peak < 35 << 20
