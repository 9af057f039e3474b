"""Classes of tensors, for torchvision's v2 transforms, that keep a target's columns in step.

``SanitizeBoundingBoxes`` drops rows of the boxes, of the labels, and of every ``Mask`` that it can
index: of ``areas`` and ``ids`` it knows nothing. So columns remember by which rows they were
indexed, and a target indexes those that were left out.

Imported only where there is torchvision.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

# torchvision flattens samples with this module; torch has no public one in the oldest release
# that mtfast works with.
from torch.utils import _pytree
from torchvision import tv_tensors

from mtfast.loaders.forms.form import INSTANCE_KEYS

__all__ = ["Column", "SemanticMask", "Target", "in_step"]


class Column(tv_tensors.TVTensor):  # type: ignore[misc]
    """Numbers that transforms pass on, such as labels; ``target["labels"][kept]`` is one too.

    A plain tensor would be taken for an image where a sample has none.

    Attributes
    ----------
    rows : tuple
        What it was indexed with since its target was last in step.
    """

    rows: tuple[Any, ...] = ()

    @classmethod
    def of(cls, data: torch.Tensor) -> Column:
        """Make a column.

        Parameters
        ----------
        data : tensor
            A column too, whose rows are forgotten.

        Returns
        -------
        Column
            Shares the data.
        """
        column: Column = data.as_subclass(torch.Tensor).as_subclass(cls)
        return column

    @classmethod
    def __torch_function__(
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> torch.Tensor:
        # TVTensor refuses operations on two of its classes, such as masks[order] here.
        types = tuple(t for t in types if issubclass(t, cls))
        made: torch.Tensor = super().__torch_function__(func, types, args, kwargs)
        return made

    def __getitem__(self, rows: Any) -> torch.Tensor:
        chosen: torch.Tensor = self.as_subclass(torch.Tensor)[rows]
        if chosen.ndim != self.ndim:
            return chosen
        column = Column.of(chosen)
        column.rows = (*self.rows, rows)
        return column


class _SameAsMask(type(tv_tensors.Mask)):  # type: ignore[misc]
    """Lets a class be found in a dict as Mask, as ``dtype=`` and ``fill=`` want exact types."""

    def __eq__(cls, other: object) -> bool:
        return other is tv_tensors.Mask or cls is other

    def __hash__(cls) -> int:
        return hash(tv_tensors.Mask)


class SemanticMask(tv_tensors.Mask, metaclass=_SameAsMask):  # type: ignore[misc]
    """A mask of a whole image, (h, w), that stays whole where rows of instances are dropped."""

    def __getitem__(self, index: Any) -> torch.Tensor:
        is_row_choice = isinstance(index, torch.Tensor) and index.dtype == torch.bool
        if is_row_choice and index.ndim == 1 and self.ndim == 2:
            return self
        chosen: torch.Tensor = super().__getitem__(index)
        return chosen


class Target(dict[str, Any]):
    """A dict whose columns come out of every v2 transform in step."""


def in_step(target: Target) -> Target:
    """Drop the rows of all columns that were dropped of the labels.

    Parameters
    ----------
    target : Target
        Changed in place.

    Returns
    -------
    Target
        The same.
    """
    rows = getattr(target.get("labels"), "rows", ())
    for key in INSTANCE_KEYS:
        column = target.get(key)
        if isinstance(column, Column):
            # Those that the caller has indexed as well remember it.
            for chosen in () if column.rows else rows:
                column = column[chosen]
            target[key] = Column.of(column)
    return target


def _flatten(target: Target) -> tuple[list[Any], list[str]]:
    return list(target.values()), list(target)


def _unflatten(values: Iterable[Any], keys: list[str]) -> Target:
    return in_step(Target(zip(keys, values, strict=True)))


_pytree.register_pytree_node(Target, _flatten, _unflatten)
