"""What arguments and options take: paths, words, sizes, pairs of classes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mtfast.cli.usage import BadUsageError

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from mtfast.addresses import Address

__all__ = [
    "AnyPath",
    "Choice",
    "ClassPair",
    "Images",
    "LocalPath",
    "NewFolder",
    "NewStore",
    "PixelSize",
    "Pixels",
    "Size",
    "SourceLocation",
]

_FILE = re.compile(
    r"\.(json|geojson|csv|tsv|txt|xml|ya?ml|html?|png|jpe?g|tiff?|zip|tar|t?gz|h5|hdf5|np[yz]|parquet)",
    re.IGNORECASE,
)

T = TypeVar("T")


class Choice(click.Choice[str]):
    """One of several words; of another one, what was meant."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the word; arguments are those of :meth:`click.ParamType.convert`."""
        from mtfast.errors import nearest

        if value in self.choices:
            return str(value)
        near = nearest(str(value), self.choices)
        advice = f"did you mean {near!r}?" if near else "pick one of them"
        found = f"{param.opts[-1]} is {value!r}" if param else repr(value)
        raise BadUsageError(f"{found}; expected one of: {', '.join(self.choices)}; {advice}", ctx)


class Images(Choice):
    """Whether image files are kept; ``jpeg`` is an older name of ``keep``."""

    def __init__(self) -> None:
        super().__init__(["keep", "none"])

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return "keep" or "none"; arguments are those of :meth:`click.ParamType.convert`."""
        return super().convert("keep" if value == "jpeg" else value, param, ctx)


class Pixels(click.FloatRange):
    """A number of pixels, 0 or more; whole numbers stay so in reports."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return an int where nothing is lost by it; see :meth:`click.ParamType.convert`."""
        number: float = super().convert(value, param, ctx)
        return int(number) if number.is_integer() else number


class AnyPath(click.ParamType[str]):
    """A path, or SPLIT=PATH, as it was typed; shells complete it as a path."""

    name = "path"

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete a path; see :meth:`click.ParamType.shell_complete`."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class Location(click.ParamType[T]):
    """A path or an address; what it has to be is said by the classes of it.

    Modules are imported where they are needed, as pathlib alone takes longer to import than --help
    to print.
    """

    name = "path"
    shell_complete = AnyPath.shell_complete

    def convert(self, value: Any, param: Any, ctx: Any) -> T:
        """Return it as commands take it; arguments are those of :meth:`click.ParamType.convert`."""
        return self._located(value, ctx)

    def _located(self, value: Any, ctx: Any) -> T:
        raise NotImplementedError


class LocalPath(Location["Path"]):
    """A path on this machine, as given; addresses such as s3://bucket/set are refused."""

    def _located(self, value: Any, ctx: Any) -> Path:
        from mtfast.paths import local_path

        return local_path(value)


class SourceLocation(Location["Path | str"]):
    """A path on this machine, as given, or the text of an address that datasets are read from."""

    def _located(self, value: Any, ctx: Any) -> Path | str:
        from mtfast.addresses import Address, locate

        at = locate(value)
        return str(value) if isinstance(at, Address) else at


class NewFolder(LocalPath):
    """A folder to be made; the name of a file is a mistake."""

    def _located(self, value: Any, ctx: Any) -> Path:
        path = super()._located(value, ctx)
        if not path.is_dir():
            _refuse_file_name(str(path), path.name, ctx)
        return path


class NewStore(Location["Path | Address"]):
    """A store to be made: a folder, or an address in object storage."""

    def _located(self, value: Any, ctx: Any) -> Path | Address:
        from mtfast.addresses import Address, locate

        found = locate(value)
        if isinstance(found, Address):
            _refuse_file_name(str(found), found.name, ctx)
            return found
        return NewFolder()._located(found, ctx)


def _refuse_file_name(shown: str, name: str, ctx: Any) -> None:
    stem, dot, ending = name.rpartition(".")
    if stem and _FILE.fullmatch(f"{dot}{ending}"):
        raise BadUsageError(
            f"{shown} for a folder; expected a name without .{ending}, the ending of a file; "
            f"choose another, such as {stem}",
            ctx,
        )


class Written(click.ParamType[T]):
    """What is written in one form; a value that is no text is the default.

    Attributes
    ----------
    name : str
        The form, as help shows it.
    form : pattern
    what, expected : str
        For the error.
    """

    form: re.Pattern[str]
    what: str
    expected: str

    def convert(self, value: Any, param: Any, ctx: Any) -> T:
        """Return what it says; arguments are those of :meth:`click.ParamType.convert`."""
        if not isinstance(value, str):
            default: T = value
            return default
        match = self.form.fullmatch(value)
        if match is None:
            self.fail(f"{value!r} is no {self.what}; expected {self.expected}", param, ctx)
        return self._read(match)

    def _read(self, match: re.Match[str]) -> T:
        raise NotImplementedError


class Size(Written[tuple[int, int]]):
    """HEIGHTxWIDTH, a pair of numbers."""

    name = "HxW"
    form = re.compile(r"(\d+)x(\d+)")
    what, expected = "size", "HEIGHTxWIDTH such as 1200x1920"

    def _read(self, match: re.Match[str]) -> tuple[int, int]:
        return int(match[1]), int(match[2])


class ClassPair(Written[tuple[int, int]]):
    """FROM=TO, a pair of class numbers."""

    name = "FROM=TO"
    form = re.compile(r"(-?\d+)=(-?\d+)")
    what, expected = "pair of classes", "FROM=TO such as 5=4"

    def _read(self, match: re.Match[str]) -> tuple[int, int]:
        return int(match[1]), int(match[2])


class PixelSize(Written[float]):
    """A length such as 0.1um, in micrometres."""

    name = "LENGTH"
    form = re.compile(r"((?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(nm|um|µm|μm|mm)")
    what, expected = "length", "one such as 0.1um or 65nm"

    def _read(self, match: re.Match[str]) -> float:
        return float(match[1]) * {"nm": 1e-3, "mm": 1e3}.get(match[2], 1)
