"""Windows of a split decoded on a GPU, for those who infer and do not train."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window, check_window
from mtfast.errors import MtfastError, StoreError
from mtfast.jpeg.device import CodedImage, read_coded
from mtfast.jpeg.layout import CannotCutError

if TYPE_CHECKING:
    from mtfast.store.reading.split import Split

__all__ = ["decode_on_gpu", "read_window"]

# MCUs of a stretch where there is no crop index and the whole file is walked.
_STEP = 4


def read_window(split: Split, index: int, window: Window) -> CodedImage | None:
    """Read the coded data of a window: with the crop index, or else the whole file.

    Parameters
    ----------
    split : Split
    index : int
        Of the image.
    window : Window
        Inside the image.

    Returns
    -------
    CodedImage or None
        None where kernels cannot decode the file.

    Raises
    ------
    StoreError
        If the store is damaged.
    """
    found = split.coded_window(index, window)
    if found is not None or split.kinds[index] != "jpeg" or split.orientations[index] != 1:
        return found
    try:
        return read_coded(split.image_bytes(index), _STEP)
    except CannotCutError:
        return None
    except StoreError:
        raise
    except MtfastError as error:
        raise _damaged(split, index, str(error)) from error


def decode_on_gpu(split: Split, windows: Sequence[Any], device: Any) -> Any:
    """Decode windows of one size.

    Parameters
    ----------
    split : Split
    windows : sequence of (image, y, x, h, w)
    device : torch.device or str

    Returns
    -------
    (n, 3, h, w) uint8 tensor
        See :meth:`mtfast.store.reading.split.Split.crops_gpu`.
    """
    from mtfast.gpu.windows import WRONG, checked_device, decode_images

    place = checked_device(device)
    indices = [split.index(image) for image, *_ in windows]
    checked = [
        check_window(window, *split.size(index))
        for index, (_, *window) in zip(indices, windows, strict=True)
    ]
    sizes = {(window.height, window.width) for window in checked}
    if len(sizes) != 1:
        found = ", ".join(f"{height} x {width}" for height, width in sorted(sizes)[:3])
        raise MtfastError(
            f"windows of {len(sizes)} sizes{': ' + found if found else ''}; expected one size, to "
            f"decode them together; ask for those of one size at a time"
        )
    coded = [read_window(split, *pair) for pair in zip(indices, checked, strict=True)]
    frames = np.array([split.size(index) for index in indices], np.int64)
    pixels, status = decode_images(
        coded,
        frames,
        np.array(checked, np.int64),
        lambda number: _decoded(split, indices[number], checked[number]),
        place,
    )
    for number in np.flatnonzero(status).tolist():
        raise _damaged(split, indices[number], f"damaged: it has {WRONG[int(status[number])]}")
    return pixels.permute(0, 3, 1, 2)


def _decoded(split: Split, index: int, window: Window) -> NDArray[np.uint8]:
    """Decode a window on the CPU."""
    found: NDArray[Any] = split.crop_image(index, *window)
    if found.dtype != np.uint8:
        raise MtfastError(
            f"image {index} has 16 bits; expected 8 bits, to decode it on a GPU; "
            f"read it with image() or crop_image()"
        )
    return found


def _damaged(split: Split, index: int, found: str) -> StoreError:
    return StoreError(
        f"image {index} of split {split.name} is {found}; run 'mtfast check' on the store"
    )
