"""JPEG files without their pixels: headers, and windows cut out of the coded data.

==============================  ===================================================================
:mod:`mtfast.jpeg.header`       the walk over the markers; size and kind of any JPEG that can be
                                stored
:mod:`mtfast.jpeg.layout`       what cutting needs to know of a file; refuses what it cannot cut
:mod:`mtfast.jpeg.huffman`      Huffman tables, in the form that kernels read
:mod:`mtfast.jpeg.index`        where decoding can begin mid-file
:mod:`mtfast.jpeg.crop`         a window -> a small JPEG of the same pixels
==============================  ===================================================================
"""

from mtfast.jpeg.header import JpegHeader, read_header

__all__ = ["JpegHeader", "read_header"]
