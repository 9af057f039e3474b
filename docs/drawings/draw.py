"""The drawings of the page "How it works", made by the code that they explain.

    python docs/drawings/draw.py

writes them beside this file. The numbers in them are computed: DCs by the crop index of a JPEG,
bytes by the kernel that writes frames, words of toggles by numpy. A test draws them again.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

import imagecodecs
import numpy as np

from mtfast.jpeg.index import build_index
from mtfast.kernels.files import zstd_frame

FOLDER = Path(__file__).parent

INK, GREY, LINE, PALE = "#1b1f24", "#68717d", "#c4cad2", "#f1f3f6"
BLUE, PALE_BLUE = "#0072b2", "#cfe5f3"
ORANGE, PALE_ORANGE = "#d55e00", "#fbdcc4"
GREEN, PALE_GREEN = "#009e73", "#c9ecdf"


class Drawing:
    """An SVG picture, black on white, of shapes that are put on top of each other."""

    def __init__(self, width: int, height: int, title: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'font-family="system-ui, sans-serif" role="img" aria-label="{escape(title)}">',
            f"<title>{escape(title)}</title>",
            '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
            f'markerHeight="7" orient="auto"><path d="M0 0 L8 4 L0 8 z" fill="{GREY}"/>'
            "</marker></defs>",
            f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        ]

    def box(self, x, y, width, height, fill="#ffffff", stroke=LINE, thick=1.0, dashed=False):
        """Draw a rectangle."""
        dash = ' stroke-dasharray="6 4"' if dashed else ""
        self.parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" fill="{fill}" '
            f'stroke="{stroke}" stroke-width="{thick:g}"{dash}/>'
        )

    def text(self, x, y, words, size=15, fill=INK, anchor="start", mono=False, bold=False):
        """Write a line of text; y is its baseline."""
        family = ' font-family="ui-monospace, monospace"' if mono else ""
        weight = ' font-weight="600"' if bold else ""
        self.parts.append(
            f'<text x="{x:g}" y="{y:g}" font-size="{size:g}" fill="{fill}" '
            f'text-anchor="{anchor}"{family}{weight}>{escape(str(words))}</text>'
        )

    def line(self, x1, y1, x2, y2, stroke=GREY, thick=1.5, arrow=False):
        """Draw a line, or an arrow to its second end."""
        head = ' marker-end="url(#head)"' if arrow else ""
        self.parts.append(
            f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" stroke="{stroke}" '
            f'stroke-width="{thick:g}"{head}/>'
        )

    def cells(self, x, y, rows, side, style, size=14):
        """Draw a table of equal cells; style(row, column) returns their fill and ink."""
        for r, row in enumerate(rows):
            for c, value in enumerate(row):
                fill, ink = style(r, c)
                self.box(x + c * side, y + r * side, side, side, fill)
                self.text(
                    x + (c + 0.5) * side,
                    y + (r + 0.5) * side + size * 0.36,
                    value,
                    size,
                    ink,
                    "middle",
                    mono=True,
                )

    def svg(self) -> str:
        """Return the file."""
        return "\n".join([*self.parts, "</svg>", ""])


# --- Windows of JPEGs ---------------------------------------------------------------------------

STEP = 3
ROWS, COLUMNS = slice(1, 3), slice(2, 7)
"""MCUs of the window."""


def dcs_of_image() -> np.ndarray:
    """Return the DC of each MCU of a grey JPEG of 4 x 9 MCUs, as its crop index has them."""
    y, x = np.mgrid[:4, :9]
    means = 90 + 9 * y + 7 * x + 40 * ((y - 2) ** 2 + (x - 5) ** 2 < 5)
    pixels = np.kron(means, np.ones((8, 8))).astype(np.uint8)
    index = build_index(imagecodecs.jpeg8_encode(pixels, level=50), step=1)
    # An entry has the DC of the MCU before it.
    return index.dcs[0, 1:].reshape(4, 9)


def draw_window() -> Drawing:
    """Draw which MCUs a window needs, what happens to the bits of a row, and what comes out."""
    d = Drawing(960, 586, "How a window is cut out of a JPEG without decoding the rest")
    dcs, side, left, top = dcs_of_image(), 46, 40, 62
    d.text(left, 34, "The image: rows of MCUs, each with its DC", 17, bold=True)

    def style(r, c):
        inside = ROWS.start <= r < ROWS.stop and COLUMNS.start <= c < COLUMNS.stop
        return (PALE_BLUE, INK) if inside else ("#ffffff", GREY)

    d.cells(left, top, dcs, side, style)
    for r in range(4):
        for c in range(0, 9, STEP):
            d.box(left + c * side - 3, top + (r + 1) * side - 13, 6, 12, ORANGE, ORANGE)
    x, y = left + (COLUMNS.start + 0.1) * side, top + (ROWS.start + 0.2) * side
    d.box(x, y, 4.8 * side, 1.6 * side, "none", BLUE, 2.5, dashed=True)

    x = 500
    for y, fill, stroke, words in (
        (92, ORANGE, ORANGE, "entry of the crop index: the bit at which this MCU"),
        (142, "none", BLUE, "the window that is asked for, in pixels"),
        (174, PALE_BLUE, LINE, "the MCUs that hold it: these go into the small JPEG"),
    ):
        d.box(x, y - 13, 6 if fill == ORANGE else 22, 16, fill, stroke, 2, dashed=fill == "none")
        d.text(x + 34, y, words)
    d.text(x + 34, 112, "begins, and the DC of the MCU before it")
    d.text(x, 222, "In the file a DC is stored as its difference to the", 15, GREY)
    d.text(x, 242, "DC of the MCU before it, in Huffman codes of any length.", 15, GREY)

    y = 300
    d.text(left, y, "The bits of one row, and what is done with them", 17, bold=True)
    # A is the entry at MCU 0, L the one at MCU 6, Z the one at MCU 9.
    parts = (
        (0, 2, PALE, "stepped over", "adding up the DCs"),
        (2, 2.55, PALE_ORANGE, "DC", "written anew"),
        (2.55, 6, PALE_BLUE, "copied as they are", "shifted by some bits, not looked at"),
        (6, 7, PALE_GREEN, "copied", "to its end"),
        (7, 9, "#ffffff", "not used", ""),
    )
    wide, y = 97, y + 40
    for begin, end, fill, words, below in parts:
        d.box(left + begin * wide, y, (end - begin) * wide, 46, fill)
        middle = left + (begin + end) / 2 * wide
        d.text(middle, y + 28, words, 14, INK, "middle")
        d.text(middle, y + 68, below, 13, GREY, "middle")
    for at, name in ((0, "A"), (6, "L"), (9, "Z")):
        d.box(left + at * wide - 3, y - 6, 6, 58, ORANGE, ORANGE)
        d.text(left + at * wide, y - 13, name, 15, ORANGE, "middle", bold=True)
    d.text(left + 2 * wide, y - 13, "[", 16, BLUE, "middle", bold=True)
    d.text(left + 7 * wide, y - 13, "]", 16, BLUE, "middle", bold=True)

    y = 470
    d.text(left, y, "The small JPEG that the ordinary decoder takes", 17, bold=True)
    y += 22
    for x, width, fill, words, below in (
        (0, 190, PALE, "header", "tables of the file, size of the crop"),
        (190, 44, PALE_ORANGE, "DC", ""),
        (234, 236, PALE_BLUE, "rest of row 1", ""),
        (470, 44, PALE_ORANGE, "DC", ""),
        (514, 236, PALE_BLUE, "rest of row 2", ""),
        (750, 90, PALE, "end", ""),
    ):
        d.box(left + x, y, width, 46, fill)
        d.text(left + x + width / 2, y + 28, words, 14, INK, "middle")
        d.text(left + x, y + 68, below, 13, GREY)
    d.line(left + 470, y + 56, left + 492, y + 50, arrow=True)
    d.text(left + 310, y + 72, "relative to the last MCU of row 1", 13, GREY)
    return d


def draw_dcs() -> Drawing:
    """Draw the DC differences of a row in the file and in the crop."""
    d = Drawing(960, 330, "Only the first DC difference of each row changes")
    dcs = dcs_of_image().astype(int)
    before = np.diff(dcs.reshape(-1), prepend=0).reshape(dcs.shape)
    crop = dcs[ROWS, COLUMNS]
    after = np.diff(crop.reshape(-1), prepend=0).reshape(crop.shape)
    left, side = 250, 64
    for k, r in enumerate(range(ROWS.start, ROWS.stop)):
        y = 56 + 150 * k
        d.text(24, y + 18, f"row {r} of the image", 15, bold=True)
        d.text(24, y + 48, "DC of each MCU", 14, GREY)
        d.text(24, y + 78, "difference in the file", 14, GREY)
        d.text(24, y + 108, "difference in the crop", 14, GREY)
        for c in range(9):
            x = left + c * side + side / 2
            inside = COLUMNS.start <= c < COLUMNS.stop
            if inside:
                d.box(x - side / 2, y + 30, side, 84, PALE_BLUE)
            ink = INK if inside else GREY
            d.text(x, y + 50, dcs[r, c], 15, ink, "middle", mono=True)
            d.text(x, y + 78, f"{before[r, c]:+d}", 15, ink, "middle", mono=True)
            if inside:
                new = after[k, c - COLUMNS.start]
                changed = new != before[r, c]
                if changed:
                    d.box(x - side / 2, y + 88, side, 26, PALE_ORANGE)
                d.text(x, y + 106, f"{new:+d}", 15, ORANGE if changed else INK, "middle", mono=True)
    d.text(left + 2 * side, 40, f"from nothing: {crop[0, 0]:d}", 14, ORANGE)
    d.text(
        left + 2 * side,
        196,
        f"from the end of the row above: {crop[1, 0]:d} - {crop[0, -1]:d} = {after[1, 0]:+d}",
        14,
        ORANGE,
    )
    return d


# --- A zstd frame from runs ---------------------------------------------------------------------

FLAKES = """
................
...11111........
...1111111......
.....11111..222.
............222.
................
"""


def pixels_of(rows: str) -> np.ndarray:
    """Return pixels that are written as digits, dots for 0."""
    return np.array([[int(c) if c != "." else 0 for c in row] for row in rows.split()])


def runs_of(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return where stretches of equal pixels begin and end in row-major order, and their values."""
    flat = pixels.reshape(-1)
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    stops = np.append(starts[1:], flat.size)
    return starts, stops, flat[starts]


