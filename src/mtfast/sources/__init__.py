"""Readers of datasets: :func:`open_source` finds out which layout a path has.

A new layout is one file with a subclass of :class:`Source` and a function that recognises it, and
a line in ``_FOLDERS`` or in ``_open_file``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from mtfast.addresses import Address
from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, SourceError, one_of
from mtfast.paths import is_name
from mtfast.rles.rasterizers import Rasterizer, expect_rasterizer
from mtfast.sources.bad_records import BadRecords, Policy
from mtfast.sources.coco.foreign import advice_for_foreign, foreign_message
from mtfast.sources.coco.layouts import find_coco
from mtfast.sources.coco.names import is_json
from mtfast.sources.coco.peek import COCO, PANOPTIC, RESULTS, SA1B, peek
from mtfast.sources.coco.source import open_coco, open_coco_files
from mtfast.sources.drawn.label_studio import FORMAT as LABEL_STUDIO
from mtfast.sources.drawn.label_studio import find_label_studio, open_label_studio
from mtfast.sources.drawn.labelme import FORMAT as LABELME
from mtfast.sources.drawn.labelme import find_labelme, open_labelme
from mtfast.sources.files import FileTree
from mtfast.sources.foreign import name_file, name_folder
from mtfast.sources.formats.class_maps import find_class_maps, find_listed_maps
from mtfast.sources.formats.panoptic import find_panoptic, open_panoptic
from mtfast.sources.formats.results import open_results
from mtfast.sources.formats.sa1b import find_sa1b, find_sa1b_folders, open_sa1b
from mtfast.sources.formats.yolo import find_yolo, open_yolo
from mtfast.sources.images_only import find_images
from mtfast.sources.known import file_wanted
from mtfast.sources.label_png import IMAGES, MASKS, find_label_png
from mtfast.sources.maskterial import ANNOTATION_FOLDERS, find_maskterial, no_annotation_file
from mtfast.sources.source import Orientation, SetNames, Source
from mtfast.sources.trees.places import folder_at, place_of
from mtfast.splits import SplitMapping
from mtfast.work.bucket_state import RUN, refusal_of_unfinished

__all__ = [
    "BadRecords",
    "Orientation",
    "SetNames",
    "Source",
    "SourcePath",
    "open_source",
    "refusal_of_store",
]

SourcePath = str | os.PathLike[str] | Address | Mapping[str, str | os.PathLike[str] | Address]
"""A path or an address, or the COCO file of each split."""

# Each is asked in turn whether a folder has its layout; None means that it has not.
_FOLDERS: tuple[Callable[[FileTree], Source | None], ...] = (
    find_maskterial,
    find_listed_maps,
    find_label_png,
    find_sa1b,
    find_panoptic,
    find_yolo,
    find_coco,
    find_labelme,
    find_label_studio,
    find_sa1b_folders,
    find_class_maps,
    find_images,
)


def open_source(
    path: SourcePath,
    image_folder: str | os.PathLike[str] | Address | None = None,
    *,
    images: str | os.PathLike[str] | Address | None = None,
    ground_truth: str | os.PathLike[str] | Address | None = None,
    bad: Policy = "refuse",
    mapping: Mapping[int, int] | None = None,
    rasterizer: Rasterizer = "pycocotools",
    orientation: Orientation | None = None,
) -> Source:
    """Open a dataset for reading.

    Parameters
    ----------
    path : str, path-like or mapping
        A MaskTerial folder (with ``RLE_annotations/`` or the older ``annotations/``; it may be
        inside the folder given), a COCO ``.json`` or ``.json.gz`` file, a folder of such files as
        COCO, Roboflow or the MaskTerial trainer write it, a folder of labelme's files or one of
        them, an export of Label Studio as JSON or JSON-MIN or its folder, a YOLO set or its
        ``data.yaml``, SA-1B, COCO's panoptic files and results, label PNGs with a table of classes
        (docs/how-to/formats.md), a folder with ``images/`` and ``instance_masks/``, which may have
        a folder for each material, or a folder of images alone. Several COCO files are given as a
        mapping of splits to paths. The page of a TIFF stack is an image called ``stack.tif[3]``,
        counted from 0. A zip of a dataset is read as it is, and so is what lies in it:
        ``sets.zip/Graphene``. An address leads to the same on a web server, ``https://…``, or in a
        bucket: ``s3://…``, ``gs://…``, ``az://…``.
    image_folder : str or path-like, optional
        The folder or zip of the images of a COCO file or an export of Label Studio, or of a folder
        with one alone, if they are not beside it.
    images : str or path-like, optional
        The older name of ``image_folder``.
    ground_truth : str or path-like, optional
        The COCO file that has the images and classes of a list of COCO results; by default the
        only one beside the list.
    bad : {"refuse", "skip", "repair"}
        What becomes of bad records in annotation files: the file is refused, and the error counts
        them by kind; they are left out; or they are repaired, and the file is refused if one
        cannot be. What was done is in :meth:`Source.findings`.
    mapping : mapping of int to int, optional
        New numbers of classes by old ones; other classes stay. Class 0 is background in masks:
        where annotations use it, it has to get another number.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels polygons become: those of pycocotools, as in COCO's own masks; of Pillow, as
        labelme draws them; or of OpenCV's ``fillPoly`` with rounded points. Masks that are pixels
        already stay as they are.
    orientation : {"stored", "shown"}, optional
        The frame that the masks are in, of images that have an EXIF orientation and one size as
        stored and as shown. Where the sizes differ that of the masks decides.

    Returns
    -------
    Source
        Paths and names alone: annotations and images are read when they are asked for.

    Raises
    ------
    SourceError
        If there is nothing at that path, or no dataset of a known layout.
    RemoteError
        If storage elsewhere does not answer, or refuses.
    MtfastError
        If nothing reads such an address, or an option has no such value.

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
    one_of("bad", bad, ("refuse", "skip", "repair"))
    expect_rasterizer(rasterizer)
    if orientation is not None:
        one_of("orientation", orientation, ("stored", "shown"))
    pairs = tuple(
        (as_integer("a class", old, 0), as_integer("a class", new, 1))
        for old, new in (mapping or {}).items()
    )
    folder = image_folder or images
    source = _open(
        path,
        folder_at(folder) if folder else None,
        place_of(ground_truth) if ground_truth else None,
    )
    for split in source.splits:
        if not is_name(split):
            raise SourceError(
                f"{source.name} has a split called {split!r}; expected a name that can be a "
                f"folder on any system; rename its folder or files"
            )
    return replace(source, bad=bad, mapping=pairs, rasterizer=rasterizer, orientation=orientation)


