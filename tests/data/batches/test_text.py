import json
from dataclasses import replace

import pytest
import torch

from gemini_workshop.data.batches.reading import split_documents
from gemini_workshop.data.batches.text import Text, is_folder, learn_tokenizer, open_split, open_text, write_text
from gemini_workshop.data.tokenizers import BPETokenizer
from gemini_workshop.errors import DataError
from tests import tiny
from tests.data.batches import sharded
from tests.training import stories

CONFIG = replace(stories.CONFIG, training=replace(stories.CONFIG.training, validation_fraction=0.3))


def documents(count=60):
    return [f"Hen number {i} saw {i * i} birds, and {i + 1} birds saw the hen." for i in range(count)]


def write_file(path, texts):
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), "utf-8")
    return str(path)


@pytest.fixture
def file(tmp_path):
    return write_file(tmp_path / "own.jsonl", documents())


def texts_of(shards):
    text = shards.load_tokenizer().decode(shards.tokens(0, shards.num_tokens).tolist())
    return text.split("<|endoftext|>")[:-1]


def test_a_file_becomes_two_splits_with_a_tokenizer_learned_from_one(file, tmp_path):
    text = open_text(file, "all", tmp_path / "shards", CONFIG)
    train, validation = split_documents(documents(), 0.3)
    assert (texts_of(text.train), texts_of(text.validation)) == (train, validation)
    BPETokenizer.train(train, 270).save(tmp_path / "expected.json")
    for split in ("train", "validation"):
        assert (tmp_path / "shards" / split / "tokenizer.json").read_bytes() == (
            tmp_path / "expected.json"
        ).read_bytes()


def test_another_process_opens_what_the_first_wrote(file, tmp_path):
    text = open_text(file, "all", tmp_path / "shards", CONFIG)
    again = Text.open(text.folder)
    assert again.source(CONFIG).sha256 == text.source(CONFIG).sha256
    for some, others in zip(again.source(CONFIG).batch(7)[:2], text.source(CONFIG).batch(7)[:2], strict=True):
        assert torch.equal(some, others)


def test_a_folder_of_shards_is_opened_in_place(file, tmp_path):
    open_text(file, "all", tmp_path / "shards", CONFIG)
    before = sharded.contents(tmp_path)
    text = open_text(str(tmp_path / "shards"), "all", tmp_path / "unused", CONFIG)
    assert text.folder == tmp_path / "shards"
    assert sharded.contents(tmp_path) == before


def test_shards_of_another_text_are_replaced(file, tmp_path):
    fresh = open_text(file, "all", tmp_path / "fresh", CONFIG)
    other = write_file(tmp_path / "other.jsonl", [text.upper() for text in documents(90)])
    open_text(other, "all", tmp_path / "shards", CONFIG)
    open_text(file, "all", tmp_path / "shards", CONFIG)
    assert sharded.contents(tmp_path / "shards") == sharded.contents(fresh.folder)


def test_a_corpus_that_is_named_twice_is_read_twice_as_often(file, tmp_path):
    once = open_text(file, "all", tmp_path / "once", CONFIG)
    twice = open_text(f"{file}+{file}", "all", tmp_path / "twice", CONFIG)
    assert texts_of(twice.train) == texts_of(once.train) * 2
    assert texts_of(twice.validation) == texts_of(once.validation) * 2


def test_a_large_text_s_tokenizer_is_learned_from_the_beginning_of_each_part(file, tmp_path):
    other = write_file(tmp_path / "other.jsonl", [text.upper() for text in documents()])
    few = learn_tokenizer([file, other], "all", 270, 0.3, sample_bytes=2 * 100)
    train = split_documents(documents(), 0.3)[0]
    start = train[:2]  # a hundred bytes, and the document that crosses them
    assert sum(len(text) for text in start[:1]) < 100 <= sum(len(text) for text in start)
    upper = split_documents([text.upper() for text in documents()], 0.3)[0][:2]
    assert few.encode("HENS saw hens") == BPETokenizer.train([*start, *upper], 270).encode("HENS saw hens")


def test_the_rows_are_those_that_the_configuration_asks_for(file, tmp_path):
    text = open_text(file, "all", tmp_path / "shards", CONFIG)
    wide = replace(CONFIG, model=replace(CONFIG.model, context_tokens=128))
    packed = text.source(replace(wide, training=replace(CONFIG.training, rows="packed")))
    assert text.source(wide).batch(0).segment_ids is None
    assert packed.batch(0).segment_ids.max() > 1
    assert packed.batch(0).inputs.shape == (CONFIG.training.batch_size, 128)


def test_a_tokenizer_of_another_size_than_the_model_s_is_an_error(file, tmp_path):
    text = write_text([file], "all", BPETokenizer.train(["abc"], 257), tmp_path / "shards", 0.3)
    with pytest.raises(DataError, match=r"vocab_size=257, but the model has vocab_size=270. Add --set vocab_size=257"):
        text.source(CONFIG)


def test_a_split_that_is_too_short_is_an_error_that_names_it(tmp_path):
    text = write_text(
        [write_file(tmp_path / "few.jsonl", ["ab", "cd", "ef", "gh"])], "all", sharded.TOKENIZER, tmp_path, 0.4
    )
    with pytest.raises(DataError, match=r"tokens in .*(train|validation) are too few for a window"):
        text.source(replace(CONFIG, model=tiny.MODEL))


def test_one_document_cannot_be_split(tmp_path):
    (tmp_path / "one.txt").write_text("A single line.\nAnd another.")
    with pytest.raises(DataError, match=r"1 documents for training and 0 for.*<\|endoftext\|> or empty lines"):
        open_text(str(tmp_path / "one.txt"), "all", tmp_path / "shards", stories.CONFIG)


def test_one_set_of_shards_can_be_measured_on_but_not_trained_on(tmp_path):
    sharded.write(tmp_path)
    assert is_folder(str(tmp_path))
    assert open_split(tmp_path, "validation", sharded.TOKENIZER).num_documents == 60
    with pytest.raises(DataError, match=r"one set of shards, but training needs two.*without --validation-fraction 0"):
        open_text(str(tmp_path), "all", tmp_path / "unused", CONFIG)


def test_two_splits_are_measured_on_one_at_a_time(file, tmp_path):
    text = open_text(file, "all", tmp_path / "shards", CONFIG)
    assert open_split(text.folder, "train", text.tokenizer).sha256 == text.train.sha256
    with pytest.raises(DataError, match="Choose train or validation"):
        open_split(text.folder, "all", text.tokenizer)


def test_a_folder_without_shards_is_an_error_that_shows_how_to_write_them(tmp_path):
    with pytest.raises(DataError, match=r"holds no complete shards.*gemini-workshop data tokenize CORPUS --out FOLDER"):
        open_text(str(tmp_path), "all", tmp_path / "unused", CONFIG)
