import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gemini_workshop.data.tokenizers.bpe import apply_merges
from gemini_workshop.data.tokenizers.byte_pairs import tokens_of
from gemini_workshop.data.tokenizers.merging import Memory, merge_word
from gemini_workshop.data.tokenizers.training import train_bpe_fast


@pytest.fixture(scope="module")
def merges() -> dict[tuple[int, int], int]:
    draw = random.Random(0)
    return train_bpe_fast({bytes(draw.choices(b"aabc", k=9)): 1 for _ in range(300)}, 200)


@given(word=st.one_of(st.text("aabcd", min_size=1, max_size=60).map(str.encode), st.binary(min_size=1)))
def test_a_word_is_merged_as_by_the_taught_form(merges, word):
    ranks = {token: i for i, token in enumerate(tokens_of(merges))}
    assert merge_word(word, ranks) == apply_merges(word, merges)


def test_of_equal_ranks_the_leftmost_is_merged_first():
    ranks = {b"a": 0, b"aa": 1}
    assert merge_word(b"aaaaa", ranks) == [1, 1, 0]


def test_a_join_that_makes_a_lower_rank_is_followed_by_that():
    # As tiktoken does it; merges learned from text never come to this.
    ranks = {b"a": 0, b"b": 1, b"c": 2, b"abc": 3, b"bc": 4, b"ab": 5}
    assert merge_word(b"abcabc", ranks) == [3, 3]


def test_work_grows_with_the_length_and_not_with_its_square():
    class Asked(dict):
        count = 0

        def get(self, key, default=None):
            self.count += 1
            return super().get(key, default)

    def num_asked(length: int) -> int:
        ranks = Asked({bytes([97] * 2**i): i for i in range(12)})
        merge_word(b"a" * length, ranks)
        return ranks.count

    assert num_asked(8000) < 9 * num_asked(1000)


def test_the_memory_is_bounded_and_keeps_no_long_piece(monkeypatch):
    monkeypatch.setattr(Memory, "MAX_PIECES", 3)
    memory = Memory(bytes.upper)
    assert [memory[piece] for piece in (b"a", b"b", b"c", b"d", b"a")] == [b"A", b"B", b"C", b"D", b"A"]
    assert len(memory) <= 3
    assert memory[b"x" * 65] == b"X" * 65
    assert b"x" * 65 not in memory
