"""Bad records of COCO files: what is refused, skipped and repaired, and how that is counted."""

from __future__ import annotations

import copy
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pycocotools.mask as reference
import pytest
from PIL import Image

import mtfast
from mtfast.errors import MtfastError, RLEError, SourceError
from mtfast.sources.bad_records import BadRecords
from mtfast.sources.coco.foreign import READ_ELSEWHERE
from mtfast.sources.coco.read import read_coco
from mtfast.table import Category, RunTable

HEIGHT, WIDTH = 40, 60
TRIANGLE = [[5, 5, 30, 5, 5, 25]]
BOX = [10, 5, 20, 10]
RECTANGLE = [[10, 5, 30, 5, 30, 15, 10, 15]]

Content = dict[str, Any]


def rle(rings: list[list[float]]) -> dict[str, Any]:
    made = reference.merge(reference.frPyObjects(rings, HEIGHT, WIDTH))
    return {"size": [HEIGHT, WIDTH], "counts": made["counts"].decode()}


def content() -> Content:
    """Two images with two annotations each, all of them sound."""
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH} for i in (1, 2)
        ],
        "annotations": [
            {
                "id": k,
                "image_id": 1 + k % 2,
                "category_id": 1,
                "segmentation": rle(TRIANGLE),
                "area": 250,
                "bbox": BOX,
                "iscrowd": 0,
            }
            for k in range(1, 5)
        ],
        "categories": [{"id": 1, "name": "flake"}, {"id": 2, "name": "thick"}],
    }


def annotation(**changes: Any) -> Callable[[Content], None]:
    """Change annotation 3, which is number 2, of image 2."""
    return lambda whole: whole["annotations"][2].update(changes)


def image(**changes: Any) -> Callable[[Content], None]:
    return lambda whole: whole["images"][1].update(changes)


def drop(record: str, number: int, key: str) -> Callable[[Content], None]:
    return lambda whole: whole[record][number].pop(key)


def add(record: str, **values: Any) -> Callable[[Content], None]:
    return lambda whole: whole[record].append(whole[record][0] | values)


def write(folder: Path, change: Callable[[Content], Any]) -> Path:
    whole = content()
    change(whole)
    (folder / "images").mkdir(exist_ok=True)
    for i in (1, 2):
        Image.new("RGB", (WIDTH, HEIGHT), (i, 0, 0)).save(folder / "images" / f"{i}.png")
    path = folder / "coco.json"
    path.write_text(json.dumps(whole))
    return path


def read(path: Path, bad: str, **options: Any) -> tuple[RunTable, tuple[BadRecords, ...]]:
    source = mtfast.open_source(path, bad=bad, **options)
    (split,) = source.splits
    table, found, _ = source.read(split, "annotations")
    assert source.findings(split) == found
    return table, found


def text_of(rings: list[list[float]]) -> bytes:
    return rle(rings)["counts"].encode()


