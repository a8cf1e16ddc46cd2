import json
import pickle

import numpy as np
import pytest

from gemini_workshop.data.batches.shards import HEADER_BYTES, TokenShards, read_header, shard_path
from gemini_workshop.data.tokenizers import CharTokenizer
from gemini_workshop.errors import DataError
from tests.data.batches import sharded

END = sharded.TOKENIZER.end_of_text_id


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    return sharded.write(tmp_path_factory.mktemp("shards"))


@pytest.fixture
def own(tmp_path):
    """A folder that a test may damage."""
    sharded.write(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def stream():
    """What the shards should hold, made without them."""
    ids = []
    for document in sharded.documents():
        ids += [*sharded.TOKENIZER.encode(document), END]
    return np.array(ids)


def test_the_shards_are_the_stream_of_documents(shards, stream):
    assert len(shards.headers) > 2
    assert np.array_equal(shards.tokens(0, shards.num_tokens), stream)


def test_any_stretch_of_the_stream_can_be_read_wherever_the_shards_end(shards, stream):
    borders = np.cumsum([header.num_tokens for header in shards.headers])
    for border in [0, *borders]:
        for start in range(max(border - 2, 0), min(border + 3, len(stream))):
            for stop in (start, start + 1, start + 5, len(stream)):
                stop = min(stop, len(stream))
                assert np.array_equal(shards.tokens(start, stop), stream[start:stop]), (start, stop)


def test_each_document_ends_where_its_end_of_text_stands(shards, stream):
    assert np.array_equal(shards.document_ends(), np.flatnonzero(stream == END) + 1)


def test_the_shards_count_what_they_hold(shards, stream):
    texts = sharded.documents()
    assert (shards.num_tokens, shards.num_documents) == (len(stream), len(texts))
    assert shards.num_bytes == sum(map(len, texts))
    assert (shards.vocab_size, shards.end_of_text_id) == (13, END)


def test_the_file_is_as_the_docstring_says(shards, stream):
    content = shard_path(shards.folder, 0).read_bytes()
    header = json.loads(content[:512])
    n, m = header["num_tokens"], header["num_documents"]
    assert content[511:512] == b"\n"
    assert np.array_equal(np.frombuffer(content, "<u2", n, 512), stream[:n])
    assert np.array_equal(np.frombuffer(content[-8 * m :], "<i8"), np.flatnonzero(stream[:n] == END) + 1)
    assert len(content) % 8 == 0


@pytest.mark.parametrize(("vocab_size", "dtype"), [(65_536, "<u2"), (65_537, "<u4")])
def test_the_largest_id_survives_in_the_smallest_type(tmp_path, vocab_size, dtype):
    letters = [chr(i) for i in range(0x10000, 0x10000 + vocab_size - 2)]
    tokenizer = CharTokenizer(letters)
    from gemini_workshop.data.batches.sharding import write_shards

    shards = write_shards([letters[-1] + letters[0]], tokenizer, tmp_path)
    assert shards.headers[0].dtype == np.dtype(dtype)
    assert shards.tokens(0, 3).tolist() == [vocab_size - 3, 0, vocab_size - 1]


def test_ids_are_int64_whatever_the_file_holds(shards):
    assert shards.tokens(0, 3).dtype == shards.tokens(0, 0).dtype == np.int64


def test_pickled_shards_carry_no_ids(shards, stream):
    shards.tokens(0, shards.num_tokens)
    content = pickle.dumps(shards)
    assert len(content) < 1000 + 400 * len(shards.headers)
    assert np.array_equal(pickle.loads(content).tokens(0, len(stream)), stream)


def test_the_tokenizer_lies_beside_the_shards(shards):
    assert shards.load_tokenizer().encode("badcafe") == sharded.TOKENIZER.encode("badcafe")


def test_a_place_outside_the_stream_is_an_error(shards):
    n = shards.num_tokens
    with pytest.raises(DataError, match=rf"tokens\({n - 1}, {n + 1}\) reaches outside the {n} tokens"):
        shards.tokens(n - 1, n + 1)


def test_another_tokenizer_is_an_error_that_names_both(shards):
    with pytest.raises(DataError, match=r"tokenizer with vocab_size=13 .*not of this one with vocab_size=5 .*Use the"):
        TokenShards(shards.folder, CharTokenizer(list("abc")))


def test_another_tokenizer_of_the_same_size_is_an_error_too(shards):
    with pytest.raises(DataError, match=r"vocab_size=13 \(sha256 .*vocab_size=13 \(sha256"):
        TokenShards(shards.folder, CharTokenizer(list("bacdefghijk")))


def test_a_folder_without_index_is_not_complete(tmp_path):
    with pytest.raises(DataError, match=r"holds no complete shards: there is no index\.json.*data tokenize"):
        TokenShards(tmp_path)


@pytest.mark.parametrize("damage", ["{", "[]", '{"shards": [{"size": 3}]}'])
def test_a_damaged_index_is_an_error(own, damage):
    (own / "index.json").write_text(damage)
    with pytest.raises(DataError, match=r"index\.json is damaged. Delete it"):
        TokenShards(own)


def test_a_shard_cut_short_is_an_error_with_both_sizes(own):
    path = shard_path(own, 1)
    whole = path.read_bytes()
    path.write_bytes(whole[:-8])
    with pytest.raises(DataError, match=rf"00001.tokens has {len(whole) - 8} bytes, but .* says {len(whole)}"):
        TokenShards(own).document_ends()


def test_a_shard_of_another_text_is_an_error(own):
    shard_path(own, 1).write_bytes(shard_path(own, 0).read_bytes())
    with pytest.raises(DataError, match=r"shard-00001\.tokens is not the shard that index\.json lists"):
        TokenShards(own).document_ends()


def test_a_missing_shard_is_an_error(own):
    shard_path(own, 1).unlink()
    with pytest.raises(DataError, match=r"shard-00001\.tokens cannot be read: No such file"):
        TokenShards(own).document_ends()


@pytest.mark.parametrize("content", [b"once upon a time", b"{}".ljust(HEADER_BYTES), b"\xff" * HEADER_BYTES])
def test_a_file_of_another_kind_is_an_error(tmp_path, content):
    path = tmp_path / "shard-00000.tokens"
    path.write_bytes(content)
    with pytest.raises(DataError, match="has no header of a shard"):
        read_header(path)
