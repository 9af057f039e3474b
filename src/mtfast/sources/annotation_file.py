"""The annotation file of a dataset as a stream of its text, also where it is packed."""

from __future__ import annotations

import gzip
import os
import zlib
from io import BytesIO
from typing import BinaryIO

from mtfast.errors import SourceError
from mtfast.limits import MAX_JSON_BYTES, max_unpacked_bytes
from mtfast.sources.files import FileTree, expect_length

__all__ = ["open_annotations"]

_BLOCK = 1 << 20


def open_annotations(files: FileTree, file: str) -> BinaryIO:
    """Open a file that was there when the dataset was opened.

    Parameters
    ----------
    files : FileTree
    file : str
        Its path in the tree; one that ends in ``.gz`` is unpacked.

    Returns
    -------
    binary file

    Raises
    ------
    SourceError
        If it is missing, too long for annotations, or no gzip file in spite of its name.
    """
    try:
        stream = files.whole(file)
    except FileNotFoundError as error:
        raise SourceError(
            f"{file} is missing in {files.name}; expected it where it was when the "
            f"dataset was opened; put it back or open the dataset again"
        ) from error
    try:
        expect_length(stream, file, MAX_JSON_BYTES)
        return _unpacked(stream, file) if file.lower().endswith(".gz") else stream
    except SourceError:
        stream.close()
        raise


def _unpacked(stream: BinaryIO, file: str) -> BinaryIO:
    text = BytesIO()
    most = max_unpacked_bytes(stream.seek(0, os.SEEK_END))
    stream.seek(0)
    try:
        with stream, gzip.open(stream) as unpacked:
            while block := unpacked.read(_BLOCK):
                text.write(block)
                if text.tell() > most:
                    raise SourceError(
                        f"{file} has more than {most:,} bytes unpacked, which annotations do not "
                        f"have; expected a packed COCO file; unpack it yourself if it is one"
                    )
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            f"{file} cannot be unpacked ({error}); expected a whole gzip file; copy it again"
        ) from error
    text.seek(0)
    return text
