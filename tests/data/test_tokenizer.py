import doctest
import json
from collections import Counter
from itertools import pairwise

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st

from gemini_workshop.data import tokenizer as module
from gemini_workshop.data.tokenizer import (
    END_OF_TEXT,
    WORD_PATTERN,
    BPETokenizer,
    CharTokenizer,
    Tokenizer,
    apply_merges,
    count_pairs,
    load_tokenizer,
    merge_pair,
    split_words,
    train_bpe,
    train_bpe_fast,
)
from gemini_workshop.errors import DataError

# Runs of one letter, accents, several scripts, an emoji of four bytes, tabs and double spaces.
TEXT = (
    "aaaa aaab aaaa. The fox's den, the foxes' dens; don't! Ça coûte 12 €, naïve café.\n\n"
    "\tif x ==  10:\n        return 'aaaaaa'\r\n Ελλάδα, 漢字かな \U0001f98a\U0001f98a and   spaces  \n"
) * 3


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return BPETokenizer.train([TEXT], vocab_size=257 + 60)


def recounted_merges(words: list[bytes], num_merges: int) -> dict[tuple[int, int], int]:
    """The definition, word for word and without the package: scan all, take the best, first seen wins."""
    sequences = [list(word) for word in words]
    merges = {}
    for new_id in range(256, 256 + num_merges):
        seen, counts = [], {}
        for sequence in sequences:
            for i in range(len(sequence) - 1):
                pair = (sequence[i], sequence[i + 1])
                if pair not in counts:
                    seen.append(pair)
                    counts[pair] = 0
                counts[pair] += 1
        best = seen[0]
        for pair in seen:
            if counts[pair] > counts[best]:
                best = pair
        merges[best] = new_id
        for sequence in sequences:
            i = 0
            while i < len(sequence) - 1:
                if (sequence[i], sequence[i + 1]) == best:
                    sequence[i : i + 2] = [new_id]
                i += 1
    return merges


def words_of(text: str) -> list[bytes]:
    return [word.encode() for word in split_words(text)]


def test_the_examples_in_the_docstrings_are_true():
    assert doctest.testmod(module).failed == 0


def test_splitting_drops_nothing():
    assert "".join(split_words(TEXT)) == TEXT


def test_words_are_split_as_by_gpt2():
    text = "We'll see 3 cats,  won't we?\n\n  Yes!"
    assert split_words(text) == [
        *["We", "'ll", " see", " 3", " cats", ",", " ", " won", "'t", " we", "?", "\n\n ", " Yes", "!"]
    ]


def test_overlapping_pairs_are_counted_and_merged_without_overlap():
    assert count_pairs(b"aaaaa") == {(97, 97): 4}
    assert merge_pair(b"aaaaa", (97, 97), 256) == [256, 256, 97]


def test_merging_leaves_the_input_alone():
    ids = [1, 2, 1, 2]
    assert merge_pair(ids, (1, 2), 9) == [9, 9]
    assert ids == [1, 2, 1, 2]


@pytest.mark.parametrize(
    "train", [train_bpe, lambda words, n: train_bpe_fast(Counter(words), n)], ids=["naive", "fast"]
)
def test_training_equals_a_literal_recount(train):
    words = words_of(TEXT)
    assert list(train(words, 60).items()) == list(recounted_merges(words, 60).items())


@pytest.mark.parametrize(
    "train", [train_bpe, lambda words, n: train_bpe_fast(Counter(words), n)], ids=["naive", "fast"]
)
def test_of_equally_frequent_pairs_the_first_seen_wins(train):
    assert list(train([b"zy", b"ab", b"zy", b"ab"], 2)) == [(122, 121), (97, 98)]


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet="ab c", min_size=20, max_size=120))
def test_the_fast_trainer_learns_the_merges_of_the_naive_one(text):
    words = words_of(text)
    merges = {}
    for num_merges in range(1, 120):
        try:
            merges = train_bpe_fast(Counter(words), num_merges)
        except DataError:
            break
    assert list(train_bpe(words, len(merges)).items()) == list(merges.items())
    with pytest.raises(DataError):
        train_bpe(words, len(merges) + 1)


def test_the_fast_trainer_agrees_over_hundreds_of_merges():
    # A place counted in tokens instead of bytes, or a place never looked up again, goes wrong late: hence so many.
    text = " ".join(f"{a}{b}{c}{a}" for a in ("ban", "an", "na", "ta") for b in "abcdefgh" for c in ("nan", "ab", "ta"))
    words = words_of(text)
    assert list(train_bpe_fast(Counter(words), 150).items()) == list(recounted_merges(words, 150).items())


def test_pairs_do_not_span_words():
    assert (98, 99) not in train_bpe([b"ab", b"cd", b"ab", b"cd"], 2)


