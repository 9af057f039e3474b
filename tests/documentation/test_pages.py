"""Every block of code of every page runs, in the order of the page."""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import shutil
from importlib.util import find_spec
from pathlib import Path

import matplotlib as mpl
import pytest

import mtfast
import mtfast.mask
from mtfast.cli import main

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

RUN_ELSEWHERE = {
    "COMMAND_LINE.md": "tests/cli/test_completion.py, with the shells that it names",
    "FORMAT.md": "tests/test_docs.py, where mtfast cannot be imported",
    "LOADERS.md": "tests/loops/test_document.py, with the libraries that it shows",
}
BUCKETS = {"s3://flakes": "flakes_bucket", "s3://lab": "empty_bucket"}
"""On a server on loopback; the first has the store graphene.zarr."""

NOT_COMMANDS_OF_MTFAST = re.compile(r"pip install |make |python |mtfast demo")
"""Lines that install or build something, or take minutes; the demo has its own tests."""

FINDINGS = {"check", "doctor", "verify"}
"""Commands that exit with status 1 where they find something."""

BLOCK = re.compile(r"^```(python|sh|console)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FENCE = re.compile(r"^```(.*)$", re.MULTILINE)


def pages() -> list[Path]:
    written = [path for path in DOCS.rglob("*.md") if path.name not in RUN_ELSEWHERE]
    on_site = [path for path in written if "commands" not in path.relative_to(DOCS).parts]
    return [ROOT / "README.md", *sorted(on_site)]


def blocks(page: Path) -> list[tuple[str, str]]:
    return BLOCK.findall(page.read_text(encoding="utf-8"))


def commands(kind: str, block: str) -> list[str]:
    if kind == "python":
        return []
    if kind == "console":
        return re.findall(r"^\$ (.*)$", block, re.MULTILINE)
    lines = [line.split("#")[0].strip() for line in block.splitlines()]
    return [line for line in lines if line]


def run(command: str) -> str:
    """Run a command in this process, and return what it printed."""
    program, *arguments = shlex.split(command)
    assert program == "mtfast", command
    if arguments[0] == "synth":
        arguments += ["--size", "240x320"]
    if arguments[0] in ("synth", "convert", "masks", "doctor", "check", "verify"):
        arguments += ["--workers", "1"]
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 0 or (ended.value.code == 1 and arguments[0] in FINDINGS), command
    return said.getvalue()


def shape(text: str) -> list[str]:
    """Return lines without what depends on the size of the images."""
    return [re.sub(r"[\d,]+", "N", " ".join(line.split())) for line in text.splitlines() if line]


def bring_what_is_missing(page: Path, assets: Path, folder: Path) -> None:
    """Link the sets and stores that the page works on and does not make."""
    text = page.read_text(encoding="utf-8")
    lines = [line for kind, block in blocks(page) for line in commands(kind, block)]
    making = " ".join(line for line in lines if re.match("mtfast (synth|convert) ", line))
    made = {*re.findall(r"[\w.]+\.zarr", making), *re.findall(r"mtfast synth (\w+)", making)}
    for asset in assets.iterdir():
        if asset.name not in made and asset.name in text:
            shutil.copytree(asset, folder / asset.name)


@pytest.mark.parametrize("page", [p for p in pages() if blocks(p)], ids=lambda p: p.stem)
@pytest.mark.filterwarnings("ignore:torch.jit.script:DeprecationWarning")
def test_a_page_runs(page, assets, record, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MTFAST_ZENODO_URL", record)
    for address, bucket in BUCKETS.items():
        if address in page.read_text(encoding="utf-8"):
            request.getfixturevalue(bucket)
    mpl.use("agg")
    bring_what_is_missing(page, assets, tmp_path)
    names: dict[str, object] = {}
    try:
        for kind, block in blocks(page):
            if kind == "python":
                run_python(page, block, names)
                continue
            for command in commands(kind, block):
                if not NOT_COMMANDS_OF_MTFAST.match(command):
                    said = run(command)
                    if kind == "console":
                        shown = block.partition(f"$ {command}\n")[2].partition("\n$ ")[0]
                        assert shape(said) == shape(shown), command
    finally:
        mtfast.mask.uninstall()


def run_python(page: Path, block: str, names: dict[str, object]) -> None:
    if re.search(r"\btorch\b", block) and find_spec("torch") is None:
        pytest.skip("PyTorch is the extra 'torch'")
    # The images are smaller than those of the page, and the twins of a GPU's kernels run here.
    block = block.replace("512", "128").replace('"cuda"', '"cpu"')
    exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("page", pages(), ids=lambda p: p.stem)
def test_no_block_is_left_out(page):
    """A fence of another language than these would hide code from the test above."""
    known = {"", "text", "json", "python", "sh", "console"}
    languages = set(FENCE.findall(page.read_text(encoding="utf-8")))
    unknown = {name for name in languages - known if not name.startswith("{")}
    assert not unknown


def test_the_smallest_coco_file(tmp_path):
    text = (DOCS / "how-to" / "convert.md").read_text(encoding="utf-8")
    (tmp_path / "a.json").write_text(text.partition("```json\n")[2].partition("```")[0])
    table = mtfast.open_source(tmp_path / "a.json").table("train", "annotations")
    assert (table.n_images, table.n_instances) == (1, 1)


def test_the_numbers_of_the_tutorial(tmp_path, monkeypatch):
    """Counts and areas that it shows are those of the set at full size."""
    monkeypatch.chdir(tmp_path)
    text = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    synth, info = re.findall(r"^\$ mtfast ((?:synth|info) .*)$", text, re.MULTILINE)
    said = io.StringIO()
    for line in (f"{synth} --images none --workers 1", info):
        said.truncate(0)
        with contextlib.redirect_stdout(said), pytest.raises(SystemExit) as ended:
            main(shlex.split(line))
        assert ended.value.code == 0
    shown = text.partition(f"$ mtfast {info}\n")[2].partition("\n```")[0]
    found = said.getvalue().replace("\0", "").replace("without images", "with images")
    assert found.split() == shown.split()