# What is wrong, its kind, and how many instances skipping and repairing leave; None: refused.
CASES = [
    ("empty segmentation", annotation(segmentation=[]), "no segmentation", 3, 4),
    ("empty ring", annotation(segmentation=[[]]), "no segmentation", 3, 4),
    ("no segmentation", drop("annotations", 2, "segmentation"), "no segmentation", 3, 4),
    ("null segmentation", annotation(segmentation=None), "no segmentation", 3, 4),
    ("no box", annotation(segmentation=[], bbox=None), "no segmentation and no box", 3, None),
    (
        "flat box",
        annotation(segmentation=[], bbox=[1, 1, 0, 5]),
        "no segmentation and no box",
        3,
        None,
    ),
    ("flat", annotation(segmentation=TRIANGLE[0]), "flat polygon", 3, 4),
    ("nested", annotation(segmentation=[[TRIANGLE]]), "polygon nested too deep", 3, 4),
    ("pairs", annotation(segmentation=[[5, 5], [30, 5], [5, 25]]), "polygon nested too deep", 3, 4),
    ("line", annotation(segmentation=[[1, 1, 9, 9], *TRIANGLE]), "polygon of two points", 3, 4),
    ("point", annotation(segmentation=[*TRIANGLE, [7]]), "polygon of two points", 3, 4),
    ("RLE in a list", annotation(segmentation=[rle(TRIANGLE)]), "RLE in a list", 3, 4),
    (
        "turned RLE",
        annotation(segmentation=rle(TRIANGLE) | {"size": [WIDTH, HEIGHT]}),
        "RLE of another size",
        3,
        None,
    ),
    (
        "short RLE",
        annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": [0, 5, 3]}),
        "RLE that does not fill its frame",
        3,
        None,
    ),
    (
        "short text",
        annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": "04"}),
        "RLE that does not fill its frame",
        3,
        None,
    ),
    ("text", annotation(segmentation="04"), "malformed segmentation", 3, None),
    (
        "null inside",
        annotation(segmentation=[[1, 2, None, 3, 4, 5]]),
        "malformed segmentation",
        3,
        None,
    ),
    (
        "far away",
        annotation(segmentation=[[1, 2, 2**30, 3, 4, 5]]),
        "malformed segmentation",
        3,
        None,
    ),
    ("one id twice", annotation(id=2), "annotation id twice", 3, 4),
    ("no id", drop("annotations", 2, "id"), "id missing", 4, 4),
    ("id of text", annotation(id="c"), "id of text", 4, 4),
    ("id 3.0", annotation(id=3.0), "whole number with a decimal point", 4, 4),
    ("size 40.0", image(height=40.0), "whole number with a decimal point", 4, 4),
    ("id 2**63", annotation(id=2**63), "id beyond 64 bits", 4, 4),
    ("id 2**70", annotation(id=2**70), "id beyond 64 bits", 4, 4),
    ("id 3.5", annotation(id=3.5), "malformed record", 3, None),
    ("area NaN", annotation(area=float("nan")), "area or bbox not a number", 4, 4),
    ("area of text", annotation(area="big"), "area or bbox not a number", 4, 4),
    ("box with null", annotation(bbox=[1, None, 2, 2]), "area or bbox not a number", 4, 4),
    ("box of three", annotation(bbox=[1, 2, 3]), "area or bbox not a number", 4, 4),
    ("no size", drop("images", 1, "height"), "image size missing", 4, 4),
    ("size 0", image(width=0), "image size missing", 4, 4),
    ("size null", image(width=None), "image size missing", 4, 4),
    ("size missing, no file", image(width=0, file_name="9.png"), "image size missing", 2, None),
    ("no name", drop("images", 1, "file_name"), "file name missing", 2, None),
    ("one name twice", image(file_name="1.png"), "file name twice", 2, 4),
    ("image id of text", image(id="2"), "id of text", 4, 4),
    ("orphan", annotation(image_id=99), "annotation without image", 3, 3),
    ("no image", drop("annotations", 2, "image_id"), "annotation without image", 3, 3),
    ("no class", drop("annotations", 2, "category_id"), "annotation without category", 3, None),
    ("class not listed", annotation(category_id=7), "category not listed", 3, 4),
    ("class 0", annotation(category_id=0), "category id 0", 3, None),
    ("crowd of text", annotation(iscrowd="no"), "malformed record", 3, None),
    ("no record", lambda whole: whole["annotations"].append(5), "malformed record", 4, None),
    ("class twice", add("categories"), "category id twice", 4, 4),
    ("class of two names", add("categories", name="x"), "category id twice", 0, None),
    ("image twice", add("images"), "image id twice", 4, 4),
    ("id of two images", add("images", file_name="9.png"), "image id twice", 2, None),
]


