"""Pictures where people work: inline in a notebook, or in a window of the system's viewer."""

from __future__ import annotations

import os
import sys
from base64 import b64encode
from html import escape
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mtfast.errors import MtfastError, printable

__all__ = ["as_text", "inline_picture", "show_picture"]

UInt8 = NDArray[np.uint8]


def inline_picture(pixels: UInt8, side: int) -> str:
    """Return an ``<img>`` that holds its picture.

    Parameters
    ----------
    pixels : (height, width, 3) uint8
        RGB.
    side : int
        The picture is shrunk until neither of its sides has more pixels.

    Returns
    -------
    str
        HTML with a JPEG file as a data URI: some 30 KB for 400 pixels.

    Examples
    --------
    >>> inline_picture(np.zeros((9, 9, 3), np.uint8), 400)[:40]
    '<img width="9" height="9" src="data:imag'
    """
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "JPEG", quality=85)
    data = f"data:image/jpeg;base64,{b64encode(file.getvalue()).decode()}"
    return f'<img width="{picture.width}" height="{picture.height}" src="{data}">'


def as_text(text: str, most: int = 60) -> str:
    """Escape a text for HTML, and cut it where it is long: names come from strangers.

    Parameters
    ----------
    text : str
    most : int
        Characters that are shown.

    Returns
    -------
    str

    Examples
    --------
    >>> as_text("<b>.jpg")
    '&lt;b&gt;.jpg'
    """
    shown = printable(text)
    return escape(shown if len(shown) <= most else f"{shown[: most - 1]}…")


def show_picture(pixels: UInt8, title: str) -> None:
    """Show a picture: below the cell in a notebook, else in the system's viewer.

    Parameters
    ----------
    pixels : (height, width, 3) uint8
        RGB.
    title : str
        Of the window, where the viewer has one.

    Raises
    ------
    MtfastError
        If there is neither a notebook nor a display.
    """
    picture = Image.fromarray(pixels)
    if _is_notebook():
        sys.modules["IPython"].display.display(picture)
    elif sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys():
        # Pillow would start viewers that fail one after another, on standard error.
        raise MtfastError(
            "no display to show a picture on; expected one, or a notebook; save what overlay() "
            "returns: PIL.Image.fromarray(sample.overlay()).save('sample.png')"
        )
    else:
        picture.show(title)


def _is_notebook() -> bool:
    # IPython is loaded by whoever runs a notebook. A terminal of it has no kernel.
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
