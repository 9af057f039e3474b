"""Plots of a dataset: one page that needs nothing else, or one picture."""

from __future__ import annotations

import base64
import logging
import os
from collections.abc import Sequence
from html import escape
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.atomic import check_new_file, new_file
from mtfast.errors import MtfastError, SourceError, counted
from mtfast.paths import local_path
from mtfast.pictures.sheet import Tile, compose
from mtfast.progress import Progress, shows_progress, step, track
from mtfast.report.figures import Panel, draw_picture, draw_svg, panels_of, require_matplotlib
from mtfast.report.instances import SplitInstances
from mtfast.report.tiles import choose_images, draw_tiles, legend

__all__ = ["check_plots", "write_plots"]

logger = logging.getLogger(__name__)

N_EXAMPLES = 12


@shows_progress
def write_plots(
    splits: Sequence[SplitInstances],
    out: str | os.PathLike[str],
    *,
    title: str,
    um2_per_px: float | None = None,
    progress: Progress | None = None,
) -> Path:
    """Draw the classes, areas and images of a dataset.

    Parameters
    ----------
    splits : sequence of SplitInstances
    out : path
        ``.html`` for a page that shows without a network, ``.png`` or ``.jpg`` for a picture.
        Replaced if it is there.
    title : str
        Name of the dataset.
    um2_per_px : float, optional
        Area of a pixel in square micrometres; areas then have a second axis.
    progress : bool or callable, optional
        True shows the command line's bar; a function is called as (what, done, total).

    Returns
    -------
    Path
        Of the file.

    Raises
    ------
    MtfastError
        If the file cannot be written, has another ending, or matplotlib is missing.

    Examples
    --------
    >>> from mtfast.report import read_instances
    >>> write_plots(read_instances("Graphene"), "plots.html", title="Graphene").name
    'plots.html'
    """
    out = check_plots(out)
    if out.suffix.lower() in (".html", ".htm"):
        sections = "".join(
            _section(k, split, um2_per_px, progress) for k, split in enumerate(splits)
        )
        page = _PAGE.format(title=escape(title), sections=sections, style=_STYLE)
        with new_file(out) as partial:
            partial.write_text(page, encoding="utf-8")
        return out
    pictures = [
        picture for split in splits for picture in _pictures(split, um2_per_px, title, progress)
    ]
    with new_file(out) as partial:
        _stack(pictures).save(partial, quality=92)
    return out


def check_plots(out: str | os.PathLike[str]) -> Path:
    """Check where plots are to be drawn, before anything is read for them.

    Parameters
    ----------
    out : path-like

    Returns
    -------
    Path

    Raises
    ------
    MtfastError
        If it is an address, has another ending than :func:`write_plots` takes, cannot be written,
        or matplotlib is missing.
    """
    path = local_path(out)
    if path.suffix.lower() not in (".html", ".htm", ".png", ".jpg", ".jpeg"):
        raise MtfastError(f"{path.name} for plots; expected .html or .png; rename it")
    require_matplotlib()
    check_new_file(path)
    return path


def _section(
    number: int, split: SplitInstances, um2_per_px: float | None, progress: Progress | None
) -> str:
    """Write the part of the page that is about one split."""
    panels = panels_of(split, um2_per_px)
    figures = [
        _figure(panel, f"s{number}f{k}-")
        for k, panel in enumerate(track(panels, f"drawing {split.view.name}", progress))
    ]
    chosen = choose_images(split.table, N_EXAMPLES)
    tiles, remark = _tiles(split, chosen, progress)
    keys = "".join(
        f'<li><span style="background:rgb{colour}"></span>{escape(text)}</li>'
        for colour, text in legend(split.table, tiles)
    )
    keys = f'<ul class="key">{keys}</ul>' if keys else ""
    return (
        f"<section><h2>{escape(split.view.name)}</h2><p>{escape(_about(split))}</p>"
        f'<div class="figures">{"".join(figures)}</div>'
        f"<h3>Examples</h3><p>{escape(remark)}</p>"
        f"{f'<ul class={chr(34)}key{chr(34)}>{keys}</ul>' if keys else ''}"
        f'<div class="examples">{"".join(map(_example, tiles))}</div></section>'
    )


