"""Exported masks: every format, later runs, and what is refused."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import zlib
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import tifffile
import zarr
from click.testing import CliRunner
from PIL import Image

import mtfast
from folders import names_in
from mtfast.atomic import PARTIAL
from mtfast.cli.masks import PixelSize
from mtfast.cli.masks import masks as command
from mtfast.errors import MtfastError, SourceError, StoreError
from mtfast.export import image_files, inputs, manifest, tiff_pages
from mtfast.export.tiff_pages import PageInfo, write_pages
from mtfast.painting.mask_kinds import MaskSpec
from mtfast.pictures.palette import class_colour
from tables import make_table, random_masks

FORMATS = ("zarr", "png", "tiff", "tiff files")


def export(source, out, form="zarr", **options):
    per_image = {"file_per_image": True} if form == "tiff files" else {}
    return mtfast.export_masks(source, out, format=form.split()[0], **per_image, **options)


def read(out: Path, form: str, split: str, names: list[str], kind: str = "semantic") -> np.ndarray:
    """Read masks with the usual libraries."""
    folder = out / f"{split}_{kind}_masks"
    stems = [Path(name).stem for name in names]
    if form == "zarr":
        group = zarr.open_group(out, mode="r")[split]
        assert group["name"][:].tolist() == names
        assert group.attrs[f"{kind}_variant"].startswith("annotations")
        assert sorted(group.array_keys()) == sorted(["name", kind])
        return group[kind][:]
    if form == "tiff":
        listed = (out / f"{split}_{kind}_masks.txt").read_text().splitlines()
        assert listed == names
        return tifffile.imread(f"{folder}.tif").reshape(len(names), *(240, 320))
    if form == "png":
        assert sorted(os.listdir(folder)) == sorted(f"{stem}.png" for stem in stems)
        return np.array([np.asarray(Image.open(folder / f"{stem}.png")) for stem in stems])
    assert sorted(os.listdir(folder)) == sorted(f"{stem}.tif" for stem in stems)
    return np.array([tifffile.imread(folder / f"{stem}.tif") for stem in stems])


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    """Path of each file, with its inode and time."""
    return {
        str(path.relative_to(folder)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ("masks.json", "zarr.json")
    }


@pytest.fixture
def few_a_batch(monkeypatch):
    """Make a split several batches."""
    monkeypatch.setattr("mtfast.store.schema.SHARD", 8)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"min_area": 300, "variant": "annotations_with_class_full", "overlap": "smallest"},
        {"kind": "instance", "overlap": "first"},
        {"categories": [1, 3], "mapping": {3: 1000, 1: 3}, "kind": "boundary"},
    ],
)
def test_masks_are_the_selection_painted(small_set, tmp_path, form, options, few_a_batch):
    made = export(small_set, tmp_path / "masks", form, **options)
    assert made.n_images == {"train": 20, "test": 6}
    assert made.n_written == 26
    source = mtfast.open_source(small_set)
    variant = options.get("variant", "annotations_with_class_200")
    assert made.variants == {"train": variant, "test": variant}
    options = {key: value for key, value in options.items() if key != "variant"}
    if "mapping" in options:
        options["mapping"] = tuple(options["mapping"].items())
    for split in source.splits:
        table = source.table(split, variant)
        expected = mtfast.semantic(MaskSpec(**options).select(table))
        kind = options.get("kind", "semantic")
        found = read(tmp_path / "masks", form, split, table.names.tolist(), kind)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
    assert names_in(tmp_path) == ["masks"]
    assert not list((tmp_path / "masks").rglob(".*"))


def test_png_files_are_those_that_come_with_a_set(small_set, tmp_path):
    export(small_set, tmp_path / "masks", "png")
    for split in ("train", "test"):
        shipped = small_set / f"{split}_semantic_masks"
        made = tmp_path / "masks" / shipped.name
        assert sorted(os.listdir(made)) == sorted(os.listdir(shipped))
        for file in shipped.iterdir():
            with Image.open(file) as theirs, Image.open(made / file.name) as ours:
                assert ours.mode == theirs.mode == "L"
                np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_the_stem_of_a_name_with_a_backslash(tmp_path):
    """As Split.index takes it: Windows wrote the annotations."""
    file = write_coco(tmp_path / "set.json", [("run1\\a1.jpg", 9, 9), ("run2/a2.tile.jpg", 9, 9)])
    export(file, tmp_path / "masks", "png")
    folder = tmp_path / "masks" / "train_semantic_masks"
    assert sorted(os.listdir(folder)) == ["a1.png", "a2.tile.png"]


def test_an_opened_dataset_is_as_good_as_its_path(small_set, tmp_path):
    store = mtfast.convert(small_set, tmp_path / "set.zarr", images="none")
    made = {}
    for name, dataset in {
        "path": small_set,
        "source": mtfast.open_source(small_set),
        "store": mtfast.open(store),
    }.items():
        export(dataset, tmp_path / name, splits=["test"])
        made[name] = zarr.open_array(tmp_path / name / "test" / "semantic", mode="r")[:]
        record = zarr.open_group(tmp_path / name, mode="r").attrs["mtfast_masks"]
        assert record["source"] == ("set.zarr" if name == "store" else "Graphene")
    np.testing.assert_array_equal(made["source"], made["path"])
    np.testing.assert_array_equal(made["store"], made["path"])


def test_a_store_is_a_source_too(small_set, tmp_path):
    store = mtfast.convert(small_set, tmp_path / "set.zarr", images="none")
    export(store, tmp_path / "a")
    export(small_set, tmp_path / "b")
    found, expected = (zarr.open_group(tmp_path / x, mode="r")["train/semantic"] for x in "ab")
    assert found.metadata == expected.metadata
    np.testing.assert_array_equal(found[:], expected[:])
    converted = zarr.open_array(store / "train" / "semantic", mode="r")
    plain = replace(converted.metadata, attributes={})
    assert replace(expected.metadata, attributes={}) == plain
    with pytest.raises(StoreError, match="did not write; expected a converted dataset"):
        mtfast.open(tmp_path / "a")


def test_a_tiff_stack_opens_everywhere(small_set, tmp_path, few_a_batch):
    export(small_set, tmp_path, "tiff", splits=["train"])
    file = tmp_path / "train_semantic_masks.tif"
    table = mtfast.open_source(small_set).table("train", "annotations_with_class_200")
    expected = mtfast.semantic(table)
    with tifffile.TiffFile(file) as tiff:
        assert not tiff.is_bigtiff
        assert len(tiff.pages) == 20
        assert {page.compression.name for page in tiff.pages} == {"ADOBE_DEFLATE"}
        (series,) = tiff.series
        assert series.axes == "ZYX"
        with series.aszarr() as view:
            lazy = zarr.open_array(view, mode="r")
            assert lazy.chunks == (1, 240, 320)
            np.testing.assert_array_equal(lazy[:], expected)
    with Image.open(file) as image:
        assert image.n_frames == 20
        for page in (0, 7, 19):
            image.seek(page)
            np.testing.assert_array_equal(np.asarray(image), expected[page])
    cv2 = pytest.importorskip("cv2", reason="OpenCV is in the group 'bench'")
    whole, pages = cv2.imreadmulti(str(file), flags=cv2.IMREAD_UNCHANGED)
    assert whole
    np.testing.assert_array_equal(pages, expected)


@pytest.mark.parametrize("most", [None, 0])
@pytest.mark.parametrize("kind", ["semantic", "instance"])
def test_a_tiff_stack_is_one_of_imagej(small_set, tmp_path, few_a_batch, monkeypatch, kind, most):
    """Also where it is BigTIFF, as it is above 4 GB, which other programs than ImageJ read."""
    if most is not None:
        monkeypatch.setattr(tiff_pages, "_LAST_CLASSIC", most)
    export(small_set, tmp_path, "tiff", splits=["train"], kind=kind, pixel_size=0.325)
    file = tmp_path / f"train_{kind}_masks.tif"
    names = (tmp_path / f"train_{kind}_masks.txt").read_text().splitlines()
    table = mtfast.open_source(small_set).table("train", "annotations_with_class_200")
    if kind == "instance":
        numbers = np.concatenate([np.arange(n) + 1 for n in np.diff(table.image_offsets)])
        table = replace(table, category_ids=numbers)
    with tifffile.TiffFile(file) as tiff:
        assert tiff.is_imagej
        assert tiff.is_bigtiff == (most == 0)
        np.testing.assert_array_equal(tiff.asarray(), mtfast.semantic(table))
        found = tiff.imagej_metadata
        assert found["Labels"] == names == table.names.tolist()
        assert (found["images"], found["slices"]) == (20, 20)
        assert (found["unit"], found["spacing"]) == ("micron", 1)
        # ImageJ shows value v in colour v only then.
        assert (found["min"], found["max"]) == (0, 255)
        colours = np.array([(0, 0, 0), *map(class_colour, range(1, 256))])
        np.testing.assert_array_equal(np.transpose(found["LUTs"]), colours)
        for page in tiff.pages:
            across, down = (page.tags[name].value for name in ("XResolution", "YResolution"))
            assert across == down == (40, 13)
            assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.NONE
            # ImageJ makes a stack of pages only if all of them have a table, or none.
            np.testing.assert_array_equal(page.colormap.T, colours * 257)
            assert page.photometric == tifffile.PHOTOMETRIC.MINISBLACK
    # As values, and not as colours, in what reads TIFF by itself too.
    with Image.open(file) as image:
        for page in (0, 19):
            image.seek(page)
            assert image.mode == "L"
            np.testing.assert_array_equal(np.asarray(image), tifffile.imread(file, key=page))


def test_a_stack_that_imagej_could_not_hold_has_no_colour_tables(rng, monkeypatch):
    strips = [zlib.compress(rng.integers(0, 9, 12, np.uint8))] * 3
    info = PageInfo("uint8", 9, labels=list("abc"))
    for most, there in ((36, True), (35, False)):
        monkeypatch.setattr(tiff_pages, "_LARGEST_IN_IMAGEJ", most)
        write_pages(file := io.BytesIO(), strips, [(3, 4)] * 3, info, 99)
        file.seek(0)
        with tifffile.TiffFile(file) as tiff:
            assert [page.colormap is not None for page in tiff.pages] == [there] * 3
            assert tiff.imagej_metadata["Labels"] == list("abc")


def test_a_tiff_stack_of_wide_values_spans_them(small_set, tmp_path):
    export(small_set, tmp_path, "tiff", splits=["test"], mapping={1: 1000})
    with tifffile.TiffFile(tmp_path / "test_semantic_masks.tif") as tiff:
        found = tiff.imagej_metadata
        assert (found["min"], found["max"]) == (0, 1000)
        assert found["Labels"] == (tmp_path / "test_semantic_masks.txt").read_text().split()
        assert "LUTs" not in found
        assert "ColorMap" not in tiff.pages[0].tags
        assert tiff.asarray().dtype == np.uint16


@pytest.mark.parametrize("size", [0.0001, 0.065, 0.1, 1 / 3, 1.5, 100_000])
def test_pixels_have_their_size_in_files_of_one_page(small_set, tmp_path, size):
    """In centimetres, which TIFF knows."""
    out = tmp_path / "masks"
    export(small_set, out, "tiff files", splits=["test"], pixel_size=size)
    file = next((out / "test_semantic_masks").iterdir())
    with tifffile.TiffFile(file) as tiff:
        page = tiff.pages[0]
        assert page.tags["ResolutionUnit"].value == tifffile.RESUNIT.CENTIMETER
        numerator, denominator = page.tags["XResolution"].value
        assert 1e4 * denominator / numerator == pytest.approx(size, rel=1e-6)
        assert not tiff.is_imagej
    with pytest.raises(StoreError, match="holds masks made with pixel_size"):
        export(small_set, out, "tiff files", splits=["test"], pixel_size=2)


def test_pages_of_odd_lengths_lie_at_even_places(rng):
    """As TIFF demands of directories and of values."""
    strips = [zlib.compress(rng.integers(0, 9, 12, np.uint8), level=k) for k in range(9)]
    assert {len(strip) % 2 for strip in strips} == {0, 1}
    file = io.BytesIO()
    info = PageInfo("uint8", 9, pixel_size=0.1, labels=[f"{k}" for k in range(9)])
    write_pages(file, strips, [(3, 4)] * 9, info, sum(map(len, strips)))
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as tiff:
        for page, strip in zip(tiff.pages, strips, strict=True):
            assert page.offset % 2 == 0
            assert not any(tag.valueoffset % 2 for tag in page.tags)
            assert page.asarray().tobytes() == zlib.decompress(strip)


@pytest.mark.parametrize(
    ("text", "micrometres"),
    [("0.1um", 0.1), ("65nm", 0.065), ("65 nm", 0.065), ("2e-3mm", 2), ("0.5µm", 0.5)],
)
def test_lengths(text, micrometres):
    assert PixelSize().convert(text, None, None) == pytest.approx(micrometres)


@pytest.mark.parametrize("text", ["0.1", "um", "1.2.3um", "-1um", "1 inch", "nanum"])
def test_what_is_no_length(text):
    with pytest.raises(click.BadParameter, match="is no length; expected one such as 0.1um"):
        PixelSize().convert(text, None, None)


@pytest.mark.parametrize("scheduler", ["sync", "processes"])
def test_schedulers_write_the_same(small_set, tmp_path, scheduler):
    seen = []
    options = {"splits": ["test"], "kind": "instance", "form": "png"}
    export(small_set, tmp_path / "a", **options)
    export(
        small_set,
        tmp_path / "b",
        scheduler=scheduler,
        workers=2,
        progress=lambda *call: seen.append(call),
        **options,
    )
    for file in (tmp_path / "a").rglob("*.*"):
        assert file.read_bytes() == (tmp_path / "b" / file.relative_to(tmp_path / "a")).read_bytes()
    assert ("reading annotations of test", 1, 1) in seen
    assert seen[-1] == ("writing masks", 6, 6)


# --- a later run


@pytest.mark.parametrize("form", FORMATS)
def test_a_rerun_writes_what_is_missing_or_damaged(small_set, tmp_path, form, few_a_batch):
    out = tmp_path / "masks"
    export(small_set, out, form)
    before = snapshot(out)
    assert export(small_set, out, form).n_written == 0
    assert snapshot(out) == before
    (victim, cut) = sorted(before)[-3:-1] if form != "tiff" else ["test_semantic_masks.tif"] * 2
    data, cut_data = (out / victim).read_bytes(), (out / cut).read_bytes()
    (out / victim).unlink()
    if cut != victim:
        (out / cut).write_bytes((out / cut).read_bytes()[:-5])
    made = export(small_set, out, form)
    assert 0 < made.n_written <= 16
    assert (out / victim).read_bytes() == data
    if cut != victim:
        assert (out / cut).read_bytes() == cut_data
    changed = {name for name, file in snapshot(out).items() if before.get(name) != file}
    assert changed == {victim, cut}
    if form == "tiff":
        names = out / "test_semantic_masks.txt"
        said = names.read_text()
        names.unlink()
        assert export(small_set, out, form).n_written == 0
        assert names.read_text() == said


@pytest.mark.parametrize("form", FORMATS)
def test_a_rerun_compares_every_byte(small_set, tmp_path, rng, form):
    """Also where a file has its length and its ending, and where two were exchanged."""
    out = tmp_path / "masks"
    export(small_set, out, form)
    (first, second) = sorted(snapshot(out), key=lambda name: (out / name).stat().st_size)[-2:]
    sound = {name: (out / name).read_bytes() for name in (first, second)}
    for name, data in sound.items():
        changed = bytearray(data)
        changed[len(data) // 2 : len(data) // 2 + 8] = rng.bytes(8)
        (out / name).write_bytes(changed)
        assert export(small_set, out, form).n_written > 0
        assert (out / name).read_bytes() == data
    (out / first).write_bytes(sound[second])
    (out / second).write_bytes(sound[first])
    assert export(small_set, out, form).n_written > 0
    assert {name: (out / name).read_bytes() for name in sound} == sound


@pytest.mark.parametrize("form", FORMATS)
def test_overwriting_keeps_the_old_masks_until_the_new_are_whole(
    small_set, tmp_path, monkeypatch, form
):
    out = tmp_path / "masks"
    export(small_set, out, form)
    before = snapshot(out)

    def stop(what, done, total):
        if done == total and what == "writing masks":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match="what is done is kept in"):
        export(small_set, out, form, kind="binary", overwrite=True, progress=stop)
    assert {k: v for k, v in snapshot(out).items() if PARTIAL not in k} == before
    with pytest.raises(StoreError, match='unfinished work .* with kind "binary", not "semantic"'):
        export(small_set, out, form)
    assert export(small_set, out, form, kind="binary", overwrite=True).n_written == 0
    assert not [path for path in out.iterdir() if "semantic" in path.name or PARTIAL in path.name]


def test_splits_may_come_one_by_one(small_set, tmp_path):
    for form in FORMATS:
        export(small_set, tmp_path / form, form, splits=["test"])
        made = export(small_set, tmp_path / form, form)
        assert made.n_written == 20
        assert export(small_set, tmp_path / form, form, splits=["test"]).n_written == 0
    assert zarr.open_group(tmp_path / "zarr", mode="r").attrs["complete"] is True


@pytest.mark.parametrize("form", FORMATS)
def test_other_options_are_not_mixed(small_set, tmp_path, form):
    out = tmp_path / "masks"
    export(small_set, out, form, splits=["test"])
    before = snapshot(out)
    for options, words in [
        ({"min_area": 500}, "made with min_area unset; expected 500 as asked for now; choose"),
        ({"kind": "binary"}, 'made with kind "semantic"; expected "binary"'),
        ({"mapping": {1: 2}}, r"made with mapping unset; expected \[\[1, 2\]\]"),
        ({"variant": "annotations_300"}, "test masks of other annotations .variant"),
    ]:
        with pytest.raises(StoreError, match=words):
            export(small_set, out, form, splits=["test"], **options)
    with pytest.raises(StoreError, match="made with f"):
        export(small_set, out, FORMATS[FORMATS.index(form) - 1])
    assert snapshot(out) == before
    made = export(small_set, out, form, splits=["test"], kind="binary", overwrite=True)
    assert made.n_written == 6
    table = mtfast.open_source(small_set).table("test", "annotations_with_class_200")
    assert read(out, form, "test", table.names.tolist(), "binary").max() == 1
    assert not [path for path in out.iterdir() if "semantic" in path.name]
    other = FORMATS[FORMATS.index(form) - 1]
    export(small_set, out, other, splits=["test"], overwrite=True)
    expected = mtfast.semantic(table)
    np.testing.assert_array_equal(read(out, other, "test", table.names.tolist()), expected)


def test_the_order_of_categories_is_no_other_option(small_set, tmp_path):
    export(small_set, tmp_path / "masks", splits=["test"], categories=[3, 1])
    again = export(small_set, tmp_path / "masks", splits=["test", "test"], categories=(1, 3, 1))
    assert (again.n_images, again.n_written) == ({"test": 6}, 0)


def test_a_record_has_the_splits_of_all_runs(small_set, tmp_path):
    for split in ("test", "train"):
        export(small_set, tmp_path / "masks", "png", splits=[split])
    path = tmp_path / "masks" / "masks.json"
    record = json.loads(path.read_text())
    assert set(record["splits"]) == {"train", "test"}
    path.write_text(json.dumps(record | {"version": 0}))
    with pytest.raises(StoreError, match="has a record of version 0; expected 1; choose another"):
        export(small_set, tmp_path / "masks", "png")
    export(small_set, tmp_path / "masks", "png", splits=["test"], overwrite=True)
    assert names_in(tmp_path / "masks") == ["masks.json", "test_semantic_masks"]


def test_all_that_masks_show_is_in_the_digest(rng):
    """Also a frame of another shape with as many pixels, and other images for the same texts."""
    table = make_table([random_masks(rng, (4, 6), 2), random_masks(rng, (4, 6), 1)], (4, 6))
    others = {
        "heights": replace(table, heights=table.widths, widths=table.heights),
        "image_offsets": replace(table, image_offsets=[0, 1, 3]),
        "names": replace(table, names=table.names[::-1]),
        "category_ids": replace(table, category_ids=table.category_ids[::-1]),
    }
    digests = {t.digest(manifest._SHOWN) for t in (table, *others.values())}
    assert len(digests) == 5


def test_changed_annotations_are_noticed(small_set, tmp_path):
    folder = Path(shutil.copytree(small_set, tmp_path / "set"))
    export(folder, tmp_path / "masks")
    file = folder / "RLE_annotations" / "test_annotations_with_class_200.json"
    content = json.loads(file.read_text())
    content["annotations"][0]["category_id"] ^= 1
    file.write_text(json.dumps(content))
    assert export(folder, tmp_path / "masks", splits=["train"]).n_written == 0
    with pytest.raises(StoreError, match="test masks of other annotations .annotations_sha256"):
        export(folder, tmp_path / "masks")


STOPS = """
import signal, sys
# A shell that starts the tests in the background has told them to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from mtfast.store import schema
schema.SHARD = 2
from mtfast.export import mask_format, zarr_arrays
whole = []
def stop_in_the_third(encode):
    def encode_and_stop(*given):
        for data in encode(*given):
            yield data
            if len(whole) == 2:
                # One write, as two threads may be here at once.
                sys.stdout.write("writing\\n")
                sys.stdout.flush()
                # Until the signal is sent.
                sys.stdin.read()
        whole.append(given)
    return encode_and_stop
