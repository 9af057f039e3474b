"""``mtfast bench``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mtfast.cli.options import echo_json, json_option, make_console

if TYPE_CHECKING:
    from mtfast.loaders.bench.rates import LoaderRates


@click.command()
@click.argument("store", type=click.Path(path_type=Path))
@click.option("--split", metavar="S", default="train", show_default=True, help="Split to read.")
@click.option(
    "--variant",
    metavar="V",
    help="Annotations to read; by default those of the store's semantic masks.",
)
@click.option(
    "--crop",
    metavar="PX",
    type=click.IntRange(min=0),
    default=512,
    show_default=True,
    help="Side of the windows in pixels; 0 reads whole images.",
)
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Worker processes of PyTorch's DataLoader; 0 reads in this process.",
)
@click.option(
    "--samples",
    metavar="N",
    type=click.IntRange(min=1),
    default=64,
    show_default=True,
    help="Samples to time; at most one for each image.",
)
@click.option(
    "--batch",
    metavar="N",
    type=click.IntRange(min=1),
    default=8,
    show_default=True,
    help="Samples in a batch.",
)
@json_option
def bench(
    store: Path,
    split: str,
    variant: str | None,
    crop: int,
    workers: int,
    samples: int,
    batch: int,
    as_json: bool,
) -> None:
    """Time the training loader on STORE, and a plain reader that makes the same samples.

    A sample is a random window of a random image with its semantic mask and its instances. The
    plain reader decodes whole JPEG files with OpenCV (or Pillow) and whole masks with pycocotools,
    and crops both.
    """
    from mtfast.loaders.bench.rates import measure_rates
    from mtfast.progress import ProgressDisplay

    with ProgressDisplay() as progress:
        rates = measure_rates(
            store,
            split=split,
            variant=variant,
            crop=crop or None,
            workers=workers,
            n_samples=samples,
            batch_size=batch,
            progress=progress,
        )
    if as_json:
        echo_json(rates.as_dict())
    else:
        _print_rates(rates)


def _print_rates(rates: LoaderRates) -> None:
    from rich.table import Table
    from rich.text import Text

    console = make_console()
    height, width = rates.crop
    n_workers = f"{rates.workers} worker processes" if rates.workers else "one process"
    about = f"  {rates.split}, {rates.variant}\n{rates.n_samples:,} windows of "
    console.print(
        Text.assemble((rates.path, "bold"), f"{about}{height} x {width} pixels, {n_workers}")
    )
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("reader", overflow="fold")
    for column in ("samples/s", "ms a sample", "times as fast"):
        table.add_column(column, justify="right")
    for reader, rate in (("mtfast", rates.rate), (rates.plain_method, rates.plain_rate)):
        ratio = rate / rates.plain_rate
        table.add_row(Text(reader), f"{rate:,.1f}", f"{1000 / rate:,.2f}", f"{ratio:,.1f}")
    console.print(table)