def _figure(panel: Panel, prefix: str) -> str:
    kind = ' class="high"' if panel.is_high else ""
    return (
        f"<figure{kind}><h3>{panel.title}</h3>{draw_svg(panel, prefix)}"
        f"<figcaption>{escape(panel.caption)}</figcaption></figure>"
    )


def _example(tile: Tile) -> str:
    name = escape(tile.name)
    return (
        f'<figure><img src="{_data_uri(tile.pixels)}" alt="{name} with outlines">'
        f"<figcaption>{name}<br>{escape(tile.about)}</figcaption></figure>"
    )


def _pictures(
    split: SplitInstances, um2_per_px: float | None, title: str, progress: Progress | None
) -> list[Image.Image]:
    """Draw the part of the picture that is about one split."""
    name = f"{title}  ·  {split.view.name}"
    with step(f"drawing {split.view.name}", progress):
        picture = draw_picture(panels_of(split, um2_per_px), f"{name}  ·  {_about(split)}")
    chosen = choose_images(split.table, N_EXAMPLES)
    tiles, remark = _tiles(split, chosen, progress)
    if not tiles:
        return [picture]
    return [picture, compose(tiles, name, remark, legend(split.table, tiles))]


def _about(split: SplitInstances) -> str:
    table = split.table
    sizes = set(zip(table.heights.tolist(), table.widths.tolist(), strict=True))
    size = (
        f"{len(sizes):,} sizes" if len(sizes) != 1 else "{} x {} pixels".format(*next(iter(sizes)))
    )
    return (
        f"{counted(table.n_images, 'image')} of {size}, {counted(table.n_instances, 'instance')} "
        f"in {split.variant}; areas are counted in the masks"
    )


def _tiles(
    split: SplitInstances, chosen: NDArray[np.int64], progress: Progress | None
) -> tuple[list[Tile], str]:
    """Draw examples and say what they are drawn on: a page is useful without images too."""
    remark = "Outlines of the instances"
    view, table = split.view, split.table
    if not view.has_images:
        tiles = draw_tiles(view, table, chosen, progress)
        return tiles, f"{remark} alone, as there are no images."
    try:
        return draw_tiles(view, table, chosen, progress), f"{remark} on the images."
    except SourceError as error:
        logger.warning("the examples of %s are without images: %s", view.name, error)
        tiles = draw_tiles(view, table, chosen, progress, on_image=False)
        return tiles, f"{remark} alone: {error}."


def _stack(pictures: Sequence[Image.Image]) -> Image.Image:
    """Put pictures of one width below each other."""
    width = max(picture.width for picture in pictures)
    scaled = [p.resize((width, round(p.height * width / p.width))) for p in pictures]
    sheet = Image.new("RGB", (width, sum(p.height for p in scaled)), "white")
    y = 0
    for picture in scaled:
        sheet.paste(picture, (0, y))
        y += picture.height
    return sheet


def _data_uri(pixels: NDArray[np.uint8]) -> str:
    out = BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


_STYLE = """
:root { color-scheme: light dark; --ground: #fafaf8; --card: #fff; --line: #e3e3e0;
  --ink: #28292e; --faint: #5f6268; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #17181b; --card: #202226; --line: #36393f; --ink: #e6e6e3; --faint: #a4a7ad; }
}
body { margin: 0 auto; padding: 1rem; max-width: 84rem; background: var(--ground);
  color: var(--ink); font: 16px/1.45 system-ui, sans-serif; overflow-wrap: anywhere; }
h1, h2, h3 { line-height: 1.2; }
h2 { margin-top: 2.5rem; }
h3 { margin: 0 0 .4rem; font-size: 1rem; }
.figures, .examples { display: grid; gap: 1rem; margin-bottom: 1.5rem; }
.figures { grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  grid-auto-flow: dense; }
.figures .high { grid-row: span 2; }
.examples { grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
figure { margin: 0; padding: .8rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; }
.examples figure { padding: 0; border: 0; background: none; }
svg { display: block; width: 100%; height: auto; }
img { display: block; max-width: 100%; height: auto; }
figcaption, section > p { color: var(--faint); font-size: .9rem; }
.key { display: flex; flex-wrap: wrap; gap: .2rem 1.2rem; padding: 0; list-style: none; }
.key span { display: inline-block; width: .8em; height: .8em; margin-right: .4em;
  border: 1px solid var(--faint); border-radius: 2px; }
"""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<h1>{title}</h1>
{sections}
</body>
</html>
"""
