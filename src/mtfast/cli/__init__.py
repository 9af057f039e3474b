"""The command line: each command is a file with its options and one library call."""

from mtfast.cli.entry import main

__all__ = ["main"]
