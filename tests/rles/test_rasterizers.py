"""Polygons become the pixels that Pillow and OpenCV draw in a frame of the whole image."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask

import mtfast
from mtfast.checking.check import check_store
from mtfast.errors import MtfastError
from mtfast.rles.pixels import encode_part
from mtfast.rles.rasterizers import RASTERIZERS, draw_rings, expect_rasterizer


def rle(frame) -> bytes:
    return coco_mask.encode(np.asfortranarray(frame, np.uint8))["counts"]


def by_pillow(rings, size):
    frame = Image.new("L", size[::-1])
    for ring in rings:
        xy = list(zip(ring[::2], ring[1::2], strict=True))
        ImageDraw.Draw(frame).polygon(xy, outline=1, fill=1)
    return rle(np.asarray(frame))


def by_opencv(rings, size):
    cv2 = pytest.importorskip("cv2")
    frame = np.zeros(size, np.uint8)
    for ring in rings:
        corners = np.round(np.array(ring).reshape(-1, 2)).astype(np.int32)
        cv2.fillPoly(frame, [corners], 1)
    return rle(frame)


@pytest.mark.parametrize(("rasterizer", "tool"), [("pil", by_pillow), ("cv2", by_opencv)])
def test_rings_are_drawn_as_the_tool_draws_them(rasterizer, tool):
    rng = np.random.default_rng(3)
    for _ in range(600):
        size = tuple(map(int, rng.integers(1, 200, 2)))
        spread = rng.choice([5, 60])
        middle = rng.uniform(-20, 220, 2)
        rings = [
            (middle + rng.normal(0, spread, (rng.integers(2, 9), 2))).ravel().tolist()
            for _ in range(rng.integers(1, 4))
        ]
        assert draw_rings(rings, size, rasterizer) == tool(rings, size), (rings, size)


@pytest.mark.parametrize("rasterizer", ["pil", "cv2"])
def test_a_point_is_a_pixel_and_nothing_is_left_of_what_is_outside(rasterizer):
    pytest.importorskip("cv2")
    frame = np.zeros((4, 5), np.uint8)
    assert draw_rings([[7, 9, 8, 9, 8, 12]], (4, 5), rasterizer) == rle(frame)
    frame[2, 3] = 1
    assert draw_rings([[3, 2]], (4, 5), rasterizer) == rle(frame)


def test_a_part_is_cut_off_at_the_frame():
    rng = np.random.default_rng(4)
    for _ in range(400):
        height, width = map(int, rng.integers(1, 20, 2))
        part = rng.random(rng.integers(1, 25, 2)) < rng.random()
        top, left = map(int, rng.integers(-25, 25, 2))
        frame = np.zeros((height, width), np.uint8)
        for y, x in zip(*np.nonzero(part), strict=True):
            if 0 <= top + y < height and 0 <= left + x < width:
                frame[top + y, left + x] = 1
        assert encode_part(part, top, left, (height, width)) == rle(frame)


def polygons(folder):
    """A COCO file of one polygon whose pixels differ by tool; return its path and its ring."""
    ring = [3.6, 4.4, 17.5, 6.6, 15.2, 17.7, 5.5, 12.1]
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [ring]}
    image = {"id": 1, "file_name": "1.png", "height": 20, "width": 30}
    classes = [{"id": 1, "name": "1L"}]
    path = folder / "flakes.json"
    coco = {"images": [image], "annotations": [annotation], "categories": classes}
    path.write_text(json.dumps(coco))
    Image.new("RGB", (30, 20)).save(folder / "1.png")
    return path, ring


def test_polygons_of_coco_files_are_drawn_by_the_chosen_tool(tmp_path):
    path, ring = polygons(tmp_path)
    (object_,) = coco_mask.frPyObjects([ring], 20, 30)
    expected = {
        "pycocotools": object_["counts"],
        "pil": by_pillow([ring], (20, 30)),
        "cv2": by_opencv([ring], (20, 30)),
    }
    assert len(set(expected.values())) == 3
    for rasterizer in RASTERIZERS:
        source = mtfast.open_source(path, rasterizer=rasterizer)
        assert source.table("train", "annotations").text(0) == expected[rasterizer]


def test_bad_files_are_drawn_by_the_chosen_tool_too(tmp_path):
    path, ring = polygons(tmp_path)
    coco = json.loads(path.read_text())
    other = {"id": 2, "image_id": 1, "category_id": 1, "segmentation": ring}
    path.write_text(json.dumps({**coco, "annotations": [*coco["annotations"], other]}))
    table = mtfast.open_source(path, rasterizer="pil", bad="repair").table("train", "annotations")
    assert [table.text(0), table.text(1)] == 2 * [by_pillow([ring], (20, 30))]


def test_a_store_says_which_tool_and_is_repaired_by_it(tmp_path):
    path, ring = polygons(tmp_path)
    store = mtfast.convert(path, tmp_path / "a.zarr", rasterizer="pil")
    opened = mtfast.open(store)
    assert opened.attributes["source"]["rasterizer"] == "pil"
    assert opened["train"].table("annotations").text(0) == by_pillow([ring], (20, 30))
    (shard,) = (store / "train" / "semantic").glob("c.*")
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-9])
    assert check_store(store, repair=path).repaired
    assert shard.read_bytes() == whole


def test_an_unknown_tool_is_refused(tmp_path, monkeypatch):
    with pytest.raises(MtfastError, match="expected one of .'pycocotools', 'pil', 'cv2'"):
        mtfast.open_source(tmp_path, rasterizer="gdi")
    monkeypatch.setattr("mtfast.rles.rasterizers.find_spec", lambda name: None)
    with pytest.raises(MtfastError, match=r"pip install 'mtfast\[cv2\]'"):
        expect_rasterizer("cv2")
