"""Every reader of files, on files that are nearly right: it returns, or it says what is wrong in one clear error.

In the suite, a few examples each, the same ones every time. ``make fuzz`` tries many more, others each time.
"""

import gzip
import io
import json
import os
import re
import struct
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save
from tokenizers import Tokenizer, models

from gemini_workshop import reading
from gemini_workshop.checkpoint import load_checkpoint, save_model, write_sums
from gemini_workshop.config import load_config, to_yaml
from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.batches.shards import TokenShards
from gemini_workshop.data.documents import read_documents
from gemini_workshop.data.media.documents import read_multimodal_documents
from gemini_workshop.data.media.images import read_idx
from gemini_workshop.data.media.reading import read_audio, read_image, read_part, read_video
from gemini_workshop.data.media.wav import encode_wav
from gemini_workshop.data.scraping.extraction import decode_page
from gemini_workshop.data.scraping.records import page_record, read_pages
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer, load_tokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.evaluation.choice import load_questions
from gemini_workshop.evaluation.results import Result, load_result
from gemini_workshop.generation.chat import Conversation
from gemini_workshop.lessons.cells import read_notebook
from gemini_workshop.models.families.files import open_tensors
from gemini_workshop.training.run import read_source
from gemini_workshop.training.watching.callbacks import read_history

