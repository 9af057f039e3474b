"""Derived sets: which annotations they have, that nothing is lost, and how they load."""

from __future__ import annotations

import errno
import json
import os
import shutil
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import mtfast
from commands import invoke
from mtfast import MtfastError
from mtfast.derivation import derive_merged, derive_validation, derive_variants
from mtfast.derivation.merge_files import match_categories
from mtfast.derivation.n_shot import UPSTREAM_SETS
from mtfast.derivation.validation_split import choose_runs
from mtfast.derivation.variant_rules import plan_rules
from mtfast.sources.coco.records import records_of, with_mapped_classes
from mtfast.synth import make_set
from naive import n_shot_subsets
from tables import make_table

FULL, CLASS_300 = "annotations_with_class_full", "annotations_with_class_300"


def path_of(root: Path, split: str, variant: str) -> Path:
    folder, _, name = variant.rpartition("/")
    return root / "RLE_annotations" / folder / f"{split}_{name}.json"


def load(root: Path, split: str, variant: str) -> dict:
    return json.loads(path_of(root, split, variant).read_bytes())


def rewrite(root: Path, split: str, variant: str, change) -> None:
    data = load(root, split, variant)
    change(data)
    path_of(root, split, variant).write_text(json.dumps(data))


def files_of(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def load_as_detectron2_does(file: Path, images: Path) -> list[dict]:
    """What detectron2's load_coco_json makes of a file, with the checks that it makes."""
    coco = COCO(file)
    annotation_ids = [a["id"] for annotations in coco.imgToAnns.values() for a in annotations]
    assert len(set(annotation_ids)) == len(annotation_ids)
    contiguous = {v: i for i, v in enumerate(sorted(coco.getCatIds()))}
    dicts = []
    for image in coco.loadImgs(sorted(coco.imgs)):
        path = os.path.join(images, image["file_name"])  # noqa: PTH118 - as it is there
        assert Path(path).is_file()
        objects = []
        for a in coco.imgToAnns[image["id"]]:
            assert a["image_id"] == image["id"]
            assert a.get("ignore", 0) == 0
            segmentation = a["segmentation"]
            assert isinstance(segmentation, dict) or all(len(r) % 2 == 0 for r in segmentation)
            objects.append({"category_id": contiguous[a["category_id"]], "bbox": a["bbox"]})
        dicts.append({"file_name": path, "annotations": objects})
    return dicts


# More annotation files


def test_thresholds_are_of_the_area_that_pycocotools_measures(small_set, tmp_path, capsys):
    full = load(small_set, "train", FULL)
    # An area that occurs, so that the limit itself is tested; what files state does not count.
    limit = sorted(a["area"] for a in full["annotations"])[30]
    src = tmp_path / "src"
    make_copy(small_set, src)
    rewrite(src, "train", FULL, lambda data: [a.update(area=1) for a in data["annotations"]])
    full = load(src, "train", FULL)
    areas = [int(coco_mask.area(a["segmentation"])) for a in full["annotations"]]
    out = tmp_path / "out"
    derive_variants(src, out, min_areas=[limit, 0], images=False)
    variant = f"annotations_with_class_{limit}"
    expected = [a for a, px in zip(full["annotations"], areas, strict=True) if px > limit]
    assert limit in areas
    assert load(out, "train", variant) == {**full, "annotations": expected}
    assert load(out, "train", "annotations_with_class_0") == full
    assert mtfast.open_source(out).table("train", variant).area().min() > limit
    assert set(COCO(path_of(out, "test", variant)).imgs)
    capsys.readouterr()


def test_areas_belong_to_the_annotations_of_files_in_any_order(tmp_path):
    """Columns are grouped by image, records are not."""
    path = tmp_path / "a.json"
    data = write_coco(path, ["0.jpg", "1.jpg", "2.jpg", "3.jpg"], categories=("a",))
    wide = [[0, 0, 5, 0, 5, 4, 0, 4]]
    for k, annotation in enumerate(data["annotations"]):
        annotation["image_id"] = data["images"][3 - k]["id"]
        annotation["segmentation"] = wide if k == 1 else annotation["segmentation"]
    path.write_bytes(b"\xef\xbb\xbf" + json.dumps(data).encode())
    derive_variants(path, tmp_path / "out", min_areas=[19])
    made = load(tmp_path / "out", "train", "annotations_with_class_19")
    assert made["annotations"] == data["annotations"][1:2]


def make_copy(root: Path, to: Path) -> None:
    """A copy without n-shot subsets, whose JSON files may be changed."""
    for path, text in files_of(root).items():
        if "_shot" not in path:
            (to / path).parent.mkdir(parents=True, exist_ok=True)
            (to / path).write_bytes(text)


def test_what_changed_and_what_did_not(small_set, tmp_path):
    """Made files hold what is expected; all other annotation files come over byte for byte."""
    out = tmp_path / "out"
    done = derive_variants(
        small_set, out, min_areas=[500], max_categories=[2], class_agnostic=True, splits=["train"]
    )
    before, after = files_of(small_set), files_of(out)
    made = {
        *("annotations_with_class_500", "annotations_500", "annotations_200", "annotations_full"),
        *(
            f"annotations{c}_{px}_max_2"
            for c in ("", "_with_class")
            for px in (200, 300, 500, "full")
        ),
    }
    made_files = {f"RLE_annotations/train_{variant}.json" for variant in made}
    assert after.keys() - before.keys() == made_files
    meta = {f"meta_data/{split}_set_name_to_uuid.json" for split in ("train", "test")}
    assert {k: v for k, v in after.items() if k not in made_files | meta} == {
        k: v for k, v in before.items() if k not in meta
    }
    assert all(json.loads(before[name]) == json.loads(after[name]) for name in meta)
    assert (done.n_made, done.n_kept, done.n_images, done.n_masks) == (12, 110, 26, 26)
    assert done.n_copied == 0
    full = load(small_set, "train", FULL)
    thin = [a for a in full["annotations"] if a["area"] > 500 and a["category_id"] <= 2]
    assert load(out, "train", "annotations_with_class_500_max_2") == {
        **full,
        "annotations": thin,
        "categories": full["categories"][:2],
    }
    assert load(out, "train", "annotations_500_max_2") == {
        **full,
        "annotations": [{**a, "category_id": 1} for a in thin],
        "categories": [{"id": 1, "name": "flake"}],
    }
    for name in ("train_images", "test_semantic_masks"):
        for path in (out / name).iterdir():
            assert path.samefile(small_set / name / path.name)


def test_files_of_synth_come_out_again(small_set, tmp_path):
    """Deriving is what makes the variants of synthetic sets, so from _full alone they come back."""
    src = tmp_path / "src"
    for split in ("train", "test"):
        path = path_of(src, split, FULL)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(path_of(small_set, split, FULL).read_bytes())
    derive_variants(
        src, tmp_path / "out", min_areas=[200, 300], max_categories=[10], class_agnostic=True,
        n_shot="upstream", before=[0],
    )  # fmt: skip
    after = files_of(tmp_path / "out")
    annotations = {k: v for k, v in files_of(small_set).items() if k.startswith("RLE")}
    assert {k: after[k] for k in annotations} == annotations


def test_unknown_keys_stay_as_they_are_written(tmp_path):
    text = """{"odd": [1.50, {"x": null}], "info": {"year": 2024},
      "images": [{"license": 3, "id": 5, "file_name": "a.jpg", "height": 20, "width": 30,
        "gain": 1e3}],
      "licenses": [{"id": 3}],
      "annotations": [
        {"id": 9, "image_id": 5, "category_id": 2, "area": 7.0, "bbox": [1, 1, 20.50, 10],
         "segmentation": [[1, 1, 21, 1, 21, 11, 1, 11.25]], "score": 0.10, "note": "\\u00fc"},
        {"id": 4, "image_id": 5, "category_id": 1, "segmentation": [[1, 1, 4, 1, 4, 4]]}],
      "categories": [{"id": 2, "name": "2L", "supercategory": "flake"}, {"id": 1, "name": "1L"}]}"""
    (tmp_path / "instances.json").write_text(text)
    out = tmp_path / "out"
    derive_variants(
        tmp_path / "instances.json", out, min_areas=[100], class_agnostic=True, max_categories=[2]
    )
    data = json.loads(text)
    # The whole file is that of all areas, whose name says so.
    assert path_of(out, "train", FULL).read_text() == text
    data["annotations"] = data["annotations"][:1]
    assert load(out, "train", "annotations_with_class_100") == data
    assert load(out, "train", "annotations_with_class_100_max_2") == data
    written = path_of(out, "train", "annotations_with_class_100").read_text()
    for piece in ("[1.50,", "1e3", "0.10", "11.25]]", "20.50", '"\\u00fc"'):
        assert piece in written
    agnostic = load(out, "train", "annotations_100")
    assert agnostic["annotations"] == [{**data["annotations"][0], "category_id": 1}]
    assert {k: agnostic[k] for k in ("odd", "info", "licenses", "images")} == {
        k: data[k] for k in ("odd", "info", "licenses", "images")
    }
    source = mtfast.open_source(out)
    assert source.table("train", "annotations_with_class_100").area().tolist() == [
        int(
            coco_mask.area(coco_mask.frPyObjects(data["annotations"][0]["segmentation"], 20, 30))[0]
        )
    ]


def test_a_class_agnostic_category_that_is_there_is_used(small_set, tmp_path):
    src = tmp_path / "src"
    make_copy(small_set, src)

    def change(data):
        data["categories"] = [{"id": 7, "name": "any"}]
        for a in data["annotations"]:
            a["category_id"] = 7

    rewrite(src, "train", "annotations_300", change)
    derive_variants(src, tmp_path / "out", class_agnostic=True, images=False)
    made = load(tmp_path / "out", "train", "annotations_200")
    assert made["categories"] == [{"id": 7, "name": "any"}]
    assert {a["category_id"] for a in made["annotations"]} == {7}
    assert not (tmp_path / "out" / "train_images").exists()


@pytest.fixture
def labelled(tmp_path, rng):
    """A folder of images and label PNGs, three squares on each."""
    root = tmp_path / "labelled"
    for folder in ("images", "instance_masks"):
        (root / folder).mkdir(parents=True)
    for stem in "ab":
        Image.new("RGB", (40, 30)).save(root / "images" / f"{stem}.jpg")
        labels = np.zeros((30, 40), np.uint8)
        for k in range(1, 4):
            labels[1 : 2 + rng.integers(9), 10 * k : 10 * k + k] = k
        Image.fromarray(labels).save(root / "instance_masks" / f"{stem}.png")
    return root


def test_label_pngs_become_a_set(labelled, tmp_path):
    derive_variants(labelled, tmp_path / "out", min_areas=[9])
    source, out = mtfast.open_source(labelled), mtfast.open_source(tmp_path / "out")
    table = source.table("train", "annotations")
    assert out.variants("train") == ("annotations_9", "annotations_full")
    assert out.table("train", "annotations_full").area().tolist() == table.area().tolist()
    areas = out.table("train", "annotations_9").area()
    assert areas.tolist() == [a for a in table.area().tolist() if a > 9]
    assert 0 < areas.size < 6
    assert out.image_names("train") == source.image_names("train")


def test_detectron2_and_convert_take_a_derived_set(small_set, tmp_path, capsys):
    out = tmp_path / "out"
    derive_variants(small_set, out, min_areas=[400], n_shot="seeded")
    for variant in ("annotations_with_class_400", f"3_shot/run_1/{CLASS_300}"):
        dicts = load_as_detectron2_does(path_of(out, "train", variant), out / "train_images")
        n = sum(len(d["annotations"]) for d in dicts)
        assert n == len(load(out, "train", variant)["annotations"]) > 0
    capsys.readouterr()
    train = mtfast.open(mtfast.convert(out, tmp_path / "out.zarr"))["train"]
    assert len(train) == 20
    assert "annotations_with_class_400" in train.variants


# n-shot subsets


@pytest.fixture(scope="module")
def eight_sets(tmp_path_factory):
    root = tmp_path_factory.mktemp("upstream")
    for k, name in enumerate(UPSTREAM_SETS):
        make_set(root / name, train=4 + k, test=0, size=(160, 200), seed=k, images=False, workers=1,
                 classes=1 + k % 4)  # fmt: skip
    return root


def test_upstream_subsets_of_eight_sets(eight_sets, tmp_path):
    roots = [eight_sets / name for name in UPSTREAM_SETS]
    sets = [load(root, "train", CLASS_300) for root in roots]
    counts = [len(data["annotations"]) for data in sets]
    for k, root in enumerate(roots):
        # Counts and sets do for each other.
        before = [c if i % 2 else r for i, (c, r) in enumerate(zip(counts, roots, strict=True))]
        derive_variants(
            root, tmp_path / root.name, n_shot="upstream", before=before[:k] or [0], images=False
        )
    n_compared = 0
    for k, run, n, chosen, images in n_shot_subsets(sets):
        out = tmp_path / roots[k].name
        subset = load(out, "train", f"{n}_shot/run_{run}/{CLASS_300}")
        assert subset["annotations"] == chosen
        assert subset["images"] == [i for i in sets[k]["images"] if i["id"] in images]
        agnostic = load(roots[k], "train", "annotations_300")["annotations"]
        subset = load(out, "train", f"{n}_shot/run_{run}/annotations_300")
        assert subset["annotations"] == [a for a in agnostic if a["image_id"] in images]
        n_compared += len(chosen)
    assert n_compared > 1000
    # The chain matters: a set alone is drawn otherwise.
    last = f"5_shot/run_9/{CLASS_300}"
    assert load(tmp_path / "WSe2L", "train", last) != load(eight_sets / "WSe2L", "train", last)


def test_seeded_subsets_depend_on_ids_alone(small_set, tmp_path):
    src = tmp_path / "src"
    make_copy(small_set, src)
    rewrite(src, "train", CLASS_300, lambda data: data["annotations"].reverse())
    for name, root, seed in (("a", small_set, 5), ("b", src, 5), ("c", src, 6)):
        derive_variants(root, tmp_path / name, n_shot="seeded", seed=seed, images=False)
    differ = 0
    for run in range(10):
        smaller: set[int] = set()
        for n in (1, 2, 3, 5, 10):
            a, b, c = (
                {a["id"] for a in load(tmp_path / name, "train", f"{n}_shot/run_{run}/{CLASS_300}")[
                    "annotations"
                ]}
                for name in "abc"
            )  # fmt: skip
            assert a == b
            assert smaller <= a
            smaller = a
            differ += a != c
            annotations = load(tmp_path / "a", "train", CLASS_300)["annotations"]
            for category in range(1, 5):
                of_class = {a["id"] for a in annotations if a["category_id"] == category}
                assert len(of_class & a) >= min(n, len(of_class))
    assert differ > 20
    runs = [load(tmp_path / "a", "train", f"1_shot/run_{run}/{CLASS_300}") for run in range(10)]
    assert len({tuple(a["id"] for a in data["annotations"]) for data in runs}) > 5


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        (
            "WS2",
            {},
            r"without the sets before WS2; expected these, .* give them as before=.* each or",
        ),
        ("WS2", {"before": []}, r"without the sets before"),
        (
            "WS2",
            {"before": [3, 4]},
            r"2 sets before WS2; expected 5, .*: GrapheneH, .*, MoSe2; give",
        ),
        (
            "GrapheneH",
            {"before": [3]},
            r"1 sets before GrapheneH; expected 0, .* which is before=\[0\]",
        ),
        ("WS2", {"before": [1, 2, 3, 4, "nowhere"]}, "no such file or folder: .*nowhere"),
    ],
)
def test_upstream_subsets_are_never_made_up(eight_sets, tmp_path, name, options, words):
    with pytest.raises(mtfast.MtfastError, match=words):
        derive_variants(eight_sets / name, tmp_path / "out", n_shot="upstream", **options)
    assert not list(tmp_path.iterdir())


