"""Some images of a split, in an order of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, overload
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from mtfast.caching import cached_property
from mtfast.errors import StoreNameError, counted, no_such
from mtfast.store.reading.positions import (
    ImageKey,
    ImageKeys,
    is_position,
    position_of,
    positions_of,
)
from mtfast.store.reading.sample import Sample

if TYPE_CHECKING:
    from mtfast.store.reading.split import Split

__all__ = ["Selection"]

# Indices that the repr lists.
_SHOWN = 8


class Selection:
    """Some images of a split; ``train[0:5]`` and the like make it, and read nothing.

    It is to a split what a slice is to a list: it has a length, is iterated over, indexed and
    selected from again by position in it, and reads many images in one call. Names, masks and
    annotations of an image are the split's.

    Attributes
    ----------
    split : Split
        That it is of.
    indices : (n,) int64
        Of its images in the split; an image may come several times. Read-only.

    Examples
    --------
    >>> train = mtfast.open("graphene.zarr")["train"]
    >>> some = train[2:8:2]
    >>> some
    <3 of the 10 images of split 'train': 2, 4, 6>
    >>> [sample.index for sample in some[::-1]]
    [6, 4, 2]
    >>> some.image().shape, some.semantic([0, -1]).shape
    ((3, 96, 128, 3), (2, 96, 128))
    """

    def __init__(self, split: Split, indices: NDArray[np.int64]) -> None:
        self.split = split
        self.indices = indices
        self.indices.flags.writeable = False

    def __repr__(self) -> str:
        shown = ", ".join(map(str, self.indices[:_SHOWN].tolist()))
        more = ", …" if len(self) > _SHOWN else ""
        of = f"{len(self):,} of the {counted(self.split.n_images, 'image')}"
        return f"<{of} of split {self.split.name!r}{': ' * bool(len(self))}{shown}{more}>"

    def _repr_html_(self) -> str:
        from mtfast.store.reading.notebook import selection_html

        return selection_html(self)

    def __len__(self) -> int:
        return self.indices.size

    def __iter__(self) -> Iterator[Sample]:
        return (Sample(self.split, index) for index in self.indices.tolist())

    @overload
    def __getitem__(self, images: ImageKey) -> Sample: ...

    @overload
    def __getitem__(self, images: ImageKeys) -> Selection: ...

    def __getitem__(self, images: ImageKey | ImageKeys) -> Sample | Selection:
        """Return one image, or a selection of several.

        Parameters
        ----------
        images : int, str, UUID, slice, list or array
            As for a split; integers are positions in the selection.

        Returns
        -------
        Sample or Selection

        Raises
        ------
        StoreError, IndexError, TypeError
            As :meth:`index`.
        """
        found = self._indices_of(images)
        if isinstance(found, int):
            return Sample(self.split, found)
        return Selection(self.split, found)

    def __contains__(self, image: object) -> bool:
        if isinstance(image, Sample):
            return image in self.split and image.index in self._positions
        if isinstance(image, str | UUID):
            return image in self.split and self.split.index(image) in self._positions
        return is_position(image, len(self))

    def index(self, image: ImageKey) -> int:
        """Return the position of an image in the selection.

        Parameters
        ----------
        image : int, str or UUID
            Its position, where negative ones count from the end; its file name; or its stem.

        Returns
        -------
        int
            0 .. len(selection) - 1; of an image that comes several times, the first.

        Raises
        ------
        StoreError
            Also a KeyError: if no image of the selection has that name.
        IndexError
            If the position is out of range.
        TypeError
            If it is none of these.

        Examples
        --------
        >>> some = mtfast.open("graphene.zarr")["train"][[7, 3]]
        >>> some.index(-1), some.index(some[1].name)
        (1, 1)
        """
        return position_of(image, len(self), self._find)

    @property
    def names(self) -> NDArray[Any]:
        """File names of its images, (n,) str."""
        return self.split.names[self.indices]

    @property
    def heights(self) -> NDArray[np.int64]:
        """Height of each image in pixels, (n,) int64."""
        return self.split.heights[self.indices]

    @property
    def widths(self) -> NDArray[np.int64]:
        """Width of each image in pixels, (n,) int64."""
        return self.split.widths[self.indices]

    @overload
    def image(self, images: ImageKey, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    @overload
    def image(
        self, images: ImageKeys | None = None, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]: ...

    def image(
        self, images: ImageKey | ImageKeys | None = None, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]:
        """Decode images, several side by side.

        Parameters
        ----------
        images : int, str, UUID, slice, list or array, optional
            By position in the selection, or by name; by default all of them.
        out : array, optional
            As for :meth:`Split.image`.

        Returns
        -------
        array, or list of arrays
            As :meth:`Split.image`.

        Raises
        ------
        StoreError, IndexError, TypeError
            As :meth:`Split.image`.
        """
        return self.split.image(self._indices_of(slice(None) if images is None else images), out)

    @overload
    def semantic(self, images: ImageKey, out: NDArray[Any] | None = None) -> NDArray[Any]: ...

    @overload
    def semantic(
        self, images: ImageKeys | None = None, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]: ...

    def semantic(
        self, images: ImageKey | ImageKeys | None = None, out: NDArray[Any] | None = None
    ) -> NDArray[Any] | list[NDArray[Any]]:
        """Read semantic masks, several into one array.

        Parameters
        ----------
        images : int, str, UUID, slice, list or array, optional
            By position in the selection, or by name; by default all of them.
        out : array, optional
            As for :meth:`Split.semantic`.

        Returns
        -------
        array, or list of arrays
            As :meth:`Split.semantic`.

        Raises
        ------
        StoreError, IndexError, TypeError
            As :meth:`Split.semantic`.
        """
        return self.split.semantic(self._indices_of(slice(None) if images is None else images), out)

    def _indices_of(self, images: ImageKey | ImageKeys) -> int | NDArray[np.int64]:
        found = positions_of(images, len(self), self._find)
        return int(self.indices[found]) if isinstance(found, int) else self.indices[found]

    def _find(self, name: str) -> int:
        found = None
        if name in self.split:
            found = self._positions.get(self.split.index(name))
        if found is None:
            where = f"this selection of split {self.split.name!r}"
            raise StoreNameError(no_such("image", name, self.names.tolist(), where))
        return found

    @cached_property
    def _positions(self) -> dict[int, int]:
        """Index of each image in the split -> its first position."""
        return {index: k for k, index in reversed(list(enumerate(self.indices.tolist())))}
