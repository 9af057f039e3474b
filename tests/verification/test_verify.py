"""Shipped masks against regenerated ones: what differs is named, and nothing else."""

from __future__ import annotations

import json
import shutil
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mtfast
import naive
from commands import call, run
from mixed_sets import MixedSet
from mtfast.arguments import Window
from mtfast.pictures.palette import DIFFERENCES, PALETTE
from mtfast.pictures.sheet import ABOUT_LINE, CAPTION, GAP, TITLE_LINE
from mtfast.verification.compare import ClassPixels
from mtfast.verification.mask_rules import MaskRule, SplitMasks
from mtfast.verification.picture import _close_up, _kinds, _rows, _thumbnail
from schemas import validate

MASKS = "train_semantic_masks"


def masks_of(folder: Path, split: str = "train") -> list[Path]:
    return sorted((folder / f"{split}_semantic_masks").iterdir())


def read(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.array(picture)


def write(path: Path, pixels: np.ndarray) -> None:
    Image.fromarray(pixels).save(path)


def jpg(mask: Path) -> str:
    return f"{mask.stem}.jpg"


def test_a_synthetic_set_is_equal_to_the_pixel(tiny_set):
    found = mtfast.verify(tiny_set)
    assert found.n_findings == found.n_different == 0
    for split, n in zip(found.splits, (10, 4), strict=True):
        assert (split.n_images, split.n_masks, split.n_equal, split.n_pixels) == (n, n, n, 0)
        assert split.images == split.stated == split.classes == ()
        assert split.scores[0].rule == split.rule == MaskRule("annotations_with_class_200")
    validate(found.as_dict(), "verify.schema.json")


def test_exactly_the_damaged_masks_are_named(damaged, tmp_path):
    altered, deleted, cut, *_ = masks_of(damaged)
    pixels = read(altered)
    before = int(pixels[40, 60])
    pixels[40, 60] = after = 3 if before != 3 else 0
    write(altered, pixels)
    deleted.unlink()
    write(cut, read(cut)[:-1])

    done = call("verify", damaged, "--json", "--picture", tmp_path / "worst.png")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    validate(found, "verify.schema.json")
    train, test = found["splits"]
    assert found["n_findings"] == 3
    assert train["n_equal"] == 7
    difference = {"shipped": after, "regenerated": before, "n_pixels": 1}
    assert train["images"] == [
        {
            "image": jpg(altered),
            "kind": "different",
            "detail": "",
            "n_pixels": 1,
            "classes": [difference],
        },
        {
            "image": jpg(cut),
            "kind": "other size",
            "detail": "95 x 128; expected 96 x 128",
            "n_pixels": 0,
            "classes": [],
        },
        {"image": jpg(deleted), "kind": "no mask", "detail": "", "n_pixels": 0, "classes": []},
    ]
    assert (train["n_pixels"], train["classes"]) == (1, [difference])
    assert test["images"] == []
    assert (tmp_path / "worst.png").is_file()
    # The sound images are named nowhere.
    assert not any(jpg(mask) in done.stdout for mask in masks_of(damaged)[3:])


def test_masks_that_are_none(damaged):
    cut_off, coloured, text, *_ = masks_of(damaged)
    cut_off.write_bytes(cut_off.read_bytes()[:80])
    Image.open(coloured).convert("RGB").save(coloured)
    text.write_text("mask")
    shutil.copy(masks_of(damaged)[3], damaged / MASKS / "other.png")
    images = mtfast.verify(damaged).splits[0].images
    assert [(i.image, i.kind) for i in images] == [
        (name, "unreadable") for name in names_in_order(damaged, [cut_off, coloured, text])
    ] + [("other.png", "no image")]
    said = {i.image: i.detail for i in images}
    assert "expected a whole PNG" in said[jpg(cut_off)]
    assert "RGB" in said[jpg(coloured)]
    assert "not a PNG" in said[jpg(text)]


def names_in_order(folder: Path, masks: list[Path]) -> list[str]:
    """Names of the images of some masks, in the order of the annotations."""
    names = mtfast.open_source(folder).table("train", "annotations_with_class_200").names.tolist()
    return sorted(map(jpg, masks), key=names.index)


@pytest.mark.parametrize("images_per_job", [1, 3, 16])
def test_pixels_are_counted_by_classes(damaged, rng, monkeypatch, images_per_job):
    """Against counting in plain numpy, in all masks at once."""
    monkeypatch.setattr("mtfast.verification.compare.IMAGES_PER_JOB", images_per_job)
    masks = masks_of(damaged)
    originals = [read(mask) for mask in masks]
    noisy = [np.where(rng.random(m.shape) < 0.1, rng.integers(0, 5, m.shape), m) for m in originals]
    for mask, pixels in zip(masks, noisy, strict=True):
        write(mask, pixels.astype(np.uint8))
    (train,) = mtfast.verify(damaged, splits=["train"], workers=3).splits
    differ = [a != b for a, b in zip(noisy, originals, strict=True)]
    assert train.n_pixels == sum(d.sum() for d in differ)
    assert [finding.image for finding in train.images] == names_in_order(damaged, masks)
    assert train.n_telling <= 10
    for score in train.scores:
        assert score.n_images == 0
        assert score.n_pixels >= train.n_pixels - sum(np.count_nonzero(m) for m in originals)
    assert {s.n_pixels for s in train.scores if s.rule == train.rule} == {train.n_pixels}
    for finding in train.images:
        k = [jpg(mask) for mask in masks].index(finding.image)
        assert finding.n_pixels == differ[k].sum() == sum(c.n_pixels for c in finding.classes)
    everything = {
        ClassPixels(a, b, n)
        for a, b in product(range(5), range(5))
        if a != b
        and (
            n := sum(
                int(np.count_nonzero((x == a) & (y == b)))
                for x, y in zip(noisy, originals, strict=True)
            )
        )
    }
    assert set(train.classes) == everything
    for found in (train.classes, *(finding.classes for finding in train.images)):
        assert [c.n_pixels for c in found] == sorted((c.n_pixels for c in found), reverse=True)


def test_few_of_many_pairs_of_classes_are_kept(damaged, rng):
    noise, little, *_ = masks_of(damaged)
    write(noise, rng.integers(0, 256, (96, 128)).astype(np.uint8))
    pixels = read(little)
    pixels[0, 0] ^= 1
    write(little, pixels)
    (train,) = mtfast.verify(damaged, splits=["train"]).splits
    found = {finding.image: finding for finding in train.images}
    assert len(found[jpg(noise)].classes) == 32
    assert found[jpg(noise)].n_pixels > sum(c.n_pixels for c in found[jpg(noise)].classes)
    assert [c.n_pixels for c in found[jpg(little)].classes] == [1]
    assert len(train.classes) > 255


def box(shape: tuple[int, int], top: int, left: int, height: int, width: int) -> np.ndarray:
    pixels = np.zeros(shape, np.uint8)
    pixels[top : top + height, left : left + width] = 1
    return pixels


SHAPE = (60, 80)
# The images of a set that tells rules apart: areas around the limit, and a pile of three.
FLAKES = [
    [(1, box(SHAPE, 2, 2, 10, 20)), (2, box(SHAPE, 20, 2, 1, 70)), (3, box(SHAPE, 30, 2, 3, 67))],
    [(1, box(SHAPE, 9, 9, 16, 16)), (2, box(SHAPE, 5, 5, 40, 40)), (3, box(SHAPE, 20, 20, 30, 30))],
    [],
]


def make_telling_set(root: Path, rule: MaskRule) -> Path:
    """Write a set with masks that are painted by a rule, in plain numpy."""
    limits = {"annotations_with_class_200": 200, "annotations_with_class_full": 0}
    for variant, limit in limits.items():
        annotations = [
            {
                "id": 10 * i + k,
                "image_id": i,
                "category_id": category,
                "segmentation": {"size": SHAPE, "counts": naive.text_of_mask(m).decode()},
                "area": int(m.sum()),
            }
            for i, flakes in enumerate(FLAKES)
            for k, (category, m) in enumerate(flakes, 1)
            if m.sum() > limit
        ]
        images = [
            {"id": i, "file_name": f"{i}.jpg", "height": SHAPE[0], "width": SHAPE[1]}
            for i in range(len(FLAKES))
        ]
        categories = [{"id": k, "name": f"{k} layers"} for k in (1, 2, 3)]
        content = {"images": images, "annotations": annotations, "categories": categories}
        path = root / "RLE_annotations" / f"train_{variant}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content))
    (root / MASKS).mkdir()
    least = max(rule.min_area, limits[rule.variant])
    for i, flakes in enumerate(FLAKES):
        kept = [(c, m) for c, m in flakes if m.sum() > least]
        if rule.overlap == "first":
            kept.reverse()
        elif rule.overlap in ("largest", "smallest"):
            kept.sort(key=lambda f: int(f[1].sum()) * (1 if rule.overlap == "largest" else -1))
        painted = naive.semantic([m for _, m in kept], [c for c, _ in kept], SHAPE)
        write(root / MASKS / f"{i}.png", painted.astype(np.uint8))
    return root


@pytest.mark.parametrize("overlap", ["last", "first", "largest", "smallest"])
@pytest.mark.parametrize(
    ("variant", "min_area"),
    [
        ("annotations_with_class_200", 0),
        ("annotations_with_class_full", 0),
        ("annotations_with_class_full", 199),
    ],
)
def test_the_rule_of_a_set_is_found(tmp_path, variant, min_area, overlap):
    rule = MaskRule(variant, min_area, overlap)
    folder = make_telling_set(tmp_path / "set", rule)
    (split,) = mtfast.verify(folder).splits
    best = [score for score in split.scores if score.n_images == 3]
    # More than 200 pixels of the full file are what the file of 200 has.
    alike = (
        [rule]
        if min_area or variant.endswith("full")
        else [rule, MaskRule("annotations_with_class_full", 200, overlap)]
    )
    assert [score.rule for score in best] == alike
    assert all(score.n_pixels == 0 for score in best)
    assert split.n_telling == 2
    # Best first, although another rule was asked for.
    assert split.scores[0] == best[0]
    ranks = [(-score.n_images, score.n_pixels) for score in split.scores]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) > 4
    assert {score.rule.overlap for score in split.scores} == {
        "last",
        "first",
        "largest",
        "smallest",
    }
    again = mtfast.verify(folder, variant=variant, min_area=min_area or None, overlap=overlap)
    assert again.n_findings == 0
    assert again.splits[0].scores[0].rule == rule


