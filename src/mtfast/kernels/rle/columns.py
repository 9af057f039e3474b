"""Which column a place is in."""

from mtfast.kernels.jit import i64, kernel, pair

__all__ = ["column_of"]


@kernel(pair(i64, i64, i64, i64))
def column_of(place, x, top, height):
    """Find the column of a place that is not before column x.

    Mostly it is that one or the next, and a division takes as long as all else in a loop over runs.

    Parameters
    ----------
    place : int
    x, top : int
        A column and the place of its first pixel.
    height : int

    Returns
    -------
    x, top : int
        Those of the column of the place.
    """
    if place >= top + height:
        x += 1
        top += height
        if place >= top + height:
            x = place // height
            top = x * height
    return x, top
