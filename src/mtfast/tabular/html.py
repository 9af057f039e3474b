"""A RunTable in a notebook: what it holds, its first rows, and its first masks drawn small.

Pictures are sampled from the runs: no frame is painted at its full size. Long texts are not
decoded, and few rows are measured, so that a table of any size is shown at once.
"""

from __future__ import annotations

from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.errors import RLEError, counted, printable
from mtfast.pictures.palette import RGB, class_palette
from mtfast.pictures.sheet import NO_IMAGE
from mtfast.rles.batch import Rles, ToggleLists, toggles_of
from mtfast.table import RunTable

__all__ = ["html_of", "thumbnail"]

UInt8 = NDArray[np.uint8]
Int64 = NDArray[np.int64]

_ROWS = 5
_PICTURES = 4
_CLASSES = 12
_NAME_LENGTH = 40
# Pixels of a picture's longer side.
_SIDE = 180
# Of the instances of a picture: at most 7 ms to decode and sample them, on an AMD EPYC.
_INSTANCES = 256
_TEXT_BYTES = 1 << 18


def html_of(table: RunTable) -> str:
    """Describe a table for a notebook.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    str
        HTML of at most some 100 KB, whatever the table holds.

    Examples
    --------
    >>> html = html_of(RunTable.of_texts((1, 6), [[b"132"]]))
    >>> html.count("<img"), html.count("<tr>"), "class 1" in html
    (1, 2, True)
    """
    counts = table.category_counts()
    colours = class_palette(counts)
    return (
        f"<div>{escape(_summary(table))}{_legend(table, counts, colours)}"
        f"{_pictures(table, colours)}{_rows(table)}</div>"
    )


def _summary(table: RunTable) -> str:
    return (
        f"RunTable of {counted(table.n_images, 'image')} and "
        f"{counted(table.n_instances, 'instance')}"
    )


def _legend(table: RunTable, counts: dict[int, int], colours: dict[int, RGB]) -> str:
    names = {c.id: c.name for c in table.categories}
    # Those that are used come first, as COCO's table of one image lists 80.
    ids = sorted(counts, key=lambda id_: (-counts[id_], id_))
    listed = [
        f'<span style="white-space:nowrap;margin-right:1em">'
        f'<span style="background:rgb{colours[id_]};display:inline-block;width:0.8em;'
        f'height:0.8em"></span> {id_}: {_text(names.get(id_, "(not listed)"))} '
        f"({counts[id_]:,})</span>"
        for id_ in ids[:_CLASSES]
    ]
    if len(ids) > _CLASSES:
        listed.append(f"and {len(ids) - _CLASSES:,} more")
    return f"<div>{''.join(listed)}</div>" if listed else ""


def _pictures(table: RunTable, colours: dict[int, RGB]) -> str:
    """Draw the first images that have instances, or the first ones if none has."""
    n_instances = np.diff(table.image_offsets)
    chosen = np.flatnonzero(n_instances)[:_PICTURES]
    if not chosen.size:
        chosen = np.arange(min(_PICTURES, table.n_images))
    figures = [_figure(table.image(int(k)), colours) for k in chosen]
    return f'<div style="display:flex;flex-wrap:wrap;gap:1em">{"".join(figures)}</div>'


def _figure(image: RunTable, colours: dict[int, RGB]) -> str:
    pixels, about = thumbnail(image, colours)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return (
        f'<figure style="margin:0.5em 0;width:{_SIDE}px;overflow-wrap:anywhere">'
        f'<img alt="masks" src="data:image/png;base64,{b64encode(file.getvalue()).decode()}">'
        f"<figcaption>{_text(str(image.names[0]))}<br>{about}</figcaption></figure>"
    )