def rules_of(folder: Path, areas: list[int], name: str = "full") -> list[tuple[float, str]]:
    """Return the thresholds and orders of the rules for a file of flakes of some areas."""
    path = folder / "RLE_annotations" / f"train_annotations_with_class_{name}.json"
    path.parent.mkdir(parents=True)
    annotations = [
        {
            "id": k,
            "image_id": 0,
            "category_id": 1,
            "segmentation": {"size": [1, 999], "counts": f"{k}"},
        }
        for k in range(len(areas))
    ]
    for annotation, area in zip(annotations, areas, strict=True):
        flake = np.zeros((1, 999), np.uint8)
        flake[:, :area] = 1
        annotation["segmentation"]["counts"] = naive.text_of_mask(flake).decode()
    images = [{"id": 0, "file_name": r"run1\a.jpg", "height": 1, "width": 999}]
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": 1, "name": "flake"}, {"id": 2, "name": "thick"}]
    path.write_text(json.dumps(content))
    (folder / MASKS).mkdir()
    write(folder / MASKS / "a.png", np.zeros((1, 999), np.uint8))
    masks = SplitMasks.read(mtfast.open_source(folder), "train", [f"annotations_with_class_{name}"])
    # The image is in a folder of Windows: both share the stem "a".
    assert list(masks.pairs().values()) == ["a.png"]
    return [(rule.min_area, rule.overlap) for rule in masks.rules()]


