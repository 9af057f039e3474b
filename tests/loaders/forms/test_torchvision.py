"""The form for torchvision's detection models, with one of these models."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from mtfast.loaders.forms.torchvision import convert
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, Loader
from mtfast.loaders.views import Augment
from torchvision_ops import import_torchvision

OPTIONS = {"crop": 64, "augment": Augment(near=1), "seed": 2}


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("forms") / "s.zarr"
    return mtfast.convert(small_set, path, splits=["train"])


def test_targets(store):
    plain, pairs = Dataset(store, **OPTIONS), Dataset(store, form="torchvision", **OPTIONS)
    for position in range(20):
        sample, (image, target) = plain[SampleKey(0, position)], pairs[SampleKey(0, position)]
        assert image.dtype == torch.float32
        assert np.array_equal(image, np.float32(sample["image"].numpy()) / np.float32(255))
        assert list(target) == [
            *("image_id", "boxes", "labels", "masks", "area", "iscrowd", "semantic")
        ]
        assert target["image_id"] == sample["index"]
        for key in ("boxes", "labels", "semantic"):
            assert torch.equal(target[key], sample[key])
        assert target["masks"].dtype == torch.uint8
        assert np.array_equal(target["masks"], sample["masks"].numpy())
        assert target["area"].tolist() == sample["masks"].sum((1, 2)).tolist()
        assert target["iscrowd"].tolist() == [0] * len(sample["ids"])
    assert sum(len(pairs[SampleKey(0, k)][1]["labels"]) for k in range(20)) > 20


def test_images_after_a_transform(store):
    sample = Dataset(store, **OPTIONS)[SampleKey(0, 0)]
    floats = sample | {"image": torch.rand(3, 64, 64), "depth": torch.ones(2)}
    image, target = convert(floats)
    assert torch.equal(image, floats["image"])
    assert torch.equal(target["depth"], torch.ones(2))
    image, target = convert({k: v for k, v in sample.items() if k != "image"})
    assert image is None
    assert len(target["masks"])


def test_instances_that_a_transform_left_nothing_of(store):
    sample = Dataset(store, **OPTIONS)[SampleKey(0, 0)]
    three = {
        "masks": torch.ones(3, 64, 64, dtype=torch.bool),
        "boxes": torch.tensor([[0, 0, 9, 9], [5, 5, 5, 9], [1, 2, 3, 4.0]]),
        "labels": torch.tensor([1, 2, 3]),
        "areas": torch.tensor([4096, 4096, 0]),
        "ids": torch.tensor([7, 8, 9]),
    }
    _, target = convert(sample | three)
    assert target["labels"].tolist() == [1]
    assert target["masks"].shape == (1, 64, 64)
    assert target["boxes"].tolist() == [[0, 0, 9, 9]]


def naive_nms(boxes, scores, threshold):
    """Keep boxes in the order of their scores, but for those that overlap one that was kept."""
    kept = []
    for k in scores.argsort(descending=True).tolist():
        x0, y0, x1, y1 = boxes[k].tolist()
        for i in kept:
            a0, b0, a1, b1 = boxes[i].tolist()
            shared = max(0, min(x1, a1) - max(x0, a0)) * max(0, min(y1, b1) - max(y0, b0))
            union = (x1 - x0) * (y1 - y0) + (a1 - a0) * (b1 - b0) - shared
            if shared > threshold * union:
                break
        else:
            kept.append(k)
    return torch.tensor(kept, dtype=torch.int64)


@pytest.fixture
def mask_rcnn(monkeypatch):
    """A tiny model; its two compiled operators are replaced where they do not load."""
    torchvision = import_torchvision()
    if not torchvision.extension._has_ops():
        align = sys.modules["torchvision.ops.roi_align"]
        monkeypatch.setattr(sys.modules["torchvision.ops.boxes"], "nms", naive_nms)
        # In plain Python, which torchvision compiles at its first call.
        monkeypatch.setattr(align, "_roi_align", align._roi_align.__wrapped__)
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads

    torch.manual_seed(0)
    backbone = torch.nn.Conv2d(3, 8, 16, stride=16)
    backbone.out_channels = 8
    anchors = AnchorGenerator(sizes=((16, 32),), aspect_ratios=((1.0,),))
    pool = torchvision.ops.MultiScaleRoIAlign(["0"], output_size=7, sampling_ratio=2)
    return MaskRCNN(
        backbone,
        num_classes=8,
        min_size=64,
        max_size=64,
        rpn_anchor_generator=anchors,
        box_roi_pool=pool,
        box_batch_size_per_image=16,
        mask_roi_pool=pool,
        mask_head=MaskRCNNHeads(8, (256,), 1),
        rpn_pre_nms_top_n_train=40,
        rpn_post_nms_top_n_train=20,
    )


def test_mask_rcnn_trains_on_it(store, mask_rcnn):
    optimizer = torch.optim.SGD(mask_rcnn.parameters(), 0.01)
    mask_rcnn.train()
    loader = Loader(Dataset(store, form="torchvision", targets=["instances"], **OPTIONS), 4)
    for images, targets in list(loader)[:2]:
        losses = mask_rcnn(images, targets)
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert losses["loss_mask"] > 0
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert len(losses) == 5
