"""Read a whole store without mtfast; run by test_foreign.py, and by hand with other versions.

    python -W error tests/store/foreign_reader.py READER STORE EXPECTED

READER is zarr, xarray or tensorstore. EXPECTED is an .npz file: ``names``, and of image i of the
split ``train`` the mask as ``mask_i``, the pixels as ``pixels_i`` and the file as ``file_i``.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from pathlib import Path

import numpy as np

STRINGS = ("name", "columns/kind", "columns/set_name")
STRINGS += ("variants/name", "variants/file", "variants/categories")


def compare_images(read, n_images, columns, expected):
    """Compare masks and files, and files as Pillow and tifffile decode them."""
    assert n_images == len(expected["names"])
    for i in range(n_images):
        height, width = int(columns["height"][i]), int(columns["width"][i])
        mask = np.asarray(read("semantic", i))
        np.testing.assert_array_equal(mask[:height, :width], expected[f"mask_{i}"])
        assert not mask[height:].any()
        assert not mask[:, width:].any()
        row = np.asarray(read("images/file", i))
        n = int(columns["file_bytes"][i])
        np.testing.assert_array_equal(row[:n], expected[f"file_{i}"])
        assert not row[n:].any()
        pixels = decode(row[:n].tobytes(), int(columns["orientation"][i]))
        np.testing.assert_array_equal(pixels, expected[f"pixels_{i}"])


def decode(data, orientation):
    import tifffile
    from PIL import Image, ImageOps

    if data[:2] in (b"II", b"MM"):
        pixels = tifffile.imread(io.BytesIO(data))
        return np.stack([pixels] * 3, axis=2) if pixels.dtype == np.uint8 else pixels
    with Image.open(io.BytesIO(data)) as image:
        shown = ImageOps.exif_transpose(image) if orientation != 1 else image
        return np.asarray(shown if shown.mode.startswith("I;16") else shown.convert("RGB"))


def keys_on_disk(store, kind):
    """Keys of all groups or arrays, whatever a reader lists."""
    nodes = {file.parent: json.loads(file.read_bytes()) for file in store.rglob("zarr.json")}
    found = (path for path, node in nodes.items() if node["node_type"] == kind)
    return {"/".join(path.relative_to(store).parts) for path in found}


def read_with_zarr(store, expected):
    import zarr

    for consolidated in (True, False):
        root = zarr.open_group(store, mode="r", use_consolidated=consolidated)
        arrays = {k: n for k, n in root.members(max_depth=None) if isinstance(n, zarr.Array)}
        assert set(arrays) == keys_on_disk(store, "array")
        for array in arrays.values():
            assert array[...].shape == array.shape
            assert array.metadata.dimension_names is not None
        train = root["train"]
        columns = {name: column[:] for name, column in train["columns"].arrays()}
        assert train["name"][:].tolist() == expected["names"].tolist()
        compare_images(lambda key, i, g=train: g[key][i], train["name"].size, columns, expected)


def read_with_xarray(store, expected):
    import xarray

    for key in keys_on_disk(store, "group"):
        for consolidated in (True, False):
            with xarray.open_zarr(store, group=key, consolidated=consolidated) as opened:
                opened.load()
    with xarray.open_datatree(store, engine="zarr", chunks={}) as tree:
        train = tree["train"]
        names = train["name"].values.tolist()
        assert names == expected["names"].tolist()
        columns = train["columns"].to_dataset(inherit=False).load()
        arrays = {"semantic": train["semantic"], "images/file": train["images/file"]}
        compare_images(lambda key, i: arrays[key].sel(name=names[i]), len(names), columns, expected)
    compute_and_copy(store, expected)


def compute_and_copy(store, expected):
    """Compute blockwise, and copy, with the masks in whole shards."""
    import xarray

    shard = json.loads((store / "zarr.json").read_bytes())["attributes"]["shard"]
    with xarray.open_zarr(store, group="train", chunks={"name": shard, "y": -1, "x": -1}) as opened:
        counts = opened["semantic"].map_blocks(lambda block: (block > 0).sum(("y", "x"))).compute()
        wanted = [int((expected[f"mask_{i}"] > 0).sum()) for i in range(len(expected["names"]))]
        assert counts.values.tolist() == wanted
        with tempfile.TemporaryDirectory() as folder:
            opened.to_zarr(Path(folder) / "copy.zarr", consolidated=False)
            with xarray.open_zarr(Path(folder) / "copy.zarr", consolidated=False) as copied:
                xarray.testing.assert_identical(copied.load(), opened.load())
    with xarray.open_zarr(store, group="train", chunks={}) as opened:
        assert (opened["semantic"] > 0).sum().compute() == sum(wanted)


def read_with_tensorstore(store, expected):
    """All but strings, for which it has no type."""
    import tensorstore

    def opened(key):
        files = {"driver": "file", "path": f"{store / key}/"}
        return tensorstore.open(
            {"driver": "zarr3", "kvstore": files}, open=True, read=True
        ).result()

    arrays = {key for key in keys_on_disk(store, "array") if not key.endswith(STRINGS)}
    read = {key: opened(key) for key in sorted(arrays)}
    for array in read.values():
        assert array.read().result().shape == array.shape
        assert all(array.domain.labels)
    columns = {
        key.rsplit("/")[-1]: array.read().result()
        for key, array in read.items()
        if key.startswith("train/columns/")
    }
    compare_images(
        lambda key, i: read[f"train/{key}"][i].read().result(),
        len(columns["height"]),
        columns,
        expected,
    )


READERS = {
    "zarr": read_with_zarr,
    "xarray": read_with_xarray,
    "tensorstore": read_with_tensorstore,
}

if __name__ == "__main__":
    sys.modules["mtfast"] = None  # type: ignore[assignment]
    reader, store, file = sys.argv[1:]
    with np.load(file, allow_pickle=False) as arrays:
        READERS[reader](Path(store), dict(arrays))
