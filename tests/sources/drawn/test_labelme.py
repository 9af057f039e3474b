"""Sets of labelme files, compared with labelme's own definition of each shape, written out here."""

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO

import mtfast
from mtfast.derivation import derive_dataset
from mtfast.errors import SourceError

HEIGHT, WIDTH = 60, 80


def shape(kind, points, label="1L", **keys):
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, **keys}


def write(folder, name="a", shapes=(), size=(HEIGHT, WIDTH), image=True, **keys):
    folder.mkdir(parents=True, exist_ok=True)
    content = {
        "version": "6.3.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": f"{name}.png",
        "imageData": None,
        "imageHeight": size[0],
        "imageWidth": size[1],
        **keys,
    }
    (folder / f"{name}.json").write_text(json.dumps(content))
    if image:
        (folder / f"{name}.png").write_bytes(png(np.zeros((*size, 3), np.uint8)))
    return folder


def png(pixels) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def in_json(pixels) -> str:
    return base64.b64encode(png(pixels)).decode()


def table_of(folder, split="train", **options):
    return mtfast.open_source(folder, **options).table(split, "annotations")


def masks_of(table):
    size = [HEIGHT, WIDTH]
    texts = [table.text(k) for k in range(table.n_instances)]
    return [coco_mask.decode({"size": size, "counts": text}).astype(bool) for text in texts]


def flat(points):
    return [number for point in points for number in point]


def by_labelme(kind, points):
    """``shape_to_mask`` of labelme."""
    frame = Image.new("L", (WIDTH, HEIGHT))
    draw = ImageDraw.Draw(frame)
    xy = [tuple(point) for point in points]
    if kind == "circle":
        (x, y), (px, py) = xy
        d = math.sqrt((x - px) ** 2 + (y - py) ** 2)
        draw.ellipse(((x - d, y - d), (x + d, y + d)), outline=1, fill=1)
    elif kind == "rectangle":
        (x0, y0), (x1, y1) = xy
        box = ((min(x0, x1), min(y0, y1)), (max(x0, x1), max(y0, y1)))
        draw.rectangle(box, outline=1, fill=1)
    elif kind in ("line", "linestrip"):
        draw.line(xy=xy, fill=1, width=10)
    elif kind == "point":
        ((x, y),) = xy
        draw.ellipse(((x - 5, y - 5), (x + 5, y + 5)), outline=1, fill=1)
    else:
        draw.polygon(xy=xy, outline=1, fill=1)
    return np.asarray(frame, bool)


KINDS = {
    "polygon": 6,
    "rectangle": 2,
    "oriented_rectangle": 4,
    "circle": 2,
    "line": 2,
    "linestrip": 4,
    "point": 1,
}


def test_every_shape_has_the_pixels_of_labelme(tmp_path):
    rng = np.random.default_rng(1)
    shapes = []
    for kind, n in KINDS.items():
        for _ in range(30):
            # Partly outside of the image, which labelme allows.
            points = rng.uniform(-15, 90, (n, 2)).tolist()
            shapes.append(shape(kind, points))
    table = table_of(write(tmp_path / "set", "a", shapes), rasterizer="pil")
    for drawn, mask in zip(shapes, masks_of(table), strict=True):
        assert (mask == by_labelme(drawn["shape_type"], drawn["points"])).all(), drawn


def test_outlines_have_the_pixels_of_pycocotools_by_default(tmp_path):
    ring = [[3.2, 5.1], [40.7, 9.9], [30.0, 44.4]]
    shapes = [
        shape("polygon", ring),
        {"label": "1L", "points": ring},
        shape("rectangle", [[50.5, 40.0], [20.0, 10.5]]),
        shape("circle", [[40.0, 30.0], [40.0, 45.0]]),
    ]
    table = table_of(write(tmp_path / "set", "a", shapes))
    box = [20.0, 10.5, 50.5, 10.5, 50.5, 40.0, 20.0, 40.0]
    rings = [flat(ring), flat(ring), box]
    expected = coco_mask.frPyObjects(rings, HEIGHT, WIDTH)
    assert [table.text(k) for k in range(3)] == [rle["counts"] for rle in expected]
    assert table.area()[3] == pytest.approx(math.pi * 15**2, rel=0.01)


