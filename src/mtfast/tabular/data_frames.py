"""RunTable -> pandas and Arrow, which are imported here alone, and only when they are asked for."""

from __future__ import annotations

from importlib import import_module
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mtfast.errors import MtfastError
from mtfast.table import RunTable

if TYPE_CHECKING:
    import pandas
    import pyarrow

__all__ = ["arrow_table", "data_frame"]

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
