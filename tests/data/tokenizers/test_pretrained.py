import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiktoken
import tokenizers
from hypothesis import given, settings

from gemini_workshop.data.corpora import VOCABULARY_FILES, find_corpus, load_vocabulary
from gemini_workshop.data.tokenizers import VOCABULARIES, load_tokenizer, read_vocabulary
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.data.tokenizers.pretrained import (
    byte_letters,
    read_gpt2_files,
    read_tiktoken_file,
)
from gemini_workshop.errors import DataError
from tests.data.tokenizers.samples import ANY_TEXT, MIRROR, TEXT, needs_mirror

NAMES = ["gpt2", "cl100k_base", "o200k_base"]
LOADED: dict[str, tuple[BPETokenizer, tiktoken.Encoding]] = {}


def loaded(name: str) -> tuple[BPETokenizer, tiktoken.Encoding]:
    if name not in LOADED:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("TIKTOKEN_CACHE_DIR", str(MIRROR / "tiktoken-cache"))
            LOADED[name] = load_vocabulary(name), tiktoken.get_encoding(name)
    return LOADED[name]


def write_gpt2_files(tokenizer: BPETokenizer, folder: Path) -> tuple[Path, Path]:
    """encoder.json and vocab.bpe as GPT-2's code has them."""
    letters = byte_letters()
    names = ["".join(letters[byte] for byte in token) for token in tokenizer.tokens]
    ids = {name: i for i, name in enumerate(names)} | tokenizer.special_tokens
    lines = ["#version: 0.2", *(f"{names[left]} {names[right]}" for left, right in tokenizer.merges)]
    encoder, merges = folder / "encoder.json", folder / "vocab.bpe"
    encoder.write_text(json.dumps(ids))
    merges.write_text("\n".join(lines) + "\n", "utf-8")
    return encoder, merges


@pytest.fixture(scope="module")
def bpe() -> BPETokenizer:
    return BPETokenizer.train([TEXT], 300)


# --- The published vocabularies ---


WHOLE_FILES = """
import gzip, os, sys
from pathlib import Path
mirror = Path(sys.argv[1])
os.environ["TIKTOKEN_CACHE_DIR"] = str(mirror / "tiktoken-cache")
import tiktoken
from gemini_workshop.data.corpora import load_vocabulary

for name in ("gpt2", "cl100k_base", "o200k_base"):
    ours, theirs = load_vocabulary(name), tiktoken.get_encoding(name)
    for file in ("books/war-and-peace.txt.gz", "humaneval/HumanEval.jsonl.gz", "emoji/captions.tsv"):
        content = (mirror / file).read_bytes()
        text = (gzip.decompress(content) if file.endswith(".gz") else content).decode()
        ids = ours.encode_array(text)
        print(name, file, ids.tolist() == theirs.encode_ordinary(text), ours.decode_bytes(ids) == text.encode())
"""


@needs_mirror
def test_ids_equal_those_of_tiktoken_on_whole_files_and_every_byte_comes_back():
    """In a process of its own, where no types are checked: megabytes would take too long with that."""
    program = [sys.executable, "-c", WHOLE_FILES, str(MIRROR)]
    lines = subprocess.run(program, check=True, capture_output=True, text=True).stdout.splitlines()
    assert len(lines) == 9
    assert all(line.endswith("True True") for line in lines), lines


@needs_mirror
@settings(max_examples=2000, deadline=None)
@given(text=ANY_TEXT)
def test_ids_equal_those_of_tiktoken_on_any_text(text):
    for ours, theirs in map(loaded, NAMES):
        ids = ours.encode(text)
        assert ids == theirs.encode_ordinary(text)
        assert ours.decode(ids) == theirs.decode(ids)


@needs_mirror
@pytest.mark.parametrize("name", NAMES)
def test_long_words_and_invalid_bytes_are_treated_as_by_tiktoken(name):
    ours, theirs = loaded(name)
    for text in ("a" * 3000, "漢字" * 700, " " * 2000 + "x", "\n" * 900, "abcdefgh" * 400, "!?" * 600, "é́" * 500):
        assert ours.encode(text) == theirs.encode_ordinary(text)
    cut = ours.encode("🦊漢")[::-1]
    assert ours.decode(cut) == theirs.decode(cut)


