"""Pairs of tv_tensors, in torchvision's own transforms.

In the samples here each instance has a colour of its own, so that pixels tell which row is whose
after any transform that does not mix colours.
"""

from __future__ import annotations

import copy
import pickle

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.forms import FORMS, apply_transform, collate
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, Loader
from mtfast.loaders.views import Augment
from torchvision_ops import import_torchvision

import_torchvision()

from torchvision import tv_tensors
from torchvision.transforms import v2

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create:UserWarning")

COLUMNS = ("masks", "boxes", "labels", "areas", "ids")


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("forms") / "s.zarr"
    return mtfast.convert(small_set, path, splits=["train"])


def make_sample(height=40, width=56, dtype=torch.uint8):
    """Squares of 5 pixels on a grid, a colour each; the classes are those colours modulo 7."""
    tops = [(y, x) for y in range(1, height - 6, 8) for x in range(1, width - 6, 8)]
    n = len(tops)
    masks = torch.zeros(n, height, width, dtype=torch.bool)
    for k, (y, x) in enumerate(tops):
        masks[k, y : y + 5, x : x + 5] = True
    ids = torch.arange(n) + 101
    labels = ids % 7 + 1
    image = (masks * ids[:, None, None]).sum(0).to(torch.uint8)
    return {
        "index": 3,
        "name": "a.jpg",
        "view": torch.tensor([0, 0, height, width, height, width, 0, 0]),
        "image": image.expand(3, height, width).contiguous(),
        "semantic": (masks * labels[:, None, None]).sum(0).to(dtype),
        "masks": masks,
        "boxes": torch.tensor([[x, y, x + 5, y + 5.0] for y, x in tops]),
        "labels": labels,
        "areas": masks.sum((1, 2)),
        "ids": ids,
    }


def check_in_step(image, target, measured=True):
    """Whether each row says what its colour does."""
    ids = target["ids"].tolist()
    assert [len(target[key]) for key in COLUMNS] == [len(ids)] * 5
    colours = image[0]
    for k, number in enumerate(ids):
        mask = torch.as_tensor(target["masks"][k]).bool()
        assert torch.equal(mask, colours == number)
        assert target["labels"][k] == number % 7 + 1
        if measured:
            assert target["areas"][k] == mask.sum()
        ys, xs = torch.nonzero(mask, as_tuple=True)
        if len(ys):
            # Squares are 8 pixels apart; boxes of turned ones are inexact by about two.
            left, top, right, bottom = target["boxes"][k].tolist()
            assert left <= xs.double().mean() <= right
            assert top <= ys.double().mean() <= bottom
    classes = torch.where(colours > 0, colours.long() % 7 + 1, 0)
    assert torch.equal(torch.as_tensor(target["semantic"]).long(), classes)


def pipelines():
    nearest = v2.InterpolationMode.NEAREST
    sanitize = [v2.ClampBoundingBoxes(), v2.SanitizeBoundingBoxes(min_size=2)]
    return {
        "flip": [v2.RandomHorizontalFlip(1), v2.RandomVerticalFlip(1)],
        "crop": [v2.RandomCrop((23, 31)), *sanitize],
        "resize": [v2.Resize((60, 70), nearest), v2.RandomCrop((30, 30)), *sanitize],
        "affine": [v2.RandomAffine(30, (0.2, 0.2), (0.8, 1.3)), *sanitize],
        "all": [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(15, (0.1, 0.1)),
            v2.RandomCrop((33, 40)),
            *sanitize,
            v2.RandomPhotometricDistort(p=0),
            v2.Resize((48, 50), nearest),
            v2.SanitizeBoundingBoxes(min_size=4),
        ],
    }


@pytest.mark.parametrize("name", ["flip", "crop", "resize", "affine", "all"])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.uint16])
def test_transforms_of_the_dataset(name, dtype):
    sample = make_sample(dtype=dtype)
    found = []
    for seed in range(8):
        torch.manual_seed(seed)
        made = apply_transform("tv_tensors", sample, v2.Compose(pipelines()[name]))
        assert list(made) == list(sample)
        assert {type(value) for value in made.values()} == {int, str, torch.Tensor}
        check_in_step(made["image"], made)
        found.append(made["ids"].tolist())
        check_in_step(*FORMS["tv_tensors"].convert(made))
    fewest, most = min(map(len, found)), max(map(len, found))
    assert fewest > 0
    assert (most < len(sample["ids"])) == (name != "flip")


@pytest.mark.parametrize("name", ["flip", "crop", "resize", "affine", "all"])
def test_transforms_after_the_loader(name):
    for seed in range(8):
        torch.manual_seed(seed)
        image, target = FORMS["tv_tensors"].convert(make_sample())
        transform = v2.Compose(pipelines()[name])
        image, target = transform(image, target)
        check_in_step(image, target, measured=False)
        again, target = v2.RandomVerticalFlip(1)(image, target)
        check_in_step(again, target, measured=False)


