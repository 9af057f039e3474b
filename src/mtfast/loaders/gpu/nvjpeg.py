"""JPEG files decoded with nvJPEG, whose pixels differ from libjpeg-turbo's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import torch

from mtfast.errors import MtfastError

__all__ = ["decode_jpegs"]

Device: TypeAlias = torch.device | str


def decode_jpegs(files: Sequence[bytes], device: Device = "cuda") -> list[torch.Tensor]:
    """Decode JPEG files on a GPU with nvJPEG, through torchvision.

    Parameters
    ----------
    files : sequence of bytes
        Whole JPEG files.
    device : torch.device or str

    Returns
    -------
    list of (3, height, width) uint8 tensors
        RGB, on the device.

    Raises
    ------
    MtfastError
        If one of them is no JPEG, or there is no torchvision.

    Examples
    --------
    >>> (image,) = decode_jpegs([train.image_bytes(3)])                          # doctest: +SKIP

    Notes
    -----
    nvJPEG rounds and upsamples chroma differently from libjpeg-turbo, so pixels differ from
    those that a CPU decodes: on an H100, 28 % of the values of microscope images, by up to 47.
    Images are as stored, not turned as their masks may be: see
    :attr:`mtfast.store.reading.split.Split.orientations`.
    """
    for number, file in enumerate(files):
        if file[:2] != b"\xff\xd8":
            raise MtfastError(
                f"files[{number}] does not begin as a JPEG; expected JPEG files; decode files of "
                f"other kinds on the CPU"
            )
    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        raise MtfastError(
            "JPEG files to decode on a device, but no 'torchvision'; expected it to be installed; "
            "run: pip install torchvision"
        ) from None
    data = [torch.from_numpy(np.frombuffer(file, np.uint8).copy()) for file in files]
    decoded: list[torch.Tensor] = decode_jpeg(data, mode=ImageReadMode.RGB, device=device)
    return decoded
