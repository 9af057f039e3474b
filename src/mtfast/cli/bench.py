"""``mtfast bench``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from mtfast.cli.options import json_option, number_option, variant_option
from mtfast.cli.output import echo_json, show_progress
from mtfast.cli.tables import NumberTable, make_console, show, text_of
from mtfast.cli.values import SourceLocation

if TYPE_CHECKING:
    from pathlib import Path

    from mtfast.loaders.bench.rates import LoaderRates


@click.command()
@click.argument("store", type=SourceLocation())
@click.option("--split", metavar="S", show_default="the first", help="Split to read.")
@variant_option
@number_option(
    "--crop", default=512, least=0, about="Side of the windows in pixels; 0 takes whole images."
)
@number_option(
    "--workers",
    default=0,
    least=0,
    about="Worker processes of PyTorch's DataLoader; 0 reads in this process.",
)
@number_option(
    "--samples", default=64, least=1, about="Samples to time; at most one for each image."
)
@number_option("--batch", default=8, least=1, about="Samples in a batch.")
@json_option
def bench(
    store: Path | str,
    split: str | None,
    variant: str | None,
    crop: int,
    workers: int,
    samples: int,
    batch: int,
    as_json: bool,
) -> None:
    """Time the training loader against a plain reader.

    Both make the same samples: random windows of random images, each with its semantic mask and
    its instances. The plain reader decodes whole image files with OpenCV (or Pillow) and whole
    masks with pycocotools, and crops both.
    """
    from mtfast.loaders.bench.rates import measure_rates

    with show_progress() as progress:
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
    console = make_console()
    samples = "whole images of several sizes"
    if rates.crop is not None:
        samples = f"windows of {rates.crop[0]} x {rates.crop[1]} pixels"
    n_workers = f"{rates.workers} worker processes" if rates.workers else "one process"
    variant = f"  {rates.split}, {rates.variant}"
    about = f"\n{rates.n_samples:,} {samples}, {n_workers}"
    show(console, text_of((rates.path, "bold"), variant, about))
    table = NumberTable("reader", "samples/s", "ms a sample", "times as fast")
    for reader, rate in (("mtfast", rates.rate), (rates.plain_method, rates.plain_rate)):
        ratio = rate / rates.plain_rate
        table.add_row(reader, f"{rate:,.1f}", f"{1000 / rate:,.2f}", f"{ratio:,.1f}")
    show(console, table)
