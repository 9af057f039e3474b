"""What people have drawn on images -> RunTable: shared by the layouts of labelling tools.

::

    file of a tool ──► DrawnImage ──► regions as rings ──► rasterised together ─┐
                                 └──► regions as pixels ────────────────────────┴──► union ──► table

An instance is the union of its regions. Its number is its place, so that it is the same whatever is
left out.
"""

from __future__ import annotations

import base64
import binascii
import math
import struct
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError, SourceError
from mtfast.limits import MAX_LIST_BYTES
from mtfast.ragged import as_strings, offsets_of
from mtfast.rles import Rles, merge
from mtfast.rles.polygons import rasterise
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources.bad_records import Ledger
from mtfast.sources.coco.records import Records
from mtfast.sources.files import FileTree
from mtfast.table import Category, RunTable

__all__ = [
    "DrawnImage",
    "Instance",
    "Region",
    "decode_png",
    "listed_labels",
    "number_labels",
    "of_listed",
    "records_of_drawn",
    "ring_of_ellipse",
    "table_of_drawn",
]

Rings = Sequence[Sequence[float]]

# Of the polygon that an ellipse becomes: its area is that of the ellipse but for 0.005 %.
_CORNERS = 360
_LABELS = "labels.txt"
_MAX_COORDINATE = 2.0**20
_PNG = b"\x89PNG\r\n\x1a\n"


class Region(NamedTuple):
    """A part of an image that somebody has drawn.

    Attributes
    ----------
    mask : list of rings, or bytes
        In pixels of the image, x, y, x, y, …; or COCO's compressed text.
    place : hashable
        What the ledger knows it by.
    words : str
        It in words, for messages.
    """

    mask: Rings | bytes
    place: Hashable
    words: str


class Instance(NamedTuple):
    """The union of some regions.

    Attributes
    ----------
    id : int
    label : str
        Name of its class.
    regions : list of Region
    keys : dict
        What else its file says of it, for annotations as COCO.
    iscrowd : bool
    """

    id: int
    label: str
    regions: list[Region]
    keys: dict[str, Any]
    iscrowd: bool = False


class DrawnImage(NamedTuple):
    """An image with its instances.

    Attributes
    ----------
    name : str
    size : (height, width)
    instances : list of Instance
    keys : dict
        What else its file says of it, for images as COCO.
    """

    name: str
    size: tuple[int, int]
    instances: list[Instance]
    keys: dict[str, Any]


def table_of_drawn(
    images: Sequence[DrawnImage],
    numbers: Mapping[str, int],
    ledger: Ledger,
    rasterizer: Rasterizer,
) -> RunTable:
    """Make a table of images on which people have drawn.

    Parameters
    ----------
    images : sequence of DrawnImage
        No two of one name.
    numbers : mapping of str to int
        The number of each class.
    ledger : Ledger
        Is told of regions that cannot be drawn, which are left out.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels rings become.

    Returns
    -------
    RunTable
        An instance without any region that can be drawn is left out.
    """
    instances = [(image.size, i) for image in images for i in image.instances]
    drawn = [(size, i.id, region) for size, i in instances for region in i.regions]
    sizes = [size for size, _, _ in drawn]
    texts = _texts([region for _, _, region in drawn], sizes, ledger, rasterizer)
    masks: dict[int, list[bytes]] = {}
    for (_, id_, _), text in zip(drawn, texts, strict=True):
        if text is not None:
            masks.setdefault(id_, []).append(text)
    kept = [[i for i in image.instances if i.id in masks] for image in images]
    flat = [(image, i) for image, some in zip(images, kept, strict=True) for i in some]
    rle = [_union(masks[i.id], image.size) for image, i in flat]
    sides = np.array([image.size for image in images], np.int64).reshape(-1, 2)
    n = len(flat)
    return RunTable(
        names=as_strings([image.name for image in images]),
        image_ids=np.arange(1, len(images) + 1),
        heights=sides[:, 0],
        widths=sides[:, 1],
        image_offsets=offsets_of([len(some) for some in kept]),
        instance_ids=np.array([i.id for _, i in flat], np.int64),
        category_ids=np.array([numbers[i.label] for _, i in flat], np.int64),
        iscrowd=np.array([i.iscrowd for _, i in flat], np.uint8),
        positions=np.arange(n),
        stated_area=np.full(n, np.nan),
        stated_bbox=np.full((n, 4), np.nan),
        rle=np.frombuffer(b"".join(rle), np.uint8),
        rle_offsets=offsets_of([len(text) for text in rle]),
        categories=tuple(Category(number, name) for name, number in numbers.items()),
    )


