"""The records of a COCO JSON file, a few thousand at a time: its text is never in memory whole.

The file is read twice: once to find where its lists begin, end and may be cut, then piece by piece,
the lists in any order. The text around the lists is parsed too, so that a file that is not JSON
does not pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec
import numpy as np

__all__ = ["BAD_INPUT", "Document", "RecordFile", "UnreadableError", "ZeroByteError"]

T = TypeVar("T", bound=msgspec.Struct)

BAD_INPUT = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What msgspec raises; the last two for bad UTF-8 and for brackets nested too deep."""

BOM = b"\xef\xbb\xbf"
_BLOCK_BYTES = 1 << 22
# A piece ends at this size, too: a few thousand records with large polygons can be 100 MB.
_PIECE_BYTES = 1 << 22
_EVENTS = 1 << 10


class Document(msgspec.Struct, gc=False):
    """A COCO file whose records are still text."""

    images: list[msgspec.Raw]
    annotations: list[msgspec.Raw]
    categories: list[msgspec.Raw] | None = None


class UnreadableError(Exception):
    """The file is not a COCO file; parsing it as a whole tells why."""


class ZeroByteError(Exception):
    """The file has a zero byte, as no JSON has: the rest, a hole of any length, is not read."""


class _Piece(NamedTuple):
    """A range of the file that holds whole records, and their number; 1 for an empty list."""

    start: int
    stop: int
    n_records: int


_DOCUMENT = msgspec.json.Decoder(Document)
_TEXT = msgspec.json.Decoder(str)


class RecordFile:
    """The lists of records of a COCO file.

    Parameters
    ----------
    stream : binary file
        Seekable.
    max_records : int
        The most records that a piece may have.

    Raises
    ------
    UnreadableError
        If it is not a COCO file; :meth:`read` raises it for a record that does not decode.
    ZeroByteError
    """

    def __init__(self, stream: BinaryIO, max_records: int) -> None:
        self._stream = stream
        self.n_bytes, lists = _find_lists(stream, max_records)
        self._pieces: dict[str, list[_Piece]] = {}
        around: list[bytes] = []
        at = len(BOM) if self._read(0, len(BOM)) == BOM else 0
        try:
            for key, pieces in lists:
                name = _TEXT.decode(self._read(*key))
                if name in Document.__struct_fields__:
                    self._pieces[name] = pieces
                    around.append(self._read(at, pieces[0].start))
                    at = pieces[-1].stop
            _DOCUMENT.decode(b"".join((*around, self._read(at, self.n_bytes))))
        except BAD_INPUT as error:
            raise UnreadableError from error

    def at_most(self, name: str) -> int:
        """Return an upper bound for the number of records in a list.

        Parameters
        ----------
        name : str

        Returns
        -------
        int
            One too many if the list is empty, otherwise exact.
        """
        return sum(piece.n_records for piece in self._pieces.get(name, ()))

    def read(self, name: str, decoder: msgspec.json.Decoder[list[T]]) -> Iterator[list[T]]:
        """Decode the records of a list, piece by piece.

        Parameters
        ----------
        name : str
            "images", "annotations" or "categories"; nothing is yielded for one that is not there.
        decoder : msgspec.json.Decoder
            Of a list of records.

        Yields
        ------
        list
            The records of a piece.

        Raises
        ------
        UnreadableError
            If a record does not decode.
        """
        for number, text in enumerate(self.texts(name)):
            try:
                records = decoder.decode(text)
            except BAD_INPUT as error:
                raise UnreadableError from error
            self.expect_whole(name, number, len(records))
            yield records

    def texts(self, name: str) -> Iterator[bytes]:
        """Read a list as JSON text, piece by piece.

        Parameters
        ----------
        name : str

        Yields
        ------
        bytes
            A list of the records of a piece.
        """
        for piece in self._pieces.get(name, ()):
            yield b"[%b]" % self._read(piece.start, piece.stop)

    def expect_whole(self, name: str, piece: int, n_records: int) -> None:
        """Refuse a stray comma where a piece begins or ends, which would otherwise pass.

        Parameters
        ----------
        name : str
        piece : int
            Its number.
        n_records : int
            How many its text decoded to.

        Raises
        ------
        UnreadableError
            If there should be more or fewer.
        """
        pieces = self._pieces[name]
        if n_records != pieces[piece].n_records and (n_records or len(pieces) > 1):
            raise UnreadableError

    def _read(self, start: int, stop: int) -> bytes:
        self._stream.seek(start)
        return self._stream.read(stop - start)


def _find_lists(
    stream: BinaryIO, max_records: int
) -> tuple[int, list[tuple[tuple[int, int], list[_Piece]]]]:
    """Find the lists directly inside the outermost object.

    Returns the size of the file in bytes, and for each list the range of its key and its pieces.
    """
    from mtfast.kernels.files import json_scan

    lists: list[tuple[tuple[int, int], list[_Piece]]] = []
    state = np.zeros(json_scan.STATE, np.int64)
    events = np.empty((_EVENTS, json_scan.EVENT), np.int64)
    quotes: list[int] = []
    cuts: list[tuple[int, int]] = []
    key = (0, 0)
    offset = 0
    stream.seek(0)
    data = np.empty(_BLOCK_BYTES + json_scan.WINDOW, np.uint8)
    while block := stream.read(_BLOCK_BYTES):
        size = len(block)
        if (zero := block.find(0)) >= 0:
            raise ZeroByteError(offset + zero)
        data[:size] = np.frombuffer(block, np.uint8)
        data[size : size + json_scan.WINDOW] = 0
        state[json_scan.AT] = 0
        while state[json_scan.AT] < size:
            n = json_scan.scan_json(
                data, size, offset, max_records, _PIECE_BYTES, state, events.reshape(-1)
            )
            for place, character, n_records in events[:n].tolist():
                if character == json_scan.QUOTE:
                    quotes = [*quotes[-1:], place]
                elif character == json_scan.COLON and len(quotes) == 2:
                    key = quotes[0], place
                elif character == json_scan.OPEN_LIST:
                    cuts = [(place, 0)]
                elif cuts:
                    cuts.append((place, n_records))
                    if character != json_scan.COMMA:
                        pieces = [_Piece(a + 1, b, m) for (a, _), (b, m) in pairwise(cuts)]
                        lists.append((key, pieces))
                        cuts = []
        offset += size
    if state[json_scan.DEPTH] or state[json_scan.IN_STRING]:
        raise UnreadableError
    return offset, lists
