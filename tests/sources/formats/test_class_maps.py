"""Label PNGs of classes, with a table of these."""

from __future__ import annotations

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import mtfast
import naive
from mtfast.errors import SourceError
from mtfast.sources.files import Folder
from mtfast.sources.formats.class_table import find_table, packed
from other_tools import (
    expect_same_after_derive,
    kinds_of,
    masks_of,
    put,
    put_image,
    rle_of,
    table_of,
)

COLOURS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (224, 224, 192)]


def png(values: np.ndarray, colours: list[tuple[int, int, int]] | None = None) -> bytes:
    """A grey PNG, or one with a palette."""
    image = Image.fromarray(values)
    if colours:
        image = image.convert("P")
        image.putdata(values.ravel().tolist())
        image.putpalette([channel for colour in colours for channel in colour])
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def in_colours(values: np.ndarray, colours: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(colours, np.uint8)[values]


def parts_of(values: np.ndarray, classes: tuple[int, ...] = (1, 2)) -> list[tuple[int, bytes]]:
    """Class and mask of each connected part, by a flood fill."""
    return [
        (class_, rle_of(part)["counts"].encode())
        for class_ in classes
        for part in naive.components((values == class_).astype(np.uint8), 8)
    ]


@pytest.fixture
def values(rng) -> np.ndarray:
    return np.kron(rng.integers(0, 3, (8, 12)), np.ones((5, 5), int)).astype(np.uint8)


def make(folder: Path, values: np.ndarray, **files: str) -> Path:
    put_image(folder / "images/a.jpg")
    put(folder / "masks/a.png", png(values))
    for name, text in (files or {"classes.txt": "mono\nbi\n"}).items():
        put(folder / name.replace("__", "."), text)
    return folder


def test_each_connected_part_is_an_instance(tmp_path, values):
    source = mtfast.open_source(make(tmp_path, values))
    assert (source.kind, source.splits) == ("class_maps", ("train",))
    table = source.table("train", "annotations")
    assert masks_of(table) == {"a.jpg": parts_of(values)}
    assert table.categories == ((1, "mono"), (2, "bi"))
    assert source.image_names("train") == ("a.jpg",)
    assert source.read_image("train", "a.jpg")


def test_commands_take_it(tmp_path, values):
    source = mtfast.open_source(make(tmp_path / "set", values))
    expect_same_after_derive(source, tmp_path / "derived")
    store = mtfast.open(mtfast.convert(source, tmp_path / "a.zarr"))
    assert np.array_equal(store["train"].semantic(0), values)


def test_stuff_is_one_instance(tmp_path, values):
    table = "id,name,isthing\n1,mono,0\n2,bi,1\n"
    found = masks_of(table_of(make(tmp_path, values, classes__csv=table)))["a.jpg"]
    whole = (1, rle_of(values == 1)["counts"].encode())
    assert found == [whole, *parts_of(values, (2,))]


@pytest.mark.parametrize("kind", ["grey", "palette", "RGB", "grey in RGB", "RGBA"])
@pytest.mark.parametrize("has_colours", [False, True])
def test_kinds_of_pngs(tmp_path, values, kind, has_colours):
    rows = [
        "# label:color_rgb:parts:actions",
        "background:0,0,0::",
        "mono:128,0,0::",
        "bi:0,128,0::",
    ]
    table = {"labelmap__txt": "\n".join(rows)} if has_colours else {}
    folder = make(tmp_path, values, **table)
    coloured = in_colours(values, COLOURS)
    data = {
        "grey": png(values),
        "palette": png(values, COLOURS),
        "RGB": png(coloured),
        "grey in RGB": png(np.stack([values] * 3, -1)),
        "RGBA": png(np.dstack([coloured, np.full_like(values, 255)])),
    }[kind]
    put(folder / "masks/a.png", data)
    is_of_colours = kind in ("RGB", "RGBA")
    if is_of_colours is has_colours or kind in ("grey", "palette"):
        assert masks_of(table_of(folder))["a.jpg"] == parts_of(values)
    else:
        # Colours that no table lists, or numbers where colours are listed.
        words = r"1 x pixels of no class \(colour \d+,\d+,\d+ and 1 more in masks/a.png\)"
        with pytest.raises(SourceError, match=words):
            table_of(folder)


def test_colours_of_a_palette_count_where_colours_are_listed(tmp_path, values):
    """Its indices are those of the tool."""
    order = [2, 0, 1]
    rows = "mono:128,0,0::\nbackground:0,0,0::\nbi:0,128,0::"
    folder = make(tmp_path, values, labelmap__txt=rows)
    put(
        folder / "masks/a.png",
        png(np.argsort(order).astype(np.uint8)[values], [COLOURS[k] for k in order]),
    )
    table = table_of(folder)
    names = {c.id: c.name for c in table.categories}
    found = [(names[class_], text) for class_, text in masks_of(table)["a.jpg"]]
    expected = [({1: "mono", 2: "bi"}[class_], text) for class_, text in parts_of(values)]
    assert sorted(found) == sorted(expected)


def voc(
    folder: Path, classes: np.ndarray, objects: np.ndarray | None, *, images: bool = True
) -> Path:
    if images:
        put_image(folder / "JPEGImages/a.jpg")
        put_image(folder / "JPEGImages/unlabelled.jpg")
    put(folder / "SegmentationClass/a.png", png(classes))
    put(folder / "SegmentationObject/a.png", png(objects))
    return folder


def test_objects_of_voc(tmp_path):
    """Two aeroplanes side by side, and a bicycle whose outline is unknown."""
    classes = np.zeros((40, 60), np.uint8)
    objects = np.zeros((40, 60), np.uint8)
    for number, (class_, left) in enumerate(((1, 0), (1, 10), (2, 30)), 1):
        classes[5:15, left : left + 10] = class_
        objects[5:15, left : left + 10] = number
    classes[5, :] = objects[5, :] = 255
    folder = voc(tmp_path / "VOC2012", classes, objects)
    put(folder / "ImageSets/Segmentation/train.txt", "a\n")
    put(folder / "ImageSets/Segmentation/val.txt", "unlabelled\nnowhere 1\n")
    put(folder / "ImageSets/Segmentation/trainval.txt", "a\nunlabelled\n")
    source = mtfast.open_source(folder)
    assert source.splits == ("train", "val")
    table = source.table("train", "annotations")
    assert masks_of(table) == {
        "a.jpg": [
            (class_, rle_of(objects == number)["counts"].encode())
            for number, class_ in ((1, 1), (2, 1), (3, 2))
        ]
    }
    assert (table.categories[0], len(table.categories)) == ((1, "aeroplane"), 20)
    assert source.read("train", "annotations").found == ()
    found = {bad.kind: bad.examples for bad in source.read("val", "annotations").found}
    assert found == {
        "image without mask": ("'unlabelled.jpg'",),
        "images of a split missing": ("'nowhere 1' of ImageSets/Segmentation/val.txt",),
    }


@pytest.mark.parametrize("is_coloured", [False, True])
def test_segmentation_masks_of_cvat(tmp_path, values, is_coloured):
    """Without images, as it exports them by default."""
    objects = np.arange(values.size).reshape(values.shape) // 600
    objects = ((objects + 1) * (values > 0)).astype(np.uint8)
    folder = voc(tmp_path, values, objects, images=False)
    if is_coloured:
        palette = [(k * 50 % 256, k * 90 % 256, k) for k in range(256)]
        put(folder / "SegmentationClass/a.png", png(in_colours(values, COLOURS)))
        put(folder / "SegmentationObject/a.png", png(in_colours(objects, palette)))
    put(folder / "labelmap.txt", "background:0,0,0::\nmono:128,0,0::\nbi:0,128,0::\n")
    put(folder / "ImageSets/Segmentation/default.txt", "a\n")
    table = table_of(folder)
    majority = {
        k: 1 + int(np.argmax([((objects == k) & (values == c)).sum() for c in (1, 2)]))
        for k in np.unique(objects[objects > 0]).tolist()
    }
    assert masks_of(table) == {
        "a.png": [(c, rle_of(objects == k)["counts"].encode()) for k, c in majority.items()]
    }
    done, n, _ = kinds_of(folder)["object of several classes"]
    assert (done, n) == ("kept", len(majority))
    mtfast.convert(folder, tmp_path / "s.zarr", images="none")


def test_objects_without_a_class(tmp_path, values):
    objects = np.where(values == 0, 5, 0).astype(np.uint8)
    folder = voc(tmp_path / "VOC2007", values, objects)
    words = "object 5 of SegmentationObject/a.png"
    with pytest.raises(SourceError, match=rf"1 x annotation without category \({words}\)"):
        table_of(folder)
    assert table_of(folder, bad="skip").n_instances == 0


def test_a_map_of_objects_that_is_missing(tmp_path, values):
    folder = voc(tmp_path / "VOC", values, values)
    put(folder / "SegmentationClass/unlabelled.png", png(values))
    words = "SegmentationClass/unlabelled.png has no map in SegmentationObject/"
    assert kinds_of(folder, bad="skip")["unreadable mask"] == ("skipped", 1, (words,))


def test_photographs_in_place_of_maps(tmp_path, rng):
    """Each pixel is a value of its own: no more than the pixels are counted."""
    noise = rng.integers(0, 65536, (300, 400)).astype(np.uint16)
    put_image(tmp_path / "VOC/JPEGImages/a.jpg", 300, 400)
    for name in ("Class", "Object"):
        put(tmp_path / f"VOC/Segmentation{name}/a.png", png(noise))
    found = kinds_of(tmp_path / "VOC", bad="skip")
    assert found["pixels of no class"][1] == 1
    assert found["annotation without category"][1] > 10_000


def test_names_with_spaces_in_lists(tmp_path, values):
    folder = voc(tmp_path / "VOC", values, values)
    for name in ("Class", "Object"):
        put(folder / f"Segmentation{name}/b 2.png", png(values))
    put_image(folder / "JPEGImages/b 2.jpg")
    put(folder / "ImageSets/Segmentation/train.txt", "b 2\n")
    assert masks_of(table_of(folder)).keys() == {"b 2.jpg"}


def test_instance_masks_with_classes(tmp_path, values):
    folder = make(tmp_path, values)
    put(folder / "instance_masks/a.png", png((values > 0).astype(np.uint8)))
    majority = 1 + int((values == 2).sum() > (values == 1).sum())
    assert table_of(folder).category_ids.tolist() == [majority]
    (folder / "classes.txt").unlink()
    assert mtfast.open_source(folder).kind == "label_png"


def test_masks_of_roboflow(tmp_path, values):
    for split in ("train", "valid"):
        put_image(tmp_path / split / "a.rf.1.jpg")
        put(tmp_path / split / "a.rf.1_mask.png", png(values))
        put(
            tmp_path / split / "_classes.csv", "Pixel Value, Class\n0, background\n1, mono\n2, bi\n"
        )
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("train", "valid")
    table = source.table("valid", "annotations")
    assert masks_of(table) == {"a.rf.1.jpg": parts_of(values)}
    assert table.categories == ((1, "mono"), (2, "bi"))
    assert source.image_names("valid") == ("a.rf.1.jpg",)


@pytest.mark.parametrize(
    "layout", ["images/{}/a.jpg masks/{}/a.png", "{}/images/a.jpg {}/masks/a.png"]
)
def test_folders_of_splits(tmp_path, values, layout):
    for split in ("train", "val"):
        image, mask = layout.format(split, split).split()
        put_image(tmp_path / image)
        put(tmp_path / mask, png(values))
    put(tmp_path / "classes.txt", "mono\nbi")
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("train", "val")
    for split in source.splits:
        assert masks_of(source.table(split, "annotations")) == {"a.jpg": parts_of(values)}
        assert source.read_image(split, "a.jpg")


def test_masks_without_a_table_are_not_overlooked(tmp_path, values):
    """Their images would pass for a set without any instance."""
    folder = make(tmp_path, values)
    (folder / "classes.txt").unlink()
    with pytest.raises(SourceError, match=r" holds masks \(masks/\) and no table of their classes"):
        mtfast.open_source(folder)


def test_other_pngs_are_no_masks(tmp_path, values):
    put_image(tmp_path / "images/a.jpg")
    put(tmp_path / "labels/overview.png", png(values))
    assert mtfast.open_source(tmp_path).kind == "images"


def test_values_that_no_table_lists(tmp_path, values):
    folder = make(tmp_path, np.where(values == 2, 9, values).astype(np.uint8))
    with pytest.raises(SourceError, match=r"1 x pixels of no class \(value 9 in masks/a.png\)"):
        table_of(folder)
    assert masks_of(table_of(folder, bad="skip"))["a.jpg"] == parts_of(values, (1,))
    assert kinds_of(folder, bad="repair")["pixels of no class"][0] == "dropped"


def test_a_class_of_number_0(tmp_path, values):
    """As in Cityscapes' trainIds: 0 is a road, and 255 is nothing."""
    shifted = np.where(values == 0, 255, values - 1).astype(np.uint8)
    folder = make(tmp_path, shifted, classes__txt="0 road\n1 sidewalk")
    with pytest.raises(SourceError, match=r"category id 0 .* map class 0 to a free number"):
        table_of(folder)
    found = masks_of(table_of(folder, mapping={0: 2}))["a.jpg"]
    assert sorted(found) == sorted((3 - class_, text) for class_, text in parts_of(values))


def start_of_png(side: int, colour_type: int) -> bytes:
    """A PNG that is cut off after a header."""
    sides = side.to_bytes(4, "big") * 2
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + sides + bytes([8, colour_type]) + bytes(9)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not a PNG"),
        (b"\x89PNG\r\n\x1a\n", "is not a PNG"),
        (start_of_png(65536, 0), "pixels"),
        (start_of_png(65536, 2), "pixels"),
        (start_of_png(5, 2), "decoded"),
        (start_of_png(5, 3), "decoded"),
    ],
)
def test_bad_masks(tmp_path, values, data, words):
    folder = make(tmp_path, values)
    put(folder / "masks/a.png", data)
    done, n, (found,) = kinds_of(folder, bad="skip")["unreadable mask"]
    assert (done, n) == ("skipped", 1)
    assert words in found


