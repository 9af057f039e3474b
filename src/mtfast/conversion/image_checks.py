"""Image files compared with what annotation files say of them: which can be stored, and why not.

Workers check each file when they store it, so a sound dataset is read once. Only where a file is
bad, or bad ones are to be left out, all are read for it beforehand: that is what counts them.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import NamedTuple

from mtfast import image_files
from mtfast.errors import MtfastError, RemoteError, SourceError
from mtfast.image_files import ImageHeader, read_header, shown_size
from mtfast.parallel import run_jobs
from mtfast.progress import Progress, track
from mtfast.sources import Orientation, Source
from mtfast.sources.bad_records import UNCLEAR

__all__ = [
    "BadImageError",
    "Checked",
    "ImageChecks",
    "ImageFault",
    "check_image",
    "find_faults",
    "read_image",
    "read_images",
]

_IMAGES_PER_JOB = 16
# Files that each worker asks for before it needs them, where they are elsewhere.
_AHEAD = 4


class ImageChecks(NamedTuple):
    """What is asked of an image file.

    Attributes
    ----------
    decode : bool
        That its pixels decode, not only that its header and markers are in order.
    orientation : {"stored", "shown"} or None
        The frame of the masks where their size does not tell it.
    """

    decode: bool
    orientation: Orientation | None


class Checked(NamedTuple):
    """What is known of an image file that can be stored.

    Attributes
    ----------
    header : ImageHeader
    orientation : int
        How it is turned for its masks, 1 to 8; 1 for not at all.
    """

    header: ImageHeader
    orientation: int


class BadImageError(SourceError):
    """An image file that cannot be stored; ``args`` are the kind of the fault and its words."""

    def __init__(self, kind: str, words: str) -> None:
        super().__init__(kind, words)

    @property
    def kind(self) -> str:
        """One of the kinds of :mod:`mtfast.sources.bad_records`."""
        return str(self.args[0])

    @property
    def words(self) -> str:
        """The image and what is wrong with it."""
        return str(self.args[1])

    def __str__(self) -> str:
        return (
            f"{self.kind}: {self.words}; expected a whole image file of the size in the "
            f"annotations; correct it, or leave it out with bad='skip'"
        )


class ImageFault(NamedTuple):
    """An image that cannot be stored: its split and name, the kind of fault, and it in words."""

    split: str
    name: str
    kind: str
    words: str


def read_image(source: Source, split: str, name: str) -> bytes:
    """Read the file of an image.

    Parameters
    ----------
    source : Source
    split, name : str

    Returns
    -------
    bytes

    Raises
    ------
    BadImageError
        If it is missing or cannot be read. An OSError further out would pass for one of the file
        that is written.
    """
    try:
        return source.read_image(split, name)
    except OSError as error:
        words = f"{name} cannot be read: {error.strerror or error}"
        raise BadImageError("unreadable image", words) from error
    except RemoteError:
        # It is not the image that is bad.
        raise
    except MtfastError as error:
        there = source.find_image(split, name) is not None
        kind = "unreadable image" if there else "image without file"
        raise BadImageError(kind, str(error).partition(";")[0]) from error


def read_images(source: Source, split: str, names: Iterable[str]) -> Iterator[bytes]:
    """Read the files of images, some ahead where each is a request.

    Parameters
    ----------
    source : Source
    split : str
    names : iterable of str

    Yields
    ------
    bytes

    Raises
    ------
    BadImageError
        As :func:`read_image`.
    """
    if not source.is_far(split):
        yield from (read_image(source, split, name) for name in names)
        return
    pool = ThreadPoolExecutor(_AHEAD)
    try:
        waiting: deque[Future[bytes]] = deque()
        for name in names:
            waiting.append(pool.submit(read_image, source, split, name))
            if len(waiting) > _AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def check_image(data: bytes, name: str, size: tuple[int, int], checks: ImageChecks) -> Checked:
    """Check that an image file can be stored.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
    size : (height, width)
        Of its masks.
    checks : ImageChecks

    Returns
    -------
    Checked

    Raises
    ------
    BadImageError
        If it is no image, is damaged, or does not fit its masks.
    """
    try:
        header = read_header(data)
        if checks.decode:
            image_files.decode(data)
    except MtfastError as error:
        raise BadImageError("unreadable image", f"{name} is {error}".partition(";")[0]) from error
    return Checked(header, _orientation(header, size, checks.orientation, name))


def _orientation(
    header: ImageHeader, size: tuple[int, int], chosen: Orientation | None, name: str
) -> int:
    """Return how an image is turned for its masks, which have a size; 1 for not at all.

    Masks may have been drawn on the image as it is stored, or as viewers show it. Their size tells
    which, unless it is the same both ways.
    """
    stored = header.height, header.width
    shown = shown_size(*stored, header.orientation)
    fits = {"stored": size == stored, "shown": size == shown}
    if not any(fits.values()):
        words = f"{name}: {size[0]} x {size[1]} in annotations, {stored[0]} x {stored[1]} pixels"
        if header.orientation > 1:
            words += f", {shown[0]} x {shown[1]} by its EXIF orientation {header.orientation}"
        raise BadImageError("sizes disagree", words)
    if header.orientation == 1:
        return 1
    if all(fits.values()):
        if chosen is None:
            raise BadImageError(UNCLEAR, f"{name}: orientation {header.orientation}")
        return header.orientation if chosen == "shown" else 1
    return header.orientation if fits["shown"] else 1


class _Job(NamedTuple):
    source: Source
    split: str
    images: list[tuple[str, tuple[int, int]]]
    checks: ImageChecks


def find_faults(
    source: Source,
    split: str,
    sizes: Sequence[tuple[str, tuple[int, int]]],
    checks: ImageChecks,
    workers: int | None,
    progress: Progress | None,
) -> list[ImageFault]:
    """Check all image files of a split.

    Parameters
    ----------
    source : Source
    split : str
    sizes : sequence of (name, (height, width))
        Of its images: the name of each, and the size of its masks.
    checks : ImageChecks
    workers : int, optional
        Threads.
    progress : callable, optional
        Called as (what, done, total).

    Returns
    -------
    list of ImageFault
        Those that cannot be stored, in order.
    """
    there = source.find_images(split, [name for name, _ in sizes])
    missing = [
        ImageFault(split, name, "image without file", repr(name))
        for name, _ in sizes
        if name not in there
    ]
    listed = [image for image in sizes if image[0] in there]
    jobs = [
        _Job(source, split, listed[start : start + _IMAGES_PER_JOB], checks)
        for start in range(0, len(listed), _IMAGES_PER_JOB)
    ]
    if not jobs:
        return missing
    what = f"checking images of {split}"
    with run_jobs(_check_all, jobs, "check-images", "threads", workers) as results:
        shown = track(results, what, progress, len(listed), lambda r: len(jobs[r[0]].images))
        found = dict(shown)
    return missing + list(chain.from_iterable(found[number] for number in range(len(jobs))))


def _check_all(job: _Job) -> list[ImageFault]:
    return list(_faults(job))


def _faults(job: _Job) -> Iterator[ImageFault]:
    for name, size in job.images:
        try:
            check_image(read_image(job.source, job.split, name), name, size, job.checks)
        except BadImageError as error:
            yield ImageFault(job.split, name, error.kind, error.words)
