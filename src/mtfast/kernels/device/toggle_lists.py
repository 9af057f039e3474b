"""Toggle lists -> change words -> frames, and what is measured of them.

Toggle lists are those of :mod:`mtfast.kernels.rle.toggle_lists`, as int32, with another sentinel:
frames have at most MAX_PIXELS, so that it is more than 32 beyond every place of them.
"""

from mtfast.kernels.device.change_words import THREADS, tile_of
from mtfast.kernels.device.twice import device_function, device_kernel
from mtfast.kernels.jit import i32, i64, u8, u32

__all__ = [
    "AREA",
    "BOTTOM",
    "LEFT",
    "N_FACTS",
    "RIGHT",
    "SENTINEL",
    "TOP",
    "bytes_of_words",
    "common_areas",
    "facts_of_lists",
    "four_bytes_of_words",
    "words_of_lists",
]

SENTINEL = 2**31 - 1

# What is measured of a mask: its area, and the box around it, right and bottom excluded.
AREA, LEFT, TOP, RIGHT, BOTTOM = range(5)
N_FACTS = 5
# Threads that measure a mask.
TEAM = 128


@device_function
def first_from(toggles, low, high, place):
    """Return the index of the first of ``toggles[low:high]`` that is not below a place."""
    while low < high:
        middle = (low + high) >> 1
        if toggles[middle] < place:
            low = middle + 1
        else:
            high = middle
    return low


@device_kernel("i32[] i64[] i64 i64 i64 u32[]", threads=THREADS)
def words_of_lists(bx, by, t, scratch, toggles, offsets, height, width, n_columns, words):
    """Write each column as words of 32 rows, in the order mask, block of rows, column.

    Parameters
    ----------
    toggles, offsets : int32 and (n + 1,) int64
        Toggle lists.
    height, width : int
    n_columns : int
        Of all masks.
    words : uint32, out
        Bit k is set where row k of the block is foreground; bits below the frame have no meaning.
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_columns:
        h, w = i32(height), i32(width)
        n_blocks = i32(i32(h + 31) >> 5)
        mask = i32(u32(k) // u32(w))
        column = i32(k - i32(mask * w))
        start = offsets[mask]
        place = i32(column * h)
        i = first_from(toggles, start, offsets[mask + 1] - 1, place)
        fill = u32(0)
        if i32(i32(i - start) & 1):
            fill = u32(0xFFFFFFFF)
        toggle = toggles[i]
        at = i64(mask) * i64(i32(n_blocks * w)) + column
        for _ in range(n_blocks):
            word = fill
            # Compared by differences, which stay below 2**31.
            while i32(toggle - place) < 32:
                flips = u32(u32(0xFFFFFFFF) << u32(toggle - place))
                word = u32(word ^ flips)
                fill = u32(fill ^ u32(0xFFFFFFFF))
                i += 1
                toggle = toggles[i]
            words[at] = word
            at += w
            place = i32(place + 32)


@device_kernel("u32[] i64 i64 i64 u8[]", threads=THREADS)
def bytes_of_words(bx, by, t, scratch, words, height, width, n_words, frames):
    """Write masks of 0 and 1, a byte a pixel, C order; a thread writes 32 rows of a column.

    Parameters
    ----------
    words : (n_words,) uint32
        Of :func:`words_of_lists`.
    height, width, n_words : int
    frames : (n * height * width,) uint8, out
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_words:
        h, w = i32(height), i32(width)
        mask, top, column = tile_of(k, h, w)
        at = i64(mask) * i64(i32(h * w)) + i32(i32(top * w) + column)
        word = words[k]
        for _ in range(min(i32(h - top), i32(32))):
            frames[at] = u8(word & u32(1))
            word = u32(word >> u32(1))
            at += w


