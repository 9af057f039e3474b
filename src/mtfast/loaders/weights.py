"""How often images come, for sets in which some classes are rare.

What matters in these sets is rare: few flakes have few layers. Weights say how often an image
comes, relative to the others; :class:`mtfast.loaders.epoch_order.EpochOrder` draws by them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mtfast.arguments import as_integer
from mtfast.errors import MtfastError, no_such, shown
from mtfast.loaders.classes import ClassTable
from mtfast.public import public_names

__all__ = ["ClassWeights", "repeat_factors", "weights_by_class"]

ClassWeights = Mapping[str, float] | Mapping[int, float] | Mapping[str | int, float]
"""Name or number of a class -> weight of the images that show it."""

Float64 = NDArray[np.float64]

_NUMBER = (int, float, np.integer, np.floating)


def repeat_factors(counts: ArrayLike, threshold: float) -> Float64:
    """Return how often each image comes so that rare classes are seen more often.

    Parameters
    ----------
    counts : (n_images, n_classes) int
        Instances of each class in each image, as ``Dataset.class_counts()`` returns them.
    threshold : float
        Above 0. Classes that more than this share of the images show are not repeated.

    Returns
    -------
    (n_images,) float64
        At least 1. An epoch as long as that of LVIS has ``round(factors.sum())`` samples.

    Raises
    ------
    MtfastError
        If the threshold is no number from 0 to 1.

    Examples
    --------
    Class 2 is in one image of four.

    >>> repeat_factors([[1, 0], [2, 1], [1, 0], [3, 0]], threshold=1.0)
    array([1., 2., 1., 1.])

    Notes
    -----
    The factor of a class is max(1, sqrt(threshold / share of the images that show it)), that of an
    image the largest of its classes; images without instances have 1. (A. Gupta, P. Dollar,
    R. Girshick, LVIS, CVPR 2019, section 5.)
    """
    if not isinstance(threshold, _NUMBER) or not 0 < threshold <= 1:
        raise MtfastError(
            f"threshold is {shown(threshold)}; expected a share above 0, at most 1; correct it"
        )
    shows = np.asarray(counts) > 0
    share = shows.mean(axis=0) if len(shows) else np.ones(shows.shape[1])
    of_class = np.maximum(1.0, np.sqrt(threshold / np.where(share > 0, share, 1.0)))
    factors: Float64 = np.where(shows, of_class, 1.0).max(axis=1, initial=1.0)
    return factors


def weights_by_class(counts: ArrayLike, classes: ClassTable, weights: ClassWeights) -> Float64:
    """Return how often each image comes, from weights of classes.

    Parameters
    ----------
    counts : (n_images, n_classes) int
        Instances of each class in each image.
    classes : ClassTable
    weights : mapping
        Name or number of a class -> weight; the others have 1.

    Returns
    -------
    (n_images,) float64
        The largest weight of the classes in the image; 1 without instances.

    Raises
    ------
    MtfastError
        If there is no such class, or a weight is no number from 0 on.

    Examples
    --------
    >>> from mtfast.loaders.classes import ClassLabel
    >>> classes = ClassTable([ClassLabel(1, 3, "1 layer"), ClassLabel(2, 8, "2 layers")])
    >>> weights_by_class([[1, 0], [2, 1], [0, 0]], classes, {"2 layers": 5})
    array([1., 5., 1.])
    """
    of_class = np.ones(len(classes))
    for key, weight in weights.items():
        if isinstance(key, str) and key not in classes.names:
            raise MtfastError(no_such("class", key, classes.names, "the weights"))
        if isinstance(key, str):
            k = classes.names.index(key)
        else:
            k = as_integer("number of a class in the weights", key, 1, len(classes)) - 1
        if not isinstance(weight, _NUMBER) or not 0 <= weight < np.inf:
            raise MtfastError(
                f"the weight of {shown(key)} is {shown(weight)}; expected a number from 0 on; "
                f"correct it"
            )
        of_class[k] = weight
    shows = np.asarray(counts) > 0
    largest = np.where(shows, of_class, 0.0).max(axis=1, initial=0.0)
    return np.where(shows.any(axis=1), largest, 1.0)


def __dir__() -> list[str]:
    return public_names(globals())
