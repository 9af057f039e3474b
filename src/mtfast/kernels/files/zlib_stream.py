"""Row-major runs -> a zlib stream, as it stands in PNG and TIFF files.

Deflate writes a byte as it is (a literal), or copies up to 258 bytes from some way back. A stretch
of equal bytes is a literal and copies from one byte back::

    5 5 5 5 ... 5 (1000 times)     literal 5, copy 225, copy 258, copy 258, copy 258

A copy of 258 bytes is what nearly all of a mask consists of: its code is one bit, so is that of
the distance, both are 0, and a long stretch is a row of zero bytes. All other codes share the other
half; :mod:`mtfast.export.zlib_files` makes them.

Codes are kept as ``bits << 5 | number of bits``, the first bit lowest. Source: RFC 1950, 1951.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

# Literals 0 to 255 and the end of the stream, then copies of 0 to 258 bytes with their distance.
END = 256
COPIES = 257
N_CODES = COPIES + 259

MAX_COPY = 258
MIN_COPY = 3
BITS_OF_MAX_COPY = 2

# Whatever the codes, their description is shorter; so is what stands before and behind the stream.
FRAME_BYTES = 128
# Two stretches, each a literal and either two more or a copy, of at most 10 and 16 bits.
RUN_BYTES = 8

ADLER = 65521
# Sums over so many bytes fit into 64 bits.
ADLER_STEP = 1 << 24


@kernel(i64(i64, i64))
def stream_room(n_runs, n_bytes):
    """Return how many bytes the stream of n_bytes in n_runs runs and the gaps between may need."""
    return FRAME_BYTES + RUN_BYTES * n_runs + BITS_OF_MAX_COPY * n_bytes // (8 * MAX_COPY)


@kernel(i64(i64, write(u8), i64))
def put(code, out, at):
    """Write a code of up to 16 bits behind the first ``at`` bits; return how many there are then.

    In the byte that holds the last bit all higher ones are 0, as they are once it is begun here.
    """
    i = u64(at >> 3)
    bits = code >> 5 << (at & 7)
    out[i] |= bits & 255
    out[i + u64(1)] = bits >> 8 & 255
    out[i + u64(2)] = bits >> 16 & 255
    return at + (code & 31)


@kernel(i64(i64, write(u8), i64))
def put_zeros(n, out, at):
    """Write n bits 0."""
    for i in range((at >> 3) + 1, ((at + n) >> 3) + 1):
        out[u64(i)] = 0
    return at + n


@kernel(i64(i64, i64, i64, read(i64), write(u8), i64))
def put_stretch(n, value, before, codes, out, at):
    """Write n bytes of one value; ``before`` is that of the byte before them, or -1."""
    if n == 0:
        return at
    if value != before:
        at = put(codes[value], out, at)
        n -= 1
    n_full = n // MAX_COPY
    n -= n_full * MAX_COPY
    if n >= MIN_COPY:
        at = put(codes[COPIES + n], out, at)
    else:
        for _ in range(n):
            at = put(codes[value], out, at)
    return put_zeros(BITS_OF_MAX_COPY * n_full, out, at)


@kernel(i64(i64, i64, i64))
def extend_adler(adler, n, value):
    """Checksum of what had the checksum ``adler``, followed by n bytes of one value."""
    low = adler & 0xFFFF
    high = adler >> 16
    while n > 0:
        step = min(n, ADLER_STEP)
        high = (high + step * low + value * (step * (step + 1) // 2)) % ADLER
        low = (low + step * value) % ADLER
        n -= step
    return high << 16 | low


@kernel(
    i64(read(i64), read(i64), read(i64), i64, i64, i64, read(u8), i64, read(i64), write(u8), i64)
)
def write_stream(
    starts, stops, values, height, width, row_prefix, head, head_bits, codes, out, start
):
    """Write one stream; return where it ends.

    Parameters
    ----------
    starts, stops, values : (n,) int64
        Range of pixels and value of each run, ascending and disjoint, each within a row; elsewhere
        is 0.
    height, width : int
    row_prefix : int
        1 puts a byte 0 before each row, as PNG has it; otherwise 0.
    head : uint8
        What the stream begins with: the header and the description of the codes.
    head_bits : int
    codes : (N_CODES,) int64
    out : uint8, out
        :func:`stream_room` says how much room is needed behind ``start``.
    start : int
    """
    for i in range(head.size):
        out[start + i] = head[i]
    at = 8 * start + head_bits
    adler = 1
    before = -1
    written = 0
    for i in range(starts.size):
        begin = starts[i]
        if row_prefix:
            begin += begin // width + 1
        gap = begin - written
        if gap > 0:
            at = put_stretch(gap, 0, before, codes, out, at)
            adler = extend_adler(adler, gap, 0)
            before = 0
        n = stops[i] - starts[i]
        at = put_stretch(n, values[i], before, codes, out, at)
        adler = extend_adler(adler, n, values[i])
        before = values[i]
        written = begin + n
    rest = height * (width + row_prefix) - written
    at = put_stretch(rest, 0, before, codes, out, at)
    adler = extend_adler(adler, rest, 0)
    at = put(codes[END], out, at)
    end = (at + 7) >> 3
    for i in range(4):
        out[end + i] = adler >> (24 - 8 * i) & 255
    return end + 4


@kernel(
    i64(
        read(i64),
        read(i64),
        read(i64),
        read(i64),
        i64,
        i64,
        i64,
        read(u8),
        i64,
        read(i64),
        write(u8),
        write(i64),
    )
)
def write_streams(
    starts, stops, values, run_ends, height, width, row_prefix, head, head_bits, codes, out, ends
):
    """Write one stream an image; return where the last one ends.

    Parameters
    ----------
    starts, stops, values, height, width, row_prefix, head, head_bits, codes
        As for :func:`write_stream`, the runs of one image after another.
    run_ends : (n_images,) int64
        Where the runs of each image end; those of the first begin at 0.
    out : uint8, out
        Room for :func:`stream_room` of every image.
    ends : (n_images,) int64, out
        Where each stream ends; the first begins at 0.
    """
    at = 0
    begin = 0
    for image in range(run_ends.size):
        end = run_ends[image]
        at = write_stream(
            starts[begin:end],
            stops[begin:end],
            values[begin:end],
            height,
            width,
            row_prefix,
            head,
            head_bits,
            codes,
            out,
            at,
        )
        ends[image] = at
        begin = end
    return at