def _texts(
    regions: Sequence[Region],
    sizes: Sequence[tuple[int, int]],
    ledger: Ledger,
    rasterizer: Rasterizer,
) -> list[bytes | None]:
    """COCO text of each region; None for one that cannot be drawn."""
    texts = [region.mask if isinstance(region.mask, bytes) else None for region in regions]
    rings: dict[int, Rings] = {}
    for k, region in enumerate(regions):
        if isinstance(region.mask, bytes):
            continue
        if reason := _fault(region.mask):
            ledger.keep("malformed segmentation", region.place, f"{region.words}: {reason}")
        else:
            rings[k] = region.mask

    def draw(keys: list[int]) -> None:
        try:
            found = [[*rings[k]] for k in keys]
            made = rasterise(found, [sizes[k] for k in keys], str, MtfastError, rasterizer)
        except MtfastError as error:
            if len(keys) == 1:
                region, reason = regions[keys[0]], str(error).partition(" has ")[2]
                words = f"{region.words}: {reason.partition(';')[0]}"
                ledger.keep("malformed segmentation", region.place, words)
                return
            draw(keys[: len(keys) // 2])
            draw(keys[len(keys) // 2 :])
        else:
            for k, text in zip(keys, made, strict=True):
                texts[k] = text.encode()

    draw(list(rings))
    return texts


def _fault(rings: Rings) -> str:
    """Say which number of rings is none that can be drawn; empty if all are."""
    for ring in rings:
        for number in ring:
            if not abs(number) <= _MAX_COORDINATE:
                return f"the coordinate {number:g}"
    return ""


def _union(texts: list[bytes], size: tuple[int, int]) -> bytes:
    if len(texts) == 1:
        return texts[0]
    return merge(Rles.of(texts, [size] * len(texts))).texts()[0]


def number_labels(labels: Sequence[str], listed: Sequence[str] = ()) -> dict[str, int]:
    """Number the classes of a dataset: those that are listed in that order, then others by name.

    Parameters
    ----------
    labels : sequence of str
        All that are drawn, in every split.
    listed : sequence of str, optional

    Returns
    -------
    dict
        From 1 on; 0 is background.

    Examples
    --------
    >>> number_labels(["2L", "1L", "bulk"], ["bulk", "3L"])
    {'bulk': 1, '3L': 2, '1L': 3, '2L': 4}
    """
    names = dict.fromkeys((*listed, *sorted(set(labels))))
    return {name: number for number, name in enumerate(names, 1)}


def listed_labels(
    files: FileTree, folders: Iterable[str], left_out: Collection[str] = ()
) -> list[str]:
    """Read the classes of ``labels.txt``, one a line.

    Parameters
    ----------
    files : FileTree
    folders : iterable of str
        Where it may be; the first one that is there counts.
    left_out : collection of str, optional
        Lines that are no classes.

    Returns
    -------
    list of str
        Each once; none if there is no such file.
    """
    paths = (f"{folder}/{_LABELS}" if folder else _LABELS for folder in folders)
    path = next(filter(files.exists, paths), None)
    if path is None:
        return []
    text = files.read(path, MAX_LIST_BYTES).decode("utf-8-sig", "replace")
    names = dict.fromkeys(map(str.strip, text.splitlines()))
    return [name for name in names if name and name not in left_out]


def of_listed(image: DrawnImage, listed: Collection[str], ledger: Ledger) -> DrawnImage:
    """Ask a ledger about the labels of an image that ``labels.txt`` does not have.

    Parameters
    ----------
    image : DrawnImage
    listed : collection of str
        Its classes; if there are none, all is kept.
    ledger : Ledger

    Returns
    -------
    DrawnImage
        With the instances that are kept.
    """

    def is_kept(instance: Instance) -> bool:
        words = f"{instance.label!r} on {image.name}"
        place = instance.id, instance.label
        return instance.label in listed or ledger.keep("label not in labels.txt", place, words)

    if not listed:
        return image
    return image._replace(instances=[i for i in image.instances if is_kept(i)])


def ring_of_ellipse(
    x: float, y: float, radius_x: float, radius_y: float, degrees: float = 0.0
) -> list[float]:
    """Return an ellipse as a ring of 360 corners.

    Parameters
    ----------
    x, y : float
        Its middle.
    radius_x, radius_y : float
    degrees : float
        How far it is turned, clockwise as images are shown.

    Returns
    -------
    list of float
        x, y, x, y, …

    Examples
    --------
    >>> [round(number, 6) for number in ring_of_ellipse(5, 5, 2, 1, 90)[:2]]
    [5.0, 7.0]
    """
    turned = math.radians(degrees)
    angles = np.arange(_CORNERS) * (2 * math.pi / _CORNERS)
    u, v = radius_x * np.cos(angles), radius_y * np.sin(angles)
    along = x + u * math.cos(turned) - v * math.sin(turned)
    down = y + u * math.sin(turned) + v * math.cos(turned)
    ring: list[float] = np.column_stack([along, down]).ravel().tolist()
    return ring


def decode_png(
    text: str, size: tuple[int, int], decode: Callable[[bytes, str], NDArray[Any]]
) -> NDArray[Any]:
    """Decode a PNG that stands in JSON as base64.

    Parameters
    ----------
    text : str
        With or without the "data:image/png;base64," of a data URL.
    size : (height, width)
        Of the image that it is drawn on: it may not be larger, and so needs no more memory.
    decode : callable
        Takes the file and its name for messages.

    Returns
    -------
    (h, w) or (h, w, channels) array

    Raises
    ------
    SourceError
        In words that go after those of the region.
    """
    try:
        data = base64.b64decode(text.partition("base64,")[2] or text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise SourceError(f"its mask is no base64 ({error}); expected a PNG") from error
    if data[:8] != _PNG or len(data) < 33:
        raise SourceError("its mask is no PNG; expected one")
    width, height = struct.unpack_from(">II", data, 16)
    if not (0 < height <= size[0] and 0 < width <= size[1]):
        raise SourceError(
            f"its mask of {height} x {width} pixels is larger than its image of {size[0]} x "
            f"{size[1]}; expected a part of that"
        )
    return decode(data, "its mask")


def records_of_drawn(
    table: RunTable, images: Sequence[DrawnImage], file: str, **others: object
) -> Records:
    """Return a table as COCO JSON, with what the tool's files say besides.

    Parameters
    ----------
    table : RunTable
        Of these images.
    images : sequence of DrawnImage
    file : str
        A name, for messages.
    **others
        What else the file is to hold, ``info`` for instance.

    Returns
    -------
    Records
    """
    of_images = {image.name: image.keys for image in images}
    of_instances = {i.id: i.keys for image in images for i in image.instances}
    coco = table.to_coco()
    content = {
        **others,
        "images": [of_images[image["file_name"]] | dict(image) for image in coco["images"]],
        "annotations": [of_instances[a["id"]] | dict(a) for a in coco["annotations"]],
        "categories": coco["categories"],
    }
    return Records(msgspec.json.encode(content), file)
