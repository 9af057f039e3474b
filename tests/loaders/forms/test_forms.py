"""The forms by name, plain dicts and stacked tensors, and what transforms may return."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is the extra 'torch'")

import mtfast
from mtfast.errors import MtfastError
from mtfast.loaders.batches import pack_batch, unpack_batch
from mtfast.loaders.forms import (
    FORMS,
    apply_transform,
    check_form,
    check_image_format,
    collate,
    format_batch,
)
from mtfast.loaders.forms.form import INSTANCE_KEYS
from mtfast.loaders.reader import Reader
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.torch import Dataset, Loader
from mtfast.loaders.views import Augment

OPTIONS = {"crop": 48, "augment": Augment(near=0.5), "seed": 5}


@pytest.fixture(scope="module")
def store(small_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("forms") / "s.zarr"
    return mtfast.convert(small_set, path, splits=["train"])


@pytest.fixture(scope="module")
def packed(store):
    reader = Reader(store, **OPTIONS)
    return pack_batch([reader.read(SampleKey(0, k)) for k in range(6)])


@pytest.fixture
def sample(packed):
    """The one with the most instances; tests may write into it."""
    most = max(unpack_batch(packed), key=lambda s: len(s["ids"]))
    assert len(most["ids"]) > 2
    return {k: v.clone() if torch.is_tensor(v) else v for k, v in most.items()}


@pytest.fixture
def no_library(monkeypatch):
    """Neither torchvision nor detectron2, whatever is installed."""
    for name in [n for n in sys.modules if n.partition(".")[0] in ("torchvision", "detectron2")]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("torchvision", "detectron2"):
        monkeypatch.setitem(sys.modules, name, None)


def same(a, b):
    """Equal in types, keys, shapes and values."""
    if isinstance(a, torch.Tensor):
        return type(a) is type(b) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return type(a) is type(b) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    return type(a) is type(b) and a == b


def test_forms_are_known_by_name():
    assert list(FORMS) == [
        *("tensors", "dicts", "tv_tensors", "torchvision", "detectron2", "mask2former")
    ]
    for form in ("tensors", "dicts", "torchvision"):
        assert check_form(form) == form
    for form in ("tensor", "", None, ["tensors"]):
        with pytest.raises(MtfastError, match="no form .*; expected one of: tensors, .*"):
            check_form(form)


@pytest.mark.parametrize(
    ("form", "library", "command"),
    [
        ("tv_tensors", "torchvision", "pip install torch torchvision"),
        ("detectron2", "detectron2", "pip install .*detectron2'"),
        ("mask2former", "detectron2", "pip install .*detectron2'"),
    ],
)
def test_missing_libraries_are_said_first(store, no_library, form, library, command):
    message = f"no '{library}'; expected it to be installed; run: {command}$"
    with pytest.raises(MtfastError, match=message):
        Dataset(store, form=form, **OPTIONS)
    with pytest.raises(MtfastError, match=message):
        Dataset.of(Reader(store), form)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("raise RuntimeError('operator torchvision::nms\\ndoes not exist')", "RuntimeError: op"),
        ("import a_module_that_is_missing", "ModuleNotFoundError: No module named 'a_mod"),
        ("raise OSError('libcudart.so')", r"OSError: libcudart.so\)"),
    ],
)
def test_libraries_that_do_not_import(no_library, monkeypatch, tmp_path, content, said):
    (tmp_path / "torchvision.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "torchvision")
    with pytest.raises(MtfastError, match=f"^torchvision does not import .*{said}") as raised:
        check_form("tv_tensors")
    assert "expected a build for this PyTorch; run: pip install" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_image_formats():
    for form in ("tensors", "dicts", "tv_tensors", "torchvision"):
        assert check_image_format(form, None) == "RGB"
    for form in ("detectron2", "mask2former"):
        with pytest.raises(MtfastError, match=f"'{form}' without .*BGR.*MaskTerial.*RGB.*Mask2F"):
            check_image_format(form, None)
    for form in FORMS:
        for image_format in ("RGB", "BGR"):
            assert check_image_format(form, image_format) == image_format
        for bad in ("rgb", 3, ["RGB"], ""):
            with pytest.raises(MtfastError, match=r"image_format is .*; expected one of \('RGB',"):
                check_image_format(form, bad)


@pytest.mark.parametrize("form", ["tensors", "dicts", "torchvision"])
def test_channels_are_exchanged(store, form):
    images = []
    for image_format in ("RGB", "BGR", None):
        sample = Dataset(store, form=form, image_format=image_format, **OPTIONS)[SampleKey(0, 3)]
        images.append(sample[0] if form == "torchvision" else sample["image"])
    rgb, bgr, default = images
    red, green, blue = rgb
    assert not torch.equal(red, blue)
    assert torch.equal(bgr, torch.stack([blue, green, red]))
    assert torch.equal(default, rgb)


@pytest.mark.parametrize("form", ["tensors", "dicts", "torchvision"])
@pytest.mark.parametrize("options", [{}, {"images": False}, {"targets": ["semantic"]}])
def test_a_plain_loader_gives_what_the_loader_gives(store, form, options):
    data = Dataset(store, form=form, **OPTIONS | options)
    expected = list(Loader(data, 6, shuffle=False))
    found = list(torch.utils.data.DataLoader(data, 6, collate_fn=collate))
    assert [same(a, b) for a, b in zip(found, expected, strict=True)] == [True] * 4


def test_batches_have_one_memory_format(packed):
    """However they were made."""
    converted = [FORMS["tensors"].convert(s) for s in unpack_batch(packed)]
    for batch in (format_batch("tensors", packed), collate(converted)):
        assert batch["image"].shape == (6, 3, 48, 48)
        assert batch["image"].is_contiguous(memory_format=torch.channels_last)


def test_stacking_samples_of_classes_beyond_a_byte(sample):
    wide = sample | {"semantic": torch.full((48, 48), 300, dtype=torch.int32).to(torch.uint16)}
    batch = collate([wide, wide])
    assert batch["semantic"].dtype == torch.uint16
    assert batch["semantic"].shape == (2, 48, 48)


def test_samples_that_do_not_stack(sample):
    narrow = sample | {"image": sample["image"][:, :, :40]}
    with pytest.raises(MtfastError, match=r'image \(3, 48, 48\) uint8 and .* 40\) uint8.*"dicts"'):
        collate([sample, narrow])
    floats = sample | {"image": sample["image"] / 255}
    with pytest.raises(MtfastError, match=r"uint8 and image .* float32; expected one size and ty"):
        collate([sample, floats])
    wide = sample | {"semantic": sample["semantic"].int()}
    with pytest.raises(MtfastError, match=r"semantic \(48, 48\) uint8 and .* int32"):
        collate([sample, wide])


def test_dicts_may_differ_in_size(packed):
    first, second, *_ = unpack_batch(packed)
    small = apply_transform("dicts", first, lambda s: shrink(s, 2))
    batch = collate([FORMS["dicts"].convert(s) for s in (small, second)])
    assert [s["canvas_size"] for s in batch] == [(24, 24), (48, 48)]
    assert [s["image"].shape[-1] for s in batch] == [24, 48]
    assert list(batch[1]) == [*second, "canvas_size"]
    empty = {"view": torch.tensor([0, 0, 9, 9, 4, 6, 0, 3])}
    assert FORMS["dicts"].convert(empty)["canvas_size"] == (6, 4)


@pytest.mark.parametrize("samples", [[], [3], [{"a": 1}], [(1, 2)], [({}, {}, {})], [{}, (1, {})]])
def test_what_are_no_samples(samples):
    with pytest.raises(MtfastError, match="a batch of .*; expected samples of an mtfast.loaders"):
        collate(samples)


def shrink(sample, step):
    for key in ("image", "semantic", "masks"):
        sample[key] = sample[key][..., ::step, ::step]
    return sample


def test_transforms(sample):
    before = {k: v.clone() if torch.is_tensor(v) else v for k, v in sample.items()}

    def transform(given):
        assert same(given, before)
        given = shrink(given, 2)
        given["image"] = given["image"] / 255
        for key in ("masks", "boxes", "labels", "areas", "ids"):
            given[key] = given[key][1:]
        given["depth"] = torch.ones(2, 2)
        return given

    made = apply_transform("tensors", sample, transform)
    assert same(sample, before)
    assert list(made) == [*sample, "depth"]
    assert made["image"].dtype == torch.float32
    assert made["semantic"].shape == (24, 24)
    masks = before["masks"][1:, ::2, ::2].numpy()
    assert made["areas"].tolist() == np.count_nonzero(masks, axis=(1, 2)).tolist()
    assert made["areas"].dtype == torch.int64
    assert made["ids"].tolist() == before["ids"][1:].tolist()


def test_transforms_in_the_loader(store):
    """Sizes that differ are no matter in the form "dicts"."""

    def transform(sample):
        return shrink(sample, 2 + sample["index"] % 2) | {"depth": torch.rand(2)}

    data = Dataset(store, form="dicts", transform=transform, **OPTIONS)
    expected = {s["index"]: s for s in (data[SampleKey(0, k)] for k in range(20))}
    batches = list(Loader(data, 6, workers=2, start_method="fork"))
    found = [sample for batch in batches for sample in batch]
    assert {s["canvas_size"] for s in found} == {(24, 24), (16, 16)}
    assert len(found) == 20
    assert all(same(sample, expected[sample["index"]]) for sample in found)


def test_transforms_of_mixed_datasets(store):
    data = [Dataset(store, transform=dict, **OPTIONS | {"crop": 32})] * 2
    batch = next(iter(Loader(Dataset.mix(data), 40)))
    assert sorted(batch["member"]) == [0] * 20 + [1] * 20


def test_transforms_without_instances(store):
    (sample,) = unpack_batch(pack_batch([Reader(store, targets=[], **OPTIONS).read(0)]))
    made = apply_transform("tensors", sample, lambda s: s | {"image": s["image"][:1]})
    assert made["image"].shape == (1, 48, 48)


@pytest.mark.parametrize("form", ["tensors", "dicts", "torchvision"])
def test_added_tensors_are_passed_on(sample, form):
    made = apply_transform(form, sample, lambda s: s | {"depth": torch.arange(3)})
    converted = FORMS[form].convert(made)
    target = converted[1] if form == "torchvision" else converted
    assert target["depth"].tolist() == [0, 1, 2]
    batch = collate([converted, converted])
    if form == "tensors":
        assert [d.tolist() for d in batch["depth"]] == [[0, 1, 2]] * 2


def without(*keys):
    return lambda sample: {k: v for k, v in sample.items() if k not in keys}


def with_(**values):
    return lambda sample: sample | {k: make(sample) for k, make in values.items()}


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda s: s | {"image": s["image"].bfloat16()}, "torch.bfloat16; expected one that numpy"),
        (lambda s: None, "returned None; expected the dict of a sample; return the dict"),
        (lambda s: s["image"], "returned tensor.*expected the dict"),
        (without("ids"), "left out ids; expected all keys"),
        (without("masks", "view"), "left out view, masks"),
        (with_(image=lambda s: s["image"].numpy()), "image as ndarray; expected a torch.Tensor"),
        (with_(depth=lambda s: 3), "depth as int; expected a torch.Tensor; make one of it"),
        (with_(image=lambda s: s["image"][0]), r"image of shape \(48, 48\); .*\(channels, h"),
        (with_(boxes=lambda s: s["boxes"][:, :3]), r"boxes of shape .* 3\); expected \(n, 4\)"),
        (with_(labels=lambda s: s["labels"][None]), r"labels of shape \(1, .*expected \(n\)"),
        (with_(semantic=lambda s: s["semantic"][None]), r"semantic of shape \(1, .*\(height, w"),
        (with_(index=lambda s: 99), "changed index; expected what was read"),
        (with_(name=lambda s: "x"), "changed name"),
        (with_(member=lambda s: 2), "changed member"),
        (with_(view=lambda s: s["view"] + 1), "changed view; expected what was"),
        (
            with_(ids=lambda s: s["ids"][1:]),
            r"3 in areas, 2 in ids; expected one number of instances; drop",
        ),
        (with_(masks=lambda s: s["masks"][:, 1:]), r"\(47, 48\) in masks; expected one size in p"),
        (with_(image=lambda s: s["image"][:, 1:]), r"\(47, 48\) in image, \(48, 48\) in semantic"),
    ],
)
def test_what_a_transform_may_not_return(sample, transform, message):
    for key in ("masks", "boxes", "labels", "areas", "ids"):
        sample[key] = sample[key][:3]
    with pytest.raises(MtfastError, match=message) as raised:
        apply_transform("tensors", sample | {"member": 1}, transform)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["labels", "masks", "member"])
def test_names_that_a_transform_may_not_take(sample, name):
    """Those that mean something here: they went wrong without a word when samples were packed."""
    plain = {key: sample[key] for key in ("index", "name", "view", "image", "semantic")}
    value = {"labels": torch.ones(1), "member": torch.tensor(1)}
    value["masks"] = torch.zeros(1, *plain["semantic"].shape)
    with pytest.raises(MtfastError, match=rf"added {name}; .*choose other names"):
        apply_transform("tensors", plain, lambda s: s | {name: value[name]})
    instances = {key: sample[key] for key in INSTANCE_KEYS}
    made = apply_transform("tensors", plain, lambda s: s | instances)
    assert torch.equal(made["masks"], sample["masks"])


def test_errors_of_a_transform_are_its_own(sample):
    def fail(sample):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        apply_transform("dicts", sample, fail)


def test_samples_of_other_targets_make_no_batch(sample):
    """As of a ConcatDataset: the masks of the second sample were dropped without a word."""
    plain = {key: sample[key] for key in ("index", "name", "view", "image", "semantic")}
    for samples in ([plain, sample], [sample, plain]):
        with pytest.raises(MtfastError, match="some have and some lack areas, boxes, ids, labels"):
            collate(samples)
