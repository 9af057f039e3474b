"""The bytes of the zstd frames that :mod:`mtfast.kernels.files.zstd_frame` writes."""

MAX_BLOCK = 1 << 17
HEADER_BYTES = 14
BLOCK_BYTES = 4

MAGIC = 0xFD2FB528
# No dictionary, no checksum, eight bytes of content size; window of 2**(10 + 7) bytes.
DESCRIPTOR = 0xC0
WINDOW = 7 << 3

RLE_BLOCK = 1 << 1
LAST_BLOCK = 1
KIND = 3 << 1
