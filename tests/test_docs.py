"""What the documents show is what happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from PIL import Image

import mtfast
from image_samples import exif, pixels
from mtfast.store import schema

ROOT = Path(__file__).parents[1]


def blocks(document: str, language: str) -> list[str]:
    text = (ROOT / document).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_readme_is_read_in_five_minutes():
    assert len((ROOT / "README.md").read_text().split()) <= 1500


def test_blocks_on_masks_run():
    for block in blocks("docs/MASK.md", "python"):
        try:
            exec(compile(block, "docs/MASK.md", "exec"), {})
        finally:
            mtfast.mask.uninstall()


@pytest.fixture(scope="module")
def mixed_store(tmp_path_factory):
    """A folder with a store, graphene.zarr, of all that the format has; one image is an outlier."""
    folder = tmp_path_factory.mktemp("format")
    sizes = [(60, 80)] * 30
    sizes[1], sizes[2], sizes[7] = (50, 90), (45, 30), (1200, 1300)
    kinds = {0: "png", 7: "bmp"}
    names = [f"{i}.{kinds.get(i, 'jpg')}" for i in range(len(sizes))]
    (folder / "images").mkdir()
    for i, (name, (height, width)) in enumerate(zip(names, sizes, strict=True)):
        image = Image.fromarray(pixels(i, height, width))
        options = {}
        if i == 3:
            # Stored on its side: its masks are on the image as viewers show it.
            image = image.transpose(Image.Transpose.ROTATE_90)
            options = {"exif": exif(6)}
        image.save(folder / "images" / name, **options)
    content = {
        "images": [
            {"id": i, "file_name": name, "height": height, "width": width}
            for i, (name, (height, width)) in enumerate(zip(names, sizes, strict=True))
        ],
        "annotations": [
            {
                "id": i,
                "image_id": i,
                "category_id": 2,
                "segmentation": [[5, 5, 0.9 * width, 8, 0.5 * width, 0.8 * height]],
                "iscrowd": 0,
            }
            for i, (height, width) in enumerate(sizes)
            if i != 4
        ],
        "categories": [{"id": 2, "name": "flake"}],
    }
    # The name of the set is among the attributes.
    file = folder / "Graph\u00e8ne.json"
    file.write_text(json.dumps(content))
    mtfast.convert(file, folder / "graphene.zarr", shard=4, crop_index=True, workers=2)
    return folder


_WITHOUT_MTFAST = """
import json
import sys
sys.modules["mtfast"] = None
for block in json.load(sys.stdin):
    exec(compile(block, "docs/FORMAT.md", "exec"), {})
"""


def run_without_mtfast(blocks: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run blocks one after another in one process; none sees the names of another."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", _WITHOUT_MTFAST],
        cwd=folder,
        input=json.dumps(blocks),
        capture_output=True,
        text=True,
    )


def test_the_store_of_the_format_document_holds_all_cases(mixed_store):
    """Several chunks a mask and a file, absent ones, an image that is turned, mid-byte entries."""
    train = zarr.open_group(mixed_store / "graphene.zarr", path="train", mode="r")
    for array in (train["semantic"], train["images/file"]):
        assert np.prod(array.shards[1:]) > np.prod(array.chunks[1:])
    columns = train["columns"]
    assert columns["orientation"][:4].tolist() == [1, 1, 1, 6]
    assert set(columns["kind"][:]) == {"png", "jpeg", "bmp"}
    assert int((columns["file_bytes"][:] > 1 << 22).sum()) == 1
    assert np.count_nonzero(train["crop_index/step"][:]) > 20
    assert np.any(np.cumsum(train["crop_index/bits"][5]) % 8)


def test_format_document_blocks_run_without_mtfast(mixed_store):
    found = blocks("docs/FORMAT.md", "python")
    assert len(found) == 5
    assert "ModuleNotFoundError" in run_without_mtfast(["import mtfast"], mixed_store).stderr
    done = run_without_mtfast(found, mixed_store)
    assert done.returncode == 0, done.stderr


def test_what_the_format_document_reads_is_what_mtfast_reads(mixed_store):
    """The mask and the upright pixels of its first block, for images of every case."""
    train = mtfast.open(mixed_store / "graphene.zarr")["train"]
    save = "\nimport numpy\nnumpy.savez(f'{i}.npz', mask=mask, image=image.convert('RGB'))\n"
    (block, *_) = blocks("docs/FORMAT.md", "python")
    images = (0, 1, 2, 3, 7)
    done = run_without_mtfast(
        [block.replace("i = 3\n", f"i = {i}\n") + save for i in images], mixed_store
    )
    assert done.returncode == 0, done.stderr
    for i in images:
        with np.load(mixed_store / f"{i}.npz") as read:
            assert np.array_equal(read["mask"], train.semantic(i))
            assert read["mask"].any()
            assert np.array_equal(read["image"], train.image(i))


def test_format_document_names_every_array():
    text = (ROOT / "docs" / "FORMAT.md").read_text()
    assert f"layout version {schema.FORMAT}" in text
    for declared in (
        schema.NAMES,
        schema.COLUMNS,
        schema.CROP_INDEX,
        schema.INSTANCES,
        schema.VARIANTS,
    ):
        for name, column in declared.items():
            dimensions = ", ".join(column.dimensions)
            dtype = "string" if column.dtype == "str" else column.dtype
            assert re.search(rf"^ +{name} +\({dimensions}\) +{dtype}\b", text, re.MULTILINE), name


def test_format_document_draws_the_tree(mixed_store):
    """Every group, array, dimension and type of a store, and every attribute of its groups."""
    text = (ROOT / "docs" / "FORMAT.md").read_text()
    tree = text.partition("## The tree\n\n```\n")[2].partition("```")[0]
    place: list[str] = []
    drawn = {}
    for line in tree.splitlines()[1:]:
        depth = (len(line) - len(line.lstrip())) // 2 - 1
        name, kind = re.match(r" +(\w+)/? +(\(.*?\) +\w+|group)", line).groups()
        place[depth:] = [name]
        drawn["/".join(place)] = " ".join(kind.split())
    store = zarr.open_group(mixed_store / "graphene.zarr", mode="r")
    found = {}
    for key, node in store.members(max_depth=None):
        found[key] = "group"
        if isinstance(node, zarr.Array):
            dtype = "string" if node.dtype.kind == "T" else node.dtype.name
            found[key] = f"({', '.join(node.metadata.dimension_names)}) {dtype}"
        assert all(f"`{name}`" in text for name in node.attrs), key
    assert drawn.pop("test") == "group"
    assert drawn == found
    assert all(f"`{name}`" in text for name in store.attrs)


def test_the_changelog_is_of_this_version():
    text = (ROOT / "CHANGELOG.md").read_text()
    assert "## [Unreleased]" in text or f"## [{mtfast.__version__}]" in text


def test_every_dependency_is_justified():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    text = (ROOT / "ARCHITECTURE.md").read_text().partition("## Dependencies")[2]
    for requirement in project["dependencies"]:
        name = re.split(r"[<>=!~ ]", requirement)[0]
        assert re.search(rf"^\|.*\b{name}\b", text, re.MULTILINE), name
