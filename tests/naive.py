"""Obvious twins of the kernels, in plain Python and numpy; slow and easy to believe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np


def mask(art: str) -> np.ndarray:
    """Draw a mask with ``#`` for foreground and anything else for background."""
    return np.array([[c == "#" for c in line] for line in art.split()], np.uint8)


def counts_of_mask(pixels: np.ndarray) -> list[int]:
    """Run lengths down the columns, background first."""
    counts, value, length = [], 0, 0
    for pixel in pixels.flatten(order="F"):
        if bool(pixel) != value:
            counts.append(length)
            value, length = bool(pixel), 0
        length += 1
    return [*counts, length] if pixels.size else [0]


def mask_of_counts(counts: list[int], height: int, width: int) -> np.ndarray:
    values = np.repeat(np.arange(len(counts)) % 2, counts)
    return values.reshape((height, width), order="F").astype(np.uint8)


def text_of_counts(counts: list[int]) -> bytes:
    """COCO's compressed text, by the rule of the format."""
    numbers = [count - counts[i - 2] if i > 2 else count for i, count in enumerate(counts)]
    return b"".join(map(text_of_number, numbers))


def text_of_number(number: int) -> bytes:
    text = []
    while True:
        group = number & 31
        number >>= 5
        more = number != -1 if group & 16 else number != 0
        text.append(group + 48 + (32 if more else 0))
        if not more:
            return bytes(text)


def counts_of_text(text: bytes) -> np.ndarray | None:
    """Read COCO's compressed text, all numbers at once; None if it is none."""
    groups = np.frombuffer(text, np.uint8).astype(np.int64) - 48
    if not groups.size:
        return groups
    if groups.min() < 0 or groups.max() > 63 or groups[-1] >= 32:
        return None
    ends = np.flatnonzero(groups < 32) + 1
    starts = np.concatenate([[0], ends[:-1]])
    lengths = ends - starts
    if lengths.max() > 12:
        return None
    place = np.arange(groups.size) - np.repeat(starts, lengths)
    values = np.add.reduceat((groups & 31) << 5 * place, starts)
    values -= np.where(groups[ends - 1] & 16, 1 << 5 * lengths, 0)
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    # Sums may wrap around, but not before the first of them is out of range.
    return None if np.any((values < 0) | (values > 2**40)) else values


def read_rle(rle: Any) -> tuple[int, int, np.ndarray] | None:
    """Height, width and counts of anything that is a mask; None if it is none."""

    def is_whole(v: Any) -> bool:
        v = v[()] if isinstance(v, np.ndarray) and v.ndim == 0 else v
        if isinstance(v, float | np.floating):
            return float(v).is_integer() and v >= 0
        return isinstance(v, int | np.integer) and not isinstance(v, bool) and v >= 0

    def whole(values: Any) -> bool:
        array = isinstance(values, np.ndarray) and values.ndim == 1
        return (array or isinstance(values, list | tuple | range)) and all(map(is_whole, values))

    if not isinstance(rle, Mapping) or not {"size", "counts"} <= rle.keys():
        return None
    size, counts = rle["size"], rle["counts"]
    if isinstance(size, range) or not whole(size) or len(size) != 2:
        return None
    height, width = map(int, size)
    if isinstance(counts, str):
        counts = counts.encode(errors="surrogatepass")
    if isinstance(counts, bytes | bytearray | memoryview):
        counts = counts_of_text(bytes(counts))
    elif not whole(counts):
        return None
    if counts is None or max(height, width, height * width) > 2**40:
        return None
    tiles = sum(map(int, counts)) == height * width
    return (height, width, np.array(counts, np.int64)) if tiles else None


def text_of_mask(pixels: np.ndarray) -> bytes:
    return text_of_counts(counts_of_mask(pixels))


def area(pixels: np.ndarray) -> int:
    return int(np.count_nonzero(pixels))


def bbox(pixels: np.ndarray) -> list[float]:
    """Box of a mask as COCO counts it: a run that crosses a column boundary has full height."""
    ys, xs = np.nonzero(pixels)
    if not ys.size:
        return [0.0, 0.0, 0.0, 0.0]
    height = pixels.shape[0]
    flat = pixels.flatten(order="F")
    crosses = np.any(flat[height - 1 : -1 : height] & flat[height::height])
    top, bottom = (0, height) if crosses else (ys.min(), ys.max() + 1)
    return [float(v) for v in (xs.min(), top, xs.max() + 1 - xs.min(), bottom - top)]


def semantic(masks: list[np.ndarray], values: list[int], shape: tuple[int, int]) -> np.ndarray:
    """Paint masks one after another."""
    frame = np.zeros(shape, np.int64)
    for pixels, value in zip(masks, values, strict=True):
        frame[pixels > 0] = value
    return frame


