"""Stores of images of several sizes and kinds: every pixel is that of independent libraries."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
import xarray
import zarr
from PIL import Image, ImageOps

import mtfast
from mixed_sets import make_mixed_set


@pytest.fixture(scope="module")
def with_outlier(tmp_path_factory):
    """A set with one image much larger than the others, and its store."""
    folder = tmp_path_factory.mktemp("outlier")
    made = make_mixed_set(folder, outlier=True)
    return made, mtfast.convert(made.annotations, folder / "set.zarr", crop_index=True, shard=4)


@pytest.fixture(params=["mixed", "with outlier"])
def case(request):
    """A set and the one split of its store."""
    if request.param == "mixed":
        made, path = (request.getfixturevalue(name) for name in ("mixed_set", "mixed_store"))
    else:
        made, path = request.getfixturevalue("with_outlier")
    store = mtfast.open(path)
    (split,) = store.splits
    return made, store[split]


def windows(height, width):
    """Windows at all borders, in the middle, of one pixel, and the whole image."""
    h, w = height // 3, width // 3
    yield 0, 0, height, width
    yield 0, 0, 1, 1
    yield height - 1, width - 1, 1, 1
    yield 3, 5, h, w
    yield 0, width - w, h, w
    yield height - h, 0, h, w


def test_all_kinds_are_there(case):
    made, split = case
    assert split.names.tolist() == made.names
    assert set(split.kinds.tolist()) == {"jpeg", "png", "tiff", "webp", "bmp"}
    turned = dict(zip(made.names, split.orientations.tolist(), strict=True))
    assert {name for name, orientation in turned.items() if orientation != 1} == {"shown.jpg"}
    assert {name: split.size(name) for name in made.names} == made.sizes()
    assert len(set(made.sizes().values())) > 8
    assert " of up to " in repr(split)


def test_images_are_those_of_pillow_and_tifffile(case):
    made, split = case
    for name, expected in made.pixels.items():
        found = split.image(name)
        assert found.dtype == expected.dtype, name
        np.testing.assert_array_equal(found, expected, name)
        out = np.empty_like(expected)
        assert split.image(name, out) is out
        np.testing.assert_array_equal(out, expected, name)
        assert split.image_bytes(name) == (made.images / name).read_bytes()


def test_masks_are_those_of_pycocotools(case):
    made, split = case
    for name, expected in made.masks.items():
        np.testing.assert_array_equal(split.semantic(name), expected, name)
        out = np.full_like(expected, 9)
        split.semantic(name, out)
        np.testing.assert_array_equal(out, expected, name)
    for name, painted in zip(made.names, mtfast.semantic(split.table()), strict=True):
        np.testing.assert_array_equal(painted, made.masks[name], name)


def test_windows_are_those_of_the_whole_image(case):
    made, split = case
    assert split.has_crop_index
    for name, pixels in made.pixels.items():
        for y, x, h, w in windows(*pixels.shape[:2]):
            there = slice(y, y + h), slice(x, x + w)
            found = split.crop(name, y, x, h, w)
            np.testing.assert_array_equal(found.image, pixels[there], f"{name} {y, x, h, w}")
            np.testing.assert_array_equal(found.semantic, made.masks[name][there], name)
            cut = mtfast.semantic(found.instances)[0]
            np.testing.assert_array_equal(cut, made.masks[name][there], name)


def test_a_window_beyond_its_own_image_is_refused(case):
    """However large the largest image of the split is."""
    made, split = case
    height, width = made.masks["png3.png"].shape
    for window in ((0, 0, height + 1, width), (0, 0, height, width + 1), (height, 0, 1, 1)):
        with pytest.raises(mtfast.MtfastError, match=f"{height} x {width}"):
            split.crop("png3.png", *window)


def test_masks_of_the_outlier_have_several_chunks(with_outlier):
    made, path = with_outlier
    (split,) = mtfast.open(path).splits
    array = zarr.open_array(path / split / "semantic", mode="r")
    shape = array.shape[1:]
    assert shape == (350, 450)
    assert max(array.chunks[1:]) < 450
    group = mtfast.open(path)[split]
    assert group.mask_chunk == array.chunks[1:]
    # Rectangles over the border between chunks, in the image that has several.
    y, x = (side - 3 for side in group.mask_chunk)
    expected = made.masks["large.png"][y : y + 6, x : x + 6]
    np.testing.assert_array_equal(group.crop("large.png", y, x, 6, 6).semantic, expected)


def test_plain_zarr_reads_everything(case):
    made, split = case
    group = zarr.open_group(split.store.path, mode="r")[split.name]
    columns = {name: group[f"columns/{name}"][:] for name in group["columns"].array_keys()}
    assert group["name"][:].tolist() == made.names
    for i, name in enumerate(made.names):
        height, width = columns["height"][i], columns["width"][i]
        mask = group["semantic"][i]
        np.testing.assert_array_equal(mask[:height, :width], made.masks[name], name)
        assert not mask[height:].any()
        assert not mask[:, width:].any()
        file = io.BytesIO(group["images/file"][i, : columns["file_bytes"][i]].tobytes())
        np.testing.assert_array_equal(
            _decode(file, columns["kind"][i], columns["orientation"][i]), made.pixels[name], name
        )


def _decode(file, kind, orientation):
    """Decode as docs/FORMAT.md says, with Pillow and tifffile."""
    if kind == "tiff":
        pixels = tifffile.imread(file)
        return np.stack([pixels] * 3, axis=2) if pixels.dtype == np.uint8 else pixels
    with Image.open(file) as image:
        shown = ImageOps.exif_transpose(image) if orientation != 1 else image
        return np.asarray(shown if shown.mode.startswith("I;16") else shown.convert("RGB"))


def test_xarray_finds_masks_by_name(case):
    made, split = case
    with xarray.open_zarr(split.store.path, group=split.name) as opened:
        height, width = made.masks["webp2.webp"].shape
        found = opened["semantic"].sel(name="webp2.webp")[:height, :width]
        np.testing.assert_array_equal(found, made.masks["webp2.webp"])
