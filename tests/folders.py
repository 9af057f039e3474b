"""What is in a folder."""

from __future__ import annotations

from pathlib import Path


def names_in(folder: Path) -> list[str]:
    """Names of all that is in a folder, hidden or not, in order."""
    return sorted(path.name for path in folder.iterdir())
