"""RunTable: the instance masks of a dataset as columns, the type that all of mtfast works on.

Invariants, checked when a table is made and kept by every method:

1. The instances of image ``i`` are ``image_offsets[i]:image_offsets[i + 1]``; offsets start at 0
   and never descend.
2. The COCO text of instance ``k`` is ``rle[rle_offsets[k]:rle_offsets[k + 1]]``; these offsets
   start at 0 and never descend either.
3. Per-image columns have one entry for each image, per-instance columns one for each instance, in
   the same order; within an image that is the order in which masks are painted.
4. Frames have at most 2**40 pixels.
5. All arrays are read-only.

Whether the runs of a text tile its frame is checked by :meth:`RunTable.check`, by the sources when
they read a file, and again by every kernel that decodes a text.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.caching import cached_property
from mtfast.errors import MtfastError, RLEError, counted
from mtfast.ragged import as_strings, gather_texts, offsets_of

__all__ = [
    "MAX_PIXELS",
    "Category",
    "RunTable",
    "explain",
    "one_size",
]

MAX_PIXELS = 2**40

_BLOCK = 1 << 16

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]


class Category(NamedTuple):
    """A class of instances: its id in the annotations and its name."""

    id: int
    name: str


_DTYPES: dict[str, Any] = {
    "names": np.dtypes.StringDType(),
    "image_ids": np.int64,
    "heights": np.int64,
    "widths": np.int64,
    "image_offsets": np.int64,
    "instance_ids": np.int64,
    "category_ids": np.int64,
    "iscrowd": np.uint8,
    "positions": np.int64,
    "stated_area": np.float64,
    "stated_bbox": np.float64,
    "rle": np.uint8,
    "rle_offsets": np.int64,
}
PER_IMAGE = ("names", "image_ids", "heights", "widths")
PER_INSTANCE = (
    "instance_ids",
    "category_ids",
    "iscrowd",
    "positions",
    "stated_area",
    "stated_bbox",
)


@dataclass(frozen=True, eq=False, repr=False)
class RunTable:
    """Instance masks of a set of images, as columns.

    Slices and single images (``table[3]``, ``table[10:20]``) are tables too and share the columns.

    Attributes
    ----------
    names : (n_images,) str
        File names of the images.
    image_ids, heights, widths : (n_images,) int64
    image_offsets : (n_images + 1,) int64
        Image i has the instances image_offsets[i] .. image_offsets[i + 1] - 1.
    instance_ids, category_ids : (n_instances,) int64
    iscrowd : (n_instances,) uint8
    positions : (n_instances,) int64
        Index of each annotation in its file.
    stated_area : (n_instances,) float64
        The area that the file states, in pixels; NaN where it states none.
    stated_bbox : (n_instances, 4) float64
        The box that the file states, [x, y, width, height] in pixels; NaN where it states none.
    rle : (n_bytes,) uint8
        COCO's compressed RLE text of all instances, one after another.
    rle_offsets : (n_instances + 1,) int64
    categories : tuple of Category

    Raises
    ------
    MtfastError
        If the columns do not fit together.

    Examples
    --------
    Two images of 1 x 6 pixels: one with the instances ``.###..`` and ``..###.``, one with none.

    >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"], []])
    >>> table
    RunTable(2 images, 2 instances, 1 category)
    >>> table[0].area(), table.image_offsets
    (array([3, 3]), array([0, 2, 2]))

    Notes
    -----
    Source: the COCO data format, https://cocodataset.org/#format-data.
    """

    names: NDArray[Any]
    image_ids: Int64
    heights: Int64
    widths: Int64
    image_offsets: Int64
    instance_ids: Int64
    category_ids: Int64
    iscrowd: NDArray[np.uint8]
    positions: Int64
    stated_area: Float64
    stated_bbox: Float64
    rle: NDArray[np.uint8]
    rle_offsets: Int64
    categories: tuple[Category, ...]

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            given = np.asarray(getattr(self, name))
            column = np.ascontiguousarray(given, dtype=dtype)
            if column.flags.writeable:
                # A view leaves the caller's own array writable.
                column = column.view()
                column.flags.writeable = False
            object.__setattr__(self, name, column)
        object.__setattr__(self, "categories", tuple(Category(*c) for c in self.categories))
        n_images, n_instances = len(self.image_ids), len(self.instance_ids)
        for name in PER_IMAGE:
            _expect_shape(name, getattr(self, name), (n_images,), "n_images")
        for name in PER_INSTANCE:
            shape = (n_instances, 4) if name == "stated_bbox" else (n_instances,)
            _expect_shape(name, getattr(self, name), shape, "n_instances")
        _expect_offsets("image_offsets", self.image_offsets, n_images, n_instances)
        _expect_offsets("rle_offsets", self.rle_offsets, n_instances, self.rle.size)
        if n_images and (
            min(self.heights.min(), self.widths.min()) < 0
            or max(self.heights.max(), self.widths.max()) > MAX_PIXELS
            or (self.heights.astype(float) * self.widths).max() > MAX_PIXELS
        ):
            bad = int(np.argmax(_bad_frame(self.heights, self.widths)))
            raise MtfastError(
                f"image {self.names[bad]!r} is {self.heights[bad]} x {self.widths[bad]} pixels; "
                f"expected sides of at least 0 and at most 2**40 pixels in all; correct its size"
            )

    @classmethod
    def of_texts(
        cls,
        size: tuple[int, int],
        texts: Sequence[Sequence[bytes]],
        category_ids: ArrayLike | None = None,
    ) -> RunTable:
        """Make a table of images of one size; ids and names are numbered, and nothing is stated.

        Parameters
        ----------
        size : (height, width)
            Of all images, in pixels.
        texts : sequence of n_images sequences of bytes
            COCO's compressed text of each instance of each image.
        category_ids : (n_instances,) int, optional
            By default all 1.

        Returns
        -------
        RunTable
            Images are named 0.jpg, 1.jpg, and so on; image and instance ids count from 1.

        Raises
        ------
        MtfastError
            If the size is none, or there is not one category for each instance.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"]], [1, 2])
        >>> table.instance_ids, table.category_ids
        (array([1, 2]), array([1, 2]))
        """
        flat = [text for image in texts for text in image]
        n_images, n = len(texts), len(flat)
        ids = np.ones(n, np.int64) if category_ids is None else np.asarray(category_ids)
        return cls(
            names=as_strings([f"{i}.jpg" for i in range(n_images)]),
            image_ids=np.arange(1, n_images + 1),
            heights=np.full(n_images, size[0]),
            widths=np.full(n_images, size[1]),
            image_offsets=offsets_of([len(image) for image in texts]),
            instance_ids=np.arange(1, n + 1),
            category_ids=ids,
            iscrowd=np.zeros(n, np.uint8),
            positions=np.arange(n),
            stated_area=np.full(n, np.nan),
            stated_bbox=np.full((n, 4), np.nan),
            rle=np.frombuffer(b"".join(flat), np.uint8),
            rle_offsets=offsets_of([len(text) for text in flat]),
            categories=tuple(Category(id_, f"class {id_}") for id_ in np.unique(ids).tolist()),
        )

    @classmethod
    def unchecked(cls, **columns: Any) -> RunTable:
        """Make a table from columns that keep the invariants; nothing is checked.

        Parameters
        ----------
        **columns
            All attributes, by name: read-only, contiguous arrays of the stated dtypes.

        Returns
        -------
        RunTable
        """
        table = object.__new__(cls)
        table.__dict__.update(columns)
        return table

    def __repr__(self) -> str:
        return (
            f"RunTable({counted(self.n_images, 'image')}, {counted(self.n_instances, 'instance')}, "
            f"{counted(len(self.categories), 'category', 'categories')})"
        )

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.image_ids)

    @property
    def n_instances(self) -> int:
        """Number of instances."""
        return len(self.instance_ids)

    def __len__(self) -> int:
        return self.n_images

    def __iter__(self) -> Iterator[RunTable]:
        return (self[i] for i in range(self.n_images))

    def __getitem__(self, images: int | slice) -> RunTable:
        """Return the table of one image, or of a contiguous range of images; nothing is copied.

        Parameters
        ----------
        images : int or slice
            Negative numbers count from the end.

        Returns
        -------
        RunTable

        Raises
        ------
        IndexError
            If there is no such image.
        MtfastError
            If the slice has a step.
        """
        if isinstance(images, slice):
            start, stop, step = images.indices(self.n_images)
            if step != 1:
                raise MtfastError(
                    f"a table slice with step {step}; expected step 1; take images one by one"
                )
            stop = max(start, stop)
        else:
            start = images + self.n_images if images < 0 else images
            if not 0 <= start < self.n_images:
                raise IndexError(f"image {images} of a table of {counted(self.n_images, 'image')}")
            stop = start + 1
        first, last = int(self.image_offsets[start]), int(self.image_offsets[stop])
        begin, end = int(self.rle_offsets[first]), int(self.rle_offsets[last])
        columns: dict[str, Any] = {name: getattr(self, name)[start:stop] for name in PER_IMAGE}
        columns |= {name: getattr(self, name)[first:last] for name in PER_INSTANCE}
        return RunTable.unchecked(
            **columns,
            image_offsets=_read_only(self.image_offsets[start : stop + 1] - first),
            rle=self.rle[begin:end],
            rle_offsets=_read_only(self.rle_offsets[first : last + 1] - begin),
            categories=self.categories,
        )

    def select(self, instances: ArrayLike) -> RunTable:
        """Return a table of some instances, in the given order; all images stay.

        Parameters
        ----------
        instances : (n,) int or (n_instances,) bool
            Indices of instances, or a mask. Instances of one image must be next to each other and
            images in their order; within an image any order will do.

        Returns
        -------
        RunTable

        Raises
        ------
        MtfastError
            If the instances go back to an earlier image.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"], [b"6"]])
        >>> table.select([1, 0]).instance_ids
        array([2, 1])
        >>> table.select(table.area() > 0)
        RunTable(2 images, 2 instances, 1 category)
        """
        chosen = np.asarray(instances)
        chosen = np.flatnonzero(chosen) if chosen.dtype == bool else chosen.astype(np.int64)
        image = self.image_of_instance[chosen]
        if np.any(np.diff(image) < 0):
            raise MtfastError(
                "a selection that jumps back to an earlier image; expected instances grouped by "
                "image; sort them by image first"
            )
        rle, rle_offsets = gather_texts(self.rle, self.rle_offsets, chosen)
        columns = {name: getattr(self, name)[chosen] for name in PER_INSTANCE}
        return replace(
            self,
            **columns,
            image_offsets=np.searchsorted(image, np.arange(self.n_images + 1)),
            rle=rle,
            rle_offsets=rle_offsets,
        )

    @property
    def image_of_instance(self) -> Int64:
        """Index of the image of each instance, (n_instances,) int64."""
        return np.repeat(np.arange(self.n_images), np.diff(self.image_offsets))

    def text(self, instance: int) -> bytes:
        """Return COCO's compressed RLE text of one instance.

        Parameters
        ----------
        instance : int
            Its index in the table.

        Returns
        -------
        bytes

        Examples
        --------
        >>> RunTable.of_texts((1, 6), [[b"132", b"231"]]).text(1)
        b'231'
        """
        start, stop = self.rle_offsets[instance : instance + 2]
        return self.rle[start:stop].tobytes()

    def digest(self, columns: Sequence[str] = tuple(_DTYPES)) -> str:
        """Return what differs where a column does.

        Parameters
        ----------
        columns : sequence of str
            All by default.

        Returns
        -------
        str
            SHA-256 of the columns one after another, names ended by NUL, in hexadecimal.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132"], [b"501"]])
        >>> table.digest() == table.digest(), table.digest() == table[1:].digest()
        (True, False)
        """
        digest = hashlib.sha256()
        for column in columns:
            values = getattr(self, column)
            text = column == "names"
            digest.update("\0".join([*values.tolist(), ""]).encode() if text else values.data)
        return digest.hexdigest()

    def area(self) -> Int64:
        """Count the foreground pixels of every instance.

        Returns
        -------
        (n_instances,) int64

        Raises
        ------
        RLEError
            If a text does not tile its frame.

        Examples
        --------
        >>> RunTable.of_texts((1, 6), [[b"132", b"231"]]).area()
        array([3, 3])
        """
        from mtfast.kernels.rle import measure

        out = np.empty(self.n_instances, np.int64)
        bad = measure.areas(
            self.rle, self.rle_offsets, self.image_offsets, self.n_pixels, self.scratch(), out
        )
        self._raise_if_malformed(bad)
        return out

    def bbox(self) -> Float64:
        """Measure the smallest box around every instance; zeros for an empty one.

        Returns
        -------
        (n_instances, 4) float64
            [x, y, width, height] in pixels. A run that goes on in the next column makes the box as
            high as the frame, as in pycocotools.

        Raises
        ------
        RLEError
            If a text does not tile its frame.

        Examples
        --------
        >>> RunTable.of_texts((1, 6), [[b"132", b"231"]]).bbox()
        array([[1., 0., 3., 1.],
               [2., 0., 3., 1.]])
        """
        from mtfast.kernels.rle import measure

        out = np.empty((self.n_instances, 4), np.float64)
        bad = measure.bboxes(
            self.rle,
            self.rle_offsets,
            self.image_offsets,
            self.heights,
            self.widths,
            self.scratch(),
            out.reshape(-1),
        )
        self._raise_if_malformed(bad)
        return out

    def check(self) -> None:
        """Check that the runs of every text tile its frame.

        Raises
        ------
        RLEError
            For the first text that does not; the message names the annotation.

        Examples
        --------
        >>> RunTable.of_texts((1, 6), [[b"13"]]).check()
        Traceback (most recent call last):
        mtfast.errors.RLEError: annotation 1 (number 0) of image '0.jpg': runs that end before the \
