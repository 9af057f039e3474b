"""Change what strangers write and no checksum guards: whatever comes of it, errors are ours.

    python tests/fuzz_strangers.py --seconds 3600 --seed 0

Values of JSON become others, or bytes change; of a store all checksums are made to fit again. Every
error is an MtfastError of one line, nothing is written outside of the folder that was named, and
each trial is over in seconds.
"""

from __future__ import annotations

import gzip
import json
import random
import re
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import google_crc32c

import fuzzing
import mtfast
from fuzz_store import reads_of_split
from fuzzing import ANYTHING, Trial
from mtfast.conversion.crop_index import add_crop_index
from mtfast.derivation import derive_dataset
from mtfast.diagnosis.diagnose import diagnose
from mtfast.errors import MtfastError
from mtfast.export import export_masks
from mtfast.store.consolidated import CHECKSUM, metadata_checksum, own
from mtfast.synth import make_set
from own_sets import (
    make_label_studio_set,
    make_labelme_set,
    make_own_sets,
    make_sets_of_tools,
)

Json = Any

VALUES: tuple[Json, ...] = (
    *(None, True, 0, 1, -1, 7, 2.5, 1e300, 2**31, 2**53, 2**63, 2**64, -(2**63)),
    *(
        "",
        ".",
        "..",
        "../../out",
        "/out",
        "a\\..\\b",
        "C:x",
        "con",
        "a\0b",
        "a\nb",
        "é",
        "\x1b[31m",
    ),
    *([], {}, [[]], [None], [1, 2, 3], {"a": 1}, ["../../out"], [-1], "train", "uint8", "float64"),
)


class OutsideError(Exception):
    """Something was written outside of the folder that was named."""


# --- changes


def places(value: Json, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """List the paths of all values in a document."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    return [path, *(place for key, inner in items for place in places(inner, (*path, key)))]


def changed(document: Json, rng: random.Random) -> Json:
    """Return a document in which some values, or names of values, are others."""
    copy = json.loads(json.dumps(document))
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        *path, last = rng.choice(places(copy)[1:])
        at = copy
        for key in path:
            at = at[key]
        how = rng.random()
        if how < 0.15:
            del at[last]
        elif how < 0.25 and isinstance(at, dict):
            at[str(rng.choice(VALUES))] = at.pop(last)
        elif how < 0.35 and isinstance(at[last], list) and at[last]:
            at[last] = at[last] * 2 if rng.random() < 0.5 else at[last][:-1]
        else:
            at[last] = rng.choice(VALUES)
        if len(places(copy)) < 2:
            break
    return copy


def broken(data: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some are others, missing or there twice."""
    at, n = rng.randrange(len(data)), rng.choice((1, 1, 4, 50))
    how = rng.randrange(4)
    if how == 0:
        return data[:at] + rng.randbytes(n) + data[at + n :]
    if how == 1:
        return data[:at]
    return data[:at] + data[at + n :] if how == 2 else data[: at + n] + data[at:]


def text_of(document: Json, rng: random.Random) -> bytes:
    """Return the text of a changed document, or a changed text."""
    if rng.random() < 0.8:
        return json.dumps(changed(document, rng)).encode()
    return broken(json.dumps(document).encode(), rng)


# --- what is changed, made once in each process


@cache
def home() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="fuzz_strangers_"))
    made = make_set(folder / "set", train=4, test=2, size=(64, 80), seed=3, workers=1)
    mtfast.convert(made, folder / "set.zarr", shard=4, crop_index=True)
    export_masks(made, folder / "masks", format="png")
    (folder / "tools").mkdir()
    make_own_sets(folder / "tools")
    make_sets_of_tools(folder / "tools")
    return folder


def attempt(calls: list[Callable[[], Any]]) -> None:
    """Make all calls; raise the first error that is not ours, else the first of ours."""
    errors = []
    for call in calls:
        try:
            call()
        except MtfastError as error:
            errors.append(error)
    several = [error for error in errors if len(str(error).splitlines()) != 1]
    if errors:
        raise (several or errors)[0]


