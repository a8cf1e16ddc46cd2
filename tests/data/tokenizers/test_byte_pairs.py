import pickle

import numpy as np
import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings

from gemini_workshop.data.tokenizers import byte_pairs
from gemini_workshop.data.tokenizers.bpe import apply_merges, merge_pair
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer, merges_of, tokens_of
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.data.tokenizers.merging import Memory
from gemini_workshop.data.tokenizers.pretrained import read_gpt2_files
from gemini_workshop.data.tokenizers.splitting import PATTERNS, split_words, to_utf8
from gemini_workshop.errors import DataError
from tests.data.tokenizers.samples import ANY_TEXT, TEXT, words_of


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return BPETokenizer.train([TEXT], vocab_size=257 + 60)


# --- Encoding ---


def test_encoding_the_training_text_gives_the_training_sequence(bpe):
    sequence = [list(word) for word in words_of(TEXT)]
    for pair, new_id in bpe.merges.items():
        sequence = [merge_pair(word, pair, new_id) for word in sequence]
    assert bpe.encode(TEXT) == [i for word in sequence for i in word]


@pytest.mark.parametrize("pattern", PATTERNS)
@settings(max_examples=80, deadline=None)
@given(text=ANY_TEXT)
def test_ids_are_those_of_the_taught_form(pattern, text):
    tokenizer = trained_with(pattern)
    words = [word.encode() for word in split_words(to_utf8(text).decode(), pattern)]
    assert tokenizer.encode(text) == [i for word in words for i in apply_merges(word, tokenizer.merges)]


TRAINED: dict[str, BPETokenizer] = {}


def trained_with(pattern: str) -> BPETokenizer:
    if pattern not in TRAINED:
        TRAINED[pattern] = BPETokenizer.train([TEXT], vocab_size=357, pattern=pattern)
    return TRAINED[pattern]


def test_encoding_equals_tiktoken_with_the_same_merges(bpe):
    ranks = {token: i for i, token in enumerate(bpe.tokens)}
    pattern = PATTERNS["gpt2"].unicode
    oracle = tiktoken.Encoding("ours", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    text = TEXT + " unseen wörds, aaaaaaaaaaa 1234567 \U0001f98a!\t\t\n x"
    assert bpe.encode(text) == oracle.encode_ordinary(text)


@pytest.fixture(scope="module")
def trained_by_hugging_face(tmp_path_factory) -> tuple[tokenizers.Tokenizer, BPETokenizer]:
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE())
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=380, initial_alphabet=alphabet, show_progress=False)
    theirs.train_from_iterator([TEXT], trainer)
    folder = tmp_path_factory.mktemp("trained")
    encoder, merges = theirs.model.save(str(folder))
    return theirs, BPETokenizer(tokens=read_gpt2_files(encoder, merges))


@settings(max_examples=200, deadline=None)
@given(text=ANY_TEXT)
def test_ids_equal_those_of_hugging_face_for_a_vocabulary_that_it_trained(trained_by_hugging_face, text):
    theirs, ours = trained_by_hugging_face
    text = to_utf8(text).decode()
    assert ours.encode(text) == theirs.encode(text).ids


def test_the_vocabulary_that_hugging_face_trained_has_merges_beyond_the_bytes(trained_by_hugging_face):
    assert trained_by_hugging_face[1].vocab_size > 340
    assert len(trained_by_hugging_face[1].encode(TEXT)) < len(TEXT.encode()) / 2


def test_an_array_holds_the_same_ids_in_the_smallest_type(bpe):
    ids = bpe.encode_array(TEXT)
    assert ids.dtype == np.uint16
    assert ids.tolist() == bpe.encode(TEXT)
    ids[0] = 7  # the caller's own
    assert bpe.encode_array(TEXT)[0] != 7
    large = BPETokenizer(bpe.merges, special_tokens={END_OF_TEXT: 70_000})
    assert large.encode_array(TEXT).dtype == np.uint32
    assert large.encode(TEXT) == bpe.encode(TEXT)
    assert bpe.encode_array("").tolist() == []


@pytest.mark.parametrize(("last_id", "kind"), [(65_535, np.uint16), (65_536, np.uint32)])
def test_the_smallest_type_holds_the_last_id(bpe, last_id, kind):
    tokenizer = BPETokenizer(bpe.merges, special_tokens={END_OF_TEXT: last_id})
    assert tokenizer.encode_array(TEXT).dtype == kind
    assert np.iinfo(kind).max >= last_id