MANY = int(os.environ.get("FUZZ_EXAMPLES", "0"))
FUZZ = settings(
    max_examples=MANY or 25,
    derandomize=not MANY,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
MOST_CHARACTERS = 3_000
TEXTS = ["Once upon a time. ", "The cat saw a bird."]
PIECES = [
    *(b"null", b"true", b"-1", b"0", b"1e999", b"NaN", b"99999999999999999999", b"9" * 5000, b"[]", b"{}", b'""'),
    *(
        b'"',
        b"[",
        b"{",
        b"}",
        b":",
        b",",
        b"- ",
        b"\n",
        b"\t",
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\x80",
        b"\xff" * 8,
    ),
    *(b"\\ud800", "\u2028".encode(), b"!!python/name:os.system", b"&a [*a]", b"../../x", b"[" * 2000, b'{"a":' * 2000),
]
"""What the files of users have held: other types, huge numbers, marks, halves of letters, nests."""

NEST = b"[" * 100_000
WORD = re.compile(rb'"[^"]*"|[\w.+-]+|[^\w\s]')


@st.composite
def damaged(draw, content):
    """The content with up to three places overwritten, or cut off; or else a few bytes of no meaning."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.sampled_from([b"", b"\0", *PIECES]) | st.binary(max_size=40))
    for _ in range(draw(st.integers(1, 3))):
        words = list(WORD.finditer(content[:20_000]))
        if words and draw(st.booleans()):
            start, end = draw(st.sampled_from(words)).span()
        else:
            start = draw(st.integers(0, min(len(content), 400)) | st.integers(0, len(content)))
            end = start + draw(st.integers(0, 9))
        content = content[:start] + draw(st.sampled_from(PIECES) | st.binary(max_size=9)) + content[end:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 5)) == 0 else content


def saved(image, kind):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def animation():
    file = io.BytesIO()
    frames = [Image.new("L", (5, 4), shade) for shade in (0, 99, 200)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=100)
    return file.getvalue()


def tensors_in(path):
    from contextlib import ExitStack

    with ExitStack() as files:
        return [read() for read in open_tensors(path.parent, files, "model").values()]


def read_tokenizer(path):
    tokenizer = load_tokenizer(path)
    return tokenizer.decode(tokenizer.encode("a cat"))


QUESTION = {"context": "Once.", "choices": ["a", "b"], "answer": 1}
PAGE = page_record("p" * 40, "s" * 40, "t", "https://example.org/a")
TOKENIZER = Tokenizer(models.BPE({"a": 0, "b": 1, "ab": 2}, [("a", "b")]))
TOKENIZER.add_special_tokens(["<s>"])
PICTURE = Image.new("RGB", (6, 5), (10, 90, 200))
RESULT = Result(kind="x", model={"name": "m"}, data={"name": "d"}, settings={"k": 1}, scores={"a": 1.5}, details={})
NOTEBOOK = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1"), nbformat.v4.new_markdown_cell("# T")])
WAV = encode_wav(torch.linspace(-1, 1, 50), 8_000)
IDX = struct.pack(">HBB3I", 0, 8, 3, 2, 3, 4) + bytes(24)
LINES = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS).encode()
READERS = {
    "text": ("a.txt", "".join(TEXTS).encode("utf-16"), reading.read_text),
    "JSON": ("a.json", b'{"a": [1, 2.5, null, "x"]}', reading.read_json),
    "JSON lines of texts": ("a.jsonl", LINES, lambda path: list(read_documents(path))),
    "compressed JSON lines": ("a.jsonl.gz", gzip.compress(LINES, mtime=0), lambda path: list(read_documents(path))),
    "a text of documents": ("a.txt", b"Once.<|endoftext|>Twice.", lambda path: list(read_documents(path))),
    "YAML": ("a.yaml", to_yaml(load_config("tiny")).encode(), load_config),
    "questions": ("a.jsonl", json.dumps(QUESTION).encode() + b"\n", load_questions),
    "results": ("a.json", RESULT.to_json().encode(), load_result),
    "scraped pages": ("a.jsonl", json.dumps(PAGE).encode() + b"\n", lambda path: list(read_pages(path))),
    "an imported tokenizer": ("tokenizer.json", TOKENIZER.to_str().encode(), read_tokenizer),
    "PNG": ("a.png", saved(PICTURE, "PNG"), read_image),
    "JPEG": ("a.jpg", saved(PICTURE, "JPEG"), read_part),
    "GIF": ("a.gif", animation(), read_video),
    "wav": ("a.wav", WAV, read_audio),
    "idx": ("a.gz", gzip.compress(IDX, mtime=0), read_idx),
    "safetensors": ("model.safetensors", save({"model.norm.weight": torch.ones(2, 3)}), tensors_in),
    "a notebook": ("01_a.ipynb", nbformat.writes(NOTEBOOK).encode(), read_notebook),
    "a run's source": ("run.json", b'{"shards": "a", "text_sha256": "b"}', lambda path: read_source(path.parent)),
    "a run's history": ("history.jsonl", b'{"step": 1, "loss": 2.5}\n{"step": 2}\n', read_history),
    "a saved chat": ("chat.json", b"", Conversation.load),
    "a page": ("a.html", "<p>Grüße</p>".encode(), lambda path: decode_page(path.read_bytes(), None)),
}
"""A file name, a right content, and what reads it."""


def survives(read, path):
    """It returns, or raises the one kind of error that users see, of a length that they can read."""
    fault = "none"
    try:
        read(path)
    except WorkshopError as error:
        fault = str(error)
    assert 0 < len(fault) < MOST_CHARACTERS


def right_content(name):
    file, content, read = READERS[name]
    if name == "a saved chat":
        conversation = Conversation()
        conversation.save(Path(file))
        content = Path(file).read_bytes()
    return file, content, read


@pytest.mark.parametrize("name", READERS)
def test_a_reader_reads_or_says_what_is_wrong(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file, content, read = right_content(name)
    path = tmp_path / file
    path.write_bytes(content)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": 3}')
    read(path)

    @FUZZ
    @example(b"")
    @example(NEST)
    @example(content[: len(content) // 2])
    @given(damaged(content))
    def survives_damage(changed):
        path.write_bytes(changed)
        survives(read, path)

    survives_damage()


def in_folder(folder, read):
    """For each file of a folder, damaged alone: the folder survives."""
    read(folder)
    paths = sorted(each for each in folder.rglob("*") if each.is_file())
    contents = [path.read_bytes() for path in paths]

    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(NEST)
        survives(read, folder)
        path.write_bytes(content)

    @FUZZ
    @given(st.data())
    def survives_damage(data):
        number = data.draw(st.integers(0, len(paths) - 1))
        paths[number].write_bytes(data.draw(damaged(contents[number])))
        try:
            survives(read, folder)
        finally:
            paths[number].write_bytes(contents[number])

    survives_damage()


def test_a_folder_of_shards(tmp_path):
    write_shards(TEXTS, CharTokenizer.train(TEXTS, 30), tmp_path)

    def read(folder):
        shards = TokenShards(folder)
        assert isinstance(shards.tokens(0, min(shards.num_tokens, 50)), np.ndarray)
        shards.load_tokenizer()

    in_folder(tmp_path, read)


def test_a_checkpoint_whose_sums_are_right(tmp_path):
    """What was damaged before the sums were taken."""
    save_model(tmp_path, {"a": torch.ones(2)}, load_config("tiny"), BPETokenizer.train(TEXTS, 270))
    (tmp_path / "state.json").write_text('{"step": 3, "metrics": {"loss": 1.5}}')

    def read(folder):
        write_sums(folder)
        load_checkpoint(folder)

    in_folder(tmp_path, read)


def test_multimodal_documents_and_their_media(tmp_path):
    (tmp_path / "a.png").write_bytes(saved(PICTURE, "PNG"))
    (tmp_path / "a.wav").write_bytes(WAV)
    parts = [
        {"type": "text", "text": "See "},
        {"type": "image", "file": "a.png"},
        {"type": "audio", "file": "a.wav"},
    ]
    (tmp_path / "documents.jsonl").write_text(json.dumps({"id": "x", "parts": parts}) + "\n")
    in_folder(tmp_path, lambda folder: list(read_multimodal_documents(folder)))
