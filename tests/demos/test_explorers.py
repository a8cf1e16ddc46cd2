"""What the explorers compute: each compared with the plain way."""

import math

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import prompt_ids
from gemini_workshop.demos.attention import heads_at_work
from gemini_workshop.demos.experts import expert_traffic
from gemini_workshop.demos.lens import read_off
from gemini_workshop.demos.limits import Limits
from gemini_workshop.demos.sampling import name_of, next_choice
from gemini_workshop.demos.settings import DemoSettings
from gemini_workshop.demos.vocabularies import cuts
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.sampler import sampler_from
from tests.demos.conftest import TOKENIZER

TEXT = "the dog and the cat"


def ids_of(text=TEXT):
    return torch.tensor(prompt_ids(TOKENIZER, text))


@torch.no_grad()
def test_maps_loss_and_costs_are_those_of_the_whole_model(loaded, limits):
    seen, ids, model = heads_at_work(loaded, TEXT, limits), ids_of(), loaded.served.model
    logprobs = model(ids[None])[0].log_softmax(dim=-1)
    expected = -torch.stack([logprobs[i, ids[i + 1]] for i in range(len(ids) - 1)])
    torch.testing.assert_close(seen.surprise, expected)
    assert seen.loss_nats == pytest.approx(float(expected.mean()))
    assert seen.loss_off == seen.loss_nats
    assert seen.maps.shape == (2, 6, len(ids), len(ids))
    torch.testing.assert_close(seen.maps.sum(-1), torch.ones(2, 6, len(ids)))
    assert "".join(seen.tokens[1:]) == TEXT


def test_a_head_that_is_off_looks_everywhere_and_costs_what_the_table_says(loaded, limits):
    whole, without = heads_at_work(loaded, TEXT, limits), heads_at_work(loaded, TEXT, limits, [(1, 4)])
    T = len(whole.tokens)
    even = torch.ones(T, T).tril() / torch.arange(1, T + 1)[:, None]
    torch.testing.assert_close(without.maps[1, 4], even)
    torch.testing.assert_close(without.maps[1, 3], whole.maps[1, 3])
    assert without.loss_off - whole.loss_nats == pytest.approx(float(whole.costs[1, 4]), abs=1e-5)
    assert abs(float(whole.costs[1, 4])) > 1e-4
    again = heads_at_work(loaded, TEXT, limits)
    assert again.loss_off == whole.loss_nats  # the model is as it was


def test_two_heads_that_are_off_cost_something_else_than_one(loaded, limits):
    one, two = (heads_at_work(loaded, TEXT, limits, off).loss_off for off in ([(0, 1)], [(0, 1), (1, 2)]))
    assert one != pytest.approx(two, abs=1e-4)


@torch.no_grad()
def test_the_last_row_of_the_lens_is_the_model_and_the_first_its_embedding(loaded, limits):
    lens, ids, model = read_off(loaded, TEXT, limits), ids_of(), loaded.served.model
    last = model(ids[None])[0].softmax(dim=-1)
    first = model.logits(model.norm(model.embedding(ids[None]) * model.embedding_scale))[0].softmax(dim=-1)
    assert len(lens.predicted) == 3
    for row, expected in ((-1, last), (0, first)):
        assert lens.probabilities[row] == pytest.approx(expected.max(-1).values.tolist(), rel=1e-4)
        assert lens.of_the_next[row][2] == pytest.approx(float(expected[2, ids[3]]), rel=1e-4)


def test_each_token_goes_to_its_experts_and_to_no_others(with_experts, limits):
    traffic = expert_traffic(with_experts, TEXT, limits)
    assert traffic.layers == [0, 1]
    assert traffic.weights.shape == (2, len(traffic.tokens), 5)
    assert ((traffic.weights > 0).sum(-1) == 2).all()
    expected = (traffic.weights > 0).float().mean(1) / 2
    torch.testing.assert_close(traffic.loads, expected)


def test_a_model_without_experts_says_so(loaded, limits):
    with pytest.raises(WorkshopError, match="tiny has no experts"):
        expert_traffic(loaded, TEXT, limits)


def test_stages_follow_the_sampler_and_picks_are_what_generate_would_take(loaded):
    config = GenerationConfig(temperature=0.5, top_k=4, top_p=None, seed=3)
    prompt = prompt_ids(TOKENIZER, TEXT)
    choice = next_choice(loaded, prompt, [], config)
    assert [stage.name for stage in choice.stages] == ["the model", "temperature 0.5", "top k 4"]
    assert [stage.num_left for stage in choice.stages] == [TOKENIZER.vocab_size, TOKENIZER.vocab_size, 4]
    before, warm, cut = (stage.probabilities for stage in choice.stages)
    assert before[0] / before[1] == pytest.approx(math.sqrt(warm[0] / warm[1]), rel=1e-3)
    assert cut[:4] == pytest.approx([value / sum(warm[:4]) for value in warm[:4]], rel=1e-4)
    assert set(cut[4:]) == {0.0}
    assert [choice.picked] == list(generate(loaded.served.model, prompt, config))[:1]


def test_tokens_that_only_the_last_stage_makes_likely_are_shown(loaded):
    prompt = prompt_ids(TOKENIZER, TEXT)
    best = next_choice(loaded, prompt, [], GenerationConfig(temperature=0.0), num_shown=3)
    config = GenerationConfig(repetition_penalty=50.0)
    written = best.token_ids
    choice = next_choice(loaded, prompt, written, config, num_shown=3)
    assert all(stage.probabilities for stage in choice.stages)
    assert len(set(choice.token_ids)) == len(choice.token_ids) >= 3


def test_a_full_window_is_refused(loaded):
    with pytest.raises(WorkshopError, match="fills the window of 64 tokens"):
        next_choice(loaded, prompt_ids(TOKENIZER, TEXT), [1] * 60, GenerationConfig())


def test_steps_have_names_that_are_read():
    steps = sampler_from(GenerationConfig(repetition_penalty=1.5, min_p=0.25)).steps
    assert [name_of(step) for step in steps] == [
        "repetition penalty 1.5",
        "temperature 0.8",
        "top p 0.95",
        "min p 0.25",
    ]


def test_every_vocabulary_cuts_the_whole_text(shelf):
    text = "the dog é🙂"
    found = {cut.name: cut for cut in cuts(text, shelf)}
    assert {"bytes", "stories-small"} <= found.keys()
    for cut in found.values():
        assert b"".join(token for token, _ in cut.tokens) == text.encode()
    assert len(found["bytes"].tokens) == len(text.encode())
    assert found["bytes"].bytes_per_token == 1.0
    assert found["stories-small"].bytes_per_token > 1.0


@pytest.mark.parametrize(("text", "message"), [("", "is empty"), ("the dog " * 30, r"has \d+ tokens, and at most 40")])
def test_a_text_of_the_wrong_length_is_refused_in_words(loaded, limits, text, message):
    for look in (heads_at_work, read_off):
        with pytest.raises(WorkshopError, match=message):
            look(loaded, text, limits)


def test_limits_say_how_long_and_how_often():
    limits = Limits(DemoSettings(max_characters=10, rate=2))
    with pytest.raises(WorkshopError, match="has 11 characters, and at most 10"):
        limits.check("ann", "a" * 11)
    limits.check("ann", "a")
    limits.check("ann", "a")
    with pytest.raises(WorkshopError, match=r"More than 2 requests .* Wait 30 seconds"):
        limits.check("ann", "a")
    limits.check("ben", "a")
