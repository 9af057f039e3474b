"""Exports of Label Studio, compared with what its own converter makes of regions."""

import base64
import io
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import mtfast
from mtfast.derivation import derive_dataset
from mtfast.errors import SourceError
from mtfast.kernels.files.rle_pack import CUT_OFF, OTHER_SIZE, TOO_LONG, WIDE_WORDS, decode_alpha

HEIGHT, WIDTH = 40, 50


def pack(words, sizes=(3, 4, 8, 16), literal=False) -> list[int]:
    """Encode words as rle-pack does, as a text of bits."""
    bits = f"{len(words):032b}{7:05b}" + "".join(f"{size - 1:04b}" for size in sizes)
    at = 0
    while at < len(words):
        stop = at + 1
        while stop < len(words) and (literal or words[stop] == words[at]):
            stop += 1
        stop = min(stop, at + 2 ** max(sizes))
        length = stop - at - 1
        which = next(k for k, size in enumerate(sizes) if length < 2**size)
        bits += f"{int(not literal)}{which:02b}{length:0{sizes[which]}b}"
        bits += "".join(
            f"{word:08b}" for word in (words[at:stop] if literal else words[at : at + 1])
        )
        at = stop
    bits += "0" * (-len(bits) % 8)
    return [int(bits[k : k + 8], 2) for k in range(0, len(bits), 8)]


def brush(alpha, literal=False):
    rgba = np.zeros((*alpha.shape, 4), np.uint8)
    rgba[..., :3] = 77
    rgba[..., 3] = alpha
    return pack(rgba.ravel().tolist(), literal=literal)


def region(kind, value, label="1L", **keys):
    return {
        "id": None,
        "type": f"{kind}labels",
        "value": {**value, f"{kind}labels": [label]} if label else value,
        "original_width": WIDTH,
        "original_height": HEIGHT,
        "image_rotation": 0,
        **keys,
    }


def annotation(results, **keys):
    return {
        "id": 1,
        "completed_by": 1,
        "was_cancelled": False,
        "ground_truth": False,
        "created_at": "2025-01-01T10:00:00Z",
        "result": results,
        **keys,
    }


def task(annotations, name="a.png", **keys):
    return {"id": 1, "annotations": annotations, "data": {"image": name}, **keys}


def export(folder, tasks, images=("a.png",), file="project.json"):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for name in images:
        Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images" / name)
    (folder / file).write_text(json.dumps(tasks))
    return folder


def table_of(folder, variant="annotations", **options):
    return mtfast.open_source(folder, **options).table("train", variant)


def masks_of(table):
    texts = [table.text(k) for k in range(table.n_instances)]
    return [coco_mask.decode({"size": [HEIGHT, WIDTH], "counts": text}) for text in texts]


def percent(points):
    return [[100 * x / WIDTH, 100 * y / HEIGHT] for x, y in points]


TRIANGLE = [[5.0, 5.0], [30.0, 8.0], [12.0, 33.0]]
POLYGON = region("polygon", {"points": percent(TRIANGLE), "closed": True})


def test_outlines_have_the_pixels_of_pycocotools(tmp_path):
    x, y, w, h, turned = 20.0, 10.0, 15.0, 8.0, math.radians(30)
    cos, sin = math.cos(turned), math.sin(turned)
    corners = [(0, 0), (w, 0), (w, h), (0, h)]
    box = [n for u, v in corners for n in (x + u * cos - v * sin, y + u * sin + v * cos)]
    (left, top), (width, height) = percent([(x, y), (w, h)])
    rectangle = {"x": left, "y": top, "width": width, "height": height, "rotation": 30}
    (left, top), (rx, ry) = percent([(25, 20), (12, 6)])
    ellipse = {"x": left, "y": top, "radiusX": rx, "radiusY": ry, "rotation": 90}
    results = [POLYGON, region("rectangle", rectangle), region("ellipse", ellipse)]
    table = table_of(export(tmp_path / "set", [task([annotation(results)])]))
    expected = coco_mask.frPyObjects([[n for p in TRIANGLE for n in p], box], HEIGHT, WIDTH)
    assert [table.text(k) for k in range(2)] == [rle["counts"] for rle in expected]
    assert table.area()[2] == pytest.approx(math.pi * 12 * 6, rel=0.04)
    # Turned by 90 degrees it is as high as it was wide.
    assert table.bbox()[2].tolist() == pytest.approx([19, 8, 12, 24], abs=1)


