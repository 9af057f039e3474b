"""The random numbers of ``numpy.random.PCG64(seed)``, without its objects.

A seed is a list of words of 32 bits. They are mixed into a pool of four, from which eight words are
made, the start of a generator of 128 bits::

    words  ->  pool (4)  ->  state, increment (4 + 4)  ->  state = state * M + increment  ->  number

numpy promises that both steps stay the same in all its versions (NEP 19). Numbers of 128 bits are
four words, lowest first. A word of 32 bits lies in an int64: of a product of two of them, one more
word and a carry, int64 keeps all 64 bits, if only as a negative number, and the masks read them.

Source: numpy/random/bit_generator.pyx, ``SeedSequence``, after M. E. O'Neill's ``seed_seq_fe``;
numpy/random/src/pcg64/pcg64.h, after M. E. O'Neill, PCG: A Family of Simple Fast Space-Efficient
Statistically Good Algorithms for Random Number Generation, HMC-CS-2014-0905.
"""

from mtfast.kernels.jit import f64, i64, kernel, read, write

__all__ = ["N_STATE", "draw_uniform", "put_words"]

N_STATE = 12
"""Words of a generator: state, increment, and either the pool or the next state."""

MASK = 0xFFFFFFFF
# Of SeedSequence, by its names.
INIT_A, MULT_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULT_B = 0x8B51F9DD, 0x58F38DED
MIX_MULT_L, MIX_MULT_R = 0xCA01F9DD, 0x4973F715
# PCG_DEFAULT_MULTIPLIER_128, lowest word first.
MULTIPLIER = (0x9FCCF645, 0x4385DF64, 0x1FC65DA4, 0x2360ED05)


@kernel(i64(i64, write(i64), i64))
def put_words(number, words, at):
    """Append a number to the words of a seed, as numpy does with each integer of a sequence.

    Parameters
    ----------
    number : int
        Not negative.
    words : (>= at + 2,) int64, out
    at : int
        Words that are there.

    Returns
    -------
    int
        Words that are there now: one more, or two for a number of more than 32 bits.
    """
    words[at] = number & MASK
    if number <= MASK:
        return at + 1
    words[at + 1] = number >> 32
    return at + 2


@kernel(i64(i64, i64, i64))
def hash_word(word, before, after):
    """Hash a word by two constants, the second of which is the first of the next call."""
    hashed = ((word ^ before) * after) & MASK
    return hashed ^ (hashed >> 16)


@kernel(i64(i64, i64))
def mix_words(first, second):
    """Mix two words into one."""
    mixed = (MIX_MULT_L * first - MIX_MULT_R * second) & MASK
    return mixed ^ (mixed >> 16)


@kernel(i64(read(i64), i64, write(i64)))
def mix_pool(words, n, pool):
    """Mix the words of a seed into the four of ``pool``."""
    before = INIT_A
    for i in range(4):
        after = (before * MULT_A) & MASK
        pool[i] = hash_word(int(words[i]) if i < n else 0, before, after)
        before = after
    # Every word of the pool reaches the others, then every further word of the seed all four.
    for source in range(max(n, 4)):
        for target in range(4):
            if source == target:
                continue
            after = (before * MULT_A) & MASK
            word = int(pool[source]) if source < 4 else int(words[source])
            pool[target] = mix_words(int(pool[target]), hash_word(word, before, after))
            before = after
    return 0


@kernel(i64(write(i64)))
def step(state):
    """Multiply the state, add the increment."""
    for i in range(4):
        state[8 + i] = state[4 + i]
    for i in range(4):
        carry = 0
        for j in range(4 - i):
            total = int(state[i]) * MULTIPLIER[j] + int(state[8 + i + j]) + carry
            state[8 + i + j] = total & MASK
            carry = (total >> 32) & MASK
    for i in range(4):
        state[i] = state[8 + i]
    return 0


@kernel(i64(write(i64)))
def start(state):
    """Make the first state and the increment of the pool in ``state[8:12]``."""
    before = INIT_B
    for i in range(8):
        after = (before * MULT_B) & MASK
        # The higher half of a number of 128 bits comes first, the lower word of each half.
        state[i ^ 2] = hash_word(int(state[8 + i % 4]), before, after)
        before = after
    # The increment is odd: the number twice, and one more.
    low = 1
    for i in range(4, 8):
        word = int(state[i])
        state[i] = ((word << 1) & MASK) | low
        low = word >> 31
    carry = 0
    for i in range(4):
        total = int(state[i]) + int(state[4 + i]) + carry
        state[i] = total & MASK
        carry = total >> 32
    return step(state)


@kernel(f64(read(i64)))
def number_of(state):
    """Make a number from 0 to below 1 of a state, its output XSL-RR shifted to 53 bits."""
    low = int(state[0] ^ state[2])
    high = int(state[1] ^ state[3])
    turn = int(state[3]) >> 26
    if turn & 32:
        low, high = high, low
    turn &= 31
    turned = ((high >> turn) | (low << (32 - turn))) & MASK
    low = ((low >> turn) | (high << (32 - turn))) & MASK
    return ((turned << 21) | (low >> 11)) * 2.0**-53


@kernel(i64(read(i64), i64, write(i64), write(f64)))
def draw_uniform(words, n, state, numbers):
    """Draw random numbers from 0 to below 1, as ``sampler.uniform`` does.

    Parameters
    ----------
    words : (>= n,) int64
        Words of the seed, see :func:`put_words`.
    n : int
    state : (N_STATE,) int64, scratch
    numbers : (m,) float64, out

    Returns
    -------
    int
        0

    Examples
    --------
    >>> import numpy as np
    >>> numbers, state = np.empty(2), np.empty(N_STATE, np.int64)
    >>> draw_uniform(np.array([0, 1]), 2, state, numbers)
    0
    >>> numbers.round(3)
    array([0.89 , 0.557])
    """
    mix_pool(words, n, state[8:12])
    start(state)
    for i in range(numbers.size):
        step(state)
        numbers[i] = number_of(state)
    return 0