def row_runs(frame: np.ndarray) -> list[tuple[int, int, int]]:
    """(start, stop, value) of the stretches of equal pixels in each row, background left out."""
    runs = []
    height, width = frame.shape
    for y in range(height):
        x = 0
        while x < width:
            start, value = x, int(frame[y, x])
            while x < width and frame[y, x] == value:
                x += 1
            if value:
                runs.append((y * width + start, y * width + x, value))
    return runs


def zstd_stretches(frame: bytes) -> tuple[int, list[tuple[int, int]]]:
    """Content size, and (length, value) of each block, of a zstd frame of RLE blocks."""
    assert frame[:6] == b"\x28\xb5\x2f\xfd\xc0\x38"
    size = int.from_bytes(frame[6:14], "little")
    blocks = [(int.from_bytes(frame[i : i + 3], "little"), i) for i in range(14, len(frame), 4)]
    assert [head & 1 for head, _ in blocks] == [0] * (len(blocks) - 1) + [1]
    assert {head >> 1 & 3 for head, _ in blocks} == {1}
    return size, [(head >> 3, frame[i + 3]) for head, i in blocks]


def counts_with_empty_runs(counts: list[int], rng: np.random.Generator) -> list[int]:
    """The same mask, with runs of no length strewn in, which are legal."""
    out: list[int] = []
    for count in counts:
        cut = int(rng.integers(count + 1)) if rng.random() < 0.3 else None
        out += [count] if cut is None else [cut, 0, count - cut]
    return out + [0] * int(rng.integers(3))


def iou(first: np.ndarray, second: np.ndarray, crowd: bool) -> float:
    common = int(np.count_nonzero(first & second))
    union = int(np.count_nonzero(first if crowd else first | second))
    return common / union if common else 0.0


def components(pixels: np.ndarray, connectivity: int) -> list[np.ndarray]:
    """Flood every component from its first pixel in column-major order."""
    steps = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
    if connectivity == 4:
        steps = [(dy, dx) for dy, dx in steps if not dy or not dx]
    left = {(int(x), int(y)) for y, x in zip(*np.nonzero(pixels), strict=True)}
    parts = []
    for place in sorted(left):
        if place not in left:
            continue
        part = np.zeros_like(pixels)
        front = [place]
        left.discard(place)
        while front:
            x, y = front.pop()
            part[y, x] = 1
            neighbours = {(x + dx, y + dy) for dy, dx in steps} & left
            left -= neighbours
            front += neighbours
        parts.append(part)
    return parts


def rings(part: np.ndarray) -> list[list[tuple[int, int]]]:
    """Walk around a connected mask side by side of its pixels, foreground on the right hand."""
    sides = {}
    around = np.pad(part, 1)
    for y, x in zip(*np.nonzero(part), strict=True):
        ways = [((0, 0), (1, 0)), ((1, 0), (1, 1)), ((1, 1), (0, 1)), ((0, 1), (0, 0))]
        outside = [(0, 1), (1, 2), (2, 1), (1, 0)]
        for (start, end), (dy, dx) in zip(ways, outside, strict=True):
            if not around[y + dy, x + dx]:
                begin = (int(x) + start[0], int(y) + start[1])
                sides.setdefault(begin, []).append((end[0] - start[0], end[1] - start[1]))
    found = []
    while sides:
        start = place = min(sides)
        way = sides[place][0]
        ring = []
        while True:
            ways = sides[place]
            # Where there are two, to the left: around the background.
            left = (way[1], -way[0])
            new = left if left in ways and len(ways) == 2 else ways[0]
            ways.remove(new)
            if not ways:
                del sides[place]
            if new != way or not ring:
                ring.append(place)
            place, way = (place[0] + new[0], place[1] + new[1]), new
            if place == start:
                break
        found.append(ring)
    return found


def eroded(pixels: np.ndarray, n: int, connectivity: int, border: int) -> np.ndarray:
    """Take n times away what has background beside it."""
    height, width = pixels.shape
    for _ in range(n):
        around = np.pad(pixels, 1, constant_values=border)
        kept = np.ones_like(pixels)
        for dy in (0, 1, 2):
            for dx in (0, 1, 2):
                if connectivity == 8 or 1 in (dy, dx):
                    kept &= around[dy : dy + height, dx : dx + width]
        pixels = kept
    return pixels