def test_semantic_masks_stay_whole():
    """Also where there are as many instances as rows of pixels, so that either could be meant."""
    sample = make_sample(45, 72)
    n = len(sample["ids"])
    assert n == 45
    kept = torch.rand(n) > 0.5
    sample["boxes"][~kept, 2:] = sample["boxes"][~kept, :2]
    made = apply_transform("tv_tensors", sample, v2.SanitizeBoundingBoxes())
    assert torch.equal(made["semantic"], sample["semantic"])
    assert made["ids"].tolist() == sample["ids"][kept].tolist()
    _, target = FORMS["tv_tensors"].convert(sample)
    semantic = target["semantic"]
    assert semantic[3:5, 2].shape == (2,)
    assert torch.equal(semantic[semantic > 0], sample["semantic"][sample["semantic"] > 0])


def test_columns_that_the_caller_sanitizes():
    """Torchvision's own answer to columns that it does not know; nothing is dropped twice."""
    sample = make_sample()
    sample["boxes"][::3, 2] = 0

    def columns(inputs):
        return tuple(inputs[1][key] for key in ("labels", "areas", "ids"))

    transform = v2.SanitizeBoundingBoxes(labels_getter=columns)
    made = apply_transform("tv_tensors", sample, transform)
    kept = torch.arange(len(sample["ids"])) % 3 != 0
    for key in COLUMNS:
        assert torch.equal(made[key], sample[key][kept])
    _, target = transform(*FORMS["tv_tensors"].convert(sample))
    assert torch.equal(target["ids"], sample["ids"][kept])


def test_functions_that_choose_rows():
    """By the three usual columns; in two steps; and by all columns."""
    sample = make_sample()
    n = len(sample["ids"])
    order = torch.arange(n).flip(0)

    def choose(keys):
        def transform(image, target):
            for key in keys:
                target[key] = target[key][order][2:]
            return image, target

        return transform

    for keys in (("boxes", "masks", "labels"), COLUMNS, ("boxes", "masks", "labels", "ids")):
        made = apply_transform("tv_tensors", sample, choose(keys))
        assert made["ids"].tolist() == sample["ids"][order][2:].tolist()
        check_in_step(made["image"], made)
    with pytest.raises(
        MtfastError, match=f"returned {n} in masks, {n - 2} in boxes, .* one number"
    ):
        apply_transform("tv_tensors", sample, choose(("boxes", "labels")))


def test_masks_without_an_image():
    """Then torchvision takes the first plain tensor for one; views are no images."""
    sample = make_sample()
    image = sample.pop("image")
    made = apply_transform("tv_tensors", sample, v2.RandomHorizontalFlip(1))
    assert list(made) == list(sample)
    assert torch.equal(made["view"], sample["view"])
    check_in_step(image.flip(2), made)
    pair, target = FORMS["tv_tensors"].convert(sample)
    assert pair is None
    pair, target = v2.RandomCrop(20)(pair, target)
    assert pair is None
    assert target["masks"].shape[1:] == (20, 20)
    assert torch.equal(target["view"], sample["view"])


def test_semantic_masks_are_found_as_masks():
    """Where torchvision looks up exact types."""
    image, target = FORMS["tv_tensors"].convert(make_sample())
    kinds = {tv_tensors.Image: torch.float32, tv_tensors.Mask: torch.int64, "others": None}
    image, target = v2.ToDtype(kinds, scale=True)(image, target)
    assert image.dtype == torch.float32
    assert image.max() < 1
    assert target["semantic"].dtype == target["masks"].dtype == torch.int64
    assert target["labels"].dtype == torch.int64
    padded = v2.Pad(2, fill={tv_tensors.Mask: 255, "others": 0})(image, target)[1]["semantic"]
    assert padded[0, 0] == 255
    assert padded.shape == (44, 60)


def test_pixels_may_change_their_type():
    sample = make_sample()
    steps = [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.5] * 3)]
    made = apply_transform("tv_tensors", sample, v2.Compose([*steps, v2.ToPureTensor()]))
    assert torch.allclose(made["image"], sample["image"] / 127.5 - 1, atol=1e-6)
    batch = FORMS["tensors"].collate([made, made])
    assert batch["image"].dtype == torch.float32


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda image, target: image, "returned Image.*; expected the pair of an image and a "),
        (lambda image, target: (target, image), "expected the pair"),
        (lambda image, target: (None, target), "left out image; expected all keys"),
        (lambda image, target: (image, {}), "left out index, name, view, semantic, masks, "),
        (lambda image, target: (image.numpy(), target), "image as ndarray; .* torch.Tensor"),
    ],
)
def test_what_is_no_pair(transform, message):
    with pytest.raises(MtfastError, match=message):
        apply_transform("tv_tensors", make_sample(), transform)


