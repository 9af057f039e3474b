"""One image of a store with its masks, or a window of it."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast.painting.paint import semantic
from mtfast.painting.targets import crop_table
from mtfast.table import RunTable
from mtfast.window import Window

if TYPE_CHECKING:
    from mtfast.store.read import Split

__all__ = ["Crop", "Sample"]


class Sample:
    """One image of a split with its masks; each part is read and decoded when it is first used."""

    def __init__(self, split: Split, index: int) -> None:
        self._split = split
        self.index = index

    def __repr__(self) -> str:
        return f"<sample {self.index} of {self._split.name}: {self.name}>"

    @property
    def name(self) -> str:
        """File name of the image."""
        return str(self._split.names[self.index])

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The image, (height, width, 3) uint8 RGB."""
        return self._split.image(self.index)

    @cached_property
    def semantic(self) -> NDArray[Any]:
        """The semantic mask, (height, width) uint8 or uint16."""
        return self._split.semantic(self.index)

    @cached_property
    def instances(self) -> RunTable:
        """The instances, from the variant that the semantic mask was painted from."""
        return self._split.instances(self.index)


class Crop(Sample):
    """A window of one image; :meth:`mtfast.store.read.Split.crop` makes it.

    Masks are painted from the runs that the window cuts, so nothing of the rest is made.
    """

    def __init__(self, split: Split, index: int, window: Window) -> None:
        super().__init__(split, index)
        self.window = window

    def __repr__(self) -> str:
        return f"<window {self.window} of sample {self.index} of {self._split.name}: {self.name}>"

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The window of the image, (height, width, 3) uint8 RGB."""
        return self._split.crop_image(self.index, *self.window)

    @cached_property
    def semantic(self) -> NDArray[Any]:
        """The window of the semantic mask, (height, width) uint8 or uint16."""
        _, _, height, width = self.window
        mask = np.zeros((height, width), self._split.semantic_dtype)
        # An image that the variant does not list has an empty mask.
        if self._split.lists(self.index):
            semantic(self.instances, out=mask[None])
        return mask

    @cached_property
    def instances(self) -> RunTable:
        """The instances that have a pixel in the window, in its frame."""
        return crop_table(self._split.instances(self.index), self.window)