# Plans


def test_files_that_are_there_are_kept_unless_what_they_come_from_is_made_again():
    there = [FULL, CLASS_300, "annotations_300", f"2_shot/run_0/{CLASS_300}"]
    assert list(plan_rules(there, class_agnostic=True)) == ["annotations_full"]
    # The class-agnostic file of a set has to go with its with-class one.
    assert list(plan_rules(there, min_areas=[300])) == [CLASS_300, "annotations_300"]
    assert plan_rules(there, min_areas=[300])["annotations_300"].base == FULL
    assert list(plan_rules(["annotations_100"], min_areas=[300])) == ["annotations_300"]
    assert plan_rules(there) == {}


@pytest.mark.parametrize(
    ("variants", "options", "words"),
    [
        (
            [CLASS_300],
            {"min_areas": [200]},
            "larger than 200 pixels, but the most complete .* is annotations_with_class_300",
        ),
        ([CLASS_300], {"min_areas": [299]}, "ask for a larger area"),
        ([f"{CLASS_300}_max_10"], {"min_areas": [900]}, "the most complete .* is none"),
        (["annotations_300"], {"class_agnostic": True}, "no annotation file with classes among an"),
        (["annotations_300"], {"max_categories": [3]}, "leave out max_categories="),
    ],
)
def test_plans_that_cannot_be(variants, options, words):
    with pytest.raises(mtfast.MtfastError, match=words):
        plan_rules(variants, **options)


