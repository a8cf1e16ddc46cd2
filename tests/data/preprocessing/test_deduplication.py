"""The estimates against the exact similarity, and against datasketch, which was written by others."""

import itertools
import random

import numpy as np
import pytest
from datasketch import MinHash as TheirMinHash

from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.preprocessing.deduplication import (
    MinHash,
    NearDuplicateIndex,
    estimated_similarity,
    shingles,
)
from gemini_workshop.errors import DataError
from tests.data.preprocessing.similarity import jaccard, meeting_probability


def variant(text: str, num_edits: int, seed: int) -> str:
    """The text with some words replaced."""
    rng, words = random.Random(seed), text.split()
    for place in rng.sample(range(len(words)), min(num_edits, len(words))):
        words[place] = f"word{place}"
    return " ".join(words)


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """Pairs of stories from equal to unlike."""
    stories = load_documents("stories")[:40]
    return [(story, variant(story, i // 4, i)) for i, story in enumerate(stories)] + list(
        itertools.pairwise(stories[:6])
    )


def their_estimate(left: str, right: str, num_hashes: int) -> float:
    signatures = []
    for text in (left, right):
        signatures.append(TheirMinHash(num_perm=num_hashes))
        signatures[-1].update_batch([shingle.encode() for shingle in shingles(text)])
    return signatures[0].jaccard(signatures[1])


def test_shingles_are_all_words_in_a_row():
    assert shingles("A b, c! D e f.") == {"a b c d e", "b c d e f"}
    assert shingles("a b") == {"a b"}
    assert shingles("!?") == {"!?"}
    assert shingles("") == {""}


@pytest.mark.parametrize(
    ("left", "right", "similarity"), [("ab", "ab", 1), ("ab", "cd", 0), ("abc", "bcd", 0.5), ("", "", 1), ("a", "", 0)]
)
def test_the_exact_similarity_is_shared_among_all(left, right, similarity):
    assert jaccard(set(left), set(right)) == similarity


def test_the_estimate_is_as_near_to_the_exact_similarity_as_theory_says(pairs):
    minhash = MinHash(num_hashes=512)
    for left, right in pairs:
        exact = jaccard(shingles(left), shingles(right))
        estimate = estimated_similarity(minhash.signature(left), minhash.signature(right))
        assert abs(estimate - exact) <= 4.5 * np.sqrt(exact * (1 - exact) / 512)


def test_the_estimate_agrees_with_datasketch(pairs):
    minhash = MinHash(num_hashes=512)
    for left, right in pairs:
        ours = estimated_similarity(minhash.signature(left), minhash.signature(right))
        exact = jaccard(shingles(left), shingles(right))
        assert abs(ours - their_estimate(left, right, 512)) <= 9 * np.sqrt(exact * (1 - exact) / 512)


def test_the_errors_of_many_hash_functions_cancel(pairs):
    """The mean over seeds is nearer to the truth than one can be: the hash functions are independent enough."""
    left, right = pairs[16]
    exact = jaccard(shingles(left), shingles(right))
    estimates = []
    for seed in range(40):
        minhash = MinHash(seed=seed)
        estimates.append(estimated_similarity(minhash.signature(left), minhash.signature(right)))
    expected = np.sqrt(exact * (1 - exact) / 128)
    assert 0.3 < exact < 0.95
    assert abs(np.mean(estimates) - exact) < 4 * expected / np.sqrt(40)
    assert 0.6 * expected < np.std(estimates) < 1.5 * expected


def test_a_signature_is_the_same_in_every_process():
    """What one run stored another must be able to compare: no hash of Python's own, which changes."""
    assert MinHash(num_hashes=3).signature("a dog ran home and slept").tolist() == [1808296618, 1535616857, 3730060383]


def test_pairs_meet_as_often_as_the_curve_says():
    rng = np.random.default_rng(0)
    num_bands, rows = 8, 3
    for similarity in (0.2, 0.4, 0.6, 0.8):
        met = 0
        for _ in range(400):
            left = rng.integers(0, 2**32, num_bands * rows, dtype=np.uint32)
            right = np.where(rng.random(len(left)) < similarity, left, left + np.uint32(1)).astype(np.uint32)
            index = NearDuplicateIndex(num_bands, rows)
            index.add(left)
            met += bool(index.neighbours(right, min_similarity=0.0))
        expected = meeting_probability(similarity, num_bands, rows)
        assert abs(met / 400 - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 400) + 1e-9


def test_the_curve_is_steep_where_it_should_be():
    assert meeting_probability(0.8, num_bands=32, rows_per_band=4) > 0.9999999
    assert meeting_probability(0.5, num_bands=32, rows_per_band=4) > 0.87
    assert meeting_probability(0.1, num_bands=32, rows_per_band=4) < 0.004


def test_neighbours_are_found_in_order_of_likeness():
    story = load_documents("stories")[0]
    minhash, index = MinHash(), NearDuplicateIndex()
    for i, num_edits in enumerate((9, 0, 3)):
        assert index.add(minhash.signature(variant(story, num_edits, i))) == i
    for other in load_documents("stories")[1:50]:
        index.add(minhash.signature(other))
    assert len(index) == 52
    found = index.neighbours(minhash.signature(story), min_similarity=0.5)
    assert [neighbour.number for neighbour in found] == [1, 2, 0][: len(found)]
    assert found[0].similarity == 1.0
    assert index.neighbours(minhash.signature(story), min_similarity=0.99) == found[:1]


def test_the_same_values_in_another_band_are_no_meeting():
    index = NearDuplicateIndex(num_bands=2, rows_per_band=2)
    index.add(np.array([1, 2, 3, 4], dtype=np.uint32))
    assert index.neighbours(np.array([3, 4, 1, 2], dtype=np.uint32), min_similarity=0.0) == []
    assert len(index.neighbours(np.array([1, 2, 9, 9], dtype=np.uint32), min_similarity=0.0)) == 1


def test_a_signature_of_the_wrong_length_is_an_error():
    with pytest.raises(DataError, match=r"64 hashes does not divide .*num_bands=32 .*Use MinHash\(128\)"):
        NearDuplicateIndex().add(MinHash(num_hashes=64).signature("text"))


def test_an_index_without_bands_is_an_error():
    with pytest.raises(DataError, match="num_bands=0"):
        NearDuplicateIndex(num_bands=0)


def test_half_a_letter_counts_as_a_question_mark():
    assert np.array_equal(MinHash().signature("one \ud800 two"), MinHash().signature("one ? two"))
