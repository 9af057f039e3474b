"""Options that several commands share: each is declared once, with its help."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.sources import Source
    from mtfast.sources.bad_records import Policy


__all__ = [
    "DATASET",
    "ClassMap",
    "Images",
    "LocalPath",
    "Option",
    "Pixels",
    "Size",
    "bad_option",
    "dataset_of",
    "decode_check_option",
    "image_folder_option",
    "images_option",
    "json_option",
    "map_option",
    "min_area_option",
    "number_option",
    "overlap_option",
    "overwrite_option",
    "path_or_files",
    "scheduler_option",
    "source_of",
    "splits_option",
    "variant_option",
    "workers_option",
]

_SPLIT_FILE = re.compile(r"([\w.-]+)=(.+)")
DATASET = "SRC|STORE"
"""How help shows an argument that is a source or a store."""


class Option(click.Option):
    """An option that also has older names, which work and are not shown.

    Parameters
    ----------
    *args, **attrs
        As for :class:`click.Option`.
    aliases : mapping
        The value that each older name stands for; None where it takes one, as the option does.

    Examples
    --------
    >>> click.option("--variant", cls=Option, aliases={"--semantic": None})  # doctest: +ELLIPSIS
    <function option.<locals>.decorator at ...>
    """

    def __init__(
        self, *args: Any, aliases: Mapping[str, str | bool | None] | None = None, **attrs: Any
    ) -> None:
        super().__init__(*args, **attrs)
        self.aliases = aliases or {}

    def add_to_parser(self, parser: Any, ctx: click.Context) -> None:
        """Let the parser know the older names too: help and errors name those in ``opts``.

        Parameters
        ----------
        parser, ctx
            As click passes them.
        """
        super().add_to_parser(parser, ctx)
        for name, value in self.aliases.items():
            action = "store" if value is None else "store_const"
            parser.add_option(self, [name], dest=self.name, action=action, const=value)


class LocalPath(click.ParamType["Path"]):
    """A path on this machine; addresses such as s3://bucket/set are refused."""

    name = "path"

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


class Images(click.Choice[str]):
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


class ClassMap(click.ParamType[tuple[int, int]]):
    """OLD=NEW, a pair of class numbers."""

    name = "OLD=NEW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        """Return (old, new).

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
        match = re.fullmatch(r"(\d+)=(\d+)", str(value))
        if match is None:
            self.fail(
                f"{value!r} is no mapping of classes; expected OLD=NEW such as 0=1", param, ctx
            )
        return int(match[1]), int(match[2])


def source_of(
    given: Sequence[str],
    image_folder: Path | None = None,
    bad: Policy = "refuse",
    mapping: Sequence[tuple[int, int]] = (),
) -> str | Source:
    """Open what a command is given, unless a path is all there is to it.

    Parameters
    ----------
    given : sequence of str
        One path, or several files as SPLIT=FILE.
    image_folder, bad, mapping
        As for :func:`mtfast.open_source`.

    Returns
    -------
    str or Source

    Raises
    ------
    click.UsageError
        If there are several that do not all name a split.
    """
    path = path_or_files(given)
    if isinstance(path, str) and bad == "refuse" and not (image_folder or mapping):
        return path
    from mtfast.sources import open_source

    return open_source(path, image_folder, bad=bad, mapping=dict(mapping))


def dataset_of(
    dataset: Path,
    image_folder: Path | None = None,
    bad: Policy = "refuse",
    mapping: Sequence[tuple[int, int]] = (),
) -> Path | Source:
    """Open what a command is given as a source or a store.

    Parameters
    ----------
    dataset : Path
    image_folder, bad, mapping
        As for :func:`mtfast.open_source`. A store takes none of them: its records were settled when
        it was made.

    Returns
    -------
    Path or Source
    """
    is_asked = bad != "refuse" or image_folder is not None or mapping
    if not is_asked or (dataset / "zarr.json").is_file():
        return dataset
    from mtfast.sources import open_source

    return open_source(dataset, image_folder, bad=bad, mapping=dict(mapping))


def path_or_files(given: Sequence[str]) -> str | dict[str, str]:
    """Return what a command is given as a path, or as a COCO file for each split.

    Parameters
    ----------
    given : sequence of str
        One path, or several files as SPLIT=FILE.

    Returns
    -------
    str or dict

    Raises
    ------
    click.UsageError
        If there are several that do not all name a split.
    """
    pairs = [_SPLIT_FILE.fullmatch(text) for text in given]
    if len(given) == 1 and (pairs[0] is None or os.path.exists(given[0])):  # noqa: PTH110
        return given[0]
    named = {match[1]: match[2] for match in pairs if match}
    if len(named) < len(given):
        raise click.UsageError(
            f"{len(given)} sources: {' '.join(given)}; expected one, or a COCO file for each "
            f"split, such as train=a.json val=b.json"
        )
    return named


def number_option(name: str, *, default: int, least: int, about: str) -> Callable[[Any], Any]:
    """Make an option that takes a whole number.

    Parameters
    ----------
    name : str
        Such as "--shard".
    default, least : int
    about : str
        Its help.

    Returns
    -------
    callable
        A decorator of commands.
    """
    return click.option(
        name,
        metavar="N",
        default=default,
        show_default=True,
        type=click.IntRange(min=least),
        help=about,
    )


bad_option = click.option(
    "--bad",
    type=click.Choice(["refuse", "skip", "repair"]),
    default="refuse",
    show_default=True,
    help="What becomes of bad records and of images that are missing, damaged or of another size: "
    "refuse the set, leave them out, or repair what can be. Refusing says how many of which kind "
    "there are.",
)
map_option = click.option(
    "--map",
    "mapping",
    type=ClassMap(),
    multiple=True,
    help="Give class OLD the number NEW; may be given several times. Class 0 is background.",
)
image_folder_option = click.option(
    "--image-folder",
    metavar="DIR",
    type=LocalPath(),
    help="The folder of the images of COCO files, if it is not found beside them.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
splits_option = click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="S",
    show_default="all",
    help="Only this split; may be given several times.",
)
variant_option = click.option(
    "--variant",
    metavar="VARIANT",
    cls=Option,
    aliases={"--semantic": None},
    show_default="with classes and a threshold of 200, or the next larger; of a store, its own",
    help="The annotation file to use, as info lists them.",
)
min_area_option = click.option(
    "--min-area",
    metavar="PX",
    type=Pixels(),
    help="Only instances larger than PX pixels (area > PX), measured from the RLE.",
)


def overlap_option(*choices: str) -> Callable[[Any], Any]:
    """Make ``--overlap``.

    Parameters
    ----------
    *choices : str
        What a command takes besides ``last``, the default.

    Returns
    -------
    callable
        A decorator of commands.
    """
    return click.option(
        "--overlap",
        type=click.Choice(["last", *choices]),
        default="last",
        show_default=True,
        help="Which instance shows where several overlap"
        + ("; error refuses overlaps." if "error" in choices else "."),
    )


images_option = click.option(
    "--images",
    type=Images(),
    cls=Option,
    aliases={"--no-images": "none"},
    default="keep",
    show_default=True,
    help="Whether image files are part of what is made.",
)
decode_check_option = click.option(
    "--decode-check",
    is_flag=True,
    cls=Option,
    aliases={"--decode": True},
    help="Decode every image; otherwise only headers and markers are read.",
)
scheduler_option = click.option(
    "--scheduler",
    default="threads",
    show_default=True,
    metavar="NAME",
    help="threads, processes, sync or tcp://HOST:PORT.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="enough to keep all cores busy",
    help="Threads or processes on this machine.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is already there.")
