"""RunTable -> pandas and Arrow, and back; they are imported here alone, when they are asked for."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.ragged import Strings, as_strings
from mtfast.table import Category, RunTable

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["arrow_table", "data_frame", "table_of_arrow"]

Int64 = NDArray[np.int64]


class _Labels(NamedTuple):
    """Strings that repeat: row k has ``labels[codes[k]]``, and none where the code is -1."""

    labels: list[str]
    codes: Int64

    def strings(self) -> NDArray[Any]:
        return np.array([*self.labels, None], object)[self.codes]


def data_frame(table: RunTable) -> pandas.DataFrame:
    """Return a data frame with a row for each instance; see :meth:`mtfast.RunTable.to_pandas`.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    pandas.DataFrame

    Raises
    ------
    MtfastError
        If pandas is not installed.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> data_frame(RunTable.of_texts((1, 6), [[b"132"]])).loc[0, "rle"]
    '132'
    """
    pandas = _imported("pandas", "a data frame")
    columns = _columns(table)
    text, ends = table.rle.tobytes().decode("ascii"), table.rle_offsets.tolist()
    columns["rle"] = [text[start:stop] for start, stop in pairwise(ends)]
    return pandas.DataFrame(
        {
            name: column.strings() if isinstance(column, _Labels) else column
            for name, column in columns.items()
        },
        index=range(table.n_instances),
    )


def arrow_table(table: RunTable) -> pyarrow.Table:
    """Return an Arrow table with a row for each instance; see :meth:`mtfast.RunTable.to_arrow`.

    Parameters
    ----------
    table : RunTable

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    MtfastError
        If pyarrow is not installed.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> arrow_table(RunTable.of_texts((1, 6), [[b"132"]]))["stated_area"].to_pylist()
    [None]
    """
    arrow = _imported("pyarrow", "an Arrow table")
    columns = {name: _arrow_array(arrow, column) for name, column in _columns(table).items()}
    # The texts are ASCII: they have been decoded, to measure them.
    offsets, text = arrow.py_buffer(table.rle_offsets), arrow.py_buffer(table.rle)
    columns["rle"] = arrow.LargeStringArray.from_buffers(table.n_instances, offsets, text)
    return arrow.table(columns)


def table_of_arrow(arrow: pyarrow.Table | pyarrow.RecordBatch) -> RunTable:
    """Return the RunTable of an Arrow table; see :meth:`mtfast.RunTable.from_arrow`.

    Parameters
    ----------
    arrow : pyarrow.Table or pyarrow.RecordBatch

    Returns
    -------
    RunTable

    Raises
    ------
    MtfastError
        If pyarrow is not installed, or columns are missing, have gaps or do not fit together.
    RLEError
        If a text does not tile its frame.

    Examples
    --------
    >>> table = RunTable.of_texts((1, 6), [[b"132"], [b"6"]])
    >>> table_of_arrow(arrow_table(table)).names.tolist()
    ['0.jpg', '1.jpg']
    """
    read = _ArrowColumns(_imported("pyarrow", "a table of Arrow's"), arrow)
    names, heights, widths = read.strings("name"), read.numbers("height"), read.numbers("width")
    image_ids = read.numbers("image_id")
    first = _first_rows(names, heights, widths, image_ids)
    category_ids = read.numbers("category_id")
    rle, rle_offsets = read.text("rle")
    table = RunTable(
        names=names[first],
        image_ids=image_ids[first],
        heights=heights[first],
        widths=widths[first],
        image_offsets=np.append(first, arrow.num_rows),
        instance_ids=read.numbers("instance_id"),
        category_ids=category_ids,
        iscrowd=read.numbers("iscrowd").astype(np.uint8),
        positions=np.arange(arrow.num_rows),
        stated_area=read.floats("stated_area"),
        stated_bbox=np.full((arrow.num_rows, 4), np.nan),
        rle=rle,
        rle_offsets=rle_offsets,
        categories=_categories(category_ids, read.strings("category")),
    )
    table.check()
    return table


def _first_rows(*columns: NDArray[Any]) -> Int64:
    """Return the first row of each image: where any of its columns changes."""
    names = columns[0]
    changes = np.ones(len(names), bool)
    changes[1:] = np.any([column[1:] != column[:-1] for column in columns], axis=0)
    first = np.flatnonzero(changes)
    found, counts = np.unique(names[first], return_counts=True)
    if np.any(counts > 1):
        twice = str(found[np.argmax(counts > 1)])
        raise MtfastError(
            f"rows of image {twice!r} in several places or of several sizes; expected those of an "
            f"image side by side; sort the table by image_id"
        )
    return first


def _categories(ids: Int64, words: NDArray[Any]) -> tuple[Category, ...]:
    """Return the classes that have names."""
    named = words != ""
    found, first, of_row = np.unique(ids[named], return_index=True, return_inverse=True)
    names = words[named][first]
    other = words[named] != names[of_row]
    if np.any(other):
        k = int(np.argmax(other))
        both = str(names[of_row[k]]), str(words[named][k])
        raise _unfit(f"class {found[of_row[k]]} called {both[0]!r} and {both[1]!r}")
    return tuple(map(Category, found.tolist(), names.tolist()))


class _ArrowColumns:
    """The columns of an Arrow table as arrays."""

    def __init__(self, pyarrow: Any, table: Any) -> None:
        self._pyarrow, self._table = pyarrow, table

    def numbers(self, name: str) -> Int64:
        """Return integers; MtfastError if one is missing."""
        column = self._whole(name, self._pyarrow.int64())
        return np.asarray(column.to_numpy(zero_copy_only=False), np.int64)

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return floats, NaN where there is none."""
        column = self._column(name, self._pyarrow.float64())
        return np.asarray(column.to_numpy(zero_copy_only=False), np.float64)

    def strings(self, name: str) -> Strings:
        """Return strings, "" where there is none."""
        column = self._column(name, self._pyarrow.large_string())
        return as_strings([text or "" for text in column.to_pylist()])

    def text(self, name: str) -> tuple[NDArray[np.uint8], Int64]:
        """Return strings one after another, and where each begins and ends."""
        column = self._whole(name, self._pyarrow.large_string())
        _, ends, data = column.buffers()
        if not len(column) or data is None:
            return np.zeros(0, np.uint8), np.zeros(len(column) + 1, np.int64)
        offsets = np.frombuffer(ends, np.int64)[column.offset :][: len(column) + 1]
        first, last = offsets[[0, -1]].tolist()
        return np.frombuffer(data, np.uint8)[first:last], offsets - first

    def _whole(self, name: str, kind: Any) -> Any:
        column = self._column(name, kind)
        if column.null_count:
            raise _unfit(f"{column.null_count:,} values missing in column {name!r}")
        return column

    def _column(self, name: str, kind: Any) -> Any:
        if name not in self._table.schema.names:
            raise _unfit(f"no column {name!r}")
        column = self._table[name]
        try:
            if isinstance(column, self._pyarrow.ChunkedArray):
                column = column.unify_dictionaries().combine_chunks()
            return column.cast(kind)
        except self._pyarrow.ArrowException as error:
            words = " ".join(str(error).split())
            raise _unfit(f"column {name!r} of {column.type} ({words})") from error