# Validation


def runs_of(root: Path, split: str) -> dict[str, set[str]]:
    path = root / "meta_data" / f"{split}_set_name_to_uuid.json"
    return {k: {Path(n).stem for n in v} for k, v in json.loads(path.read_bytes()).items()}


def test_validation_keeps_runs_on_one_side(small_set, tmp_path, capsys):
    out = tmp_path / "out"
    done = derive_validation(small_set, out, 0.3, seed=2)
    whole = runs_of(small_set, "train")
    sides = {split: runs_of(out, split) for split in ("train", "val")}
    assert sides["train"] | sides["val"] == whole
    assert not sides["train"].keys() & sides["val"].keys()
    stems = {split: set().union(*runs.values()) for split, runs in sides.items()}
    assert 3 <= len(stems["val"]) <= 9
    for variant in (FULL, CLASS_300, "annotations_300"):
        before = load(small_set, "train", variant)
        parts = {split: load(out, split, variant) for split in sides}
        for split, data in parts.items():
            assert {Path(i["file_name"]).stem for i in data["images"]} == stems[split]
            assert {k: v for k, v in data.items() if k not in ("images", "annotations")} == {
                k: v for k, v in before.items() if k not in ("images", "annotations")
            }
            load_as_detectron2_does(path_of(out, split, variant), out / f"{split}_images")
        for key in ("images", "annotations"):
            both = chain.from_iterable(part[key] for part in parts.values())
            assert sorted(both, key=lambda r: r["id"]) == before[key]
    capsys.readouterr()
    for split in sides:
        assert {p.stem for p in (out / f"{split}_images").iterdir()} == stems[split]
        assert {p.stem for p in (out / f"{split}_semantic_masks").iterdir()} == stems[split]
    test = {k: v for k, v in files_of(small_set).items() if "test_" in k and "meta" not in k}
    assert {k: v for k, v in files_of(out).items() if "test_" in k and "meta" not in k} == test
    assert any("n-shot subsets were left out" in note for note in done.notes)
    assert mtfast.open_source(out).splits == ("train", "test", "val")
    with pytest.raises(mtfast.MtfastError, match="has a split 'val'; expected none yet"):
        derive_validation(out, tmp_path / "again", 0.3)