mask_format.MaskBatch.encode = stop_in_the_third(mask_format.MaskBatch.encode)
zarr_arrays.mask_chunks = stop_in_the_third(zarr_arrays.mask_chunks)
from mtfast.cli import main
main(["masks", *sys.argv[1:], "--workers", "1"])
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("form", ["zarr", "png", "tiff"])
def test_an_interrupted_run_is_finished_by_the_next(small_set, tmp_path, monkeypatch, form, how):
    monkeypatch.setattr("mtfast.store.schema.SHARD", 2)
    out = tmp_path / "masks"
    process = subprocess.Popen(
        [sys.executable, "-c", STOPS, small_set, out, "--format", form],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "writing\n"
    process.send_signal(how)
    try:
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    if how == signal.SIGINT:
        assert process.returncode == 130
        assert "Traceback" not in errors
        assert errors.count("mtfast: error: interrupted; what is done is kept in") == 1
    # Nothing is taken for masks until all are whole.
    assert all(PARTIAL in name or name.endswith(".lock") for name in names_in(out))
    made = export(small_set, out, form)
    # Two batches of two images were whole. Those of the third task and of the one that was next in
    # line, two batches each, may be: the pipe opens before the signal is handled.
    assert 26 - 12 <= made.n_written <= 26 - 4
    export(small_set, tmp_path / "whole", form)
    for file in (tmp_path / "whole").rglob("*"):
        if file.is_file() and file.suffix != ".tif":
            there = out / file.relative_to(tmp_path / "whole")
            assert file.read_bytes() == there.read_bytes()
    assert {p.name for p in out.rglob("*")} == {p.name for p in (tmp_path / "whole").rglob("*")}


@pytest.mark.parametrize(
    ("form", "changed"),
    [
        ("zarr", {"splits": {"../precious": {}}}),
        ("zarr", {"splits": {"..": {}}}),
        ("zarr", {"splits": {"": {}}}),
        ("png", {"settings": {"format": "png", "kind": "x/../../precious/y"}}),
        ("png", {"settings": {"format": "png"}}),
        ("png", {"settings": {"format": ["png"], "kind": "semantic"}}),
    ],
)
def test_a_record_reaches_nothing_outside_its_folder(small_set, tmp_path, form, changed):
    """It names what --overwrite removes."""
    (tmp_path / "precious").mkdir()
    export(small_set, tmp_path / "masks", form, splits=["test"])
    path = tmp_path / "masks" / ("zarr.json" if form == "zarr" else "masks.json")
    content = json.loads(path.read_text())
    record = content["attributes"]["mtfast_masks"] if form == "zarr" else content
    record.update(changed)
    path.write_text(json.dumps(content))
    with pytest.raises(StoreError, match="holds no masks of an earlier run"):
        export(small_set, tmp_path / "masks", form, overwrite=True)
    assert (tmp_path / "precious").exists()


def test_a_kill_before_the_record_is_written(small_set, tmp_path):
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks" / f".masks{PARTIAL}0123abcd").mkdir()
    assert export(small_set, tmp_path / "masks", "png", splits=["test"]).n_written == 6


# --- what is refused


def test_folders_of_something_else(small_set, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "empty").mkdir()
    store = mtfast.convert(small_set, tmp_path / "set.zarr", images="none", splits=["test"])
    for place in ("file", "full", "set.zarr"):
        for options in ({}, {"overwrite": True}):
            with pytest.raises(StoreError, match="holds no masks of an earlier run; expected a ne"):
                export(small_set, tmp_path / place, **options)
    with pytest.raises(StoreError, match="which is a Zarr store; expected a place outside"):
        export(small_set, store / "masks", "png")
    assert os.listdir(tmp_path / "full") == ["thesis.txt"]
    assert export(small_set, tmp_path / "empty").n_written == 26
    (tmp_path / "empty" / "notes.txt").touch()
    export(small_set, tmp_path / "empty", kind="binary", overwrite=True)
    assert (tmp_path / "empty" / "notes.txt").exists()


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"splits": ["val"]}, SourceError, "no split 'val' in .*; expected one of: train, test"),
        ({"variant": "annotations_9"}, SourceError, "no variant.* 'annotations_9' in "),
        ({"categories": [77]}, MtfastError, "no category '77' in .*; expected one of: 1"),
        ({"mapping": {77: 1}}, MtfastError, "no category '77' in the annotations"),
        ({"form": "gif"}, MtfastError, "format 'gif'; expected one of 'zarr', 'png', 'tiff'"),
        ({"palette": True}, MtfastError, "a palette for zarr; expected png"),
        ({"file_per_image": True}, MtfastError, "one file an image for zarr; expected tiff"),
        ({"pixel_size": 0.1}, MtfastError, "a pixel size for zarr; expected tiff; leave it out"),
        ({"form": "tiff", "pixel_size": 0}, MtfastError, "pixels of 0 µm; expected 0.0001 to 100"),
        ({"scheduler": "thread"}, MtfastError, "scheduler 'thread'; expected threads"),
        (
            {"form": "png", "palette": True, "mapping": {1: 256}},
            MtfastError,
            "value 256 in the masks of split 'train'; expected at most 255 for a palette",
        ),
        ({"overlap": "error"}, MtfastError, "annotations 1 and 2 of image .* overlap; expected"),
    ],
)
def test_bad_options_write_nothing(small_set, tmp_path, monkeypatch, options, error, words):
    if "overlap" in options:
        # Flakes of a set do not overlap; these do.
        table = mtfast.open_source(small_set).table("train", "annotations_with_class_200")
        k = int(np.argmax(np.diff(table.image_offsets) > 1))
        one = table.image(k)[:1]
        twice = one + one
        monkeypatch.setattr("mtfast.sources.maskterial.MaskTerial.table", lambda *_: twice)
        words = r"annotations \d+ and \d+ of image .* overlap; expected masks that share no pixel"
    with pytest.raises(error, match=words):
        export(small_set, tmp_path / "masks", **options)
    assert not list(tmp_path.iterdir())


