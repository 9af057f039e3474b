"""A CSV file with one row for each instance."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path

from mtfast.atomic import check_new_file, new_file
from mtfast.errors import MtfastError
from mtfast.paths import local_path
from mtfast.report.instances import SplitInstances

__all__ = ["check_area_table", "write_area_table"]


def write_area_table(
    splits: Sequence[SplitInstances],
    out: str | os.PathLike[str],
    um2_per_px: float | None = None,
) -> Path:
    """Write a table with one row for each instance, as CSV.

    Parameters
    ----------
    splits : sequence of SplitInstances
    out : path
        Replaced if it is there.
    um2_per_px : float, optional
        Area of a pixel in square micrometres; adds a column ``area_um2``.

    Returns
    -------
    Path
        Of the table. Its columns: ``split``, ``set`` (the exfoliation run, empty where it is not
        known), ``image``, ``id`` of the annotation, ``class_id``, ``class``, ``area_px`` measured
        from the RLE, ``x``, ``y``, ``width``, ``height`` of the box in pixels. A name that a
        spreadsheet would take for a formula has an apostrophe before it.

    Raises
    ------
    MtfastError
        If the path is an address, or the file cannot be written.

    Examples
    --------
    >>> from mtfast.report import read_instances
    >>> written = write_area_table(read_instances("Graphene"), "areas.csv").read_text()
    >>> written.splitlines()[0]
    'split,set,image,id,class_id,class,area_px,x,y,width,height'
    """
    header = ["split", "set", "image", "id", "class_id", "class", "area_px"]
    header += [] if um2_per_px is None else ["area_um2"]
    path = check_area_table(out)
    with new_file(path) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*header, "x", "y", "width", "height"])
        for split in splits:
            table = split.table
            images = table.image_of_instance.tolist()
            names = list(map(_as_text, table.names.tolist()))
            runs = list(map(_as_text, split.runs))
            class_names = {c.id: _as_text(c.name) for c in split.categories}
            columns = [
                repeat(_as_text(split.view.name)),
                (runs[image] for image in images),
                (names[image] for image in images),
                table.instance_ids.tolist(),
                table.category_ids.tolist(),
                (class_names[c] for c in table.category_ids.tolist()),
                split.areas.tolist(),
            ]
            if um2_per_px is not None:
                columns.append([f"{area:.6g}" for area in (split.areas * um2_per_px).tolist()])
            columns += table.bbox().T.astype(int).tolist()
            writer.writerows(zip(*columns, strict=False))
    return path


def check_area_table(out: str | os.PathLike[str]) -> Path:
    """Check where a table is to be written, before anything is read for it.

    Parameters
    ----------
    out : path-like

    Returns
    -------
    Path

    Raises
    ------
    MtfastError
        If it is an address, no .csv, or cannot be written.
    """
    path = local_path(out)
    if path.suffix.lower() != ".csv":
        raise MtfastError(f"{path.name} for a table; expected .csv; rename it")
    check_new_file(path)
    return path


def _as_text(name: str) -> str:
    """Return a cell that no spreadsheet takes for a formula: names come from strangers.

    Source: the page "CSV Injection" of OWASP.
    """
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) else name
