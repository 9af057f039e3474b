"""What is in a folder."""

from __future__ import annotations

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """Names in a folder but those of locks, whose files stay."""
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock")
