import json

import pytest

from gemini_workshop import paths
from gemini_workshop.data.tokenizers import (
    END_OF_TEXT,
    PATTERNS,
    BPETokenizer,
    CharTokenizer,
    SentencePieceTokenizer,
    Tokenizer,
    apply_merges,
    load_tokenizer,
)
from gemini_workshop.errors import DataError
from tests.data.tokenizers.samples import TEXT, words_of

GPT2 = PATTERNS["gpt2"].unicode
MAKERS = {
    "characters": lambda: CharTokenizer.train([TEXT]),
    "bytes": lambda: BPETokenizer({}),
    "byte pairs": lambda: BPETokenizer.train([TEXT], 290),
    "another pattern": lambda: BPETokenizer.train([TEXT], 290, pattern="o200k"),
    "no pattern": lambda: BPETokenizer.train([TEXT], 290, pattern="whole"),
    "special tokens": lambda: BPETokenizer.train([TEXT], 290, special_tokens=["<image>"]),
    "normalized": lambda: BPETokenizer.train([TEXT], 290, normalization="NFD"),
    "bytes in another order": lambda: BPETokenizer(tokens=[bytes([255 - i]) for i in range(256)] + [b"th", b"the"]),
    "SentencePiece": lambda: SentencePieceTokenizer.train([TEXT], 310),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_every_tokenizer_keeps_the_protocol(maker):
    tokenizer = MAKERS[maker]()
    assert isinstance(tokenizer, Tokenizer)
    assert tokenizer.special_tokens[END_OF_TEXT] == tokenizer.end_of_text_id < tokenizer.vocab_size


@pytest.mark.parametrize("maker", MAKERS)
def test_text_that_spells_the_end_of_text_is_only_text_unless_allowed(maker):
    tokenizer = MAKERS[maker]()
    text = f"a{END_OF_TEXT}a"
    assert tokenizer.end_of_text_id not in tokenizer.encode(text)
    assert tokenizer.encode(text, "all") == [*tokenizer.encode("a"), tokenizer.end_of_text_id, *tokenizer.encode("a")]
    assert tokenizer.decode(tokenizer.encode(text, {END_OF_TEXT})) == text


@pytest.mark.parametrize("maker", MAKERS)
def test_a_saved_tokenizer_encodes_as_before(maker, tmp_path):
    before = MAKERS[maker]()
    before.save(tmp_path / "tokenizer.json")
    after = load_tokenizer(tmp_path / "tokenizer.json")
    assert type(after) is type(before)
    assert (after.vocab_size, after.special_tokens) == (before.vocab_size, before.special_tokens)
    text = f"{TEXT}\U0001f98b unseen e\u0301 {END_OF_TEXT}"
    assert after.encode(text, "all") == before.encode(text, "all")
    assert after.decode(after.encode(text)) == before.decode(before.encode(text))


def test_saving_writes_one_readable_file(tmp_path):
    BPETokenizer.train([TEXT], 290).save(tmp_path / "tokenizer.json")
    assert [path.name for path in tmp_path.iterdir()] == ["tokenizer.json"]
    content = json.loads((tmp_path / "tokenizer.json").read_text("ascii"))
    assert {name: type(value) for name, value in content.items()} == {"kind": str, "word_pattern": str, "merges": list}


def test_the_tokenizer_that_ships_gives_the_ids_that_the_model_was_trained_on():
    tokenizer = load_tokenizer(paths.PACKAGE / "checkpoints" / "stories-small" / "tokenizer.json")
    assert tokenizer.encode("Tom was very happy.") == [
        i for word in words_of("Tom was very happy.") for i in apply_merges(word, tokenizer.merges)
    ]
    text = TEXT + "Once upon a time, there was a little girl. \u3000\u0085\n\n"
    assert tokenizer.encode(text) == [i for word in words_of(text) for i in apply_merges(word, tokenizer.merges)]
    assert tokenizer.decode(tokenizer.encode(text)) == text


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"No tokenizer could be read from .*none\.json"):
        load_tokenizer(tmp_path / "none.json")


DAMAGED = {
    "cut off": ('{"kind": "bp', "not JSON"),
    "not text": (b"\xff\xfe\x00", "not JSON"),
    "another list": ("[1, 2]", "kind is None"),
    "another kind": ('{"kind": "word"}', "kind is 'word', not 'char', 'bpe', 'sentencepiece' or 'imported'"),
    "a kind that is a list": ('{"kind": ["bpe"]}', r"kind is \['bpe'\]"),
    "no merges": ({"kind": "bpe", "word_pattern": GPT2}, "no list of merges"),
    "another split": ({"kind": "bpe", "word_pattern": r"\S+", "merges": []}, r"splits words by '\\\\S\+'"),
    "a split that is a list": ({"kind": "bpe", "word_pattern": [], "merges": []}, r"splits words by \[\]"),
    "an id from the future": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [[97, 98], [97, 257]]},
        r"merge 1 is \[97, 257\]",
    ),
    "a merge twice": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [[97, 98], [97, 98]]},
        r"merge 1 is \[97, 98\]",
    ),
    "a token twice": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [[97, 98], [98, 99], [256, 99], [97, 257]]},
        "b'abc' is in the vocabulary twice",
    ),
    "a truth value": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [[97, True]]},
        r"merge 0 is \[97, True\]",
    ),
    "a byte missing": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [], "byte_order": [0] * 256},
        "byte_order is not the 256 bytes",
    ),
    "a special token without id": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [], "special_tokens": {END_OF_TEXT: "256"}},
        "special_tokens are .*not names with ids",
    ),
    "a special token on a byte": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [], "special_tokens": {END_OF_TEXT: 7}},
        "an id of its own from 256 on",
    ),
    "another normalization": (
        {"kind": "bpe", "word_pattern": GPT2, "merges": [], "normalization": "NFX"},
        "no normalization 'NFX'",
    ),
    "no characters": ({"kind": "char"}, "not a list of single characters"),
    "a long character": ({"kind": "char", "characters": ["a", "bc"]}, "not a list of single characters"),
    "a character twice": ({"kind": "char", "characters": ["a", "a"]}, "is in it twice"),
    "no model": ({"kind": "sentencepiece"}, "no model that SentencePiece can read"),
    "a model cut off": ({"kind": "sentencepiece", "model": "CgQ="}, "no model that SentencePiece can read"),
}


@pytest.mark.parametrize("damage", DAMAGED)
def test_a_damaged_file_is_an_error(damage, tmp_path):
    content, message = DAMAGED[damage]
    path = tmp_path / "tokenizer.json"
    if isinstance(content, dict):
        content = json.dumps(content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=f"(?s)not a complete tokenizer: .*{message}.*train another"):
        load_tokenizer(path)
