"""Loops over arrays: inputs first, caller-allocated outputs last, a count or a status returned.

A kernel does no I/O and raises nothing. It trusts the arguments of its Python caller (shapes, frame
sizes, offsets that ascend), and nothing that comes from a file: COCO strings are decoded by
:func:`mtfast.kernels.rle.coco_string.decode_places`, and long ones by
:func:`mtfast.kernels.rle.toggle_words.toggles_of_text`, which accept only runs that tile the frame.
"""