@pytest.mark.parametrize("fraction", [0.001, 0.2, 0.5, 0.9, 0.999])
def test_choice_of_runs(rng, fraction):
    runs = [f"run {k}" for k in rng.integers(0, 12, 300)]
    chosen = choose_runs(runs, fraction, seed=3)
    inside = {run for run, yes in zip(runs, chosen, strict=True) if yes}
    outside = {run for run, yes in zip(runs, chosen, strict=True) if not yes}
    assert inside
    assert outside
    assert not inside & outside
    assert abs(chosen.mean() - fraction) < 0.12
    # The order of the images does not matter.
    order = rng.permutation(300)
    again = choose_runs([runs[k] for k in order], fraction, seed=3)
    np.testing.assert_array_equal(again, chosen[order])
    assert {tuple(choose_runs(runs, 0.5, seed=s)) for s in range(9)} != {tuple(chosen)}


def test_lists_of_sets_are_divided_too(small_set, tmp_path):
    src = tmp_path / "src"
    make_copy(small_set, src)
    path = src / "meta_data" / "train_set_name_to_uuid.json"
    lists = json.loads(path.read_bytes())
    path.write_text(json.dumps({**lists, "train sets": [*lists, "Set_of_no_image"]}))
    derive_validation(src, tmp_path / "out", 0.3, images=False)
    new = {
        split: json.loads((tmp_path / f"out/meta_data/{split}_set_name_to_uuid.json").read_bytes())
        for split in ("train", "val")
    }
    listed = new["train"].pop("train sets")
    assert {**new["train"], **new["val"]} == lists
    assert 0 < len(new["val"]) < len(lists)
    assert listed == [*(name for name in lists if name in new["train"]), "Set_of_no_image"]


def test_the_last_seed_is_one(small_set, tmp_path):
    mtfast.derive_dataset(small_set, tmp_path / "out", n_shot="seeded", seed=2**32 - 1)


def test_a_run_that_is_too_large_is_passed_over():
    runs = ["large"] * 90 + [f"small {k}" for k in range(10)]
    for seed in range(20):
        assert choose_runs(runs, 0.05, seed).sum() == 5


def test_validation_without_runs_says_so(tmp_path):
    write_coco(tmp_path / "a.json", [f"{k}.jpg" for k in range(10)])
    done = derive_validation(tmp_path / "a.json", tmp_path / "out", 0.2)
    assert len(load(tmp_path / "out", "val", FULL)["images"]) == 2
    assert "the exfoliation run of 10 of 10 images is not known" in done.notes[0]
    write_coco(tmp_path / "b.json", ["x.jpg"])
    for fraction, words in ((0.5, "1 exfoliation run; expected at least two"), (1.5, "1.5 for")):
        with pytest.raises(mtfast.MtfastError, match=words):
            derive_validation(tmp_path / "b.json", tmp_path / "no", fraction)


# Merging


def write_coco(path, names, categories=("a", "b"), first=1, **others):
    images = [
        {"id": first + k, "file_name": n, "height": 4, "width": 5} for k, n in enumerate(names)
    ]
    annotations = [
        {"id": first + 10 + k, "image_id": image["id"], "category_id": k % len(categories) + 1,
         "segmentation": [[0, 0, 3, 0, 3, 3]], "iscrowd": 0, "mark": f"{path.name} {k}",
         "bbox": [0, 0, 3, 3], "area": 6}
        for k, image in enumerate(images)
    ]  # fmt: skip
    listed = [{"id": k, "name": name} for k, name in enumerate(categories, 1)]
    data = {"images": images, "annotations": annotations, "categories": listed, **others}
    path.write_text(json.dumps(data))
    return data