def test_maps_of_two_sizes(tmp_path, values):
    folder = voc(tmp_path / "VOC", values, values[1:])
    assert kinds_of(folder, bad="skip")["mask of another size"][2] == (
        "SegmentationObject/a.png is 39 x 60, SegmentationClass/a.png 40 x 60",
    )


def test_files_that_do_not_fit_together(tmp_path, values):
    folder = make(tmp_path, values)
    put_image(folder / "images/b.jpg")
    put(folder / "masks/c.png", png(values))
    assert kinds_of(folder, bad="skip") == {
        "mask without image": ("skipped", 1, ("'masks/c.png'",)),
        "image without mask": ("dropped", 1, ("'b.jpg'",)),
    }


def test_two_images_of_one_stem_are_refused(tmp_path, values):
    """The mask may be of either."""
    folder = make(tmp_path, values)
    put_image(folder / "images/a.png")
    with pytest.raises(SourceError, match=r"'a.jpg' and 'a.png' in images/ have one stem"):
        table_of(folder)


@pytest.mark.parametrize("layout", ["{kind}/{split}", "{split}/{kind}"])
def test_no_split_is_passed_over(tmp_path, values, layout):
    """The masks of one have no images of their stems."""
    for split, stem in (("train", "a"), ("val", "b")):
        put_image(tmp_path / layout.format(kind="images", split=split) / "a.jpg")
        put(tmp_path / layout.format(kind="masks", split=split) / f"{stem}.png", png(values))
    put(tmp_path / "classes.txt", "mono\nbi\n")
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("train", "val")
    with pytest.raises(SourceError, match="1 x mask without image"):
        source.table("val", "annotations")