@pytest.mark.parametrize(
    ("areas", "name", "expected"),
    [
        ([100, 900], "full", [0, 199, 200]),
        ([199, 900], "full", [0, 199, 200]),
        ([200, 900], "full", [0, 200]),
        ([201, 900], "full", [0]),
        ([250, 900], "300", [0, 299, 300]),
        ([], "300", [0]),
    ],
)
def test_thresholds_that_leave_something_out_are_tried(tmp_path, areas, name, expected):
    orders = ["last", "first", "largest", "smallest"]
    found = rules_of(tmp_path / "set", areas, name)
    assert found == [(threshold, overlap) for threshold in expected for overlap in orders]


def test_scores_are_those_of_painting_by_each_rule(tmp_path):
    folder = make_telling_set(
        tmp_path / "set", MaskRule("annotations_with_class_full", 199, "first")
    )
    (split,) = mtfast.verify(folder).splits
    assert len(split.scores) == 16
    for score in split.scores:
        other = make_telling_set(tmp_path / str(score.rule), score.rule)
        pairs = [(read(a), read(b)) for a, b in zip(masks_of(folder), masks_of(other), strict=True)]
        assert score.n_images == sum(np.array_equal(a, b) for a, b in pairs)
        assert score.n_pixels == sum(np.count_nonzero(a != b) for a, b in pairs)


