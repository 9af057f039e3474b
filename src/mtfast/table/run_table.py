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
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.caching import cached_property
from mtfast.errors import RLEError, counted, printable
from mtfast.indexing import Selector
from mtfast.ragged import Strings, as_strings, offsets_of
from mtfast.table.columns import (
    DTYPES,
    Category,
    all_equal,
    as_column,
    check_columns,
    one_size,
)
from mtfast.table.malformed import explain
from mtfast.table.selection import of_image, of_images, of_instances

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from mtfast.sources.bad_records import Policy
    from mtfast.tabular.coco import CocoDict

__all__ = ["RunTable"]

Int64 = NDArray[np.int64]
Float64 = NDArray[np.float64]

_BLOCK = 1 << 16
# Classes that a repr lists, and characters of their names.
_LISTED = 4
_NAME_LENGTH = 24


@dataclass(frozen=True, eq=False, repr=False)
class RunTable:
    """Instance masks of a set of images, as columns.

    ``table[mask]``, ``table[indices]`` and ``table[start:stop]`` select instances, as rows of a
    data frame; :meth:`image` and :meth:`images` select images. A table has two numbers of things,
    ``n_images`` and ``n_instances``, and so no length.

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
    <RunTable of 2 images, 2 instances, 1 class: class 1 (2)>
    >>> table.image(0).area(), table.image_offsets
    (array([3, 3]), array([0, 2, 2]))

    Notes
    -----
    Source: the COCO data format, https://cocodataset.org/#format-data.
    """

    names: Strings
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
        for name, dtype in DTYPES.items():
            object.__setattr__(self, name, as_column(getattr(self, name), dtype))
        object.__setattr__(self, "categories", tuple(Category(*c) for c in self.categories))
        check_columns(self)

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
    def unchecked(cls, **columns: object) -> RunTable:
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
        counts = self.category_counts()
        names = {c.id: c.name for c in self.categories}
        used = sorted((-n, id_) for id_, n in counts.items() if n)
        listed = [f"{_shortened(names.get(id_) or str(id_))} ({-n:,})" for n, id_ in used[:_LISTED]]
        listed += ["..."] if len(used) > _LISTED else []
        return (
            f"<RunTable of {counted(self.n_images, 'image')}, "
            f"{counted(self.n_instances, 'instance')}, "
            f"{counted(len(counts), 'class', 'classes')}{': ' if listed else ''}"
            f"{', '.join(listed)}>"
        )

    def _repr_html_(self) -> str:
        """Show the first rows and small pictures of the first images, in a notebook."""
        from mtfast.tabular.html import html_of

        return html_of(self)

    @property
    def n_images(self) -> int:
        """Number of images."""
        return len(self.image_ids)

    @property
    def n_instances(self) -> int:
        """Number of instances."""
        return len(self.instance_ids)

    def __len__(self) -> NoReturn:
        raise TypeError(
            "a RunTable has no length; expected n_images or n_instances; write table.n_images or "
            "table.n_instances"
        )

    def __iter__(self) -> NoReturn:
        raise TypeError(
            "a RunTable is not iterated; expected a loop over n_images or n_instances; write "
            "for i in range(table.n_images): table.image(i), or "
            "for k in range(table.n_instances): table.text(k)"
        )

    def __contains__(self, item: object) -> NoReturn:
        raise TypeError(
            "a RunTable contains images and instances; expected a look into one column; write "
            "name in table.names, or id in table.instance_ids"
        )

    def __bool__(self) -> NoReturn:
        raise TypeError(
            "a RunTable is neither true nor false; expected a comparison; write "
            "table.n_images > 0 or table.n_instances > 0"
        )

    def __getitem__(self, instances: Selector) -> RunTable:
        """Return a table of some instances; all images stay, those that lose theirs as empty ones.

        Parameters
        ----------
        instances : (n_instances,) bool, (n,) int, or slice
            A mask, indices, or a slice, as for an array with an entry for each instance. Negative
            indices count from the end. The images keep their order, so that instances of one image
            must be next to each other; within an image any order will do.

        Returns
        -------
        RunTable
            In the given order. Columns are shared where a slice has no step, and copied otherwise.

        Raises
        ------
        IndexError
            If a mask has another length, or there is no such instance.
        TypeError
            If it is one integer or a name, which could mean an image, or no selection at all.
        MtfastError
            If the instances go back to an earlier image, or one comes twice.

        See Also
        --------
        image, images : the tables of one image and of several.
        without_empty_images : leaves out the images that have no instance left.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"], [b"6"]], [1, 2, 1])
        >>> table[table.area() > 2]
        <RunTable of 2 images, 1 instance, 2 classes: class 1 (1)>
        >>> table[table.category_ids == 2].instance_ids, table[1:].instance_ids
        (array([2]), array([2, 3]))
        >>> table[[1, 0]].instance_ids
        array([2, 1])
        """
        return of_instances(self, instances)

    def image(self, image: int | str) -> RunTable:
        """Return the table of one image; nothing is copied.

        Parameters
        ----------
        image : int or str
            Its index, where negative ones count from the end, or its name.

        Returns
        -------
        RunTable

        Raises
        ------
        IndexError
            If there is no image of that index.
        MtfastError
            If there is none of that name.
        TypeError
            If it is neither an integer nor a name.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"], [b"6"]])
        >>> table.image(0).n_instances, table.image("1.jpg").instance_ids
        (2, array([3]))
        >>> for i in range(table.n_images):
        ...     print(table.names[i], table.image(i).area())
        0.jpg [3 3]
        1.jpg [0]
        """
        return of_image(self, image)

    def images(self, images: Selector | Sequence[str]) -> RunTable:
        """Return a table of some images and of all their instances.

        Parameters
        ----------
        images : (n_images,) bool, (n,) int, slice, or sequence of n str
            A mask, indices, a slice, or names. Each image at most once, in any order.

        Returns
        -------
        RunTable
            The images in the given order. Columns are shared where a slice has no step, and copied
            otherwise.

        Raises
        ------
        IndexError
            If a mask has another length, or there is no image of that index.
        MtfastError
            If there is none of that name, or one is selected twice.
        TypeError
            If it is one integer or name, or no selection at all.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"], [], [b"6"]])
        >>> table.images([2, 0]).instance_ids, table.images(["1.jpg"]).n_instances
        (array([3, 1, 2]), 0)
        >>> table.images(table.names != "0.jpg").names.tolist()
        ['1.jpg', '2.jpg']
        >>> table.images(slice(2)).n_images
        2
        """
        return of_images(self, images)

    def without_empty_images(self) -> RunTable:
        """Return a table of the images that have instances.

        Returns
        -------
        RunTable

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"231"], [b"6"]])
        >>> large = table[table.area() > 0]
        >>> large.n_images, large.without_empty_images().n_images
        (2, 1)
        """
        return self.images(np.diff(self.image_offsets) > 0)

    @cached_property
    def _place_of_name(self) -> dict[str, int]:
        places: dict[str, int] = {}
        for place, name in enumerate(self.names.tolist()):
            places.setdefault(name, place)
        return places

    def __add__(self, other: RunTable) -> RunTable:
        """Join two tables: all images of both, and all instances of both.

        Images are the same if they have the same name, as those of two variants of one split have:
        their instances are joined, and those of the second table are painted over those of the
        first. No instance is left out, not even one that both tables have.

        Parameters
        ----------
        other : RunTable
            ``sum([a, b, c])`` works too.

        Returns
        -------
        RunTable
            The images of the first table, then the others of the second. Image ids and instance
            ids of the second that the first uses become the lowest free ones, and its positions
            count on from those of the first, as if the second file continued the first. Categories
            are those of both; crowds stay crowds.

        Raises
        ------
        MtfastError
            If an image has two sizes, or a category two names; or a table has a name twice.

        Examples
        --------
        >>> monday = RunTable.of_texts((1, 6), [[b"132"], []])
        >>> tuesday = RunTable.of_texts((1, 6), [[b"222", b"6"]])
        >>> both = monday + tuesday
        >>> both.names.tolist(), both.image_offsets, both.instance_ids
        (['0.jpg', '1.jpg'], array([0, 3, 3]), array([1, 3, 2]))
        """
        if not isinstance(other, RunTable):
            return NotImplemented
        from mtfast.tabular.joining import join

        return join(self, other)

    def __radd__(self, other: int) -> RunTable:
        # The start of sum().
        return self if isinstance(other, int) and other == 0 else NotImplemented

    def equals(self, other: RunTable) -> bool:
        """Return whether two tables have the same columns and categories; NaN equals NaN.

        ``==`` says whether they are one object.

        Parameters
        ----------
        other : RunTable

        Returns
        -------
        bool

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132"], [b"6"]])
        >>> table.equals(table[:]), table.equals(table[:1])
        (True, False)
        """
        return (
            isinstance(other, RunTable)
            and self.categories == other.categories
            and all(
                np.array_equal(
                    getattr(self, name), getattr(other, name), equal_nan=name.startswith("stated")
                )
                for name in DTYPES
            )
        )

    def __getstate__(self) -> dict[str, object]:
        return {name: self.__dict__[name] for name in self.__dataclass_fields__}

    def __setstate__(self, state: dict[str, Any]) -> None:
        # numpy makes arrays that are unpickled writable.
        for name in DTYPES:
            state[name].flags.writeable = False
        self.__dict__.update(state)

    def category_counts(self) -> dict[int, int]:
        """Count the instances of every category that is listed or used.

        Returns
        -------
        dict
            Number of instances of each id, ids ascending.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"], [b"6"]], [1, 2, 1])
        >>> table.category_counts(), table[:1].category_counts()
        ({1: 2, 2: 1}, {1: 1, 2: 0})
        """
        ids, counts = np.unique(self.category_ids, return_counts=True)
        found = dict(zip(ids.tolist(), counts.tolist(), strict=True))
        return {
            id_: found.get(id_, 0) for id_ in sorted({*found, *(c.id for c in self.categories)})
        }

    def to_pandas(self) -> pandas.DataFrame:
        """Return a data frame with a row for each instance.

        Row k is instance k, so that the index of chosen rows selects them here:
        ``table[frame.query("area > 300").index]``.

        Returns
        -------
        pandas.DataFrame
            Columns image_id, name, instance_id, category_id, category, area, bbox_x, bbox_y,
            bbox_width, bbox_height, stated_area, iscrowd, height, width, rle. Area and bbox are
            measured; stated_area is NaN where nothing is stated; category is missing where the id
            is not listed; rle is COCO's text.

        Raises
        ------
        MtfastError
            If pandas is not installed.
        RLEError
            If a text does not tile its frame.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 2])
        >>> frame = table.to_pandas()
        >>> frame[["name", "category", "area", "bbox_x"]]
            name category  area  bbox_x
        0  0.jpg  class 1     3     1.0
        1  0.jpg  class 2     2     2.0
        >>> table[frame.query("area > 2").index].instance_ids
        array([1])
        """
        from mtfast.tabular.data_frames import data_frame

        return data_frame(self)

    def to_arrow(self) -> pyarrow.Table:
        """Return an Arrow table with a row for each instance, for Parquet, DuckDB or Polars.

        Returns
        -------
        pyarrow.Table
            The columns of :meth:`to_pandas`. The text, ids, stated areas and crowd flags are the
            memory of this table, not copied; stated_area and category are null where there is
            none; name and category are dictionaries.

        Raises
        ------
        MtfastError
            If pyarrow is not installed.
        RLEError
            If a text does not tile its frame.

        Examples
        --------
        >>> arrow = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 2]).to_arrow()
        >>> arrow.num_rows, arrow["area"].to_pylist(), arrow["rle"].to_pylist()
        (2, [3, 2], ['132', '222'])
        """
        from mtfast.tabular.data_frames import arrow_table

        return arrow_table(self)

    @classmethod
    def from_arrow(cls, arrow: pyarrow.Table | pyarrow.RecordBatch) -> RunTable:
        """Return the table that :meth:`to_arrow` was called on.

        Parquet files of many row groups are read in parts so, and written with :meth:`to_arrow`.

        Parameters
        ----------
        arrow : pyarrow.Table or pyarrow.RecordBatch
            The columns of :meth:`to_arrow`, with the rows of an image side by side. Areas and boxes
            that are measured are not read.

        Returns
        -------
        RunTable
            All but what Arrow's rows do not have: images without instances, stated boxes, and
            classes without instances. Positions count the rows.

        Raises
        ------
        MtfastError
            If pyarrow is not installed, or columns are missing, have gaps or do not fit together.
        RLEError
            If a text does not tile its frame.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132", b"222"]], [1, 2])
        >>> RunTable.from_arrow(table.to_arrow()).equals(table)
        True
        """
        from mtfast.tabular.data_frames import table_of_arrow

        return table_of_arrow(arrow)

    def to_coco(self, *, stated: bool = False) -> CocoDict:
        """Return the table as the content of a COCO JSON file.

        Parameters
        ----------
        stated : bool
            Write the area and bbox that the table states, and none where it states none, instead of
            those measured from the masks.

        Returns
        -------
        dict
            With images, annotations and categories, of Python's own types: what ``json.dump`` takes
            and ``pycocotools.coco.COCO`` reads. Annotations are in the order of the table.

        Raises
        ------
        RLEError
            If a text does not tile its frame.

        Examples
        --------
        >>> coco = RunTable.of_texts((1, 6), [[b"132"]]).to_coco()
        >>> coco["annotations"][0]["segmentation"], coco["annotations"][0]["bbox"]
        ({'size': [1, 6], 'counts': '132'}, [1.0, 0.0, 3.0, 1.0])
        >>> RunTable.from_coco(coco).names.tolist()
        ['0.jpg']

        Notes
        -----
        Source: https://cocodataset.org/#format-data.
        """
        from mtfast.tabular.coco import coco_of

        return coco_of(self, stated=stated)

    @classmethod
    def from_coco(
        cls,
        coco: CocoDict | Mapping[str, object] | str | os.PathLike[str],
        *,
        bad: Policy = "refuse",
        mapping: Mapping[int, int] | None = None,
    ) -> RunTable:
        """Read COCO annotations: a dict as ``json.load`` gives it, or a file.

        The reader and its checks are those of :func:`mtfast.open_source`: masks may be polygons,
        uncompressed or compressed RLE, as str or bytes.

        Parameters
        ----------
        coco : dict, or path of a ``.json`` or ``.json.gz`` file
            With images, annotations and categories.
        bad : {"refuse", "skip", "repair"}
            What becomes of bad records.
        mapping : mapping of int to int, optional
            New numbers of classes by old ones. Class 0 has to get one.

        Returns
        -------
        RunTable
            What :meth:`to_coco` with ``stated=True`` was called on, column by column; positions
            count the annotations.

        Raises
        ------
        SourceError
            If it is something else, a list of results for instance, or contradicts itself.
        RLEError
            If a mask is malformed.

        Examples
        --------
        >>> table = RunTable.of_texts((1, 6), [[b"132"], [b"6"]])
        >>> RunTable.from_coco(table.to_coco(stated=True)).equals(table)
        True
        """
        from mtfast.tabular.coco import table_of

        return table_of(coco, bad=bad, mapping=mapping)

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

    def digest(self, columns: Sequence[str] = tuple(DTYPES)) -> str:
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
        >>> table.digest() == table.digest(), table.digest() == table[:1].digest()
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
        return all_equal(self.heights) and all_equal(self.widths)

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


def _shortened(name: str) -> str:
    text = printable(name)
    return text if len(text) <= _NAME_LENGTH else f"{text[: _NAME_LENGTH - 3]}..."