def test_no_learned_token_spans_two_words(bpe):
    for token in range(256, bpe.vocab_size - 1):
        pieces = bpe._bytes[token].decode("utf-8", errors="ignore")
        assert len(split_words(pieces)) <= 1 or pieces.isspace()


def test_the_earliest_merge_is_applied_first():
    merges = {(98, 99): 256, (97, 98): 257, (97, 256): 258}
    assert apply_merges(b"abc", merges) == [258]


def test_encoding_goes_on_until_no_pair_is_left():
    merges = {(97, 97): 256, (256, 256): 257}
    assert apply_merges(b"aaaaaaa", merges) == [257, 256, 97]


def test_encoding_the_training_text_gives_the_training_sequence(bpe):
    sequence = [list(word) for word in words_of(TEXT)]
    for pair, new_id in bpe.merges.items():
        sequence = [merge_pair(word, pair, new_id) for word in sequence]
    assert bpe.encode(TEXT) == [i for word in sequence for i in word]


def test_encoding_equals_tiktoken_with_the_same_merges(bpe):
    ranks = {token: i for i, token in enumerate(bpe._bytes[:-1])}
    oracle = tiktoken.Encoding("ours", pat_str=WORD_PATTERN, mergeable_ranks=ranks, special_tokens={})
    text = TEXT + " unseen wörds, aaaaaaaaaaa 1234567 \U0001f98a!\t\t\n x"
    assert bpe.encode(text) == oracle.encode_ordinary(text)


def test_ids_are_compact_and_the_end_of_text_is_the_last(bpe):
    assert list(bpe.merges.values()) == list(range(256, 256 + 60))
    assert (bpe.vocab_size, bpe.end_of_text_id) == (317, 316)
    assert bpe.decode([bpe.end_of_text_id]) == END_OF_TEXT


def test_a_vocabulary_of_257_is_the_bytes_and_the_end_of_text():
    tokenizer = BPETokenizer.train(["any text"], vocab_size=257)
    assert tokenizer.encode("aé") == [97, 0xC3, 0xA9]
    assert tokenizer.end_of_text_id == 256


@settings(max_examples=50, deadline=None)
@given(text=st.text())
def test_every_text_comes_back(bpe, text):
    text = text.encode("utf-8", "replace").decode()
    assert bpe.decode(bpe.encode(text)) == text


@pytest.mark.parametrize("text", ["", " ", "  \n\n \t", "a  b", "\u00a0\u2003", "\x1c\x1f", "a\u0301", "\0"])
def test_white_space_and_odd_characters_come_back(bpe, text):
    assert bpe.decode(bpe.encode(text)) == text


def test_a_cached_word_is_encoded_as_at_first(bpe, monkeypatch):
    first = bpe.encode(TEXT)
    assert bpe.encode(TEXT) == first
    monkeypatch.setattr(module, "CACHED_WORDS", 3)
    assert bpe.encode(TEXT + " new words here") == first + bpe.encode(" new words here")
    assert len(bpe._words) <= 3


def test_what_encode_returns_is_the_callers_own(bpe):
    ids = bpe.encode("the")
    ids.append(0)
    assert bpe.encode("the") == ids[:-1]


def test_half_a_character_decodes_to_the_replacement_sign(bpe):
    assert bpe.decode([0xC3]) == "�"
    assert bpe.decode([0xC3, 0xA9]) == "é"


def test_a_lone_surrogate_becomes_a_question_mark(bpe):
    assert bpe.decode(bpe.encode("a\ud800b")) == "a?b"


@pytest.mark.parametrize("kind", ["char", "bpe"])
def test_text_that_spells_the_end_of_text_is_only_text(kind, bpe):
    text = f"one{END_OF_TEXT}two"
    tokenizer = bpe if kind == "bpe" else CharTokenizer.train([text])
    ids = tokenizer.encode(text)
    assert tokenizer.end_of_text_id not in ids
    assert tokenizer.decode(ids) == text


def test_training_is_the_same_however_the_text_is_cut_into_documents():
    together = BPETokenizer.train([TEXT + "x" + TEXT], vocab_size=300)
    apart = BPETokenizer.train([TEXT + "x", TEXT], vocab_size=300)
    assert together.merges == apart.merges


def test_pairs_do_not_span_documents():
    tokenizer = BPETokenizer.train(["ab", "cd", "ab", "cd"], vocab_size=259)
    assert set(tokenizer.merges) == {(97, 98), (99, 100)}


def test_characters_have_ids_in_the_order_of_unicode():
    tokenizer = CharTokenizer.train(["cab", "é"])
    assert tokenizer.encode("abcé") == [0, 1, 2, 3]
    assert (tokenizer.unknown_id, tokenizer.end_of_text_id, tokenizer.vocab_size) == (4, 5, 6)


def test_an_unknown_character_has_its_own_id_and_decodes_to_the_replacement_sign():
    tokenizer = CharTokenizer.train(["ab"])
    assert tokenizer.encode("axb") == [0, tokenizer.unknown_id, 1]
    assert tokenizer.decode(tokenizer.encode("axb")) == "a�b"


