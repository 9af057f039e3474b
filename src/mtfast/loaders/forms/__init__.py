"""What a sample and a batch look like to the library that a model is written with.

A form is a file here: ``convert`` makes of one sample, a dict of plain tensors, what the library
takes, and ``collate`` makes a batch of several. ``registry`` names them. ``transform`` calls users'
own transforms, which run before ``convert``.

A sample as plain tensors has, where they were asked for:

============ ================================================================================
``index``    int, of the image in its split
``name``     str, of the image
``view``     (8,) int64, a :class:`mtfast.loaders.views.View`
``image``    (3, h, w) uint8, RGB unless BGR was asked for; a view of (h, w, 3) memory
``semantic`` (h, w) uint8, or uint16 where numbers of classes need it: numbers of classes
             from 1 on, 0 for background
``masks``    (n, h, w) bool
``boxes``    (n, 4) float32, [left, top, right, bottom] in pixels, the last two exclusive
``labels``   (n,) int64, numbers of classes from 1 on
``areas``    (n,) int64, pixels of each mask
``ids``      (n,) int64, annotation ids
============ ================================================================================

A transform may add tensors under other keys; every form passes them on.

A new form is a file with a ``FORM`` and a line in ``registry``.
"""

from mtfast.loaders.forms.form import Form, Formatted
from mtfast.loaders.forms.registry import (
    FORMS,
    check_form,
    check_image_format,
    collate,
    format_batch,
)
from mtfast.loaders.forms.transform import apply_transform

__all__ = [
    "FORMS",
    "Form",
    "Formatted",
    "apply_transform",
    "check_form",
    "check_image_format",
    "collate",
    "format_batch",
]