@needs_mirror
@pytest.mark.parametrize("name", NAMES)
def test_special_tokens_are_those_of_tiktoken(name):
    ours, theirs = loaded(name)
    text = f"a{END_OF_TEXT}<|fim_prefix|>\n<|endofprompt|>b <|endoftext"
    assert set(ours.special_tokens) == theirs.special_tokens_set
    assert ours.encode(text, "all") == theirs.encode(text, allowed_special="all")
    assert ours.encode(text) == theirs.encode_ordinary(text)
    assert (ours.vocab_size, ours.end_of_text_id) == (theirs.n_vocab, theirs.eot_token)


@needs_mirror
def test_a_published_tokenizer_can_be_saved_and_its_merges_are_those_of_its_file(tmp_path):
    ours, _ = loaded("gpt2")
    ours.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again.encode(TEXT + END_OF_TEXT, "all") == ours.encode(TEXT + END_OF_TEXT, "all")
    assert (again.tokens, again.special_tokens) == (ours.tokens, ours.special_tokens)
    _, merges = write_gpt2_files(ours, tmp_path)
    assert merges.read_bytes() == (MIRROR / "gpt2-bpe" / "vocab.bpe").read_bytes()
    encoder = json.loads((MIRROR / "gpt2-bpe" / "encoder.json").read_text())
    assert json.loads((tmp_path / "encoder.json").read_text()) == encoder


def test_an_unknown_vocabulary_is_an_error():
    with pytest.raises(DataError, match=r"no vocabulary 'gpt-2'. Did you mean 'gpt2'"):
        load_vocabulary("gpt-2")
    with pytest.raises(DataError, match=r"no vocabulary 'gpt-2'. Did you mean 'gpt2'"):
        read_vocabulary("gpt-2", [])


def test_every_published_vocabulary_has_files_in_the_registry():
    assert VOCABULARY_FILES.keys() == VOCABULARIES.keys()
    for corpus, files in VOCABULARY_FILES.values():
        assert find_corpus(corpus, "vocabulary").sizes["all"][0].files[files]


# --- The files ---


def test_every_byte_has_a_letter_that_can_be_seen():
    letters = byte_letters()
    assert len(set(letters)) == 256
    assert all(letter.isprintable() and not letter.isspace() for letter in letters)


def test_a_tokenizer_written_as_gpt2s_files_is_read_back_and_by_hugging_face(bpe, tmp_path):
    encoder, merges = write_gpt2_files(bpe, tmp_path)
    assert read_gpt2_files(encoder, merges) == bpe.tokens
    theirs = tokenizers.Tokenizer(tokenizers.models.BPE.from_file(str(encoder), str(merges)))
    theirs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert theirs.encode(TEXT).ids == bpe.encode(TEXT)


def test_a_tiktoken_file_is_read_in_the_order_of_its_ranks(bpe, tmp_path):
    path = tmp_path / "own.tiktoken"
    lines = [f"{base64.b64encode(token).decode()} {rank}" for rank, token in enumerate(bpe.tokens)]
    path.write_text("\n".join(lines) + "\n")
    assert read_tiktoken_file(path) == bpe.tokens


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("IQ== 0\nIg==\n", r"line 2: 'Ig==' is not a token in base64 and its rank"),
        ("IQ== 0\n!!! 1\n", r"line 2: '!!! 1' is not a token"),
        ("IQ== 0\nIg== 2\n", r"line 2: rank 2 is where 1 should be"),
    ],
)
def test_a_damaged_tiktoken_file_names_its_line(content, message, tmp_path):
    path = tmp_path / "own.tiktoken"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_tiktoken_file(path)


def test_damaged_gpt2_files_are_errors(bpe, tmp_path):
    encoder, merges = write_gpt2_files(bpe, tmp_path)
    lines = merges.read_text("utf-8").splitlines()
    merges.write_text("\n".join([lines[0], lines[2], lines[1], *lines[3:]]), "utf-8")
    with pytest.raises(DataError, match=r"gives '.*' the id 257, but by .* it is 256"):
        read_gpt2_files(encoder, merges)
    merges.write_text("one\n", "utf-8")
    with pytest.raises(DataError, match="are not a vocabulary and its merges"):
        read_gpt2_files(encoder, merges)
    with pytest.raises(DataError, match=r"No vocabulary could be read from .*none.bpe: No such file"):
        read_gpt2_files(encoder, tmp_path / "none.bpe")