def write_coco(file: Path, images: list[tuple[str, int, int]]) -> Path:
    """A COCO file with one box in every image."""
    content = {
        "images": [
            {"id": i, "file_name": name, "height": height, "width": width}
            for i, (name, height, width) in enumerate(images)
        ],
        "annotations": [
            {"id": i, "image_id": i, "category_id": 1 + i, "segmentation": [[2, 3, 4, 5]]}
            for i in range(len(images))
        ],
        "categories": [{"id": k + 1, "name": str(k + 1)} for k in range(len(images))],
    }
    file.write_text(json.dumps(content))
    return file


def masks_one_by_one(out: Path, form: str, names: list[str]) -> dict[str, np.ndarray]:
    """Read masks of several sizes with the usual libraries."""
    folder = out / "train_semantic_masks"
    stems = [Path(name).stem for name in names]
    if form == "png":
        masks = [np.asarray(Image.open(folder / f"{stem}.png")) for stem in stems]
    elif form == "tiff files":
        masks = [tifffile.imread(folder / f"{stem}.tif") for stem in stems]
    elif form == "tiff":
        assert Path(f"{folder}.txt").read_text().splitlines() == names
        with tifffile.TiffFile(f"{folder}.tif") as file:
            masks = [page.asarray() for page in file.pages]
    else:
        group = zarr.open_group(out, mode="r")["train"]
        assert group["name"][:].tolist() == names
        sizes = zip(*(group[f"columns/{side}"][:] for side in ("height", "width")), strict=True)
        masks = []
        for mask, (height, width) in zip(group["semantic"][:], sizes, strict=True):
            assert not mask[height:].any()
            assert not mask[:, width:].any()
            masks.append(mask[:height, :width])
    return dict(zip(names, masks, strict=True))


