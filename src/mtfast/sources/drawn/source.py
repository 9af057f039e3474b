"""What labelme's and Label Studio's sets share: images with instances as people draw them."""

from __future__ import annotations

import logging
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mtfast.errors import SourceError
from mtfast.sources.bad_records import Ledger, LedgerPolicy, refusal
from mtfast.sources.categories import settle_categories
from mtfast.sources.coco.read import Reading
from mtfast.sources.coco.records import Records
from mtfast.sources.drawn.table import (
    DrawnImage,
    of_listed,
    records_of_drawn,
    table_of_drawn,
)
from mtfast.sources.source import Source

__all__ = ["DrawnSource"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, repr=False)
class DrawnSource(Source):
    """A dataset of a drawing tool: a layout says how its files are read, and what classes they use.

    Attributes
    ----------
    tool : str
        Its name, for messages.
    """

    tool: ClassVar[str]

    def _read(self, split: str, file: str, policy: LedgerPolicy) -> Reading:
        ledger = Ledger(file, policy)
        ledger.expected = f"records as {self.tool} describes them"
        images = self._drawn(split, file, ledger)
        numbers, listed = self._numbers()
        images = [of_listed(image, listed, ledger) for image in images]
        table = table_of_drawn(images, numbers, ledger, self.rasterizer)
        table = settle_categories(table, dict(self.mapping), ledger)
        found = ledger.found()
        if message := refusal(ledger, found):
            raise SourceError(message)
        for bad in found:
            logger.info("%s: %s", file, bad)
        return Reading(table, found)

    def _read_records(self, split: str, file: str) -> Records:
        images = self._drawn(split, file, Ledger(file, self.bad))
        table = self._read(split, file, self.bad).table
        return records_of_drawn(table, images, file, **self._others())

    def _others(self) -> dict[str, object]:
        """What else the COCO file is to hold."""
        return {}

    @abstractmethod
    def _drawn(self, split: str, file: str, ledger: Ledger) -> list[DrawnImage]:
        """Read all that is drawn on the images of a split."""

    @abstractmethod
    def _numbers(self) -> tuple[dict[str, int], list[str]]:
        """Number the classes of all splits; return those that labels.txt has, too."""
