"""What a JSON file is, by its first bytes: a few kilobytes tell it, whatever its length."""

from __future__ import annotations

import re
import zlib
from typing import Any

from mtfast.sources.coco.foreign import format_name
from mtfast.sources.coco.mend import load_json
from mtfast.sources.coco.stream import BOM
from mtfast.sources.files import FileTree

__all__ = ["COCO", "peek"]

COCO = "a COCO file"

_BYTES = 1 << 14
_GZIP = b"\x1f\x8b"
# A quote alone opens a text that is cut off.
_TOKENS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["\[\]{},]', re.DOTALL)


def peek(files: FileTree, path: str) -> str | None:
    """Name the format of a JSON file by its first bytes.

    Parameters
    ----------
    files : FileTree
    path : str

    Returns
    -------
    str or None
        :data:`COCO`, or as :func:`~mtfast.sources.coco.foreign.format_name` calls it; None if it
        is unknown.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    with files.open(path) as file:
        data = file.read(_BYTES)
    if data.startswith(_GZIP):
        data = _unpacked(data)
    content = _begun(data)
    if not isinstance(content, dict):
        return format_name(content)
    lists = content.keys() & {"images", "annotations"}
    if len(data) < _BYTES:
        return format_name(content) or (COCO if len(lists) == 2 else None)
    if lists and "image" not in content:
        # The other list may be further on, and so may what the first record says of itself.
        return COCO
    # The last value is cut off.
    return format_name(content) or format_name(dict(list(content.items())[:-1]))


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(data, _BYTES)
    except zlib.error:
        return b""


def _begun(data: bytes) -> Any:
    """Parse a JSON text that may be cut off, up to the last value that is whole.

    >>> _begun(b'{"version": "5", "shapes": [{"label": "a", "poi')
    {'version': '5', 'shapes': [{'label': 'a'}]}
    """
    data = data.removeprefix(BOM)
    closing, stop, after = b"", 0, b""
    for token in _TOKENS.finditer(data):
        sign = token[0]
        if sign == b'"':
            break
        if sign in (b"[", b"{"):
            closing = (b"]" if sign == b"[" else b"}") + closing
            stop, after = token.end(), closing
        elif sign in (b"]", b"}"):
            closing = closing[1:]
            stop, after = token.end(), closing
        elif sign == b",":
            stop, after = token.start(), closing
    return load_json(data[:stop] + after)