frame does; expected runs that add up to 1 x 6 = 6 pixels; correct or remove the annotation
        """
        from mtfast.kernels.rle import coco_string

        self._raise_if_malformed(
            coco_string.check_strings(
                self.rle, self.rle_offsets, self.image_offsets, self.n_pixels, self.scratch()
            )
        )

    @property
    def n_pixels(self) -> Int64:
        """Number of pixels of each image, (n_images,) int64."""
        pixels: Int64 = self.heights * self.widths
        return pixels

    @cached_property
    def _longest_text(self) -> int:
        # In blocks, as all lengths at once would be another column.
        blocks = (self.rle_offsets[k : k + _BLOCK + 1] for k in range(0, self.n_instances, _BLOCK))
        return max((int(np.diff(block).max()) for block in blocks), default=0)

    @property
    def has_one_size(self) -> bool:
        """Whether all images share their size, as none do."""
        return _all_equal(self.heights) and _all_equal(self.widths)

    def common_size(self) -> tuple[int, int]:
        """Return the size that all images share; (0, 0) of no images.

        Returns
        -------
        (height, width)

        Raises
        ------
        MtfastError
            If sizes differ; the message names the first image that does.
        """
        return one_size(self.heights, self.widths, lambda i: f"image {str(self.names[i])!r}")

    def scratch(self) -> Int64:
        """Make scratch that holds the counts of any one instance.

        Returns
        -------
        (n,) int64
        """
        return np.empty(self._longest_text, np.int64)

    def _raise_if_malformed(self, instance: int) -> None:
        if instance >= 0:
            image = int(self.image_of_instance[instance])
            reason = explain(self.text(instance), int(self.heights[image]), int(self.widths[image]))
            raise RLEError(
                f"annotation {self.instance_ids[instance]} (number {self.positions[instance]}) of "
                f"image {str(self.names[image])!r}: {reason}"
            )


def one_size(heights: Int64, widths: Int64, name: Callable[[int], str]) -> tuple[int, int]:
    """Return the size that all frames share; (0, 0) of no frames.

    Parameters
    ----------
    heights, widths : (n,) int64
    name : callable
        Names frame k, for the message.

    Returns
    -------
    (height, width)

    Raises
    ------
    MtfastError
        If sizes differ.

    Examples
    --------
    >>> one_size(np.array([2, 2]), np.array([3, 3]), "frame {}".format)
    (2, 3)
    """
    if not heights.size:
        return 0, 0
    height, width = int(heights[0]), int(widths[0])
    if not (_all_equal(heights) and _all_equal(widths)):
        k = int(np.argmax((heights != height) | (widths != width)))
        raise MtfastError(
            f"{name(k)} is {heights[k]} x {widths[k]} pixels and {name(0)} is {height} x "
            f"{width}; expected one size; pass those of each size on their own"
        )
    return height, width


def _all_equal(values: Int64) -> bool:
    # For few values this takes a fifth of the time of numpy's comparison.
    return values.tobytes() == values[:1].tobytes() * values.size


def explain(text: bytes, height: int, width: int) -> str:
    """Describe what is wrong with an RLE text, for an error message.

    Parameters
    ----------
    text : bytes
    height, width : int
        Of its frame.

    Returns
    -------
    str

    Examples
    --------
    >>> explain(b"13", 1, 6).partition(";")[0]
    'runs that end before the frame does'
    """
    from mtfast.kernels.rle import coco_string

    n_pixels = height * width
    places = np.empty(len(text), np.int64)
    data = np.frombuffer(text, np.uint8)
    status = coco_string.decode_places(data, 0, data.size, n_pixels, places)
    expected = f"expected runs that add up to {height} x {width} = {n_pixels} pixels"
    found = {
        coco_string.BAD_CHARACTER: "an RLE text with a character outside '0'..'o'",
        coco_string.TRUNCATED: "an RLE text that ends inside a number",
        coco_string.OVERLONG: "an RLE text with a number of more than 60 bits",
        coco_string.NEGATIVE_RUN: "an RLE text with a run of negative length",
        coco_string.TOO_LONG: "runs that go beyond the end of the frame",
        coco_string.TOO_SHORT: "runs that end before the frame does",
    }.get(status, "a sound RLE text")
    if not text:
        found = "an empty RLE text"
    return f"{found}; {expected}; correct or remove the annotation"


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _bad_frame(heights: Int64, widths: Int64) -> NDArray[np.bool_]:
    bad: NDArray[np.bool_] = (heights < 0) | (widths < 0)
    return bad | (heights.astype(float) * widths > MAX_PIXELS)


def _expect_shape(name: str, column: NDArray[Any], shape: Sequence[int], length: str) -> None:
    if column.shape != tuple(shape):
        wanted = f"({length}{', 4' if len(shape) == 2 else ''},)".replace("4,)", "4)")
        raise MtfastError(
            f"{name} has shape {column.shape}; expected {wanted} = {tuple(shape)}; "
            f"give every column one entry for each"
        )


def _expect_offsets(name: str, offsets: Int64, n: int, total: int) -> None:
    if offsets.shape != (n + 1,):
        raise MtfastError(
            f"{name} has shape {offsets.shape}; expected (n + 1,) = {(n + 1,)}; "
            f"give one more offset than pieces"
        )
    if offsets[0] != 0 or offsets[-1] != total or np.any(offsets[1:] < offsets[:-1]):
        raise MtfastError(
            f"{name} runs from {offsets[0]} to {offsets[-1]}; expected ascending offsets from 0 "
            f"to {total}; recompute them from the lengths"
        )
