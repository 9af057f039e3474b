"""``mtfast demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import workers_option
from mtfast.cli.output import program, show_progress, tell
from mtfast.cli.tables import NumberTable, make_console, show
from mtfast.cli.values import NewFolder

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.demo import Rate

USED = ("zarr", "pycocotools", "pillow")


@click.command()
@click.argument("folder", metavar="[DIR]", type=NewFolder(), default="mtfast-demo")
@workers_option
def demo(folder: Path, workers: int | None) -> None:
    """Make a small set, convert, check, draw and time it.

    All goes into DIR, mtfast-demo by default. Random reads are checked against the source, and
    timed beside the usual ways. A set that an earlier demo made is used again.
    """
    from mtfast.demo import run_demo

    with show_progress() as progress:
        rates = run_demo(folder, workers=workers, progress=progress, tell=tell)
    _print_rates(rates)
    for line in _next_lines(folder):
        tell(line)


def _print_rates(rates: list[Rate]) -> None:
    from importlib.metadata import version

    console = make_console()
    table = NumberTable("one image, one thread", "mtfast", "other way", "times as fast")
    for rate in rates:
        table.add_row(
            f"{rate.job} ({rate.ordinary_way})",
            f"{rate.ours:.2f} ms",
            f"{rate.ordinary:.2f} ms",
            f"{rate.ordinary / rate.ours:,.1f}",
        )
    show(console, "")
    show(console, table)
    show(console, ", ".join(f"{package} {version(package)}" for package in USED))


def _next_lines(folder: Path) -> list[str]:
    """Return what is typed next; the lines work as they are, with the set of the demo."""
    import shlex

    source, store, sheet = (
        shlex.quote(str(folder / name)) for name in ("set", "mine.zarr", "mine.png")
    )
    call = program()
    return [
        "",
        f"Next, type this with your own set in place of {source}:",
        "",
        f"  {call} info {source}",
        f"  {call} convert {source} {store}",
        f"  {call} preview {store} {sheet}",
        "",
        "And in Python:",
        "",
        "  import mtfast",
        f"  train = mtfast.open({str(folder / 'mine.zarr')!r})['train']",
        "  image, mask = train.image(0), train.semantic(0)",
    ]
