"""Run the notebooks and keep their outputs, small: pictures as JPEG, no times, no ids.

python docs/notebooks/refresh.py [NAME...]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def refresh(path: Path) -> None:
    """Run a notebook in a folder of its own and write it with what it shows."""
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(
            notebook,
            timeout=600,
            kernel_name="python3",
            record_timing=False,
            resources={"metadata": {"path": folder}},
        ).execute()
    for number, cell in enumerate(notebook.cells):
        cell["id"], cell["metadata"] = f"cell-{number}", {}
        for output in cell.get("outputs", []):
            # PIL gives each picture as PNG too, which is six times as large.
            if "image/jpeg" in output.get("data", {}):
                output["data"].pop("image/png", None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


if __name__ == "__main__":
    for chosen in sys.argv[1:] or [path.stem for path in sorted(FOLDER.glob("*.ipynb"))]:
        refresh(FOLDER / f"{chosen}.ipynb")
