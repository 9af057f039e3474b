"""A layout of another tool -> the text of a COCO file -> the reader of COCO files.

One reader means one set of rules: what is wrong with records, what is skipped or repaired, how
polygons become pixels, and what ``derive`` writes. The text is written to a temporary file, so that
what is in memory is the table alone.
"""

from __future__ import annotations

import os
from abc import abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from mtfast.errors import SourceError
from mtfast.image_files import jpeg, shown_size
from mtfast.limits import max_file_bytes
from mtfast.sources.bad_records import Ledger, LedgerPolicy, refusal
from mtfast.sources.coco.read import Reading, read_coco
from mtfast.sources.coco.records import Records, with_mapped_classes, without_left_out
from mtfast.sources.files import FileTree
from mtfast.sources.image_size import read_size
from mtfast.sources.source import Source
from mtfast.table import Category

__all__ = ["AsCoco", "CocoText", "each_in_order", "read_shown_size"]

T = TypeVar("T")
R = TypeVar("R")

# Text up to this size stays in memory.
_IN_MEMORY = 1 << 26
# Files that are read before their turn, for each thread.
_AHEAD = 4
# The size of nearly every JPEG is in its first bytes.
_HEAD = 1 << 16


class CocoText:
    """The text of a COCO file, written record by record.

    A context: the temporary file goes when it ends.

    Attributes
    ----------
    n : int
        Annotations so far.
    """

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by __exit__
        self._file.write(b'{"annotations":[')
        self._images: list[bytes] = []
        self.n = 0

    def __enter__(self) -> CocoText:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def n_images(self) -> int:
        """Images so far."""
        return len(self._images)

    def image(self, name: str, height: int, width: int) -> int:
        """Add an image; the next number is its id.

        Parameters
        ----------
        name : str
        height, width : int
            Pixels.

        Returns
        -------
        int
            Its id.
        """
        id_ = self.n_images + 1
        self.record_of_image({"id": id_, "file_name": name, "height": height, "width": width})
        return id_

    def record_of_image(self, record: Any) -> None:
        """Add an image as it is written elsewhere.

        Parameters
        ----------
        record : object
            What msgspec encodes.
        """
        self._images.append(msgspec.json.encode(record))

    def annotation(self, image: int, category: int, segmentation: Any, **others: Any) -> None:
        """Add an annotation; the next number is its id.

        Parameters
        ----------
        image, category : int
            Their ids.
        segmentation : object
            Rings, or the dict of an RLE.
        **others
            More of the record.
        """
        record = {
            "id": self.n + 1,
            "image_id": image,
            "category_id": category,
            "segmentation": segmentation,
            "iscrowd": 0,
            **others,
        }
        self.record(msgspec.json.encode(record))

    def record(self, record: bytes) -> None:
        """Add an annotation as JSON.

        Parameters
        ----------
        record : bytes
        """
        self._file.write(b"," * (self.n > 0) + record)
        self.n += 1

    def finish(
        self, categories: Sequence[Category | msgspec.Raw | dict[str, Any]], **others: Any
    ) -> None:
        """Write the images and the categories.

        Parameters
        ----------
        categories : sequence
        **others
            What else the file is to hold.
        """
        listed = [c._asdict() if isinstance(c, Category) else c for c in categories]
        self._file.write(b'],"images":[' + b",".join(self._images))
        rest = msgspec.json.encode({"categories": listed, **others})
        self._file.write(b"]," + rest[1:])

    def stream(self) -> BinaryIO:
        """Return what was written.

        Returns
        -------
        binary file
            At its beginning.
        """
        self._file.seek(0)
        return cast("BinaryIO", self._file)


@dataclass(frozen=True, repr=False)
class AsCoco(Source):
    """A layout that is read as the COCO file that :meth:`_write` makes of it."""

    @abstractmethod
    def _write(self, split: str, file: str, text: CocoText, ledger: Ledger) -> None:
        """Write the text of a COCO file; what is wrong with other files is told to the ledger."""

    def _read_coco(
        self, split: str, file: str, policy: LedgerPolicy, *, keep_text: bool = False
    ) -> Reading:
        ledger = Ledger(file, policy)
        with CocoText() as text:
            self._write(split, file, text, ledger)
            if message := refusal(ledger, ledger.found()):
                raise SourceError(message)
            reading = read_coco(
                text.stream(),
                file,
                policy,
                dict(self.mapping),
                keep_text=keep_text,
                rasterizer=self.rasterizer,
            )
            whole = reading.text
            if keep_text and whole is None:
                whole = text.stream().read()
        return Reading(reading.table, (*ledger.found(), *reading.found), whole)

    def _read_records(self, split: str, file: str) -> Records:
        reading = self._read_coco(split, file, self.bad, keep_text=True)
        left = without_left_out(Records(reading.text or b"", file), reading.table)
        return with_mapped_classes(left, dict(self.mapping))


def each_in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Call a function for each of many items, on threads, a few of them before their turn.

    Parameters
    ----------
    work : callable
    items : iterable

    Yields
    ------
    object
        What it returned, in the order of the items.
    """
    n_threads = os.cpu_count() or 1
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(n_threads) as pool:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > _AHEAD * n_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def read_shown_size(files: FileTree, path: str) -> tuple[int, int]:
    """Read the size of an image as viewers show it, turned as its EXIF orientation says.

    Parameters
    ----------
    files : FileTree
    path : str

    Returns
    -------
    height, width : int

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    SourceError
        If it is no image.
    """
    with files.open(path) as stream:
        found = jpeg.read_shown_size(stream.read(_HEAD))
    if found is not None:
        return found
    size = read_size(files.read(path, max_file_bytes()), path)
    return shown_size(size.height, size.width, size.orientation)