def test_rules_are_of_files_of_the_same_sort(damaged):
    """With classes or without, and no n-shot subsets, unless one is asked for."""
    few = "5_shot/run_0/annotations_with_class_300"
    for asked, expected in {
        None: {"annotations_with_class_200", "annotations_with_class_full"},
        few: {"annotations_with_class_200", few},
        "annotations_300": {"annotations_300"},
    }.items():
        (split,) = mtfast.verify(damaged, splits=["train"], variant=asked).splits
        variants = {score.rule.variant for score in split.scores}
        assert expected <= variants
        assert len({"with_class" in variant for variant in variants}) == 1
        assert [variant for variant in variants if "shot" in variant] == [few] * (asked == few)


def test_an_image_that_the_painted_file_leaves_out_is_background(tmp_path):
    folder = make_telling_set(tmp_path / "set", MaskRule("annotations_with_class_200"))
    path = folder / "RLE_annotations" / "train_annotations_with_class_200.json"
    content = json.loads(path.read_text())
    content["images"] = content["images"][:1] + content["images"][2:]
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] != 1]
    path.write_text(json.dumps(content))
    (split,) = mtfast.verify(folder).splits
    assert split.n_images == 3
    (finding,) = split.images
    union = np.any([m for _, m in FLAKES[1]], axis=0)
    assert (finding.image, finding.n_pixels) == ("1.jpg", union.sum())


def test_stated_areas_and_boxes(damaged):
    path = damaged / "RLE_annotations" / "test_annotations_with_class_200.json"
    content = json.loads(path.read_text())
    first, second, third, *_ = content["annotations"]
    first["area"] += 1
    second["bbox"][0] += 1
    del third["area"], third["bbox"]
    path.write_text(json.dumps(content))
    found = mtfast.verify(damaged)
    validate(found.as_dict(), "verify.schema.json")
    assert found.n_findings == 2
    (stated,) = found.splits[1].stated
    assert (stated.variant, stated.n_area, stated.n_bbox) == ("annotations_with_class_200", 1, 1)
    area, bbox = stated.examples
    assert f"annotation {first['id']} of" in area
    assert f"area {first['area']}, {first['area'] - 1} px by its RLE" in area
    assert f"annotation {second['id']} of" in bbox
    done = call("verify", damaged)
    assert done.returncode == 1
    assert "1 area and 1 box disagree with the RLE" in done.stdout
    first["area"] -= 1
    path.write_text(json.dumps(content))
    (stated,) = mtfast.verify(damaged).splits[1].stated
    assert (stated.n_area, stated.n_bbox, stated.examples) == (0, 1, (bbox,))


HEADER = TITLE_LINE + ABOUT_LINE + 12


def is_marked(picture):
    return np.any([(picture == colour).all(axis=2) for colour in DIFFERENCES.values()], axis=0)


def test_the_picture_tells_how_masks_differ():
    shipped = np.array([[0, 1, 2, 3, 0]], np.uint8)
    painted = np.array([[0, 1, 0, 1, 4]], np.uint8)
    assert _kinds(shipped, painted).tolist() == [[0, 0, 2, 3, 1]]


def test_the_picture_shows_where_masks_differ(damaged, tmp_path):
    worst, little, *_ = masks_of(damaged)
    pixels = read(worst)
    pixels[10:20, 30:45] ^= 1
    write(worst, pixels)
    pixels = read(little)
    pixels[0, 0] ^= 1
    write(little, pixels)
    (damaged / "train_images" / jpg(little)).unlink()
    found = mtfast.verify(damaged, picture=tmp_path / "worst.png")
    assert found.n_different == 2
    sheet = read(tmp_path / "worst.png")[HEADER:]
    row = 460 * 96 // 128 + CAPTION + GAP
    assert sheet.shape[1] == 3 * 478 + 18
    for k, (top, left, height, width) in enumerate([(10, 30, 10, 15), (0, 0, 1, 1)]):
        overview = sheet[k * row : (k + 1) * row - CAPTION - GAP, 18 : 18 + 460]
        y, x = np.nonzero(is_marked(overview))
        scale = 460 / 128
        assert y.mean() / scale == pytest.approx(top + height / 2, abs=1.5)
        assert x.mean() / scale == pytest.approx(left + width / 2, abs=1.5)
        for column in (1, 2):
            tile = sheet[k * row : (k + 1) * row - CAPTION - GAP, 18 + column * 478 :][:, :460]
            assert 20 < is_marked(tile).sum() < 4000
    # A picture of nothing is not drawn.
    mtfast.verify(damaged, splits=["test"], picture=tmp_path / "none.png")
    assert not (tmp_path / "none.png").exists()


