"""Options that several commands share: each is declared once, with its help."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from mtfast.cli.usage import BadUsageError
from mtfast.cli.values import Choice, ClassPair, Images, Pixels, SourceLocation

if TYPE_CHECKING:
    from mtfast.sources import Source


__all__ = [
    "DATASET",
    "Option",
    "bad_option",
    "dataset_of",
    "decode_check_option",
    "expect_dataset",
    "format_option",
    "ground_truth_option",
    "image_folder_option",
    "images_option",
    "json_option",
    "map_option",
    "min_area_option",
    "number_option",
    "only_variant_option",
    "orientation_option",
    "overlap_option",
    "overwrite_option",
    "path_or_files",
    "rasterizer_option",
    "scheduler_option",
    "source_of",
    "splits_option",
    "variant_option",
    "workers_option",
]

_SPLIT_FILE = re.compile(r"([\w.-]+)=(.+)")
_DEFAULTS = ("refuse", "pycocotools")
_OPTIONS = {"mapping": "--map"}
DATASET = "SRC|STORE..."
"""How help shows an argument that is a source, a COCO file for each split, or a store."""


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


def source_of(given: Sequence[str], **read: Any) -> str | Source:
    """Open what a command is given, unless a path is all there is to it.

    Parameters
    ----------
    given : sequence of str
        One path, or several files as SPLIT=FILE.
    **read
        As for :func:`mtfast.open_source`, ``mapping`` as pairs.

    Returns
    -------
    str or Source

    Raises
    ------
    click.UsageError
        If there are several that do not all name a split.
    """
    path = path_or_files(given)
    asked = {name: value for name, value in read.items() if value and value not in _DEFAULTS}
    if isinstance(path, str) and not asked:
        return path
    from mtfast.sources import open_source

    return open_source(path, **asked | {"mapping": dict(asked.get("mapping", ()))})


def dataset_of(given: Sequence[str], **read: Any) -> str | Source:
    """Open what a command is given as a source or a store.

    Parameters
    ----------
    given : sequence of str
        One path or address, or several files as SPLIT=FILE.
    **read
        As for :func:`source_of`. A store has no bad records; it takes none of the others, as its
        records were settled when it was made.

    Returns
    -------
    str or Source

    Raises
    ------
    click.UsageError
        If there are several that do not all name a split, or a store is to be read in another way.
    """
    path = path_or_files(given)
    asked = [name for name, value in read.items() if value and value not in _DEFAULTS]
    if isinstance(path, str) and asked:
        from mtfast.addresses import locate
        from mtfast.dataset import is_store

        if is_store(locate(path)):
            _refuse_with_store(path, [name for name in asked if name != "bad"])
            return path
    return source_of(given, **read)


def _refuse_with_store(store: str, asked: Sequence[str]) -> None:
    if asked:
        names = " and ".join(_OPTIONS.get(name, f"--{name.replace('_', '-')}") for name in asked)
        raise BadUsageError(
            f"{names} with the store {store}; expected a source, as a store keeps the masks "
            f"and classes that it was made with; give the source, or leave out {names}"
        )


def expect_dataset(given: Sequence[str], last: str) -> None:
    """Refuse a line with too few arguments: the last one is what is made.

    Parameters
    ----------
    given : sequence of str
        All before it.
    last : str
        What help calls it.

    Raises
    ------
    click.UsageError
        If there is nothing before it.
    """
    if not given:
        raise click.UsageError(f"Missing argument '{last}'")


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
        raise BadUsageError(
            f"{len(given)} sources: {' '.join(given)}; expected one, or a COCO file for each "
            f"split, such as train=a.json val=b.json; name the splits or give one source"
        )
    return named


def _each_class_once(
    context: click.Context, _: click.Parameter, pairs: tuple[tuple[int, int], ...]
) -> tuple[tuple[int, int], ...]:
    """Refuse a class that gets two numbers."""
    olds = [old for old, _ in pairs]
    twice = [old for old in olds if olds.count(old) > 1]
    if twice:
        raise BadUsageError(
            f"class {twice[0]} is mapped twice; expected one --map for each; leave one out",
            context,
        )
    return pairs


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
    type=Choice(["refuse", "skip", "repair"]),
    default="refuse",
    show_default=True,
    help="With bad records: refuse the set, leave them out, or repair what can be.",
)
map_option = click.option(
    "--map",
    "mapping",
    type=ClassPair(),
    multiple=True,
    callback=_each_class_once,
    help="Give class FROM the number TO; repeatable. Class 0 is background.",
)
image_folder_option = click.option(
    "--image-folder",
    metavar="DIR",
    type=SourceLocation(),
    show_default="beside the file",
    help="Folder of the images of COCO files or exports.",
)
rasterizer_option = click.option(
    "--rasterizer",
    metavar="pil|cv2",
    # As mtfast.rles.rasterizers.RASTERIZERS, which is not loaded for a page of help.
    type=Choice(["pycocotools", "pil", "cv2"]),
    default="pycocotools",
    show_default=True,
    help="How polygons are drawn.",
)
orientation_option = click.option(
    "--orientation",
    type=Choice(["stored", "shown"]),
    show_default="by their size",
    help="Frame of the masks, for images that EXIF turns.",
)
ground_truth_option = click.option(
    "--ground-truth",
    metavar="FILE",
    type=SourceLocation(),
    show_default="beside them",
    help="For COCO results.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for machines.")
splits_option = click.option(
    "--split",
    "splits",
    multiple=True,
    metavar="S",
    show_default="all",
    help="Only this split; repeatable.",
)


def _variant_option(default: str, about: str) -> Callable[[Any], Any]:
    return click.option(
        "--variant",
        metavar="V",
        cls=Option,
        aliases={"--semantic": None},
        show_default=default,
        help=about,
    )


variant_option = _variant_option("marked * by info", "Annotation file to use, as info lists them.")
only_variant_option = _variant_option("all", "Only this annotation file.")
min_area_option = click.option(
    "--min-area",
    metavar="PX",
    type=Pixels(),
    show_default="all",
    help="Only instances of more than PX pixels, as measured in the RLE.",
)


def format_option(*formats: str) -> Callable[[Any], Any]:
    """Make ``--format``, for commands whose text says what each of them is.

    Parameters
    ----------
    *formats : str
        The first is the default.

    Returns
    -------
    callable
        A decorator of commands.
    """
    return click.option(
        "--format",
        metavar="FORMAT",
        type=Choice(formats),
        default=formats[0],
        show_default=True,
        help=f"{', '.join(formats[:-1])} or {formats[-1]}; see above.",
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
    rules = ["last", *choices]
    return click.option(
        "--overlap",
        metavar="RULE",
        type=Choice(["last", *choices]),
        default="last",
        show_default=True,
        help=f"Which of overlapping instances shows: {', '.join(rules[:-1])} or {rules[-1]}.",
    )


images_option = click.option(
    "--images",
    type=Images(),
    cls=Option,
    aliases={"--no-images": "none"},
    default="keep",
    show_default=True,
    help="With image files, or none: annotations and masks alone.",
)
decode_check_option = click.option(
    "--decode-check",
    is_flag=True,
    help="Decode every image; otherwise only headers and markers are read.",
)
scheduler_option = click.option(
    "--scheduler",
    default="threads",
    show_default=True,
    metavar="NAME",
    help="What runs the work: threads, processes, sync, tcp:// or tls://HOST:PORT.",
)
workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="all cores",
    help="Threads or processes on this machine.",
)
overwrite_option = click.option("--overwrite", is_flag=True, help="Replace what is already there.")