@pytest.mark.parametrize("literal", [False, True])
def test_brush_strokes_have_the_pixels_where_alpha_is_not_0(tmp_path, literal):
    rng = np.random.default_rng(1)
    alphas = [
        np.zeros((HEIGHT, WIDTH), np.uint8),
        np.full((HEIGHT, WIDTH), 255, np.uint8),
        rng.integers(0, 2, (HEIGHT, WIDTH)).astype(np.uint8) * 255,
        rng.integers(0, 3, (HEIGHT, WIDTH)).astype(np.uint8),
    ]
    results = [region("brush", {"format": "rle", "rle": brush(a, literal)}) for a in alphas]
    table = table_of(export(tmp_path / "set", [task([annotation(results)])]))
    for mask, alpha in zip(masks_of(table), alphas, strict=True):
        assert (mask == (alpha > 0)).all()


def data_url(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def test_bitmasks_have_the_pixels_where_alpha_is_not_0(tmp_path):
    rng = np.random.default_rng(2)
    alpha = rng.integers(0, 2, (HEIGHT, WIDTH)).astype(np.uint8) * 255
    black = np.zeros((HEIGHT, WIDTH, 4), np.uint8)
    black[..., 3] = alpha
    results = [region("bitmask", {"imageDataURL": data_url(p)}) for p in (black, alpha)]
    masks = masks_of(table_of(export(tmp_path / "set", [task([annotation(results)])])))
    assert all((mask == (alpha > 0)).all() for mask in masks)


def test_json_min_is_read_as_the_whole_export_is(tmp_path):
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[3:9, 4:20] = 200
    results = [POLYGON, region("brush", {"format": "rle", "rle": brush(alpha)}, "2L")]
    whole = table_of(export(tmp_path / "whole", [task([annotation(results)])]))
    sides = {"original_width": WIDTH, "original_height": HEIGHT}
    record = {
        "image": "/data/upload/4/cb0618f6-a.png",
        "id": 1,
        "label": [result["value"] | sides for result in results],
        "choice": "sharp",
        "annotator": 1,
        "annotation_id": 7,
        "created_at": "2025-01-01T10:00:00Z",
        "updated_at": "2025-01-01T10:00:00Z",
        "lead_time": 9.5,
    }
    least = table_of(export(tmp_path / "min", [record]))
    assert least.digest() == whole.digest()
    assert [c.name for c in least.categories] == ["1L", "2L"]


def test_labels_apart_from_their_shapes_are_joined_by_id(tmp_path):
    shape = {**region("polygon", {"points": percent(TRIANGLE)}, ""), "type": "polygon", "id": "r1"}
    label = {**shape, "type": "labels", "value": {**shape["value"], "labels": ["2L"]}}
    table = table_of(export(tmp_path / "set", [task([annotation([shape, label])])]))
    assert [c.name for c in table.categories] == ["2L"]
    assert table.n_instances == 1


def test_the_truth_is_chosen_or_else_the_newest(tmp_path):
    def by(who, hour, n, **keys):
        when = f"2025-01-01T{hour:02}:00:00Z"
        return annotation(n * [POLYGON], completed_by=who, created_at=when, **keys)

    folder = export(
        tmp_path / "set",
        [
            task([by(1, 9, 1), by(2, 10, 2), by(1, 8, 3)], "a.png"),
            task([by(1, 9, 1, ground_truth=True), by(2, 10, 2)], "b.png"),
            task([by(1, 9, 1), by({"id": 2, "email": "x"}, 10, 2, was_cancelled=True)], "c.png"),
            task([by(2, 9, 1, was_cancelled=True)], "d.png"),
            task([], "e.png"),
            task([by(2, 9, 0)], "f.png", predictions=[{"result": [POLYGON]}]),
        ],
        [f"{name}.png" for name in "abcdef"],
    )
    source = mtfast.open_source(folder)
    assert source.variants("train") == ("annotations", "annotator_1", "annotator_2")
    found = {}
    for variant in source.variants("train"):
        table, said, _ = source.read("train", variant)
        counts = np.diff(table.image_offsets).tolist()
        found[variant] = dict(zip(table.names.tolist(), counts, strict=True))
        if variant == "annotations":
            assert {bad.kind: bad.n for bad in said} == {
                "image that nobody has annotated": 2,
                "cancelled annotation": 2,
                "annotation that is not chosen": 3,
                "prediction": 1,
            }
    assert found == {
        "annotations": {"a.png": 2, "b.png": 1, "c.png": 1, "f.png": 0},
        "annotator_1": {"a.png": 1, "b.png": 1, "c.png": 1},
        "annotator_2": {"a.png": 2, "b.png": 2, "f.png": 0},
    }
    store = mtfast.open(mtfast.convert(folder, tmp_path / "a.zarr", variant="annotator_2"))
    assert store["train"].variants == source.variants("train")
    assert store.attributes["source"]["alpha_over"] == 0


UUID = "cb0618f6-1a2b-4c3d-8e4f-5a6b7c8d9e0f.png"


@pytest.mark.parametrize(
    ("given", "there"),
    [
        ("/data/upload/4/cb0618f6-a.png", "a.png"),
        ("/data/upload/4/cb0618f6-cb0618f6-a.png", "cb0618f6-a.png"),
        (f"/data/upload/4/{UUID}", UUID),
        (f"/data/upload/4/0a1b2c3d-{UUID}", UUID),
        ("/data/local-files/?d=wafers/7/a.png", "a.png"),
        ("s3://bucket/wafers/a%20b.png", "a b.png"),
        ("https://host/a.png?sign=x%2F", "a.png"),
        ("/tasks/1/presign/?fileuri=" + base64.b64encode(b"gs://b/x/a.png").decode(), "a.png"),
        ("images\\a.png", "a.png"),
        ("..\\..\\media\\upload\\4\\a #1.png", "a #1.png"),
    ],
)
def test_images_are_found_by_what_tasks_call_them(tmp_path, given, there):
    folder = export(tmp_path / "set", [task([annotation([POLYGON])], given)], [there])
    assert table_of(folder).names.tolist() == [there]


def test_a_prefix_stays_where_nothing_is_known_without_it(tmp_path):
    folder = export(tmp_path / "set", [task([annotation([POLYGON])], UUID)], ["other.png"])
    assert table_of(folder).names.tolist() == [UUID]


def test_images_may_be_in_another_folder(tmp_path):
    path = export(tmp_path / "set", [task([annotation([POLYGON])])], []) / "project.json"
    (tmp_path / "raw").mkdir()
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "raw" / "a.png")
    for place in (path, path.parent):
        source = mtfast.open_source(place, tmp_path / "raw")
        assert source.find_image("train", "a.png") == str(tmp_path / "raw" / "a.png")


