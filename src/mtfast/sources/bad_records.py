"""What can be wrong with the records of a dataset: one vocabulary for readers, reports and doctor.

A kind says what ``bad="repair"`` and ``bad="skip"`` do with such a record. A :class:`Ledger` is
the one place that counts: readers tell it what they met and it says what becomes of the record.

=============  ==================================================================
``refuse``     every bad record is counted, then the file is refused in one line
``skip``       bad records are left out
``repair``     bad records are mended; the file is refused if one cannot be
``examine``    bad records are mended where possible, otherwise left out: for doctor
=============  ==================================================================
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, NamedTuple

from mtfast.errors import counted, printable
from mtfast.limits import MAX_PIXELS

__all__ = [
    "KINDS",
    "NAME_FOLDER",
    "OF_IMAGE_FILES",
    "READ_AS_BOX",
    "TOO_LARGE",
    "TOO_MANY_PIXELS",
    "UNCLEAR",
    "WITHOUT_FILE",
    "BadRecords",
    "Done",
    "Kind",
    "Ledger",
    "LedgerPolicy",
    "Policy",
    "advice_on",
    "refusal",
]

Policy = Literal["refuse", "skip", "repair"]
LedgerPolicy = Policy | Literal["examine"]
Done = Literal[
    "refused", "skipped", "repaired", "dropped", "mapped", "matched", "rewritten", "kept"
]

MOST_EXAMPLES = 3


class Kind(NamedTuple):
    """Something that may be wrong with records, or that is worth saying.

    Attributes
    ----------
    name : str
        What reports and doctor call it.
    repair : str
        What repairing does; empty where it cannot be done.
    done : str
        What has been done once it is repaired: "repaired", or "dropped" where nothing is left.
    is_safe : bool
        Whether repairing loses and invents nothing: then skipping repairs, too.
    is_bad : bool
        Whether a file with such records is refused by default.
    """

    name: str
    repair: str = ""
    done: Done = "repaired"
    is_safe: bool = False
    is_bad: bool = True


UNCLEAR = "EXIF orientation unclear"
"""An image that fits its masks as it is stored and as it is shown: never left out unasked, as all
images of a camera may be so."""

TOO_LARGE = "category id beyond 65535"
"""A class that masks of 16 bits cannot hold; counted where masks are painted."""

TOO_MANY_PIXELS = "image of too many pixels"
"""An image larger than :mod:`mtfast.limits` allows."""

WITHOUT_FILE = "image without file"

NAME_FOLDER = "name their folder with image_folder=…"
"""What to do where images are not found that are elsewhere."""

READ_AS_BOX = "four numbers read as a box"
"""A segmentation such as [[100, 100, 150, 150]]: x, y, width and height, as in pycocotools."""

_NUMBERED = "numbers them in file order"
_LEFT_OUT = "leaves them out"

# fmt: off
KINDS: dict[str, Kind] = {kind.name: kind for kind in (
    Kind("malformed record"),
    Kind("id of text", _NUMBERED, is_safe=True),
    Kind("id beyond 64 bits", _NUMBERED, is_safe=True),
    Kind("id missing", _NUMBERED, is_safe=True),
    Kind("whole number with a decimal point", "reads them as whole numbers", is_safe=True),
    Kind("image size missing", "reads sizes from the image files", is_safe=True),
    Kind(TOO_MANY_PIXELS),
    Kind("file name missing"),
    Kind("file name twice", "joins the annotations of both records"),
    Kind("image id twice", "keeps the first of two records of one file"),
    Kind("category id twice", "keeps the first of two records of one name"),
    Kind("annotation id twice", "gives the later ones free ids"),
    Kind("caption among instances", _LEFT_OUT, "dropped"),
    Kind("annotation without image", _LEFT_OUT, "dropped"),
    Kind("annotation without category"),
    Kind("no segmentation", "draws their boxes as rectangles"),
    Kind("no segmentation and no box"),
    Kind("flat polygon", "puts polygons into a list"),
    Kind("polygon nested too deep", "takes polygons out of the inner lists"),
    Kind("polygon of two points", "leaves out such rings"),
    Kind("polygon of two points alone", _LEFT_OUT, "dropped"),
    Kind("label not in labels.txt", "numbers such classes after the others"),
    Kind("region without a label"),
    Kind("region on a turned image"),
    Kind("regions on several images"),
    Kind("file of several images"),
    Kind("RLE in a list", "takes RLEs out of the list"),
    Kind("RLE of another size"),
    Kind("RLE that does not fill its frame"),
    Kind("malformed segmentation"),
    Kind("area or bbox not a number", "ignores such values", is_safe=True),
    Kind("category id 0"),
    Kind("category not listed", "lists classes under their numbers"),
    Kind(TOO_LARGE),
    Kind(WITHOUT_FILE),
    Kind("unreadable image"),
    Kind("sizes disagree"),
    Kind(UNCLEAR),
    Kind("mask without image"),
    Kind("unreadable mask"),
    Kind("mask of another size"),
    Kind("segment without pixels", _LEFT_OUT, "dropped"),
    Kind("pixels of no class", "takes them for background", "dropped"),
    Kind("outline beyond the image", done="kept", is_bad=False),
    Kind("object of several classes", done="kept", is_bad=False),
    Kind("image without mask", done="dropped", is_bad=False),
    Kind("image without annotation file", done="dropped", is_bad=False),
    Kind("image that nobody has annotated", done="dropped", is_bad=False),
    Kind("cancelled annotation", done="dropped", is_bad=False),
    Kind("annotation that is not chosen", done="dropped", is_bad=False),
    Kind("prediction", done="dropped", is_bad=False),
    Kind("region of several labels", done="kept", is_bad=False),
    Kind("JSON file of another format", done="dropped", is_bad=False),
    Kind("shape without a mask", done="dropped", is_bad=False),
    Kind("label that is no class", done="dropped", is_bad=False),
    Kind("image inside its JSON file", done="kept", is_bad=False),
    Kind("image without annotations", done="kept", is_bad=False),
    Kind("images of a split missing", done="dropped", is_bad=False),
    Kind("page of a TIFF stack", done="rewritten", is_bad=False),
    Kind("unused category 0", done="dropped", is_bad=False),
    Kind("category mapped", done="mapped", is_bad=False),
    Kind("iscrowd", done="kept", is_bad=False),
    Kind(READ_AS_BOX, done="kept", is_bad=False),
    Kind("file of another spelling", done="matched", is_bad=False),
)}
# fmt: on
"""All kinds by their names, in the order in which they are reported."""

OF_IMAGE_FILES = (WITHOUT_FILE, "unreadable image", "sizes disagree", UNCLEAR)
"""The kinds that are about the files of images, not about annotation files."""

_OF_MASK_FILES = ("mask without image", "unreadable mask")

_ORDER = {name: k for k, name in enumerate(KINDS)}


@dataclass(frozen=True)
class BadRecords:
    """The records of a file that have one thing wrong with them.

    Attributes
    ----------
    kind : str
        One of :data:`KINDS`.
    file : str
        The annotation file, or the split where it is about image files.
    places : tuple
        Each record once: the id of an annotation, the file name of an image, or what else names it.
    examples : tuple of str
        The first of them, in words.
    done : str
        "refused", "skipped" (left out), "repaired", "dropped" (left out by repairing), "mapped",
        "matched", "rewritten" (as another file of the same pixels), or "kept" (as it is).
    mapping : tuple of (old, new)
        The numbers that records got, where they got others.
    """

    kind: str
    file: str
    places: tuple[Hashable, ...]
    examples: tuple[str, ...]
    done: Done
    mapping: tuple[tuple[str, int], ...] = ()

    @property
    def n(self) -> int:
        """Number of records."""
        return len(self.places)

    def __str__(self) -> str:
        """In one line, such as ``2 x flat polygon (annotation 7 (number 1), …): repaired``."""
        more = ", …" if self.n > len(self.examples) else ""
        return f"{self.n:,} x {self.kind} ({', '.join(self.examples)}{more}): {self.done}"


@dataclass
class _Entry:
    places: list[Hashable] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)
    mapping: list[tuple[str, int]] = field(default_factory=list)


class Ledger:
    """Counts what is met in a file, and says what becomes of it.

    Parameters
    ----------
    file : str
        For messages.
    policy : {"refuse", "skip", "repair", "examine"}

    Attributes
    ----------
    free_category : int
        A class number that can be suggested for class 0.
    expected : str
        What records should be, for messages.
    looked_for : str
        Where images were looked for, where it is about image files.
    takes_image_folder : bool
        Whether the folder of the images can be named.

    Examples
    --------
    >>> ledger = Ledger("a.json", "skip")
    >>> ledger.keep("flat polygon", 7, "annotation 7"), ledger.keep("id of text", "b", "image 'b'")
    (False, True)
    >>> [(found.kind, found.done) for found in ledger.found()]
    [('id of text', 'repaired'), ('flat polygon', 'skipped')]
    """

    def __init__(self, file: str, policy: LedgerPolicy) -> None:
        self.file = file
        self.policy = policy
        self.free_category = 1
        self.expected = "records as COCO describes them"
        self.looked_for = ""
        self.takes_image_folder = False
        self._entries: dict[tuple[str, Done], _Entry] = {}

    def keep(self, kind: str, place: Hashable, example: str, can_repair: bool = True) -> bool:
        """Count a bad record.

        Parameters
        ----------
        kind : str
        place : hashable
            The record.
        example : str
            The record in words.
        can_repair : bool
            Whether this one can be repaired, if those of its kind can be.

        Returns
        -------
        bool
            Whether the record is to be repaired and kept; otherwise it is left out.
        """
        what = KINDS[kind]
        repairs = bool(what.repair) and can_repair
        done: Done
        if (
            self.policy == "refuse"
            or (self.policy == "repair" and not repairs)
            or (self.policy == "skip" and kind == UNCLEAR)
        ):
            done = "refused"
        elif self.policy == "skip" and not (repairs and what.is_safe):
            done = "skipped"
        else:
            done = what.done if repairs else "skipped"
        self._count(kind, done, place, example)
        return repairs and what.done == "repaired" and done != "skipped"

    def say(
        self,
        kind: str,
        places: Sequence[Hashable],
        examples: Iterable[str],
        *,
        mapped: bool = False,
    ) -> None:
        """Count what is no fault.

        Parameters
        ----------
        kind : str
            One that is not bad.
        places : sequence of hashable
        examples : iterable of str
        mapped : bool
            Whether the places are pairs (old, new).
        """
        if not places:
            return
        entry = self._entries.setdefault((kind, KINDS[kind].done), _Entry())
        entry.places += places
        more = islice(examples, MOST_EXAMPLES - len(entry.examples))
        entry.examples += map(printable, more)
        if mapped:
            entry.mapping += places  # type: ignore[arg-type]

    def counted(self, kind: str) -> bool:
        """Whether something of a kind was counted.

        Parameters
        ----------
        kind : str

        Returns
        -------
        bool
        """
        return any(name == kind for name, _ in self._entries)

    def number(self, kind: str, old: str, new: int) -> None:
        """Note the number that a record got.

        Parameters
        ----------
        kind : str
            Under which it was counted.
        old : str
        new : int
        """
        for (name, done), entry in self._entries.items():
            if name == kind and done in ("repaired", "refused"):
                entry.mapping.append((printable(old), new))

    def _count(self, kind: str, done: Done, place: Hashable, example: str) -> None:
        entry = self._entries.setdefault((kind, done), _Entry())
        entry.places.append(place)
        if len(entry.examples) < MOST_EXAMPLES:
            entry.examples.append(printable(example))

    def found(self) -> tuple[BadRecords, ...]:
        """Return all that was counted, in the order of :data:`KINDS`.

        Returns
        -------
        tuple of BadRecords
        """
        entries = sorted(self._entries.items(), key=lambda item: _ORDER[item[0][0]])
        return tuple(
            BadRecords(kind, self.file, tuple(e.places), tuple(e.examples), done, tuple(e.mapping))
            for (kind, done), e in entries
        )


def refusal(ledger: Ledger, found: Sequence[BadRecords]) -> str | None:
    """Return why a file is refused, in one line.

    Parameters
    ----------
    ledger : Ledger
    found : sequence of BadRecords
        All that it counted.

    Returns
    -------
    str or None
        None if nothing was refused.
    """
    refused = [bad for bad in found if bad.done == "refused"]
    if not refused:
        return None
    n = sum(bad.n for bad in refused)
    words = ", ".join(
        f"{bad.n:,} x {bad.kind} ({bad.examples[0]}{', …' if bad.n > 1 else ''})" for bad in refused
    )
    what = " that cannot be repaired" if ledger.policy == "repair" else ""
    return (
        f"{ledger.file}: {counted(n, 'bad record')}{what}: {words}; "
        f"expected {_expected(refused, ledger)}; {_advice(refused, ledger)}"
    )


def _expected(refused: Sequence[BadRecords], ledger: Ledger) -> str:
    kinds = {bad.kind for bad in refused}
    place = f" in {ledger.looked_for}" if WITHOUT_FILE in kinds and ledger.looked_for else ""
    if kinds == {WITHOUT_FILE}:
        return f"the file of every image{place}"
    if kinds == {UNCLEAR}:
        return "to be told on which of both the masks lie"
    if kinds <= {*OF_IMAGE_FILES}:
        return f"a whole file of every image, of the size that is stated for it{place}"
    if kinds <= {*_OF_MASK_FILES}:
        return "a grey or palette PNG of labels for each mask, beside its image"
    return ledger.expected


def advice_on(kinds: Sequence[Kind]) -> str:
    """Return what skipping and repairing records of some kinds would do.

    Parameters
    ----------
    kinds : sequence of Kind
        Bad ones.

    Returns
    -------
    str

    Examples
    --------
    >>> advice_on([KINDS["flat polygon"]])
    "bad='skip' leaves them out; bad='repair' puts polygons into a list"
    >>> advice_on([KINDS["category id 0"], KINDS["id missing"]])    # doctest: +ELLIPSIS
    "bad='skip' numbers them in file order and leaves out the others; bad='repair' numbers them ...
    """
    safe = dict.fromkeys(kind.repair for kind in kinds if kind.is_safe)
    left = "leaves out the others" if safe else "leaves them out"
    skip = " and ".join([*safe, *[left] * any(not kind.is_safe for kind in kinds)])
    mends = ", ".join(dict.fromkeys(kind.repair for kind in kinds if kind.repair))
    hopeless = ", ".join(kind.name for kind in kinds if not kind.repair)
    refuses = f"{'and ' if mends else ''}refuses {hopeless}" if hopeless else ""
    repair = " ".join(part for part in (mends, refuses) if part)
    if skip == repair:
        return f"bad='skip' and bad='repair' each {skip}"
    return f"bad='skip' {skip}; bad='repair' {repair}"


def _advice(refused: Sequence[BadRecords], ledger: Ledger) -> str:
    kinds = {bad.kind for bad in refused}
    told = "give orientation='stored' or orientation='shown', " * (UNCLEAR in kinds)
    if kinds == {UNCLEAR}:
        return told.removesuffix(", ")
    zero = (
        f"map class 0 to a free number (convert with mapping={{0: {ledger.free_category}}}), "
        if "category id 0" in kinds
        else ""
    )
    large = "map such classes to free numbers (convert with mapping=…), " * (TOO_LARGE in kinds)
    large += f"set {MAX_PIXELS} to read larger images, " * (TOO_MANY_PIXELS in kinds)
    named = WITHOUT_FILE in kinds and ledger.takes_image_folder
    folder = f"{NAME_FOLDER}, " * named
    without = ", or convert with images='none'" if kinds <= {*OF_IMAGE_FILES} else ""
    if ledger.policy == "repair":
        advice = f"{folder}{told}{zero}{large}or leave them out with bad='skip'"
        return f"correct them, {advice}{without}"
    others = [KINDS[bad.kind] for bad in refused if bad.kind != UNCLEAR]
    return f"correct them, {folder}{told}{zero}{large}or go on: {advice_on(others)}{without}"