def tried(seed: int, make: Callable[[Path, random.Random], list[Callable[[], Any]]]) -> None:
    """Make hostile files three folders deep, make the calls, and look what lies outside."""
    with tempfile.TemporaryDirectory(prefix="fuzz_stranger_") as name:
        top = Path(name)
        place = top / "a" / "b" / "c"
        place.mkdir(parents=True)
        try:
            attempt(make(place, random.Random(seed)))
        finally:
            outside = [p for p in top.rglob("*") if place not in (p, *p.parents)]
            outside = [path for path in outside if path not in place.parents]
            if outside:
                raise OutsideError(str(outside[0].relative_to(top)))


# --- kinds of trials


def in_store(seed: int) -> None:
    """Change the metadata of a store, with a checksum that fits."""

    def make(place: Path, rng: random.Random) -> list[Callable[[], Any]]:
        store = Path(shutil.copytree(home() / "set.zarr", place / "set.zarr"))
        root = json.loads((store / "zarr.json").read_bytes())
        nodes = root["consolidated_metadata"]["metadata"]
        key = rng.choice(["", "nodes", *nodes])
        if key == "nodes":
            nodes[rng.choice(["../../../out", "/out", "..", "train/../../out"])] = nodes["train"]
        elif key:
            nodes[key] = changed(nodes[key], rng)
        else:
            root["attributes"] = changed(root["attributes"], rng)
        fit(root)
        (store / "zarr.json").write_text(json.dumps(root))
        return [
            lambda: read_store(store),
            lambda: export_masks(store, place / "png", format="png", scheduler="sync"),
            lambda: export_masks(store, place / "zarr", scheduler="sync"),
            lambda: add_crop_index(store, overwrite=True, scheduler="sync"),
        ]

    tried(seed, make)


def fit(root: Json) -> None:
    """Give metadata their checksum, if they still have a place for it."""
    metadata = root.get("consolidated_metadata", {}).get("metadata", {})
    try:
        root["attributes"][CHECKSUM] = metadata_checksum({"": own(root)} | metadata)
    except (AttributeError, TypeError, ValueError):
        return


def read_store(path: Path) -> None:
    store = mtfast.open(path)
    attempt([read for name in store for _, read in reads_of_split(store[name])])


def in_annotations(seed: int) -> None:
    """Change a COCO file, packed or not."""

    def make(place: Path, rng: random.Random) -> list[Callable[[], Any]]:
        source = home() / "set" / "RLE_annotations" / "test_annotations_with_class_300.json"
        text = text_of(json.loads(source.read_bytes()), rng)
        packed = rng.random() < 0.2
        file = place / f"flakes.json{'.gz' * packed}"
        data = gzip.compress(text) if packed else text
        file.write_bytes(broken(data, rng) if packed and rng.random() < 0.5 else data)
        return on_source(file, place, rng)

    tried(seed, make)


def in_set_names(seed: int) -> None:
    """Change the table of the named sets."""

    def make(place: Path, rng: random.Random) -> list[Callable[[], Any]]:
        made = Path(shutil.copytree(home() / "set", place / "set"))
        file = made / "meta_data" / "train_set_name_to_uuid.json"
        file.write_bytes(text_of(json.loads(file.read_bytes()), rng))
        return on_source(made, place, rng)

    tried(seed, make)


def in_drawings(seed: int) -> None:
    """Change a file of labelme or an export of Label Studio."""

    def make(place: Path, rng: random.Random) -> list[Callable[[], Any]]:
        rng.choice([make_labelme_set, make_label_studio_set])(place / "drawn")
        file = rng.choice(sorted((place / "drawn").glob("*.json")))
        file.write_bytes(text_of(json.loads(file.read_bytes()), rng))
        return on_source(place / "drawn", place, rng)

    tried(seed, make)


