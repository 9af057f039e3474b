"""Zips as tools write them, and as they are when something is wrong."""

from __future__ import annotations

import zipfile
from pathlib import Path

__all__ = ["pack"]


def pack(folder: Path, to: Path, method: int = zipfile.ZIP_STORED, inside: str = "") -> Path:
    """Pack a folder with Python's own zipfile; files are in the folder ``inside`` of the zip."""
    with zipfile.ZipFile(to, "w", method) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                name = file.relative_to(folder).as_posix()
                archive.write(file, f"{inside}/{name}" if inside else name)
    return to