def test_tables_of_splits_may_not_differ(tmp_path, values):
    for split, names in (("train", "mono bi"), ("valid", "bi mono")):
        put_image(tmp_path / split / "a.jpg")
        put(tmp_path / split / "a_mask.png", png(values))
        first, second = names.split()
        put(tmp_path / split / "_classes.csv", f"Pixel Value, Class\n1, {first}\n2, {second}\n")
    with pytest.raises(SourceError, match=r"train/_classes.csv and valid/_classes.csv are diff"):
        table_of(tmp_path)
    assert table_of(tmp_path / "valid").categories == ((1, "bi"), (2, "mono"))


@pytest.mark.parametrize("channels", [1, 3])
def test_masks_of_0_and_255_are_not_read_as_empty(tmp_path, values, channels):
    mask = np.where(values == 1, 255, 0).astype(np.uint8)
    folder = make(tmp_path, mask, classes__txt="mono")
    if channels == 3:
        put(folder / "masks/a.png", png(np.repeat(mask[..., None], 3, -1)))
    with pytest.raises(SourceError, match="1 x pixels of no class"):
        table_of(folder)
    assert table_of(folder, bad="repair").n_instances == 0
    put(folder / "classes.txt", "255 mono")
    wanted = [(255, text) for _, text in parts_of(values, (1,))]
    assert masks_of(table_of(folder))["a.jpg"] == wanted