def in_sets_of_tools(seed: int) -> None:
    """Change any file of a set in another tool's format."""

    def make(place: Path, rng: random.Random) -> list[Callable[[], Any]]:
        name = rng.choice(["leaves", "anything", "rooms", "streets"])
        made = Path(shutil.copytree(home() / "tools" / name, place / name))
        file = rng.choice(sorted(path for path in made.rglob("*.*") if path.is_file()))
        data = file.read_bytes()
        if file.suffix == ".json":
            file.write_bytes(text_of(json.loads(data), rng))
        elif file.suffix in (".txt", ".yaml"):
            words = re.split(rb"([\s,:]+)", data)
            value = str(rng.choice([*VALUES, "nan", "1e999"])).encode()
            words[rng.randrange(len(words))] = value
            file.write_bytes(b"".join(words))
        else:
            file.write_bytes(broken(data, rng))
        return on_source(made, place, rng)

    tried(seed, make)


def on_source(path: Path, place: Path, rng: random.Random) -> list[Callable[[], Any]]:
    bad: Any = rng.choice(["refuse", "skip", "repair"])
    return [
        lambda: diagnose(path),
        lambda: mtfast.convert(path, place / "s.zarr", images="none", bad=bad, scheduler="sync"),
        lambda: export_masks(
            mtfast.open_source(path, bad=bad), place / "png", format="png", scheduler="sync"
        ),
        lambda: derive_dataset(
            mtfast.open_source(path, bad=bad), place / "derived", class_agnostic=True
        ),
    ]


def in_records(seed: int) -> None:
    """Change what a stopped run has left: its plan, its jobs with checksums that fit, its moves."""

    def make(place: Path, rng: random.Random) -> list[Callable[[], Any]]:
        def convert() -> object:
            return mtfast.convert(home() / "set", place / "s.zarr", shard=2, scheduler="sync")

        work = stopped_work(place, convert)
        name = rng.choice(["plan.json", "done.jsonl", "done.jsonl", "moving.json"])
        if name == "plan.json":
            plan = json.loads((work / name).read_bytes())
            (work / name).write_bytes(text_of(plan, rng))
        elif name == "done.jsonl":
            lines = [json.loads(line) for line in (work / name).read_bytes().splitlines()]
            hostile = [sealed(paths_changed(line["job"], rng)) for line in lines]
            text = b"".join(line + b"\n" for line in hostile)
            (work / name).write_bytes(broken(text, rng) if rng.random() < 0.3 else text)
        else:
            (place / "s.zarr").mkdir()
            moved = work.rename(place / "s.zarr" / work.name)
            (moved / name).write_bytes(text_of(["train", "zarr.json"], rng))
        return [convert]

    tried(seed, make)


def stopped_work(place: Path, convert: Callable[[], object]) -> Path:
    """Return the work folder of a conversion that has done its jobs, and was stopped then."""
    from unittest import mock

    class StoppedError(Exception):
        pass

    stop = mock.patch("mtfast.conversion.convert.write_image_columns", side_effect=StoppedError)
    with suppress(StoppedError), stop:
        convert()
    (work,) = place.glob(".s.zarr.partial-*")
    return work


def paths_changed(job: Json, rng: random.Random) -> Json:
    """Let a job have made files elsewhere."""
    key, result, files = job
    away = ("../../../out", "/etc/hostname", "train/../../../x", "..", "")
    if rng.random() < 0.7:
        files = {rng.choice(away): stated for stated in files.values()}
    return [key, result, files]


def sealed(job: Json) -> bytes:
    text = json.dumps(job, separators=(",", ":")).encode()
    return b'{"crc32c":%d,"job":%b}' % (google_crc32c.value(text), text)


KINDS = (
    *(in_store, in_store, in_annotations, in_annotations, in_drawings, in_drawings),
    *(in_set_names, in_records),
    *(in_sets_of_tools, in_sets_of_tools),
)


def make_trial(seed: int, number: int) -> Trial:
    rng = random.Random(f"{seed} {number}")
    home()
    return Trial(rng.choice(KINDS), (rng.getrandbits(32),), {}, ANYTHING)


if __name__ == "__main__":
    fuzzing.main(make_trial, __doc__)