def test_the_picture_has_the_worst_masks_worst_first(tmp_path):
    """Eight masks lack an instance that they should show, each of another height."""
    folder = make_telling_set(tmp_path / "set", MaskRule("annotations_with_class_full"))
    for file in (folder / MASKS).iterdir():
        file.unlink()
    images, annotations = [], []
    for i in range(8):
        flake = box(SHAPE, 20, 20, 4 * (i + 1), 30)
        images.append({"id": i, "file_name": f"{i}.jpg", "height": SHAPE[0], "width": SHAPE[1]})
        annotations.append(
            {
                "id": i,
                "image_id": i,
                "category_id": 1,
                "segmentation": {"size": SHAPE, "counts": naive.text_of_mask(flake).decode()},
            }
        )
        write(folder / MASKS / f"{i}.png", np.zeros(SHAPE, np.uint8))
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "x"}]}
    for path in (folder / "RLE_annotations").iterdir():
        path.write_text(json.dumps(content))
    found = mtfast.verify(folder, picture=tmp_path / "worst.png")
    assert found.n_different == 8
    sheet = read(tmp_path / "worst.png")
    row = 460 * SHAPE[0] // SHAPE[1] + CAPTION + GAP
    assert (sheet.shape[0] - HEADER) // row == 6
    marked = []
    for k in range(6):
        tiles = [
            sheet[HEADER + k * row : HEADER + (k + 1) * row - CAPTION - GAP, 18 + column * 478 :][
                :, :460
            ]
            for column in range(3)
        ]
        # All of these are missing in the shipped masks.
        missing = [(tile == DIFFERENCES["missing"]).all(axis=2).sum() for tile in tiles]
        assert is_marked(tiles[0]).sum() == missing[0]
        marked.append(missing[0])
        shown = [(tile == PALETTE[0]).all(axis=2).any() for tile in tiles[1:]]
        assert shown == [False, True]
        # What differs is outlined, not covered.
        assert (tiles[2] == PALETTE[0]).all(axis=2).sum() > missing[2]
    assert marked == sorted(marked, reverse=True)
    assert len(set(marked)) == 6


def test_close_ups_keep_the_sides_of_the_frame():
    differs = np.zeros((120, 200), bool)
    differs[119, 199] = True
    assert _close_up(differs) == (91, 152, 29, 48)
    differs[3:30, 5:40] = True
    window = _close_up(differs)
    assert window.y <= 3
    assert window.y + window.height >= 30
    assert window.height < 70
    differs[:] = True
    assert _close_up(differs).width <= 100


def test_a_split_without_masks_is_named(damaged):
    shutil.rmtree(damaged / "test_semantic_masks")
    found = mtfast.verify(damaged)
    assert found.n_findings == 0
    assert found.splits[1].n_masks is None
    validate(found.as_dict(), "verify.schema.json")
    done = call("verify", damaged)
    assert done.returncode == 0, done.stderr
    assert "ships no masks" in done.stdout
    assert mtfast.verify(damaged, splits=["test"]).n_findings == 0


def test_of_a_set_without_masks_stated_areas_and_boxes_are_compared(tmp_path):
    ring = [1, 1, 5, 1, 5, 5, 1, 5]
    right = {"area": 16, "bbox": [1, 1, 4, 4]}
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 6, "width": 8}],
        "annotations": [
            {"id": k, "image_id": 1, "category_id": 1, "segmentation": [ring], **stated}
            for k, stated in enumerate(
                [right, right | {"area": 99}, right | {"bbox": [0, 0, 2, 2]}]
            )
        ],
        "categories": [{"id": 1, "name": "mono"}],
    }
    (tmp_path / "train.json").write_text(json.dumps(content))
    found = mtfast.verify(tmp_path / "train.json")
    (split,) = found.splits
    assert split.n_masks is None
    assert [(s.n_area, s.n_bbox) for s in split.stated] == [(1, 1)]
    validate(found.as_dict(), "verify.schema.json")
    done = run("verify", tmp_path / "train.json")
    assert done.returncode == 1, done.stderr
    assert "ships no masks: stated areas and boxes alone are compared with the RLE" in done.stdout
    assert "1 area and 1 box disagree with the RLE" in done.stdout
    for annotation in content["annotations"]:
        del annotation["area"], annotation["bbox"]
    (tmp_path / "train.json").write_text(json.dumps(content))
    with pytest.raises(mtfast.SourceError, match="nothing to compare in train, which ships no sem"):
        mtfast.verify(tmp_path / "train.json")