@device_kernel("u32[] i64 i64 i64 u32[]", threads=THREADS)
def four_bytes_of_words(bx, by, t, scratch, words, height, width, n_words, fours):
    """Do as :func:`bytes_of_words` for widths that are multiples of 4, four pixels at once.

    Parameters
    ----------
    words, height, width, n_words
        As in :func:`bytes_of_words`.
    fours : (n * height * width // 4,) uint32, out
        The lowest byte is the first pixel.
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_words >> 2:
        h, w = i32(height), i32(i32(width) >> 2)
        mask, top, column = tile_of(k, h, w)
        at = i64(mask) * i64(i32(h * w)) + i32(i32(top * w) + column)
        start = i64(k) << 2
        a, b, c, d = words[start], words[start + 1], words[start + 2], words[start + 3]
        for row in range(min(i32(h - top), i32(32))):
            s = u32(row)
            low = u32(u32(u32(a >> s) & u32(1)) | u32(u32(u32(b >> s) & u32(1)) << u32(8)))
            high = u32(u32(u32(c >> s) & u32(1)) | u32(u32(u32(d >> s) & u32(1)) << u32(8)))
            fours[at] = u32(low | u32(high << u32(16)))
            at += w


@device_function
def merge_facts(bx, by, t, scratch, toggles, offsets, heights, facts):
    """Write the facts of a mask, a thread each: the sum, the smallest or the largest of all."""
    if t < N_FACTS:
        fact = scratch[t * TEAM]
        for k in range(1, TEAM):
            other = scratch[t * TEAM + k]
            if t == AREA:
                fact += other
            elif t in (LEFT, TOP):
                fact = min(fact, other)
            else:
                fact = max(fact, other)
        facts[i64(bx) * N_FACTS + t] = fact


@device_kernel(
    "i32[] i64[] i32[] i32[]", threads=TEAM, scratch=("i32", N_FACTS * TEAM), then=[merge_facts]
)
def facts_of_lists(bx, by, t, scratch, toggles, offsets, heights, facts):
    """Measure the area of each mask and the box around it; block bx takes mask bx.

    Parameters
    ----------
    toggles, offsets : int32 and (n + 1,) int64
        Toggle lists.
    heights : (n,) int32
    facts : (N_FACTS * n,) int32, out
        An empty mask has an area of 0, and a box that means nothing.
    """
    h = heights[bx]
    area, left, top, right, bottom = i32(0), i32(SENTINEL), i32(SENTINEL), i32(0), i32(0)
    k = offsets[bx] + 2 * t
    stop = offsets[bx + 1] - 1
    while k < stop:
        first, end = toggles[k], toggles[k + 1]
        column = i32(u32(first) // u32(h))
        last = i32(u32(i32(end - 1)) // u32(h))
        area = i32(area + i32(end - first))
        left, right = min(left, column), max(right, i32(last + 1))
        if column == last:
            top = min(top, i32(first - i32(column * h)))
            bottom = max(bottom, i32(end - i32(column * h)))
        else:
            # A run that goes on into the next column has all rows.
            top, bottom = i32(0), h
        k += 2 * TEAM
    scratch[AREA * TEAM + t] = area
    scratch[LEFT * TEAM + t] = left
    scratch[TOP * TEAM + t] = top
    scratch[RIGHT * TEAM + t] = right
    scratch[BOTTOM * TEAM + t] = bottom


@device_kernel("i32[] i64[] i32[] i64[] i64 i64 i32[]", threads=THREADS)
def common_areas(
    bx, by, t, scratch, first, first_offsets, second, second_offsets, n_second, n_pairs, areas
):
    """Count the pixels that each mask of one batch shares with each mask of another.

    Parameters
    ----------
    first, first_offsets : int32 and (m + 1,) int64
        Toggle lists.
    second, second_offsets : int32 and (n + 1,) int64
        Toggle lists.
    n_second, n_pairs : int
        n, and m * n.
    areas : (n_pairs,) int32, out
    """
    k = i32(i32(bx * THREADS) + t)
    if k < n_pairs:
        row = i32(u32(k) // u32(n_second))
        column = i32(k - i32(row * i32(n_second)))
        i, i_stop = first_offsets[row], first_offsets[row + 1] - 1
        j, j_stop = second_offsets[column], second_offsets[column + 1] - 1
        area = i32(0)
        if i < i_stop and j < j_stop:
            # Runs that end before the other mask begins share nothing with it.
            i += 2 * (first_from(first, i, i_stop, second[j]) - i >> 1)
            j += 2 * (first_from(second, j, j_stop, first[i]) - j >> 1)
        while i < i_stop and j < j_stop:
            i_end, j_end = first[i + 1], second[j + 1]
            shared = i32(min(i_end, j_end) - max(first[i], second[j]))
            area = i32(area + max(shared, i32(0)))
            if i_end <= j_end:
                i += 2
            else:
                j += 2
        areas[k] = area