LARGE = POLYGON | {"original_width": 2**20, "original_height": 2**20}
CUT = brush(np.full((HEIGHT, WIDTH), 9, np.uint8), literal=True)[:-200]


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (region("polygon", {"points": [[0, 0], [9, 9]]}), "malformed segmentation", "2 points"),
        (region("polygon", {"points": [[0, 0], [9, None]]}), "malformed segmentation", "float"),
        (region("polygon", {"points": [[0, 0], [9, float("nan")]]}), "malformed seg", "float"),
        (region("polygon", {"points": [[0, 0], [1e300, 0], [5, 5]]}), "malformed seg", "coord"),
        (region("brush", {"rle": [1, 2, 3]}), "malformed segmentation", "ends before"),
        (region("brush", {"rle": CUT}), "malformed segmentation", "ends before"),
        (region("brush", {"rle": [300]}), "malformed segmentation", "no list of bytes"),
        (region("brush", {"rle": "abc"}), "malformed segmentation", "no list of bytes"),
        (region("brush", {"rle": pack([0] * 40)}), "malformed segmentation", "another number"),
        (region("bitmask", {"imageDataURL": "data:,x"}), "malformed segmentation", "no base64"),
        (
            region("bitmask", {"imageDataURL": data_url(np.zeros((9, 9), np.uint8))}),
            "malformed segmentation",
            "of 9 x 9 pixels",
        ),
        (
            region("bitmask", {"imageDataURL": data_url(np.zeros((999, 999), np.uint8))}),
            "malformed segmentation",
            "larger than its image",
        ),
        (region("polygon", POLYGON["value"], original_width=9), "malformed seg", "of 40 x 9"),
        (region("polygon", POLYGON["value"], image_rotation=90), "region on a turned", "90 deg"),
        (region("polygon", {"points": percent(TRIANGLE)}, ""), "region without a label", "1 of"),
        ({"type": "polygonlabels"}, "malformed record", "value"),
        (3, "malformed record", "int"),
    ],
)
def test_a_bad_region_is_counted_and_can_be_left_out(tmp_path, bad, kind, words):
    folder = export(tmp_path / "set", [task([annotation([POLYGON, bad, POLYGON])])])
    with pytest.raises(SourceError, match=rf"1 x {kind}.*; expected records as Label St") as raised:
        table_of(folder)
    assert "\n" not in str(raised.value)
    reading = mtfast.open_source(folder, bad="skip").read("train", "annotations")
    assert reading.table.n_instances == 2
    (found,) = reading.found
    assert words in found.examples[0]


