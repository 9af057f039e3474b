"""The reader that mtfast is compared with: decode whole files, then crop."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast import image_files
from mtfast.loaders.cutting import sample_pixels
from mtfast.loaders.reader import Reader, TrainingSample
from mtfast.loaders.sampler import SampleKey
from mtfast.loaders.views import View
from mtfast.painting.instance_targets import InstanceTargets

__all__ = ["Annotation", "PlainReader", "WholeImage", "decode_file"]


Annotation = tuple[dict[str, Any], int, int]
"""COCO's RLE of an instance, the number of its class, and its id."""


class WholeImage(NamedTuple):
    """All of an image, from which a sample is cropped.

    Attributes
    ----------
    position : int
        Of the image in the set.
    pixels : (height, width, 3) uint8 RGB, uint16 of files of 16 bits, or None
    annotations : list of Annotation
    """

    position: int
    pixels: NDArray[Any] | None
    annotations: list[Annotation]


class PlainReader(Reader):
    """Reads the samples of another reader from image files and COCO's RLE, as most loaders do.

    Parameters
    ----------
    reader : Reader
        One whose views are windows that are neither resized, mirrored nor turned.
    folder : Path
        Gets the files of its images.
    """

    def __init__(self, reader: Reader, folder: Path) -> None:
        self.__dict__.update(reader.__getstate__())
        self._files: dict[int, Path] = {}
        self._annotations: dict[int, list[Annotation]] = {}
        for index in self.indices.tolist():
            if self.images:
                data = self.split.image_bytes(index)
                deep = image_files.read_header(data).dtype != np.uint8
                kind = "deep" if deep else self.split.kinds[index]
                self._files[index] = folder / f"{index}.{kind}"
                self._files[index].write_bytes(data)
            table = self.with_class_numbers(self.split.instances(index, self.variant))
            size = list(self.split.size(index))
            columns = zip(table.category_ids.tolist(), table.instance_ids.tolist(), strict=True)
            self._annotations[index] = [
                ({"size": size, "counts": table.text(k)}, label, number)
                for k, (label, number) in enumerate(columns)
            ]

    @property
    def method(self) -> str:
        """What it decodes with, in words."""
        decoder = f"{'cv2.imread' if find_spec('cv2') else 'PIL'}, " if self.images else ""
        return f"{decoder}pycocotools, crop"

    is_remote = False

    def fetch_ahead(self, position: int) -> None:
        """Do nothing: plain loaders do not read ahead.

        Parameters
        ----------
        position : int
        """

    def load(self, position: int) -> WholeImage:
        """Read all of an image.

        Parameters
        ----------
        position : int
            In the set.

        Returns
        -------
        WholeImage
        """
        index = int(self.indices[position])
        pixels = None
        if self.images:
            turned = int(self.split.orientations[index])
            pixels = image_files.turn(decode_file(self._files[index]), turned)
        return WholeImage(position, pixels, self._annotations[index])

    def read(self, key: SampleKey | int) -> TrainingSample:
        """Read a sample: the whole image, then the window of it.

        Parameters
        ----------
        key : SampleKey or int
            See :meth:`mtfast.loaders.reader.Reader.read`.

        Returns
        -------
        TrainingSample
            Equal to that of the other reader.
        """
        key = SampleKey(*key) if isinstance(key, tuple) else SampleKey(0, key)
        position, pixels, annotations = self.load(key.position)
        index, _, view = self.view_of(key._replace(position=position))
        semantic, instances = self._decode(annotations, view, self.split.size(index))
        return TrainingSample(
            index,
            str(self.split.names[index]),
            view,
            None if pixels is None else cut_window(sample_pixels(pixels, self.intensity), view),
            semantic if "semantic" in self.targets else None,
            instances if "instances" in self.targets else None,
        )

    def _decode(
        self, annotations: list[Annotation], view: View, size: tuple[int, int]
    ) -> tuple[NDArray[Any], InstanceTargets]:
        from pycocotools import mask as coco_mask

        shape = view.h, view.w
        semantic = cut_window(np.zeros(size, self.semantic_dtype), view, self.ignore_value)
        masks, labels, ids = [], [], []
        for rle, label, number in annotations:
            mask = cut_window(coco_mask.decode(rle), view).astype(bool)
            if mask.any():
                semantic[mask] = label
                masks.append(mask)
                labels.append(label)
                ids.append(number)
        stacked = np.array(masks, bool).reshape(-1, *shape)
        return semantic, InstanceTargets(
            stacked,
            _boxes_of(stacked),
            np.array(labels, np.int64),
            stacked.sum((1, 2)),
            np.array(ids, np.int64),
        )


def cut_window(frame: NDArray[Any], view: View, padding: int = 0) -> NDArray[Any]:
    """Copy a window of a frame, padded where it goes beyond.

    Parameters
    ----------
    frame : (height, width) or (height, width, channels) array
    view : View
        Its first row and column may be negative.
    padding : int
        Value of pixels beyond the frame.

    Returns
    -------
    (h, w) or (h, w, channels) array, C order

    Examples
    --------
    >>> cut_window(np.array([[1, 2], [3, 4]]), View(-1, 1, 3, 2, 3, 2), 9)
    array([[9, 9],
           [2, 9],
           [4, 9]])
    """
    y, x, h, w = view[:4]
    top, left = max(y, 0), max(x, 0)
    inside = frame[top : y + h, left : x + w]
    if inside.shape[:2] == (h, w):
        return np.ascontiguousarray(inside)
    window = np.full((h, w, *frame.shape[2:]), padding, frame.dtype)
    window[top - y :, left - x :][: inside.shape[0], : inside.shape[1]] = inside
    return window


def decode_file(file: Path) -> NDArray[Any]:
    """Decode an image file with OpenCV or, without it, Pillow.

    Parameters
    ----------
    file : Path
        Its ending is the kind of the file. TIFFs, and files of 16 bits, which end with "deep", are
        decoded as mtfast does: OpenCV reads only some of them, and Pillow fewer.

    Returns
    -------
    (height, width, 3) uint8, or what :func:`mtfast.image_files.decode` returns
        RGB, as stored; with OpenCV a view of its BGR pixels.
    """
    if file.suffix in (".tiff", ".deep"):
        return image_files.decode(file.read_bytes())
    if find_spec("cv2"):
        import cv2

        as_stored = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
        pixels: Any = cv2.imread(str(file), as_stored)
        return np.asarray(pixels[:, :, ::-1])
    from PIL import Image

    with Image.open(file) as image:
        return np.asarray(image.convert("RGB"))


def _boxes_of(masks: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Measure boxes of masks that are not empty: left, top, and the first pixels beyond them."""
    columns: NDArray[np.bool_] = np.any(masks, axis=1)
    rows: NDArray[np.bool_] = np.any(masks, axis=2)
    return np.stack(
        [
            columns.argmax(axis=1),
            rows.argmax(axis=1),
            columns.shape[1] - columns[:, ::-1].argmax(axis=1),
            rows.shape[1] - rows[:, ::-1].argmax(axis=1),
        ],
        axis=1,
    ).astype(np.float32)