@pytest.mark.parametrize("form", FORMATS)
def test_images_of_several_sizes(tmp_path, form, few_a_batch):
    sizes = [("a.jpg", 12, 15), ("b.jpg", 12, 15), ("x/c.jpg", 15, 12), ("d.jpg", 15, 9)]
    file = write_coco(tmp_path / "set.json", sizes)
    export(file, tmp_path / form, form)
    found = masks_one_by_one(tmp_path / form, form, [name for name, *_ in sizes])
    for i, (name, height, width) in enumerate(sizes):
        expected = np.zeros((height, width), np.uint8)
        expected[3:8, 2:6] = i + 1
        np.testing.assert_array_equal(found[name], expected)


@pytest.mark.parametrize("form", FORMATS)
def test_masks_of_a_mixed_set(mixed_set, mixed_store, tmp_path, form, few_a_batch):
    """From the source, and from the store made of it; a later run has nothing left to write."""
    for source in (mixed_set.annotations, mixed_store):
        out = tmp_path / source.name
        assert export(source, out, form).n_written == len(mixed_set.names)
        assert export(source, out, form).n_written == 0
        found = masks_one_by_one(out, form, mixed_set.names)
        for name, expected in mixed_set.masks.items():
            assert found[name].dtype == expected.dtype
            np.testing.assert_array_equal(found[name], expected, name)


