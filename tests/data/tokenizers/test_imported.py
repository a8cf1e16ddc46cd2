"""tokenizer.json of published models: the ids that the library gives, and text that comes back piece by piece."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from gemini_workshop.data.tokenizers import (
    BPETokenizer,
    ImportedTokenizer,
    load_tokenizer,
    prompt_ids,
    start_ids,
    stop_ids,
)
from gemini_workshop.errors import DataError

TEXTS = ["the cat's   hat\n\n new", "naïve 🙂 café", "", " a", "x <s> </s> <|end|> y", "12345"]
TRAINING = ["the cat sat on the mat's hat 123 1234\n", "naïve café the the then\n\n cat"] * 3
SPECIAL = ["<unk>", "<s>", "</s>"]


def byte_level() -> Tokenizer:
    """As GPT-2's and Llama 3's, with special ids first and a beginning before every text."""
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    library.train_from_iterator(
        TRAINING,
        trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False),
    )
    first = library.token_to_id("<s>")
    library.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", first)])
    return library


def sentence_pieces(dummy_prefix: bool) -> Tokenizer:
    """As Llama 2's (with a space before each text) and Gemma's: characters, and bytes for those without a piece."""
    pieces = [*SPECIAL, *(f"<0x{byte:02X}>" for byte in range(256)), *"▁thecasmnx", "▁t", "he", "▁the"]
    vocabulary = {piece: i for i, piece in enumerate(pieces)}
    merges = [("▁", "t"), ("h", "e"), ("▁t", "he")]
    library = Tokenizer(models.BPE(vocabulary, merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    prefix = [normalizers.Prepend("▁")] if dummy_prefix else []
    library.normalizer = normalizers.Sequence([*prefix, normalizers.Replace(" ", "▁")])
    strip = [decoders.Strip(" ", 1, 0)] if dummy_prefix else []
    library.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip])
    library.add_special_tokens([AddedToken(name, normalized=False) for name in SPECIAL])
    return library


def unigram() -> Tokenizer:
    pieces = [*((piece, 0.0) for piece in SPECIAL), ("▁the", -1.0), ("▁", -2.0), ("c", -3.0), ("at", -2.5), ("a", -3.5)]
    library = Tokenizer(models.Unigram([*pieces, ("t", -3.6), ("h", -4.0), ("e", -4.0)], unk_id=0))
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never")
    library.decoder = decoders.Metaspace(prepend_scheme="never")
    library.add_special_tokens(SPECIAL)
    return library


KINDS = {
    "byte level": byte_level,
    "pieces": lambda: sentence_pieces(dummy_prefix=False),
    "pieces after a space": lambda: sentence_pieces(dummy_prefix=True),
    "unigram": unigram,
}


def folder_of(library: Tokenizer, folder, **config):
    folder.mkdir(exist_ok=True)
    library.save(str(folder / "tokenizer.json"))
    (folder / "config.json").write_text(json.dumps({"eos_token_id": 2} | config), "utf-8")
    return folder


@pytest.fixture(params=KINDS)
def pair(request, tmp_path):
    library = KINDS[request.param]()
    return library, ImportedTokenizer.from_folder(folder_of(library, tmp_path / "model"))


@pytest.mark.parametrize("text", TEXTS)
def test_the_ids_are_those_of_the_library(pair, text):
    library, ours = pair
    library.encode_special_tokens = True
    assert ours.encode(text) == library.encode(text, add_special_tokens=False).ids
    assert prompt_ids(ours, text) == (library.encode(text).ids or [2])


def test_names_of_special_tokens_in_a_text_are_special_only_if_allowed(pair):
    _, ours = pair
    text = "the</s>cat"
    if ours.content["model"]["type"] != "Unigram":  # to it, the names are pieces like others
        assert 2 not in ours.encode(text)
    assert ours.encode(text, "all") == [*ours.encode("the"), 2, *ours.encode("cat")]
    assert ours.encode(text, {"</s>"}) == ours.encode(text, "all")
    with pytest.raises(DataError, match="no special token '<x>'"):
        ours.encode(text, {"<x>"})


@pytest.mark.parametrize("text", ["the cat", "naïve 🙂 x", "the  cat\n"])
def test_text_comes_back_piece_by_piece_as_it_does_at_once(text, tmp_path):
    for name, make in KINDS.items():
        if name == "unigram":
            continue  # it knows few characters
        ours = ImportedTokenizer.from_folder(folder_of(make(), tmp_path / name))
        ids = ours.encode(text)
        space = " " if name == "pieces after a space" else ""
        assert ours.decode(ids) == space + text
        for i in range(len(ids)):
            if "�" not in ours.decode(ids[:i]) + ours.decode(ids[i:]):
                assert ours.decode(ids[:i]) + ours.decode(ids[i:]) == space + text


def test_a_saved_tokenizer_is_the_same(pair, tmp_path):
    _, ours = pair
    ours.save(tmp_path / "saved.json")
    again = load_tokenizer(tmp_path / "saved.json")
    assert isinstance(again, ImportedTokenizer)
    for text in TEXTS:
        assert again.encode(text) == ours.encode(text)
    assert (again.stop_ids, again.end_of_text_id, again.vocab_size) == (ours.stop_ids, 2, ours.vocab_size)


def test_the_file_itself_is_read_where_a_tokenizer_is_asked_for(tmp_path):
    folder = folder_of(byte_level(), tmp_path / "model")
    assert load_tokenizer(folder / "tokenizer.json").encode("the cat") == byte_level().encode("the cat").ids[1:]


def test_what_begins_and_ends_a_text_is_read_from_the_files_beside_it(tmp_path):
    folder = folder_of(byte_level(), tmp_path / "model", eos_token_id=[1, 0])
    ours = ImportedTokenizer.from_folder(folder)
    assert (start_ids(ours), stop_ids(ours), ours.end_of_text_id) == ([1], {0, 1}, 1)
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "</s>"}}), "utf-8")
    ours = ImportedTokenizer.from_folder(folder, vocab_size=512)
    assert (stop_ids(ours), ours.end_of_text_id, ours.vocab_size) == ({0, 1, 2}, 2, 512)
    assert ours.decode([511]) == ""  # the model has an id that the tokenizer has not
    own = BPETokenizer({})
    assert (start_ids(own), stop_ids(own), prompt_ids(own, "")) == ([256], {256}, [256])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "tokenizer.json").unlink(), r"no tokenizer\.json in .*save_pretrained"),
        (lambda folder: (folder / "tokenizer.json").write_text("{}"), r"not a complete tokenizer: it has no model"),
        (lambda folder: (folder / "tokenizer.json").write_text('{"model": {}}'), "not what the library tokenizers"),
        (lambda folder: (folder / "config.json").write_text("{}"), "names a token that ends a text"),
        (lambda folder: (folder / "config.json").write_text('{"eos_token_id": 999}'), "has no id 999"),
    ],
)
def test_what_is_missing_is_named(change, message, tmp_path):
    folder = folder_of(byte_level(), tmp_path / "model")
    change(folder)
    with pytest.raises(DataError, match=message):
        ImportedTokenizer.from_folder(folder)


def test_it_is_not_learned_here():
    with pytest.raises(DataError, match="not learned here"):
        ImportedTokenizer.train(TRAINING, 300)
