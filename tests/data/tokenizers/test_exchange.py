"""Files for Hugging Face's libraries, read by them."""

import json

import pytest
from tokenizers import Tokenizer as TheirTokenizer

from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer
from gemini_workshop.data.tokenizers.exchange import write_huggingface_tokenizer
from gemini_workshop.data.tokenizers.sentencepieces import SentencePieceTokenizer
from gemini_workshop.data.tokenizers.splitting import PATTERNS
from gemini_workshop.errors import DataError

TEXTS = [
    "the cat's   hat, THE'RE 12345\n\n  new  line \t",
    "naïve café — 東京 🙂 a\u0301 ﬁne²",
    "\r\n tail \n",
    "  ",
    "x\n",
]
TRAINING = ["the cat sat on the mat's hat 123 1234\n", "naïve café the the then\n\n cat"] * 3


def read(tokenizer, folder) -> TheirTokenizer:
    write_huggingface_tokenizer(tokenizer, folder, context_tokens=64)
    return TheirTokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("normalization", [None, "NFC", "NFKC", "NFKD"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_byte_pairs_have_the_same_ids_there(pattern, normalization, tmp_path):
    ours = BPETokenizer.train(TRAINING, 285, pattern=pattern, normalization=normalization, special_tokens=["<|user|>"])
    theirs = read(ours, tmp_path)
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in TEXTS:
        assert theirs.encode(text).ids == [ours.end_of_text_id, *ours.encode(text)], text
        assert theirs.encode(text, add_special_tokens=False).ids == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))


def test_characters_have_the_same_ids_there(tmp_path):
    ours = CharTokenizer.train(TRAINING)
    theirs = read(ours, tmp_path)
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in TEXTS:
        assert theirs.encode(text).ids == [ours.end_of_text_id, *ours.encode(text)]
        assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))


def test_special_tokens_are_special_there(tmp_path):
    ours = BPETokenizer.train(TRAINING, 270, special_tokens=["<|user|>"])
    theirs = read(ours, tmp_path)
    text = "hat<|user|>cat<|endoftext|>"
    assert theirs.encode(text, add_special_tokens=False).ids == ours.encode(text, allowed_special="all")


@pytest.mark.parametrize(("more", "expected"), [([], "<|endoftext|>"), (["<|padding|>"], "<|padding|>")])
def test_padding_is_the_token_for_it_or_else_the_end_of_text(more, expected, tmp_path):
    write_huggingface_tokenizer(BPETokenizer.train(TRAINING, 270, special_tokens=more), tmp_path, context_tokens=64)
    settings = json.loads((tmp_path / "tokenizer_config.json").read_text("utf-8"))
    assert (settings["bos_token"], settings["eos_token"], settings["pad_token"]) == (*["<|endoftext|>"] * 2, expected)


def test_special_tokens_keep_their_ids_in_whatever_order_they_are_named(tmp_path):
    special = {"<|endoftext|>": 257, "<|padding|>": 256}
    theirs = read(BPETokenizer({}, special_tokens=special), tmp_path)
    assert {name: theirs.token_to_id(name) for name in special} == special


def test_ids_that_are_not_used_are_refused(tmp_path):
    ours = BPETokenizer({}, special_tokens={"<|endoftext|>": 256, "<|padding|>": 259})
    with pytest.raises(DataError, match="leave ids between 256 and 260 unused"):
        write_huggingface_tokenizer(ours, tmp_path, context_tokens=64)


def test_another_kind_is_refused(tmp_path):
    ours = SentencePieceTokenizer.train(TRAINING, 300)
    with pytest.raises(DataError, match=r"A SentencePieceTokenizer cannot be written as tokenizer\.json"):
        write_huggingface_tokenizer(ours, tmp_path, context_tokens=64)
