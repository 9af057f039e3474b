"""Data from strangers: what is no file, sizes that are only stated, names and links that lead out.

What damage does to a store: tests/store/test_damage.py; sizes in its metadata: test_bounds.py.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fuzz_strangers
import fuzzing
import mtfast
from commands import call, run
from mtfast.atomic import locked, write_file
from mtfast.conversion.crop_index import add_crop_index
from mtfast.diagnosis.diagnose import diagnose
from mtfast.errors import MtfastError, SourceError, StoreError
from mtfast.export import export_masks
from mtfast.limits import max_file_bytes, max_pixels
from mtfast.paths import is_name, open_regular, target_path
from mtfast.report import read_instances, write_area_table

on_unix = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such files")
POLYGON = [[2.5, 2.5, 20, 3, 12, 20]]


def save_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((32, 48, 3), 90, np.uint8)).save(path)


def write_coco(folder: Path, names=("a.jpg", "b.jpg"), size=(32, 48), category="flake") -> Path:
    """Write a COCO file with a polygon on each image."""
    height, width = size
    entries = list(enumerate(names, 1))
    content = {
        "images": [
            {"id": k, "file_name": name, "height": height, "width": width} for k, name in entries
        ],
        "annotations": [
            {"id": k, "image_id": k, "category_id": 1, "segmentation": POLYGON} for k, _ in entries
        ],
        "categories": [{"id": 1, "name": category}],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "flakes.json").write_text(json.dumps(content))
    return folder / "flakes.json"


# --- what is no file


def make_socket(path: Path) -> None:
    # Its own path may be too long for a socket.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def make_hole(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


NO_FILES = {
    "it is a named pipe": lambda path: os.mkfifo(path),
    "it is a device": lambda path: path.symlink_to("/dev/zero"),
    "No such device or address": make_socket,
    "it is a folder": lambda path: path.mkdir(),
    "has 1,099,511,627,776 bytes": make_hole,
}


@on_unix
@pytest.mark.parametrize("words", NO_FILES)
def test_what_is_no_file_is_refused_unread(tmp_path, words):
    """Each place from which a command reads: an image, a mask, an annotation file, a store."""
    make = NO_FILES[words]
    coco = write_coco(tmp_path / "coco")
    save_image(tmp_path / "coco" / "images" / "b.jpg")
    make(tmp_path / "coco" / "images" / "a.jpg")
    listed = words != "it is a folder"
    found = words if listed else "image without file"
    with pytest.raises(SourceError, match=found):
        mtfast.convert(coco, tmp_path / "s.zarr")
    kinds = {finding.check for finding in diagnose(coco).findings}
    assert ("unreadable image" if listed else "image without file") in kinds
    for folder in ("images", "instance_masks"):
        save_image(tmp_path / "labels" / folder / "b.png")
    save_image(tmp_path / "labels" / "images" / "a.png")
    make(tmp_path / "labels" / "instance_masks" / "a.png")
    with pytest.raises(SourceError, match=words if listed else "PNG of RGB pixels"):
        mtfast.open_source(tmp_path / "labels").table("train", "annotations")
    (tmp_path / "json").mkdir()
    make(tmp_path / "json" / "train.json")
    with pytest.raises(SourceError, match=words if listed else "no dataset"):
        mtfast.open_source(tmp_path / "json").table("train", "annotations")


@on_unix
@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), make_hole])
def test_files_of_a_store_that_are_none(tiny_set, tmp_path, make):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", splits=["test"])
    for key, read in (
        ("test/semantic/c.0.0.0", lambda: mtfast.open(store)["test"].semantic(0)),
        ("test/name/c/0", lambda: mtfast.open(store)["test"].names),
        ("zarr.json", lambda: mtfast.open(store)),
    ):
        (store / key).unlink()
        make(store / key)
        with pytest.raises(StoreError, match=r"named pipe|more than|no zarr.json|checksum"):
            read()


@on_unix
def test_links_to_files_are_followed_and_links_to_nothing_are_none(tmp_path):
    coco = write_coco(tmp_path / "coco")
    save_image(tmp_path / "elsewhere.jpg")
    (tmp_path / "coco" / "images").mkdir()
    (tmp_path / "coco" / "images" / "a.jpg").symlink_to(tmp_path / "elsewhere.jpg")
    (tmp_path / "coco" / "images" / "b.jpg").symlink_to(tmp_path / "nothing")
    with pytest.raises(SourceError, match=r"1 x image without file \('b.jpg'\)"):
        mtfast.convert(coco, tmp_path / "s.zarr")
    source = mtfast.open_source(coco, bad="skip")
    assert mtfast.open(mtfast.convert(source, tmp_path / "s.zarr"))["train"].names.tolist() == [
        "a.jpg"
    ]


# --- sizes that are only stated


def test_pixels_are_bounded(tmp_path, monkeypatch):
    coco = write_coco(tmp_path, size=(1 << 20, 1 << 20))
    with pytest.raises(SourceError, match="2 x image of too many pixels .*set MTFAST_MAX_PIXELS"):
        mtfast.open_source(coco).table("train", "annotations")
    with pytest.raises(SourceError, match="no image is left"):
        mtfast.open_source(coco, bad="skip").table("train", "annotations")
    monkeypatch.setenv("MTFAST_MAX_PIXELS", str(1 << 40))
    assert mtfast.open_source(coco).table("train", "annotations").n_instances == 2


def test_a_bound_that_is_no_number(monkeypatch):
    assert max_file_bytes() == 8 * max_pixels() + (1 << 26)
    for value in ("many", "-1", "0", "1e9"):
        monkeypatch.setenv("MTFAST_MAX_PIXELS", value)
        with pytest.raises(MtfastError, match=f"MTFAST_MAX_PIXELS is '{value}'; expected a number"):
            max_pixels()


def test_a_store_is_bounded_too(tiny_set, tmp_path, monkeypatch):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", splits=["test"])
    monkeypatch.setenv("MTFAST_MAX_PIXELS", "100")
    with pytest.raises(StoreError, match="image 0 of .* 96 x 128 pixels; expected at most 100 in"):
        mtfast.open(store)["test"].semantic(0)


def test_packed_files_are_bounded(tmp_path):
    text = write_coco(tmp_path).read_bytes()
    packed = gzip.compress(text) + gzip.compress(b" " * (1 << 26)) * 3
    (tmp_path / "flakes.json.gz").write_bytes(packed)
    with pytest.raises(SourceError, match="more than 134,217,728 bytes unpacked"):
        mtfast.open_source(tmp_path / "flakes.json.gz").table("train", "annotations")


@pytest.mark.parametrize("place", [0, 60, -1])
def test_a_zero_byte_ends_the_reading(tmp_path, place):
    """A file of annotations and a hole of any length is not read to its end."""
    file = write_coco(tmp_path)
    text = bytearray(file.read_bytes())
    text[place] = 0
    file.write_bytes(text)
    with file.open("r+b") as opened:
        opened.truncate(1 << 34)
    with pytest.raises(SourceError, match=r"has a zero byte after [0-9,]+ byte|no JSON"):
        mtfast.open_source(file).table("train", "annotations")


def test_json_that_is_nested_deep(tiny_set, tmp_path):
    made = Path(shutil.copytree(tiny_set, tmp_path / "set"))
    (made / "meta_data" / "train_set_name_to_uuid.json").write_text("[" * 10**6)
    with pytest.raises(SourceError, match="expected names of sets"):
        mtfast.open_source(made).set_names("train")
    file = write_coco(tmp_path / "coco")
    file.write_text(file.read_text().replace("[[", "[" * 10**6).replace("]]", "]" * 10**6))
    with pytest.raises(SourceError) as caught:
        mtfast.open_source(file).table("train", "annotations")
    assert len(str(caught.value).splitlines()) == 1


def tiff_of(n_pages: int, n_parts: int) -> bytes:
    """Make pages of 16 columns, each with the same strips of a row and a byte."""
    tags = (
        *((256, 4, 1, 16), (257, 4, 1, n_parts), (258, 3, 1, 8), (259, 3, 1, 8), (262, 3, 1, 1)),
        *((273, 4, n_parts, 8), (278, 4, 1, 1), (279, 4, n_parts, 8)),
    )
    table = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    first = 8 + 4 * n_parts
    pages = [
        table + struct.pack("<I", 0 if k == n_pages else first + k * (len(table) + 4))
        for k in range(1, n_pages + 1)
    ]
    return struct.pack("<4sI", b"II*\0", first) + b"\1\0\0\0" * n_parts + b"".join(pages)


@pytest.mark.parametrize(
    ("n_pages", "n_parts", "words"),
    [(100_001, 1, "more than 100,000 pages"), (1, (1 << 20) + 1, "1,048,577 strips or tiles")],
)
def test_pages_and_strips_of_a_tiff_are_bounded(tmp_path, n_pages, n_parts, words):
    from mtfast.image_files import cut_page, read_header

    (tmp_path / "a.tif").write_bytes(tiff_of(n_pages, n_parts))
    with pytest.raises(MtfastError, match=words):
        read_header((tmp_path / "a.tif").read_bytes(), 0)
    with (tmp_path / "a.tif").open("rb") as file, pytest.raises(MtfastError, match=words):
        cut_page(file, 0)


def test_labels_that_unpack_to_anything(tmp_path):
    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    for colour, extra in ((0, b""), (3, chunk(b"PLTE", bytes(768)))):
        header = struct.pack(">IIBBBBB", 40000, 40000, 8, colour, 0, 0, 0)
        data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + extra
        data += chunk(b"IDAT", zlib.compress(bytes(1 << 20))) + chunk(b"IEND", b"")
        save_image(tmp_path / "images" / "a.jpg")
        (tmp_path / "instance_masks").mkdir(exist_ok=True)
        (tmp_path / "instance_masks" / "a.png").write_bytes(data)
        with pytest.raises(SourceError, match="a PNG of 40000 x 40000 pixels"):
            mtfast.open_source(tmp_path).table("train", "annotations")


# --- names that lead out, or mean something else


@pytest.mark.parametrize(
    "name",
    ["../../../out.jpg", "/tmp/out.jpg", "C:\\x\\out.jpg", "..\\..\\out.jpg", "a/../out.jpg"],
)
def test_names_of_images_lead_nowhere(tmp_path, name):
    place = tmp_path / "a" / "b" / "c"
    coco = write_coco(place / "coco", [name, "b.jpg"])
    for image in ("out.jpg", "b.jpg"):
        save_image(place / "coco" / "images" / image)
    before = {path for path in tmp_path.rglob("*") if place / "made" not in path.parents}
    mtfast.convert(coco, place / "made" / "s.zarr")
    export_masks(place / "made" / "s.zarr", place / "made" / "png", format="png")
    mtfast.derive_dataset(coco, place / "made" / "set", class_agnostic=True)
    for form in ("coco", "yolo", "geojson", "labelme"):
        for given, made in ((coco, form), (place / "made" / "s.zarr", f"s_{form}")):
            out = place / "made" / made
            mtfast.export_annotations(given, out, format=form)
            assert {p.stem for p in out.rglob("*.jpg")} == {"out", "b"}
    after = {path for path in tmp_path.rglob("*") if place / "made" not in path.parents}
    assert after - before == {place / "made"}
    assert (place / "made" / "png" / "train_semantic_masks" / "out.png").exists()
    images = [path.name for path in (place / "made" / "set" / "train_images").iterdir()]
    assert sorted(images) == ["b.jpg", "out.jpg"]


def test_names_on_windows(tmp_path, monkeypatch):
    """Devices, streams and drives; the folder of a mask is not left by a backslash."""
    from mtfast.sources.files import Folder

    save_image(tmp_path / "set" / "b.jpg")
    files = Folder(tmp_path / "set")
    assert all(map(is_name, ("con", "a:b")))
    monkeypatch.setattr(sys, "platform", "win32")
    assert not any(map(is_name, ("con", "a:b", "com1.txt", "a.", "a\tb")))
    for path in ("..\\x", "c:/x", "c:x", "b.jpg:stream", "con", "sub/nul.jpg"):
        with pytest.raises(FileNotFoundError):
            files.open(path)
    with pytest.raises(MtfastError, match="a mask called aux.png; expected a name that Windows"):
        export_masks(write_coco(tmp_path, ["aux.jpg"]), tmp_path / "png", format="png")


@pytest.mark.parametrize(("names", "alike"), [(["A.jpg", "a.jpg"], str.lower), (["a", "b"], None)])
def test_disks_that_are_blind_to_case(tmp_path, monkeypatch, names, alike):
    """Two images would have one mask there; elsewhere both get one."""
    if alike:
        exists = Path.exists
        monkeypatch.setattr(
            Path, "exists", lambda path: exists(path) or exists(path.with_name(path.name.upper()))
        )
        monkeypatch.setattr(
            Path, "touch", lambda path, **_: path.with_name(path.name.upper()).write_text("")
        )
        monkeypatch.setattr(Path, "unlink", lambda path, missing_ok=False: None)
        with pytest.raises(MtfastError, match="'A' and 'a' .* would have one mask file on this"):
            export_masks(write_coco(tmp_path, names), tmp_path / "png", format="png")
        return
    export_masks(write_coco(tmp_path, ["A.jpg", "a.jpg"]), tmp_path / "png", format="png")
    made = [path.stem for path in (tmp_path / "png" / "train_semantic_masks").iterdir()]
    assert sorted(made) == ["A", "a"]


def test_names_in_tables_are_no_formulas(tmp_path):
    names = ["=1+1.jpg", "+1.jpg", "-1.jpg", "@x.jpg", "\tx.jpg", "plain.jpg"]
    write_area_table(
        read_instances(write_coco(tmp_path, names, category="=cmd")), tmp_path / "areas.csv"
    )
    with (tmp_path / "areas.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == [*(f"'{name}" for name in names[:-1]), "plain.jpg"]
    assert {row["class"] for row in rows} == {"'=cmd"}
    assert all(row["area_px"].isdecimal() for row in rows)


def test_names_in_output_command_no_terminal_and_no_browser(tmp_path):
    coco = write_coco(tmp_path, category="<script>x</script>[red]\x1b[31m")
    for arguments in (
        ["info", coco],
        ["doctor", coco],
        ["info", coco, "--plots", tmp_path / "p.html"],
    ):
        done = call(*arguments)
        assert done.returncode in (0, 1), done.stderr
        assert "\x1b" not in done.stdout + done.stderr
    assert "[red]" in call("info", coco).stdout
    page = (tmp_path / "p.html").read_text()
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page


def test_lists_of_pages_have_a_line_for_each(tmp_path):
    export_masks(write_coco(tmp_path, ["a\nb.jpg", "c.jpg"]), tmp_path / "tif", format="tiff")
    lines = (tmp_path / "tif" / "train_semantic_masks.txt").read_text().splitlines()
    assert lines == ["a\\nb.jpg", "c.jpg"]


@on_unix
def test_names_that_are_no_unicode(tmp_path, caplog):
    save_image(tmp_path / "set" / "a.jpg")
    try:
        shutil.copy(tmp_path / "set" / "a.jpg", os.fsencode(tmp_path) + b"/set/\xff.jpg")
    except OSError:
        pytest.skip("this disk takes Unicode alone")
    assert mtfast.open_source(tmp_path / "set").table("train", "annotations").names.tolist() == [
        "a.jpg"
    ]
    assert "1 file whose names are no UTF-8" in caplog.text


def test_output_in_any_encoding(tmp_path):
    done = run("info", write_coco(tmp_path, category="\u7247"), PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "\\u7247" in done.stdout


@pytest.mark.parametrize("key", ["../out", "train/../../out", "/out", ""])
def test_keys_of_metadata_lead_nowhere(tiny_set, tmp_path, key):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", splits=["test"])
    root = json.loads((store / "zarr.json").read_bytes())
    nodes = root["consolidated_metadata"]["metadata"]
    nodes[key] = nodes["test"]
    fuzz_strangers.fit(root)
    (store / "zarr.json").write_text(json.dumps(root))
    with pytest.raises(StoreError, match="it has metadata of"):
        mtfast.open(store)


# --- links


@on_unix
def test_targets_that_are_links_are_followed(tiny_set, tmp_path):
    (tmp_path / "real").mkdir()
    for name in ("s.zarr", "masks", "set", "areas.csv"):
        (tmp_path / name).symlink_to(tmp_path / "real" / name)
    for _ in range(2):
        mtfast.convert(tiny_set, tmp_path / "s.zarr", overwrite=True)
        export_masks(tiny_set, tmp_path / "masks", format="png", overwrite=True)
        write_area_table(read_instances(tiny_set), tmp_path / "areas.csv")
    mtfast.derive_dataset(tiny_set, tmp_path / "set", class_agnostic=True)
    for name in ("s.zarr", "masks", "set", "areas.csv"):
        assert (tmp_path / name).is_symlink()
    assert sorted(p.name for p in (tmp_path / "real").iterdir()) == [
        *("areas.csv", "masks", "s.zarr", "set")
    ]


@on_unix
def test_links_that_lead_back(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(MtfastError, match="leads back to itself; expected"):
        target_path(tmp_path / "loop")
    with pytest.raises(MtfastError, match="leads back to itself; expected"):
        write_file(tmp_path / "loop", b"")


@on_unix
@pytest.mark.parametrize("overwrite", [False, True])
def test_links_inside_of_masks_are_refused(tiny_set, tmp_path, overwrite):
    (tmp_path / "away").mkdir()
    export_masks(tiny_set, tmp_path / "masks", format="png")
    shutil.rmtree(tmp_path / "masks" / "train_semantic_masks")
    (tmp_path / "masks" / "train_semantic_masks").symlink_to(tmp_path / "away")
    with pytest.raises(StoreError, match="train_semantic_masks is a symbolic link to .*away"):
        export_masks(tiny_set, tmp_path / "masks", format="png", overwrite=overwrite)
    assert not any((tmp_path / "away").iterdir())
    assert (tmp_path / "masks" / "train_semantic_masks").is_symlink()


@on_unix
@pytest.mark.parametrize("key", ["test", "test/zarr.json"])
def test_links_inside_of_a_store_are_not_written_through(tiny_set, tmp_path, key):
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", splits=["test"])
    shutil.move(store / key, tmp_path / "away")
    (store / key).symlink_to(tmp_path / "away")
    before = [(path, path.stat().st_mtime_ns) for path in (tmp_path / "away").rglob("*")]
    with pytest.raises(StoreError, match=f"{key} is a symbolic link to .*away; expected"):
        add_crop_index(store)
    assert before == [(path, path.stat().st_mtime_ns) for path in (tmp_path / "away").rglob("*")]


@on_unix
def test_a_lock_that_is_a_link(tmp_path):
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".s.zarr.lock").symlink_to(tmp_path / "precious")
    with pytest.raises(StoreError, match="lock is a symbolic link"), locked(tmp_path / "s.zarr"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"


def test_open_regular_reads_files(tmp_path):
    (tmp_path / "a").write_bytes(b"\r\n\x1a")
    with os.fdopen(open_regular(tmp_path / "a"), "rb") as file:
        assert file.read() == b"\r\n\x1a"


# --- everything at once


def test_fuzz():
    report = fuzzing.fuzz(fuzz_strangers.make_trial, seed=0, n_trials=12, limit=120)
    assert report.problems == {}
    assert {name for name, _ in report.outcomes} == {k.__name__ for k in fuzz_strangers.KINDS}


PORTABLE = Path(__file__).with_name("run_without_linux.py")


@pytest.mark.parametrize("scheduler", ["threads", "processes"])
def test_without_what_linux_alone_has(tiny_set, tmp_path, scheduler):
    done = subprocess.run(
        [sys.executable, PORTABLE, tiny_set, tmp_path, scheduler], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all equal"
