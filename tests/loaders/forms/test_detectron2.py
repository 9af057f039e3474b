"""The dicts for detectron2 and Mask2Former, compared with the files of the set.

Where detectron2 is installed, its own mapper is asked as well.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from mtfast.loaders.batches import pack_batch, unpack_batch
from mtfast.loaders.forms import FORMS, apply_transform
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import Augment

VARIANT = "annotations_with_class_200"


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("forms") / "s.zarr"
    return mtfast.convert(small_set, path, splits=["train"])


@pytest.fixture
def structures(monkeypatch):
    """Stand-ins that keep what they are given, as detectron2 is not on any package index."""

    class Instances(SimpleNamespace):
        def __init__(self, image_size, **fields):
            super().__init__(image_size=image_size, **fields)

    module = ModuleType("detectron2.structures")
    module.Instances = Instances
    module.Boxes = lambda tensor: SimpleNamespace(kind="boxes", tensor=tensor)
    module.BitMasks = lambda tensor: SimpleNamespace(kind="bit masks", tensor=tensor)
    monkeypatch.setitem(sys.modules, "detectron2", ModuleType("detectron2"))
    monkeypatch.setitem(sys.modules, "detectron2.structures", module)


def read_samples(store, image_format="RGB", **options):
    """What a dataset converts, and the views."""
    reader = Reader(store, variant=VARIANT, **options)
    for position in range(len(reader)):
        read = reader.read(SampleKey(2, position))
        (sample,) = unpack_batch(pack_batch([read], None, image_format))
        yield sample, read.view


def dataset_dicts(folder):
    """The annotation file as detectron2 loads it, by names of images."""
    content = json.loads((folder / "RLE_annotations" / f"train_{VARIANT}.json").read_text())
    classes = {id_: k for k, id_ in enumerate(sorted(c["id"] for c in content["categories"]))}
    dicts = {}
    for image in content["images"]:
        name = image["file_name"]
        found = [a for a in content["annotations"] if a["image_id"] == image["id"]]
        for annotation in found:
            annotation["category_id"] = classes[annotation["category_id"]]
            annotation["bbox_mode"] = 1  # XYWH_ABS
        dicts[name] = {
            "file_name": str(next(folder.rglob(f"train_images/{name}"))),
            "height": image["height"],
            "width": image["width"],
            "annotations": found,
        }
    return dicts


def expected_instances(annotations, view):
    """Masks and classes of what the view shows of the annotations, in their order."""
    masks, classes = [], []
    for annotation in annotations:
        mask = coco_mask.decode(annotation["segmentation"]).astype(bool)
        mask = view.orient(mask[view.y : view.y + view.h, view.x : view.x + view.w])
        if mask.any():
            masks.append(mask)
            classes.append(annotation["category_id"])
    return masks, classes


def box_of(mask):
    ys, xs = np.nonzero(mask)
    return [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
@pytest.mark.parametrize("options", [{}, {"crop": (64, 96), "augment": Augment(near=1)}])
@pytest.mark.parametrize("form", ["detectron2", "mask2former"])
def test_samples_are_what_the_files_say(structures, store, small_set, form, image_format, options):
    files = dataset_dicts(small_set)
    n = 0
    for sample, view in read_samples(store, image_format, **options):
        made = FORMS[form].convert(sample)
        assert list(made) == [
            *("file_name", "image_id", "height", "width", "image", "sem_seg", "instances")
        ]
        assert made["image_id"] == sample["index"]
        given = files[made["file_name"]]
        with Image.open(given["file_name"]) as file:
            pixels = np.asarray(file.convert("RGB"))
        pixels = view.orient(pixels[view.y : view.y + view.h, view.x : view.x + view.w])
        if image_format == "BGR":
            pixels = pixels[:, :, ::-1]
        assert made["image"].dtype == torch.uint8
        assert np.array_equal(made["image"], pixels.transpose(2, 0, 1))
        assert (made["height"], made["width"]) == pixels.shape[:2]

        masks, classes = expected_instances(given["annotations"], view)
        semantic = np.zeros(pixels.shape[:2], np.int64)
        for mask, number in zip(masks, classes, strict=True):
            semantic[mask] = number + 1
        assert made["sem_seg"].dtype == torch.int64
        assert np.array_equal(made["sem_seg"], semantic)

        found = made["instances"]
        assert found.image_size == pixels.shape[:2]
        assert found.gt_classes.dtype == torch.int64
        assert found.gt_classes.tolist() == classes
        assert found.gt_boxes.kind == "boxes"
        assert found.gt_boxes.tensor.dtype == torch.float32
        assert found.gt_boxes.tensor.tolist() == [box_of(mask) for mask in masks]
        plain = found.gt_masks
        if form == "detectron2":
            assert plain.kind == "bit masks"
            plain = plain.tensor
        assert plain.dtype == torch.bool
        assert np.array_equal(plain, np.reshape(masks, (-1, *pixels.shape[:2])).astype(bool))
        n += len(masks)
    assert n > 20


def test_only_what_was_asked_for(store):
    """Without instances nothing of detectron2 is used."""
    for targets, images, added in (
        (["semantic"], True, {"image", "sem_seg"}),
        ([], True, {"image"}),
        (["semantic"], False, {"sem_seg"}),
    ):
        sample, _ = next(read_samples(store, targets=targets, images=images))
        made = FORMS["detectron2"].convert(sample)
        assert set(made) == {"file_name", "image_id", "height", "width"} | added


def test_after_a_transform(structures, store):
    """Predictions are resized to the size before it; instances that it emptied are dropped."""

    def halve(sample):
        for key in ("image", "semantic", "masks"):
            sample[key] = sample[key][..., ::2, ::2]
        sample["boxes"] = sample["boxes"] / 2
        sample["masks"][0] = False
        return sample | {"depth": torch.ones(3)}

    sample, _ = next(read_samples(store, crop=(64, 96)))
    n = len(sample["ids"])
    assert n
    changed = apply_transform("mask2former", sample, halve)
    for form in ("detectron2", "mask2former"):
        made = FORMS[form].convert(changed)
        assert (made["height"], made["width"]) == (64, 96)
        assert made["image"].shape == (3, 32, 48)
        assert made["instances"].image_size == (32, 48)
        assert len(made["instances"].gt_classes) == int((changed["areas"] > 0).sum()) < n
        assert torch.equal(made["depth"], torch.ones(3))


def test_turned_samples(store):
    """Height and width are those after turning."""
    augment = Augment()
    turns = set()
    for sample, view in read_samples(store, crop=(40, 60), augment=augment, targets=[]):
        made = FORMS["detectron2"].convert(sample)
        assert made["image"].shape == (3, 40, 60)
        assert (made["height"], made["width"]) == (40, 60)
        turns.add(view.turns % 2)
    assert turns == {0, 1}


@pytest.mark.skipif(find_spec("detectron2") is None, reason="no detectron2")
@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
@pytest.mark.parametrize("crop", [None, 96])
def test_detectron2s_own_mapper(store, small_set, image_format, crop):
    from torchvision_ops import import_torchvision

    import_torchvision()
    from detectron2.data import DatasetMapper
    from detectron2.data import transforms as steps

    files = dataset_dicts(small_set)
    augment = Augment(near=1, turn=False) if crop else None
    for sample, view in read_samples(store, image_format, crop=crop, augment=augment):
        transforms = [steps.CropTransform(view.x, view.y, view.w, view.h)]
        transforms += [steps.HFlipTransform(view.w)] * view.mirrored
        mapper = DatasetMapper(
            True,
            augmentations=transforms,
            image_format=image_format,
            use_instance_mask=True,
            instance_mask_format="bitmask",
            recompute_boxes=True,
        )
        made = FORMS["detectron2"].convert(sample)
        expected = mapper(files[made["file_name"]])
        assert torch.equal(made["image"], expected["image"])
        ours, theirs = made["instances"], expected["instances"]
        assert ours.image_size == theirs.image_size
        assert torch.equal(ours.gt_classes, theirs.gt_classes)
        assert torch.equal(ours.gt_boxes.tensor, theirs.gt_boxes.tensor)
        assert torch.equal(ours.gt_masks.tensor, theirs.gt_masks.tensor)
