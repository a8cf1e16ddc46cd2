import dataclasses
import itertools

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import CharTokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.decode import complete, generate, generate_batch, generate_text
from gemini_workshop.generation.penalties import apply_repetition_penalty
from gemini_workshop.generation.sampler import Bias, NoRepeatNgram, Sampler

GREEDY = GenerationConfig(temperature=0.0, max_new_tokens=5)


def naive_greedy(model, ids, num_new):
    """The whole text through the model for every token, no cache; the window rule written out in ids alone."""
    window = model.config.context_tokens
    seen, new = ids[-window:], []
    for _ in range(num_new):
        if len(seen) > window:
            seen = seen[-(window // 2) :]
        new.append(int(model(torch.tensor([seen]))[0, -1].argmax()))
        seen = [*seen, new[-1]]
    return new


def test_greedy_decoding_equals_a_loop_without_cache(model):
    for first in range(13):
        assert list(generate(model, [first, 3], GREEDY)) == naive_greedy(model, [first, 3], 5)


@pytest.mark.parametrize("prompt_tokens", [1, 6, 7, 8, 20])
def test_past_the_window_the_newer_half_is_read_again(model, prompt_tokens):
    ids = [(5 * i) % 13 for i in range(prompt_tokens)]
    config = GenerationConfig(temperature=0.0, max_new_tokens=30)
    assert list(generate(model, ids, config)) == naive_greedy(model, ids, 30)


def test_generation_ends_at_a_stop_id_without_yielding_it(model):
    whole = list(generate(model, [1], GREEDY))
    stop = whole[3]
    expected = list(itertools.takewhile(lambda token: token != stop, whole))
    assert list(generate(model, [1], GREEDY, stop_ids={stop})) == expected


def test_tokens_arrive_one_at_a_time(model, monkeypatch):
    """The first token is there before the second is computed."""
    stream = generate(model, [1], GREEDY)
    next(stream)
    monkeypatch.setattr(type(model), "forward", None)
    with pytest.raises(TypeError):
        next(stream)


def test_a_seed_decides_the_text(model):
    def draw(seed):
        return list(generate(model, [1], GenerationConfig(temperature=2.0, max_new_tokens=20, seed=seed)))

    assert draw(5) == draw(5) != draw(6)


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(WorkshopError, match="has 0 tokens"):
        next(generate(model, [], GREEDY))


def test_an_id_of_another_vocabulary_is_refused(model):
    with pytest.raises(WorkshopError, match=r"token id 13 at position \d is outside the vocabulary of 13"):
        next(generate(model, [1, 13], GREEDY))


def test_text_is_the_prompts_continuation_up_to_the_end_of_text(model):
    tokenizer = CharTokenizer(list("abcdefghijk"))
    ids = [tokenizer.end_of_text_id, *tokenizer.encode("abc")]
    expected = tokenizer.decode(list(generate(model, ids, GREEDY, stop_ids={tokenizer.end_of_text_id})))
    assert "".join(generate_text(model, tokenizer, "abc", GREEDY)) == expected


PROMPTS = [[1, 2, 3], [4], [5, 6, 7, 8, 9, 10, 11, 12, 0], [1]]
WILD = GenerationConfig(temperature=2.0, max_new_tokens=15, seed=3, repetition_penalty=1.5, presence_penalty=0.3)
LETTERS = CharTokenizer(list("abcdefghijk"))


@pytest.mark.parametrize("settings", [dataclasses.replace(GREEDY, max_new_tokens=15), WILD], ids=["greedy", "drawn"])
@pytest.mark.parametrize("stop_ids", [set(), {2, 5}], ids=str)
def test_a_row_of_a_batch_is_what_it_would_be_alone(model, settings, stop_ids):
    together = generate_batch(model, PROMPTS, settings, stop_ids=stop_ids)
    for i, (prompt, row) in enumerate(zip(PROMPTS, together, strict=True)):
        own = dataclasses.replace(settings, seed=settings.seed + i)
        assert row.token_ids == list(generate(model, prompt, own, stop_ids=stop_ids))
        assert row.stopped_by == ("limit" if len(row.token_ids) == 15 else "id")


def test_log_probabilities_are_the_models_own(model):
    (row,) = generate_batch(model, [[1, 2]], dataclasses.replace(GREEDY, repetition_penalty=3.0), num_top=3)
    seen = [1, 2]
    for token, logprob, top in zip(row.token_ids, row.logprobs, row.top_logprobs, strict=True):
        expected = model(torch.tensor([seen]))[0, -1].log_softmax(-1)
        assert logprob == pytest.approx(expected[token].item(), abs=1e-5)
        assert [other for other, _ in top] == expected.topk(3).indices.tolist()
        assert [value for _, value in top] == pytest.approx(expected.topk(3).values.tolist(), abs=1e-5)
        seen.append(token)


def test_the_sampler_sees_prompt_and_new_tokens(model):
    expected, seen = [], [1, 2]
    for _ in range(5):
        logits = model(torch.tensor([seen]))[:, -1].float()
        expected.append(int(apply_repetition_penalty(logits, torch.tensor([seen]), 5.0).argmax()))
        seen.append(expected[-1])
    assert list(generate(model, [1, 2], dataclasses.replace(GREEDY, repetition_penalty=5.0))) == expected
    assert expected != list(generate(model, [1, 2], GREEDY))


def test_a_sampler_of_ones_own_takes_the_place_of_the_configured(model):
    only_seven = Sampler((Bias({7: 1e9}),))
    assert list(generate(model, [1], GREEDY, sampler=only_seven)) == [7] * 5
    never_twice = Sampler((NoRepeatNgram(1),), is_greedy=True)
    assert sorted([1, *generate(model, [1], dataclasses.replace(GREEDY, max_new_tokens=12), sampler=never_twice)]) == [
        *range(13)
    ]


def test_texts_are_completed_up_to_a_stop_string(model):
    end = LETTERS.end_of_text_id
    config = dataclasses.replace(WILD, max_new_tokens=30)
    whole = complete(model, LETTERS, ["ab", "c"], config)
    for i, row in enumerate(whole):
        ids = [end, *LETTERS.encode(["ab", "c"][i])]
        own = dataclasses.replace(config, seed=config.seed + i)
        assert row.text == LETTERS.decode(list(generate(model, ids, own, stop_ids={end})))
    stop = whole[0].text[2:4]
    cut = complete(model, LETTERS, ["ab", "c"], config, stop_strings=[stop])
    assert cut[0].text == whole[0].text[: whole[0].text.find(stop)]
    assert (cut[0].stopped_by, len(cut[0].token_ids)) == ("string", whole[0].text.find(stop) + 2)
    assert cut[1].text == whole[1].text.partition(stop)[0]


def test_a_stream_of_text_ends_before_a_stop_string(model):
    whole = "".join(generate_text(model, LETTERS, "ab", WILD))
    stop = whole[3:5]
    assert "".join(generate_text(model, LETTERS, "ab", WILD, stop_strings=[stop])) == whole.partition(stop)[0]