def test_lists_name_images_with_spaces_and_lost_ones(tmp_path, values):
    folder = tmp_path / "VOC2012"
    for stem in ("a", "a 1", "b"):
        put_image(folder / f"JPEGImages/{stem}.jpg")
        put(folder / f"SegmentationClass/{stem}.png", png(values))
    put(folder / "ImageSets/Segmentation/train.txt", "a 1\nb 1\ngone\n")
    put(folder / "ImageSets/Segmentation/val.txt", "a\n")
    source = mtfast.open_source(folder)
    assert source.image_names("train") == ("a 1.jpg", "b.jpg")
    assert source.table("train", "annotations").names.tolist() == ["a 1.jpg", "b.jpg"]
    assert source.table("val", "annotations").names.tolist() == ["a.jpg"]
    words = "'gone' of ImageSets/Segmentation/train.txt"
    assert kinds_of(folder) == {"images of a split missing": ("dropped", 1, (words,))}


def test_lists_may_begin_with_a_byte_order_mark(tmp_path, values):
    folder = tmp_path / "VOC2012"
    for stem in "ab":
        put_image(folder / f"JPEGImages/{stem}.jpg")
        put(folder / f"SegmentationClass/{stem}.png", png(values))
    put(folder / "ImageSets/Segmentation/train.txt", b"\xef\xbb\xbfa\nb\n")
    assert list(masks_of(table_of(folder))) == ["a.jpg", "b.jpg"]


