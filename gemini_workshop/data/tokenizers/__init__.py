"""Text to token ids and back: one protocol, three kinds of tokenizer, and those of others.

    CharTokenizer           one id per character
    BPETokenizer            byte pairs, learned from text or published with GPT-2 and GPT-4
    SentencePieceTokenizer  the library's BPE and unigram models

Each file adds one idea to those before it. Read bpe first: it is byte-pair encoding as it is taught, in one page.

    bpe             a whole tokenizer on a page, slow: count neighbours, merge, encode, decode; the oracle of all below
    splitting       cut text into words by a pattern, and into pieces at places where every pattern would cut
    counting        count the words of a corpus that is larger than memory
    training        the merges of bpe.train_bpe, fast
    merging         the ids of bpe.apply_merges, fast
    normalization   one Unicode form for texts that look the same
    byte_pairs      BPETokenizer: all of the above behind one class
    characters      CharTokenizer
    sentencepieces  SentencePieceTokenizer
    imported        ImportedTokenizer: the tokenizer.json of published models
    protocol        the protocol Tokenizer, and reading what any of them saved
    pretrained      the published vocabularies, from their files
    exchange        files for Hugging Face's libraries
    checks          what all share: the end of text, checks, errors
"""

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair, apply_merges, count_pairs, merge_pair, train_bpe
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.characters import UNKNOWN, CharTokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT, check_documents, check_ids
from gemini_workshop.data.tokenizers.counting import count_words
from gemini_workshop.data.tokenizers.imported import ImportedTokenizer
from gemini_workshop.data.tokenizers.normalization import normalize
from gemini_workshop.data.tokenizers.pretrained import VOCABULARIES, read_vocabulary
from gemini_workshop.data.tokenizers.protocol import Tokenizer, load_tokenizer, prompt_ids, start_ids, stop_ids
from gemini_workshop.data.tokenizers.sentencepieces import SentencePieceTokenizer
from gemini_workshop.data.tokenizers.splitting import PATTERNS, split_words
from gemini_workshop.data.tokenizers.training import train_bpe_fast

__all__ = [
    "END_OF_TEXT",
    "NUM_BYTES",
    "PATTERNS",
    "UNKNOWN",
    "VOCABULARIES",
    "BPETokenizer",
    "CharTokenizer",
    "ImportedTokenizer",
    "Pair",
    "SentencePieceTokenizer",
    "Tokenizer",
    "apply_merges",
    "check_documents",
    "check_ids",
    "count_pairs",
    "count_words",
    "load_tokenizer",
    "merge_pair",
    "normalize",
    "prompt_ids",
    "read_vocabulary",
    "split_words",
    "start_ids",
    "stop_ids",
    "train_bpe",
    "train_bpe_fast",
]
