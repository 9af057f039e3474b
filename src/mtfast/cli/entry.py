"""The group of all commands, and how errors end them."""

from __future__ import annotations

import sys

import click

from mtfast.cli.bench import bench
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


_COMMANDS = (demo, synth, info, convert, index, masks, derive, verify, doctor, preview, bench)
for _command in _COMMANDS:
    cli.add_command(_command)
