"""Published vocabularies by name: tokenizers whose files are found, or fetched, like those of any corpus."""

from gemini_workshop.data.corpora.places import corpus_files
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.pretrained import VOCABULARIES, read_vocabulary
from gemini_workshop.errors import DataError, unknown_name

VOCABULARY_FILES = {
    "gpt2": ("gpt2-bpe", slice(0, 2)),
    "cl100k_base": ("tiktoken-ranks", slice(1, 2)),
    "o200k_base": ("tiktoken-ranks", slice(2, 3)),
}


def load_vocabulary(name: str) -> BPETokenizer:
    """A published tokenizer, fetched if need be; its ids equal tiktoken's on every text.

    Args:
        name: gpt2, cl100k_base or o200k_base.

    Raises:
        DataError: there is no such vocabulary, or a file of it cannot be had or is damaged.
    """
    if name not in VOCABULARY_FILES:
        raise DataError(unknown_name("vocabulary", name, VOCABULARIES))
    corpus, files = VOCABULARY_FILES[name]
    return read_vocabulary(name, corpus_files(corpus)[files])
