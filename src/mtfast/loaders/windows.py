"""The former home of :class:`mtfast.loaders.Augment`, for imports that are already written."""

from mtfast.loaders.views import Augment

__all__ = ["Augment"]
