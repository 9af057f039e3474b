"""What is wrong with an RLE text, in words."""

from __future__ import annotations

import numpy as np

__all__ = ["explain"]


def explain(text: bytes, height: int, width: int) -> str:
    """Describe what is wrong with an RLE text, for an error message.

    Parameters
    ----------
    text : bytes
    height, width : int
        Of its frame.

    Returns
    -------
    str

    Examples
    --------
    >>> explain(b"13", 1, 6).partition(";")[0]
    'runs that end before the frame does'
    """
    from mtfast.kernels.rle import coco_string

    n_pixels = height * width
    places = np.empty(len(text), np.int64)
    data = np.frombuffer(text, np.uint8)
    status = coco_string.decode_places(data, 0, data.size, n_pixels, places)
    expected = f"expected runs that add up to {height} x {width} = {n_pixels} pixels"
    found = {
        coco_string.BAD_CHARACTER: "an RLE text with a character outside '0'..'o'",
        coco_string.TRUNCATED: "an RLE text that ends inside a number",
        coco_string.OVERLONG: "an RLE text with a number of more than 60 bits",
        coco_string.NEGATIVE_RUN: "an RLE text with a run of negative length",
        coco_string.TOO_LONG: "runs that go beyond the end of the frame",
        coco_string.TOO_SHORT: "runs that end before the frame does",
    }.get(status, "a sound RLE text")
    if not text:
        found = "an empty RLE text"
    return f"{found}; {expected}; correct or remove the annotation"
