"""Windows of training samples, chosen for a batch of them: the rules of ``views.choose_view``.

Each choice has one of the seven numbers that are drawn for a sample, in this order::

    down, across      where the window is
    is_near, which    whether it holds the centre of an instance, and of which
    mirror, turn      its orientation
    larger            how much larger things appear; the caller makes a factor of it

Floating point is added and multiplied in the order of ``choose_view``, so that windows are equal to
the pixel.
"""

from mtfast.kernels.jit import f64, i64, kernel, read, write
from mtfast.kernels.sampling.random_numbers import N_STATE, draw_uniform, put_words

__all__ = ["FIELDS", "N_MORE_WORDS", "N_NUMBERS", "choose_windows", "draw_numbers"]

DOWN, ACROSS, IS_NEAR, WHICH, MIRROR, TURN = range(6)

N_NUMBERS = 7
"""Random numbers of a sample."""

FIELDS = 8
"""Of a view: y, x, h, w, height, width, mirrored, turns."""

N_MORE_WORDS = 6 + N_STATE
"""Scratch of :func:`draw_numbers` beyond the seed: epoch, image and repeat, and the generator."""

LONGEST = 2**41
"""Side of a window that no image of at most 2**40 pixels fills."""


@kernel(i64(read(i64), read(i64), i64, write(i64), write(f64)))
def draw_numbers(keys, images, n_seed, scratch, numbers):
    """Draw the random numbers of samples.

    Parameters
    ----------
    keys : (3 * n,) int64
        Epoch, position and repeat of each sample; negative positions count from the end.
    images : (n_images,) int64
        Index in its split of each image of the set.
    n_seed : int
        Words of the seed of the set.
    scratch : (n_seed + N_MORE_WORDS,) int64
        The words of the seed, and space.
    numbers : (N_NUMBERS * n,) float64, out

    Returns
    -------
    int
        -1, or the first key whose epoch is negative or whose position is not in the set.
    """
    state = scratch[scratch.size - N_STATE :]
    for k in range(keys.size // 3):
        epoch = int(keys[3 * k])
        position = int(keys[3 * k + 1])
        repeat = int(keys[3 * k + 2])
        if epoch < 0 or not -images.size <= position < images.size:
            return k
        n = put_words(epoch, scratch, n_seed)
        n = put_words(1 + int(images[position]), scratch, n)
        if repeat > 0:
            n = put_words(repeat, scratch, n)
        draw_uniform(scratch, n, state, numbers[N_NUMBERS * k : N_NUMBERS * (k + 1)])
    return -1


@kernel(i64(i64, i64, i64, i64, f64))
def choose_turns(height, width, rows, columns, share):
    """Choose among the quarter turns after which a window fits, or among all if none is.

    Parameters
    ----------
    height, width : int
        Of the window after it is turned.
    rows, columns : int
        Of the image.
    share : float
        From 0 to below 1.

    Returns
    -------
    int
    """
    upright = height <= rows and width <= columns
    turned = width <= rows and height <= columns
    if upright == turned:
        return int(4 * share)
    return 2 * int(2 * share) + (0 if upright else 1)


@kernel(i64(i64, i64, f64))
def side_of(n, side, factor):
    """Return how much of a side a window shows, more than there is only if n is; -1 if too much."""
    shown = n / factor
    if shown > LONGEST:
        return -1
    length = max(1, round(shown))
    return min(length, side) if n <= side else length


@kernel(i64(f64, i64, i64))
def start_of(share, length, side):
    """Return where a window starts, at a random share of what is left on either side."""
    if length <= side:
        return int(share * (side - length + 1))
    return -int(share * (length - side + 1))


@kernel(i64(i64, f64, i64, i64))
def start_around(centre, share, length, side):
    """Return the start of a window that holds a centre, at a random share of its length."""
    if length > side:
        return start_of(share, length, side)
    return min(max(centre - int(share * length), 0), side - length)


@kernel(f64(i64, i64, i64, i64))
def smallest_factor(height, width, rows, columns):
    """Return the factor at which the window fills the image; 0 if it is larger on both sides."""
    smallest = 0.0
    if height <= rows:
        smallest = height / rows
    if width <= columns:
        smallest = max(smallest, width / columns)
    return smallest


@kernel(
    i64(
        *(read(i64), read(i64), read(i64), read(i64), read(f64), read(f64)),
        *(i64, i64, f64, i64, i64, write(i64)),
    )
)
def choose_windows(
    keys,
    frames,
    offsets,
    centres,
    numbers,
    factors,
    crop_height,
    crop_width,
    near,
    mirror,
    turn,
    views,
):
    """Choose the windows of samples.

    Parameters
    ----------
    keys : (3 * n,) int64
        As :func:`draw_numbers` has accepted them.
    frames : (2 * n_images,) int64
        Height and width of each image of the set.
    offsets : (n_images + 1,) int64
        The centres of image i are offsets[i] .. offsets[i + 1] - 1.
    centres : (2 * n_centres,) int64
        Row and column of each instance's centre.
    numbers : (N_NUMBERS * n,) float64
        As :func:`draw_numbers` draws them.
    factors : (n,) float64
        How much larger things are to appear.
    crop_height, crop_width : int
        Of all windows after they are turned; 0 for whole images.
    near : float
    mirror, turn : int
        Fields of ``Augment``.
    views : (FIELDS * n,) int64, out

    Returns
    -------
    int
        -1, or the first sample whose window is longer than LONGEST.
    """
    n_images = offsets.size - 1
    for k in range(keys.size // 3):
        image = int(keys[3 * k + 1]) % n_images
        rows = int(frames[2 * image])
        columns = int(frames[2 * image + 1])
        chance = numbers[N_NUMBERS * k : N_NUMBERS * (k + 1)]
        height = crop_height if crop_height else rows
        width = crop_width if crop_width else columns
        turns = choose_turns(height, width, rows, columns, chance[TURN]) if turn else 0
        if turns % 2:
            height, width = width, height
        factor = max(factors[k], smallest_factor(height, width, rows, columns))
        h = side_of(height, rows, factor)
        w = side_of(width, columns, factor)
        if min(h, w) < 0:
            return k
        first = offsets[image]
        n = offsets[image + 1] - first
        if n > 0 and chance[IS_NEAR] < near:
            chosen = first + int(chance[WHICH] * n)
            y = start_around(int(centres[2 * chosen]), chance[DOWN], h, rows)
            x = start_around(int(centres[2 * chosen + 1]), chance[ACROSS], w, columns)
        else:
            y = start_of(chance[DOWN], h, rows)
            x = start_of(chance[ACROSS], w, columns)
        view = views[FIELDS * k : FIELDS * (k + 1)]
        view[0], view[1], view[2], view[3] = y, x, h, w
        view[4], view[5] = height, width
        view[6] = mirror and chance[MIRROR] < 0.5
        view[7] = turns
    return -1
