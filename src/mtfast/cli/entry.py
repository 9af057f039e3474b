"""The group of all commands, and how errors end them."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import click

from mtfast.cli.bench import bench
from mtfast.cli.check import check
from mtfast.cli.convert import convert
from mtfast.cli.demo import demo
from mtfast.cli.derive import derive
from mtfast.cli.doctor import doctor
from mtfast.cli.export import export
from mtfast.cli.fetch import fetch
from mtfast.cli.group import PipeError, SectionedGroup
from mtfast.cli.index import index
from mtfast.cli.info import info
from mtfast.cli.masks import masks
from mtfast.cli.preview import preview
from mtfast.cli.streams import abandon, flush, is_abandoned, open_streams
from mtfast.cli.synth import synth
from mtfast.cli.usage import BadUsageError, usage_line
from mtfast.cli.verify import verify

__all__ = ["main"]

BAD_INPUT = 2
# As shells report the signals of Ctrl-C and of a closed pipe.
INTERRUPTED = 130
BROKEN_PIPE = 141

_OBJECTS_PER_COLLECTION = 200_000

# People add these to the end of a line that failed, so they may stand anywhere.
ANYWHERE = ("--debug", "--quiet", "--verbose")

AGAIN = "run the same line again"
LEFT_AFTER_INTERRUPT = {
    "bench": "nothing was written",
    "demo": f"what was finished stays in DIR; {AGAIN}",
    "doctor": "nothing was written",
}
"""What is true after Ctrl-C of commands that do not write one thing, whole or not at all."""
WHOLE_OR_NOTHING = f"nothing half-written is left; {AGAIN}"


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit; errors are one line on standard error.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of this process.

    Raises
    ------
    SystemExit
        Always: 0 if all is fine, 1 for findings, 2 for bad usage or input, 130 after Ctrl-C,
        141 where what is printed goes to a pipe that nobody reads any more.
    """
    if arguments is None:
        # The process is this command's. Importing numba, zarr and dask makes half a million objects
        # that stay; to look through them took 0.12 s of the 1.7 s in which 200 images were
        # converted. Nothing that is large is part of a cycle.
        gc.set_threshold(_OBJECTS_PER_COLLECTION)
    flags, rest = _split_flags(sys.argv[1:] if arguments is None else arguments)
    open_streams()
    try:
        status = _run(flags, rest)
    except BrokenPipeError:
        # The reader of what we print, such as `head`, has what it wanted.
        abandon()
        status = BROKEN_PIPE
    sys.exit(status)


def _split_flags(given: list[str]) -> tuple[list[str], list[str]]:
    """Return the flags that may stand anywhere, and the rest of a command line."""
    end = given.index("--") if "--" in given else len(given)
    flags = [argument for argument in given[:end] if argument in ANYWHERE]
    return flags, [argument for argument in given[:end] if argument not in flags] + given[end:]


def _run(flags: list[str], rest: list[str]) -> int:
    """Run a command, and return the exit status; what went wrong is told."""
    debug = "--debug" in flags
    try:
        return _call(flags, rest)
    except click.ClickException as error:
        _fail(usage_line(error))
    except (click.Abort, KeyboardInterrupt) as error:
        if debug:
            raise
        # click raises its own error from the interrupt, which says what a work folder keeps.
        told = (error if isinstance(error, KeyboardInterrupt) else error.__cause__ or error).args
        _fail(f"interrupted; {told[0] if told else _left_by(rest)}")
        return INTERRUPTED
    except Exception as error:
        from mtfast.errors import MtfastError

        gone = isinstance(error, BrokenPipeError) and is_abandoned()
        if gone or debug or not isinstance(error, MtfastError | OSError | MemoryError):
            raise
        _fail(_line_of(error))
    return BAD_INPUT


def _call(flags: list[str], rest: list[str]) -> int:
    try:
        with _log_lines(flags):
            status = cli.main([*flags, *rest], "mtfast", standalone_mode=False)
        flush()
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        return 0
    except PipeError as error:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from error
    return status if isinstance(status, int) else 0


def _left_by(arguments: list[str]) -> str:
    command = next((name for name in arguments if not name.startswith("-")), "")
    return LEFT_AFTER_INTERRUPT.get(command, WHOLE_OR_NOTHING)


@contextmanager
def _log_lines(flags: list[str]) -> Iterator[None]:
    """Show what mtfast logs, a plain line each; what other packages log stays hidden.

    Without a flag that is what is logged as a warning, by Python itself.
    """
    if not {"--verbose", "--quiet"} & set(flags):
        yield
        return
    import logging

    from mtfast.cli.spelling import as_options

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # A progress bar replaces sys.stderr while it is shown.
            line = as_options(" ".join(record.getMessage().split()))
            print("mtfast:", line, file=sys.stderr, flush=True)

    logger, lines = logging.getLogger("mtfast"), Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.ERROR if "--quiet" in flags else logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)


def _line_of(error: Exception) -> str:
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return (
            f"{where}{error.strerror or error}; expected to read and write there; "
            f"check the path, its permissions and the free space on the disk"
        )
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); expected more to be free; use fewer --workers"
    return " ".join(str(error).split())


def _fail(line: str) -> None:
    from mtfast.cli.spelling import as_options
    from mtfast.errors import printable

    print(f"mtfast: error: {printable(as_options(line))}", file=sys.stderr)


def _echo_versions(context: click.Context, _: click.Parameter, wanted: bool) -> None:
    if not wanted or context.resilient_parsing:
        return
    from mtfast.version import versions

    for name, version in versions().items():
        click.echo(f"{name} {version}")
    context.exit()


@click.group(
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    sections={
        "Start here": [demo, fetch],
        "Make a dataset": [synth, derive, masks, export],
        "Look at a dataset": [info, preview, doctor, verify],
        "Convert a dataset to a store": [convert, index, check],
        "Train on a store": [bench],
    },
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_echo_versions,
    help="Show the versions of mtfast and of what it stands on, and exit.",
)
@click.option("--verbose", is_flag=True, help="Also say what is decided along the way.")
@click.option("--quiet", is_flag=True, help="Print errors and results that were asked for alone.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(verbose: bool, quiet: bool, debug: bool) -> None:
    """Turn datasets with COCO masks into Zarr stores with fast random access.

    \b
    Begin with 'mtfast demo', or with your own data:
      mtfast info GrapheneH
      mtfast convert GrapheneH graphene_h.zarr
      mtfast preview graphene_h.zarr sheet.png

    'mtfast COMMAND --help' shows its options; those below may follow it too.
    """  # noqa: D301 - click reads the backspace
    if verbose and quiet:
        raise BadUsageError("--verbose with --quiet; expected one of the two; leave one out")
