"""The former home of :class:`mtfast.loaders.Augment`; existing imports of it keep working."""

from mtfast.loaders.views import Augment

__all__ = ["Augment"]
