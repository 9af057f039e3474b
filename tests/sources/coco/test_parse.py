"""The text of COCO files -> RunTable, against pycocotools on the same file."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO

from mtfast.errors import MtfastError, RLEError, SourceError
from mtfast.rles import polygons
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco import parse
from mtfast.sources.coco.parse import parse_coco
from mtfast.table import Category
from naive import counts_of_mask, text_of_mask

HEIGHT, WIDTH = 30, 40
FILE = "RLE_annotations/train_annotations_300.json"
L_SHAPE = [[5.0, 5.0, 20.0, 5.0, 20.0, 10.0, 10.0, 10.0, 10.0, 25.0, 5.0, 25.0]]
TWO_PARTS = [[1.5, 1, 8, 1.2, 4, 9], [6, 2, 18.7, 3, 12, 12.1, 7]]


def image(id_: int = 1, **changes: Any) -> dict[str, Any]:
    name = f"{id_}.jpg"
    return {"id": id_, "file_name": name, "height": HEIGHT, "width": WIDTH} | changes


def annotation(id_: int = 1, image_id: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": id_,
        "image_id": image_id,
        "category_id": 1,
        "segmentation": L_SHAPE,
        "area": 125,
        "bbox": [5, 5, 15, 20],
        "iscrowd": 0,
    } | changes


def without(record: dict[str, Any], key: str) -> dict[str, Any]:
    return {k: v for k, v in record.items() if k != key}


def document(*annotations: Any, images: Any = None, **more: Any) -> bytes:
    whole = {
        "images": [image()] if images is None else images,
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "flake"}],
    }
    return json.dumps(whole | more).encode()


def rle(pixels: np.ndarray) -> dict[str, Any]:
    return {"size": list(pixels.shape), "counts": text_of_mask(pixels).decode()}


def uncompressed(pixels: np.ndarray) -> dict[str, Any]:
    return {"size": list(pixels.shape), "counts": counts_of_mask(pixels)}


def texts(data: bytes) -> list[bytes]:
    table = parse_coco(data, FILE)
    return [table.text(k) for k in range(table.n_instances)]


@pytest.fixture
def pixels(rng: np.random.Generator) -> np.ndarray:
    return (rng.random((HEIGHT, WIDTH)) < 0.3).astype(np.uint8)


# --- what pycocotools makes of the same file


def test_every_form_is_what_pycocotools_makes_of_it(tmp_path, capsys, rng):
    forms: list[Any] = [L_SHAPE, TWO_PARTS, [[0, 0, 40, 0, 40, 30, 0, 30]]]
    for density in (0, 0.2, 1):
        noise = (rng.random((HEIGHT, WIDTH)) < density).astype(np.uint8)
        forms += [rle(noise), uncompressed(noise)]
    # Polygons that leave the frame, touch themselves, or are dots and lines.
    forms += [(rng.normal(15, 15, (rng.integers(1, 4), 8))).tolist() for _ in range(40)]
    forms += [[[5, 5, 5, 5, 5, 5]], [[2, 2, 9, 9, 2, 2]], [[3, 3, 30, 3, 30, 20], [1, 1, 4, 4]]]
    annotations = [
        annotation(k + 1, 1 + k % 2, segmentation=form, iscrowd=int(k % 5 == 0))
        for k, form in enumerate(forms)
    ]
    path = tmp_path / "coco.json"
    path.write_bytes(document(*annotations, images=[image(1), image(2), image(3)]))

    table = parse_coco(path.read_bytes(), path.name)
    coco = COCO(path)
    capsys.readouterr()
    expected = {a["id"]: coco.annToRLE(a)["counts"] for a in coco.loadAnns(coco.getAnnIds())}
    assert table.n_instances == len(forms)
    for k, id_ in enumerate(table.instance_ids.tolist()):
        text = expected[id_]
        assert table.text(k) == (text.encode() if isinstance(text, str) else text)
    assert np.diff(table.image_offsets).tolist() == [(len(forms) + 1) // 2, len(forms) // 2, 0]


ring = st.lists(st.floats(-60, 100, width=32), min_size=5, max_size=24)


@settings(deadline=None, max_examples=150)
@given(masks=st.lists(st.lists(ring, min_size=1, max_size=3), min_size=1, max_size=4))
def test_polygons_are_the_union_of_pycocotools_rings(masks):
    data = document(*(annotation(k, segmentation=mask) for k, mask in enumerate(masks)))
    expected = [
        reference.merge(reference.frPyObjects(mask, HEIGHT, WIDTH))["counts"] for mask in masks
    ]
    assert texts(data) == expected


def test_many_polygons_are_cut_into_batches(monkeypatch, rng):
    masks = [rng.uniform(0, 40, (rng.integers(1, 3), 12)).tolist() for _ in range(60)]
    data = document(*(annotation(k, segmentation=mask) for k, mask in enumerate(masks)))
    whole = texts(data)
    monkeypatch.setattr(polygons, "_BATCH", 200)
    monkeypatch.setattr(parse, "CHUNK", 23)
    assert texts(data) == whole


def test_a_segmentation_of_four_numbers_is_a_box():
    boxes = [[3, 4, 10, 6.5], [20.2, 1, 5, 5]]
    expected = reference.merge(reference.frPyObjects(np.array(boxes), HEIGHT, WIDTH))["counts"]
    whole = document(annotation(segmentation=boxes))
    assert texts(whole) == [expected]
    # It may have been meant as a polygon of two points.
    ledger = Ledger(FILE, "refuse")
    parse_coco(whole, FILE, ledger)
    (said,) = map(str, ledger.found())
    assert said == "1 x four numbers read as a box (annotation 1 of 1.jpg): kept"


def test_huge_polygons_are_no_work_in_a_small_frame_and_refused_in_a_huge_one():
    zigzag = [[-(2.0**20), 0, 2**20, 9, -(2**20), 2**20] * 40]
    expected = reference.frPyObjects([zigzag[0][:12]], HEIGHT, WIDTH)[0]["counts"]
    assert texts(document(annotation(segmentation=[zigzag[0][:12]]))) == [expected]
    assert len(texts(document(annotation(segmentation=zigzag)))) == 1
    error = failure(document(annotation(7, segmentation=zigzag), images=[image(width=2**22)]))
    assert "annotation 7 (number 0) has polygons whose edges pass too many columns" in str(error)
    assert "expected at most 2**24" in str(error)


# --- columns


def test_columns(pixels):
    data = document(
        annotation(11, 5, segmentation=rle(pixels), area=7.5, bbox=[1, 2, 3, 4], iscrowd=1),
        annotation(12, 4, segmentation=uncompressed(pixels), category_id=300),
        annotation(13, 5, segmentation=rle(1 - pixels), iscrowd=True),
        images=[image(4), image(6), image(5)],
        categories=[{"id": 1, "name": "flake"}, {"id": 300}],
    )
    table = parse_coco(data, FILE)
    assert table.names.tolist() == ["4.jpg", "6.jpg", "5.jpg"]
    assert table.image_ids.tolist() == [4, 6, 5]
    assert table.heights.tolist() == [HEIGHT] * 3
    assert table.widths.tolist() == [WIDTH] * 3
    assert table.image_offsets.tolist() == [0, 1, 1, 3]
    assert table.instance_ids.tolist() == [12, 11, 13]
    assert table.category_ids.tolist() == [300, 1, 1]
    assert table.iscrowd.tolist() == [0, 1, 1]
    assert table.positions.tolist() == [1, 0, 2]
    assert table.stated_area.tolist() == [125, 7.5, 125]
    assert table.stated_bbox.tolist() == [[5, 5, 15, 20], [1, 2, 3, 4], [5, 5, 15, 20]]
    assert table.categories == (Category(1, "flake"), Category(300, "300"))
    same, inverse = text_of_mask(pixels), text_of_mask(1 - pixels)
    assert [table.text(k) for k in range(3)] == [same, same, inverse]


def test_unknown_keys_are_skipped_at_every_level(pixels):
    plain = texts(document(annotation(segmentation=rle(pixels))))
    extra = {"extra": {"deep": [1, {"x": None}]}}
    data = document(
        annotation(segmentation=rle(pixels) | extra) | extra,
        images=[image() | extra],
        categories=[{"id": 1, "name": "flake"} | extra],
        info=extra,
        licenses=[extra],
    )
    assert texts(data) == plain


@pytest.mark.parametrize("absent", [{}, {"area": None, "bbox": None, "iscrowd": None}])
def test_area_bbox_and_iscrowd_may_be_missing(absent):
    bare = {k: v for k, v in annotation().items() if k not in ("area", "bbox", "iscrowd")}
    table = parse_coco(document(bare | absent, annotation(2, bbox=[])), FILE)
    assert table.iscrowd.tolist() == [0, 0]
    assert np.isnan(table.stated_area[0])
    assert np.isnan(table.stated_bbox).all()


@pytest.mark.parametrize("categories", [[], None])
def test_categories_may_be_missing_and_need_not_list_every_id(categories):
    table = parse_coco(document(annotation(category_id=9), categories=categories), FILE)
    assert table.categories == ()
    assert table.category_ids.tolist() == [9]


def test_images_without_instances_and_files_without_images():
    table = parse_coco(document(images=[image(1), image(2)]), FILE)
    assert (table.n_images, table.n_instances) == (2, 0)
    assert table.image_offsets.tolist() == [0, 0, 0]
    assert parse_coco(document(images=[]), FILE).n_images == 0


def test_byte_order_mark_and_names_beyond_ascii():
    data = b"\xef\xbb\xbf" + document(images=[image(file_name="Flocke ü/日本.jpg")])
    assert parse_coco(data, FILE).names.tolist() == ["Flocke ü/日本.jpg"]


def test_backslashes_of_rle_text_are_unescaped():
    # 92 is the backslash: a run of 44 - 32 = 12 and more groups
    found = reference.frPyObjects({"size": [30, 40], "counts": [12 + 32, 1156]}, 30, 40)
    assert b"\\" in found["counts"]
    segmentation = {"size": [30, 40], "counts": found["counts"].decode()}
    assert texts(document(annotation(segmentation=segmentation))) == [found["counts"]]


# --- bad input


def failure(data: bytes) -> MtfastError:
    with pytest.raises(MtfastError) as caught:
        parse_coco(data, FILE)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(FILE)
    assert message.count("; ") >= 2, message
    return caught.value


whole = document(annotation(7), annotation(8, segmentation=TWO_PARTS))


@pytest.mark.parametrize("length", [0, 1, 30, len(whole) // 2, len(whole) - 1])
def test_a_file_cut_off(length):
    error = failure(whole[:length])
    assert isinstance(error, SourceError)
    found = f"cut off: its JSON ends unfinished after {length} bytes" if length else "is empty"
    assert found in str(error)


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"[]", "the file is of type array, not object"),
        (b"{}", "no images in the file"),
        (b'{"images": []}', "no annotations in the file"),
        (b'{"images": [], "annotations": {}}', "annotations is of type object, not array"),
        (b"hello", "not valid JSON: invalid character (byte 0) at 'hello'"),
        (whole + b"x", "not valid JSON: trailing characters"),
        (whole.replace(b"125", b"NaN"), "at 'NaN, \"bbox\": [5, 5, '"),
        # Python 3.14 has room for 100,000 levels.
        (b'{"x":' + b"[" * 1_000_000, "is nested too deep"),
        (b"\x00" * 100, "is a file of zeros"),
        (b"\x1f\x8b\x08", "is a gzip archive"),
        (b"PK\x03\x04", "is a zip archive"),
        (b" \r\n", "is empty"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"<?xml version='1.0'?>", "is XML"),
        (b"version https://git-lfs.github.com/spec/v1", "is a Git LFS pointer"),
    ],
)
def test_not_a_coco_file(data, found):
    error = failure(data)
    assert isinstance(error, SourceError)
    assert found in str(error)
    assert "expected a COCO JSON file" in str(error)


one = np.ones((HEIGHT, WIDTH), np.uint8)
SIZE = [HEIGHT, WIDTH]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"id": "seven"}, "annotation 'seven' (number 1): id is of type str, not int"),
        ({"id": 7.5}, "id is of type float"),
        ({"id": 2**70}, "id is not <= 9223372036854775807"),
        ({"image_id": "1"}, "annotation 7 (number 1): image_id is of type str, not int"),
        ({"image_id": 99}, "annotation 7 (number 1) belongs to image 99"),
        ({"image_id": 0}, "annotation 7 (number 1) belongs to image 0"),
        ({"category_id": None}, "category_id is of type null, not int"),
        ({"area": "big"}, "area is of type str, not float"),
        ({"iscrowd": "no"}, "iscrowd is of type str"),
        ({"bbox": [1, 2, 3]}, "annotation 7 (number 1) has a bbox of 3 numbers"),
        ({"bbox": [1, 2, 3, None]}, "bbox[3] is of type null"),
        ({"segmentation": None}, "annotation 7 (number 1) has no segmentation"),
        ({"segmentation": []}, "annotation 7 (number 1) has an empty segmentation"),
        ({"segmentation": {}}, "annotation 7 (number 1): no size in segmentation"),
        ({"segmentation": "0123"}, "segmentation is of type str, not object | array"),
        ({"segmentation": [1, 2, 3, 4, 5, 6]}, "segmentation[0] is of type int, not array"),
        ({"segmentation": [[]]}, "annotation 7 (number 1) has a polygon of 0 numbers"),
        ({"segmentation": [[1, 2, 3]]}, "has a polygon of 3 numbers"),
        ({"segmentation": [[1, 2, 3, 4, 5, 6], []]}, "has a polygon of 0 numbers"),
        ({"segmentation": [[1, 2, 3, 4], [1, 2, 3, 4, 5, 6]]}, "mixes boxes and polygons"),
        ({"segmentation": [[1, 2, 3, None, 5, 6]]}, "segmentation[0][3] is of type null"),
        (
            {"segmentation": [[1, 2, 3, 2**20 + 1, 5, 6]]},
            "annotation 7 (number 1) has a polygon with the coordinate 1048577.0",
        ),
        ({"segmentation": [[1e308, 2, 1e308, 4]]}, "with the coordinate"),
        ({"segmentation": {"size": SIZE}}, "no counts in segmentation"),
        ({"segmentation": {"counts": "04"}}, "no size in segmentation"),
        (
            {"segmentation": rle(one.T)},
            "annotation 7 (number 1) has an RLE of size [40, 30]; "
            "expected the height and width of its image, [30, 40]",
        ),
        ({"segmentation": {"size": [-1, 40], "counts": "04"}}, "an RLE of size [-1, 40]"),
        ({"segmentation": {"size": [30], "counts": "04"}}, "segmentation.size"),
        ({"segmentation": {"size": ["a", 40], "counts": "04"}}, "segmentation.size[0]"),
    ],
)
def test_bad_annotations(changes, found):
    error = failure(document(annotation(3), annotation(7) | changes))
    assert type(error) is SourceError
    assert found in str(error)


@pytest.mark.parametrize(
    ("counts", "found"),
    [
        ("", "an empty RLE text"),
        ("04", "runs that end before the frame does"),
        ("0P", "ends inside a number"),
        ("PPPPPPPPPPPPPPPP", "a number of more than 60 bits"),
        ("0 4", "a character outside '0'..'o'"),
        ("0ü", "a character outside '0'..'o'"),
        ([1200, 5], "runs that add up to 1205 pixels; expected 30 x 40 = 1200"),
        ([], "runs that add up to 0 pixels"),
        ([2**40] * 9, "runs that add up to 9895604649984 pixels"),
        ([5, -5, 1200], "segmentation.counts[1] is not >= 0"),
        ([2**64], "segmentation.counts[0] is not <= 1099511627776"),
        ([1200.5], "segmentation.counts[0] is of type float, not int"),
        (None, "segmentation.counts is of type null"),
    ],
)
def test_malformed_rle(counts, found):
    bad = annotation(7, segmentation={"size": SIZE, "counts": counts})
    error = failure(document(annotation(3), bad))
    assert isinstance(error, RLEError)
    assert "annotation 7 (number 1)" in str(error)
    assert found in str(error)


@settings(deadline=None, max_examples=200)
@given(counts=st.text(st.characters(min_codepoint=32, max_codepoint=130), max_size=12))
def test_any_text_is_read_or_refused(counts):
    data = document(annotation(7, segmentation={"size": SIZE, "counts": counts}))
    try:
        table = parse_coco(data, FILE)
    except RLEError as error:
        assert "annotation 7 (number 0)" in str(error)  # noqa: PT017
    else:
        assert 0 <= table.area()[0] <= HEIGHT * WIDTH


@pytest.mark.parametrize(
    ("images", "found"),
    [
        ([image(), image(2, id="b")], "image 'b' (number 1): id is of type str, not int"),
        ([without(image(), "id")], "image (number 0): no id in the record"),
        ([without(image(), "height")], "image 1 (number 0): no height in the record"),
        ([without(image(), "file_name")], "no file_name"),
        ([image(file_name=5)], "file_name is of type int, not str"),
        ([image(width=-3)], "image 1 (number 0): width is not >= 1"),
        ([image(width=2**41)], "width is not <= 1099511627776"),
        ([image(width=2**21, height=2**21)], "image '1.jpg' of 2097152 x 2097152 pixels"),
        ([image(height=1.5)], "height is of type float"),
        ([5], "image (number 0): the record is of type int, not object"),
        ([image(), image(2), image(1, file_name="x")], "images number 0 and 2 both have id 1"),
        (
            [image(), image(2, file_name="1.jpg")],
            "images number 0 and 1 both have file_name '1.jpg'",
        ),
    ],
)
def test_bad_images(images, found):
    error = failure(document(images=images))
    assert isinstance(error, SourceError)
    assert found in str(error)


def test_duplicate_annotation_and_category_ids():
    error = failure(document(annotation(3), annotation(7), annotation(7)))
    assert "annotations number 1 and 2 both have id 7" in str(error)
    error = failure(document(categories=[{"id": 1}, {"id": 1}]))
    assert "categories number 0 and 1 both have id 1" in str(error)


def test_bad_annotations_far_into_the_file_are_named():
    annotations = [annotation(k, segmentation=rle(one)) for k in range(10_000)]
    annotations[9_000]["category_id"] = "x"
    assert "annotation 9000 (number 9000)" in str(failure(document(*annotations)))
    annotations[9_000] = annotation(9_000, image_id=2)
    assert "annotation 9000 (number 9000)" in str(failure(document(*annotations)))


def test_bad_utf8_is_named():
    data = document(annotation(7, segmentation=rle(one)), images=[image(file_name="XYZ")])
    assert "image (number 0)" in str(failure(data.replace(b"XYZ", b"\xff\xfe")))