Table = tuple[str, dict[int, str], dict[tuple[int, int, int], int]]
TABLES: dict[str, Table] = {
    "classes.txt": ("mono\nbi\n", {1: "mono", 2: "bi"}, {}),
    "labels.txt": (
        "__ignore__\n_background_\nmono\n",
        {-1: "__ignore__", 0: "_background_", 1: "mono"},
        {},
    ),
    "class_names.txt": ("background\nmono", {0: "background", 1: "mono"}, {}),
    "Classes.TXT": ("3 mono\n7: bi layer\n9,tri", {3: "mono", 7: "bi layer", 9: "tri"}, {}),
    "labels.TXT": (
        "0 background\n1 1L\n2: 2L\n3,10 L",
        {0: "background", 1: "1L", 2: "2L", 3: "10 L"},
        {},
    ),
    "label_colors.txt": (
        "64 128 64\tAnimal\n192 0 128\tArchway",
        {1: "Animal", 2: "Archway"},
        {(64, 128, 64): 1, (192, 0, 128): 2},
    ),
    "labelmap.txt": (
        "# label:color_rgb:parts:actions\nmono:128,0,0::\nbi:0,1,0:a,b:\n",
        {1: "mono", 2: "bi"},
        {(128, 0, 0): 1, (0, 1, 0): 2},
    ),
    "class_dict.csv": (
        "name,r,g,b\nVoid,0,0,0\nmono,1,2,3",
        {0: "Void", 1: "mono"},
        {(0, 0, 0): 0, (1, 2, 3): 1},
    ),
    "classes.csv": (
        'ID,Name,Color\n4,mono,#0A0b0C\n5,bi,"1, 2, 3"',
        {4: "mono", 5: "bi"},
        {(10, 11, 12): 4, (1, 2, 3): 5},
    ),
    "_classes.csv": (
        "Pixel Value, Class\n0, background\n1, mono\n",
        {0: "background", 1: "mono"},
        {},
    ),
    "classes.json": ('["mono", "bi"]', {1: "mono", 2: "bi"}, {}),
    "label_map.json": ('{"3": "mono"}', {3: "mono"}, {}),
    "labels.json": ('{"mono": 3, "bi": 4}', {3: "mono", 4: "bi"}, {}),
    "categories.json": (
        '{"categories": [{"id": 2, "name": "x", "color": [9, 8, 7], "isthing": 0}]}',
        {2: "x"},
        {(9, 8, 7): 2},
    ),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables(tmp_path, name):
    text, names, colours = TABLES[name]
    put(tmp_path / name, text)
    table = find_table(Folder(tmp_path))
    assert table is not None
    assert table.names == names
    assert table.colours == {packed(*colour): id_ for colour, id_ in colours.items()}
    assert table.stuff == ({2} if "isthing" in text else set())


BAD_TABLES: dict[str, Any] = {
    "classes.txt": ["", "1 a\n1 b", b"\xff\xfe"],
    "classes.csv": ["", "x,y\n1,2", "id,name\na,b", "name,r,g,b\na,1,2,300", "id,name\n1,"],
    "classes.json": ["", "3", "[1]", '{"a": []}', '[{"id": 1}]', "[" * 100_000, '{"a": NaN}'],
    "labelmap.txt": ["a:1,2,3::\nb:1,2,3::", "a:1,2,999::"],
}


@pytest.mark.parametrize(
    ("name", "text"), [(name, text) for name, texts in BAD_TABLES.items() for text in texts]
)
def test_bad_tables(tmp_path, values, name, text):
    folder = make(tmp_path, values, **{name.replace(".", "__"): ""})
    put(folder / name, text)
    with pytest.raises(
        SourceError, match=rf"^{name} is no table of classes \(.*\); expected"
    ) as caught:
        mtfast.open_source(folder)
    assert len(str(caught.value)) < 400


def test_json_is_written_as_names_by_hand(tmp_path, values):
    folder = make(tmp_path, values, classes__json=json.dumps({"mono": 1, "bi": 2}))
    assert masks_of(table_of(folder))["a.jpg"] == parts_of(values)
