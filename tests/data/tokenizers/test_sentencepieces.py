import pytest
import sentencepiece
from hypothesis import given, settings

from gemini_workshop import paths
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.data.tokenizers.sentencepieces import MAX_PIECE_CHARACTERS, SentencePieceTokenizer
from gemini_workshop.data.tokenizers.splitting import to_utf8
from gemini_workshop.errors import DataError
from tests.data.tokenizers.samples import ANY_TEXT, MIRROR, needs_mirror

STORY = "Tom had a red ball. He liked the ball very much, and he played with it all day."


def story_lines() -> list[str]:
    return (paths.samples_folder() / "stories.txt").read_text("utf-8")[:40_000].splitlines(keepends=True)


TRAINED: dict[str, SentencePieceTokenizer] = {}


def trained(model: str) -> SentencePieceTokenizer:
    if model not in TRAINED:
        TRAINED[model] = SentencePieceTokenizer.train(story_lines(), 500, model=model)
    return TRAINED[model]


@pytest.mark.parametrize("model", ["bpe", "unigram"])
@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT)
def test_every_text_comes_back_but_for_the_sign_that_means_a_space(model, text):
    expected = to_utf8(text).decode().replace("▁", " ")
    assert trained(model).decode(trained(model).encode(text)) == expected


@pytest.mark.parametrize("model", ["bpe", "unigram"])
def test_what_was_never_seen_falls_back_to_its_bytes(model):
    tokenizer = trained(model)
    ids = tokenizer.encode("ж")
    assert [tokenizer._processor.id_to_piece(i) for i in ids] == ["<0xD0>", "<0xB6>"]
    assert tokenizer.decode(ids[:1]) == "�"


def test_the_two_models_cut_a_text_differently():
    bpe, unigram = trained("bpe"), trained("unigram")
    assert bpe.vocab_size == unigram.vocab_size == 500
    assert bpe.encode(STORY) != unigram.encode(STORY)
    assert len(bpe.encode(STORY)) < len(STORY)


def test_the_end_of_text_is_found_only_if_allowed():
    tokenizer = trained("bpe")
    text = f"the{END_OF_TEXT}fox{END_OF_TEXT}"
    end = tokenizer.end_of_text_id
    assert tokenizer.special_tokens == {END_OF_TEXT: end}
    assert end not in tokenizer.encode(text)
    assert tokenizer.encode(text, "all") == [*tokenizer.encode("the"), end, *tokenizer.encode("fox"), end]
    for ids in (tokenizer.encode(text), tokenizer.encode(text, "all")):
        assert tokenizer.decode(ids) == text


def test_a_document_longer_than_the_library_takes_is_learned_from_too():
    tokenizer = SentencePieceTokenizer.train(["ab" * MAX_PIECE_CHARACTERS], 262)
    assert len(tokenizer.encode("abab")) < 4


def test_a_vocabulary_that_the_library_refuses_is_an_error_with_its_reason():
    with pytest.raises(DataError, match=r"no vocabulary of vocab_size=5000: .*too high"):
        SentencePieceTokenizer.train(["abc"], 5000)
    with pytest.raises(DataError, match="documents='abc' is one text"):
        SentencePieceTokenizer.train("abc", 300)


def test_decoding_an_id_outside_the_vocabulary_is_an_error():
    with pytest.raises(DataError, match="token id 500 at position 1 is outside the vocabulary of 500"):
        trained("bpe").decode([3, 500])


@needs_mirror
def test_a_published_model_encodes_as_by_the_library():
    content = (MIRROR / "sentencepiece" / "test_model.model").read_bytes()
    tokenizer = SentencePieceTokenizer(content)
    text = "I saw a girl with a telescope."
    pieces = "▁I ▁saw ▁a ▁girl ▁with ▁a ▁ te le s c o pe ."
    assert [tokenizer._processor.id_to_piece(i) for i in tokenizer.encode(text)] == pieces.split(" ")
    assert tokenizer.encode(text) == sentencepiece.SentencePieceProcessor(model_proto=content).encode(text)
    assert tokenizer.decode(tokenizer.encode(text)) == text
