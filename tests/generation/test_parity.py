"""Token by token what transformers' own generation writes, on tiny models of several families."""

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.generation.beam_search import BeamSettings, beam_search
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.sampler import NoRepeatNgram, RepetitionPenalty
from gemini_workshop.generation.speculative import PromptLookup, generate_speculatively
from tests.generation import pairs

NEW = 12
STOPS = set(range(0, 99, 9))  # so many that texts end at all lengths


@pytest.fixture(scope="module", params=pairs.FAMILIES)
def pair(request, tmp_path_factory):
    return pairs.make_pair(request.param, tmp_path_factory.mktemp(request.param))


def test_greedy_decoding_writes_the_same_tokens(pair):
    found = pair.generate(do_sample=False, max_new_tokens=30)
    expected = pair.new_tokens(found.sequences[0], set())
    config = GenerationConfig(temperature=0.0, max_new_tokens=30)
    assert list(generate(pair.ours, pair.prompt, config)) == expected
    lookup = PromptLookup(pair.ours.config.vocab_size)
    assert list(generate_speculatively(pair.ours, lookup, pair.prompt, config)) == expected


def test_penalties_and_stop_ids_end_in_the_same_tokens(pair):
    found = pair.generate(
        do_sample=False, max_new_tokens=30, repetition_penalty=1.3, no_repeat_ngram_size=2, eos_token_id=[1, 2, 3]
    )
    config = GenerationConfig(temperature=0.0, max_new_tokens=30, repetition_penalty=1.3, no_repeat_ngram=2)
    ours = list(generate(pair.ours, pair.prompt, config, stop_ids={1, 2, 3}))
    assert ours == pair.new_tokens(found.sequences[0], {1, 2, 3})


@pytest.mark.parametrize("length_penalty", [-0.5, 1.0, 2.5])
@pytest.mark.parametrize("early_stopping", [True, False, "never"])
def test_beam_search_finds_the_same_texts_in_the_same_order(pair, early_stopping, length_penalty):
    num_beams = 2 if early_stopping == "never" else 4  # two show the difference between never and no
    found = pair.generate(
        do_sample=False,
        max_new_tokens=NEW,
        num_beams=num_beams,
        num_return_sequences=num_beams,
        length_penalty=length_penalty,
        early_stopping=early_stopping,
        eos_token_id=sorted(STOPS),
        output_scores=True,
    )
    ours = beam_search(
        pair.ours,
        pair.prompt,
        BeamSettings(
            num_beams=num_beams,
            num_best=num_beams,
            max_new_tokens=NEW,
            stop_ids=STOPS,
            length_penalty=length_penalty,
            early_stopping=early_stopping,
        ),
    )
    assert [beam.token_ids for beam in ours] == [pair.new_tokens(row, STOPS) for row in found.sequences]
    scores = torch.tensor([beam.score for beam in ours], dtype=found.sequences_scores.dtype)
    torch.testing.assert_close(scores, found.sequences_scores, rtol=1e-5, atol=1e-5)  # float32 on both sides


def test_beams_without_an_end_and_with_steps_find_the_same_texts(pair):
    found = pair.generate(
        do_sample=False,
        max_new_tokens=NEW,
        num_beams=3,
        num_return_sequences=2,
        repetition_penalty=1.2,
        no_repeat_ngram_size=2,
    )
    ours = beam_search(
        pair.ours,
        pair.prompt,
        BeamSettings(num_beams=3, num_best=2, max_new_tokens=NEW),
        steps=[RepetitionPenalty(1.2), NoRepeatNgram(2)],
    )
    assert [beam.token_ids for beam in ours] == [pair.new_tokens(row, set()) for row in found.sequences]
    assert not any(beam.is_finished for beam in ours)