def test_pages_of_several_sizes_are_a_series_for_each_size(mixed_set, tmp_path):
    export(mixed_set.annotations, tmp_path / "masks", "tiff", mapping={3: 1000})
    with tifffile.TiffFile(tmp_path / "masks" / "train_semantic_masks.tif") as file:
        assert sorted(series.shape[-2:] for series in file.series) == sorted(
            set(mixed_set.sizes().values())
        )
        assert not file.is_imagej
        for page, expected in zip(file.pages, mixed_set.masks.values(), strict=True):
            mapped = np.where(expected == 3, np.uint16(1000), expected)
            np.testing.assert_array_equal(page.asarray(), mapped)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.jpg", "x/a.png"], "images 'a.jpg' and 'x/a.png' of split 'train' have one stem"),
        (["a.jpg", "\0.jpg"], "image .* of split 'train' has no stem to name a file with"),
    ],
)
def test_names_that_name_no_file(tmp_path, names, words):
    file = write_coco(tmp_path / "set.json", [(name, 9, 9) for name in names])
    with pytest.raises(MtfastError, match=words):
        export(file, tmp_path / "masks", "png")
    export(file, tmp_path / "masks")


def test_sides_that_no_file_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(image_files, "LARGEST_SIDE", 14)
    file = write_coco(tmp_path / "set.json", [("a.jpg", 12, 15)])
    for form, suffix in (("png", ".png"), ("tiff files", ".tif")):
        with pytest.raises(
            MtfastError, match=rf"15 pixels a side; expected at most 14 for a {suffix}"
        ):
            export(file, tmp_path / form, form)
    export(file, tmp_path / "zarr")