def test_the_replacement_sign_in_the_text_is_the_unknown_character():
    tokenizer = CharTokenizer.train(["a�"])
    assert tokenizer.characters == ["a"]
    assert tokenizer.decode(tokenizer.encode("a�")) == "a�"


@pytest.mark.parametrize("make", [lambda: CharTokenizer.train([TEXT]), lambda: BPETokenizer.train([TEXT], 290)])
def test_a_saved_tokenizer_encodes_as_before(make, tmp_path):
    before = make()
    assert isinstance(before, Tokenizer)
    before.save(tmp_path / "tokenizer.json")
    after = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(after) is type(before)
    assert (after.vocab_size, after.end_of_text_id) == (before.vocab_size, before.end_of_text_id)
    text = TEXT + "\U0001f98b unseen"
    assert after.encode(text) == before.encode(text)
    assert after.decode(after.encode(text)) == before.decode(before.encode(text))


def test_saving_writes_one_readable_file(tmp_path, bpe):
    bpe.save(tmp_path / "tokenizer.json")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]
    assert json.loads((tmp_path / "tokenizer.json").read_text("ascii"))["kind"] == "bpe"


@pytest.mark.parametrize("vocab_size", [256, 0])
def test_a_vocabulary_without_room_for_the_bytes_is_an_error(vocab_size):
    with pytest.raises(DataError, match=rf"vocab_size={vocab_size} is below 257.*Choose vocab_size >= 257"):
        BPETokenizer.train([TEXT], vocab_size)


@pytest.mark.parametrize("documents", [[], ["", ""]])
def test_empty_documents_are_an_error(documents):
    with pytest.raises(DataError, match="hold no text"):
        BPETokenizer.train(documents, 300)
    with pytest.raises(DataError, match="hold no text"):
        CharTokenizer.train(documents)


def test_too_little_text_says_how_far_it_reaches():
    with pytest.raises(DataError, match=r"yields 2 merges, but 43 were asked for.*vocab_size <= 259"):
        BPETokenizer.train(["abc"], vocab_size=300)
    with pytest.raises(DataError, match=r"yields 2 merges, but 3 were"):
        train_bpe([b"abc"], 3)
    assert BPETokenizer.train(["abc"], vocab_size=259).encode("abc") == [257]


def test_one_text_instead_of_a_list_is_an_error():
    with pytest.raises(DataError, match=r"documents='abcabc' is one text"):
        BPETokenizer.train("abcabc", 258)
    with pytest.raises(DataError, match=r"documents='abcabc' is one text"):
        CharTokenizer.train("abcabc")


@pytest.mark.parametrize("bad", [317, -1])
def test_decoding_an_id_outside_the_vocabulary_is_an_error(bpe, bad):
    with pytest.raises(DataError, match=rf"token id {bad} at position 2 is outside the vocabulary of 317"):
        bpe.decode([97, 98, bad])


def test_decoding_an_id_outside_the_characters_is_an_error():
    with pytest.raises(DataError, match=r"token id 4 at position 0 is outside the vocabulary of 4"):
        CharTokenizer.train(["ab"]).decode([4])


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"No tokenizer could be read from .*none\.json"):
        load_tokenizer(tmp_path / "none.json")


DAMAGED = {
    "cut off": ('{"kind": "bp', "not JSON"),
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "another list": ("[1, 2]", "kind is None"),
    "another kind": ('{"kind": "word"}', "kind is 'word'"),
    "no merges": ({"kind": "bpe", "word_pattern": WORD_PATTERN}, "no list of merges"),
    "another split": ({"kind": "bpe", "word_pattern": r"\S+", "merges": []}, r"splits words by '\\\\S\+'"),
    "an id from the future": (
        {"kind": "bpe", "word_pattern": WORD_PATTERN, "merges": [[97, 98], [97, 257]]},
        r"merge 1 is \[97, 257\]",
    ),
    "a merge twice": (
        {"kind": "bpe", "word_pattern": WORD_PATTERN, "merges": [[97, 98], [97, 98]]},
        r"merge 1 is \[97, 98\]",
    ),
    "a truth value": (
        {"kind": "bpe", "word_pattern": WORD_PATTERN, "merges": [[97, True]]},
        r"merge 0 is \[97, True\]",
    ),
    "no characters": ({"kind": "char"}, "not a list of single characters"),
    "a long character": ({"kind": "char", "characters": ["a", "bc"]}, "not a list of single characters"),
    "a character twice": ({"kind": "char", "characters": ["a", "a"]}, "stands in it twice"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_an_error(damage, tmp_path):
    content, message = DAMAGED[damage]
    path = tmp_path / "tokenizer.json"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"(?s)not a whole tokenizer: .*{message}.*train it anew"):
        load_tokenizer(path)


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