def test_a_piece_remembered_is_encoded_as_at_first(bpe, monkeypatch):
    first = bpe.encode(TEXT)
    assert bpe.encode(TEXT) == first
    monkeypatch.setattr(Memory, "MAX_PIECES", 3)
    assert bpe.encode(TEXT + " new words here") == first + bpe.encode(" new words here")


def test_what_encode_returns_is_the_callers_own(bpe):
    ids = bpe.encode("the")
    ids.append(0)
    assert bpe.encode("the") == ids[:-1]


def test_another_process_gets_the_tokenizer_without_its_memory(bpe):
    bpe.encode(TEXT)
    copy = pickle.loads(pickle.dumps(bpe))
    assert len(copy._memory) == 0
    assert copy.encode(TEXT) == bpe.encode(TEXT)


# --- Decoding ---


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_every_text_comes_back(bpe, text):
    text = to_utf8(text).decode()
    assert bpe.decode(bpe.encode(text)) == text
    assert bpe.decode_bytes(bpe.encode_array(text)) == text.encode()


def test_half_a_character_decodes_to_the_replacement_sign(bpe):
    assert bpe.decode([0xC3]) == "�"
    assert bpe.decode([0xC3, 0xA9]) == "é"
    assert bpe.decode_bytes([0xC3]) == b"\xc3"


def test_a_lone_surrogate_becomes_the_replacement_sign(bpe):
    assert bpe.decode(bpe.encode("a\ud800b")) == "a�b"


@pytest.mark.parametrize("bad", [317, -1])
def test_decoding_an_id_outside_the_vocabulary_is_an_error(bpe, bad):
    with pytest.raises(DataError, match=rf"token id {bad} at position 2 is outside the vocabulary of 317"):
        bpe.decode([97, 98, bad])


# --- Special tokens ---


def test_ids_are_compact_and_the_special_ones_the_last(bpe):
    assert list(bpe.merges.values()) == list(range(256, 256 + 60))
    assert (bpe.vocab_size, bpe.end_of_text_id) == (317, 316)
    assert bpe.decode([bpe.end_of_text_id]) == END_OF_TEXT
    more = BPETokenizer.train([TEXT], 260, special_tokens=["<image>", "<audio>"])
    assert more.special_tokens == {END_OF_TEXT: 257, "<image>": 258, "<audio>": 259}
    assert (more.vocab_size, len(more.merges)) == (260, 1)


def test_a_special_token_in_the_text_is_text_unless_allowed():
    tokenizer = BPETokenizer.train([TEXT], 300, special_tokens=["<image>"])
    text = f"see <image>{END_OF_TEXT}<image>"
    end, image = tokenizer.end_of_text_id, tokenizer.special_tokens["<image>"]
    plain = tokenizer.encode(text)
    assert max(plain) < end
    assert tokenizer.encode(text, "all") == [*tokenizer.encode("see "), image, end, image]
    seen, left = tokenizer.encode("see <image>"), tokenizer.encode("<image>")
    assert tokenizer.encode(text, {END_OF_TEXT}) == [*seen, end, *left]
    for ids in (plain, tokenizer.encode(text, "all")):
        assert tokenizer.decode(ids) == text


def test_of_two_special_tokens_the_longer_is_found():
    tokenizer = BPETokenizer.train([TEXT], 259, special_tokens=["<im", "<image>"])
    assert tokenizer.encode("<image><im", "all") == [258, 257]


def test_allowing_a_token_that_does_not_exist_is_an_error(bpe):
    with pytest.raises(DataError, match=r"no special token '<\|endoftxt\|>'. Did you mean '<\|endoftext\|>'"):
        bpe.encode("text", {"<|endoftxt|>"})
    with pytest.raises(DataError, match=r"allowed_special='<\|endoftext\|>' is one text.*\{'<\|endoftext\|>'\}"):
        bpe.encode("text", END_OF_TEXT)