@pytest.mark.parametrize(
    ("change", "kind", "skipped", "repaired"), [c[1:] for c in CASES], ids=[c[0] for c in CASES]
)
def test_each_kind(tmp_path, change, kind, skipped, repaired):
    path = write(tmp_path, change)
    with pytest.raises(MtfastError) as caught:
        read(path, "refuse")
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("coco.json: ")
    assert f" x {kind} (" in message
    assert "bad='skip'" in message
    assert "bad='repair'" in message
    for bad, expected in (("skip", skipped), ("repair", repaired)):
        if expected is None:
            with pytest.raises(MtfastError, match=rf" that cannot be repaired: .* x {kind} \("):
                read(path, bad)
            continue
        table, found = read(path, bad)
        assert table.n_instances == expected
        table.check()
        assert found[0].kind == kind
        is_lost = expected < 4 and bad == "skip"
        assert found[0].done in (("skipped",) if is_lost else ("repaired", "dropped", "skipped"))
    # The same words, whatever else there is.
    checks = {f.check: f for f in mtfast.diagnose(path).findings}
    assert checks[kind].severity == "error"


def test_a_rectangle_is_drawn_from_the_box(tmp_path):
    table, _ = read(write(tmp_path, annotation(segmentation=[])), "repair")
    expected = reference.frPyObjects([RECTANGLE[0]], HEIGHT, WIDTH)[0]["counts"]
    row = table.instance_ids.tolist().index(3)
    assert table.text(row) == expected
    assert table.area()[row] == 200


@pytest.mark.parametrize(
    "segmentation",
    [
        TRIANGLE[0],
        [TRIANGLE],
        [[TRIANGLE]],
        [[5, 5], [30, 5], [5, 25]],
        [[[5, 5], [30, 5], [5, 25]]],
        [[1, 1, 9, 9], *TRIANGLE],
        [rle(TRIANGLE)],
        {"size": [40.0, 60.0], "counts": rle(TRIANGLE)["counts"]},
    ],
)
def test_repaired_masks_are_the_ones_that_were_meant(tmp_path, segmentation):
    table, found = read(write(tmp_path, annotation(segmentation=segmentation)), "repair")
    row = table.instance_ids.tolist().index(3)
    assert table.text(row) == text_of(TRIANGLE)
    assert [bad.n for bad in found] == [1]


def test_a_sound_file_is_not_touched(tmp_path):
    for bad in ("refuse", "skip", "repair"):
        table, found = read(write(tmp_path, lambda whole: None), bad)
        assert found == ()
        assert table.instance_ids.tolist() == [2, 4, 1, 3]


def test_all_kinds_at_once_are_counted_in_one_line(tmp_path):
    def spoil(whole: Content) -> None:
        for k in range(20, 25):
            whole["annotations"].append(whole["annotations"][0] | {"id": k, "segmentation": []})
        for k in range(30, 33):
            whole["annotations"].append(whole["annotations"][0] | {"id": k, "image_id": 9})
        whole["annotations"].append(whole["annotations"][0] | {"id": 40, "category_id": 0})

    path = write(tmp_path, spoil)
    with pytest.raises(SourceError) as caught:
        read(path, "refuse")
    assert str(caught.value) == (
        "coco.json: 9 bad records: 3 x annotation without image (annotation 30 (number 9) is of "
        "image 9, which is not listed, …), 5 x no segmentation (annotation 20 (number 4), …), "
        "1 x category id 0 (annotation 40 of 2.png of class 0); expected records as COCO describes "
        "them; correct them, map class 0 to a free number (convert with mapping={0: 3}), or go on: "
        "bad='skip' leaves them out; bad='repair' leaves them out, draws their boxes as rectangles "
        "and refuses category id 0"
    )
    with pytest.raises(SourceError, match=r": 1 bad record that cannot be repaired: 1 x category"):
        read(path, "repair")
    table, found = read(path, "skip")
    assert table.n_instances == 4
    assert [(bad.kind, bad.n, bad.done) for bad in found] == [
        ("annotation without image", 3, "skipped"),
        ("no segmentation", 5, "skipped"),
        ("category id 0", 1, "skipped"),
    ]
    assert found[0].places == (30, 31, 32)
    assert len(found[1].examples) == 3
    table, found = read(path, "repair", mapping={0: 3})
    assert table.n_instances == 10
    assert [(bad.kind, bad.done) for bad in found] == [
        ("annotation without image", "dropped"),
        ("no segmentation", "repaired"),
        ("category not listed", "repaired"),
        ("category mapped", "mapped"),
    ]


