"""What sources and stores have in common: a mapping of names to splits."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import TypeVar

from mtfast.errors import shown

__all__ = ["SplitMapping"]

Split = TypeVar("Split", covariant=True)


class SplitMapping(Mapping[str, Split]):
    """A mapping of the names of splits to splits: ``data["train"]``, ``data.items()``, and so on.

    Two are equal if they are the same object, as files are.
    """

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """Names of the splits."""

    @abstractmethod
    def _split(self, name: str) -> Split:
        """Return a split, or raise a KeyError that says which there are."""

    def __getitem__(self, split: str) -> Split:
        """Return a split.

        Parameters
        ----------
        split : str

        Returns
        -------
        Split

        Raises
        ------
        KeyError
            If there is no such split; it is a :class:`mtfast.MtfastError` too.
        TypeError
            If it is no name.
        """
        if not isinstance(split, str):
            raise TypeError(
                f"a split is called by {shown(split)}, of type {type(split).__name__}; expected "
                f"its name; give one of: {', '.join(self.splits) or 'none'}"
            )
        return self._split(split)

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def __contains__(self, split: object) -> bool:
        return isinstance(split, str) and split in self.splits

    def _ipython_key_completions_(self) -> list[str]:
        # What IPython offers after data["
        return list(self.splits)

    __eq__ = object.__eq__
    __hash__ = object.__hash__
