"""What kernels know of each window of a batch: a row of numbers, (n, FIELDS) int64 in one array.

A window is decoded from MCUs of an image, whose coded data lies in an array of words. MCUs are
8 x 8 pixels times the sampling of the luma; those of a row are reached through entries, of which
there is one every ``STEP`` MCUs.
"""

__all__ = [
    "ACROSS",
    "CHECKED",
    "COLUMN",
    "COLUMN_END",
    "DOWN",
    "ENTRIES",
    "FIELDS",
    "FIRST_COLUMN",
    "FIRST_ROW",
    "FRAME_HEIGHT",
    "FRAME_WIDTH",
    "HEIGHT",
    "INSTANCES",
    "INSTANCES_END",
    "KIND",
    "KIND_GREY",
    "KIND_RGB",
    "KIND_YCC",
    "LONG_CODES",
    "MIRRORED",
    "N_COLUMNS",
    "PER_ROW",
    "PIXELS",
    "PLANES",
    "RESTART",
    "ROW",
    "ROWS_AT",
    "ROW_END",
    "SOURCE",
    "STEP",
    "TABLES",
    "TURNS",
    "VIEW_H",
    "VIEW_W",
    "VIEW_X",
    "VIEW_Y",
    "WIDTH",
    "WORDS",
    "WORDS_END",
]

# The coded data: words from WORDS to before WORDS_END.
WORDS, WORDS_END = 0, 1
# Entries begin at ENTRIES; there are PER_ROW for a row of MCUs, one every STEP of them. The first
# one is that of MCU row FIRST_ROW, and of the FIRST_COLUMN-th stretch of each row.
ENTRIES, PER_ROW, STEP, FIRST_ROW, FIRST_COLUMN = 2, 3, 4, 5, 6
# Whether the entry after a stretch is its end, so that the two can be compared.
CHECKED = 7
# MCUs of the window, and of a row of the image; MCUs between restarts, or 0.
ROW, ROW_END, COLUMN, COLUMN_END, N_COLUMNS, RESTART = 8, 9, 10, 11, 12, 13
# Components, see below, and samples of the luma down and across for each one of the chroma.
KIND, DOWN, ACROSS = 14, 15, 16
# Number of the tables, and where their long codes begin.
TABLES, LONG_CODES = 17, 18
# Bytes at which the decoded samples begin, and pixels at which those of a resized window do.
PLANES, PIXELS = 19, 20
# Of the image, in pixels; then the view, as mtfast.loaders.views.View.
FRAME_HEIGHT, FRAME_WIDTH = 21, 22
VIEW_Y, VIEW_X, VIEW_H, VIEW_W, HEIGHT, WIDTH, MIRRORED, TURNS = 23, 24, 25, 26, 27, 28, 29, 30
# Of the table of instances.
INSTANCES, INSTANCES_END = 31, 32
# Where the words are copied from, where files lie in the host's memory; and where the row of an
# image begins in the table of its rows of MCUs.
SOURCE, ROWS_AT = 33, 34
FIELDS = 35

KIND_GREY, KIND_YCC, KIND_RGB = 1, 3, 4
