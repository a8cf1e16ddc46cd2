import dataclasses

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.sampler import (
    Bias,
    FrequencyPenalty,
    MinP,
    NoRepeatNgram,
    Past,
    PresencePenalty,
    RepetitionPenalty,
    Sampler,
    Temperature,
    TopK,
    TopP,
    Typical,
    sampler_from,
)
from gemini_workshop.generation.sampling import greedy
from tests.generation.chi_square import DRAWS, fits

PROBABILITIES = torch.tensor([0.05, 0.35, 0.1, 0.3, 0.15, 0.05])
LOGITS = PROBABILITIES.log()
PAST = Past(prompt=torch.tensor([[0, 3]]), written=torch.tensor([[1, 2, 1]]))
STEPS = [
    Temperature(0.7),
    TopK(4),
    TopP(0.8),
    MinP(0.3),
    Typical(0.7),
    RepetitionPenalty(1.3),
    PresencePenalty(0.5),
    FrequencyPenalty(0.5),
    NoRepeatNgram(2),
    Bias({4: 1.0}),
]


def expand(past: Past, rows: int) -> Past:
    return Past(past.prompt.expand(rows, -1), past.written.expand(rows, -1))


@pytest.mark.parametrize(
    "sampler",
    [Sampler(), *(Sampler((step,)) for step in STEPS), Sampler(STEPS), Sampler(STEPS, is_greedy=True)],
    ids=lambda sampler: "+".join(type(step).__name__ for step in sampler.steps) + "greedy" * sampler.is_greedy,
)
def test_draws_are_distributed_by_the_probabilities(sampler):
    draws = sampler.pick(LOGITS.expand(DRAWS, -1), expand(PAST, DRAWS), torch.Generator().manual_seed(0))
    assert fits(draws, sampler.probabilities(LOGITS.unsqueeze(0), PAST)[0])


def test_steps_are_applied_in_their_order():
    first_hot = Sampler((Temperature(5.0), TopP(0.5)))
    first_cut = Sampler((TopP(0.5), Temperature(5.0)))
    kept = [int((sampler.probabilities(LOGITS[None], PAST) > 0).sum()) for sampler in (first_hot, first_cut)]
    assert kept == [3, 2]  # heat evens the odds out, so that three tokens are needed to reach a half


def test_repetition_looks_at_the_prompt_too_and_the_other_penalties_only_at_what_was_written():
    scores = torch.ones(1, 6)
    assert Sampler((RepetitionPenalty(2.0),)).shape(scores, PAST).tolist() == [[0.5, 0.5, 0.5, 0.5, 1, 1]]
    assert Sampler((PresencePenalty(1.0),)).shape(scores, PAST).tolist() == [[1, 0, 0, 1, 1, 1]]
    assert Sampler((FrequencyPenalty(1.0),)).shape(scores, PAST).tolist() == [[1, -1, 0, 1, 1, 1]]


def test_ngrams_cross_from_the_prompt_into_what_was_written():
    past = Past(prompt=torch.tensor([[5, 3]]), written=torch.tensor([[1, 3]]))
    assert Sampler((NoRepeatNgram(2),)).shape(LOGITS[None], past).isinf().nonzero().tolist() == [[0, 1]]


def test_what_is_absent_between_prompt_and_written_moves_to_the_left():
    past = Past(torch.tensor([[-1, 5, 3], [4, 5, 3]]), torch.tensor([[-1, -1, 1], [-1, 2, 1]]))
    assert past.token_ids.tolist() == [[-1, -1, -1, 5, 3, 1], [-1, 4, 5, 3, 2, 1]]


def test_top_k_one_is_greedy():
    rows = torch.randn(9, 13, generator=torch.Generator().manual_seed(4))
    for sampler in (Sampler(is_greedy=True), Sampler((Temperature(0.0),)), Sampler((Temperature(3.0), TopK(1)))):
        assert sampler.pick(rows, expand(PAST, 9)).tolist() == greedy(rows).tolist()


def test_a_greedy_choice_without_tokens_is_refused():
    with pytest.raises(WorkshopError, match="row 0 is cut off"):
        Sampler((Bias(dict.fromkeys(range(6), float("-inf"))),), is_greedy=True).pick(LOGITS[None], PAST)


def test_sixteen_bits_are_reshaped_in_thirty_two():
    assert Sampler().shape(LOGITS[None].bfloat16(), PAST).dtype == torch.float32


def test_steps_are_values():
    assert Sampler((TopK(3),)) == Sampler((TopK(3),)) != Sampler((TopK(4),))
    assert TopP(0.5) != Typical(0.5)
    assert repr(TopK(3)) == "TopK(setting=3)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        TopK(3).setting = 4  # type: ignore[misc]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"temperature": 1.0, "top_p": None}, Sampler(())),
        ({}, Sampler((Temperature(0.8), TopP(0.95)))),
        ({"temperature": 0.0, "top_k": 5}, Sampler((), is_greedy=True)),
        (
            {"temperature": 0.0, "repetition_penalty": 1.1},
            Sampler((RepetitionPenalty(1.1),), is_greedy=True),
        ),
        (
            {
                "repetition_penalty": 1.1,
                "presence_penalty": 0.2,
                "frequency_penalty": 0.3,
                "no_repeat_ngram": 3,
                "temperature": 0.5,
                "top_k": 40,
                "top_p": 0.9,
                "min_p": 0.05,
                "typical_p": 0.95,
            },
            Sampler(
                (
                    *(RepetitionPenalty(1.1), PresencePenalty(0.2), FrequencyPenalty(0.3), NoRepeatNgram(3)),
                    *(Temperature(0.5), TopK(40), TopP(0.9), MinP(0.05), Typical(0.95)),
                )
            ),
        ),
    ],
)
def test_a_configuration_describes_a_sampler(settings, expected):
    assert sampler_from(GenerationConfig(**settings)) == expected


def test_extra_steps_come_first():
    assert sampler_from(GenerationConfig(), [Bias({})]).steps[0] == Bias({})
