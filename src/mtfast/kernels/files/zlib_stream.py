"""Row-major runs -> a zlib stream, as PNG and TIFF files hold it.

Deflate writes a byte as it is (a literal), or copies up to 258 bytes from a distance before. So a
stretch of equal bytes is a literal, and copies from a distance of 1::

    pixels    5 5 5 5 ... 5 (1000 times)
    codes     literal 5 | copy 225 | copy 258 | copy 258 | copy 258

    stream    zlib header | block header, code lengths | codes ... | end | adler32
              |------------- head ---------------------|

A copy of 258 bytes is what nearly all of a mask consists of. Its code is a single bit 0, and so is
that of the distance, so a long stretch is a row of zero bytes. All other codes begin with a 1;
:mod:`mtfast.export.zlib_files` makes them.

Codes are kept as ``bits << 5 | number of bits``, the first bit lowest. Source: RFC 1950, 1951.
"""

from mtfast.kernels.jit import i64, kernel, read, u8, u64, write

__all__ = [
    "ADLER_STEP",
    "END",
    "extend_adler",
    "put_stretch",
    "put_zeros",
    "stream_capacity",
    "write_streams",
]

# Index in `codes`: literals 0 to 255, the end of the stream, then copies of 0 to 258 bytes, each
# with its distance.
END = 256
COPIES = 257
N_CODES = COPIES + 259

MAX_COPY = 258
MIN_COPY = 3
BITS_OF_MAX_COPY = 2

# More than the head, the end of a stream and its checksum ever need.
FRAME_BYTES = 128
# Of a run and the gap before it: each is a literal of 10 bits at most, then two more literals or a
# copy of 16 bits at most, besides its copies of 258 bytes.
RUN_BYTES = 8

ADLER = 65521
# The sums over so many bytes fit into 64 bits.
ADLER_STEP = 1 << 24

# The types of `starts`, `stops` and `values`, and those from `height` to `codes`.
RUNS = (read(i64), read(i64), read(i64))
FORMAT = (i64, i64, i64, read(u8), i64, read(i64))


@kernel(i64(i64, i64))
def stream_capacity(n_runs, n_bytes):
    """Return how many bytes a stream of n_bytes, with n_runs runs, needs at most."""
    return FRAME_BYTES + RUN_BYTES * n_runs + BITS_OF_MAX_COPY * n_bytes // (8 * MAX_COPY)


@kernel(i64(i64, write(u8), i64))
def put(code, out, at):
    """Write a code of up to 16 bits after the first ``at`` bits; return how many there are then.

    The unused bits of the byte at ``at`` have to be 0; afterwards those of the last byte are.
    """
    i = u64(at >> 3)
    bits = code >> 5 << (at & 7)
    out[i] |= bits & 255
    out[i + u64(1)] = bits >> 8 & 255
    out[i + u64(2)] = bits >> 16 & 255
    return at + (code & 31)


@kernel(i64(i64, write(u8), i64))
def put_zeros(n, out, at):
    """Write n zero bits; return how many there are then."""
    for i in range((at >> 3) + 1, ((at + n) >> 3) + 1):
        out[u64(i)] = 0
    return at + n


@kernel(i64(i64, i64, i64, read(i64), write(u8), i64))
def put_stretch(n, value, before, codes, out, at):
    """Write n bytes of one value; ``before`` is the value of the byte before them, or -1."""
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
    """Return the checksum of data with the checksum ``adler``, followed by n bytes of one value."""
    low = adler & 0xFFFF
    high = adler >> 16
    while n > 0:
        step = min(n, ADLER_STEP)
        high = (high + step * low + value * (step * (step + 1) // 2)) % ADLER
        low = (low + step * value) % ADLER
        n -= step
    return high << 16 | low


@kernel(i64(*RUNS, *FORMAT, write(u8), i64))
def write_stream(
    starts, stops, values, height, width, row_prefix, head, head_bits, codes, out, start
):
    """Write one stream; return where it ends.

    Parameters
    ----------
    starts, stops, values : (n,) int64
        Range of pixels and value of each run, ascending and disjoint, each within a row; all other
        pixels are 0.
    height, width : int
    row_prefix : int
        1 puts a byte 0 before each row, as PNG does; 0 puts none.
    head : uint8
        What the stream begins with: the zlib header and the code lengths.
    head_bits : int
        Bits of ``head`` that are in use; the others are 0.
    codes : (N_CODES,) int64
    out : uint8, out
        Capacity :func:`stream_capacity` after ``start``.
    start : int
        Where the stream begins in ``out``.

    Returns
    -------
    int
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


@kernel(i64(*RUNS, read(i64), *FORMAT, write(u8), write(i64)))
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
        Capacity for :func:`stream_capacity` of every image.
    ends : (n_images,) int64, out
        Where each stream ends; the first begins at 0.

    Returns
    -------
    int
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
