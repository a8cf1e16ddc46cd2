from collections import Counter
from itertools import pairwise

import pytest

from gemini_workshop.data.tokenizers.bpe import (
    apply_merges,
    count_pairs,
    decode,
    encode,
    merge_pair,
    pre_tokenize,
    train_bpe,
)
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.splitting import split_words
from gemini_workshop.errors import DataError
from tests.data.tokenizers.samples import TEXT, recounted_merges, words_of


def test_overlapping_pairs_are_counted_and_merged_without_overlap():
    assert count_pairs(b"aaaaa") == {(97, 97): 4}
    assert merge_pair(b"aaaaa", (97, 97), 256) == [256, 256, 97]


def test_merging_leaves_the_input_alone():
    ids = [1, 2, 1, 2]
    assert merge_pair(ids, (1, 2), 9) == [9, 9]
    assert ids == [1, 2, 1, 2]


def test_training_equals_a_literal_recount():
    words = words_of(TEXT)
    assert list(train_bpe(words, 60).items()) == list(recounted_merges(words, 60).items())


def test_of_equally_frequent_pairs_the_first_seen_wins():
    assert list(train_bpe([b"zy", b"ab", b"zy", b"ab"], 2)) == [(122, 121), (97, 98)]


def test_pairs_do_not_span_words():
    assert (98, 99) not in train_bpe([b"ab", b"cd", b"ab", b"cd"], 2)


def test_the_earliest_merge_is_applied_first():
    merges = {(98, 99): 256, (97, 98): 257, (97, 256): 258}
    assert apply_merges(b"abc", merges) == [258]


def test_encoding_goes_on_until_no_pair_is_left():
    merges = {(97, 97): 256, (256, 256): 257}
    assert apply_merges(b"aaaaaaa", merges) == [257, 256, 97]


def test_the_words_are_those_of_the_pattern_gpt2():
    for text in (TEXT, "It's 12345  o'clock!\n\n\tWE'LL   see ", "été, 東京 🙂🙂\r\n  x"):
        assert pre_tokenize(text) == split_words(text, "gpt2")


def test_the_page_is_a_whole_tokenizer_and_equals_the_fast_one():
    merges = train_bpe(words_of(TEXT), 60)
    special = {"<|endoftext|>": 316, "<a|b>": 317}
    text = TEXT + "<|endoftext|>x<a|b><|endoftext|> y"
    fast = BPETokenizer(merges, special_tokens=special)
    assert encode(text, merges, special) == fast.encode(text, allowed_special="all")
    assert encode(text, merges, {}) == fast.encode(text)
    assert decode(encode(text, merges, {}), merges) == text


def test_half_a_character_decodes_to_the_replacement_character():
    assert decode("é".encode()[:1], {}) == "�"


def test_too_little_text_says_how_far_it_reaches():
    with pytest.raises(DataError, match=r"yields 2 merges, but 3 were asked for.*vocab_size <= 259"):
        train_bpe([b"abc"], 3)


WRONG_MERGES = {
    "counts not refreshed": lambda words, n: {
        pair: 256 + i for i, (pair, _) in enumerate(Counter(p for w in words for p in pairwise(w)).most_common(n))
    },
    "ids from 257": lambda words, n: {pair: i + 1 for pair, i in train_bpe(words, n).items()},
    "last seen wins": lambda words, n: train_bpe(words[::-1], n),
}


@pytest.mark.parametrize("mistake", WRONG_MERGES)
def test_the_recount_tells_a_wrong_trainer(mistake):
    words = words_of(TEXT)
    assert list(WRONG_MERGES[mistake](words, 60).items()) != list(recounted_merges(words, 60).items())
