"""Properties of the synthetic sets: files, ids, limits, masks, pixels, determinism."""

import io
import json
import random
import re
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from mtfast.derivation.n_shot import upstream_subsets
from mtfast.errors import MtfastError
from mtfast.sources.coco.records import AnnotationKeys
from mtfast.synth import make_set
from mtfast.synth.palette import PALETTES
from mtfast.synth.render import label_map, render
from mtfast.synth.scene import Frame, draw_flakes
from mtfast.synth.shapes import blob, flake, ring_area
from naive import n_shot_subsets

# pycocotools.mask.decode warns on numpy 2.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SIZE = (240, 320)
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
SPLITS = {"train": 20, "test": 5}
PLAIN = ["300", "with_class_200", "with_class_300", "with_class_full"]


def load(root, path):
    return json.loads((root / "RLE_annotations" / path).read_bytes())


def files_of(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def masks_of(annotations):
    """Boolean (n, height, width)."""
    if not annotations:
        return np.zeros((0, *SIZE), bool)
    decoded = coco_mask.decode([a["segmentation"] for a in annotations])
    return np.moveaxis(decoded, -1, 0).astype(bool)


def grouped(annotations):
    groups = {}
    for a in annotations:
        groups.setdefault(a["image_id"], []).append(a)
    return groups


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("synth") / "Graphene"
    assert make_set(out, train=20, test=5, size=SIZE, workers=1) == out
    return out


@pytest.fixture(scope="module")
def full(root):
    return load(root, "train_annotations_with_class_full.json")


# Layout


def test_layout_down_to_file_names(root):
    stems = {
        split: [
            Path(image["file_name"]).stem
            for image in load(root, f"{split}_annotations_300.json")["images"]
        ]
        for split in SPLITS
    }
    expected = set()
    for split, names in stems.items():
        expected |= {f"RLE_annotations/{split}_annotations_{v}.json" for v in PLAIN}
        expected |= {f"{split}_images/{stem}.jpg" for stem in names}
        expected |= {f"{split}_semantic_masks/{stem}.png" for stem in names}
        expected.add(f"meta_data/{split}_set_name_to_uuid.json")
    expected |= {
        f"RLE_annotations/train_annotations{w}_300_max_10.json" for w in ("", "_with_class")
    }
    expected |= {
        f"RLE_annotations/{n}_shot/run_{run}/train_annotations{w}_300.json"
        for n in (1, 2, 3, 5, 10)
        for run in range(10)
        for w in ("", "_with_class")
    }
    assert set(files_of(root)) == expected
    assert {split: len(names) for split, names in stems.items()} == SPLITS
    every = stems["train"] + stems["test"]
    assert len(set(every)) == 25
    assert all(UUID4.fullmatch(stem) for stem in every)


def test_nothing_is_left_beside_the_set(root):
    assert [p.name for p in root.parent.iterdir()] == ["Graphene"]


def test_keys_of_the_annotation_files(root):
    for split in SPLITS:
        for variant in PLAIN:
            data = load(root, f"{split}_annotations_{variant}.json")
            assert list(data) == ["info", "licenses", "images", "annotations", "categories"]
            assert [i["id"] for i in data["images"]] == list(range(1, SPLITS[split] + 1))
            assert all(i["width"] == 320 and i["height"] == 240 for i in data["images"])
            expected = [{"id": 1, "name": "flake"}]
            if "class" in variant:
                names = ["1 layer", "2 layers", "3 layers", "4 layers"]
                expected = [{"id": k, "name": n} for k, n in enumerate(names, 1)]
            assert data["categories"] == expected
            for a in data["annotations"]:
                assert list(a) == [
                    *("id", "image_id", "category_id", "segmentation", "area", "bbox", "iscrowd")
                ]
                assert a["segmentation"]["size"] == list(SIZE)
                assert a["iscrowd"] == 0
                assert type(a["area"]) is int
                assert all(type(v) is float for v in a["bbox"])


def test_meta_data_names_every_image_once_with_png(root):
    seen = set()
    for split in SPLITS:
        sets = json.loads((root / f"meta_data/{split}_set_name_to_uuid.json").read_bytes())
        assert len(sets) > 1
        assert all(name.startswith("Set_Graphene_") for name in sets)
        assert not seen & set(sets)
        seen |= set(sets)
        listed = [name for names in sets.values() for name in names]
        images = load(root, f"{split}_annotations_300.json")["images"]
        assert listed == [Path(i["file_name"]).with_suffix(".png").name for i in images]


# Annotations


def test_ids_ascend_from_one_and_are_shared_by_the_variants(root):
    for split in SPLITS:
        full = load(root, f"{split}_annotations_with_class_full.json")["annotations"]
        assert [a["id"] for a in full] == list(range(1, len(full) + 1))
        images = [a["image_id"] for a in full]
        assert images == sorted(images)
        for variant, above in [("200", 200), ("300", 300)]:
            some = load(root, f"{split}_annotations_with_class_{variant}.json")["annotations"]
            assert some == [a for a in full if a["area"] > above]
        agnostic = load(root, f"{split}_annotations_300.json")["annotations"]
        assert agnostic == [{**a, "category_id": 1} for a in full if a["area"] > 300]


def test_areas_at_the_limits_occur_and_are_only_in_the_next_variant(tmp_path):
    make_set(tmp_path / "set", train=60, test=0, size=SIZE, images=False, workers=1)
    areas = {
        variant: [
            a["area"]
            for a in load(tmp_path / "set", f"train_annotations_with_class_{variant}.json")[
                "annotations"
            ]
        ]
        for variant in ("full", "200", "300")
    }
    assert {200, 300} <= set(areas["full"])
    assert min(areas["200"]) > 200
    assert 300 in areas["200"]
    assert min(areas["300"]) > 300
    assert not list((tmp_path / "set").glob("RLE_annotations/test*"))


def test_max_10_leaves_out_thicker_flakes(tmp_path):
    make_set(tmp_path / "set", train=12, test=0, size=SIZE, classes=14, images=False, workers=1)
    whole = load(tmp_path / "set", "train_annotations_with_class_300.json")
    thin = load(tmp_path / "set", "train_annotations_with_class_300_max_10.json")
    assert thin["annotations"] == [a for a in whole["annotations"] if a["category_id"] <= 10]
    assert 0 < len(thin["annotations"]) < len(whole["annotations"])
    assert thin["categories"] == whole["categories"][:10]
    assert thin["images"] == whole["images"]
    agnostic = load(tmp_path / "set", "train_annotations_300_max_10.json")
    assert agnostic["annotations"] == [{**a, "category_id": 1} for a in thin["annotations"]]


def test_area_and_bbox_are_those_of_pycocotools(full):
    for a in full["annotations"]:
        assert a["area"] == int(coco_mask.area(a["segmentation"])) > 0
        assert a["bbox"] == coco_mask.toBbox(a["segmentation"]).tolist()
        assert 1 <= a["category_id"] <= 4


def test_n_shot_subsets_follow_the_published_procedure(root):
    data = load(root, "train_annotations_with_class_300.json")
    agnostic = load(root, "train_annotations_300.json")
    for _, run, n, annotations, images in n_shot_subsets([data]):
        folder = f"{n}_shot/run_{run}/train_annotations"
        subset = load(root, f"{folder}_with_class_300.json")
        assert subset["annotations"] == annotations
        assert subset["images"] == [i for i in data["images"] if i["id"] in images]
        assert subset["categories"] == data["categories"]
        subset = load(root, f"{folder}_300.json")
        assert subset["annotations"] == [
            a for a in agnostic["annotations"] if a["image_id"] in images
        ]
        assert subset["images"] == [i for i in data["images"] if i["id"] in images]
    text = (root / "RLE_annotations/1_shot/run_0/train_annotations_300.json").read_text()
    assert text.startswith('{\n    "info"')


def test_n_shot_of_nothing_is_empty():
    none = AnnotationKeys(*np.zeros((3, 0), np.int64))
    assert all(s.positions.size == 0 for s in upstream_subsets(none, [1, 2, 3]))


# Flakes


def test_counts_and_areas_of_full_frames():
    frame = Frame(1200, 1920)
    images = [draw_flakes(np.random.default_rng([5, k]), frame, 4) for k in range(150)]
    n_flakes = np.array([len(flakes) for flakes in images])
    areas = np.array([frame.area(counts) for flakes in images for _, counts in flakes])
    categories = np.array([k for flakes in images for k, _ in flakes])
    assert 6 <= n_flakes.mean() <= 10
    assert n_flakes.max() == 20
    assert 0 < (n_flakes == 0).mean() < 0.07
    assert 600 <= np.median(areas) <= 1000
    assert areas.min() < 10
    assert 10_000 < areas.max() <= 60_500
    shares = np.bincount(categories)[1:]
    assert list(shares) == sorted(shares, reverse=True)
    assert shares.size == 4


def count_components(mask):
    """Number of 4-connected components of a small mask, by flooding."""
    left = set(zip(*np.nonzero(mask), strict=True))
    n = 0
    while left:
        n += 1
        stack = [left.pop()]
        while stack:
            y, x = stack.pop()
            near = {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & left
            left -= near
            stack += near
    return n


def cut_to(mask):
    ys, xs = np.nonzero(mask)
    return np.pad(mask[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1], 1)


def test_flakes_overlap_touch_and_have_holes_and_terraces(full):
    overlapping = touching = terraces = holes = 0
    for annotations in grouped(full["annotations"]).values():
        masks = masks_of(annotations)
        holes += sum(count_components(~cut_to(mask)) > 1 for mask in masks)
        for j, later in enumerate(masks):
            grown = later.copy()
            grown[1:] |= later[:-1]
            grown[:-1] |= later[1:]
            grown[:, 1:] |= later[:, :-1]
            grown[:, :-1] |= later[:, 1:]
            for i, earlier in enumerate(masks[:j]):
                inside = (later & ~earlier).sum() == 0
                thicker = annotations[j]["category_id"] > annotations[i]["category_id"]
                terraces += inside and thicker
                overlapping += (later & earlier).any() and not inside
                touching += not (later & earlier).any() and (grown & earlier).any()
    assert overlapping >= 5
    assert touching >= 5
    assert terraces >= 5
    assert holes >= 3


def test_most_outlines_are_not_convex():
    rng = np.random.default_rng(0)
    n_concave = 0
    for _ in range(200):
        ring = flake(rng, 900.0)
        assert ring_area(ring) == pytest.approx(900.0)
        sides = np.roll(ring, -1) - ring
        turns = (sides.conj() * np.roll(sides, -1)).imag
        # A corner that turns the other way by more than a third of a pixel squared.
        n_concave += min((turns > 0.3).sum(), (turns < -0.3).sum()) > 0
    assert n_concave > 120


def test_rings_become_the_masks_of_pycocotools():
    rng = np.random.default_rng(1)
    height, width = 50, 70
    frame = Frame(height, width)
    for _ in range(200):
        ring = flake(rng, rng.uniform(1, 3000)) if rng.random() < 0.8 else blob(rng, 5.0)
        # Some hang over the border of the frame.
        ring = ring + complex(rng.uniform(-10, width + 10), rng.uniform(-10, height + 10))
        points = ring.view(np.float64).tolist()
        expected = coco_mask.decode(coco_mask.frPyObjects([points], height, width)[0])
        inside = np.zeros(height * width + 1, int)
        inside[frame.rasterise(ring)[:-1]] = 1
        mine = (np.cumsum(inside)[:-1] % 2).reshape(width, height).T
        assert np.array_equal(mine, expected)


# Pixels


def test_png_masks_are_the_200_file_painted_in_file_order(root):
    n_painted_over = 0
    for split in SPLITS:
        data = load(root, f"{split}_annotations_with_class_200.json")
        groups = grouped(data["annotations"])
        for image in data["images"]:
            expected = np.zeros(SIZE, np.uint8)
            annotations = groups.get(image["id"], [])
            for a, mask in zip(annotations, masks_of(annotations), strict=True):
                n_painted_over += (expected[mask] != 0).any()
                expected[mask] = a["category_id"]
            path = root / f"{split}_semantic_masks" / image["file_name"].replace("jpg", "png")
            with Image.open(path) as png:
                assert png.mode == "L"
                assert np.array_equal(np.asarray(png), expected)
    assert n_painted_over > 5


def test_images_are_baseline_jpeg_420_of_quality_100(root):
    for path in root.glob("*_images/*.jpg"):
        with Image.open(path) as jpeg:
            assert jpeg.size == (320, 240)
            assert jpeg.mode == "RGB"
            assert "progressive" not in jpeg.info
            assert [part[1:3] for part in jpeg.layer] == [(2, 2), (1, 1), (1, 1)]
            assert all(set(table) == {1} for table in jpeg.quantization.values())
        assert b"\xff\xdd" not in path.read_bytes()[:1000]  # no restart intervals


@pytest.mark.parametrize("palette", [0, 1, 5])
def test_full_images_weigh_as_much_as_real_ones(palette):
    frame = Frame(1200, 1920)
    flakes = draw_flakes(np.random.default_rng([9, palette]), frame, 4)
    pixels = render(np.random.default_rng(palette), flakes, frame, PALETTES[palette])
    assert pixels.shape == (1200, 1920, 3)
    assert pixels.dtype == np.uint8
    assert 900_000 < len(imagecodecs.jpeg8_encode(pixels, level=100, subsampling="420")) < 1_400_000
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=100, subsampling="4:2:0")
    assert 900_000 < out.tell() < 1_400_000


def test_flakes_are_where_the_mask_says():
    """The colour inside a mask differs from the chip's, and more so the more layers."""
    frame = Frame(200, 300)
    rectangle = np.array([50 + 60j, 250 + 60j, 250 + 140j, 50 + 140j])
    runs = frame.rasterise(rectangle)
    palette = PALETTES[1]
    brightness = []
    for n_layers in (1, 2, 3, 4):
        flakes = [(n_layers, runs)]
        pixels = render(np.random.default_rng(2), flakes, frame, palette)
        inside = label_map(flakes, frame, larger_than=0) == n_layers
        assert inside.sum() == 200 * 80
        brightness.append(pixels[..., 0][inside].mean() - np.median(pixels[..., 0][~inside]))
    assert brightness[0] < -10
    assert brightness == sorted(brightness, reverse=True)


def test_every_palette_gets_thicker_with_layers():
    for palette in PALETTES:
        colours = np.array([palette.background, *(palette.layer(k) for k in range(1, 11))])
        assert (np.diff(colours, axis=0) < 0).all(), palette.name
        assert (colours >= 0).all()


# Determinism and the door


def test_equal_for_any_number_of_workers(root, tmp_path):
    seen = []

    def progress(what, done, total):
        seen.append((done, total))

    make_set(tmp_path / "4", train=20, test=5, size=SIZE, workers=4, progress=progress)
    assert files_of(tmp_path / "4") == files_of(root)
    assert seen == sorted(seen)
    assert (seen[0], seen[-1]) == ((0, 25), (25, 25))


def test_annotations_do_not_depend_on_images(root, tmp_path):
    make_set(tmp_path / "set", train=20, test=5, size=SIZE, images=False, workers=1)
    found = files_of(tmp_path / "set")
    assert found == {k: v for k, v in files_of(root).items() if k.endswith(".json")}
    assert not list(tmp_path.glob("set/*_images"))


def test_other_seeds_give_other_sets(root, tmp_path):
    make_set(tmp_path / "set", train=20, test=5, size=SIZE, seed=1, images=False, workers=1)
    mine = load(tmp_path / "set", "train_annotations_with_class_full.json")
    theirs = load(root, "train_annotations_with_class_full.json")
    names = {i["file_name"] for data in (mine, theirs) for i in data["images"]}
    assert len(names) == 40
    masks = [{a["segmentation"]["counts"] for a in d["annotations"]} for d in (mine, theirs)]
    assert len(masks[0] & masks[1]) < 0.05 * len(masks[0])


def test_global_generators_are_left_alone(tmp_path):
    random.seed(3)
    np.random.seed(3)
    before = random.getstate(), np.random.get_state()[1].tolist()
    make_set(tmp_path / "set", train=1, test=0, size=(64, 64), workers=1)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before


def test_name_and_class_count_reach_the_files(tmp_path):
    make_set(tmp_path, name="hBN", train=0, test=2, size=(64, 100), classes=1, workers=1)
    data = load(tmp_path, "test_annotations_with_class_full.json")
    assert "hBN" in data["info"]["description"]
    assert data["categories"] == [{"id": 1, "name": "1 layer"}]
    assert {a["category_id"] for a in data["annotations"]} <= {1}
    assert not list(tmp_path.rglob("train*"))


def test_an_empty_folder_is_filled(root, tmp_path):
    before = tmp_path.stat().st_ino
    make_set(tmp_path, train=20, test=5, size=SIZE, workers=1)
    assert tmp_path.stat().st_ino == before
    assert files_of(tmp_path) == files_of(root)


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MtfastError, match="file is a file; expected a folder or a new name"):
        make_set(tmp_path / "file" / "set", train=1, test=0)


