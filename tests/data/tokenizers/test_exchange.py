"""Files for Hugging Face's libraries, read by them."""

import pytest
from tokenizers import Tokenizer as TheirTokenizer

from gemini_workshop.data.tokenizer import BPETokenizer, CharTokenizer
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


@pytest.mark.parametrize("normalization", [None, "NFC", "NFKC"])
@pytest.mark.parametrize("pattern", PATTERNS)
def test_byte_pairs_have_the_same_ids_there(pattern, normalization, tmp_path):
    ours = BPETokenizer.train(TRAINING, 285, pattern=pattern, normalization=normalization, special_tokens=["<|user|>"])
    theirs = read(ours, tmp_path)
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in TEXTS:
        assert theirs.encode(text).ids == ours.encode(text), text
        assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))


def test_characters_have_the_same_ids_there(tmp_path):
    ours = CharTokenizer.train(TRAINING)
    theirs = read(ours, tmp_path)
    assert theirs.get_vocab_size() == ours.vocab_size
    for text in TEXTS:
        assert theirs.encode(text).ids == ours.encode(text)
        assert theirs.decode(ours.encode(text)) == ours.decode(ours.encode(text))


def test_special_tokens_are_special_there(tmp_path):
    ours = BPETokenizer.train(TRAINING, 270, special_tokens=["<|user|>"])
    theirs = read(ours, tmp_path)
    text = "hat<|user|>cat<|endoftext|>"
    assert theirs.encode(text).ids == ours.encode(text, allowed_special="all")


def test_another_kind_is_refused(tmp_path):
    ours = SentencePieceTokenizer.train(TRAINING, 300)
    with pytest.raises(DataError, match=r"A SentencePieceTokenizer cannot be written as tokenizer\.json"):
        write_huggingface_tokenizer(ours, tmp_path, context_tokens=64)
