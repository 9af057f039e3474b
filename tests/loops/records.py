"""What a loop was given: for each sample its image and its view, epoch by epoch.

The reference is what a dataset says when it is asked for (epoch, image) directly, which takes no
loader, no worker and no framework.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from typing import Any, TypeAlias

from mtfast.loaders import Augment

Sample: TypeAlias = tuple[int, tuple[int, ...]]
"""An image of the set, and its view."""

N_IMAGES = 21
"""Not a multiple of 2 ranks, nor of a batch."""

BATCH = 4
OPTIONS = {
    "crop": 32,
    "augment": Augment(near=0.5, scale=(0.8, 1.25)),
    "targets": ["semantic"],
    "seed": 5,
}


def samples_of(batch: dict[str, Any]) -> list[Sample]:
    """The samples of a batch in the form "tensors"."""
    images, views = batch["index"].tolist(), batch["view"].tolist()
    return [(image, tuple(view)) for image, view in zip(images, views, strict=True)]


def epoch_of(batches: Iterable[dict[str, Any]]) -> list[Sample]:
    """The samples of all batches."""
    return [sample for batch in batches for sample in samples_of(batch)]


def images_of(samples: Iterable[Sample]) -> list[int]:
    """Their images, sorted."""
    return sorted(image for image, _ in samples)


def twice(samples: Iterable[Sample]) -> int:
    """How many samples came before."""
    return sum(n - 1 for n in Counter(samples).values())


def digest(samples: Iterable[Sample]) -> str:
    """Eight digits that tell sequences of samples apart."""
    return hashlib.sha256(json.dumps(list(samples)).encode()).hexdigest()[:8]


def from_json(record: Any) -> Any:
    """Return samples as they were before they were written as JSON."""
    if isinstance(record, dict):
        return {key: from_json(value) for key, value in record.items()}
    if isinstance(record, list):
        is_sample = len(record) == 2 and isinstance(record[0], int) and isinstance(record[1], list)
        return (record[0], tuple(record[1])) if is_sample else [from_json(one) for one in record]
    return record


def of(ranks: list[dict[str, Any]], scenario: str) -> list[Any]:
    """What each rank recorded; fails with the traceback of a scenario that failed."""
    found = [rank[scenario] for rank in ranks]
    for one in found:
        assert not isinstance(one, str), one
    return found


def interleaved(*ranks: list[Sample]) -> list[Sample]:
    """The order in which ranks take turns."""
    return [sample for one_each in zip(*ranks, strict=True) for sample in one_each]