def test_masks_are_placed_and_cut(tmp_path):
    rng = np.random.default_rng(2)
    part = rng.integers(0, 2, (12, 20)).astype(np.uint8)
    expected = []
    shapes = []
    for (x, y), (width, height) in (
        ((10, 20), (20, 12)),
        ((10, 20), (7, 5)),
        ((70, 55), (20, 12)),
        ((-4, -3), (20, 12)),
        ((10.4, 20.6), (20.3, 11.2)),
    ):
        points = [[x, y], [x + width - 1, y + height - 1]]
        shapes.append(shape("mask", points, mask=in_json(255 * part)))
        is_whole = isinstance(x, int)
        patch = part[:height, :width] if is_whole else part
        frame = np.zeros((HEIGHT, WIDTH), bool)
        for v, u in zip(*np.nonzero(patch), strict=True):
            if 0 <= round(y) + v < HEIGHT and 0 <= round(x) + u < WIDTH:
                frame[round(y) + v, round(x) + u] = True
        expected.append(frame)
    masks = masks_of(table_of(write(tmp_path / "set", "a", shapes)))
    assert all((mask == frame).all() for mask, frame in zip(masks, expected, strict=True))


def test_groups_are_one_instance_each(tmp_path):
    one, two = [[5, 5], [15, 5], [15, 15]], [[40, 40], [60, 40], [60, 50]]
    shapes = [
        shape("polygon", one, group_id=7, flags={"sure": True}, description="thin"),
        shape("polygon", two, "2L", group_id=7),
        shape("polygon", two, group_id=7),
        shape("polygon", one),
        shape("polygon", two),
    ]
    table = table_of(write(tmp_path / "set", "a", shapes))
    rings = coco_mask.frPyObjects([flat(one), flat(two)], HEIGHT, WIDTH)
    union = coco_mask.merge(rings)["counts"]
    texts = [table.text(k) for k in range(table.n_instances)]
    assert texts == [union, rings[1]["counts"], rings[0]["counts"], rings[1]["counts"]]
    assert table.category_ids.tolist() == [1, 2, 1, 1]
    assert [c.name for c in table.categories] == ["1L", "2L"]


def test_what_is_no_instance_is_counted(tmp_path):
    ring = [[5, 5], [15, 5], [15, 15]]
    shapes = [
        shape("polygon", ring),
        shape("points", [[1, 1], [2, 2]]),
        shape("polygon", ring, "__ignore__"),
        shape("polygon", ring, "_background_"),
    ]
    folder = write(tmp_path / "set", "a", shapes)
    write(folder, "empty")
    (folder / "unlabelled.png").write_bytes((folder / "a.png").read_bytes())
    (folder / "camera.json").write_text('{"exposure": 2}')
    reading = mtfast.open_source(folder).read("train", "annotations")
    assert reading.table.names.tolist() == ["a.png", "empty.png"]
    assert np.diff(reading.table.image_offsets).tolist() == [1, 0]
    assert {bad.kind: (bad.n, bad.done) for bad in reading.found} == {
        "image without annotation file": (1, "dropped"),
        "JSON file of another format": (1, "dropped"),
        "shape without a mask": (1, "dropped"),
        "label that is no class": (2, "dropped"),
    }
    notes = {found.check: found.count for found in mtfast.diagnose(folder).findings}
    assert notes["label that is no class"] == 2


def classes_of(table):
    return {category.id: category.name for category in table.categories}


def test_a_class_has_one_number_in_every_split(tmp_path):
    ring = [[5, 5], [15, 5], [15, 15]]
    write(tmp_path / "train", "a", [shape("polygon", ring, "bulk")])
    write(tmp_path / "val", "b", [shape("polygon", ring, "1L"), shape("polygon", ring, "2L")])
    source = mtfast.open_source(tmp_path)
    assert source.splits == ("train", "val")
    tables = [source.table(split, "annotations") for split in source.splits]
    assert all(classes_of(table) == {1: "1L", 2: "2L", 3: "bulk"} for table in tables)
    assert [table.category_ids.tolist() for table in tables] == [[3], [1, 2]]
    assert [table.names.tolist() for table in tables] == [["a.png"], ["b.png"]]

    (tmp_path / "labels.txt").write_text("__ignore__\n_background_\nbulk\n3L\n1L\n")
    with pytest.raises(SourceError, match=r"1 x label not in labels.txt \('2L' on b.png\)"):
        source.table("val", "annotations")
    mended = mtfast.open_source(tmp_path, bad="repair").table("val", "annotations")
    assert classes_of(mended) == {1: "bulk", 2: "3L", 3: "1L", 4: "2L"}
    assert mended.category_ids.tolist() == [3, 4]
    assert table_of(tmp_path, "val", bad="skip").category_ids.tolist() == [3]


