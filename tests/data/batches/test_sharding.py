import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path

import psutil
import pytest

from gemini_workshop.data.batches.sharding import group_documents, text_sha256, write_shards
from gemini_workshop.data.tokenizers import CharTokenizer
from gemini_workshop.errors import DataError
from tests.data.batches import sharded

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return sharded.write(tmp_path_factory.mktemp("undisturbed"))


def killed_when(folder: Path, pattern: str, count: int, num_processes: int = 1, pause: float = 0.2) -> None:
    """Start a writer in a process of its own and kill it when so many files match the pattern."""
    command = [sys.executable, "-m", "tests.data.batches.sharded", str(folder), str(num_processes), str(pause)]
    process = subprocess.Popen(command, cwd=ROOT)
    while len(list(folder.glob(pattern))) < count:
        assert process.poll() is None, "the process ended before it could be killed"
        time.sleep(0.001)
    children = psutil.Process(process.pid).children(recursive=True)
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not (folder / "index.json").exists()


@pytest.mark.parametrize(
    ("pattern", "count"), [("tokenizer.json", 1), (".shard-00000.*.tmp", 1), ("shard-*.tokens", 2), (".index.*.tmp", 1)]
)
def test_after_a_kill_a_second_run_completes_with_the_same_bytes(undisturbed, tmp_path, pattern, count):
    killed_when(tmp_path, pattern, count)
    sharded.write(tmp_path)
    assert sharded.contents(tmp_path) == sharded.contents(undisturbed.folder)


def test_after_a_kill_of_several_processes_none_lives_on_and_a_second_run_completes(undisturbed, tmp_path):
    killed_when(tmp_path, "shard-*.tokens", 1, num_processes=2, pause=0.3)
    sharded.write(tmp_path)
    assert sharded.contents(tmp_path) == sharded.contents(undisturbed.folder)


class CountingTokenizer(CharTokenizer):
    """Counts the texts that it encodes."""

    def __init__(self) -> None:
        super().__init__(sharded.TOKENIZER.characters)
        self.encoded = 0

    def encode(self, text: str) -> list[int]:
        self.encoded += 1
        return super().encode(text)


def test_finished_shards_are_not_encoded_again(undisturbed, tmp_path):
    sharded.write(tmp_path)
    (tmp_path / "index.json").unlink()
    (tmp_path / "shard-00001.tokens").unlink()
    tokenizer = CountingTokenizer()
    write_shards(sharded.documents(), tokenizer, tmp_path, shard_bytes=sharded.SHARD_BYTES)
    assert tokenizer.encoded == undisturbed.headers[1].num_documents
    assert sharded.contents(tmp_path) == sharded.contents(undisturbed.folder)


