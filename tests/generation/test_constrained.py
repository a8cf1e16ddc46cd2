import builtins
import io
import json
import re

import pytest
import sentencepiece
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import BPETokenizer, CharTokenizer, SentencePieceTokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.constrained import Constraint, _Vocabulary, token_bytes
from gemini_workshop.generation.decode import generate, generate_batch
from gemini_workshop.generation.penalties import ABSENT
from gemini_workshop.generation.sampler import Past, Sampler
from gemini_workshop.generation.sampling import CUT_OFF

TEXT = ['{"name": "Zoë", "age": 12, "likes": ["cats", "好"]} happy or sad, yes or no. '] * 4
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string", "maxLength": 6}, "age": {"type": "integer", "maximum": 99, "minimum": 0}},
    "required": ["name", "age"],
    "additionalProperties": False,
}


def sentencepieces():
    """With the library's usual settings, by which a space alone is dropped."""
    content = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT),
        model_writer=content,
        vocab_size=300,
        hard_vocab_limit=False,
        byte_fallback=True,
        add_dummy_prefix=False,
        minloglevel=2,
    )
    return SentencePieceTokenizer(content.getvalue())


TOKENIZERS = {
    "bytes": BPETokenizer(merges={}),
    "bpe": BPETokenizer.train(TEXT, 290),
    "characters": CharTokenizer.train(TEXT),
    "sentencepiece": sentencepieces(),
}


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    return TOKENIZERS[request.param]


def draw(constraint, tokenizer, seed, most=60):
    """A text of random tokens that the constraint admits."""
    generator, written = torch.Generator().manual_seed(seed), []
    sampler = Sampler((constraint,))
    for _ in range(most):
        past = Past(torch.zeros(1, 1, dtype=torch.long), torch.tensor([written], dtype=torch.long))
        token = int(sampler.pick(torch.zeros(1, tokenizer.vocab_size), past, generator))
        if token == tokenizer.end_of_text_id:
            return tokenizer.decode(written)
        written.append(token)
    return None


def test_a_whole_text_matches_the_regular_expression(tokenizer):
    pattern = r"(happy|sad)( or (happy|sad))?, [0-9]{1,3}(ë|好)?"
    texts = {draw(Constraint.from_regex(pattern, tokenizer), tokenizer, seed) for seed in range(12)}
    assert all(re.fullmatch(pattern, text) for text in texts)
    assert len(texts) > 6


def test_a_text_is_json_that_fits_the_schema(tokenizer):
    constraint = Constraint.from_json_schema(SCHEMA, tokenizer)
    texts = [draw(constraint, tokenizer, seed, most=200) for seed in range(5)]
    for text in texts:
        values = json.loads(text)
        assert set(values) == {"name", "age"}
        assert isinstance(values["name"], str)
        assert len(values["name"]) <= 6
        assert 0 <= values["age"] <= 99
        assert text.startswith('{"name": "')


def test_a_text_is_one_of_the_choices(tokenizer):
    choices = ["yes", "no", 'no "cats"']
    constraint = Constraint.from_choices(choices, tokenizer)
    assert {draw(constraint, tokenizer, seed) for seed in range(20)} <= set(choices)


def test_the_end_comes_when_the_rule_is_met_and_not_before():
    tokenizer = TOKENIZERS["bytes"]
    constraint = Constraint.from_regex("ab?", tokenizer)

    def allowed(text):
        return constraint.allowed(list(text), tokenizer.vocab_size).nonzero().flatten().tolist()

    end = tokenizer.end_of_text_id
    assert [allowed(text) for text in (b"", b"a", b"ab", [*b"a", end])] == [[ord("a")], [ord("b"), end], [end], [end]]


