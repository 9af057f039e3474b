"""Each kind of damage is found, and named by its file; whole stores have no findings."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import zarr

import mtfast
from checking.damages import (
    cut,
    drop_chunk,
    exchange,
    exchange_chunks,
    flip,
    remove,
    set_attribute,
)
from commands import call, run
from mtfast.atomic import PARTIAL
from mtfast.checking.findings import KINDS
from mtfast.conversion.crop_index import add_crop_index
from mtfast.errors import MtfastError, StoreError
from schemas import DOCS, validate
from stores import exchange_slots, reseal


def errors_of(store: Path) -> Counter[tuple[str, str | None]]:
    """Count errors by kind and file."""
    found = mtfast.check_store(store)
    validate(found.as_dict(), "check.schema.json")
    return Counter((f.kind, f.file) for f in found.findings if f.severity == "error")


def test_whole_stores(whole_store, mixed_store):
    for path, n_images in ((whole_store, {"train": 10, "test": 4}), (mixed_store, {"train": 25})):
        found = mtfast.check_store(path)
        assert found.is_whole
        assert found.findings == ()
        assert found.n_images == n_images
        files = [file for file in path.rglob("*") if file.is_file()]
        assert found.n_files == len(files)
        assert found.n_bytes == sum(file.stat().st_size for file in files)


def test_other_whole_stores(tiny_set, tmp_path):
    without = mtfast.convert(tiny_set, tmp_path / "masks.zarr", images="none", shard=3)
    later = mtfast.convert(tiny_set, tmp_path / "later.zarr")
    assert mtfast.check_store(later).findings == ()
    add_crop_index(later)
    add_crop_index(later, overwrite=True)
    for path in (without, later):
        assert mtfast.check_store(mtfast.open(path)).findings == ()


def test_outliers_and_files_of_several_chunks(mixed_outlier):
    assert mtfast.check_store(mixed_outlier).findings == ()


@pytest.fixture(scope="module")
def mixed_outlier(tmp_path_factory):
    from mixed_sets import make_mixed_set
    from mtfast.store import schema

    folder = tmp_path_factory.mktemp("outlier")
    made = make_mixed_set(folder, outlier=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "FILE_CHUNK", 1 << 10)
        return mtfast.convert(made.annotations, folder / "set.zarr", shard=4, crop_index=True)


MASKS, FILES, BITS = "train/semantic/c.1.0.0", "train/images/file/c.1.0", "train/crop_index/bits"
HEIGHT, TEXTS = "train/columns/height/c/0", "train/instances/rle/c/0"

ONE_FILE = {
    "root": ("damaged metadata", "zarr.json", flip("zarr.json")),
    "root cut": ("damaged metadata", "zarr.json", cut("zarr.json")),
    "split": ("damaged metadata", "train/zarr.json", flip("train/zarr.json")),
    "group": ("damaged metadata", "test/columns/zarr.json", cut("test/columns/zarr.json")),
    "array": ("damaged metadata", "train/name/zarr.json", flip("train/name/zarr.json")),
    "no root": ("missing file", "zarr.json", remove("zarr.json")),
    "no group": ("missing file", "test/images/zarr.json", remove("test/images/zarr.json")),
    "no column": ("missing file", HEIGHT, remove(HEIGHT)),
    "no texts": ("missing file", TEXTS, remove(TEXTS)),
    "no masks": ("missing file", MASKS, remove(MASKS)),
    "no images": ("missing file", FILES, remove(FILES)),
    "no index": ("missing file", f"{BITS}/c.0.0", remove(f"{BITS}/c.0.0")),
    "height": ("damaged column", HEIGHT, flip(HEIGHT)),
    "names": ("damaged column", "test/name/c/0", flip("test/name/c/0")),
    "boxes": ("damaged column", "train/instances/bbox/c/0/0", cut("train/instances/bbox/c/0/0")),
    "sums": ("damaged column", "train/columns/file_crc32c/c/0",
             flip("train/columns/file_crc32c/c/0")),
    "variants": ("damaged column", "train/variants/file/c/0", flip("train/variants/file/c/0")),
    "text": ("damaged RLE", TEXTS, flip(TEXTS)),
    "mask": ("damaged mask", MASKS, flip(MASKS, 0.1)),
    "masks cut": ("damaged shard", MASKS, cut(MASKS)),
    "index of masks": ("damaged shard", MASKS, flip(MASKS, 0.999)),
    "no mask": ("damaged shard", MASKS, drop_chunk(MASKS, 4)),
    "image": ("damaged image file", FILES, flip(FILES)),
    "index of images": ("damaged shard", FILES, flip(FILES, 0.9999)),
    "no image": ("damaged shard", FILES, drop_chunk(FILES, 4)),
    "crop index": ("damaged crop index", f"{BITS}/c.1.0", flip(f"{BITS}/c.1.0", 0.1)),
    "index of crop index": ("damaged shard", f"{BITS}/c.1.0", flip(f"{BITS}/c.1.0", 0.9)),
}  # fmt: skip


@pytest.mark.parametrize("name", ONE_FILE)
def test_damage_to_one_file(store, name):
    kind, file, damage = ONE_FILE[name]
    damage(store)
    assert set(errors_of(store)) == {(kind, file)}


def test_findings_name_the_image_and_the_array(store, whole_store):
    flip(MASKS, 0.1)(store)
    (found,) = mtfast.check_store(store).findings
    names = mtfast.open(whole_store)["train"].names.tolist()
    assert (found.split, found.array) == ("train", "train/semantic")
    assert names.index(found.image) in range(4, 8)
    assert found.found.startswith(f"image {names.index(found.image)} in train/semantic is damaged")


def test_shards_that_were_exchanged(store):
    exchange("train/semantic/c.0.0.0", MASKS)(store)
    exchange("train/images/file/c.0.0", FILES)(store)
    exchange(f"{BITS}/c.0.0", f"{BITS}/c.1.0")(store)
    found = errors_of(store)
    assert found["damaged mask", MASKS] == found["damaged image file", FILES] == 4
    assert found["damaged crop index", f"{BITS}/c.1.0"] == 4


def test_chunks_that_were_exchanged_in_a_shard(store):
    exchange_chunks(MASKS)(store)
    assert errors_of(store) == {("damaged mask", MASKS): 2}


def test_columns_that_were_exchanged(store):
    exchange(HEIGHT, "train/columns/width/c/0")(store)
    assert set(errors_of(store)) == {
        ("damaged column", HEIGHT),
        ("damaged column", "train/columns/width/c/0"),
    }


def test_bytes_after_the_texts(store):
    """They are read by nobody, and are not those that were written."""
    node = json.loads((store / "train/instances/rle/zarr.json").read_text())
    (rows,) = node["chunk_grid"]["configuration"]["chunk_shape"]
    with (store / TEXTS).open("ab") as file:
        assert file.tell() == rows
        file.write(b"0")
    assert set(errors_of(store)) == {("damaged RLE", TEXTS)}


def test_all_damage_is_found_at_once(store):
    """It goes on after the first, also where metadata are damaged as well."""
    chosen = ["root cut", "array", "names", "variants", "text", "mask", "index of images"]
    chosen += ["crop index", "no group"]
    for name in chosen:
        ONE_FILE[name][2](store)
    assert set(errors_of(store)) == {ONE_FILE[name][:2] for name in chosen}


def test_every_file(tiny_set, tmp_path):
    """Whatever is removed is missed, and nothing else is wrong; of a store with few files."""
    store = mtfast.convert(tiny_set, tmp_path / "s.zarr", splits=["test"], shard=2, crop_index=True)
    for file in sorted(file for file in store.rglob("*") if file.is_file()):
        data, key = file.read_bytes(), file.relative_to(store).as_posix()
        file.unlink()
        assert set(errors_of(store)) == {("missing file", key)}
        file.write_bytes(data)


# --- what contradicts itself, although all checksums fit


def change(store: Path, key: str, values: object) -> None:
    """Write a column, with checksums that fit."""
    zarr.open_group(store, mode="r+")[key][:] = values
    reseal(store)


def test_masks_unlike_their_rle(store):
    """Those of two images are exchanged, and so are their checksums."""
    column = zarr.open_group(store, mode="r")["train/columns/semantic_crc32c"][:]
    exchange_chunks("train/semantic/c.0.0.0")(store)
    column[:2] = column[1::-1]
    change(store, "train/columns/semantic_crc32c", column)
    assert errors_of(store) == {("mask unlike its RLE", None): 2}


def test_an_image_file_unlike_its_columns(store):
    kinds = zarr.open_group(store, mode="r")["train/columns/kind"][:]
    kinds[3] = "png"
    change(store, "train/columns/kind", kinds)
    assert errors_of(store) == {("image file unlike its columns", None): 1}


@pytest.mark.parametrize("orientation", [3, 6])
def test_an_orientation_that_is_not_that_of_the_file(store, orientation):
    column = zarr.open_group(store, mode="r")["train/columns/orientation"][:]
    column[3] = orientation
    change(store, "train/columns/orientation", column)
    assert errors_of(store) == {("image file unlike its columns", None): 1}


def test_a_size_that_is_not_that_of_the_file(mixed_store, tmp_path):
    """Masks may be smaller than the array."""
    store = Path(shutil.copytree(mixed_store, tmp_path / "mixed.zarr"))
    names = mtfast.open(store)["train"].names.tolist()
    column = zarr.open_group(store, mode="r")["train/columns/height"][:]
    column[names.index("plain.bmp")] -= 1
    change(store, "train/columns/height", column)
    assert errors_of(store)["image file unlike its columns", None] == 1


def test_a_crop_index_unlike_its_image(store):
    """Those of two images are exchanged whole, with their checksums."""
    group = zarr.open_group(store, mode="r")["train/crop_index"]
    columns = {name: group[name][:] for name in ("step", "index_crc32c")}
    for name, key in (("bits", "c.0.0"), ("dc", "c.0.0.0"), ("crc32c", "c.0.0")):
        path = store / "train/crop_index" / name / key
        path.write_bytes(exchange_slots(path.read_bytes(), lambda there: there[:2]))
    for name, column in columns.items():
        column[:2] = column[1::-1]
        change(store, f"train/crop_index/{name}", column)
    assert errors_of(store) == {("crop index unlike its image", None): 2}


def column_of(key, edit):
    def damage(store):
        values = zarr.open_group(store, mode="r")[key][:]
        edit(values)
        change(store, key, values)

    return damage


def put(place, value):
    return lambda values: values.__setitem__(place, value)


TABLES = {
    "no pixels": column_of("train/columns/height", put(0, 0)),
    "one name twice": column_of("train/name", lambda names: put(0, names[1])(names)),
    "a strange run": column_of("train/columns/set_name", put(0, "Set_X")),
    "longest file": column_of("train/columns/file_bytes", lambda v: put(v.argmax(), 1)(v)),
    "offsets": column_of("train/instances/rle_offsets", put(1, 2**40)),
    "image of an instance": column_of("train/instances/image", put(-1, 10**6)),
    "instance of another image": column_of("train/variants/instance", put(0, 30)),
    "an image twice": column_of("train/variants/image", lambda v: put(1, v[0])(v)),
    "category": column_of("train/variants/category_id", put(0, 99)),
    "categories": column_of("train/variants/categories", put(0, "nothing")),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_that_contradict_themselves(store, name):
    TABLES[name](store)
    found = mtfast.check_store(store)
    assert any(f.kind == "contradicting tables" and f.file is None for f in found.findings)


def test_a_text_that_does_not_fill_its_frame(store):
    """Its checksum fits, and it is of no variant that masks are painted from."""
    group = zarr.open_group(store, mode="r")["train/instances"]
    offsets, data = group["rle_offsets"][:], bytearray((store / TEXTS).read_bytes())
    data[offsets[0] : offsets[1]] = b"0" * int(offsets[1] - offsets[0])
    (store / TEXTS).write_bytes(data)
    sums, first = group["rle_crc32c"][:], np.searchsorted(group["image"][:], 1)
    import google_crc32c

    sums[0] = google_crc32c.value(bytes(data[: offsets[first]]))
    change(store, "train/instances/rle_crc32c", sums)
    assert errors_of(store)["contradicting tables", None] == 1


# --- what does no harm


def notes_of(store: Path) -> list[tuple[str, str]]:
    found = mtfast.check_store(store)
    assert found.is_whole
    return [(f.kind, f.found) for f in found.findings]


def test_foreign_files_and_leftovers_are_notes(store):
    (store / ".DS_Store").touch()
    (store / "train" / "semantic" / f"{PARTIAL}1234.0").touch()
    (store.parent / f".{store.name}{PARTIAL}0a").mkdir()
    (store.parent / f".{store.name}.replaced").mkdir()
    kinds = [kind for kind, _ in notes_of(store)]
    assert sorted(kinds) == ["foreign file", "store put aside", *["unfinished work"] * 2]


def test_an_array_that_another_program_has_added(store):
    group = zarr.open_group(store, mode="r+")["train"]
    group.create_array("own", data=np.arange(10), chunks=(3,))
    reseal(store)
    assert notes_of(store) == []


def test_masks_that_another_program_has_written_anew(store):
    group = zarr.open_group(store, mode="r+")["train"]
    masks, declared = group["semantic"][:], group["semantic"].metadata
    del group["semantic"]
    group.create_array(
        "semantic", data=masks, chunks=(2, 50, 50), dimension_names=declared.dimension_names
    )
    reseal(store)
    assert notes_of(store) == []


def test_every_kind_of_finding_has_a_test():
    """At least its name is in this file, and all are in the schema."""
    text = Path(__file__).read_text()
    assert [kind for kind in KINDS if f'"{kind}"' not in text] == []
    schema = json.loads((DOCS / "check.schema.json").read_text())
    assert schema["$defs"]["finding"]["properties"]["kind"]["enum"] == list(KINDS)


# --- what cannot be checked, and the command


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (set_attribute("zarr.json", complete=False), "is incomplete"),
        (lambda store: [f.write_bytes(b"") for f in store.rglob("zarr.json")], "cannot be checked"),
        (lambda store: shutil.rmtree(store), "no store at"),
        (lambda store: [f.unlink() for f in store.rglob("zarr.json")], "no zarr.json in"),
    ],
)
def test_what_cannot_be_checked(store, damage, words):
    damage(store)
    with pytest.raises(StoreError, match=words):
        mtfast.check_store(store)


def test_another_layout_is_no_damage(store):
    set_attribute("zarr.json", mtfast_format=3)(store)
    assert set(errors_of(store)) == {("damaged metadata", "zarr.json")}
    reseal(store)
    with pytest.raises(StoreError, match="has layout version 3"):
        mtfast.check_store(store)


def test_other_zarr_groups_are_no_stores(tiny_set, tmp_path):
    masks = tmp_path / "masks.zarr"
    mtfast.export_masks(tiny_set, masks, format="zarr")
    zarr.create_group(tmp_path / "other.zarr")
    for path in (masks, tmp_path / "other.zarr"):
        with pytest.raises(MtfastError, match="that 'mtfast convert' did not write"):
            mtfast.check_store(path)


def test_names_that_lead_out_of_the_store(store):
    """Nothing is looked for outside, whatever the metadata say."""
    root = json.loads((store / "zarr.json").read_text())
    nodes = root["consolidated_metadata"]["metadata"]
    nodes["../../other"] = nodes["train/name"]
    (store / "zarr.json").write_text(json.dumps(root))
    assert set(errors_of(store)) == {("damaged metadata", "zarr.json")}


def test_the_command(store):
    done = run("check", store)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "whole")
    for name in ("mask", "image", "index of images", "no column"):
        ONE_FILE[name][2](store)
    (store / "note.txt").touch()
    done = call("check", store)
    assert done.returncode == 1
    assert "damaged mask in train" in done.stdout
    assert done.stdout.splitlines()[-1] == "3 errors, 1 note"
    done = call("check", store, "--json")
    assert done.returncode == 1
    validate(json.loads(done.stdout), "check.schema.json")
    done = call("check", store.parent / "nothing.zarr")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
