import dataclasses

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation import speculative
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.sampler import Past, sampler_from
from gemini_workshop.generation.speculative import (
    DraftModel,
    PromptLookup,
    accept_drafts,
    generate_speculatively,
    look_up,
)
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.generation.chi_square import DRAWS, fits

K, V = 3, 5


def random_probs(seed, *shape, sharpness=1.5):
    logits = torch.randn(*shape, V, generator=torch.Generator().manual_seed(seed))
    return (sharpness * logits).softmax(-1)


@pytest.fixture
def helper(config):
    """Another model with the same vocabulary, whose guesses are often wrong."""
    generator = torch.Generator().manual_seed(9)
    model = Transformer(config, generator)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return model.double().eval()


class Wrong:
    """Guesses what the model never says, or proposes nothing now and then."""

    def __init__(self):
        self.calls = 0

    def propose(self, token_ids, past, number, sampler, generator):
        self.calls += 1
        guessed = [(token_ids[-1] + 1) % 13] * (number if self.calls % 3 else 0)
        return guessed, torch.nn.functional.one_hot(torch.tensor(guessed, dtype=torch.long), 13).float()


@pytest.mark.parametrize(
    "draft_probs",
    [random_probs(1, K), random_probs(0, K + 1)[:K], torch.eye(V)[[1, 4, 0]], random_probs(2, K, sharpness=9.0)],
    ids=["another", "the model's own", "certain", "sure and wrong"],
)
def test_each_token_is_distributed_as_the_model_has_it_whatever_the_draft(draft_probs):
    """Three drafts in a row: the text of the kept ones and the one after them, each place against the model's odds."""
    model_probs, generator = random_probs(0, K + 1), torch.Generator().manual_seed(0)
    drafts = torch.stack([row.multinomial(DRAWS, replacement=True, generator=generator) for row in draft_probs], dim=1)
    num_kept, last = accept_drafts(
        drafts, draft_probs.expand(DRAWS, -1, -1), model_probs.expand(DRAWS, -1, -1), generator
    )
    for place in range(K + 1):
        is_there = num_kept >= place
        tokens = torch.where(num_kept > place, drafts[:, min(place, K - 1)], last)[is_there]
        assert fits(tokens, model_probs[place])
    if torch.equal(draft_probs, model_probs[:K]):
        assert (num_kept == K).all()


def test_the_test_of_distributions_sees_a_draft_kept_too_often(monkeypatch):
    model_probs, draft_probs = random_probs(0, 2), random_probs(1, 1)
    drafts = draft_probs[0].multinomial(DRAWS, replacement=True).unsqueeze(1)
    assert not fits(drafts[:, 0], model_probs[0])


def test_a_draft_is_kept_as_often_as_the_two_distributions_overlap():
    model_probs, draft_probs = random_probs(0, 2), random_probs(1, 1)
    drafts = draft_probs[0].multinomial(DRAWS, replacement=True).unsqueeze(1)
    num_kept, _ = accept_drafts(drafts, draft_probs.expand(DRAWS, -1, -1), model_probs.expand(DRAWS, -1, -1))
    overlap = torch.minimum(model_probs[0], draft_probs[0]).sum().item()
    assert fits(num_kept, torch.tensor([1 - overlap, overlap]))


@pytest.mark.parametrize(
    "make",
    [lambda m, h: PromptLookup(13), lambda m, h: DraftModel(h), lambda m, h: DraftModel(m), lambda m, h: Wrong()],
)
@pytest.mark.parametrize("settings", [{}, {"repetition_penalty": 1.5, "no_repeat_ngram": 3}])
@pytest.mark.parametrize("prompt", [[1, 2, 1], [3], list(range(12))])
def test_greedily_the_tokens_are_those_of_plain_decoding(model, helper, make, settings, prompt):
    """Past the window, too: both forget at the same places."""
    config = GenerationConfig(temperature=0.0, max_new_tokens=25, **settings)
    found = list(generate_speculatively(model, make(model, helper), prompt, config))
    assert found == list(generate(model, prompt, config))


def test_a_stop_id_ends_the_text_and_is_not_shown(model, helper):
    config = GenerationConfig(temperature=0.0, max_new_tokens=25)
    whole = list(generate(model, [1], config))
    found = list(generate_speculatively(model, DraftModel(model), [1], config, stop_ids={whole[6]}))
    assert found == whole[: whole.index(whole[6])]


def test_drafts_of_the_model_itself_save_passes(model, monkeypatch):
    passes = []
    forward = type(model).forward
    monkeypatch.setattr(type(model), "forward", lambda self, *args: passes.append(self) or forward(self, *args))
    twin = Transformer(model.config).double().eval()
    twin.load_state_dict(model.state_dict())
    config = GenerationConfig(max_new_tokens=6, temperature=1.0)
    assert len(list(generate_speculatively(model, DraftModel(twin), [1], config, num_drafts=2))) == 6
    assert passes.count(model) == 2


def test_look_up_takes_the_longest_and_latest_match():
    assert look_up([1, 2, 3, 9, 1, 2, 3, 8, 1, 2, 3], 3) == [8, 1, 2, 3]
    assert look_up([5, 3, 7, 2, 3, 8, 1, 3], 3) == [8, 1, 3]
    assert look_up([1, 2, 3], 3) == []
    assert look_up([4], 3) == []


class MarkovModel(Transformer):
    """The next token depends on the last one alone, so one long text is many draws from known odds."""

    def __init__(self, table):
        super().__init__(dataclasses.replace(tiny.MODEL, vocab_size=V, context_tokens=10**6))
        self.table = table

    def forward(self, token_ids, cache=None, segment_ids=None):
        return self.table[token_ids]


class GuessesByTable:
    """Draws from another table than the model's."""

    def __init__(self, table):
        self.table = table

    def propose(self, token_ids, past, number, sampler, generator):
        guessed, last, none = [], token_ids[-1], torch.empty(1, 0, dtype=torch.long)
        probs = sampler.probabilities(self.table, Past(none.expand(V, -1), none.expand(V, -1)))
        for _ in range(number):
            last = int(probs[last].multinomial(1, generator=generator))
            guessed.append(last)
        return guessed, probs[[token_ids[-1], *guessed[:-1]]] if guessed else probs[:0]


@pytest.mark.parametrize("draft", ["lookup", "table"])
def test_a_long_text_has_the_transitions_of_the_model(draft, monkeypatch):
    monkeypatch.setattr(speculative, "new_cache", lambda *_: None)
    monkeypatch.setattr(speculative, "reuse_prefix", lambda cache, old, new: new[-1:])
    monkeypatch.setattr(speculative, "look_up", lambda ids, n: look_up(ids[-40:], n))
    table = random_probs(5, V).log()
    helper = PromptLookup(V) if draft == "lookup" else GuessesByTable(random_probs(6, V).log())
    text = [0]
    for seed in range(2):
        config = GenerationConfig(max_new_tokens=500, temperature=0.8, top_p=0.9, seed=seed)
        text += generate_speculatively(MarkovModel(table), helper, text[-1:], config, num_drafts=8)
    text = torch.tensor(text)
    none = torch.empty(V, 0, dtype=torch.long)
    expected = sampler_from(config).probabilities(table, Past(none, none))
    assert len(text) == 1001
    for token in range(V):
        assert fits(text[1:][text[:-1] == token], expected[token])
