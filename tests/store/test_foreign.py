"""Other programs' libraries read a whole store, without mtfast, with warnings as errors."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import mtfast
from mixed_sets import make_mixed_set
from mtfast.demo import paint_with_pycocotools
from mtfast.store import schema

SCRIPT = Path(__file__).with_name("foreign_reader.py")


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """A store of all kinds, with several chunks in a mask and in files; and what is expected."""
    folder = tmp_path_factory.mktemp("mixed")
    made = make_mixed_set(folder, outlier=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "FILE_CHUNK", 1 << 16)
        store = mtfast.convert(made.annotations, folder / "set.zarr", shard=4, crop_index=True)
    masks, pixels = made.masks.values(), made.pixels.values()
    files = [(made.images / name).read_bytes() for name in made.names]
    return store, save(folder, made.names, masks, pixels, files)


@pytest.fixture(scope="module")
def flakes(tiny_set, tiny_store, tmp_path_factory):
    """A store as MaskTerial's sets become; and what is expected."""
    folder = tmp_path_factory.mktemp("flakes")
    variant = mtfast.open(tiny_store)["train"].semantic_variant
    table = mtfast.open_source(tiny_set).table("train", variant)
    names = [str(name) for name in table.names]
    files = [tiny_set / "train_images" / name for name in names]
    pixels = [np.asarray(Image.open(file)) for file in files]
    masks = map(paint_with_pycocotools, map(table.image, range(table.n_images)))
    return tiny_store, save(folder, names, masks, pixels, [file.read_bytes() for file in files])


def save(folder, names, masks, pixels, files) -> Path:
    arrays = {"names": np.array(names, str)}
    arrays |= {f"mask_{i}": mask for i, mask in enumerate(masks)}
    arrays |= {f"pixels_{i}": image for i, image in enumerate(pixels)}
    arrays |= {f"file_{i}": np.frombuffer(data, np.uint8) for i, data in enumerate(files)}
    np.savez(folder / "expected.npz", **arrays)
    return folder / "expected.npz"


@pytest.mark.parametrize("reader", ["zarr", "xarray", "tensorstore"])
@pytest.mark.parametrize("case", ["mixed", "flakes"])
def test_everything_is_read(case, reader, request):
    if importlib.util.find_spec(reader) is None:
        pytest.skip(f"{reader} is not installed")
    store, expected = request.getfixturevalue(case)
    done = subprocess.run(
        [sys.executable, "-W", "error", SCRIPT, reader, store, expected],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
