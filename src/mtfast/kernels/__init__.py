"""Loops over arrays: inputs first, caller-allocated outputs last, a count or a status returned.

A kernel does no I/O and raises nothing. It trusts the arguments of its Python caller (shapes, frame
sizes, offsets that ascend), and nothing that comes from a file: texts are decoded by
:func:`mtfast.kernels.rle.coco_string.decode_places`, and long ones by
:func:`mtfast.kernels.rle.places.places_of_text` or
:func:`mtfast.kernels.rle.toggle_words.toggles_of_text`, which accept only runs that tile the frame.

A mask has one of these forms. A *place* is the index of a pixel when the columns of the frame
follow each other: column * height + row. The example is ::

    . # # .
    . . # .      height 3, width 4
    # . . .

text
    ``22202``, COCO's compressed string; (n,) uint8. Anything may be in it until it is decoded.
    Home: :mod:`mtfast.kernels.rle.coco_string`.
counts
    ``2 2 2 2 4``, the run lengths, background first; int64. None is negative, and they add up to
    the pixels of the frame. Home: :mod:`mtfast.kernels.rle.coco_string`.
places
    ``2 4 6 8 12``, where each count ends; int64. They ascend to the pixels of the frame; two are
    equal where a count is 0. Home: :mod:`mtfast.kernels.rle.coco_string`.
toggle list
    ``2 4 6 8 SENTINEL``, where the mask begins and ends; int64. An even number of places, strictly
    ascending, and a sentinel after them. Home: :mod:`mtfast.kernels.rle.toggle_lists`.
toggle words
    Bases ``0 3 6 12`` and words ``100 010 101``: the toggles as bits, a word for up to 64 pixels of
    a column; int64 and uint64. Bases ascend, and the last is the pixels of the frame. Home:
    :mod:`mtfast.kernels.rle.toggle_words`.
column pieces
    Columns ``0 1 2``, tops ``2 0 0``, bottoms ``3 1 2``: the runs cut at the ends of columns;
    int64. They ascend; whole columns side by side are one piece. Home:
    :mod:`mtfast.kernels.rle.column_pieces`.
row runs
    Rows ``0 1 2``, starts ``1 2 0``, stops ``3 3 1``: the runs along the rows; int64. Those of one
    row come from left to right. Home: :mod:`mtfast.kernels.operations.row_runs`, which also lays
    the row runs of an image over each other; their starts and stops are then row * width + column.
label runs
    Labels, starts and stops (places) of the runs of a label map; int64. They ascend, and a run ends
    with its column. Home: :mod:`mtfast.kernels.frames.label_map`.

Kernels that work on many masks get the toggle lists one after another: list k is
``toggles[offsets[k]:offsets[k + 1]]``, with its sentinel.
"""