def test_a_folder_in_use_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(MtfastError, match="not empty; expected an empty folder or a new name"):
        make_set(tmp_path, train=1, test=0)
    with pytest.raises(MtfastError, match="not empty"):
        make_set(tmp_path / "notes.txt", train=1, test=0)
    assert files_of(tmp_path) == {"notes.txt": b"mine"}


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("train", -1),
        ("test", 1.5),
        ("train", 10_000_001),
        ("test", 10_000_001),
        ("train", True),
        ("size", (63, 100)),
        ("size", (100, 63)),
        ("size", (65_501, 100)),
        ("size", (100, 65_501)),
        ("classes", 0),
        ("classes", 256),
        ("seed", -1),
        ("seed", 1.0),
        ("workers", 0),
        ("workers", 1025),
        ("workers", "2"),
    ],
)
def test_arguments_out_of_range_are_refused(tmp_path, argument, value):
    with pytest.raises(MtfastError, match=r"^[a-z]+ is [^\n]+; expected an integer [^\n]*"):
        make_set(tmp_path / "set", **{argument: value})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("size", [(100,), (100, 100, 3), 128.0, (128.0, 128), "ab", None, -5])
def test_what_is_no_size_is_refused(tmp_path, size):
    with pytest.raises(MtfastError, match=r"^size is [^\n]+; expected one side or"):
        make_set(tmp_path / "set", size=size)
    assert not list(tmp_path.iterdir())


def test_integers_of_any_type(tmp_path):
    given = {"train": np.int64(2), "test": np.uint8(1), "seed": np.int32(5), "classes": np.int16(3)}
    make_set(tmp_path / "a", size=np.array([64, 64]), workers=np.int64(1), **given)
    make_set(tmp_path / "b", size=64, workers=1, train=2, test=1, seed=5, classes=3)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b")


def test_an_address_is_refused():
    with pytest.raises(MtfastError, match="s3://bucket/set is an address"):
        make_set("s3://bucket/set")


def test_a_set_of_no_images_is_refused(tmp_path):
    with pytest.raises(MtfastError, match=r"train \+ test is 0"):
        make_set(tmp_path / "set", train=0, test=0)


def test_failure_leaves_nothing_behind(tmp_path):
    def stop(what, done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_set(tmp_path / "set", train=2, test=0, size=(64, 64), workers=1, progress=stop)
    assert not list(tmp_path.iterdir())
