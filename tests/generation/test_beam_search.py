import itertools

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.beam_search import BeamSettings, beam_search, best_continuations
from gemini_workshop.generation.decode import generate

V, NEW = 13, 3


def log_prob(model, prompt, text):
    """Of a whole text, in one pass."""
    logits = model(torch.tensor([[*prompt, *text]]))[0].log_softmax(-1)
    return sum(logits[len(prompt) - 1 + i, token].item() for i, token in enumerate(text))


def test_the_best_continuations_are_those_of_all_beams_together():
    log_probs = torch.randn(3, 5, generator=torch.Generator().manual_seed(0)).log_softmax(-1)
    scores = torch.tensor([-1.0, -2.0, -0.5])
    expected = sorted(((scores[b] + log_probs[b, t]).item(), b, t) for b in range(3) for t in range(5))[::-1][:7]
    values, beams, tokens = best_continuations(log_probs, scores, 7)
    assert list(zip(values.tolist(), beams.tolist(), tokens.tolist(), strict=True)) == expected


def test_a_penalty_counts_in_the_choice_but_not_in_the_score():
    log_probs = torch.tensor([[0.5, 0.4, 0.1]]).log()
    values, _, tokens = best_continuations(log_probs, torch.zeros(1), 2, penalty=torch.tensor([1.0, 0.0, 0.0]))
    assert tokens.tolist() == [1, 0]
    torch.testing.assert_close(values.exp(), torch.tensor([0.4, 0.5]))


def test_one_beam_is_greedy(model):
    config = GenerationConfig(temperature=0.0, max_new_tokens=20)
    (beam,) = beam_search(model, [1, 2], BeamSettings(num_beams=1, max_new_tokens=20))  # past the window, too
    assert beam.token_ids == list(generate(model, [1, 2], config))


def test_beams_enough_for_all_texts_find_the_most_likely(model):
    """169 beams hold every text of two tokens, so the search over three is exhaustive."""
    every = list(itertools.product(range(V), repeat=NEW))
    logits = model(torch.tensor([[1, 2, *text] for text in every]))[:, 1:-1].log_softmax(-1)
    sums = logits.gather(-1, torch.tensor(every).unsqueeze(-1)).sum(dim=(1, 2))
    texts = dict(zip(every, sums.tolist(), strict=True))
    best = sorted(texts, key=lambda text: -texts[text])[:20]
    found = beam_search(model, [1, 2], BeamSettings(num_beams=V * V, num_best=20, max_new_tokens=NEW))
    assert [tuple(beam.token_ids) for beam in found] == best
    assert [beam.score for beam in found] == pytest.approx([texts[text] / NEW for text in best], abs=1e-5)


@pytest.mark.parametrize("length_penalty", [0.0, 1.0, 3.0])
def test_a_finished_text_is_scored_by_its_log_probability_and_length_stop_included(model, length_penalty):
    settings = BeamSettings(
        num_beams=5, num_best=5, max_new_tokens=5, stop_ids={0, 4, 8}, length_penalty=length_penalty
    )
    found = beam_search(model, [1], settings)
    assert {beam.is_finished for beam in found} == {True, False} or length_penalty == 0
    for beam in found:
        texts = [[*beam.token_ids, stop] for stop in (0, 4, 8)] if beam.is_finished else [beam.token_ids]
        scores = [log_prob(model, [1], text) / len(text) ** length_penalty for text in texts]
        assert any(beam.score == pytest.approx(score, abs=1e-5) for score in scores)


def test_a_group_alone_is_plain_beam_search(model):
    """Without a penalty, every group finds what beam search with its number of beams finds."""
    plain = beam_search(model, [1], BeamSettings(num_beams=2, num_best=2, max_new_tokens=6, stop_ids={0}))
    groups = beam_search(
        model, [1], BeamSettings(num_beams=6, num_groups=3, num_best=2, max_new_tokens=6, stop_ids={0})
    )
    assert [beam.token_ids for beam in groups] == [beam.token_ids for beam in plain] * 3


def naive_groups(model, prompt, num_groups, penalty, num_new):
    """One beam per group: the most likely token after a penalty for those that earlier groups took here."""
    texts = [[] for _ in range(num_groups)]
    for _ in range(num_new):
        taken = torch.zeros(V)
        for text in texts:
            scores = model(torch.tensor([[*prompt, *text]]))[0, -1].log_softmax(-1)
            text.append(int((scores - penalty * taken).argmax()))
            taken[text[-1]] += 1
    return texts


@pytest.mark.parametrize("penalty", [0.3, 1.0, 100.0])
def test_groups_are_penalized_for_what_earlier_groups_chose_at_the_same_place(model, penalty):
    found = beam_search(
        model, [1], BeamSettings(num_beams=4, num_groups=4, diversity_penalty=penalty, max_new_tokens=6)
    )
    assert [beam.token_ids for beam in found] == naive_groups(model, [1], 4, penalty, 6)
    if penalty == 100:
        assert all(len(set(tokens)) == 4 for tokens in zip(*(beam.token_ids for beam in found), strict=True))


def test_the_penalty_is_not_part_of_the_score(model):
    for beam in beam_search(
        model, [1], BeamSettings(num_beams=6, num_groups=3, diversity_penalty=2.0, max_new_tokens=4)
    ):
        assert beam.score == pytest.approx(log_prob(model, [1], beam.token_ids) / 4, abs=1e-5)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"num_beams": 0}, "num_beams=0 cannot be split into num_groups=1"),
        ({"num_beams": 4, "num_groups": 3}, "num_beams=4 cannot be split into num_groups=3"),
        ({"num_beams": 4, "num_groups": 2, "num_best": 3}, "num_best=3 texts cannot come from 2 beams. Choose 1 to 2"),
    ],
)
def test_numbers_that_do_not_fit_together_are_refused(numbers, message):
    with pytest.raises(WorkshopError, match=message):
        BeamSettings(max_new_tokens=3, **numbers)
