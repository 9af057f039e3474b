"""What a JSON file is, by its first bytes: a few kilobytes tell it, whatever its length."""

from __future__ import annotations

import os
import re
import zlib
from typing import Any

from mtfast.sources.coco.any_json import load_json
from mtfast.sources.coco.foreign import PANOPTIC, RESULTS, SA1B, format_name
from mtfast.sources.coco.names import ROBOFLOW, is_json
from mtfast.sources.coco.stream import BOM
from mtfast.sources.files import FileTree

__all__ = ["COCO", "PANOPTIC", "RESULTS", "SA1B", "has_coco", "peek"]

COCO = "a COCO file"

_BYTES = 1 << 14
_BYTES_OF_END = 1 << 16
_MOST_LOOKS = 16
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
        if "annotations" in content:
            return PANOPTIC if format_name({"images": [], **content}) == PANOPTIC else COCO
        return PANOPTIC if _ends_as_panoptic(files, path) else COCO
    # The last value is cut off.
    return format_name(content) or format_name(dict(list(content.items())[:-1]))


def _ends_as_panoptic(files: FileTree, path: str) -> bool:
    """Whether the end of a file is of a panoptic one: after images and segments, few categories."""
    with files.open(path) as file:
        n_bytes = file.seek(0, os.SEEK_END)
        file.seek(max(0, n_bytes - _BYTES_OF_END))
        return b'"segments_info"' in file.read()


def has_coco(files: FileTree) -> bool:
    """Whether a folder holds COCO annotations: here, in ``annotations/``, or as of Roboflow.

    Parameters
    ----------
    files : FileTree

    Returns
    -------
    bool
        Tools that write several formats lose least in this one.
    """
    inside = [f"annotations/{name}" for name in files.names("annotations") or ()]
    paths = [path for path in (*inside, *(files.names() or ())) if is_json(path)]
    if any(peek(files, path) == COCO for path in paths[:_MOST_LOOKS]):
        return True
    return any(files.exists(f"{folder}/{ROBOFLOW}") for folder in files.folders())


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
