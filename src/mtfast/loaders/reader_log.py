"""What a reader tells of itself in the log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from mtfast.loaders.views import allowed_turns

if TYPE_CHECKING:
    from mtfast.loaders.reader import Reader

__all__ = ["log_choices"]

logger = logging.getLogger(__name__)


def log_choices(reader: Reader) -> None:
    """Log the variant, how images are decoded, and what becomes of crowds and small images.

    Parameters
    ----------
    reader : Reader
    """
    where = f"split {reader.split_name} of {reader.store}"
    logger.info("%s: variant %s, %s images", where, reader.variant, f"{len(reader):,}")
    logger.info("%s: %s", where, _decoding(reader))
    n_crowds = int(np.count_nonzero(reader.split.crowds(reader.variant)))
    if n_crowds and reader.crowds != "keep":
        logger.warning(
            "%s: %s of %s annotations are crowds and are %s; crowds='keep' takes them as "
            "ordinary instances",
            where,
            f"{n_crowds:,}",
            f"{len(reader.split.labels(reader.variant)[0]):,}",
            "left out" if reader.crowds == "drop" else "ignored",
        )
    if reader.images and reader.cache_bytes and not reader.is_cached:
        logger.warning(
            "%s: nothing is cached; cache_bytes is %s, the decoded images take %s",
            where,
            f"{reader.cache_bytes:,}",
            f"{reader.decoded_bytes:,}",
        )
    crop = reader.sample_size
    small = reader.sizes < crop
    if reader.crop and np.any(small):
        logger.warning(
            "%s: %s of %s images are smaller than the crop and are padded; padding has the "
            "value %d in semantic masks",
            where,
            f"{np.count_nonzero(small.any(axis=1)):,}",
            f"{len(reader):,}",
            reader.ignore_value,
        )
    if reader.augment and reader.augment.turn and len(allowed_turns(crop, reader.frame)) < 4:
        logger.info("%s: two of four turns, as the window fits one way only", where)


def _decoding(reader: Reader) -> str:
    """How images are decoded, and why, for the log."""
    if not reader.images:
        return "masks only, no image is decoded"
    if reader.is_cached:
        return f"each image is decoded once and kept, {reader.decoded_bytes:,} bytes in all"
    scaled = reader.augment is not None and reader.augment.scale != (1, 1)
    if reader.crop in (None, reader.frame) and not scaled:
        return "whole images are decoded, as samples are whole images"
    if reader.split.has_crop_index:
        return "windows are decoded with the crop index"
    return (
        "whole images are decoded for each window, as the store has no crop index; "
        "'mtfast index' adds one"
    )
