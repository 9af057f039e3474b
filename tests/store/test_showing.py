"""What stores, splits and samples say of themselves, in text and in a notebook."""

from __future__ import annotations

import base64
import io
import re
import shutil
import sys
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import mtfast
from mtfast.errors import MtfastError, StoreError
from mtfast.pictures.palette import class_colour
from mtfast.store.reading.files import LocalFiles
from mtfast.store.reading.notebook import N_TILES, SAMPLE_SIDE


@pytest.fixture(scope="module")
def store(tiny_store):
    return mtfast.open(tiny_store)


@pytest.fixture(scope="module")
def masks_only(tiny_set, tmp_path_factory):
    path = tmp_path_factory.mktemp("masks") / "masks.zarr"
    return mtfast.open(mtfast.convert(tiny_set, path, images="none"))


class Tags(HTMLParser):
    """Collects pictures and text, and expects that every element is closed."""

    def __init__(self, html):
        super().__init__()
        self.open, self.pictures, self.text = [], [], ""
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag != "img":
            self.open.append(tag)
            return
        source = dict(attrs)["src"]
        head, data = source.split(",")
        assert head == "data:image/jpeg;base64"
        self.pictures.append(Image.open(io.BytesIO(base64.b64decode(data, validate=True))))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_reprs_say_what_is_in_it(store, masks_only):
    train = store["train"]
    about = f"10 images of up to 96 x 128, 4 classes, {len(train.variants)} variants"
    assert repr(train) == f"<split 'train': {about}, crop index>"
    assert repr(masks_only["train"]) == f"<split 'train': {about}, masks only>"
    lines = repr(store).split("\n")
    assert lines[0] == f"<mtfast store {store.path}"
    assert lines[1] == f"  train: {about}, crop index"
    assert len(lines) == 3
    assert repr(train[1:3]) == "<2 of the 10 images of split 'train': 1, 2>"
    assert repr(train[[]]) == "<0 of the 10 images of split 'train'>"
    assert repr(train[[0] * 20]).endswith("0, 0, …>")
    name = train.names[3]
    assert repr(train[3]) == f"<sample 3 of split 'train': {name}, 96 x 128>"
    window = train.crop(3, 1, 2, 30, 40)
    assert repr(window) == f"<window 30 x 40 at (1, 2) of sample 3 of split 'train': {name}>"


def test_the_repr_of_a_store_reads_no_file(tiny_store, monkeypatch):
    opened = mtfast.open(tiny_store)
    for method in ("read", "open", "exists", "open_with_zarr"):
        monkeypatch.setattr(LocalFiles, method, lambda *_: pytest.fail("a file is read"), False)
    assert "10 images" in repr(opened)
    assert "crop index" in repr(opened["train"])
    assert "train" in opened._repr_html_()


def test_reprs_of_sources_name_splits_and_variants(tiny_set, store):
    source = mtfast.open_source(tiny_set)
    n = len(store["train"].variants)
    assert repr(source).split("\n")[:2] == [
        f"<maskterial dataset {tiny_set}",
        f"  train: {n} variants",
    ]
    assert repr(source["train"]) == f"<split 'train' of Graphene: {n} variants>"


def test_a_repr_of_damaged_metadata_leaves_out_what_they_do_not_say(tiny_store, tmp_path):
    from stores import reseal

    path = shutil.copytree(tiny_store, tmp_path / "damaged.zarr")
    for array in ("semantic", "variants/name"):
        file = path / "train" / array / "zarr.json"
        file.write_text(file.read_text().replace('"shape"', '"shade"'))
    reseal(path)
    train = mtfast.open(path)["train"]
    assert repr(train) == "<split 'train': 10 images, crop index>"
    assert "cannot be shown" in Tags(train._repr_html_()).text


def test_a_sample_shows_its_picture_and_classes(store):
    sample = next(s for s in store["train"] if s.instances.n_instances)
    shown = Tags(sample._repr_html_())
    (picture,) = shown.pictures
    assert picture.size == (128, 96)
    assert sample.name in shown.text
    names = {c.id: c.name for c in sample.instances.categories}
    for id_ in set(sample.instances.category_ids.tolist()):
        assert names[id_] in shown.text
        assert str(class_colour(id_)) in sample._repr_html_()
    # JPEG changes colours a little.
    difference = np.asarray(picture).astype(int) - sample.overlay()
    assert np.abs(difference).mean() < 8


