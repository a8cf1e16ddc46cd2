"""Find near-duplicates without comparing every pair.

    text        a dog ran home and slept
    shingles    {a dog ran home and, dog ran home and slept}      every five words in a row
    similarity  J(A, B) = |A and B| / |A or B|                    Jaccard: shared shingles among all shingles
    signature   min h1(A), min h2(A), ..., min hH(A)              P(min h(A) = min h(B)) = J(A, B)
    bands       | h1 h2 h3 h4 | h5 h6 h7 h8 | ...                 same values in one band: look closer

The signature turns a text of any length into H numbers, and the fraction of equal numbers estimates J. The bands turn
the search for neighbours into look-ups: a pair meets in at least one of b bands of r rows with the probability
1 - (1 - J^r)^b, an S-shaped curve of J that is near 0 for different texts and near 1 for similar ones.

Source: Broder 1997, "On the resemblance and containment of documents"; Leskovec, Rajaraman and Ullman, "Mining of
Massive Datasets", section 3.4 (bands).
"""

import hashlib
from collections import defaultdict
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt32, UInt64

from gemini_workshop.data.preprocessing.quality import words_of
from gemini_workshop.errors import DataError

WORDS_PER_SHINGLE = 5
SHINGLES_AT_ONCE = 4096  # bounds the memory that a long text takes


def shingles(text: str, num_words: int = WORDS_PER_SHINGLE) -> set[str]:
    """Every ``num_words`` words in a row; a shorter text is one shingle, and so is one without words.

    Example:
        >>> sorted(shingles("A dog ran home.", num_words=3))
        ['a dog ran', 'dog ran home']
    """
    words = words_of(text) or [text.strip()]
    return {" ".join(words[i : i + num_words]) for i in range(max(1, len(words) - num_words + 1))}


class MinHash:
    """Signatures by ``num_hashes`` hash functions h(x) = the upper half of a x + b, modulo 2^64.

    Source: Dietzfelbinger 1996, "Universal hashing and k-wise independent random variables via integer arithmetic
    without primes": for odd or even a, any two 32-bit inputs are hashed independently.
    """

    def __init__(self, num_hashes: int = 128, seed: int = 0) -> None:
        noise = hashlib.shake_128(b"%d" % seed).digest(16 * num_hashes)  # the same in every version of every library
        self.factors, self.summands = np.frombuffer(noise, dtype="<u8").astype(np.uint64).reshape(2, num_hashes)

    def signature(self, text: str) -> UInt32[np.ndarray, " H"]:
        """The least hash value of the text's shingles under each hash function."""
        texts = (shingle.encode("utf-8", errors="replace") for shingle in shingles(text))
        digests = b"".join(hashlib.blake2b(text, digest_size=4).digest() for text in texts)
        inputs = np.frombuffer(digests, dtype="<u4").astype(np.uint64)
        blocks = (inputs[i : i + SHINGLES_AT_ONCE] for i in range(0, len(inputs), SHINGLES_AT_ONCE))
        return np.min([self._least_hashes(block) for block in blocks], axis=0)

    def _least_hashes(self, inputs: UInt64[np.ndarray, " N"]) -> UInt32[np.ndarray, " H"]:
        hashes = (inputs[:, None] * self.factors + self.summands) >> np.uint64(32)
        return hashes.min(axis=0).astype(np.uint32)


def estimated_similarity(left: UInt32[np.ndarray, " H"], right: UInt32[np.ndarray, " H"]) -> float:
    """The fraction of equal entries: an estimate of the Jaccard similarity, off by about sqrt(J (1 - J) / H)."""
    return float((left == right).mean())


class Neighbour(NamedTuple):
    """An earlier text that is similar to the one asked for."""

    number: int
    similarity: float


class NearDuplicateIndex:
    """The signatures of all texts added so far, found again by bands.

    Memory grows with the number of texts, not with their length.
    """

    def __init__(self, num_bands: int = 32, rows_per_band: int = 4) -> None:
        if num_bands < 1 or rows_per_band < 1:
            raise DataError(
                f"num_bands={num_bands} and rows_per_band={rows_per_band} make no signature. Choose both >= 1."
            )
        self.num_bands, self.rows_per_band = num_bands, rows_per_band
        self.signatures: list[UInt32[np.ndarray, " H"]] = []
        self._buckets: defaultdict[bytes, list[int]] = defaultdict(list)

    def __len__(self) -> int:
        """Texts added."""
        return len(self.signatures)

    def add(self, signature: UInt32[np.ndarray, " H"]) -> int:
        """Add a text; return its number, counted from 0."""
        for key in self._keys(signature):
            self._buckets[key].append(len(self.signatures))
        self.signatures.append(signature)
        return len(self.signatures) - 1

    def neighbours(self, signature: UInt32[np.ndarray, " H"], min_similarity: float) -> list[Neighbour]:
        """The texts that share a band and whose estimated similarity is high enough, the most similar first."""
        numbers = {number for key in self._keys(signature) for number in self._buckets.get(key, ())}
        found = [Neighbour(number, estimated_similarity(signature, self.signatures[number])) for number in numbers]
        near = [neighbour for neighbour in found if neighbour.similarity >= min_similarity]
        return sorted(near, key=lambda neighbour: (-neighbour.similarity, neighbour.number))

    def _keys(self, signature: UInt32[np.ndarray, " H"]) -> list[bytes]:
        if len(signature) != self.num_bands * self.rows_per_band:
            raise DataError(
                f"A signature of {len(signature)} hashes does not divide into num_bands={self.num_bands} of "
                f"rows_per_band={self.rows_per_band}. Use MinHash({self.num_bands * self.rows_per_band})."
            )
        bands = signature.reshape(self.num_bands, self.rows_per_band)
        return [b"%d:" % number + band.tobytes() for number, band in enumerate(bands)]
