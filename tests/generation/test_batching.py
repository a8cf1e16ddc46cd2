"""Rows that begin and end at different times write what each writes alone."""

import dataclasses

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.batching import ContinuousBatch, Row
from gemini_workshop.generation.decode import generate, generate_batch
from gemini_workshop.generation.sampler import Bias, Sampler, sampler_from
from gemini_workshop.models.transformer import Transformer
from tests import tiny
from tests.generation.test_media_cache import question, small
from tests.models.conftest import randomize
from tests.models.variants import VARIANTS

WINDOW = 24
STOP = {3}


def model_of(config):
    model = Transformer(dataclasses.replace(config, context_tokens=WINDOW), torch.Generator().manual_seed(0))
    generator = torch.Generator().manual_seed(0)
    for weight in model.parameters():
        torch.nn.init.normal_(weight, std=0.5, generator=generator)
    return model.double().eval()


@pytest.fixture(scope="module")
def wide():
    return model_of(tiny.MODEL)


def wishes(number, seed=0):
    """Prompts of any lengths, samplers of several kinds, and limits that the window may not hold."""
    generator = torch.Generator().manual_seed(seed)

    def draw(low, high):
        return int(torch.randint(low, high, (1,), generator=generator))

    found = []
    for i in range(number):
        config = GenerationConfig(
            max_new_tokens=draw(1, 30),
            temperature=[0.0, 1.0, 2.0][draw(0, 3)],
            top_p=[None, 0.9][draw(0, 2)],
            repetition_penalty=[1.0, 1.7][draw(0, 2)],
            no_repeat_ngram=[None, 2][draw(0, 2)],
            seed=i,
        )
        found.append(([draw(0, 13) for _ in range(draw(1, WINDOW + 1))], config))
    return found


def row_of(prompt, config, **others):
    return Row(
        prompt_ids=prompt,
        sampler=sampler_from(config),
        seed=config.seed,
        max_new_tokens=config.max_new_tokens,
        stop_ids=STOP,
        **others,
    )


def alone(model, prompt, config, media=None):
    room = model.config.context_tokens - len(prompt) + 1
    config = dataclasses.replace(config, max_new_tokens=min(config.max_new_tokens, room))
    return list(generate(model, prompt, config, stop_ids=STOP, media=media))


def run(batch, arrivals):
    """Let rows join at the steps named; return the largest number of rows side by side."""
    step = most = 0
    while arrivals or len(batch):
        batch.add(arrivals.pop(step, []))
        most = max(most, len(batch.step()))
        step += 1
    return most


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_come_and_go_write_what_each_writes_alone(wide, seed):
    rows = [(prompt, config, row_of(prompt, config)) for prompt, config in wishes(12, seed)]
    steps = torch.randint(0, 15, (12,), generator=torch.Generator().manual_seed(seed)).tolist()
    arrivals = {}
    for step, (*_, row) in zip(steps, rows, strict=True):
        arrivals.setdefault(step, []).append(row)
    assert run(ContinuousBatch(wide), arrivals) > 3
    for prompt, config, row in rows:
        assert row.written.token_ids == alone(wide, prompt, config)
        assert row.written.stopped_by in ("id", "limit")
        assert row.error is None


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_of_the_decoder_lets_rows_join(name):
    """Positions, windows, latent vectors and lent keys are those of each row, wherever it stands in the batch."""
    config = dataclasses.replace(VARIANTS[name], context_tokens=WINDOW)
    model = Transformer(config).double().eval()
    randomize(model, torch.Generator().manual_seed(0))
    greedy = GenerationConfig(temperature=0.0, max_new_tokens=9)
    prompts = [[1, 2, 4, 5, 6], [7], [8, 9, 10], [11, 12, 1, 2, 4, 5, 6, 7, 8]]
    rows = [row_of(prompt, greedy) for prompt in prompts]
    run(ContinuousBatch(model), {0: rows[:1], 2: rows[1:3], 5: rows[3:]})
    assert [row.written.token_ids for row in rows] == [alone(model, prompt, greedy) for prompt in prompts]


def test_log_probabilities_are_those_of_the_row_alone(wide):
    """And not of another row of the batch."""
    config = GenerationConfig(max_new_tokens=6, temperature=1.0)
    rows = [row_of(prompt, config, num_top=2) for prompt in ([1], [2, 4, 5], [6, 7])]
    run(ContinuousBatch(wide), {0: rows[:1], 1: rows[1:2], 3: rows[2:]})
    for row in rows:
        (expected,) = generate_batch(wide, [row.prompt_ids], config, stop_ids=STOP, num_top=2)
        assert row.written.token_ids == expected.token_ids
        assert row.written.logprobs == pytest.approx(expected.logprobs, abs=1e-6)
        for top, others in zip(row.written.top_logprobs, expected.top_logprobs, strict=True):
            assert [token for token, _ in top] == [token for token, _ in others]