def test_boxes_in_another_format():
    with pytest.raises(MtfastError, match="boxes in the format CXCYWH; expected XYXY; convert"):
        apply_transform("tv_tensors", make_sample(), v2.ConvertBoundingBoxFormat("CXCYWH"))


def test_samples_are_those_of_the_form_tensors(store):
    options = {"crop": (40, 48), "augment": Augment(near=0.5), "seed": 5}
    plain = Dataset(store, **options)
    images, targets = next(iter(Loader(Dataset(store, form="tv_tensors", **options), 20)))
    for image, target in zip(images, targets, strict=True):
        (position,) = torch.nonzero(torch.as_tensor(plain.reader.indices) == target["index"])
        expected = plain[SampleKey(0, int(position))]
        assert type(image) is tv_tensors.Image
        assert torch.equal(image, expected.pop("image"))
        assert target["boxes"].canvas_size == (40, 48)
        assert target["boxes"].format == tv_tensors.BoundingBoxFormat.XYXY
        assert type(target["masks"]) is tv_tensors.Mask
        assert isinstance(target["semantic"], tv_tensors.Mask)
        assert list(target) == list(expected)
        for key, value in expected.items():
            same = target[key] == value
            assert same.all() if isinstance(value, torch.Tensor) else same


def test_a_plain_loader_with_workers(store):
    """Targets keep their class on the way from a worker, and so stay in step."""
    data = Dataset(store, form="tv_tensors", crop=64, seed=5)
    loader = torch.utils.data.DataLoader(
        data, 10, collate_fn=collate, num_workers=1, multiprocessing_context="fork"
    )
    n = 0
    for images, targets in loader:
        for image, target in zip(images, targets, strict=True):
            position = data.reader.indices.tolist().index(target["index"])
            expected = data[SampleKey(0, position)][1]
            target["boxes"][::2, 2] = target["boxes"][::2, 0]
            _, made = v2.SanitizeBoundingBoxes()(image, target)
            assert made["ids"].tolist() == expected["ids"].tolist()[1::2]
            assert made["areas"].tolist() == expected["areas"].tolist()[1::2]
            n += 1
    assert n == 20


def test_transforms_in_the_loader(store):
    """The same samples in a worker as here; rows of those that were read."""
    steps = [v2.RandomHorizontalFlip(), v2.RandomCrop(40), *pipelines()["affine"]]
    options = {"crop": 64, "augment": Augment(near=1), "seed": 5}
    data = Dataset(store, form="tv_tensors", transform=v2.Compose(steps), **options)
    plain = Dataset(store, **options)
    n_read = n_left = 0
    with Loader(data, 5, shuffle=False, workers=1, start_method="fork") as loader:
        for images, targets in loader:
            for image, target in zip(images, targets, strict=True):
                key = SampleKey(0, plain.reader.indices.tolist().index(target["index"]))
                again, expected = data[key]
                assert torch.equal(image, again)
                assert list(target) == list(expected)
                assert target["ids"].tolist() == expected["ids"].tolist()
                assert torch.equal(target["masks"], expected["masks"])
                read = plain[key]
                labels = dict(zip(read["ids"].tolist(), read["labels"].tolist(), strict=True))
                found = zip(target["ids"].tolist(), target["labels"].tolist(), strict=True)
                assert all(labels[number] == label for number, label in found)
                assert target["areas"].tolist() == target["masks"].sum((1, 2)).tolist()
                n_read, n_left = n_read + len(read["ids"]), n_left + len(target["ids"])
    assert 0 < n_left < n_read


def test_copies_stay_in_step():
    sample = make_sample()
    sample["boxes"][::2, 2] = 0
    pair = FORMS["tv_tensors"].convert(sample)
    for copied in (copy.deepcopy(pair), pickle.loads(pickle.dumps(pair)), copy.copy(pair)):
        _, target = v2.SanitizeBoundingBoxes()(*copied)
        assert target["ids"].tolist() == sample["ids"].tolist()[1::2]
    assert pair[1]["ids"].tolist() == sample["ids"].tolist()


def test_columns_are_tensors_like_any():
    _, target = FORMS["tv_tensors"].convert(make_sample())
    labels, masks = target["labels"], target["masks"]
    assert type(labels + 1) is torch.Tensor
    assert type(labels[0]) is torch.Tensor
    assert type(labels[:, None]) is torch.Tensor
    assert masks[labels == 2].shape[0] == (labels == 2).sum()
    assert masks[labels].shape == masks.shape
    assert torch.equal(
        masks * labels[:, None, None], masks * labels.as_subclass(torch.Tensor)[:, None, None]
    )
    assert torch.cat([labels, labels]).shape == (2 * len(labels),)
    assert len(labels.tolist()) == len(labels)
    assert labels.to(torch.int32).dtype == torch.int32
