"""Samples of a split: an image with its masks, whole or a window."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mtfast.arguments import Window
from mtfast.caching import cached_property
from mtfast.painting.crop import crop_table
from mtfast.painting.paint import semantic
from mtfast.table import RunTable

if TYPE_CHECKING:
    from mtfast.store.reading.split import Split

__all__ = ["CroppedSample", "Sample"]


class Sample:
    """One image of a split with its masks; each is read and decoded when it is first used.

    Attributes
    ----------
    split : Split
        That it is of.
    index : int
        Of the image in the split.
    """

    def __init__(self, split: Split, index: int) -> None:
        self.split = split
        self.index = index

    def __repr__(self) -> str:
        height, width = self.size
        return (
            f"<sample {self.index} of split {self.split.name!r}: {self.name}, {height} x {width}>"
        )

    @property
    def name(self) -> str:
        """File name of the image."""
        return str(self.split.names[self.index])

    def _repr_html_(self) -> str:
        from mtfast.store.reading.notebook import sample_html

        return sample_html(self)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.split.size(self.index)

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The image, (height, width, 3) uint8 RGB."""
        return self.split.image(self.index)

    @cached_property
    def semantic(self) -> NDArray[Any]:
        """The semantic mask, (height, width) uint8 or uint16."""
        return self.split.semantic(self.index)

    @cached_property
    def instances(self) -> RunTable:
        """The instances, from the variant that the semantic mask was painted from."""
        return self.split.instances(self.index)

    @property
    def listed_instances(self) -> RunTable:
        """The instances; none, where their variant does not list the image."""
        if self.split.lists(self.index):
            return self.instances
        return RunTable.of_texts(self.size, [[]])

    def overlay(self, *, alpha: float = 0.35, outlines: bool = True) -> NDArray[np.uint8]:
        """Draw the instances on the image, in the colours that classes have in all pictures.

        Parameters
        ----------
        alpha : float
            How much of an instance's pixels is colour, 0 to 1.
        outlines : bool
            Whether a line is drawn around each instance.

        Returns
        -------
        (height, width, 3) uint8, C order
            RGB, an array of its own. Images of 16 bits are scaled to what they hold.

        Raises
        ------
        StoreError
            If the split holds no images, or bytes are damaged.
        MtfastError
            If alpha is not between 0 and 1.

        Examples
        --------
        >>> sample = mtfast.open("graphene.zarr")["train"][3]
        >>> sample.overlay(alpha=0.5).shape
        (96, 128, 3)
        >>> np.array_equal(sample.overlay(alpha=0, outlines=False), sample.image)
        True
        """
        from mtfast.pictures.overlay import overlay

        return overlay(self.image, self.listed_instances, alpha=alpha, outlines=outlines)

    def show(self, *, alpha: float = 0.35, outlines: bool = True) -> None:
        """Show the image with its instances: below the cell of a notebook, else in a window.

        Parameters
        ----------
        alpha, outlines
            As for :meth:`overlay`.

        Raises
        ------
        StoreError, MtfastError
            As :meth:`overlay`.

        Examples
        --------
        >>> mtfast.open("graphene.zarr")["train"][3].show()                  # doctest: +SKIP
        """
        from mtfast.pictures.notebook import show_picture

        show_picture(self.overlay(alpha=alpha, outlines=outlines), self.name)


class CroppedSample(Sample):
    """A window of one image with its masks; :meth:`Split.crop` makes it.

    Masks are painted from the runs that the window cuts; the rest of the mask is never made.

    Attributes
    ----------
    split : Split
        That it is of.
    index : int
        Of the image in the split.
    window : Window
    """

    def __init__(self, split: Split, index: int, window: Window) -> None:
        super().__init__(split, index)
        self.window = window

    def __repr__(self) -> str:
        y, x, height, width = self.window
        return (
            f"<window {height} x {width} at ({y}, {x}) of sample {self.index} of split "
            f"{self.split.name!r}: {self.name}>"
        )

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.window.height, self.window.width

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """The window of the image, (height, width, 3) uint8 RGB."""
        return self.split.crop_image(self.index, *self.window)

    @cached_property
    def semantic(self) -> NDArray[Any]:
        """The window of the semantic mask, (height, width) uint8 or uint16."""
        _, _, height, width = self.window
        mask = np.zeros((height, width), self.split.semantic_dtype)
        semantic(self.listed_instances, out=mask[None])
        return mask

    @cached_property
    def instances(self) -> RunTable:
        """The instances that have a pixel in the window, in its frame."""
        return crop_table(self.split.instances(self.index), self.window)