@pytest.mark.parametrize("block", [1, 2, 9])
def test_the_range_of_values_is_that_of_all_blocks(rng, monkeypatch, block):
    monkeypatch.setattr(inputs, "_BLOCK", block)
    table = make_table([random_masks(rng, (4, 6), 1) for _ in range(5)], (4, 6))
    for ids in ([300, 1, 2, 3, 4], [1, 2, 3, 4, 300], [-7, 1, 2, 3, 4], [1, 2, -7, 3, 4]):
        known = [mtfast.Category(k, "x") for k in sorted(ids)]
        one = replace(table, category_ids=np.array(ids), categories=tuple(known))
        found = inputs._range_of_values(one, MaskSpec())
        assert found == (min(0, *ids), max(ids))


def test_more_instances_than_pixels_can_number():
    full = mtfast.RunTable.of_texts((4, 6), [[b"0h0"] * 65536])
    fits = full[:65535]
    assert inputs._range_of_values(fits, MaskSpec(kind="instance")) == (0, 65535)
    with pytest.raises(MtfastError, match="65536 instances; expected at most 65535 in one mask"):
        inputs._range_of_values(full, MaskSpec(kind="instance"))


def test_wide_values(tmp_path):
    """Ids and instance numbers above 255 make masks of two bytes."""
    file = write_coco(tmp_path / "set.json", [(f"{i}.jpg", 9, 9) for i in range(300)])
    export(file, tmp_path / "ids", "png")
    with Image.open(tmp_path / "ids" / "train_semantic_masks" / "299.png") as image:
        assert np.asarray(image)[4, 4] == 300
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        annotation |= {"image_id": 0, "category_id": 1}
    file.write_text(json.dumps(content))
    export(file, tmp_path / "many", kind="instance")
    pixels = zarr.open_array(tmp_path / "many" / "train" / "instance", mode="r")
    assert pixels.dtype == np.uint16
    assert pixels[0][4, 4] == 300