def test_merged_sets_keep_their_annotations(small_set, tmp_path, capsys):
    other = make_set(tmp_path / "other", train=7, test=0, size=(100, 120), seed=1, workers=1)
    out = tmp_path / "out"
    done = derive_merged([small_set, other], out)
    shifts = set()
    for variant in mtfast.open_source(other).variants("train")[:6]:
        data = load(out, "train", variant)
        parts = [load(root, "train", variant) for root in (small_set, other)]
        for key in ("images", "annotations"):
            ids = [record["id"] for record in data[key]]
            assert len(set(ids)) == len(ids) == len(parts[0][key]) + len(parts[1][key])
            assert data[key][: len(parts[0][key])] == parts[0][key]
        names = {i["id"]: i["file_name"] for part in parts[1:] for i in part["images"]}
        new_names = {i["id"]: i["file_name"] for i in data["images"]}
        later = data["annotations"][len(parts[0]["annotations"]) :]
        for old, new in zip(parts[1]["annotations"], later, strict=True):
            assert {**new, "id": 0, "image_id": 0} == {**old, "id": 0, "image_id": 0}
            assert names[old["image_id"]] == new_names[new["image_id"]]
            shifts.add((new["id"] - old["id"], new["image_id"] - old["image_id"]))
        load_as_detectron2_does(path_of(out, "train", variant), out / "train_images")
    capsys.readouterr()
    n = len(load(small_set, "train", FULL)["annotations"])
    assert shifts == {(n, 20)}
    assert path_of(out, "test", FULL).read_bytes() == path_of(small_set, "test", FULL).read_bytes()
    assert len(list((out / "train_semantic_masks").iterdir())) == 27
    # Both sets have a Set_Graphene_001.
    runs = runs_of(out, "train")
    assert runs["other_Set_Graphene_001"] == runs_of(other, "train")["Set_Graphene_001"]
    assert sum(map(len, runs.values())) == 27
    assert [n.partition(":")[0] for n in done.notes] == ["left out of train"]