def n_shot_subsets(
    sets: list[dict[str, Any]],
) -> Iterator[tuple[int, int, int, list[dict[str, Any]], set[int]]]:
    """The n-shot subsets of several COCO files as the published ones were drawn.

    Yields the number of the file, the run, n, the annotations and the ids of their images.
    """
    legacy = np.random.RandomState(42)
    for number, data in enumerate(sets):
        shuffled = list(data["annotations"])
        for run in range(10):
            for n in (1, 2, 3, 5, 10):
                legacy.shuffle(shuffled)
                images = set()
                for category in data["categories"]:
                    found = 0
                    for a in shuffled:
                        if a["category_id"] == category["id"] and found < n:
                            found += 1
                            images.add(a["image_id"])
                yield number, run, n, [a for a in shuffled if a["image_id"] in images], images


def jpeg_entries(data: bytes) -> list[tuple[int, list[int]]]:
    """For each MCU, and at the end: the bit of the file the one before ends at, and its DCs."""
    at, restart, tables = 2, 0, {}
    while data[at + 1] != 0xDA:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        content = data[at + 4 : at + 2 + length]
        if marker in (0xC0, 0xC1):
            height, width = (int.from_bytes(content[i : i + 2], "big") for i in (1, 3))
            factors = [divmod(content[7 + 3 * k], 16) for k in range(content[5])]
        elif marker == 0xDD:
            restart = int.from_bytes(content, "big")
        while marker == 0xC4 and content:
            symbols = iter(content[17:])
            code = 0
            for n in range(1, 17):
                for _ in range(content[n]):
                    tables[content[0], f"{code:0{n}b}"] = next(symbols)
                    code += 1
                code *= 2
            content = content[17 + sum(content[1:17]) :]
        at += 2 + length
    pairs = [divmod(data[at + 6 + 2 * k], 16) for k in range(len(factors))]
    if len(factors) == 1:
        factors = [(1, 1)]
    n_mcus = -(-height // (8 * max(v for _, v in factors)))
    n_mcus *= -(-width // (8 * max(h for h, _ in factors)))
    # The bytes of the scan that stand for bits, and where each is in the file.
    at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    bits, places = "", []
    while True:
        if data[at] == 0xFF and 0xD0 <= data[at + 1] < 0xD8:
            at += 2
        elif data[at] == 0xFF and data[at + 1] == 0xD9:
            break
        else:
            bits += f"{data[at]:08b}"
            places.append(at)
            at += 2 if data[at] == 0xFF else 1
    places.append(at)
    read = 0

    def symbol(table: int) -> int:
        nonlocal read
        n = next(n for n in range(1, 17) if (table, bits[read : read + n]) in tables)
        read += n
        return tables[table, bits[read - n : read]]

    entries, dcs = [], [0, 0, 0]
    for mcu in range(n_mcus):
        entries.append((8 * places[read // 8] + read % 8, list(dcs)))
        if restart and mcu and mcu % restart == 0:
            read, dcs = -(-read // 8) * 8, [0, 0, 0]
        for k, ((across, down), (dc, ac)) in enumerate(zip(factors, pairs, strict=True)):
            for _ in range(across * down):
                size = symbol(dc)
                if size:
                    value = int(bits[read : read + size], 2)
                    dcs[k] += value if bits[read] == "1" else value - 2**size + 1
                read += size
                coefficient = 1
                while coefficient < 64:
                    run, size = divmod(symbol(16 + ac), 16)
                    read += size
                    coefficient += 64 if (run, size) == (0, 0) else run + 1
    return [*entries, (8 * places[read // 8] + read % 8, list(dcs))]


def resized(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image as Pillow's Resample.c resizes it with triangles, in numpy."""
    h, w = image.shape[:2]
    if h > height and h - height > 2 * (w - width):
        return _resized_rows(_resized_columns(image, height), width)
    return _resized_columns(_resized_rows(image, width), height)


def _resized_rows(image: np.ndarray, width: int) -> np.ndarray:
    return _resized_columns(image.swapaxes(0, 1), width).swapaxes(0, 1)


def _resized_columns(image: np.ndarray, n: int) -> np.ndarray:
    before = len(image)
    scale = before / n
    support = max(scale, 1.0)
    out = np.empty((n, *image.shape[1:]), np.uint8)
    for i in range(n):
        centre = (i + 0.5) * scale
        start, stop = int(centre - support + 0.5), int(centre + support + 0.5)
        places = range(max(start, 0), min(stop, before))
        weights = [max(1 - abs((k - centre + 0.5) * (1 / support)), 0.0) for k in places]
        total = sum(weights)
        fixed = [int(0.5 + weight / total * 2**22) for weight in weights]
        mixed = sum(image[k].astype(np.int64) * f for k, f in zip(places, fixed, strict=True))
        out[i] = np.clip((mixed + 2**21) >> 22, 0, 255)
    return out
