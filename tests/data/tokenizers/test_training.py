import re
import subprocess
import sys
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop.data.tokenizers.bpe import train_bpe
from gemini_workshop.data.tokenizers.training import train_bpe_fast
from gemini_workshop.errors import DataError
from tests.data.tokenizers.samples import TEXT, recounted_merges, words_of


def trained(words: list[bytes], num_merges: int) -> list[tuple[tuple[int, int], int]]:
    return list(train_bpe_fast(Counter(words), num_merges).items())


def test_training_equals_a_literal_recount():
    words = words_of(TEXT)
    assert trained(words, 60) == list(recounted_merges(words, 60).items())


def test_of_equally_frequent_pairs_the_first_seen_wins():
    assert [pair for pair, _ in trained([b"zy", b"ab", b"zy", b"ab"], 2)] == [(122, 121), (97, 98)]


@settings(max_examples=30, deadline=None)
@given(st.text(alphabet="ab c", min_size=20, max_size=100))
def test_the_fast_trainer_learns_the_merges_of_the_naive_one(text):
    words = words_of(text)
    with pytest.raises(DataError) as too_many:
        train_bpe_fast(Counter(words), 1000)
    most = int(re.search(r"yields (\d+) merges", str(too_many.value))[1])
    assert trained(words, most) == list(train_bpe(words, most).items())
    with pytest.raises(DataError, match=f"yields {most} merges"):
        train_bpe(words, most + 1)


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.binary(min_size=1, max_size=12), st.integers(1, 5), min_size=8, max_size=30))
def test_words_of_any_bytes_in_any_number_give_the_naive_merges(repeats):
    words = [word for word, times in repeats.items() for _ in range(times)]
    num_merges = sum(len(word) - 1 for word in repeats) // 4
    try:
        expected = train_bpe(words, num_merges)
    except DataError:
        with pytest.raises(DataError):
            train_bpe_fast(repeats, num_merges)
        return
    assert list(train_bpe_fast(repeats, num_merges).items()) == list(expected.items())


def test_the_fast_trainer_agrees_over_hundreds_of_merges():
    # A place counted in tokens instead of bytes, or a place never looked up again, goes wrong late: hence so many.
    text = " ".join(f"{a}{b}{c}{a}" for a in ("ban", "an", "na", "ta") for b in "abcdefgh" for c in ("nan", "ab", "ta"))
    words = words_of(text)
    assert trained(words, 150) == list(recounted_merges(words, 150).items())


def test_counts_beyond_32_bits_are_kept_whole():
    assert list(train_bpe_fast({b"ab": 2**40, b"cd": 2**40 + 1}, 2)) == [(99, 100), (97, 98)]


@pytest.mark.parametrize("repeats", [{}, {b"": 3}, {b"a": 5}])
def test_words_without_a_pair_yield_no_merge(repeats):
    assert train_bpe_fast(repeats, 0) == {}
    with pytest.raises(DataError, match=r"yields 0 merges, but 1 were asked for.*vocab_size <= 257"):
        train_bpe_fast(repeats, 1)


def test_too_little_text_says_how_far_it_reaches():
    with pytest.raises(DataError, match=r"yields 2 merges, but 3 were asked for.*vocab_size <= 259"):
        train_bpe_fast({b"abc": 1}, 3)


MEASURED = """
import itertools, random, resource, sys
from gemini_workshop.data.tokenizers import BPETokenizer

def documents():
    draw = random.Random(0)
    syllables = [a + b for a in "bcdfghklmnprstvw" for b in "aeiou"]
    words = ["".join(draw.choices(syllables, k=draw.randint(1, 4))) for _ in range(30_000)]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    num_bytes = 0
    while num_bytes < 10e6:
        document = " ".join(draw.choices(words, cum_weights=weights, k=20_000))
        num_bytes += len(document)
        yield document

assert BPETokenizer.train(documents(), 8257).vocab_size == 8257
if sys.platform == "linux":  # there, getrusage begins with the peak of the process that started this one
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    print(int(peak.split()[1]) * 1024)
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="measures by the module resource")
def test_eight_thousand_merges_on_ten_megabytes_stay_below_500_megabytes():
    run = subprocess.run([sys.executable, "-c", MEASURED], check=True, capture_output=True, text=True)
    assert int(run.stdout) < 500e6
