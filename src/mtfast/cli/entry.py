"""The group of all commands, and how errors end them."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper

import click

from mtfast.cli.bench import bench
from mtfast.cli.check import check
from mtfast.cli.convert import convert
from mtfast.cli.demo import demo
from mtfast.cli.derive import derive
from mtfast.cli.doctor import doctor
from mtfast.cli.index import index
from mtfast.cli.info import info
from mtfast.cli.masks import masks
from mtfast.cli.preview import preview
from mtfast.cli.synth import synth
from mtfast.cli.verify import verify

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 130

_OBJECTS_PER_COLLECTION = 200_000

# People add these to the end of a line that failed, so they may stand anywhere.
ANYWHERE = ("--debug", "--verbose")

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
        Always: 0 if all is fine, 1 for findings, 2 for bad usage or input, 130 after Ctrl-C.
    """
    if arguments is None:
        # The process is this command's. Importing numba, zarr and dask makes half a million objects
        # that stay; to look through them took 0.12 s of the 1.7 s in which 200 images were
        # converted. Nothing that is large is part of a cycle.
        gc.set_threshold(_OBJECTS_PER_COLLECTION)
    given = sys.argv[1:] if arguments is None else arguments
    debug, verbose = (flag in given for flag in ANYWHERE)
    rest = [argument for argument in given if argument not in ANYWHERE]
    # Names of strangers have characters that the encoding of a pipe may not have.
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        with _log_lines(verbose):
            status = cli.main(rest, "mtfast", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.ctx.get_help() if error.ctx else "")
        status = 0
    except click.ClickException as error:
        _fail(_usage_line(error))
        status = BAD_INPUT
    except (click.Abort, KeyboardInterrupt) as error:
        if debug:
            raise
        # click raises its own error from the interrupt, which says what a work folder keeps.
        told = (error if isinstance(error, KeyboardInterrupt) else error.__cause__ or error).args
        _fail(f"interrupted; {told[0] if told else _left_by(rest)}")
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


def _left_by(arguments: list[str]) -> str:
    command = next((name for name in arguments if not name.startswith("-")), "")
    return LEFT_AFTER_INTERRUPT.get(command, WHOLE_OR_NOTHING)


@contextmanager
def _log_lines(wanted: bool) -> Iterator[None]:
    """Show what mtfast logs, a plain line each; what other packages log stays hidden."""
    if not wanted:
        yield
        return
    import logging

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # A progress bar replaces sys.stderr while it is shown.
            print("mtfast:", " ".join(record.getMessage().split()), file=sys.stderr, flush=True)

    logger, lines = logging.getLogger("mtfast"), Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
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
    from mtfast.errors import printable

    print(f"mtfast: error: {printable(line)}", file=sys.stderr)


def _usage_line(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "mtfast"
    return f"{message}; expected what '{path} --help' lists; correct the command line"


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mtfast", message="mtfast %(version)s")
@click.option("--verbose", is_flag=True, help="Show what is decided along the way. Any position.")
@click.option("--debug", is_flag=True, help="Show the traceback of an error. Any position.")
def cli(verbose: bool, debug: bool) -> None:
    """Turn COCO-RLE datasets into Zarr stores with fast random access.

    Start with 'mtfast demo', or with your own data:

    \b
      mtfast info GrapheneH
      mtfast convert GrapheneH graphene_h.zarr
      mtfast preview graphene_h.zarr sheet.png
    """  # noqa: D301 - click reads the backspace


_COMMANDS = (
    *(demo, synth, info, convert, index, check),
    *(masks, derive, verify, doctor, preview, bench),
)
for _command in _COMMANDS:
    cli.add_command(_command)
