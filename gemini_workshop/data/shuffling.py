"""An order of n things, shuffled, of which any place can be computed without the others.

A Feistel network mixes two halves of a number's bits with a key, and whatever the mixing does, it can be undone:

    left, right  ->  right, left XOR mix(right, key)           some rounds of this

So it is a permutation of all numbers of that many bits. Where it leads out of 0 to n - 1, it is applied again until
it leads back in ("cycle walking"), which gives a permutation of these: no table, no memory, any place at once.

Source: Luby and Rackoff 1988, "How to construct pseudorandom permutations from pseudorandom functions"; cycle walking:
Black and Rogaway 2002, "Ciphers with arbitrary finite domains", section 4.
Differs: the mixing is a hash, quick but not secret.
"""

import numpy as np
from jaxtyping import Int, UInt64

ROUNDS = 8


def shuffled(places: Int[np.ndarray, " N"], count: int, seed: int, epoch: int = 0) -> Int[np.ndarray, " N"]:
    """What stands at these places of the shuffled 0, 1, ..., ``count - 1``.

    Example:
        >>> sorted(shuffled(np.arange(5), count=5, seed=7).tolist())
        [0, 1, 2, 3, 4]
    """
    half_bits = max(1, ((count - 1).bit_length() + 1) // 2)
    keys = np.random.SeedSequence([seed % 2**64, epoch]).generate_state(ROUNDS, np.uint64)
    numbers = _feistel(places.astype(np.uint64), half_bits, keys)
    while (outside := numbers >= count).any():
        numbers[outside] = _feistel(numbers[outside], half_bits, keys)
    return numbers.astype(np.int64)


def _feistel(
    numbers: UInt64[np.ndarray, " N"], half_bits: int, keys: UInt64[np.ndarray, " rounds"]
) -> UInt64[np.ndarray, " N"]:
    shift, low_bits = np.uint64(half_bits), np.uint64(2**half_bits - 1)
    left, right = numbers >> shift, numbers & low_bits
    for i in range(len(keys)):
        left, right = right, left ^ (_mix(right ^ keys[i : i + 1]) & low_bits)
    return (left << shift) | right


def _mix(numbers: UInt64[np.ndarray, " N"]) -> UInt64[np.ndarray, " N"]:
    """Every bit depends on every bit: the finaliser of MurmurHash3."""
    numbers = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    numbers = (numbers ^ (numbers >> np.uint64(33))) * np.uint64(0xC4CEB9FE1A85EC53)
    return numbers ^ (numbers >> np.uint64(33))