def test_a_row_with_images_and_audio_joins_rows_of_text():
    model, asked = small("local"), question(0)
    media = asked.media._replace(patches=asked.media.patches.double(), frames=asked.media.frames.double())
    greedy = GenerationConfig(max_new_tokens=9, temperature=0.0)
    texts = [row_of([1, 2, 4], greedy), row_of([5], greedy)]
    picture = row_of(asked.ids, greedy, media=media)
    run(ContinuousBatch(model), {0: texts[:1], 4: [picture], 6: texts[1:]})
    assert picture.written.token_ids == alone(model, asked.ids, greedy, media)
    assert [row.written.token_ids for row in texts] == [alone(model, row.prompt_ids, greedy) for row in texts]


def test_a_row_that_nobody_wants_leaves_at_once_and_the_others_do_not_notice(wide):
    config = GenerationConfig(max_new_tokens=12, temperature=2.0)
    rows = [row_of([1, 2, 4, 5, 6, 7], config), row_of([8], config), row_of([9, 10], config)]
    batch = ContinuousBatch(wide)
    batch.add(rows[:2])
    batch.step()
    batch.add(rows[2:])
    batch.remove([rows[0], rows[2]])
    assert len(batch) == 1
    run(batch, {})
    assert len(rows[0].written.token_ids) == 1
    assert rows[2].written.token_ids == []
    assert rows[1].written.token_ids == alone(wide, [8], config)
    batch.remove(rows)  # long gone


def test_no_more_columns_are_kept_than_the_longest_row_needs(wide):
    config = GenerationConfig(max_new_tokens=2, temperature=0.0)
    long, short = row_of(list(range(12)), config), row_of([1], dataclasses.replace(config, max_new_tokens=6))
    batch = ContinuousBatch(wide)
    batch.add([long, short])
    batch.step()
    assert batch.reader.cache.num_tokens == 12
    batch.step()
    assert long.has_ended
    assert batch.reader.cache.num_tokens == 2
    run(batch, {})
    assert batch.reader.cache is None


def test_a_row_that_has_no_token_left_ends_alone(wide):
    config = GenerationConfig(max_new_tokens=8, temperature=1.0)
    stuck = row_of([1], config)
    stuck.sampler = Sampler((Bias(dict.fromkeys(range(13), float("-inf"))),))
    fine = row_of([2, 4], config)
    run(ContinuousBatch(wide), {0: [fine], 1: [stuck]})
    assert "none is left to sample" in str(stuck.error)
    assert stuck.written.token_ids == []
    assert fine.written.token_ids == alone(wide, [2, 4], config)


def test_of_rows_with_one_sampler_the_stuck_one_ends_alone(wide):
    """The same step forbids all that is in the text: for one of the rows that is everything."""
    config = GenerationConfig(max_new_tokens=9, temperature=1.0, no_repeat_ngram=1)
    full, free = row_of(list(range(13)), config), row_of([1, 2], config)
    run(ContinuousBatch(wide), {0: [full, free]})
    assert "none is left to sample" in str(full.error)
    assert free.written.token_ids == alone(wide, [1, 2], config)


def test_a_row_ends_where_it_is_told_to(wide):
    config = GenerationConfig(max_new_tokens=9, temperature=0.0)
    whole = alone(wide, [1], config)
    row = row_of([1], config, is_finished=lambda token: token == whole[2])
    run(ContinuousBatch(wide), {0: [row]})
    assert row.written.token_ids == whole[: whole.index(whole[2]) + 1]
    assert row.written.stopped_by == "string"


@pytest.mark.parametrize(
    ("prompt", "message"),
    [([], "has 0 tokens"), ([1] * 25, "has 25 tokens, and the model reads 24"), ([13], "outside the vocabulary of 13")],
)
def test_a_prompt_that_cannot_be_read_is_refused_before_it_joins(wide, prompt, message):
    batch = ContinuousBatch(wide)
    with pytest.raises(WorkshopError, match=message):
        batch.add([row_of([1], GenerationConfig()), row_of(prompt, GenerationConfig())])
    assert len(batch) == 0
