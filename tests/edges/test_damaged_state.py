"""What our programs wrote and something damaged since: named at once, never waited for, never read as it is not."""

import json
import os
import shutil
from email.message import Message

import pytest

from gemini_workshop.checkpoint import SHIPPED, check_sums, write_sums
from gemini_workshop.data.batches import shards as shards_module
from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.batches.shards import HEADER_BYTES, TokenShards, read_index
from gemini_workshop.data.download import _whole_length
from gemini_workshop.data.scraping.records import Harvest, page_record
from gemini_workshop.data.tokenizers import CharTokenizer, load_tokenizer
from gemini_workshop.errors import CheckpointError, DataError
from gemini_workshop.models.families.files import read_json
from gemini_workshop.reading import read_text
from gemini_workshop.training.run import read_source
from gemini_workshop.training.watching.callbacks import Samples, StepMetrics, read_history

DEEP = b"[" * 100_000
METRICS = StepMetrics(loss_nats=1.0, gradient_norm=1.0, learning_rate=1.0, validation_nats=1.0)
READERS = {
    "run.json": read_source,
    "index.json": read_index,
    "tokenizer.json": lambda folder: load_tokenizer(folder / "tokenizer.json"),
    "config.json": lambda folder: read_json(folder / "config.json"),
    "SHA256SUMS": check_sums,
}


@pytest.fixture
def shards(tmp_path):
    """A folder of shards of two documents."""
    tokenizer = CharTokenizer.train(["abc", "bcd"], 10)
    write_shards(["abc", "bcd"], tokenizer, tmp_path / "shards")
    return tmp_path / "shards"


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises((DataError, CheckpointError), match=r"not an ordinary file|is damaged"):
        READERS[name](tmp_path)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("content", [DEEP, b"7", b"[]", b"null", b'"x"', b"\xff\xfe\0", b""])
def test_what_is_not_what_it_should_be_is_an_error_in_few_words(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises((DataError, CheckpointError)) as caught:
        READERS[name](tmp_path)
    assert name in str(caught.value)
    assert len(str(caught.value)) < 700


def test_a_history_that_is_a_folder_is_an_empty_one(tmp_path):
    assert read_history(tmp_path) == []


def test_a_pipe_that_someone_gives_is_read(tmp_path):
    read, write = os.pipe()
    os.write(write, b"Once")
    os.close(write)
    assert read_text(f"/dev/fd/{read}") == "Once"
    os.close(read)


# Shards


@pytest.mark.parametrize("place", [HEADER_BYTES, HEADER_BYTES + 3, -8])
def test_a_shard_that_was_changed_is_not_read_as_other_tokens(shards, place):
    path = shards / "shard-00000.tokens"
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"shard-00000\.tokens is damaged: the sha256 of its ids is "):
        TokenShards(shards).tokens(0, 3)


def test_a_changed_shard_is_not_kept_by_a_run_that_completes_the_folder(shards):
    tokenizer = TokenShards(shards).load_tokenizer()
    (shards / "index.json").unlink()
    path = shards / "shard-00000.tokens"
    path.write_bytes(path.read_bytes()[:-1] + b"\1")
    with pytest.raises(DataError, match="is damaged"):
        write_shards(["abc", "bcd"], tokenizer, shards)


def test_shards_without_a_sum_are_read(shards, monkeypatch):
    path, header = shards / "shard-00000.tokens", read_index(shards)[0]
    ids = TokenShards(shards).tokens(0, 8).tolist()
    index = json.loads((shards / "index.json").read_text())
    del index["shards"][0]["content_sha256"]
    (shards / "index.json").write_text(json.dumps(index))
    first_line = json.dumps(index["shards"][0]).encode().ljust(HEADER_BYTES - 1) + b"\n"
    path.write_bytes(first_line + path.read_bytes()[HEADER_BYTES:])
    assert TokenShards(shards).tokens(0, 8).tolist() == ids
    assert header.content_sha256
    assert shards_module.read_header(path).content_sha256 == ""


@pytest.mark.parametrize(
    "fields", [{"num_tokens": -1}, {"num_tokens": "x"}, {"vocab_size": 2**60}, {"text_sha256": 3}, {"version": 2}]
)
def test_counts_that_no_shard_has_are_refused(shards, fields):
    index = json.loads((shards / "index.json").read_text())
    index["shards"][0] |= fields
    (shards / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match=r"index\.json is damaged"):
        TokenShards(shards)


# Checkpoints and tokenizers


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of the model that ships."""
    return shutil.copytree(SHIPPED / "stories-small", tmp_path / "model")


def test_merges_that_double_do_not_fill_the_memory(checkpoint):
    content = json.loads((checkpoint / "tokenizer.json").read_text())
    content["merges"] = [[97, 97]] + [[256 + i, 256 + i] for i in range(60)]
    (checkpoint / "tokenizer.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="makes a token of more than 1048576 bytes"):
        load_tokenizer(checkpoint / "tokenizer.json")


@pytest.mark.parametrize("name", ["model.safetensors", "config.yaml", "tokenizer.json"])
def test_a_list_of_sums_names_all_that_is_read(checkpoint, name):
    (checkpoint / name).rename(checkpoint.parent / name)
    write_sums(checkpoint)
    (checkpoint.parent / name).rename(checkpoint / name)
    with pytest.raises(CheckpointError, match=f"SHA256SUMS has no line for {name}"):
        check_sums(checkpoint)


# Runs that were killed, disks that are full, servers that say little


def test_samples_of_steps_that_are_taken_again_are_not_there_twice(tmp_path):
    samples = Samples(lambda: "Once\nstep by step", tmp_path / "samples.txt", lambda _: None)
    for step in (2, 4, 6):
        samples.stepped(step, METRICS)
    whole = (tmp_path / "samples.txt").read_text()
    samples.started(4, 6)
    assert "step 4, validation" in (tmp_path / "samples.txt").read_text()
    samples.stepped(6, METRICS)
    assert (tmp_path / "samples.txt").read_text() == whole


def test_a_scrape_that_met_a_full_disk_goes_on_where_it_was(tmp_path):
    resource = pytest.importorskip("resource")
    path, before = tmp_path / "pages.jsonl", resource.getrlimit(resource.RLIMIT_FSIZE)
    Harvest(path, {}).write(page_record("1 + 1?", "2", "", "https://example.org/1"))
    present = path.read_bytes()
    record = page_record("2 + 2?", "4" * 500, "", "https://example.org/2")
    harvest = Harvest(path, {})
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(present) + 50, before[1]))
        with pytest.raises(OSError, match="No space left on device"):
            harvest.write(record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == present
    assert Harvest(path, {}).write(record) == "written"


@pytest.mark.parametrize(("headers", "length"), [
    ({"Content-Length": "7"}, 10),
    ({"Content-Range": "bytes 3-9/10"}, 10),
    ({"Content-Range": "bytes 3-9/10", "Content-Length": "4"}, 10),
    ({"Content-Range": "bytes 3-9/*", "Content-Length": "7"}, 10),
    ({"Content-Length": "-7"}, None),
    ({"Content-Length": "9" * 5000}, None),
    ({}, None),
])  # fmt: skip
def test_the_length_of_a_file_is_what_the_server_says_of_the_whole(headers, length):
    message = Message()
    for name, value in headers.items():
        message[name] = value
    assert _whole_length(message, 3) == length