def test_a_class_of_a_bad_file_has_its_number_in_other_splits(tmp_path):
    """A file with NaN is read shape by shape, and what is sound in it has a class."""
    ring = [[5, 5], [15, 5], [15, 15]]
    nowhere = [[float("nan"), 5], [15, 5], [15, 15]]
    write(tmp_path / "train", "a", [shape("polygon", ring, "1L"), shape("polygon", nowhere)])
    write(tmp_path / "val", "b", [shape("polygon", ring, "2L")])
    source = mtfast.open_source(tmp_path, bad="skip")
    for split in source.splits:
        assert classes_of(source.table(split, "annotations")) == {1: "1L", 2: "2L"}


def test_images_are_found_by_paths_of_windows(tmp_path):
    ring = [[5, 5], [15, 5], [15, 15]]
    write(tmp_path / "json", "a", [shape("polygon", ring)], image=False, imagePath="..\\raw\\x.png")
    write(tmp_path / "json", "b", imagePath="C:\\lab\\raw\\y.png", image=False)
    for name in ("x", "y"):
        write(tmp_path / "raw", name)
        (tmp_path / "raw" / f"{name}.json").unlink()
    source = mtfast.open_source(tmp_path)
    names = source.table("train", "annotations").names.tolist()
    assert names == ["raw/x.png", "raw/y.png"]
    assert source.find_image("train", "raw/y.png") == str(tmp_path / "raw" / "y.png")
    said = [finding.check for finding in mtfast.diagnose(tmp_path).findings]
    assert said == ["identical images"]


def test_an_image_inside_its_json_file_is_read_from_there(tmp_path):
    pixels = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    ring = [[5, 5], [15, 5], [15, 15]]
    folder = tmp_path / "set"
    write(folder, "a", [shape("polygon", ring)], image=False, imageData=in_json(pixels))
    write(folder, "b")
    source = mtfast.open_source(folder)
    (said,) = source.read("train", "annotations").found
    assert (said.kind, said.places) == ("image inside its JSON file", ("a.png",))
    assert source.matched("train", ["a.png", "b.png"]) == ()
    assert source.findings("train") == (said,)
    store = mtfast.open(mtfast.convert(source, tmp_path / "a.zarr"))
    assert (store["train"].image("a.png") == pixels).all()
    derive_dataset(source, tmp_path / "derived", min_areas=(10,))
    assert (tmp_path / "derived/train_images/a.png").read_bytes() == png(pixels)


def test_masks_lie_on_the_image_as_it_is_shown(tmp_path):
    """Turned by 180 degrees an image keeps its size, which then tells nothing."""
    pixels = np.random.default_rng(4).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    exif = Image.Exif()
    exif[0x112] = 3
    folder = write(tmp_path / "set", image=False)
    Image.fromarray(pixels).save(folder / "a.png", exif=exif.tobytes())
    store = mtfast.open(mtfast.convert(folder, tmp_path / "a.zarr"))
    assert (store["train"].image("a.png") == pixels[::-1, ::-1]).all()
    source = mtfast.open_source(folder)
    assert (source["train"].image("a.png") == pixels[::-1, ::-1]).all()
    assert mtfast.diagnose(folder).is_sound


def test_a_size_that_is_missing_is_that_of_the_image(tmp_path):
    folder = write(tmp_path / "set", imageHeight=None)
    table = table_of(folder, bad="skip")
    assert (table.heights.tolist(), table.widths.tolist()) == ([HEIGHT], [WIDTH])


def bomb() -> str:
    """A PNG of a few bytes that says that it has 10**9 pixels."""
    data = bytearray(png(np.zeros((2, 2), np.uint8)))
    data[16:24] = (40_000).to_bytes(4, "big") + (25_000).to_bytes(4, "big")
    return base64.b64encode(data).decode()


CORNERS = [[1, 1], [2, 2]]