def test_categories_licenses_and_other_keys_of_merged_files(tmp_path):
    write_coco(tmp_path / "a.json", ["1.jpg"], ("x", "y"), licenses=[{"id": 1}], info=1, odd=[1.5])
    b = write_coco(tmp_path / "b.json", ["2.jpg", "3.jpg"], ("y", "z"), info=2, more=3)
    b["licenses"] = [{"id": 1, "name": "CC"}]
    b["images"][0]["license"] = 1
    (tmp_path / "b.json").write_text(json.dumps(b))
    derive_merged([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "out")
    data = load(tmp_path / "out", "train", FULL)
    assert data["categories"] == [
        *({"id": 1, "name": "x"}, {"id": 2, "name": "y"}, {"id": 3, "name": "z"})
    ]
    assert [a["category_id"] for a in data["annotations"]] == [1, 2, 3]
    assert [a["mark"] for a in data["annotations"]] == ["a.json 0", "b.json 0", "b.json 1"]
    assert data["licenses"] == [{"id": 1}, {"id": 2, "name": "CC"}]
    assert [i.get("license") for i in data["images"]] == [None, 2, None]
    assert (data["info"], data["odd"], data["more"]) == (1, [1.5], 3)


def test_ids_of_three_sets_do_not_meet(tmp_path):
    """Neither where the middle one has nothing, nor where its ids are above those of the last."""
    for middle in ({"names": []}, {"names": ["2.jpg", "3.jpg"], "first": 70}):
        write_coco(tmp_path / "a.json", ["0.jpg", "1.jpg"], first=40)
        write_coco(tmp_path / "b.json", **middle)
        write_coco(tmp_path / "c.json", ["4.jpg", "5.jpg"], first=0)
        out = tmp_path / f"out{len(middle)}"
        derive_merged([tmp_path / f"{name}.json" for name in "abc"], out)
        data = load(out, "train", FULL)
        names = {image["id"]: image["file_name"] for image in data["images"]}
        assert len(names) == len(data["images"]) == 4 + len(middle["names"])
        assert len({a["id"] for a in data["annotations"]}) == len(names)
        assert [int(names[a["image_id"]][0]) for a in data["annotations"]] == sorted(
            int(name[0]) for name in names.values()
        )
        mtfast.open_source(out).table("train", FULL)


def test_class_agnostic_files_merge_whatever_their_category_is_called(tmp_path):
    for name, category in (("a", {"id": 1, "name": "flake"}), ("b", {"id": 7, "name": "any"})):
        path = path_of(tmp_path / name, "train", "annotations_300")
        path.parent.mkdir(parents=True)
        data = write_coco(path, [f"{name}.jpg"], categories=("x",))
        data["categories"] = [category]
        for annotation in data["annotations"]:
            annotation["category_id"] = category["id"]
        path.write_text(json.dumps(data))
    derive_merged([tmp_path / "a", tmp_path / "b"], tmp_path / "out")
    data = load(tmp_path / "out", "train", "annotations_300")
    assert data["categories"] == [{"id": 1, "name": "flake"}]
    assert [a["category_id"] for a in data["annotations"]] == [1, 1]


@pytest.mark.parametrize("first", [0, 1, 5])
def test_licenses_of_merged_files_do_not_share_ids(tmp_path, first):
    for name in "ab":
        data = write_coco(tmp_path / f"{name}.json", [f"{name}1.jpg", f"{name}2.jpg"])
        data["licenses"] = [{"id": first + k, "name": f"{name} {k}"} for k in range(2)]
        for k, image in enumerate(data["images"]):
            image["license"] = first + k
        (tmp_path / f"{name}.json").write_text(json.dumps(data))
    derive_merged([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "out")
    data = load(tmp_path / "out", "train", FULL)
    names = {one["id"]: one["name"] for one in data["licenses"]}
    assert [names[image["license"]] for image in data["images"]] == ["a 0", "a 1", "b 0", "b 1"]


@pytest.mark.parametrize("licenses", [[{"name": "CC"}], {"id": 1}, ["CC"]])
def test_licenses_without_ids_do_not_merge(tmp_path, licenses):
    write_coco(tmp_path / "a.json", ["1.jpg"])
    write_coco(tmp_path / "b.json", ["2.jpg"], licenses=licenses)
    with pytest.raises(mtfast.MtfastError, match=r"^b.json: licenses .*; expected a list of lic"):
        derive_merged([tmp_path / "a.json", tmp_path / "b.json"], tmp_path / "out")


def test_masks_with_other_category_ids_are_left_out(small_set, tmp_path):
    other = make_set(tmp_path / "other", train=3, test=0, size=(64, 64), workers=1)
    for variant in mtfast.open_source(other).variants("train"):
        if "with_class" in variant and "/" not in variant:
            rewrite(other, "train", variant, lambda data: data["categories"].reverse())
            rewrite(
                other,
                "train",
                variant,
                lambda data: [c.update(id=c["id"] % 4 + 1) for c in data["categories"]],
            )
    done = derive_merged([small_set, other], tmp_path / "out")
    assert len(list((tmp_path / "out" / "train_semantic_masks").iterdir())) == 20
    assert any("masks of train in other were left out" in note for note in done.notes)
    done = derive_merged([other, small_set], tmp_path / "out2", images=False)
    assert done.n_images == 0


def test_match_categories():
    assert match_categories([{}, {5: "a", 6: "a"}]) == [{}, {5: 5, 6: 6}]
    assert match_categories([{1: "a", 2: "a"}, {9: "a", 1: "b"}, {1: "b"}]) == [
        *({1: 1, 2: 2}, {9: 1, 1: 3}, {1: 3})
    ]


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ({"names": ["1.jpg"]}, "image '1.jpg' is in train of both .*a.json and .*b.json; expected"),
        ({"names": ["2.jpg"], "categories": ()}, "of category 1, which is not listed; expected"),
        ({"names": ["2.jpg"], "first": 2**63 - 20}, "ids up to .* after renumbering; expected"),
        (None, "1 set to merge; expected at least two"),
    ],
)
def test_sets_that_do_not_merge(tmp_path, second, words):
    write_coco(tmp_path / "a.json", ["1.jpg"])
    if second:
        data = write_coco(tmp_path / "b.json", second["names"], first=second.get("first", 1))
        if "categories" in second:
            data["categories"] = []
            (tmp_path / "b.json").write_text(json.dumps(data))
    sources = [tmp_path / "a.json", tmp_path / "b.json"][: 2 if second else 1]
    with pytest.raises(mtfast.MtfastError, match=words):
        derive_merged(sources, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# One door


def test_one_function_has_the_options_of_the_command(small_set, tmp_path):
    calls = [
        ({"min_areas": [400], "splits": ["test"]}, partial(derive_variants, small_set)),
        ({"validation": 0.3, "seed": 2}, partial(derive_validation, small_set, fraction=0.3)),
        (
            {"merge": [tmp_path / "b.json"]},
            partial(derive_merged, [small_set, tmp_path / "b.json"]),
        ),
    ]
    write_coco(tmp_path / "b.json", ["1.jpg"])
    for number, (options, derive) in enumerate(calls):
        out, expected = tmp_path / f"out{number}", tmp_path / f"expected{number}"
        done = mtfast.derive_dataset(small_set, out, images=False, **options)
        options.pop("validation", None), options.pop("merge", None)
        assert replace(done, path=expected) == derive(out=expected, images=False, **options)
        assert files_of(out) == files_of(expected)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "nothing to derive; expected one of min_areas=.* and the like"),
        (
            {"merge": ["x"], "validation": 0.5},
            r"validation=… and merge=\[…\] to derive; .* after anoth",
        ),
        ({"n_shot": "seeded", "merge": ["x"]}, "new annotation files and merge="),
        ({"validation": 0.5, "splits": ["train"]}, "leave out splits="),
        ({"min_areas": [3], "before": [1]}, "leave out before="),
        ({"n_shot": "seeded", "before": [1]}, "leave out before="),
        ({"n_shot": "seeded", "seed": -1}, "seed -1; expected 0 to 4294967295"),
        ({"validation": 0.5, "seed": 2**32}, "seed 4294967296; expected"),
        ({"min_areas": [3], "splits": ["tran"]}, "no split 'tran' in Graphene; .* mean 'train'"),
        ({"n_shot": "seeded", "splits": ["test"]}, "no split 'train' in Graphene"),
    ],
)
def test_options_that_do_not_go_together(small_set, tmp_path, options, words):
    with pytest.raises(mtfast.MtfastError, match=words):
        mtfast.derive_dataset(small_set, tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("options", [{"min_areas": [3]}, {"validation": 0.5}, {"merge": ["."]}])
def test_addresses_are_refused(small_set, tmp_path, monkeypatch, options):
    monkeypatch.chdir(tmp_path)
    write_coco(tmp_path / "b.json", ["1.jpg"])
    options = options | ({"merge": ["b.json"]} if "merge" in options else {})
    words = {"out": "none://bucket/set begins with none://", "s3://bucket/set": "s3:.* is an addr"}
    for source, out in (("none://bucket/set", "out"), (small_set, "s3://bucket/set")):
        with pytest.raises(mtfast.MtfastError, match=f"^{words[out]}"):
            mtfast.derive_dataset(source, out, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["b.json"]


def test_a_store_is_refused(tmp_path):
    (tmp_path / "zarr.json").touch()
    with pytest.raises(mtfast.SourceError, match="is a store; .*; pass the source"):
        mtfast.derive_dataset(tmp_path, tmp_path / "out", min_areas=[3])


# The new folder


def test_nothing_half_written_is_left(small_set, tmp_path):
    def stop(what, done, total):
        if what.startswith("adding images"):
            raise KeyboardInterrupt

    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").touch()
    before = files_of(small_set)
    for derive in (
        lambda out, **o: derive_variants(small_set, out, min_areas=[400], **o),
        lambda out, **o: derive_validation(small_set, out, 0.2, **o),
    ):
        with pytest.raises(KeyboardInterrupt):
            derive(tmp_path / "out", progress=stop)
        with pytest.raises(mtfast.MtfastError, match="full is not empty; expected"):
            derive(tmp_path / "full")
    assert [p.name for p in tmp_path.iterdir()] == ["full"]
    assert files_of(small_set) == before


def test_pictures_are_copied_where_they_cannot_be_linked(small_set, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    done = derive_variants(small_set, tmp_path / "out", min_areas=[400])
    assert done.n_copied == done.n_images + done.n_masks
    before, after = files_of(small_set), files_of(tmp_path / "out")
    pictures = {k: v for k, v in before.items() if k.endswith((".jpg", ".png"))}
    assert {k: after[k] for k in pictures} == pictures
    name = next(iter(pictures))
    assert not (tmp_path / "out" / name).samefile(small_set / name)


def test_symbolic_links_are_followed(tmp_path):
    write_coco(tmp_path / "a.json", ["1.jpg"])
    (tmp_path / "images").mkdir()
    (tmp_path / "elsewhere.jpg").write_text("pixels")
    (tmp_path / "images" / "1.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    derive_variants(tmp_path / "a.json", tmp_path / "out", min_areas=[1])
    made = tmp_path / "out" / "train_images" / "1.jpg"
    assert not made.is_symlink()
    assert made.samefile(tmp_path / "elsewhere.jpg")


def test_images_of_all_annotation_files_come_over(tmp_path):
    for variant, names in (("annotations", ["1.jpg"]), ("annotations_300", ["2.jpg", "1.jpg"])):
        path = path_of(tmp_path / "src", "train", variant)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_coco(path, names)
    (tmp_path / "src" / "train_images").mkdir()
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / "src" / "train_images" / name).write_text(name)
    done = derive_validation(tmp_path / "src", tmp_path / "out", 0.5)
    assert done.n_images == 2
    # A MaskTerial set keeps the names of its variants, whatever they are.
    (path_of(tmp_path / "src", "train", "annotations_300")).unlink()
    write_coco(path_of(tmp_path / "src", "train", "annotations"), ["1.jpg", "2.jpg"])
    derive_validation(tmp_path / "src", tmp_path / "out2", 0.5)
    assert mtfast.open_source(tmp_path / "out2").variants("val") == ("annotations",)


def test_masks_come_over_without_images(small_set, tmp_path):
    src = tmp_path / "src"
    make_copy(small_set, src)
    shutil.rmtree(src / "train_images")
    done = derive_variants(src, tmp_path / "out", min_areas=[400])
    assert (done.n_images, done.n_masks) == (6, 26)
    assert done.notes == [
        f"{split}: variant='annotations_with_class_400' reads what was made; without it "
        f"commands read annotations_with_class_200"
        for split in ("train", "test")
    ]


def test_pictures_of_coco_files(tmp_path):
    """Names with folders keep them; missing ones are told; two never become one."""
    write_coco(tmp_path / "a.json", ["x/1.jpg", "y/1.jpg", "2.jpg"])
    for name in ("x/1.jpg", "y/1.jpg"):
        (tmp_path / "images" / name).parent.mkdir(parents=True)
        (tmp_path / "images" / name).write_text(name)
    done = derive_variants(tmp_path / "a.json", tmp_path / "out", min_areas=[1])
    assert files_of(tmp_path / "out" / "train_images") == {
        n: n.encode() for n in ("x/1.jpg", "y/1.jpg")
    }
    assert done.notes == ["1 image of train without a file of its own in a, such as 2.jpg"]
    write_coco(tmp_path / "a.json", ["../images/x/1.jpg", "1.jpg"])
    (tmp_path / "images" / "1.jpg").write_text("mine")
    with pytest.raises(mtfast.MtfastError, match="two pictures would both be train_images/1.jpg"):
        derive_variants(tmp_path / "a.json", tmp_path / "out2", min_areas=[1])
    assert (tmp_path / "images" / "1.jpg").read_text() == "mine"


def test_a_file_that_two_names_lead_to_comes_over_for_neither(tmp_path):
    write_coco(tmp_path / "a.json", ["x/1.jpg", "y/1.jpg", "2.jpg"])
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_text(name)
    done = derive_variants(tmp_path / "a.json", tmp_path / "out", min_areas=[1])
    assert files_of(tmp_path / "out" / "train_images") == {"2.jpg": b"2.jpg"}
    assert done.notes[0] == "2 images of train without a file of its own in a, such as x/1.jpg"


def test_images_beside_the_file_come_over(tmp_path):
    """As of labelme2coco.py: there is no folder of images, and names say where they are."""
    write_coco(tmp_path / "a.json", ["JPEGImages/1.jpg", "JPEGImages/2.jpg"])
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "JPEGImages" / "1.jpg").write_text("1")
    done = derive_variants(tmp_path / "a.json", tmp_path / "out", min_areas=[1])
    assert files_of(tmp_path / "out" / "train_images") == {"JPEGImages/1.jpg": b"1"}
    assert "1 image of train without a file of its own in a, such as JPEGImages/2.jpg" in done.notes


def test_records_are_those_of_the_table(small_set, labelled, tmp_path):
    write_coco(tmp_path / "a.json", ["1.jpg", "2.jpg"])
    for path in (small_set, labelled, tmp_path / "a.json"):
        source = mtfast.open_source(path)
        for variant in (source.variants("train")[0], source.variants("train")[-1]):
            table, records = source.table("train", variant), source.records("train", variant)
            annotations = [json.loads(bytes(a)) for a in records.annotations]
            assert [annotations[k]["id"] for k in table.positions] == table.instance_ids.tolist()
            assert records.image_keys.names == table.names.tolist()
            assert records.image_keys.ids.tolist() == table.image_ids.tolist()
            assert [a["category_id"] for a in annotations] == (
                records.annotation_keys.category_ids.tolist()
            )
            assert json.loads(records.encode()) == json.loads(records.text)


def test_classes_may_be_null_as_where_there_are_none(tmp_path):
    write_coco(tmp_path / "a.json", ["1.jpg"])
    data = json.loads((tmp_path / "a.json").read_text()) | {"categories": None}
    (tmp_path / "a.json").write_text(json.dumps(data))
    source = mtfast.open_source(tmp_path / "a.json", bad="repair")
    derive_variants(source, tmp_path / "out", min_areas=[0])
    assert mtfast.open_source(tmp_path / "out").table("train", FULL).categories == (
        source.table("train", "annotations").categories
    )


@pytest.mark.parametrize("mapping", [{}, {0: 9}])
def test_classes_that_are_repaired_are_listed_in_the_new_set(tmp_path, mapping):
    write_coco(tmp_path / "a.json", ["1.jpg"])
    data = json.loads((tmp_path / "a.json").read_text())
    data["annotations"][0]["category_id"] = 0 if mapping else 9
    (tmp_path / "a.json").write_text(json.dumps(data))
    source = mtfast.open_source(tmp_path / "a.json", bad="repair", mapping=mapping)
    derive_variants(source, tmp_path / "out", min_areas=[0])
    made = load(tmp_path / "out", "train", FULL)
    assert {a["category_id"] for a in made["annotations"]} <= {c["id"] for c in made["categories"]}
    table = mtfast.open_source(tmp_path / "out").table("train", FULL)
    assert table.categories == source.table("train", "annotations").categories


def test_a_table_becomes_the_records_that_it_was_read_from(small_set):
    source = mtfast.open_source(small_set)
    table = source.table("train", FULL)
    crowds = replace(table, iscrowd=(table.instance_ids % 3 == 0).astype(np.uint8))
    made = json.loads(records_of(crowds, "made").text)
    data = load(small_set, "train", FULL)
    for annotation in data["annotations"]:
        annotation["iscrowd"] = int(annotation["id"] % 3 == 0)
    for key in ("images", "annotations", "categories"):
        assert made[key] == data[key]
    assert 0 < sum(a["iscrowd"] for a in made["annotations"]) < len(made["annotations"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "a.json is an empty list; expected a JSON file of COCO"),
        ('{"images": []}', "a.json: no annotations in the file; expected a COCO JSON file"),
        ('{"images": [{"id": "x"}], "annotations": []}', "a.json: Expected `int`"),
        ('{"images": [', "a.json: Input data was truncated"),
    ],
)
def test_bad_files_are_named(tmp_path, text, words):
    (tmp_path / "a.json").write_text(text)

    def read() -> object:
        records = mtfast.open_source(tmp_path / "a.json").records("train", "annotations")
        return records.image_keys, records.annotations

    with pytest.raises(mtfast.MtfastError, match=words):
        read()


# --- what is read in another way


def test_classes_get_other_numbers_in_all_files(small_set, tmp_path):
    mapping = {1: 7, 2: 1}
    done = mtfast.derive_dataset(
        mtfast.open_source(small_set, mapping=mapping), tmp_path / "out", min_areas=[500]
    )
    for split in ("train", "test"):
        for variant in (CLASS_300, FULL):
            before, after = (load(path, split, variant) for path in (small_set, tmp_path / "out"))
            for annotation in before["annotations"]:
                old = annotation["category_id"]
                annotation["category_id"] = mapping.get(old, old)
            assert before["annotations"] == after["annotations"]
            names = {mapping.get(c["id"], c["id"]): c["name"] for c in before["categories"]}
            assert {c["id"]: c["name"] for c in after["categories"]} == names
    made = mtfast.open_source(tmp_path / "out").table("train", "annotations_with_class_500")
    read = mtfast.open_source(small_set, mapping=mapping).table("train", CLASS_300)
    large = read.area() > 500
    assert made.category_ids.tolist() == read.category_ids[large].tolist()
    assert not (tmp_path / "out/train_semantic_masks").exists(), "they show the old numbers"
    assert "masks of train in small were left out: they show category ids that have changed" in [
        note.replace(f" {small_set.name} ", " small ") for note in done.notes
    ]


def test_a_class_that_takes_the_number_of_another_takes_none_of_its_name(tmp_path):
    table = make_table([[np.ones((4, 4), np.uint8)] * 4], (4, 4))
    records = with_mapped_classes(records_of(table, "a"), {1: 2})
    read = mtfast.open_source(write(tmp_path / "a.json", records_of(table, "a")), mapping={1: 2})
    there = mtfast.open_source(write(tmp_path / "b.json", records))
    for what in ("categories", "category_ids"):
        assert np.array_equal(
            *(getattr(s.table("train", "annotations"), what) for s in (read, there))
        )


def write(path: Path, records) -> Path:
    path.write_bytes(records.encode())
    return path


def test_maps_alone_make_a_set(small_set, tmp_path):
    assert invoke("derive", str(small_set), str(tmp_path / "out"), "--map", "1=9")[0] == 0
    found = load(tmp_path / "out", "train", CLASS_300)
    before = load(small_set, "train", CLASS_300)
    assert [a["category_id"] for a in found["annotations"]] == [
        9 if a["category_id"] == 1 else a["category_id"] for a in before["annotations"]
    ]


def test_one_variant_is_derived_from_and_carried_over(small_set, tmp_path):
    mtfast.derive_dataset(small_set, tmp_path / "out", variant=FULL, min_areas=[400])
    names = {p.name for p in (tmp_path / "out/RLE_annotations").rglob("*.json")}
    assert names == {
        f"{split}_{variant}.json"
        for split in ("train", "test")
        for variant in (FULL, "annotations_with_class_400")
    }
    table = mtfast.open_source(small_set).table("train", FULL)
    made = mtfast.open_source(tmp_path / "out").table("train", "annotations_with_class_400")
    kept = table.instance_ids[table.area() > 400]
    assert made.instance_ids.tolist() == kept.tolist()


def test_a_variant_that_is_not_there_is_said(small_set, tmp_path):
    with pytest.raises(MtfastError, match="no variant of train 'full'"):
        mtfast.derive_dataset(small_set, tmp_path / "out", variant="full")


def test_masks_that_may_show_another_file_are_said(small_set, tmp_path):
    """Shipped masks show one annotation file, whichever is kept."""
    for name, is_said in (("annotations_with_class_200", False), (FULL, True)):
        done = mtfast.derive_dataset(small_set, tmp_path / name, variant=name)
        assert done.n_masks > 0
        said = [note for note in done.notes if f"may show other instances than {FULL}; " in note]
        assert bool(said) == is_said, done.notes
    assert not (tmp_path / "out").exists()


def test_images_elsewhere_are_linked(tmp_path):
    table = make_table([[np.ones((4, 4), np.uint8)]], (4, 4))
    (tmp_path / "annotations").mkdir()
    file = write(tmp_path / "annotations/a.json", records_of(table, "a"))
    (tmp_path / "pictures").mkdir()
    (name,) = table.names.tolist()
    Image.new("RGB", (4, 4)).save(tmp_path / "pictures" / name)
    line = ["derive", file, tmp_path / "out", "--image-folder", tmp_path / "pictures"]
    assert invoke(*map(str, line), "--min-area", "3")[0] == 0
    assert (tmp_path / "out/train_images" / name).samefile(tmp_path / "pictures" / name)