def test_a_full_disk_is_one_line(small_set, tmp_path, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", no_room)
    for form in ("zarr", "png"):
        with pytest.raises(StoreError, match="cannot be written: No space left on device"):
            export(small_set, tmp_path / form, form)


def test_two_runs_at_once(small_set, tmp_path, monkeypatch):
    def again(*_):
        export(small_set, tmp_path / "masks")

    monkeypatch.setattr("mtfast.export.zarr_arrays.mask_chunks", again)
    with pytest.raises(StoreError, match="being written by another run; expected to be alone"):
        export(small_set, tmp_path / "masks")


# --- the command


def test_command(small_set, tmp_path):
    arguments = [str(small_set), str(tmp_path / "masks"), "--format", "png", "--split", "test"]
    arguments += ["--min-area", "300", "--category", "1", "--category", "2", "--map", "2=5"]
    arguments += ["--kind", "boundary", "--overlap", "smallest", "--palette"]
    runner = CliRunner()
    done = runner.invoke(command, arguments, catch_exceptions=False)
    assert done.exit_code == 0
    line = f"{tmp_path / 'masks'}: masks of 6 test (annotations_with_class_200)"
    assert done.stdout == f"{line}\n"
    assert runner.invoke(command, arguments).stdout == f"{line}; 6 of them were there\n"
    record = json.loads((tmp_path / "masks" / "masks.json").read_text())
    assert record["settings"] == {
        "format": "png",
        "min_area": 300,
        "categories": [1, 2],
        "mapping": [[2, 5]],
        "kind": "boundary",
        "overlap": "smallest",
        "palette": True,
        "file_per_image": False,
        "pixel_size": None,
    }
    assert record["source"] == "Graphene"
    files = list((tmp_path / "masks" / "test_boundary_masks").iterdir())
    values = {v for file in files for v in np.unique(np.asarray(Image.open(file))).tolist()}
    assert values <= {0, 1, 5}
    for wrong in (["--map", "5"], ["--map", "a=b"], ["--map", "1=2=3"], ["--min-area", "-1"]):
        assert runner.invoke(command, arguments[:2] + wrong).exit_code == 2
    twice = runner.invoke(command, [*arguments, "--map", "2=1"])
    assert twice.exit_code == 2
    assert "class 2 is mapped twice" in twice.stderr
    page = runner.invoke(command, ["--help"]).stdout
    assert "of more than PX pixels, as measured" in " ".join(page.split())


@pytest.mark.parametrize("mask_format", ["zarr", "png", "tiff"])
def test_a_split_without_images(tmp_path, mask_format):
    image = {"id": 1, "file_name": "a.jpg", "height": 5, "width": 6}
    for split, images in (("train", [image]), ("val", [])):
        content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "a"}]}
        (tmp_path / f"instances_{split}.json").write_text(json.dumps(content))
    with pytest.raises(mtfast.MtfastError, match="split 'val' has no images; .* splits="):
        mtfast.export_masks(tmp_path, tmp_path / "masks", format=mask_format)
    found = mtfast.export_masks(tmp_path, tmp_path / "masks", splits=["train"], format=mask_format)
    assert found.n_written == 1
