"""The site as it is built: no warning, no link without an end, nothing from the network."""

from __future__ import annotations

import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import imagecodecs
import numpy as np
import pycocotools.mask
import pytest
from sphinx.util.inventory import InventoryFile

import draw
import public_names
from mtfast.cli.entry import cli

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

WRITTEN_BY_HAND = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"]
MOCKED = ["torch", "torchvision", "detectron2", "cuda", "numba_cuda"]


class Page(HTMLParser):
    """Names, links and loaded files of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.names |= {found[key] for key in ("id", "name") if found.get(key)}
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        if tag in ("script", "img", "iframe") and found.get("src"):
            self.loaded.append(found["src"])
        if tag == "link" and found.get("rel") != "canonical" and found.get("href"):
            self.loaded.append(found["href"])


@pytest.fixture(scope="session")
def site(tmp_path_factory) -> Path:
    """The built site; a warning is an error."""
    # myst_nb writes pictures of notebooks beside the site.
    folder = tmp_path_factory.mktemp("site") / "html"
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"]
    done = subprocess.run(
        [*command, "--fresh-env", str(DOCS), str(folder)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def read(site) -> dict[Path, Page]:
    return {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}


def test_links_lead_somewhere(site, read):
    broken = []
    for path, page in read.items():
        for link in [*page.links, *page.loaded]:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            known = read[target].names if target in read else None
            if not target.exists() or (parts.fragment and known and parts.fragment not in known):
                broken.append(f"{path.relative_to(site)}: {link}")
    assert not broken


def test_nothing_comes_from_the_network(site, read):
    outside = {link for page in read.values() for link in page.loaded if urlsplit(link).netloc}
    for sheet in site.rglob("*.css"):
        outside |= set(
            re.findall(r"(?:url\(|@import\s)['\"]?(https?://[^)'\"]+)", sheet.read_text())
        )
    assert not outside


def test_every_command_has_a_page(site):
    names = {name for name, command in cli.commands.items() if not command.hidden}
    assert {path.stem for path in (site / "reference" / "commands").glob("*.html")} == names
    for name in names:
        text = (site / "reference" / "commands" / f"{name}.html").read_text(encoding="utf-8")
        shown = [p for p in cli.commands[name].params if not getattr(p, "hidden", False)]
        options = [option for p in shown for option in p.opts if option.startswith("--")]
        assert [option for option in options if option not in text] == [], name


def test_every_public_name_has_a_description(site):
    inventory = InventoryFile.loads((site / "objects.inv").read_bytes(), uri="")
    documented = {
        item for kind, items in inventory.data.items() if kind.startswith("py:") for item in items
    }
    public = {
        f"{module}.{name}"
        for module in public_names.MODULES
        for name in public_names.names_of(module, MOCKED)
    }
    assert len(public) > 40
    assert public <= documented


@pytest.mark.parametrize("name", WRITTEN_BY_HAND)
def test_links_of_documents_beside_the_site(name):
    """GitHub shows these; the site has some of them."""
    text = (ROOT / name).read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        parts = urlsplit(link)
        if not parts.scheme:
            target = ROOT / parts.path if parts.path else ROOT / name
            assert target.exists(), link
            if parts.fragment:
                assert parts.fragment in anchors(target), link


def anchors(path: Path) -> set[str]:
    """Return the anchors of a Markdown file, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_what_the_drawings_show():
    """zstd decodes the bytes to the pixels, and pycocotools encodes the mask to the counts."""
    pixels = draw.pixels_of(draw.FLAKES).astype(np.uint8)
    assert imagecodecs.zstd_decode(draw.frame_of(pixels)) == pixels.tobytes()
    mask = draw.pixels_of(draw.MASK)
    rle = pycocotools.mask.encode(np.asfortranarray(mask, np.uint8))
    counts = np.diff(draw.places_of(mask), prepend=0)
    again = pycocotools.mask.frPyObjects({"size": [8, 8], "counts": counts.tolist()}, 8, 8)
    assert again == rle


@pytest.mark.parametrize("name", draw.DRAWINGS)
def test_drawings_are_those_of_the_code(name):
    drawn = draw.DRAWINGS[name]().svg()
    assert (DOCS / "drawings" / f"{name}.svg").read_text(encoding="utf-8") == drawn