def frame_of(pixels: np.ndarray) -> bytes:
    """Return the zstd frame of a mask, made by the kernel from its runs of foreground."""
    starts, stops, values = (a.astype(np.int64) for a in runs_of(pixels))
    some = np.flatnonzero(values)
    out = np.zeros(zstd_frame.frame_capacity(some.size, pixels.size), np.uint8)
    n = zstd_frame.write_frame(
        starts[some], stops[some], values[some], 0, some.size, pixels.size, out, 0
    )
    return out[:n].tobytes()


def draw_frame() -> Drawing:
    """Draw a mask, its row runs, and the bytes that stand for them."""
    d = Drawing(960, 490, "A zstd frame that is written from the runs of a mask")
    pixels = pixels_of(FLAKES)
    frame = frame_of(pixels)
    fills = {0: ("#ffffff", LINE), 1: (PALE_BLUE, BLUE), 2: (PALE_GREEN, GREEN)}
    d.text(40, 34, "The mask: two flakes, never painted", 17, bold=True)
    rows = [["·" if v == 0 else v for v in row] for row in pixels]
    d.cells(40, 54, rows, 26, lambda r, c: (fills[int(pixels[r, c])][0], INK), 13)
    d.text(480, 34, "The frame header", 17, bold=True)
    x = 480
    for n, words in ((4, "magic"), (1, "flags"), (1, "window"), (8, "pixels, 96")):
        width = 27 * n + 8
        d.box(x, 54, max(width, 52), 34, PALE)
        hexes = frame[:n].hex(" ")
        frame = frame[n:]
        d.text(x + max(width, 52) / 2, 76, hexes, 12.5, INK, "middle", mono=True)
        d.text(x + max(width, 52) / 2, 106, words, 13, GREY, "middle")
        x += max(width, 52)
    d.text(480, 146, "A block of four bytes says: this value, so many times.", 15)
    d.text(480, 170, "Three bytes are a number, lowest byte first:", 15)
    d.text(480, 194, "repetitions x 8 + kind x 2 + last; kind 1 is RLE.", 15)

    d.text(
        40, 262, "Its blocks, one for each stretch of equal pixels, in reading order", 17, bold=True
    )
    x, y = 40, 282
    starts, stops, values = runs_of(pixels)
    for k, (n, value) in enumerate(zip(stops - starts, values, strict=True)):
        if k and k % 7 == 0:
            x, y = 40, y + 92
        fill, ink = fills[int(value)]
        d.box(x, y, 122, 60, fill)
        name = "background" if value == 0 else f"class {value}"
        d.text(x + 61, y + 24, f"{n} x {name}", 13, INK, "middle")
        d.text(x + 61, y + 47, frame[4 * k : 4 * k + 4].hex(" "), 13.5, INK, "middle", mono=True)
        d.line(x, y, x, y + 60, ink, 3)
        x += 126
    n_bytes = 14 + len(frame)
    d.text(
        40,
        y + 96,
        f"{n_bytes} bytes in all; the 96 pixels are not touched. Every reader of zstd decodes it.",
        15,
        GREY,
    )
    return d