def test_malformed_rle_alone_is_an_rle_error(tmp_path):
    path = write(tmp_path, annotation(segmentation={"size": [HEIGHT, WIDTH], "counts": "04"}))
    with pytest.raises(RLEError, match=r"\(annotation 3 \(number 2\): runs that end before the fr"):
        read(path, "refuse")


def test_ids_of_text_are_numbered_in_file_order(tmp_path):
    def rename(whole: Content) -> None:
        for record in whole["images"]:
            record["id"] = f"img-{9 - record['id']}"
        for record in whole["annotations"]:
            record["image_id"] = f"img-{9 - record['image_id']}"
            record["id"] = f"a{9 - record['id']}"
            record["category_id"] = "flake-id"
        whole["categories"] = [{"id": "flake-id", "name": "flake"}]

    table, found = read(write(tmp_path, rename), "repair")
    assert table.names.tolist() == ["1.png", "2.png"]
    assert table.image_ids.tolist() == [1, 2]
    # In the file the annotations are of image 2, 1, 2, 1.
    assert table.instance_ids.tolist() == [2, 4, 1, 3]
    assert table.categories == (Category(1, "flake"),)
    (bad,) = found
    assert (bad.kind, bad.n) == ("id of text", 7)
    assert dict(bad.mapping) == {
        "img-8": 1,
        "img-7": 2,
        "flake-id": 1,
        "a8": 1,
        "a7": 2,
        "a6": 3,
        "a5": 4,
    }


def test_numbers_that_are_taken_are_not_given_again(tmp_path):
    def clash(whole: Content) -> None:
        for number, id_ in enumerate([1, "x", 1, None]):
            whole["annotations"][number]["id"] = id_

    table, _ = read(write(tmp_path, clash), "repair")
    assert sorted(table.instance_ids.tolist()) == [1, 2, 3, 4]


def test_references_written_as_text_find_their_records(tmp_path):
    def quote(whole: Content) -> None:
        for record in whole["annotations"]:
            record["image_id"] = str(record["image_id"])

    table, found = read(write(tmp_path, quote), "repair")
    assert np.diff(table.image_offsets).tolist() == [2, 2]
    assert [(bad.kind, bad.n) for bad in found] == [("id of text", 4)]


def test_missing_sizes_are_those_of_the_files(tmp_path):
    def forget(whole: Content) -> None:
        for record in whole["images"]:
            del record["height"], record["width"]

    table, _ = read(write(tmp_path, forget), "repair")
    assert set(zip(table.heights.tolist(), table.widths.tolist(), strict=True)) == {(40, 60)}


def test_captions_among_instances_are_left_out(tmp_path):
    def describe(whole: Content) -> None:
        whole["annotations"].append({"id": 9, "image_id": 1, "caption": "a flake"})

    path = write(tmp_path, describe)
    for bad, done in (("skip", "skipped"), ("repair", "dropped")):
        table, found = read(path, bad)
        assert table.n_instances == 4
        assert [(b.kind, b.done) for b in found] == [("caption among instances", done)]


def test_two_images_of_one_id_take_their_annotations_with_them(tmp_path):
    """Nobody can say to which of them the annotations belong."""
    path = write(tmp_path, add("images", file_name="9.png"))
    table, found = read(path, "skip")
    assert table.names.tolist() == ["2.png"]
    assert table.n_instances == 2
    assert [(b.kind, b.n) for b in found] == [
        ("image id twice", 2),
        ("annotation without image", 2),
    ]