@pytest.mark.parametrize(
    ("bad", "kind"),
    [
        ({"id": [], "data": {"image": "b.png"}, "annotations": []}, "malformed record"),
        ({"id": 1, "data": {"image": "b.png"}, "annotations": 3}, "malformed record"),
        ({"id": 1, "data": {"text": "words"}, "annotations": []}, "file name missing"),
        (7, "malformed record"),
        (task([annotation([region("polygon", POLYGON["value"], "\ud800")])]), "malformed record"),
        (
            task(
                [annotation([POLYGON | {"original_width": 2**20, "original_height": 2**20}])],
                "b.png",
            ),
            "image of too many pixels",
        ),
    ],
)
def test_a_bad_task_is_counted_and_can_be_left_out(tmp_path, bad, kind):
    folder = export(tmp_path / "set", [task([annotation([POLYGON])]), bad])
    with pytest.raises(SourceError, match=f"1 x {kind}"):
        table_of(folder)
    assert table_of(folder, bad="skip").names.tolist() == ["a.png"]


def test_what_has_no_area_is_counted(tmp_path):
    results = [
        POLYGON,
        region("keypoint", {"x": 3, "y": 4, "width": 0.5}),
        region("polygon", {"points": percent(TRIANGLE), "closed": False}),
        {"type": "choices", "value": {"choices": ["sharp"]}},
        {"type": "relation", "from_id": "a", "to_id": "b", "value": {}},
    ]
    folder = export(tmp_path / "set", [task([annotation(results)])])
    table, (found,), _ = mtfast.open_source(folder).read("train", "annotations")
    assert (table.n_instances, found.kind, found.n) == (1, "shape without a mask", 2)


def test_files_called_as_splits_are_splits_of_the_same_classes(tmp_path):
    other = region("polygon", POLYGON["value"] | {"polygonlabels": ["0L"]}, "0L")
    folder = export(tmp_path / "set", [task([annotation([POLYGON])])], file="train.json")
    export(folder, [task([annotation([other])], "b.png")], ["b.png"], "val.json")
    source = mtfast.open_source(folder)
    tables = [source.table(split, "annotations") for split in ("train", "val")]
    assert [table.category_ids.tolist() for table in tables] == [[2], [1]]
    (folder / "labels.txt").write_text("1L\n0L\n")
    tables = [source.table(split, "annotations") for split in ("train", "val")]
    assert [table.category_ids.tolist() for table in tables] == [[1], [2]]


def test_a_set_goes_to_coco(tmp_path):
    alpha = np.zeros((HEIGHT, WIDTH), np.uint8)
    alpha[3:9, 4:20] = 200
    results = [POLYGON, region("brush", {"format": "rle", "rle": brush(alpha)}, "2L")]
    tasks = [task([annotation(results), annotation([POLYGON], completed_by=2, created_at="2024")])]
    folder = export(tmp_path / "set", tasks)
    table = table_of(folder)
    derive_dataset(folder, tmp_path / "derived", min_areas=(10,))
    coco = COCO(tmp_path / "derived/RLE_annotations/train_annotations_with_class_full.json")
    assert len(coco.anns) == table.n_instances == 2
    for k, id_ in enumerate(table.instance_ids.tolist()):
        assert coco.annToRLE(coco.anns[id_])["counts"].encode() == table.text(k)