def _unfit(found: str) -> MtfastError:
    return MtfastError(
        f"an Arrow table with {found}; expected the columns that RunTable.to_arrow writes; "
        f"compare its schema with theirs"
    )


def _columns(table: RunTable) -> dict[str, NDArray[Any] | _Labels | list[str]]:
    """Return all columns but the text, measured first: that checks the texts."""
    areas, boxes = table.area(), table.bbox()
    image = table.image_of_instance
    columns: dict[str, NDArray[Any] | _Labels | list[str]] = {
        "image_id": table.image_ids[image],
        "name": _Labels(table.names.tolist(), image),
        "instance_id": table.instance_ids,
        "category_id": table.category_ids,
        "category": _category_names(table),
        "area": areas,
    }
    for k, side in enumerate(("x", "y", "width", "height")):
        columns[f"bbox_{side}"] = np.ascontiguousarray(boxes[:, k])
    return columns | {
        "stated_area": table.stated_area,
        "iscrowd": table.iscrowd,
        "height": table.heights[image],
        "width": table.widths[image],
    }


def _category_names(table: RunTable) -> _Labels:
    code_of_name: dict[str, int] = {}
    code_of = {c.id: code_of_name.setdefault(c.name, len(code_of_name)) for c in table.categories}
    ids, inverse = np.unique(table.category_ids, return_inverse=True)
    codes = np.array([code_of.get(id_, -1) for id_ in ids.tolist()], np.int64)
    return _Labels(list(code_of_name), codes[inverse])


def _arrow_array(arrow: Any, column: NDArray[Any] | _Labels | list[str]) -> Any:
    if isinstance(column, _Labels):
        codes = arrow.array(column.codes.astype(np.int32), mask=column.codes < 0)
        return arrow.DictionaryArray.from_arrays(codes, arrow.array(column.labels, arrow.string()))
    # NaN is what is not stated.
    return arrow.array(column, from_pandas=True)


def _imported(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise MtfastError(
            f"{what} needs {name}; expected it to be installed; run: pip install {name}"
        ) from error