def test_a_complete_folder_is_left_as_it_is(tmp_path):
    sharded.write(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    sharded.write(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_an_unfinished_folder_of_other_documents_is_written_anew(tmp_path):
    sharded.write(tmp_path / "other", ["a" * 300] * 9)
    (tmp_path / "other" / "index.json").unlink()
    sharded.write(tmp_path / "other", ["b" * 300] * 2)
    sharded.write(tmp_path / "fresh", ["b" * 300] * 2)
    assert sharded.contents(tmp_path / "other") == sharded.contents(tmp_path / "fresh")


@pytest.mark.parametrize(
    ("texts", "number"),
    [
        ([], 0),
        (["abc", *sharded.documents()[1:]], 0),
        (sharded.documents(59), 2),
        ([*sharded.documents(), "a" * sharded.SHARD_BYTES], 3),
    ],
)
def test_a_complete_folder_of_other_documents_is_an_error(undisturbed, texts, number):
    before = sharded.contents(undisturbed.folder)
    with pytest.raises(DataError, match=rf"already holds 60 other documents.* shard {number} differs"):
        sharded.write(undisturbed.folder, texts)
    assert sharded.contents(undisturbed.folder) == before


def test_a_complete_folder_of_more_documents_is_an_error(undisturbed):
    first_two = sum(header.num_documents for header in undisturbed.headers[:2])
    with pytest.raises(DataError, match=r"already holds 60 other documents.* shard 2 differs"):
        sharded.write(undisturbed.folder, sharded.documents(60)[:first_two])


def watched(folder: Path, ahead: list[int]) -> Iterator[str]:
    """Fifty documents, each for a shard of its own; note how many were read before their shards were written."""
    for number in range(50):
        ahead.append(number - len(list(folder.glob("shard-*"))))
        yield "a" * (100 - number)


def test_documents_are_read_only_as_shards_are_written(tmp_path):
    ahead: list[int] = []
    sharded.write(tmp_path, watched(tmp_path, ahead), shard_bytes=100)
    assert max(ahead) == 1


def test_several_processes_write_the_same_bytes_and_have_a_few_documents_each_in_hand(tmp_path):
    ahead: list[int] = []
    sharded.write(tmp_path / "two", watched(tmp_path / "two", ahead), shard_bytes=100, num_processes=2)
    assert max(ahead) <= 5
    sharded.write(tmp_path / "one", watched(tmp_path / "one", []), shard_bytes=100)
    assert sharded.contents(tmp_path / "two") == sharded.contents(tmp_path / "one")


def test_borders_between_documents_change_the_sum():
    assert len({text_sha256(texts) for texts in (["ab"], ["a", "b"], ["", "ab"], ["ab", ""])}) == 4


@pytest.mark.parametrize("shard_bytes", [30, 31, 100, 10**6])
def test_grouping_loses_nothing_and_fills_shards_as_far_as_documents_allow(shard_bytes):
    texts = sharded.documents()
    groups = list(group_documents(texts, shard_bytes))
    assert list(chain.from_iterable(groups)) == texts
    assert all(len("".join(group)) <= shard_bytes for group in groups)
    assert all(len("".join(a)) + len(b[0]) > shard_bytes for a, b in pairwise(groups))


def test_a_text_with_half_a_character_can_be_written(tmp_path):
    assert sharded.write(tmp_path, ["a\ud800b"]).tokens(0, 4).tolist() == [0, 11, 1, 12]


def test_no_documents_are_an_error(tmp_path):
    with pytest.raises(DataError, match=r"no documents to write to .*Give at least one"):
        sharded.write(tmp_path, [])
    assert not (tmp_path / "index.json").exists()


def test_one_text_instead_of_a_list_is_an_error(tmp_path):
    with pytest.raises(DataError, match="is one text"):
        write_shards("abc", sharded.TOKENIZER, tmp_path)


def test_a_document_longer_than_a_shard_is_an_error_that_counts_its_bytes(tmp_path):
    with pytest.raises(DataError, match=r"Document 1, 'ééé', has 6 bytes, more than shard_bytes=5.*shard_bytes >= 6"):
        sharded.write(tmp_path, ["abc", "ééé"], shard_bytes=5)


def test_a_folder_of_another_tokenizer_is_an_error(undisturbed):
    with pytest.raises(DataError, match=r"vocab_size=13 .*not of this one with vocab_size=3 .*into another folder"):
        write_shards(["abc"], CharTokenizer(["a"]), undisturbed.folder)


class TooLarge(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        return [self.vocab_size]


@pytest.mark.parametrize("num_processes", [1, 2])
def test_an_id_outside_the_vocabulary_is_an_error_in_whichever_process(tmp_path, num_processes):
    with pytest.raises(DataError, match=r"with vocab_size=3 yields ids from 2 to 3 for 'abc'"):
        write_shards(["abc"], TooLarge(["a"]), tmp_path, num_processes=num_processes)


class Fatal(CharTokenizer):
    def encode(self, text: str) -> list[int]:
        os._exit(1)


def test_a_process_that_dies_is_an_error_that_says_how_to_go_on(tmp_path):
    with pytest.raises(DataError, match=r"One of the 2 processes ended .*fewer processes or smaller shards"):
        write_shards(["abc"], Fatal(["a"]), tmp_path, num_processes=2)


def test_no_process_is_an_error(tmp_path):
    with pytest.raises(DataError, match="num_processes=0 is not positive"):
        sharded.write(tmp_path, num_processes=0)


def test_writing_processes_load_no_pytorch():
    program = "import sys, gemini_workshop.data.batches.sharding; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