def test_rows_follow_the_rule_each_for_itself_whatever_is_absent_on_their_left():
    tokenizer = TOKENIZERS["bytes"]
    constraint = Constraint.from_regex("[ab][cd][ef]", tokenizer)
    past = Past(torch.tensor([[0], [0]]), torch.tensor([[ABSENT, ord("a")], [ord("b"), ord("c")]]))
    kept = constraint(torch.zeros(2, tokenizer.vocab_size + 5), past) > CUT_OFF
    assert [row.nonzero().flatten().tolist() for row in kept] == [list(b"cd"), list(b"ef")]


def test_what_a_text_may_become_does_not_depend_on_what_was_asked_before():
    """Beams and drafts come back to shorter texts, and to others."""
    tokenizer = TOKENIZERS["bytes"]
    texts = [b"a", b"ab", b"b", b"abab", b"", b"ab", b"ba", b"aba"]
    constraint = Constraint.from_regex("(ab|ba)*c", tokenizer)
    for text in texts:
        fresh = Constraint.from_regex("(ab|ba)*c", tokenizer)
        assert torch.equal(constraint.allowed(text, 257), fresh.allowed(text, 257))


def test_a_model_writes_by_the_rule(model):
    tokenizer = CharTokenizer(list("abcdefghijk"))
    sampler = Sampler((Constraint.from_regex("(ab|cd){3}k", tokenizer),))
    config, end = GenerationConfig(max_new_tokens=20, temperature=1.0), tokenizer.end_of_text_id
    alone = tokenizer.decode(list(generate(model, [1], config, stop_ids={end}, sampler=sampler)))
    rows = generate_batch(model, [[1], [2, 3]], config, stop_ids={end}, sampler=sampler)
    texts = [alone, *(tokenizer.decode(row.token_ids) for row in rows)]
    assert all(re.fullmatch("(ab|cd){3}k", text) for text in texts)


def test_tokens_stand_for_the_bytes_of_their_text(tokenizer):
    tokens = token_bytes(tokenizer)
    text = TEXT[0].strip()
    assert len(tokens) == tokenizer.vocab_size
    assert b"".join(tokens[i] for i in tokenizer.encode(text)) == text.encode()
    assert tokens[tokenizer.end_of_text_id] == b""


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda t: Constraint.from_regex("(a", t), r"The pattern '\(a' cannot be used as a constraint"),
        (lambda t: Constraint.from_json_schema('{"type": ', t), "The schema is not JSON"),
        (lambda t: Constraint.from_json_schema({"type": "nothing"}, t), "The schema cannot be used as a constraint"),
    ],
)
def test_a_rule_that_means_nothing_is_refused(make, message):
    with pytest.raises(WorkshopError, match=message):
        make(TOKENIZERS["bytes"])


def test_a_rule_for_which_there_are_no_tokens_is_refused_where_it_becomes_so():
    constraint = Constraint.from_regex("a[xy]", CharTokenizer(list("abc")))
    assert constraint.allowed([], 5).tolist() == [True, False, False, False, False]
    with pytest.raises(WorkshopError, match=r"The pattern 'a\[xy\]' cannot be matched after 1 tokens"):
        constraint.allowed([0], 5)


def test_without_the_library_the_message_says_how_to_install_it(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "llguidance":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(WorkshopError, match=r'Install it: pip install "gemini-from-scratch\[constrained\]"'):
        Constraint.from_regex("a", TOKENIZERS["bytes"])


def test_a_rule_is_tokenized_with_exactly_its_bytes_the_longest_token_first(tokenizer):
    vocabulary = _Vocabulary(tokenizer)
    text = "".join(chr(ord("a") + i % 20) for i in range(9)) + " the"
    for written in (text, text.encode()):
        assert vocabulary(written) == tokenizer.encode(text) or not isinstance(tokenizer, BPETokenizer)
    longest = max((token for token in vocabulary.tokens if not token.startswith(b"\xff")), key=len)
    assert vocabulary._longest_first(longest * 2) == [vocabulary.id_of[longest]] * 2
    dropped = _Vocabulary(tokenizer)
    dropped.encode = lambda text: tokenizer.encode(text.strip())
    assert dropped(longest + b" ") == dropped._longest_first(longest + b" ")
