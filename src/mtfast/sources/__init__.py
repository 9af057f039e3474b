"""Readers of datasets: :func:`open_source` finds out which layout a path has.

A new layout is one file with a subclass of :class:`Source` and a function that recognises it, and
a line in ``_FOLDERS`` or ``_FILES``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from mtfast.errors import SourceError
from mtfast.paths import local_path
from mtfast.sources.coco.source import open_coco
from mtfast.sources.files import FileTree, Folder
from mtfast.sources.label_png import IMAGES, MASKS, find_label_png
from mtfast.sources.maskterial import ANNOTATION_FOLDERS, find_maskterial, no_annotation_file
from mtfast.sources.source import SetNames, Source

__all__ = ["SetNames", "Source", "open_source"]

# Each is asked in turn whether a folder has its layout; None means that it has not.
_FOLDERS: tuple[Callable[[FileTree], Source | None], ...] = (find_maskterial, find_label_png)
# By the ending of the file's name.
_FILES: dict[str, Callable[[Path, Path | None], Source]] = {".json": open_coco}


def open_source(
    path: str | os.PathLike[str],
    image_folder: str | os.PathLike[str] | None = None,
    *,
    images: str | os.PathLike[str] | None = None,
) -> Source:
    """Open a dataset for reading.

    Parameters
    ----------
    path : str or path-like
        A MaskTerial folder (with ``RLE_annotations/`` or the older ``annotations/``; it may be
        inside the folder given), a COCO ``.json`` file, or a folder with ``images/`` and
        ``instance_masks/``.
    image_folder : str or path-like, optional
        The folder of the images of a COCO file, if they are not beside it.
    images : str or path-like, optional
        The older name of ``image_folder``.

    Returns
    -------
    Source
        Paths and names alone: annotations and images are read when they are asked for.

    Raises
    ------
    SourceError
        If there is nothing at that path, or no dataset of a known layout.
    MtfastError
        If a path is an address such as ``s3://…``.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "flakes.json")
    ...     _ = path.write_text('{"images": [], "annotations": [], "categories": []}')
    ...     src = open_source(path)
    >>> src.kind, src.splits, src.variants("train")
    ('coco', ('train',), ('annotations',))
    """
    path = local_path(path).absolute()
    image_folder = image_folder or images
    if not path.exists():
        raise SourceError(
            f"no such file or folder: {path}; expected a folder with a dataset or a COCO .json "
            f"file; check the path"
        )
    if path.is_file():
        open_file = _FILES.get(path.suffix.lower())
        if open_file is None:
            raise SourceError(
                f"{path.name} is a file that does not end in .json; expected a folder with a "
                f"dataset or a COCO .json file; unpack it if it is an archive"
            )
        return open_file(path, local_path(image_folder).absolute() if image_folder else None)
    if image_folder:
        raise SourceError(
            f"{path.name} is a folder, and a folder of images was given; expected a COCO .json "
            f"file with it; give the path of that file, or leave the images out"
        )
    files = Folder(path)
    for find in _FOLDERS:
        if source := find(files):
            return source
    raise SourceError(_nothing_known(files))


def _nothing_known(files: FileTree) -> str:
    if message := no_annotation_file(files):
        return message
    names = files.names() or []
    expected = (
        f"expected {' or '.join(f'{folder}/' for folder in ANNOTATION_FOLDERS)} with annotation "
        f"files (there or one folder further down), {IMAGES}/ and {MASKS}/, or the path of a COCO "
        f".json file"
    )
    found = f"no dataset in {files.root.name}"
    if "zarr.json" in names:
        return f"{files.root.name} is a Zarr store; {expected}; open a store with mtfast.open"
    jsons = [name for name in names if name.lower().endswith(".json")]
    if jsons:
        return f"{found}; {expected}; perhaps {files.root.name}/{jsons[0]}"
    return f"{found}; {expected}; check the path"
