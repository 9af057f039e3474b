"""F-order frame <-> toggle words, 64 pixels at a time.

The pixels of the frame are in the order of the toggles, so nothing has to be transposed::

    . 7 7 . . 7 .      pixels
    . # # . . # .      word of bits
    . # . # . # #      XOR itself moved by one pixel: the toggles 1 3 5 6
"""

from mtfast.kernels.frames.row_order import ALL, pack_end, parities, unpack_end
from mtfast.kernels.intrinsics import (
    PREFETCH_DISTANCE,
    any512,
    nonzero64,
    ones,
    prefetch,
    spread64,
)
from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

__all__ = ["columns_of_toggles", "toggles_of_columns"]

# Words that are looked at together: most such groups hold no toggle.
GROUP = 8


@kernel(i64(read(u8), write(i64), write(u64)))
def toggles_of_columns(frame, bases, words):
    """Find the toggle words of a mask in an F-order frame.

    Parameters
    ----------
    frame : (n_pixels,) uint8
        Columns one after another; nonzero is foreground.
    bases, words : int64 and uint64, out
        Toggle words that go on into the next column; one more than the frame has words.

    Returns
    -------
    int
        The number of toggles.
    """
    n = u64(0)
    n_toggles = 0
    carry = u64(0)
    n_pixels = frame.size
    base = 0
    # After a group of background there mostly is more of it, which takes two thirds of the time
    # where no words are made of it.
    is_empty = False
    while base < n_pixels:
        while is_empty and base + 64 * GROUP <= n_pixels:
            for k in range(GROUP):
                prefetch(frame, base + 64 * k + PREFETCH_DISTANCE)
            if any512(frame, base):
                break
            base += 64 * GROUP
        if base == n_pixels:
            break
        n_words = u64(min(GROUP, (n_pixels - base) >> 6))
        some = u64(0)
        found = words[n : n + n_words]
        for k in range(found.size):
            prefetch(frame, base + 64 * k + PREFETCH_DISTANCE)
            pixels = nonzero64(frame, base + 64 * k)
            word = pixels ^ (pixels << u64(1) | carry)
            carry = pixels >> u64(63)
            found[k] = word
            some |= word
        if n_words == u64(0):
            pixels = pack_end(frame, base)
            word = pixels ^ (pixels << u64(1) | carry)
            words[n] = word & ((u64(1) << u64(n_pixels - base)) - u64(1))
            some = words[n]
            n_words = u64(1)
        is_empty = some == u64(0) and carry == u64(0)
        if some:
            first = n
            for k in range(n_words):
                word = words[first + u64(k)]
                bases[n] = base + 64 * i64(k)
                words[n] = word
                n += u64(word != u64(0))
                n_toggles += ones(word)
        base += 64 * i64(n_words)
    bases[n] = n_pixels
    return n_toggles


@kernel(i64(read(i64), read(u64), u8, i64, write(u8)))
def columns_of_toggles(bases, words, value, is_clear, frame):
    """Write the F-order frame of a mask that is given as toggle words.

    Parameters
    ----------
    bases, words : int64 and uint64
        As made by :func:`toggles_of_columns`.
    value : uint8
        Of the foreground; the background becomes 0.
    is_clear : int
        Nonzero if the frame is all 0 already.
    frame : (n_pixels,) uint8, out

    Returns
    -------
    int
        0
    """
    n_pixels = frame.size
    state = u64(0)
    at = 0
    i = u64(0)
    while True:
        base = bases[i]
        if at < base and (state or not is_clear):
            frame[at:base] = value if state else u8(0)
        if base == n_pixels:
            return 0
        pixels = parities(words[i])
        if state:
            pixels ^= u64(ALL)
        if base + 64 <= n_pixels:
            spread64(pixels, value, frame, base)
        else:
            unpack_end(pixels, value, frame, base)
        state = pixels >> u64(63)
        at = min(base + 64, n_pixels)
        i += u64(1)
