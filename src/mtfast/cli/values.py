"""What arguments and options take: paths, words, sizes, pairs of classes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

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


class Choice(click.Choice[str]):
    """One of several words; of another one, what was meant."""

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return the word.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        str
        """
        from mtfast.errors import nearest

        if value in self.choices:
            return str(value)
        near = nearest(str(value), self.choices)
        advice = f"did you mean {near!r}?" if near else "pick one of them"
        found = f"{param.opts[-1]} is {value!r}" if param else repr(value)
        raise BadUsageError(f"{found}; expected one of: {', '.join(self.choices)}; {advice}", ctx)


class AnyPath(click.ParamType[str]):
    """A path, or SPLIT=PATH, as it was typed; shells complete it as a path."""

    name = "path"

    def shell_complete(self, ctx: Any, param: Any, incomplete: str) -> list[CompletionItem]:
        """Let the shell complete a path.

        Parameters
        ----------
        ctx, param, incomplete
            As click passes them.

        Returns
        -------
        list of CompletionItem
        """
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


class LocalPath(click.ParamType["Path"]):
    """A path on this machine; addresses such as s3://bucket/set are refused."""

    name = "path"
    shell_complete = AnyPath.shell_complete

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path, as given.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        Path
        """
        # Here, as pathlib takes longer to import than --help to print.
        from mtfast.paths import local_path

        return local_path(value)


class SourceLocation(click.ParamType["Path | str"]):
    """A path on this machine, or an address that datasets are read from."""

    name = "path"
    shell_complete = AnyPath.shell_complete

    def convert(self, value: Any, param: Any, ctx: Any) -> Path | str:
        """Return a path, as given, or the text of an address.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        Path or str
        """
        from mtfast.addresses import Address, locate

        at = locate(value)
        return str(value) if isinstance(at, Address) else at


class NewFolder(LocalPath):
    """A folder to be made; the name of a file is a mistake."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        """Return the path, as given.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        Path
        """
        path = super().convert(value, param, ctx)
        if not path.is_dir():
            _refuse_file_name(str(path), path.name, ctx)
        return path


class NewStore(click.ParamType["Path | Address"]):
    """A store to be made: a folder, or an address in object storage."""

    name = "path"
    shell_complete = AnyPath.shell_complete

    def convert(self, value: Any, param: Any, ctx: Any) -> Path | Address:
        """Return the path, as given, or the address.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        Path or Address
        """
        from mtfast.addresses import Address, locate

        found = locate(value)
        if isinstance(found, Address):
            _refuse_file_name(str(found), found.name, ctx)
            return found
        return NewFolder().convert(found, param, ctx)


def _refuse_file_name(shown: str, name: str, ctx: Any) -> None:
    stem, dot, ending = name.rpartition(".")
    if stem and _FILE.fullmatch(f"{dot}{ending}"):
        raise BadUsageError(
            f"{shown} for a folder; expected a name without .{ending}, the ending of a file; "
            f"choose another, such as {stem}",
            ctx,
        )


class Pixels(click.FloatRange):
    """A number of pixels, 0 or more; whole numbers stay so in reports."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return an int where nothing is lost by it.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        int or float
        """
        number: float = super().convert(value, param, ctx)
        return int(number) if number.is_integer() else number


class Images(Choice):
    """Whether image files are kept; ``jpeg`` is an older name of ``keep``."""

    def __init__(self) -> None:
        super().__init__(["keep", "none"])

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        """Return "keep" or "none".

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        str
        """
        return super().convert("keep" if value == "jpeg" else value, param, ctx)


class Size(click.ParamType[tuple[int, int]]):
    """HEIGHTxWIDTH, a pair of numbers."""

    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return (height, width).

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        (int, int)
        """
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)x(\d+)", str(value))
        if match is None:
            self.fail(f"{value!r} is no size; expected HEIGHTxWIDTH such as 1200x1920", param, ctx)
        return int(match[1]), int(match[2])


class ClassPair(click.ParamType[tuple[int, int]]):
    """FROM=TO, a pair of class numbers."""

    name = "FROM=TO"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return (from, to).

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        (int, int)
        """
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(-?\d+)=(-?\d+)", str(value))
        if match is None:
            self.fail(f"{value!r} is no pair of classes; expected FROM=TO such as 5=4", param, ctx)
        return int(match[1]), int(match[2])


class PixelSize(click.ParamType[float]):
    """A length such as 0.1um, in micrometres."""

    name = "LENGTH"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        """Return micrometres.

        Parameters
        ----------
        value, param, ctx
            As click passes them.

        Returns
        -------
        float
        """
        match = re.fullmatch(r"([\d.]+(?:[eE][-+]?\d+)?)\s*(nm|um|µm|μm|mm)", str(value))
        try:
            number = float(match[1]) if match else None
        except ValueError:
            number = None
        if match is None or number is None:
            self.fail(f"{value!r} is no length; expected one such as 0.1um or 65nm", param, ctx)
        return number * {"nm": 1e-3, "mm": 1e3}.get(match[2], 1)