def test_one_file_of_two_sizes_is_not_joined(tmp_path):
    path = write(tmp_path, image(file_name="1.png", height=41))
    with pytest.raises(SourceError, match=r" that cannot be repaired: 1 x file name twice"):
        read(path, "repair")


def test_annotations_by_their_ids(tmp_path):
    """As LIVECell has them."""

    def key(whole: Content) -> None:
        whole["annotations"] = {
            str(a["id"]): {k: v for k, v in a.items() if k != "id"} for a in whole["annotations"]
        }

    table, found = read(write(tmp_path, key), "refuse")
    assert found == ()
    assert table.instance_ids.tolist() == [2, 4, 1, 3]
    assert table.positions.tolist() == [1, 3, 0, 2]


def test_images_without_file_names(tmp_path):
    """As LVIS has them."""

    def address(whole: Content) -> None:
        for record in whole["images"]:
            record["coco_url"] = f"http://host/{record.pop('file_name')}"

    table, _ = read(write(tmp_path, address), "refuse")
    assert table.names.tolist() == ["1.png", "2.png"]


def test_class_0_that_is_not_used_is_dropped(tmp_path):
    table, found = read(write(tmp_path, add("categories", id=0, name="root")), "refuse")
    assert table.categories == (Category(1, "flake"), Category(2, "thick"))
    assert [(b.kind, b.done) for b in found] == [("unused category 0", "dropped")]


def test_classes_are_mapped(tmp_path):
    def number_from_0(whole: Content) -> None:
        whole["categories"] = [{"id": 0, "name": "mono"}, {"id": 1, "name": "bi"}]
        whole["annotations"][0]["category_id"] = 0

    path = write(tmp_path, number_from_0)
    table, found = read(path, "refuse", mapping={0: 1, 1: 2, 8: 9})
    assert table.categories == (Category(1, "mono"), Category(2, "bi"))
    assert dict(zip(table.instance_ids.tolist(), table.category_ids.tolist(), strict=True)) == {
        1: 1,
        2: 2,
        3: 2,
        4: 2,
    }
    assert [(b.kind, b.done, b.mapping) for b in found] == [
        ("category mapped", "mapped", (("0", 1), ("1", 2)))
    ]
    # Two classes become one, which keeps the name of the one that was there.
    table, _ = read(path, "refuse", mapping={0: 1})
    assert table.categories == (Category(1, "bi"),)
    assert set(table.category_ids.tolist()) == {1}
    with pytest.raises(SourceError, match=r"mapping=\{0: 2\}\), or go on: bad='skip'"):
        read(path, "refuse")
    with pytest.raises(MtfastError, match="a class is 0"):
        mtfast.open_source(path, mapping={1: 0})
    with pytest.raises(MtfastError, match="bad is 'ignore'; expected one of"):
        mtfast.open_source(path, bad="ignore")


def test_crowds_are_counted(tmp_path):
    table, found = read(write(tmp_path, annotation(iscrowd=1)), "refuse")
    assert table.iscrowd.sum() == 1
    assert [(b.kind, b.n, b.done) for b in found] == [("iscrowd", 1, "kept")]


def test_records_are_those_that_are_left(tmp_path):
    path = write(tmp_path, annotation(segmentation=TRIANGLE[0], note="kept"))
    source = mtfast.open_source(path, bad="skip")
    records = source.records("train", "annotations")
    assert records.annotation_keys.ids.tolist() == [1, 2, 4]
    source = mtfast.open_source(path, bad="repair")
    table, records = source.table("train", "annotations"), source.records("train", "annotations")
    for k, position in enumerate(table.positions.tolist()):
        assert json.loads(bytes(records.annotations[position]))["id"] == table.instance_ids[k]
    assert json.loads(bytes(records.annotations[2]))["note"] == "kept"