@pytest.mark.parametrize(
    ("special_tokens", "message"),
    [
        ({"<image>": 256}, r"\['<image>'\] lack <\|endoftext\|>"),
        ({END_OF_TEXT: 255}, "an id of its own from 256 on"),
        ({END_OF_TEXT: 256, "<image>": 256}, "an id of its own from 256 on"),
        ({END_OF_TEXT: 256, "": 257}, "each needs a name"),
    ],
)
def test_special_tokens_without_a_name_or_an_id_of_their_own_are_an_error(special_tokens, message):
    with pytest.raises(DataError, match=message):
        BPETokenizer({}, special_tokens=special_tokens)


# --- Training ---


def test_no_learned_token_spans_two_words(bpe):
    for token in bpe.tokens[256:]:
        piece = token.decode("utf-8", errors="ignore")
        assert len(split_words(piece)) <= 1 or piece.isspace()


def test_without_splitting_tokens_span_words():
    tokens = BPETokenizer.train(["the cat the cat the cat"], 262, pattern="whole").tokens
    assert any(len(split_words(token.decode())) > 1 for token in tokens[256:])


def test_a_vocabulary_of_257_is_the_bytes_and_the_end_of_text():
    tokenizer = BPETokenizer.train(["any text"], vocab_size=257)
    assert tokenizer.encode("aé") == [97, 0xC3, 0xA9]
    assert tokenizer.end_of_text_id == 256


def test_training_is_the_same_however_the_text_is_cut_into_documents_and_shared_out(monkeypatch):
    together = BPETokenizer.train([TEXT + "x" + TEXT], vocab_size=300)
    apart = BPETokenizer.train(iter([TEXT + "x", TEXT]), vocab_size=300, processes=2)
    assert together.merges == apart.merges


def test_pairs_do_not_span_documents():
    tokenizer = BPETokenizer.train(["ab", "cd", "ab", "cd"], vocab_size=259)
    assert set(tokenizer.merges) == {(97, 98), (99, 100)}


def test_normalized_text_is_trained_on_encoded_and_comes_back_normalized():
    tokenizer = BPETokenizer.train(["e\u0301e\u0301"], 258, normalization="NFC")
    assert tokenizer.encode("e\u0301") == tokenizer.encode("é") == [256]
    assert tokenizer.decode(tokenizer.encode("e\u0301 ﬁ")) == "é ﬁ"


@pytest.mark.parametrize("vocab_size", [256, 0])
def test_a_vocabulary_without_room_for_the_bytes_is_an_error(vocab_size):
    with pytest.raises(DataError, match=rf"vocab_size={vocab_size} is below 257.*Choose vocab_size >= 257"):
        BPETokenizer.train([TEXT], vocab_size)


def test_a_vocabulary_without_room_for_the_special_tokens_is_an_error():
    with pytest.raises(DataError, match=r"vocab_size=257 is below 258.*endoftext\|>, <image>. Choose.*>= 258"):
        BPETokenizer.train([TEXT], 257, special_tokens=["<image>"])


@pytest.mark.parametrize("documents", [[], ["", ""]])
def test_empty_documents_are_an_error(documents):
    with pytest.raises(DataError, match="hold no text"):
        BPETokenizer.train(documents, 300)


def test_too_little_text_says_how_far_it_reaches():
    with pytest.raises(DataError, match=r"yields 2 merges, but 43 were asked for.*vocab_size <= 259"):
        BPETokenizer.train(["abc"], vocab_size=300)
    assert BPETokenizer.train(["abc"], vocab_size=259).encode("abc") == [257]


def test_one_text_instead_of_a_list_is_an_error():
    with pytest.raises(DataError, match=r"documents='abcabc' is one text"):
        BPETokenizer.train("abcabc", 258)


# --- Tokens and merges ---


def test_merges_and_tokens_tell_the_same(bpe):
    assert tokens_of(bpe.merges) == bpe.tokens
    assert list(merges_of(bpe.tokens).items()) == list(bpe.merges.items())
    assert BPETokenizer(tokens=bpe.tokens).encode(TEXT) == bpe.encode(TEXT)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([b"a", b"b"], "not the 256 bytes"),
        ([*byte_pairs.tokens_of({}), b"ab", b"ab"], "b'ab' is in the vocabulary twice"),
    ],
)
def test_a_vocabulary_that_cannot_work_is_an_error(tokens, message):
    with pytest.raises(DataError, match=message):
        BPETokenizer(tokens=tokens)