def test_pictures_are_bounded(tiny_set, tmp_path):
    image = np.zeros((900, 1300, 3), np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(image).save(tmp_path / "images" / "large.png")
    path = mtfast.convert(tmp_path / "images", tmp_path / "large.zarr")
    (picture,) = Tags(mtfast.open(path)["train"][0]._repr_html_()).pictures
    assert picture.size == (SAMPLE_SIDE, round(SAMPLE_SIDE * 900 / 1300))


def test_splits_and_selections_show_a_few_images(store):
    train = store["train"]
    assert len(Tags(train._repr_html_()).pictures) == N_TILES
    assert len(Tags(train[:2]._repr_html_()).pictures) == 2
    assert Tags(train[[]]._repr_html_()).pictures == []
    assert len(Tags(train.crop(0, 0, 0, 20, 20)._repr_html_()).pictures) == 1


def test_a_store_shows_its_splits(store):
    shown = Tags(store._repr_html_())
    assert all(name in shown.text for name in store)
    assert "4 classes" in shown.text


def test_a_store_without_images_shows_masks(masks_only):
    train = masks_only["train"]
    assert len(Tags(train._repr_html_()).pictures) == N_TILES
    sample = next(s for s in train if s.instances.n_instances)
    assert len(Tags(sample._repr_html_()).pictures) == 1
    with pytest.raises(StoreError, match="holds masks only"):
        sample.overlay()


def test_a_damaged_file_is_said_in_words(tiny_store, tmp_path):
    path = shutil.copytree(tiny_store, tmp_path / "damaged.zarr")
    for shard in (path / "train" / "images" / "file").glob("c*"):
        shard.write_bytes(shard.read_bytes()[:100])
    train = mtfast.open(path)["train"]
    for shown in (train, train[0], train[:3]):
        tags = Tags(shown._repr_html_())
        assert tags.pictures == []
        assert "cannot be shown: " in tags.text
    shutil.rmtree(path / "train" / "variants")
    shutil.rmtree(path / "train" / "columns")
    tags = Tags(mtfast.open(path)["train"]._repr_html_())
    assert "cannot be shown: " in tags.text


def test_names_of_strangers_are_escaped(tmp_path):
    name = '<script>alert("x")</script>&.png'
    (tmp_path / "images").mkdir()
    plain = tmp_path / "images" / "a.png"
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(plain)
    (tmp_path / "a.json").write_text(
        '{"images": [{"id": 1, "file_name": "a.png", "height": 9, "width": 9}], "categories": '
        '[{"id": 1, "name": "<b onclick=x>"}], "annotations": [{"id": 1, "image_id": 1, "iscrowd": '
        '0, "category_id": 1, "bbox": [0, 0, 5, 5], "area": 25, "segmentation": '
        "[[0, 0, 5, 0, 5, 5, 0, 5]]}]}"
    )
    train = mtfast.open(mtfast.convert(tmp_path / "a.json", tmp_path / "a.zarr"))["train"]
    sample = train[0]
    train._metadata.__dict__["names"] = np.array([name])
    for html in (sample._repr_html_(), train._repr_html_()):
        assert not re.search("<script|<b ", html)
        assert "alert(&quot;x&quot;)" in html
    assert "<b onclick=x>" in Tags(sample._repr_html_()).text


def test_an_overlay_colours_what_the_masks_cover(store):
    sample = next(s for s in store["train"] if s.instances.n_instances)
    covered = sample.semantic > 0
    plain = sample.overlay(alpha=0, outlines=False)
    np.testing.assert_array_equal(plain, sample.image)
    assert plain is not sample.image
    full = sample.overlay(alpha=1, outlines=False)
    assert (full.shape, full.dtype, full.flags.c_contiguous) == ((96, 128, 3), np.uint8, True)
    np.testing.assert_array_equal(full[~covered], sample.image[~covered])
    single = sample.instances.n_instances == 1
    colours = {class_colour(int(c)) for c in sample.instances.category_ids}
    assert {tuple(pixel) for pixel in full[covered].tolist()} <= colours
    assert single or (full[covered] != sample.image[covered]).any()
    outlined = sample.overlay(alpha=0)
    assert (outlined != plain).any()
    with pytest.raises(MtfastError, match="alpha"):
        sample.overlay(alpha=2)


def test_an_overlay_of_a_window_is_that_of_its_masks(store):
    sample = next(s for s in store["train"] if s.instances.n_instances)
    y, x = (int(k[0]) for k in np.nonzero(sample.semantic))
    y, x = min(y, 96 - 30), min(x, 128 - 40)
    window = sample.split.crop(sample.index, y, x, 30, 40)
    full = sample.overlay(alpha=1, outlines=False)
    np.testing.assert_array_equal(
        window.overlay(alpha=1, outlines=False), full[y : y + 30, x : x + 40]
    )


def test_an_image_that_its_variant_does_not_list_has_no_instances(store, monkeypatch):
    train = store["train"]
    monkeypatch.setattr(type(train), "lists", lambda *_: False)
    sample = train[0]
    assert sample.listed_instances.n_instances == 0
    np.testing.assert_array_equal(sample.overlay(), sample.image)
    assert len(Tags(sample._repr_html_()).pictures) == 1


def test_show_opens_the_viewer_or_displays_in_a_notebook(store, monkeypatch):
    sample, opened, displayed = store["train"][0], [], []
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MtfastError, match=r"no display .* save what overlay\(\) returns"):
        sample.show()
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(Image.Image, "show", lambda picture, title: opened.append((picture, title)))
    assert sample.show(alpha=0.5) is None
    ((picture, title),) = opened
    assert title == sample.name
    np.testing.assert_array_equal(picture, sample.overlay(alpha=0.5))
    shells = iter([SimpleNamespace(kernel=1), SimpleNamespace(), None])
    module = SimpleNamespace(
        get_ipython=lambda: next(shells), display=SimpleNamespace(display=displayed.append)
    )
    monkeypatch.setitem(sys.modules, "IPython", module)
    sample.show()
    np.testing.assert_array_equal(displayed[0], sample.overlay())
    sample.show()
    sample.show()
    assert (len(displayed), len(opened)) == (1, 3)
