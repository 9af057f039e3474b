"""The command line: each command is its options and one library call."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mtfast.summary import DatasetSummary

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 130

_workers = click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Threads or processes of this machine; by default to keep all cores busy.",
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; errors are one line on standard error."""
    given = sys.argv[1:] if arguments is None else arguments
    # --debug may stand anywhere: people add it to the end of the line that failed.
    debug = "--debug" in given
    try:
        status = cli.main([a for a in given if a != "--debug"], "mtfast", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        status = 0
    except click.ClickException as error:
        _fail(_usage_line(error))
        status = BAD_INPUT
    except (click.Abort, KeyboardInterrupt):
        if debug:
            raise
        _fail("interrupted; nothing half-written is left; run it again when you like")
        status = INTERRUPTED
    except BrokenPipeError:
        # The reader of our output, such as `head`, has what it wanted.
        sys.stdout = None
        status = 0
    except Exception as error:
        from mtfast.errors import MtfastError

        if debug or not isinstance(error, MtfastError | OSError | MemoryError):
            raise
        _fail(_line_of(error))
        status = BAD_INPUT
    sys.exit(status if isinstance(status, int) else 0)


def _line_of(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return (
            f"{where}{error.strerror or error}; expected it to be read and written freely; "
            f"check the path, its rights and the room on the disk"
        )
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); expected more to be free; use fewer --workers"
    return " ".join(str(error).split())


def _fail(line: str) -> None:
    print(f"mtfast: error: {line}", file=sys.stderr)


def _usage_line(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mtfast"
    return f"{message}; expected another use of '{path}'; see '{path} --help'"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mtfast", message="mtfast %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Turn COCO-RLE datasets into Zarr stores with fast random access.

    Start with 'mtfast demo', or with your own data:

    \b
      mtfast info GrapheneH
      mtfast convert GrapheneH graphene_h.zarr
      mtfast preview graphene_h.zarr -o sheet.png
    """  # noqa: D301 - click reads the backspace


class _Size(click.ParamType[tuple[int, int]]):
    name = "HxW"

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)x(\d+)", str(value))
        if match is None:
            self.fail(f"{value!r} is no size; expected HEIGHTxWIDTH such as 1200x1920", param, ctx)
        return int(match[1]), int(match[2])


@cli.command()
@click.argument("folder", metavar="[DIR]", type=click.Path(path_type=Path), default="mtfast-demo")
@_workers
def demo(folder: Path, workers: int | None) -> None:
    """Do the main job on a small set that is made first, into DIR (default mtfast-demo)."""
    from mtfast.demo import run_demo
    from mtfast.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        run_demo(folder, workers=workers, progress=progress)


@cli.command()
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--name", default="Graphene", show_default=True, help="Material, part of set names.")
@click.option("--train", default=64, show_default=True, type=click.IntRange(min=0))
@click.option("--test", default=8, show_default=True, type=click.IntRange(min=0))
@click.option("--size", type=_Size(), default="1200x1920", show_default=True)
@click.option("--classes", default=4, show_default=True, type=click.IntRange(min=1))
@click.option("--seed", default=0, show_default=True, type=click.IntRange(min=0))
@click.option("--no-images", is_flag=True, help="Annotations and meta data only.")
@_workers
def synth(
    out: Path,
    name: str,
    train: int,
    test: int,
    size: tuple[int, int],
    classes: int,
    seed: int,
    no_images: bool,
    workers: int | None,
) -> None:
    """Make a synthetic MaskTerial set in the new folder OUT.

    The same seed makes the same files, with any number of workers.
    """
    from mtfast.progress import ProgressDisplay
    from mtfast.synth import make_set

    with ProgressDisplay() as progress:
        made = make_set(
            out,
            name=name,
            train=train,
            test=test,
            size=size,
            classes=classes,
            seed=seed,
            images=not no_images,
            workers=workers,
            progress=progress,
        )
    click.echo(f"{made}: {train} train and {test} test images of {size[0]} x {size[1]}")


@cli.command()
@click.argument("path", metavar="SRC|STORE", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="For machines.")
def info(path: Path, as_json: bool) -> None:
    """Show what is in a dataset, a source or a store."""
    from mtfast.progress import ProgressDisplay
    from mtfast.summary import summarise

    with ProgressDisplay() as progress:
        summary = summarise(path, progress=progress)
    if as_json:
        import json

        click.echo(json.dumps(summary.as_dict(), indent=2))
    else:
        _print_summary(summary)


@cli.command()
@click.argument("src", type=click.Path(path_type=Path))
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--split", "splits", multiple=True, metavar="S", help="May be given several times.")
@click.option("--semantic", metavar="VARIANT", help="Variant that the masks are painted from.")
@click.option("--images", type=click.Choice(["jpeg", "none"]), default="jpeg", show_default=True)
@click.option("--shard", default=64, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--decode-check", is_flag=True, help="Decode every image, to find those that cannot be."
)
@click.option(
    "--scheduler",
    default="threads",
    show_default=True,
    metavar="NAME",
    help="threads, processes, sync or tcp://HOST:PORT.",
)
@_workers
@click.option("--overwrite", is_flag=True, help="Replace a store that is there.")
def convert(
    src: Path,
    store: Path,
    splits: tuple[str, ...],
    semantic: str | None,
    images: Any,
    shard: int,
    decode_check: bool,
    scheduler: str,
    workers: int | None,
    overwrite: bool,
) -> None:
    """Convert the dataset SRC to the new Zarr store STORE.

    SRC is a MaskTerial folder, a COCO .json file beside its images, or a folder with images/ and
    instance_masks/.
    """
    from mtfast.conversion import convert as convert_dataset
    from mtfast.progress import ProgressDisplay
    from mtfast.store.read import open_store

    with ProgressDisplay() as progress:
        made = convert_dataset(
            src,
            store,
            splits=splits or None,
            semantic=semantic,
            images=images,
            shard=shard,
            decode_check=decode_check,
            scheduler=scheduler,
            workers=workers,
            overwrite=overwrite,
            progress=progress,
        )
    opened = open_store(made)
    parts = ", ".join(f"{len(opened[name]):,} {name}" for name in opened)
    click.echo(f"{made}: {parts} images; open it with mtfast.open({str(made)!r})")


@cli.command()
@click.argument("path", metavar="SRC|STORE", type=click.Path(path_type=Path))
@click.option("-o", "--out", required=True, type=click.Path(path_type=Path), help="Picture.")
@click.option("--split", metavar="S", help="Default: the first.")
@click.option("-n", "n", default=12, show_default=True, type=click.IntRange(min=1))
def preview(path: Path, out: Path, split: str | None, n: int) -> None:
    """Draw a contact sheet with the outlines of all instances and a legend."""
    from mtfast.preview import preview as draw_preview
    from mtfast.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        made = draw_preview(path, out, split=split, n=n, progress=progress)
    click.echo(str(made))


def _print_summary(summary: DatasetSummary) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    # In a pipe there is no width to keep to. Names are data, never markup.
    console = Console(
        width=None if sys.stdout.isatty() else 120, markup=False, highlight=False, emoji=False
    )
    console.print(Text.assemble((summary.path, "bold"), f"  {summary.kind}"))
    for split in summary.splits:
        size = "several sizes" if split.height is None else f"{split.height} x {split.width}"
        pictures = "with images" if split.has_images else "without images"
        about = f"  {split.n_images:,} images of {size}, {pictures}"
        console.print(Text.assemble("\n", (split.name, "bold"), about))
        table = Table(box=None, pad_edge=False, header_style="dim")
        table.add_column("variant", overflow="fold")
        for column in ("images", "empty", "instances", "area min", "median", "max"):
            table.add_column(column, justify="right")
        for variant in split.variants:
            mark = " *" if variant.name == split.semantic_variant else ""
            areas = (variant.area_min, variant.area_median, variant.area_max)
            table.add_row(
                Text(variant.name + mark),
                f"{variant.n_images:,}",
                f"{variant.n_empty_images:,}",
                f"{variant.n_instances:,}",
                *("-" if area is None else f"{area:,.0f}" for area in areas),
            )
        console.print(table)
        (painted,) = [v for v in split.variants if v.name == split.semantic_variant]
        classes = ", ".join(f"{c.id} {c.name} ({c.n_instances:,})" for c in painted.categories)
        console.print(f"classes of *: {classes or 'none listed'}")
        if split.n_shot_variants:
            console.print(f"and {len(split.n_shot_variants)} n-shot subsets")
