"""Readers of datasets: :func:`open_source` finds out which layout a path has.

A new layout is one file with one class that has the methods of :class:`Source`, and a line in
:func:`open_source`.
"""

from __future__ import annotations

import os
from pathlib import Path

from mtfast.errors import SourceError
from mtfast.sources.coco.source import open_coco
from mtfast.sources.files import Folder
from mtfast.sources.label_png import IMAGES, MASKS, find_label_png
from mtfast.sources.maskterial import ANNOTATION_FOLDERS, find_maskterial, no_annotation_file
from mtfast.sources.source import SetNames, Source

__all__ = ["SetNames", "Source", "open_source"]


def open_source(
    path: str | os.PathLike[str], images: str | os.PathLike[str] | None = None
) -> Source:
    """Open a dataset for reading.

    Parameters
    ----------
    path : str or path-like
        A MaskTerial folder (with ``RLE_annotations/`` or the older ``annotations/``, possibly in
        a folder of its own inside), a COCO ``.json`` file, or a folder with ``images/`` and
        ``instance_masks/``.
    images : str or path-like, optional
        The folder of the images of a COCO file, where it is not found beside it.

    Raises
    ------
    SourceError
        If there is nothing there, or nothing that is known.

    Examples
    --------
    >>> src = mtfast.open_source("GrapheneH")                        # doctest: +SKIP
    >>> src.kind, src.splits                                         # doctest: +SKIP
    ('maskterial', ('train', 'test'))
    >>> src.variants("test")                                         # doctest: +SKIP
    ('annotations_300', 'annotations_with_class_200', 'annotations_with_class_300')
    """
    path = Path(path).absolute()
    if not path.exists():
        raise SourceError(
            f"no such file or folder: {path}; expected a folder with a dataset or a COCO .json "
            f"file; check the path"
        )
    if path.is_file():
        if path.suffix.lower() != ".json":
            raise SourceError(
                f"{path.name} is a {path.suffix or 'nameless kind of'} file; expected a folder "
                f"with a dataset or a COCO .json file; unpack it if it is an archive"
            )
        return open_coco(path, None if images is None else Path(images).absolute())
    if images is not None:
        raise SourceError(
            f"{path.name} is a folder, and a folder of images was given; expected a COCO .json "
            f"file with it; give the path of that file, or leave the images out"
        )
    files = Folder(path)
    source = find_maskterial(files) or find_label_png(files)
    if source is None:
        raise SourceError(_nothing_known(files))
    return source


def _nothing_known(files: Folder) -> str:
    if message := no_annotation_file(files):
        return message
    names = files.names() or []
    expected = (
        f"expected {' or '.join(f'{folder}/' for folder in ANNOTATION_FOLDERS)} with annotation "
        f"files (also one folder further down), {IMAGES}/ and {MASKS}/, or the path of a COCO "
        f".json file"
    )
    found = f"no dataset in {files.root.name}"
    if "zarr.json" in names:
        return f"{files.root.name} is a Zarr store; {expected}; open a store with mtfast.open"
    jsons = [name for name in names if name.lower().endswith(".json")]
    if jsons:
        return f"{found}; {expected}; perhaps {files.root.name}/{jsons[0]}"
    return f"{found}; {expected}; check the path"