def thumbnail(image: RunTable, colours: dict[int, RGB]) -> tuple[UInt8, str]:
    """Draw the masks of one image small, later ones over earlier ones.

    Parameters
    ----------
    image : RunTable
        Of one image.
    colours : dict
        RGB of each category.

    Returns
    -------
    pixels : (rows, columns, 3) uint8
        Each is the pixel at the same place of the frame: instances between these are not seen.
    about : str
        How many instances it shows, and why not all.

    Examples
    --------
    >>> pixels, about = thumbnail(RunTable.of_texts((1, 6), [[b"132"]]), {1: (230, 60, 0)})
    >>> pixels[0, ::2, 0], about
    (array([214, 230, 214], dtype=uint8), '1 x 6, 1 instance')
    """
    height, width = int(image.heights[0]), int(image.widths[0])
    y, x = _samples(height, width)
    owners = np.zeros((x.size, y.size), np.int16)
    shown, note = _shown(image)
    if height and width:
        try:
            toggles = toggles_of(Rles.of_table(shown), "masks")
        except RLEError:
            note = ", malformed masks"
        else:
            _paint(toggles, (x[:, None] * height + y).reshape(-1), owners.reshape(-1))
    palette = [NO_IMAGE, *(colours[id_] for id_ in shown.category_ids.tolist())]
    about = f"{height} x {width}, {counted(image.n_instances, 'instance')}{note}"
    return np.array(palette, np.uint8)[owners.T], about


def _samples(height: int, width: int) -> tuple[Int64, Int64]:
    """Return the rows and columns of the frame at the centres of the picture's pixels."""
    scale = min(1.0, _SIDE / max(height, width, 1))
    rows, columns = (max(1, round(side * scale)) for side in (height, width))
    y = (np.arange(rows) + 0.5) * height / rows
    x = (np.arange(columns) + 0.5) * width / columns
    return y.astype(np.int64), x.astype(np.int64)


def _shown(image: RunTable) -> tuple[RunTable, str]:
    """Return the instances that are few and short enough to be drawn, and what is said of it."""
    n = int(np.searchsorted(image.rle_offsets, _TEXT_BYTES, side="right")) - 1
    n = min(n, _INSTANCES, image.n_instances)
    return image[:n], f", {n:,} drawn" if n < image.n_instances else ""


def _paint(toggles: ToggleLists, samples: Int64, owners: NDArray[np.int16]) -> None:
    """Paint k + 1 where samples lie in runs of mask k; places and samples count down columns."""
    mask = np.repeat(np.arange(toggles.n), np.diff(toggles.offsets))
    after = np.searchsorted(samples, toggles.toggles[: mask.size])
    # A mask that ends with the frame has no last toggle.
    ends = np.full(mask.size, samples.size)
    same = mask[1:] == mask[:-1]
    ends[:-1][same] = after[1:][same]
    is_start = (np.arange(mask.size) - toggles.offsets[mask]) % 2 == 0
    for k, start, stop in zip(
        *(column[is_start & (after < ends)].tolist() for column in (mask, after, ends)), strict=True
    ):
        owners[start:stop] = k + 1


def _rows(table: RunTable) -> str:
    first = table[:_ROWS]
    image = np.searchsorted(table.image_offsets, np.arange(first.n_instances), side="right") - 1
    names = {c.id: c.name for c in table.categories}
    areas, boxes = _measures(first)
    cells = [
        ("image", [_text(str(table.names[k])) for k in image]),
        ("instance", first.instance_ids.tolist()),
        ("class", [_text(names.get(k) or str(k)) for k in first.category_ids.tolist()]),
        ("area", areas),
        ("bbox", boxes),
        ("crowd", ["yes" if crowd else "" for crowd in first.iscrowd.tolist()]),
    ]
    head = "".join(f"<th>{name}</th>" for name, _ in cells)
    body = "".join(
        f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>"
        for row in zip(*(column for _, column in cells), strict=True)
    )
    more = table.n_instances - first.n_instances
    rest = f"<div>and {counted(more, 'more instance')}</div>" if more else ""
    return f"<table><tr>{head}</tr>{body}</table>{rest}"


def _measures(first: RunTable) -> tuple[list[str], list[str]]:
    """Return areas and boxes as text; nothing where that takes long, or cannot be."""
    nothing = [""] * first.n_instances
    if first.rle.size > _TEXT_BYTES:
        return nothing, nothing
    try:
        areas, boxes = first.area().tolist(), first.bbox().tolist()
    except RLEError:
        return ["malformed"] * first.n_instances, nothing
    return [f"{area:,}" for area in areas], [", ".join(f"{s:g}" for s in box) for box in boxes]


def _text(text: str) -> str:
    text = printable(text)
    return escape(text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 3]}...")