# --- Toggles ------------------------------------------------------------------------------------

MASK = """
11000000
11000110
00011110
00011100
00000000
00000000
00000000
00100000
"""


def toggles_of(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows above those of a mask, and which pixels differ from these."""
    above = np.vstack([np.append(0, mask[-1, :-1]), mask[:-1]])
    return above, mask ^ above


def places_of(mask: np.ndarray) -> np.ndarray:
    """Return where the runs of a mask begin and end, and the size of its frame."""
    return np.append(np.flatnonzero(toggles_of(mask)[1].T), mask.size)


def draw_toggles() -> Drawing:
    """Draw the steps from rows of pixels to the counts of a column-major RLE."""
    mask = pixels_of(MASK)
    above, toggles = toggles_of(mask)
    places = places_of(mask)
    counts = np.diff(places, prepend=0)
    d = Drawing(1014, 536, "From rows of pixels to COCO's counts, 64 pixels at a time")
    side, top = 26, 84
    columns = (
        (40, mask, "1. Rows as words of bits", BLUE, PALE_BLUE),
        (282, above, "2. The rows above", GREY, PALE),
        (524, toggles, "3. XOR: the toggles", ORANGE, PALE_ORANGE),
        (766, toggles.T, "4. Transposed", ORANGE, PALE_ORANGE),
    )
    for x, bits, words, ink, pale in columns:
        d.text(x, 40, words, 16, bold=True)
        shown = [["·" if b == 0 else "1" for b in row] for row in bits]

        def style(r, c, bits=bits, ink=ink, pale=pale):
            return (pale, ink) if bits[r, c] else ("#ffffff", LINE)

        d.cells(x, top, shown, side, style)
    for x, words in ((252, "XOR"), (494, "="), (736, "→")):
        d.text(x + 9, top + 4 * side + 5, words, 14 if words == "XOR" else 20, GREY, "middle")
    d.text(40, 64, "a line is one word", 13, GREY)
    d.text(282, 64, "first: the last row, moved right", 13, GREY)
    d.text(524, 64, "1 where a column changes", 13, GREY)
    d.text(766, 64, "a line is one column", 13, GREY)

    y = 338
    words = "5. Read down the columns, the ones are the places where runs begin and end"
    d.text(40, y, words, 16, bold=True)
    flat = mask.reshape(-1, order="F")
    wide = 934 / mask.size
    for place, value in enumerate(flat):
        x = 40 + place * wide
        d.box(x, y + 20, wide, 28, PALE_BLUE if value else "#ffffff", LINE, 0.6)
    for c in range(mask.shape[1] + 1):
        d.line(40 + 8 * c * wide, y + 14, 40 + 8 * c * wide, y + 54, GREY, 1)
        if c < mask.shape[1]:
            d.text(40 + (8 * c + 4) * wide, y + 70, f"column {c}", 12, GREY, "middle")
    for place in places[:-1]:
        x = 40 + place * wide
        d.line(x, y + 16, x, y + 52, ORANGE, 3)
    for down, name, numbers, ink in ((112, "places", places, ORANGE), (138, "counts", counts, INK)):
        d.text(40, y + down, name, 15, GREY)
        for k, number in enumerate(numbers):
            d.text(140 + 42 * k, y + down, number, 15, ink, "end", mono=True)
    d.text(
        40,
        y + 178,
        "Steps 1 to 4 handle 64 pixels in a few instructions each; step 5 takes one for each run.",
        15,
        GREY,
    )
    return d


DRAWINGS = {
    "jpeg-window": draw_window,
    "jpeg-dcs": draw_dcs,
    "zstd-frame": draw_frame,
    "toggles": draw_toggles,
}


def main() -> None:
    """Write all drawings."""
    for name, draw in DRAWINGS.items():
        (FOLDER / f"{name}.svg").write_text(draw().svg(), encoding="utf-8")


if __name__ == "__main__":
    main()