@pytest.mark.parametrize(
    ("bad", "kind", "words"),
    [
        (shape("polygon", [[0, 0], [float("nan"), 5], [5, 5]]), "malformed segmentation", "coord"),
        (shape("polygon", [[0, 0], [1e300, 5], [5, 5]]), "malformed segmentation", "coordinate"),
        (shape("polygon", [[0, 0], [5, 5]]), "polygon of two points alone", "shape 1 of a.json"),
        (shape("polygon", [[0, 0], [5]]), "malformed record", "length"),
        (shape("polygon", "ab"), "malformed record", "array"),
        (shape("polygon", None), "malformed record", "array"),
        (shape("rectangle", CORNERS, "\ud800"), "malformed record", "surrogates"),
        (shape("rectangle", CORNERS, group_id=10**400), "malformed record", "group_id"),
        (shape("rectangle", [[0, 0]]), "malformed segmentation", "1 points; expected 2"),
        (shape("cuboid", [[0, 0]]), "malformed segmentation", "its type is 'cuboid'"),
        ({"points": []}, "malformed record", "label"),
        (shape("mask", CORNERS), "malformed segmentation", "it has no mask"),
        (shape("mask", CORNERS, mask="%%%"), "malformed segmentation", "no base64"),
        (shape("mask", CORNERS, mask="aGVsbG8="), "malformed segmentation", "no PNG"),
        (shape("mask", CORNERS, mask=bomb()), "malformed segmentation", "larger than its image"),
        (
            shape("mask", CORNERS, mask=in_json(np.zeros((2, 2, 3), np.uint8))),
            "malformed segmentation",
            "RGB",
        ),
    ],
)
def test_a_bad_shape_is_counted_and_can_be_left_out(tmp_path, bad, kind, words):
    good = shape("polygon", [[5, 5], [15, 5], [15, 15]])
    folder = write(tmp_path / "set", "a", [good, bad])
    with pytest.raises(SourceError, match=rf"1 x {kind} .*; expected records as labelme") as raised:
        table_of(folder)
    assert "\n" not in str(raised.value)
    reading = mtfast.open_source(folder, bad="skip").read("train", "annotations")
    assert reading.table.n_instances == 1
    (found,) = reading.found
    assert found.kind == kind
    assert words.partition(";")[0] in found.examples[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "no JSON"),
        ('{"version": "5", "flags": {}, "shapes": 3}', "its shapes are of type int"),
        ('{"version": "5", "flags": {}, "shapes": [], "imagePath": 3}', "imagePath"),
        ('{"version": "5", "shapes": [], "imagePath": "a", "imageHeight": "9"}', "imageHeight"),
    ],
)
def test_a_bad_file_is_counted_and_can_be_left_out(tmp_path, text, words):
    folder = write(tmp_path / "set", "good")
    (folder / "odd.json").write_text(text)
    with pytest.raises(SourceError, match=r"1 x malformed record \(odd.json: "):
        table_of(folder)
    reading = mtfast.open_source(folder, bad="skip").read("train", "annotations")
    assert reading.table.names.tolist() == ["good.png"]
    assert words in reading.found[0].examples[0]


def test_two_files_of_one_image_are_joined_if_that_is_asked_for(tmp_path):
    ring = [[5, 5], [15, 5], [15, 15]]
    folder = write(tmp_path / "set", "a", [shape("polygon", ring)])
    write(folder, "copy", [shape("polygon", ring)], image=False, imagePath="a.png")
    with pytest.raises(SourceError, match="1 x file name twice"):
        table_of(folder)
    assert table_of(folder, bad="repair").n_instances == 2


def test_one_file_alone_is_read(tmp_path):
    folder = write(tmp_path / "set", "a", [shape("polygon", [[5, 5], [15, 5], [15, 15]])])
    write(folder, "b")
    assert table_of(folder / "a.json").names.tolist() == ["a.png"]


def test_a_set_goes_to_coco_with_all_that_is_said_of_it(tmp_path):
    rng = np.random.default_rng(5)
    folder = tmp_path / "set"
    for name in "abc":
        shapes = [
            shape("polygon", rng.uniform(0, 60, (5, 2)).tolist(), f"{k}L", flags={"sure": True})
            for k in range(1, 4)
        ]
        write(folder, name, shapes, flags={"good": True})
    table = table_of(folder)
    derive_dataset(folder, tmp_path / "derived", min_areas=(10,))
    coco = COCO(tmp_path / "derived/RLE_annotations/train_annotations_with_class_full.json")
    assert [c["name"] for c in coco.loadCats(coco.getCatIds())] == ["1L", "2L", "3L"]
    for k, id_ in enumerate(table.instance_ids.tolist()):
        annotation = coco.anns[id_]
        assert coco.annToRLE(annotation)["counts"].encode() == table.text(k)
        assert annotation["flags"] == {"sure": True}
    assert all(image["flags"] == {"good": True} for image in coco.loadImgs(coco.getImgIds()))


def test_a_stem_of_two_images_names_neither(tmp_path):
    write(tmp_path, shapes=[shape("polygon", [[1, 1], [9, 1], [9, 9]])], imagePath="gone.jpg")
    assert table_of(tmp_path).names.tolist() == ["a.png"]
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.jpg")
    assert table_of(tmp_path).names.tolist() == ["gone.jpg"]