class _CutOffError(Exception):
    pass


def by_the_tool(data: bytes, n_pixels: int):
    """``decode_rle`` of label_studio_sdk, which reads a text of bits; None where it has no end."""
    bits = "".join(f"{byte:08b}" for byte in data)
    at = 0

    def take(n):
        nonlocal at
        at += n
        if at > len(bits):
            raise _CutOffError
        return int(bits[at - n : at] or "0", 2)

    try:
        n_words, word = take(32), take(5) + 1
        sizes = [take(4) + 1 for _ in range(4)]
        if n_words != 4 * n_pixels or word > 8:
            return None
        out = []
        while len(out) < n_words:
            is_run, size = take(1), sizes[take(2)]
            n = take(size) + 1
            if len(out) + n > n_words:
                return None
            out += n * [take(word)] if is_run else [take(word) for _ in range(n)]
    except _CutOffError:
        return None
    return out[3::4]


@settings(deadline=None, max_examples=300)
@given(st.lists(st.integers(0, 255), max_size=30), st.integers(1, 6), st.data())
def test_the_kernel_reads_any_bits_as_the_tool_does(words, n_pixels, data):
    words = (words * 24)[: 4 * n_pixels] + [0] * max(0, 4 * n_pixels - 24 * len(words))
    packed = bytearray(pack(words, data.draw(st.permutations((3, 4, 8, 16)))))
    for place in data.draw(st.lists(st.integers(0, len(packed) - 1), max_size=2)):
        packed[place] ^= data.draw(st.integers(0, 255))
    packed = bytes(packed[: data.draw(st.integers(0, len(packed)))] if words[0] % 2 else packed)
    alpha = np.zeros(n_pixels, np.uint8)
    n = decode_alpha(np.frombuffer(packed, np.uint8), alpha)
    expected = by_the_tool(packed, n_pixels)
    if expected is None:
        assert n in (CUT_OFF, OTHER_SIZE, WIDE_WORDS, TOO_LONG)
    else:
        assert n > 0
        assert alpha.tolist() == expected


@pytest.mark.parametrize(
    ("first", "second", "images"),
    [
        ("/data/local-files/?d=run1/a.png", "/data/local-files/?d=run2/a.png", ("a.png",)),
        ("/data/local-files/?d=run1/a.png", "/data/local-files/?d=run2/a.png", ()),
        ("/data/upload/4/aaaaaaaa-a.png", "/data/upload/4/bbbbbbbb-a.png", ("a.png",)),
    ],
)
def test_two_images_never_share_a_file(tmp_path, first, second, images):
    """One task may be of another image, whose file is elsewhere."""
    tasks = [task([annotation([POLYGON])], first), task([annotation([POLYGON])], second)]
    export(tmp_path, tasks, images)
    for bad in ("refuse", "repair"):
        with pytest.raises(SourceError, match=r"1 x file of several images \(task 1 of"):
            table_of(tmp_path, bad=bad)
    assert table_of(tmp_path, bad="skip").n_instances == 1
    export(tmp_path, [tasks[0], tasks[0], task([], second)], images)
    assert table_of(tmp_path).n_instances == 1


def test_regions_on_several_images_of_a_task_are_refused(tmp_path):
    choice = {"type": "choices", "to_name": "b", "value": {"choices": ["good"]}}
    fine = annotation([POLYGON | {"to_name": "a"}, choice])
    export(tmp_path, [task([fine])])
    assert table_of(tmp_path).n_instances == 1
    for other in ({"to_name": "b"}, {"to_name": "a", "item_index": 1}):
        export(tmp_path, [task([annotation([POLYGON | {"to_name": "a"}, POLYGON | other])])])
        with pytest.raises(SourceError, match="1 x regions on several images"):
            table_of(tmp_path)
        assert table_of(tmp_path, bad="skip").n_images == 0


def test_relations_between_regions_are_passed_over(tmp_path):
    relation = {"type": "relation", "from_id": "r", "to_id": "s", "direction": "right"}
    export(tmp_path, [task([annotation([POLYGON, relation])])])
    assert table_of(tmp_path).n_instances == 1
