"""Few bad records among many: the same table and findings as if the whole file were mended."""

from __future__ import annotations

import io
import json
from typing import Any

import numpy as np
import pytest

from mtfast.errors import MtfastError
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco import read, sift
from mtfast.sources.coco.mending import annotations
from mtfast.sources.coco.read import read_coco

HEIGHT, WIDTH = 6, 10
TRIANGLE = [1, 1, 8, 1, 4, 5]
POLICIES = ("refuse", "skip", "repair", "examine")

Content = dict[str, Any]


@pytest.fixture(autouse=True)
def short_pieces(monkeypatch):
    """Cut files into pieces of few records, which are not those of the blocks of mending."""
    monkeypatch.setattr(sift, "CHUNK", 5)
    monkeypatch.setattr(annotations, "_BLOCK", 7)


def content(n: int = 40) -> Content:
    """Sound images and annotations: polygons, boxes and RLE of both forms."""
    masks: list[Any] = [
        [TRIANGLE],
        [TRIANGLE, TRIANGLE],
        [[1, 1, 3, 3]],
        {"size": [HEIGHT, WIDTH], "counts": "d024000f0"},
        {"size": [HEIGHT, WIDTH], "counts": [10, 5, 45]},
    ]
    return {
        "images": [
            {"id": i, "file_name": f"{i}.png", "height": HEIGHT, "width": WIDTH}
            for i in range(1, 6)
        ],
        "annotations": [
            {
                "id": 100 + k,
                "image_id": 1 + k * 3 % 5,
                "category_id": 1 + k % 2,
                "segmentation": masks[k % len(masks)],
                "area": 9.5,
                "bbox": [1, 1, 7, 4],
                "iscrowd": k % 2,
            }
            for k in range(n)
        ],
        "categories": [{"id": 1, "name": "flake"}, {"id": 2, "name": "thick"}],
    }


JUNK: list[Any] = [
    *(None, True, 0, -1, 2, 101, 101.0, "101", 2**63, 10**400, 1e300, float("nan"), "", "1"),
    *([], [[]], TRIANGLE, [1, 2, 3, 4], [[1, 2], [3, 4], [5, 6]], [[TRIANGLE]], [TRIANGLE, [1, 2]]),
    *([TRIANGLE, [1, 2, 3, 4]], [[2**70, *TRIANGLE[1:]]], [[1, 1, 3, 3], [2, 2, 3, 3]]),
    *({}, {"size": [WIDTH, HEIGHT], "counts": "0"}, {"size": [HEIGHT, WIDTH], "counts": "04"}),
    *({"size": [HEIGHT, WIDTH], "counts": [7]}, {"size": [6.0, 10], "counts": "d024000f0"}, [{}]),
]


def outcome(text: bytes, policy: Any) -> Any:
    """Return what reading gives: all of it, or the error."""
    try:
        table, found, _ = read_coco(io.BytesIO(text), "a.json", policy, None, lambda _: (6, 10))
    except MtfastError as error:
        return type(error), str(error)
    columns = [getattr(table, name) for name in table.__dataclass_fields__]
    # As text, in which NaN is NaN.
    return found, repr([c.tolist() if isinstance(c, np.ndarray) else c for c in columns])


def as_a_whole(text: bytes, policy: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    with monkeypatch.context() as patched:
        patched.setattr(read, "sift", lambda *_: None)
        return outcome(text, policy)


def is_sifted(text: bytes, policy: Any = "skip") -> bool:
    ledger = Ledger("a.json", policy)
    return sift.sift(io.BytesIO(text), ledger, lambda _: None) is not None


def check(whole: Content, monkeypatch: pytest.MonkeyPatch) -> bytes:
    text = json.dumps(whole).encode()
    for policy in POLICIES:
        assert outcome(text, policy) == as_a_whole(text, policy, monkeypatch)
    return text


@pytest.mark.parametrize("key", ["id", "image_id", "category_id", "segmentation", "area", "bbox"])
def test_any_value_of_a_record(key, monkeypatch):
    for junk in JUNK:
        whole = content()
        whole["annotations"][17][key] = junk
        # So that the file is bad, whatever the other record is.
        whole["annotations"][31]["image_id"] = 77
        assert is_sifted(check(whole, monkeypatch)), junk


@pytest.mark.parametrize("seed", range(40))
def test_any_few_records(seed, monkeypatch):
    rng = np.random.default_rng(seed)
    whole = content()
    for _ in range(rng.integers(1, 6)):
        records = whole[rng.choice(["images", "annotations", "annotations", "categories"])]
        record = records[rng.integers(len(records))]
        if isinstance(record, dict) and rng.random() < 0.9:
            record[rng.choice(list(record))] = JUNK[rng.integers(len(JUNK))]
        else:
            records[rng.integers(len(records))] = JUNK[rng.integers(len(JUNK))]
    check(whole, monkeypatch)


def test_ids_that_are_there_twice(monkeypatch):
    whole = content()
    # The last two are of a box and another mask each: the box is counted, by whatever id it has.
    twice = ((3, 120), (30, 120), (31, "101"), (38, 102.0), (7, 140), (37, 106))
    for number, id_ in twice:
        whole["annotations"][number]["id"] = id_
    whole["annotations"][2]["segmentation"] = TRIANGLE
    assert is_sifted(check(whole, monkeypatch))


def test_images_that_get_other_ids(monkeypatch):
    whole = content()
    whole["images"][0]["id"] = "a"
    whole["images"][3] |= {"id": 9, "file_name": "2.png"}
    whole["annotations"][4]["image_id"] = "a"
    whole["annotations"][5]["image_id"] = 9
    assert is_sifted(check(whole, monkeypatch))


def test_classes_that_are_text(monkeypatch):
    whole = content()
    whole["categories"][1]["id"] = "2"
    assert is_sifted(check(whole, monkeypatch))


def test_annotations_in_any_order(monkeypatch):
    whole = content()
    order = np.random.default_rng(0).permutation(40)
    whole["annotations"] = [whole["annotations"][i] for i in order]
    for k in (0, 20, 39):
        whole["annotations"][k]["segmentation"] = [[TRIANGLE]]
    assert is_sifted(check(whole, monkeypatch))


def test_masks_that_do_not_fill_their_frames(monkeypatch):
    whole = content()
    for k in (3, 13, 14, 33):
        whole["annotations"][k]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": "04"}
    whole["annotations"][15]["segmentation"] = [[1e7, *TRIANGLE[1:]]]
    assert is_sifted(check(whole, monkeypatch))


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole.update(annotations={}),
        lambda whole: whole["annotations"][0].update(segments_info=[], image_id=77),
        lambda whole: [a.update(segmentation=TRIANGLE) for a in whole["annotations"]],
        lambda whole: whole.update(info=float("nan")),
    ],
    ids=["no list", "panoptic", "all bad", "NaN elsewhere"],
)
def test_what_is_mended_as_a_whole(change, monkeypatch):
    whole = content()
    change(whole)
    assert not is_sifted(check(whole, monkeypatch))


def test_only_what_is_not_sound_is_mended(monkeypatch):
    mended = []
    one = annotations.Annotations._one

    def note(self, record, number):
        mended.append(number)
        return one(self, record, number)

    monkeypatch.setattr(annotations.Annotations, "_one", note)
    whole = content()
    whole["annotations"][17]["segmentation"] = TRIANGLE
    assert is_sifted(json.dumps(whole).encode())
    assert mended == [17]
