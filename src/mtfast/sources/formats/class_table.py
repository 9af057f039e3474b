"""The table that says which number or colour in a label PNG is which class.

=====================================  ============================================================
``classes.txt``, a name a line         numbers count from 0 if the first is the background, else
                                       from 1; ``__ignore__`` before it is -1, as in labelme
``classes.txt``, ``3 mono`` a line     the number is stated; also ``3: mono`` and ``3,mono``
``labelmap.txt``, ``mono:128,0,0::``   a name and a colour a line, as CVAT and datumaro write it
``classes.csv`` with a header          ``id``, ``name``, ``r,g,b`` or ``color``, ``isthing``
``classes.json``                       names, ``{"3": "mono"}``, ``{"mono": 3}``, or objects with
                                       the keys of the CSV file
=====================================  ============================================================

Classes called background, void, unlabeled or ignore are none. Those with ``isthing`` 0 have one
instance in an image, however many parts it has.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mtfast.errors import SourceError
from mtfast.sources.files import FileTree
from mtfast.table import Category

__all__ = ["ClassTable", "find_table", "has_table", "packed"]

_STEMS = (
    "labelmap",
    "label_map",
    "label_colors",
    "classes",
    "_classes",
    "class_dict",
    "class_names",
    "class_table",
    "labels",
    "categories",
)
_ENDINGS = (".txt", ".csv", ".json")
_MOST_BYTES = 1 << 20
_NONE = re.compile(r"_*(background|bg|void|unlabell?ed|ignore)_*", re.IGNORECASE)
_IGNORED = "__ignore__"
_NUMBERED = re.compile(r"(-?\d{1,9})\s*[:;,\s]\s*(\S.*)")
# A name may begin with a digit, as 1L does, and is no list of numbers.
_OF_NAMES = re.compile(r"[^\d\s,;:]")
_COLOUR_FIRST = re.compile(r"(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*)")
_OF_CVAT = re.compile(r"([^:]*):(\d{1,3}),(\d{1,3}),(\d{1,3}):[^:]*:[^:]*")
_HEX = re.compile(r"#([0-9a-fA-F]{6})")
_IDS = ("id", "index", "value", "pixel value", "pixel_value", "class_id", "category_id", "number")
_NAMES = ("name", "class", "label", "class_name", "category")
_COLOURS = ("color", "colour", "rgb", "color_rgb")


class _Entry(NamedTuple):
    """A class as it is listed; None for what is not stated."""

    name: str
    id: int | None = None
    colour: int | None = None
    is_thing: bool = True


class ClassTable(NamedTuple):
    """Classes by number and by colour.

    Attributes
    ----------
    names : dict
        Names by numbers, those of the background among them.
    colours : dict
        Numbers by colours, see :func:`packed`; empty if the table has no colours.
    stuff : frozenset of int
        Classes with one instance in an image.
    """

    names: dict[int, str]
    colours: Mapping[int, int]
    stuff: frozenset[int] = frozenset()

    @property
    def categories(self) -> list[Category]:
        """The classes that are one."""
        return [Category(id_, name) for id_, name in sorted(self.names.items()) if self.has(id_)]

    def has(self, id_: int) -> bool:
        """Whether a number is that of a class.

        Parameters
        ----------
        id_ : int

        Returns
        -------
        bool
            False for the background, and for what is not listed.
        """
        return id_ >= 0 and id_ in self.names and not _NONE.fullmatch(self.names[id_])


def packed(red: int, green: int, blue: int) -> int:
    """Return a colour as one number, as :func:`~mtfast.sources.formats.panoptic.decode_ids` does.

    Parameters
    ----------
    red, green, blue : int
        0 to 255.

    Returns
    -------
    int

    Examples
    --------
    >>> hex(packed(1, 2, 3))
    '0x30201'
    """
    return red | green << 8 | blue << 16


def find_table(files: FileTree, folders: Sequence[str] = ("",)) -> ClassTable | None:
    """Read the class table of some folders, which is the same in all that have one.

    Parameters
    ----------
    files : FileTree
    folders : sequence of str

    Returns
    -------
    ClassTable or None
        None if there is none.

    Raises
    ------
    SourceError
        If it is no such table, or folders have different ones.
    """
    tables = {path: _read(files, path) for folder in folders if (path := _path(files, folder))}
    if not tables:
        return None
    (first, table), *others = tables.items()
    for path, other in others:
        if other != table:
            raise SourceError(
                f"{first} and {path} are different tables of classes; expected one, as a number is "
                f"the same class in all splits; correct one, or give the path of one split"
            )
    return table


def has_table(files: FileTree) -> bool:
    """Whether a folder has a file that is called as a class table.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    bool
    """
    return _path(files, "") is not None


def _path(files: FileTree, folder: str) -> str | None:
    names = {name.lower(): name for name in files.names(folder) or ()}
    called = (names.get(f"{stem}{ending}") for stem in _STEMS for ending in _ENDINGS)
    name = next(filter(None, called), None)
    return f"{folder}/{name}" if folder and name else name


def _read(files: FileTree, path: str) -> ClassTable:
    try:
        text = files.read(path, _MOST_BYTES).decode("utf-8-sig")
        entries = list(_entries(text, path))
    except (ValueError, RecursionError, csv.Error) as error:
        if isinstance(error, SourceError):
            raise
        raise _unclear(path, str(error)) from error
    if not entries:
        raise _unclear(path, "it lists no class")
    return _table(entries, path)


def _entries(text: str, path: str) -> Iterable[_Entry]:
    ending = path.lower().rpartition(".")[2]
    if ending == "csv":
        return _of_csv(text, path)
    if ending == "json":
        return _of_json(json.loads(text), path)
    lines = (line.strip() for line in text.splitlines())
    return _of_lines([line for line in lines if line and not line.startswith("#")])


def _of_lines(lines: list[str]) -> list[_Entry]:
    """Read the names of a text, with numbers or colours if every line has them."""
    if cvat := _every(_OF_CVAT, lines):
        return [_Entry(m[1].strip(), colour=_colour(m.groups()[1:])) for m in cvat]
    if coloured := _every(_COLOUR_FIRST, lines):
        return [_Entry(m[4].strip(), colour=_colour(m.groups()[:3])) for m in coloured]
    numbered = _every(_NUMBERED, lines)
    if numbered and all(_OF_NAMES.search(m[2]) for m in numbered):
        return [_Entry(m[2].strip(), int(m[1])) for m in numbered]
    return list(map(_Entry, lines))


def _every(pattern: re.Pattern[str], lines: list[str]) -> list[re.Match[str]]:
    """Match all lines; an empty list means that one is different."""
    found = list(map(pattern.fullmatch, lines))
    return [match for match in found if match] if all(found) else []


def _of_csv(text: str, path: str) -> Iterator[_Entry]:
    rows = list(csv.reader(text.splitlines(), skipinitialspace=True))
    header = [title.strip().lower() for title in rows[0]] if rows else []
    if not {*header} & {*_NAMES}:
        raise _unclear(path, f"its header is {', '.join(header)[:80]!r}")
    for row in rows[1:]:
        if any(row):
            yield _of_fields(dict(zip(header, map(str.strip, row), strict=False)), path)


def _of_json(content: Any, path: str) -> Iterator[_Entry]:
    if isinstance(content, dict):
        for key in ("classes", "categories", "labels"):
            if isinstance(content.get(key), list | dict):
                content = content[key]
                break
    if isinstance(content, list):
        for item in content:
            fields = item if isinstance(item, dict) else {"name": item}
            yield _of_fields({str(key).lower(): value for key, value in fields.items()}, path)
        return
    for key, value in content.items() if isinstance(content, dict) else ():
        number, name = (value, key) if isinstance(value, int) else (key, value)
        yield _of_fields({"id": number, "name": name}, path)


def _of_fields(fields: Mapping[str, Any], path: str) -> _Entry:
    name = next((fields[key] for key in _NAMES if key in fields), None)
    if not isinstance(name, str) or not name:
        raise _unclear(path, "a class has no name")
    number = next((fields[key] for key in _IDS if key in fields), None)
    colour = next((fields[key] for key in _COLOURS if key in fields), None)
    channels = [fields[key] for key in ("r", "g", "b") if key in fields]
    is_thing = str(fields.get("isthing", 1)).lower() not in ("0", "false")
    found = _colour(channels or colour) if channels or colour else None
    return _Entry(name, None if number is None else int(str(number)), found, is_thing)


def _colour(value: Any) -> int:
    """Read a colour: three numbers, or a text of them."""
    if isinstance(value, str) and (found := _HEX.fullmatch(value.strip())):
        return packed(*bytes.fromhex(found[1]))
    if isinstance(value, str):
        value = re.split(r"[\s,]+", value.strip("()[] "))
    channels = [int(str(channel)) for channel in value]
    if len(channels) != 3 or not all(0 <= channel <= 255 for channel in channels):
        raise ValueError(f"{channels[:4]} is no colour")
    return packed(*channels)


def _table(entries: Iterable[_Entry], path: str) -> ClassTable:
    entries = list(entries)
    first = -1 if entries[0].name == _IGNORED else 1 - bool(_NONE.fullmatch(entries[0].name))
    names: dict[int, str] = {}
    colours: dict[int, int] = {}
    stuff = set()
    for place, entry in enumerate(entries):
        id_ = first + place if entry.id is None else entry.id
        if id_ in names or entry.colour in colours:
            raise _unclear(path, f"class {entry.name!r} has the number or colour of another")
        names[id_] = entry.name
        if entry.colour is not None:
            colours[entry.colour] = id_
        if not entry.is_thing:
            stuff.add(id_)
    return ClassTable(names, colours, frozenset(stuff))


def _unclear(path: str, found: str) -> SourceError:
    return SourceError(
        f"{path} is no table of classes ({found}); expected a name a line, or numbers, names and "
        f"colours (docs/how-to/formats.md); correct it"
    )
