"""A COCO JSON file -> a table, and a list of what is wrong with its records."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from io import BytesIO
from typing import BinaryIO, NamedTuple

from mtfast.errors import MtfastError, SourceError
from mtfast.rles.rasterizers import Rasterizer
from mtfast.sources.bad_records import READ_AS_BOX, BadRecords, Ledger, LedgerPolicy, refusal
from mtfast.sources.categories import settle_categories
from mtfast.sources.coco.any_json import load_json
from mtfast.sources.coco.foreign import name_foreign
from mtfast.sources.coco.mending.listed import SizeOf
from mtfast.sources.coco.mending.mend import mend
from mtfast.sources.coco.parse import NotTextError, parse_coco, read_sound
from mtfast.sources.coco.sift import sift
from mtfast.sources.coco.stream import UnreadableError
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
        The mended file, if it was asked for; None where nothing had to be mended.
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
    *,
    keep_text: bool = False,
    rasterizer: Rasterizer = "pycocotools",
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
    keep_text : bool
        Whether the text of a mended file is wanted, which takes ten times as long as its table.
    rasterizer : {"pycocotools", "pil", "cv2"}
        Whose pixels polygons become.

    Returns
    -------
    Reading

    Raises
    ------
    SourceError, RLEError
        If it is no COCO file, or has records that are refused.
    """
    reading = _Reader(stream, file, policy, size_of, rasterizer)
    table, text = reading.read(keep_text)
    ledger = reading.ledger
    table = settle_categories(table, mapping or {}, ledger)
    found = ledger.found()
    if message := refusal(ledger, found):
        error = reading.error() if reading.is_bad else None
        raise (SourceError if error is None else type(error))(message) from error
    for bad in found:
        # Pixels may not be those that were meant, and no other word is said of it.
        level = logging.WARNING if bad.kind == READ_AS_BOX else logging.INFO
        logger.log(level, "%s: %s", file, bad)
    return Reading(table, found, text)


class _Reader:
    """Reads a file in the fastest way that its records allow.

    Attributes
    ----------
    ledger : Ledger
        Of what was met.
    is_bad : bool
        Whether the strict parser refuses the file.
    """

    def __init__(
        self,
        stream: BinaryIO,
        file: str,
        policy: LedgerPolicy,
        size_of: SizeOf,
        rasterizer: Rasterizer,
    ) -> None:
        self.ledger = Ledger(file, policy)
        self.is_bad = False
        self._stream = stream
        self._file = file
        self._size_of = size_of
        self._rasterizer: Rasterizer = rasterizer

    def read(self, keep_text: bool) -> tuple[RunTable, bytes | None]:
        """Return the table, and the text of a mended file if it is wanted."""
        try:
            return read_sound(self._stream, self._file, self.ledger, self._rasterizer), None
        except NotTextError:
            raise
        except (UnreadableError, MtfastError):
            self.is_bad = True
            logger.info("%s has bad records, which are looked at one by one", self._file)
        text, table = None, None if keep_text else self._sifted()
        if table is None:
            text, table = self._mended()
        ledger = self.ledger
        if not table.n_images and ledger.policy in ("skip", "repair") and ledger.found():
            raise SourceError(
                f"{self._file}: no image is left of those that it lists: "
                f"{', '.join(map(str, ledger.found()))}; expected one; correct the file"
            ) from self.error()
        return table, text

    def error(self) -> MtfastError:
        """Return what the strict parser says of a bad file."""
        self._stream.seek(0)
        try:
            parse_coco(self._stream, self._file)
        except MtfastError as error:
            return error
        raise SourceError(
            f"{self._file} has changed while it was read; expected it to stay; read it again"
        )

    def _sifted(self) -> RunTable | None:
        ledger = Ledger(self._file, self.ledger.policy)
        table = sift(self._stream, ledger, self._size_of, self._rasterizer)
        if table is not None:
            self.ledger = ledger
        return table

    def _mended(self) -> tuple[bytes, RunTable]:
        """Mend the file as a whole."""
        ledger, error = self.ledger, self.error()
        self._stream.seek(0)
        content = load_json(self._stream.read())
        if message := name_foreign(content, self._file):
            raise SourceError(message) from error
        text = mend(content, ledger, self._size_of)
        if text is None:
            raise error
        try:
            return text, parse_coco(BytesIO(text), self._file, ledger, self._rasterizer)
        except MtfastError as again:
            message = refusal(ledger, ledger.found()) or str(again)
            raise type(again)(message) from error