def _open(given: SourcePath, images: FileTree | None, truth: tuple[FileTree, str] | None) -> Source:
    if isinstance(given, SplitMapping):
        raise SourceError(f"{given!r:.100}, open already; expected a path; give that of a dataset")
    if isinstance(given, Mapping):
        return open_coco_files(_json_files(given), images)
    files, file = place_of(given)
    if file:
        return _open_file(files, file, images, truth)
    if images is not None:
        return _only_coco(files, images)
    for find in _FOLDERS:
        if (source := find(files)) is not None:
            return source
    raise SourceError(_nothing_known(files))


def _open_file(
    files: FileTree, file: str, images: FileTree | None, truth: tuple[FileTree, str] | None
) -> Source:
    if images is None and (yolo := open_yolo(files, file)) is not None:
        return yolo
    what = _format_of(files, file)
    if what == LABEL_STUDIO:
        return open_label_studio(files, file, images)
    if what == RESULTS:
        return open_results(files, file, truth, images)
    if what == PANOPTIC:
        return open_panoptic(files, file, images)
    if what == LABELME and images is None:
        return open_labelme(files, file)
    if what == SA1B and images is None:
        return open_sa1b(files, file)
    _expect_coco(what, file)
    return open_coco(files, file, images)


def _only_coco(files: FileTree, images: FileTree) -> Source:
    """Open the only COCO file of a folder with the images of another."""
    if find_maskterial(files) is None and find_label_png(files) is None:
        source = find_coco(files, images)
        if source is not None and sum(len(source.variants(s)) for s in source.splits) == 1:
            return source
        if exports := find_label_studio(files, images):
            return exports
    raise SourceError(
        f"{files.location} is a folder, and a folder of images was given; expected a COCO .json "
        f"file with it, or a folder that holds one alone; give the path of that file, or leave "
        f"the images out"
    )


def _format_of(files: FileTree, name: str) -> str | None:
    """Name the format of a JSON file; None if it is unknown. Other files are refused."""
    if not is_json(name):
        found, advice = name_file(name)
        raise SourceError(
            f"{name} is {found}; expected a folder with a dataset, or {file_wanted()}; {advice}"
        )
    return peek(files, name)


def _expect_coco(what: str | None, name: str) -> None:
    if what not in (None, COCO):
        raise SourceError(foreign_message(what, name))


def _json_files(
    given: Mapping[str, str | os.PathLike[str] | Address],
) -> dict[str, tuple[FileTree, str]]:
    if not given:
        raise MtfastError("no split; expected the COCO file of at least one; give a path")
    for split in given:
        if not is_name(split):
            raise MtfastError(
                f"a split called {split!r}; expected a name that can be a folder; choose another"
            )
    places = {split: place_of(path) for split, path in given.items()}
    for split, (files, file) in places.items():
        if not file:
            raise SourceError(
                f"{files.location} of split {split!r} is a folder; expected a COCO .json file for "
                f"each split; give the path of one"
            )
        what = _format_of(files, file)
        if what not in (None, COCO):
            raise SourceError(
                f"{file} of split {split!r} is {what}; expected COCO files where splits are named, "
                f"as {split}=FILE.json; {advice_for_foreign(what)}"
            )
    return places


def _nothing_known(files: FileTree) -> str:
    if message := no_annotation_file(files) or name_folder(files):
        return message
    names = files.names() or []
    expected = (
        f"expected {' or '.join(f'{folder}/' for folder in ANNOTATION_FOLDERS)} with annotation "
        f"files (there or one folder further down), {IMAGES}/ and {MASKS}/, a folder of another "
        f"format, or the path of {file_wanted()}"
    )
    if "zarr.json" in names:
        return refusal_of_store(files.location)
    if files.exists(RUN):
        return refusal_of_unfinished(files.location)
    return f"no dataset in {files.location}; {expected}; check the path"


def refusal_of_store(path: Path | Address) -> str:
    """Return the message for a store that was given where a dataset's own files are wanted.

    Parameters
    ----------
    path : Path or Address

    Returns
    -------
    str
    """
    return (
        f"{path} is a store; expected a dataset as it was published, with its files; "
        f"pass the source that the store was made from, or use the store: mtfast.open, "
        f"'mtfast info', 'mtfast check'"
    )
