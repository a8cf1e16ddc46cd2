import pytest

from gemini_workshop.data.tokenizers.characters import CharTokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.errors import DataError


def test_characters_have_ids_in_the_order_of_unicode():
    tokenizer = CharTokenizer.train(["cab", "é"])
    assert tokenizer.encode("abcé") == [0, 1, 2, 3]
    assert (tokenizer.unknown_id, tokenizer.end_of_text_id, tokenizer.vocab_size) == (4, 5, 6)


def test_an_unknown_character_has_its_own_id_and_decodes_to_the_replacement_sign():
    tokenizer = CharTokenizer.train(["ab"])
    assert tokenizer.encode("axb") == [0, tokenizer.unknown_id, 1]
    assert tokenizer.decode(tokenizer.encode("axb")) == "a�b"


def test_the_replacement_sign_in_the_text_is_the_unknown_character():
    tokenizer = CharTokenizer.train(["a�"])
    assert tokenizer.characters == ["a"]
    assert tokenizer.decode(tokenizer.encode("a�")) == "a�"


def test_a_vocabulary_too_small_for_all_keeps_the_most_frequent_characters():
    tokenizer = CharTokenizer.train(iter(["zzz", "aab", "c"]), vocab_size=5)
    assert tokenizer.characters == ["a", "b", "z"]  # b and c occur once: the lower code point stays
    assert tokenizer.vocab_size == 5
    assert CharTokenizer.train(["ab"], vocab_size=100).vocab_size == 4


def test_a_vocabulary_without_room_for_a_character_is_an_error():
    with pytest.raises(DataError, match=r"vocab_size=2 is below 3.*Choose vocab_size >= 3"):
        CharTokenizer.train(["ab"], vocab_size=2)


def test_the_end_of_text_is_found_only_if_allowed():
    text = f"one{END_OF_TEXT}two{END_OF_TEXT}"
    tokenizer = CharTokenizer.train([text])
    end = tokenizer.end_of_text_id
    assert end not in tokenizer.encode(text)
    assert tokenizer.encode(text, "all") == [*tokenizer.encode("one"), end, *tokenizer.encode("two"), end]
    assert tokenizer.decode(tokenizer.encode(text, {END_OF_TEXT})) == text


def test_decoding_an_id_outside_the_characters_is_an_error():
    with pytest.raises(DataError, match=r"token id 4 at position 0 is outside the vocabulary of 4"):
        CharTokenizer.train(["ab"]).decode([4])


@pytest.mark.parametrize("documents", [[], ["", ""]])
def test_empty_documents_are_an_error(documents):
    with pytest.raises(DataError, match="hold no text"):
        CharTokenizer.train(documents)


def test_one_text_instead_of_a_list_is_an_error():
    with pytest.raises(DataError, match=r"documents='abcabc' is one text"):
        CharTokenizer.train("abcabc")
