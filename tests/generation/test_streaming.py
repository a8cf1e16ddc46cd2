import io

import pytest
import sentencepiece

from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer, SentencePieceTokenizer
from gemini_workshop.generation.streaming import StopFilter, TextStream, text_pieces

BYTES = BPETokenizer(merges={})  # every token is one byte
TEXT = "Zoë ate 3 crêpes — 好吃! 😀"
MANY = "👩‍👩‍👧 naïve ẞ \N{COMBINING ACUTE ACCENT} नमस्ते 🇪🇺 𝒳"


@pytest.fixture(scope="module")
def with_dummy_prefix():
    """As Llama's: a space goes before the text when it is encoded, and one is taken off when it is decoded."""
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat and the dog ate the cat"] * 5),
        model_writer=content,
        vocab_size=300,
        hard_vocab_limit=False,
        byte_fallback=True,
        eos_piece="<end>",
        minloglevel=2,
    )
    return SentencePieceTokenizer(content.getvalue())


@pytest.mark.parametrize("text", [TEXT, MANY])
def test_no_piece_of_a_stream_splits_a_character(text):
    pieces = list(text_pieces(BYTES.encode(text), BYTES))
    assert pieces == list(text)


def test_a_stream_that_ends_inside_a_character_shows_so():
    ids = BYTES.encode("a😀")[:-1]
    assert "".join(text_pieces(ids, BYTES)) == BYTES.decode(ids) == "a�"


def test_broken_bytes_join_to_the_decoded_whole():
    ids = [0xFF, 0xE5, 0xA5, 0x41, 0xF0, 0x9F, 0xFF, 0x42]
    assert "".join(text_pieces(ids, BYTES)) == BYTES.decode(ids)


def test_spaces_stay_where_a_tokenizer_would_take_them_off_a_beginning(with_dummy_prefix):
    ids = with_dummy_prefix.encode("the cat 好 sat on the mat")
    pieces = list(text_pieces(ids, with_dummy_prefix))
    assert "".join(pieces) == with_dummy_prefix.decode(ids) == "the cat 好 sat on the mat"
    assert len(pieces) > 4


@pytest.mark.parametrize("text", [TEXT, "ab\n\nUser: c", "no stop here"])
@pytest.mark.parametrize("stops", [[], ["\nUser:"], ["!", "crêpes —"], ["好"], ["s", "sto"], ["e a", "ë ate 3"], [""]])
@pytest.mark.parametrize("tokenizer", [BYTES, BPETokenizer.train([TEXT + "\n\nUser: Zoë"], 280)], ids=["bytes", "bpe"])
def test_a_text_ends_before_its_first_stop_string_wherever_tokens_end(tokenizer, text, stops):
    ends = [text.find(stop) for stop in stops if stop and stop in text]
    stream = TextStream(tokenizer, stops)
    pieces = [stream.push(token) for token in tokenizer.encode(text)]
    pieces.append(stream.finish())
    assert "".join(pieces) == stream.text == text[: min(ends, default=len(text))]
    assert (stream.stop is None) == (not ends)


def test_of_stop_strings_that_begin_together_the_shorter_ends_the_text():
    stream = TextStream(BYTES, ["ab", "abc", "b"])
    assert [stream.push(token) for token in b"xabc"] == ["x", "", "", ""]
    assert stream.stop == "ab"


def test_only_what_may_become_a_stop_string_is_held_back():
    stops = StopFilter(["\nUser:"])
    assert [stops.push(text) for text in ("Hi", "!\n", "Us", "a\n\n", "User", ":", "more")] == [
        *("Hi", "!", "", "\nUsa\n", "", "", "")
    ]
    assert stops.stop == "\nUser:"


def test_what_was_held_back_for_nothing_comes_at_the_end():
    assert list(text_pieces(BYTES.encode("Hi\nUs"), BYTES, ["\nUser:"])) == ["H", "i", "\nUs"]


def test_after_a_stop_string_no_token_is_asked_for():
    def ids():
        yield from BYTES.encode("one. ")
        raise AssertionError

    assert "".join(text_pieces(ids(), BYTES, [". "])) == "one"


def test_characters_are_tokens_too():
    tokenizer = CharTokenizer(list("abc "))
    assert list(text_pieces(tokenizer.encode("a bc"), tokenizer, ["c"])) == ["a", " ", "b"]
