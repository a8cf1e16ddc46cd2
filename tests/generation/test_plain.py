"""Decoding in its plainest form agrees with the package's own, and with all texts there are."""

from functools import partial
from itertools import product

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.beam_search import BeamSettings, beam_search
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.plain import plain_beam_search, plain_generate, verify_drafts
from gemini_workshop.generation.sampling import greedy, sample
from gemini_workshop.generation.speculative import accept_drafts


@torch.inference_mode()
def log_probs_after(model, texts):
    return torch.cat([model(torch.tensor([text]))[:, -1] for text in texts]).log_softmax(-1)


def test_greedily_it_generates_what_the_package_does(model):
    config = GenerationConfig(temperature=0.0, max_new_tokens=4)
    whole = list(generate(model, [1, 2, 3], config))
    assert plain_generate(model, [1, 2, 3], greedy, 4) == whole
    assert plain_generate(model, [1, 2, 3], greedy, 4, stop_id=whole[0]) == []


def test_a_seed_samples_what_it_samples_in_the_package(model):
    config = GenerationConfig(temperature=1.0, top_p=None, max_new_tokens=4, seed=4)

    def choose(logits):
        return sample(logits.float(), generator)

    generator = torch.Generator().manual_seed(4)
    assert plain_generate(model, [1, 2, 3], choose, 4) == list(generate(model, [1, 2, 3], config))


@pytest.mark.parametrize("num_beams", [1, 3])
def test_without_a_stop_token_its_beams_are_those_of_the_package(model, num_beams):
    settings = BeamSettings(num_beams=num_beams, max_new_tokens=4, num_best=num_beams, length_penalty=0.0)
    found = plain_beam_search(partial(log_probs_after, model), [1, 2], num_beams, 4)
    wanted = beam_search(model, [1, 2], settings)
    assert [text for text, _ in found] == [hypothesis.token_ids for hypothesis in wanted]
    assert [score for _, score in found] == pytest.approx([hypothesis.score for hypothesis in wanted])


def test_with_enough_beams_it_finds_the_most_likely_of_all_texts(model):
    after, vocab_size = partial(log_probs_after, model), model.config.vocab_size
    (found, score), *_ = plain_beam_search(after, [1, 2], vocab_size, 2)
    first = after([[1, 2]])[0]
    second = after([[1, 2, token] for token in range(vocab_size)])
    totals = {(a, b): float(first[a] + second[a, b]) for a, b in product(range(vocab_size), repeat=2)}
    best = max(totals, key=totals.get)
    assert tuple(found) == best
    assert score == pytest.approx(totals[best])


def test_drafts_are_verified_as_the_package_accepts_them():
    generator = torch.Generator().manual_seed(0)
    for seed in range(40):
        draft_probs, model_probs = torch.randn(3, 5, generator=generator), torch.randn(4, 5, generator=generator)
        draft_probs, model_probs = draft_probs.softmax(-1), model_probs.softmax(-1)
        drafts = draft_probs.multinomial(1, generator=generator)[:, 0]
        uniforms = torch.rand(1, 3, generator=torch.Generator().manual_seed(seed))[0]
        own = torch.Generator().manual_seed(seed)
        number, token = accept_drafts(drafts[None], draft_probs[None], model_probs[None], own)
        found, probs = verify_drafts(drafts, draft_probs, model_probs, uniforms)
        assert found == int(number)
        assert probs[int(token)] > 0
        assert float(probs.sum()) == pytest.approx(1)