def test_what_cannot_be_verified(tiny_set, tmp_path):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", images="none", splits=["test"])
    done = call("verify", store)
    assert done.returncode == 2
    assert "is a store; expected a dataset as it was published" in done.stderr
    assert "pass the source" in done.stderr
    for folder in ("images", "instance_masks"):
        (tmp_path / "labels" / folder).mkdir(parents=True)
    with pytest.raises(mtfast.SourceError, match="nothing to compare in labels, which ships"):
        mtfast.verify(tmp_path / "labels")
    with pytest.raises(
        mtfast.SourceError, match="no variant 'annotations_9' in split 'train' of Graphene"
    ):
        mtfast.verify(tiny_set, variant="annotations_9")
    with pytest.raises(mtfast.MtfastError, match="expected .png"):
        mtfast.verify(tiny_set, picture="x.gif")


def test_the_command_for_people(damaged):
    done = run("verify", damaged, "--picture", "x.png", cwd=damaged)
    assert done.returncode == 0, done.stderr
    assert "10 masks of 10 images, 10 equal" in done.stdout
    assert "annotations_with_class_200, last on top" in done.stdout
    assert done.stdout.endswith("no mask differs: no picture drawn\n")
    for mask in masks_of(damaged):
        write(mask, 1 - np.minimum(read(mask), 1))
    done = call("verify", damaged, "--split", "train", "--picture", "x.png", cwd=damaged)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count("different") == 10
    assert " px: 1 instead of 0" in done.stdout
    assert done.stdout.endswith("x.png\n")


def as_published(mixed: MixedSet, folder: Path) -> Path:
    """A mixed set in the folders of a published one, with its masks."""
    shutil.copytree(mixed.images, folder / "train_images")
    (folder / "RLE_annotations").mkdir()
    name = "train_annotations_with_class.json"
    shutil.copy(mixed.annotations, folder / "RLE_annotations" / name)
    (folder / MASKS).mkdir()
    for image, mask in mixed.masks.items():
        write(folder / MASKS / f"{Path(image).stem}.png", mask)
    return folder


def test_a_set_of_several_sizes_and_kinds(mixed_set, tmp_path):
    """Its masks are compared whatever their sizes, and drawn whatever the kind of the image."""
    folder = as_published(mixed_set, tmp_path / "Mixed")
    (train,) = mtfast.verify(folder, picture=tmp_path / "none.png").splits
    assert train.n_equal == train.n_masks == len(mixed_set.names)
    assert not (tmp_path / "none.png").exists()
    changed = ("shown", "grey16", "colour16", "palette", "webp2")
    for stem in changed:
        mask = read(folder / MASKS / f"{stem}.png")
        mask[5, 7] = 9
        write(folder / MASKS / f"{stem}.png", mask)
    mask = folder / MASKS / "png3.png"
    write(mask, read(mask)[:, :-1])
    found = mtfast.verify(folder, picture=tmp_path / "worst.png")
    (train,) = found.splits
    kinds = {Path(image.image).stem: image.kind for image in train.images}
    assert kinds == dict.fromkeys(changed, "different") | {"png3": "other size"}
    assert found.n_different == len(changed)
    with Image.open(tmp_path / "worst.png") as picture:
        # A row of three tiles for each.
        assert picture.height > len(changed) * 200


@pytest.mark.parametrize("name", ["shown.jpg", "grey16.tif", "colour16.tif", "palette.png"])
def test_thumbnails_show_the_image(mixed_set, tmp_path, name):
    """Turned as the mask is, and of all depths: as bright as the pixels are."""
    folder = as_published(mixed_set, tmp_path / "Mixed")
    masks = SplitMasks.read(mtfast.open_source(folder), "train", ("annotations_with_class",))
    pixels = mixed_set.pixels[name].astype(float)
    height, width = pixels.shape[:2]
    whole = Window(0, 0, height, width)
    found = _thumbnail(masks, name, whole)[..., 0] / 0.6
    bright = pixels if pixels.max() < 256 else pixels / 257
    grey = bright if bright.ndim == 2 else bright @ [0.299, 0.587, 0.114]
    rows, columns = (
        np.arange(n) * side // n for n, side in zip(found.shape, grey.shape, strict=True)
    )
    assert np.median(np.abs(found - grey[np.ix_(rows, columns)])) < 4


def test_a_high_and_narrow_mask_is_drawn(tmp_path):
    assert _rows(Window(0, 0, 100_000, 3)) == 920
