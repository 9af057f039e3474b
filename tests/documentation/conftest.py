"""Sets and a store that the pages of the documentation work on, small."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import mtfast
from mtfast.addresses import Address
from mtfast.fetching import SETS
from mtfast.remote import objects_at
from mtfast.synth import make_set
from own_sets import (
    make_label_studio_set,
    make_labelme_set,
    make_own_sets,
    make_sets_of_tools,
)
from record_server import serve, zip_of_folder
from storage import make_bucket, settings

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def assets(tmp_path_factory) -> Path:
    """A folder with Graphene, graphene.zarr, and the sets of users as sources and stores."""
    folder = tmp_path_factory.mktemp("assets")
    make_set(folder / "Graphene", train=16, test=4, size=(240, 320), seed=0, workers=1)
    mtfast.convert(folder / "Graphene", folder / "graphene.zarr", crop_index=True)
    make_own_sets(folder)
    make_labelme_set(folder / "wafers")
    make_label_studio_set(folder / "chips")
    make_sets_of_tools(folder)
    for name in ("fruits", "coco", "cells"):
        mtfast.convert(folder / name, folder / f"{name}.zarr")
    return folder


@pytest.fixture(scope="session")
def record(assets) -> Iterator[str]:
    """Return the address of a server on which every published set is the small one."""
    data = zip_of_folder(assets / "Graphene")
    with serve({known.file_name: data for known in SETS}) as server:
        yield server.url


@pytest.fixture
def flakes_bucket(assets, s3_endpoint, monkeypatch) -> None:
    """A bucket with graphene.zarr, to which ``s3://flakes`` leads."""
    for key, value in settings(s3_endpoint).items():
        monkeypatch.setenv(key, value)
    make_bucket(s3_endpoint, "flakes")
    objects = objects_at(Address.parse("s3://flakes/graphene.zarr"))
    for file in (assets / "graphene.zarr").rglob("*"):
        if file.is_file():
            key = file.relative_to(assets / "graphene.zarr").as_posix()
            objects.write(key, file.read_bytes())


@pytest.fixture
def empty_bucket(s3_endpoint, monkeypatch) -> None:
    """A bucket to which ``s3://lab`` leads."""
    for key, value in settings(s3_endpoint).items():
        monkeypatch.setenv(key, value)
    make_bucket(s3_endpoint, "lab")