def test_nothing_left_is_an_error(tmp_path):
    def forget(whole: Content) -> None:
        for record in whole["images"]:
            del record["file_name"]

    with pytest.raises(
        SourceError, match=r"no image is left of those that it lists: 2 x file name"
    ):
        read(write(tmp_path, forget), "skip")


def test_what_is_wrong_in_many_blocks_is_found_once(tmp_path, monkeypatch):
    from mtfast.sources.coco.mending import annotations

    monkeypatch.setattr(annotations, "_BLOCK", 3)

    def spoil(whole: Content) -> None:
        whole["annotations"] = [whole["annotations"][0] | {"id": k} for k in range(1, 30)]
        for k in (0, 7, 8, 28):
            whole["annotations"][k]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": "04"}

    table, (bad,) = read(write(tmp_path, spoil), "skip")
    assert bad.places == (1, 8, 9, 29)
    assert table.n_instances == 25


@pytest.mark.parametrize(
    ("whole", "name"),
    [
        ({"shapes": [], "imagePath": "a.jpg"}, "a labelme file"),
        ({"_via_img_metadata": {}, "_via_settings": {}}, r"a VGG Image Annotator \(VIA\) project"),
        ({"a.jpg1": {"filename": "a.jpg", "regions": []}}, r"a VGG Image Annotator \(VIA\) proj"),
        ([{"id": 1, "data": {}, "annotations": [], "predictions": []}], "a Label Studio export"),
        ([{"image": "a.jpg", "annotations": []}], "a createML file"),
        ({"images": [], "categories": []}, "a COCO file of images without annotations"),
        ({"images": [], "annotations": [{"id": 1, "caption": "x"}]}, "a COCO file of captions"),
    ],
)
def test_other_json_is_called_by_its_name(tmp_path, whole, name):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(whole))
    said = rf"^a.json is {name}.*; expected a (COCO )?JSON file"
    for bad in ("refuse", "skip", "repair"):
        if name not in READ_ELSEWHERE:
            with pytest.raises(SourceError, match=said):
                mtfast.open_source(path, bad=bad)
        # Read without a look at its first bytes, as a file in a folder is.
        with pytest.raises(SourceError, match=said):
            read_coco(io.BytesIO(path.read_bytes()), "a.json", bad)


JUNK: list[Any] = [
    *(None, True, 0, -1, 2, 2**63, 10**400, 1.5, 1e300, float("nan"), "", "1", "\ud800"),
    *([], [[]], [1, 2, 3, 4], [[1, 2], [3, 4], [5, 6]], [1, [2]], [["x"]], [[[TRIANGLE]]]),
    *({}, {"size": None, "counts": "0"}, {"size": [40, 60], "counts": ["a"]}, [{}]),
]


def places_in(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The keys that lead to each value inside a document."""
    keys: Any = value.keys() if isinstance(value, dict) else ()
    keys = range(len(value)) if isinstance(value, list) else keys
    return [at, *(place for key in keys for place in places_in(value[key], (*at, key)))]


@pytest.mark.parametrize("seed", range(150))
def test_any_document_is_read_or_refused_in_one_line(seed):
    rng = np.random.default_rng(seed)
    whole = content()
    for _ in range(rng.integers(1, 5)):
        places = places_in(whole)[1:]
        *outer, key = places[rng.integers(len(places))]
        inner: Any = whole
        for step in outer:
            inner = inner[step]
        inner[key] = copy.deepcopy(JUNK[rng.integers(len(JUNK))])
    text = json.dumps(whole).encode()
    for policy in ("refuse", "skip", "repair", "examine"):
        try:
            table, found, _ = read_coco(io.BytesIO(text), "a.json", policy, None, lambda _: (4, 6))
        except MtfastError as error:
            assert "\n" not in str(error)  # noqa: PT017
            assert str(error).count("; ") >= 2  # noqa: PT017
        else:
            table.check()
            assert all(bad.n and bad.examples for bad in found)
            assert not any(bad.done == "refused" for bad in found)
