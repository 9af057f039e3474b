"""The HTML of a table, against its pixels."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

import mtfast
from mtfast import RunTable
from mtfast.pictures.palette import class_palette
from mtfast.pictures.sheet import NO_IMAGE
from mtfast.tabular.html import thumbnail
from naive import text_of_counts
from tables import make_table, random_masks


class Page(HTMLParser):
    """Collects texts, and refuses tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(html)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        if tag not in ("img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data.strip())


def pictures_of(html):
    found = re.findall(r"data:image/png;base64,([^\"]+)", html)
    return [np.asarray(Image.open(BytesIO(b64decode(data)))) for data in found]


@pytest.mark.parametrize("shape", [(40, 60), (1, 6), (180, 7), (400, 300), (361, 720)])
def test_pictures_sample_what_is_painted(rng, shape):
    table = make_table([random_masks(rng, shape, n) for n in (4, 0, 7)], shape)
    colours = class_palette(table.category_counts())
    lookup = np.zeros((4, 3), np.uint8)
    lookup[0] = NO_IMAGE
    lookup[list(colours)] = list(colours.values())
    found = pictures_of(table._repr_html_())
    assert len(found) == 2
    for pixels, image in zip(found, (0, 2), strict=True):
        frame = mtfast.semantic(table.image(image))[0]
        rows, columns = pixels.shape[:2]
        assert max(rows, columns) <= 180
        y = ((np.arange(rows) + 0.5) * shape[0] / rows).astype(int)
        x = ((np.arange(columns) + 0.5) * shape[1] / columns).astype(int)
        assert np.array_equal(pixels, lookup[frame[np.ix_(y, x)]])


def test_what_it_says(rng):
    masks = [random_masks(rng, (17, 23), n) for n in (3, 0, 5, 1)]
    table = replace(
        make_table(masks, (17, 23)),
        names=["<b>.jpg", "1", "a\nb", "x" * 99],
        categories=[(1, "<script>"), (2, "two")],
        iscrowd=[1] + [0] * 8,
    )
    html = table._repr_html_()
    texts = Page(html).texts
    assert "RunTable of 4 images and 9 instances" in texts
    assert "1: <script> (3)" in texts
    assert "3: (not listed) (3)" in texts
    assert {"<b>.jpg", "a\\nb", "x" * 37 + "..."} <= set(texts)
    assert "17 x 23, 5 instances" in texts
    assert "and 4 more instances" in texts
    assert html.count("<tr>") == 6
    assert f"<td>{table.area()[0]:,}</td>" in html
    assert "<script>" not in html


def test_tables_without_anything_to_draw():
    nothing = RunTable.of_texts((4, 4), [])
    for table in (nothing, nothing[:0], RunTable.of_texts((0, 4), [[b"0"], []])):
        Page(table._repr_html_())
    assert not pictures_of(nothing._repr_html_())
    # Images without instances are shown only where there are no others.
    assert len(pictures_of(RunTable.of_texts((4, 4), [[], []])._repr_html_())) == 2
    assert len(pictures_of(RunTable.of_texts((4, 4), [[], [b"0@"]])._repr_html_())) == 1


def test_malformed_masks_are_said_to_be():
    html = RunTable.of_texts((1, 6), [[b"13"], [b"6"]])._repr_html_()
    assert "malformed masks" in html
    assert "<td>malformed</td>" in html
    assert len(pictures_of(html)) == 2


def test_large_tables_and_frames_are_shown_in_part():
    """No more texts are decoded, rows measured and classes listed than a page takes."""
    side = 20_000
    whole = text_of_counts([0, side * side])
    stripes = text_of_counts([1] * 300_000 + [side * side - 300_000])
    table = RunTable.of_texts(
        (side, side), [[whole], [whole, stripes], [whole] * 300], np.arange(303) + 1
    )
    html = table._repr_html_()
    assert "20000 x 20000, 2 instances, 1 drawn" in html
    assert "20000 x 20000, 300 instances, 256 drawn" in html
    assert "and 291 more" in html
    assert len(html) < 100_000
    colours = class_palette(table.category_counts())
    pixels, _ = thumbnail(table.image(0), colours)
    assert pixels.shape == (180, 180, 3)
    assert (pixels == colours[1]).all()
