"""A COCO JSON file -> a table, and a list of what is wrong with its records."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from io import BytesIO
from typing import BinaryIO, NamedTuple

from mtfast.errors import MtfastError, SourceError
from mtfast.sources.bad_records import BadRecords, Ledger, LedgerPolicy, refusal
from mtfast.sources.categories import settle_categories
from mtfast.sources.coco.foreign import name_foreign
from mtfast.sources.coco.mend import SizeOf, load_json, mend
from mtfast.sources.coco.parse import parse_coco
from mtfast.table import RunTable

__all__ = ["Reading", "read_coco"]

logger = logging.getLogger(__name__)


class Reading(NamedTuple):
    """What a file holds.

    Attributes
    ----------
    table : RunTable
        The records that are left.
    found : tuple of BadRecords
        What was wrong with others, and what is worth saying.
    text : bytes or None
        The mended file; None where nothing had to be mended.
    """

    table: RunTable
    found: tuple[BadRecords, ...] = ()
    text: bytes | None = None


def read_coco(
    stream: BinaryIO,
    file: str,
    policy: LedgerPolicy = "refuse",
    mapping: Mapping[int, int] | None = None,
    size_of: SizeOf = lambda name: None,
) -> Reading:
    """Read a COCO file, whatever its records are like.

    Parameters
    ----------
    stream : binary file
        Seekable.
    file : str
        Its name, for messages.
    policy : {"refuse", "skip", "repair", "examine"}
        What becomes of bad records; see :mod:`mtfast.sources.bad_records`.
    mapping : mapping of int to int, optional
        New ids of classes by old ones.
    size_of : callable, optional
        Looks up the size of an image file, for images without a size.

    Returns
    -------
    Reading

    Raises
    ------
    SourceError, RLEError
        If it is no COCO file, or has records that are refused.
    """
    ledger = Ledger(file, policy)
    text = None
    error: MtfastError | None = None
    try:
        # Nearly every file is read here, at ten times the speed of what follows.
        table = parse_coco(stream, file)
    except MtfastError as strict:
        error = strict
        logger.info("%s is read again, record by record: %s", file, strict)
        stream.seek(0)
        text, table = _mended(stream.read(), ledger, size_of, strict)
    table = settle_categories(table, mapping or {}, ledger)
    found = ledger.found()
    if message := refusal(ledger, found):
        raise (SourceError if error is None else type(error))(message) from error
    for bad in found:
        logger.info("%s: %s", file, bad)
    return Reading(table, found, text)


def _mended(
    data: bytes, ledger: Ledger, size_of: SizeOf, error: MtfastError
) -> tuple[bytes, RunTable]:
    content = load_json(data)
    if message := name_foreign(content, ledger.file):
        raise SourceError(message) from error
    text = mend(content, ledger, size_of)
    if text is None:
        raise error
    try:
        table = parse_coco(BytesIO(text), ledger.file)
    except MtfastError as again:
        message = refusal(ledger, ledger.found()) or str(again)
        raise type(again)(message) from error
    if not table.n_images and ledger.policy in ("skip", "repair") and ledger.found():
        raise SourceError(
            f"{ledger.file}: no image is left of those that it lists: "
            f"{', '.join(map(str, ledger.found()))}; expected one; correct the file"
        ) from error
    return text, table
