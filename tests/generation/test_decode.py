import itertools

import pytest
import torch

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizer import BPETokenizer, CharTokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.cache import KVCache
from gemini_workshop.generation.decode import decode_one, generate, generate_text, prefill, text_pieces

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


def test_prefill_and_decode_one_score_as_one_pass(model):
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    cache = KVCache(model.config, 1, 7, torch.float64)
    torch.testing.assert_close(prefill(model, ids[:, :4], cache), model(ids)[:, 3])
    torch.testing.assert_close(decode_one(model, ids[:, 4], cache), model(ids)[:, 4])


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
    with pytest.raises(WorkshopError, match="token id 13 is outside the vocabulary of 13"):
        next(generate(model, [1, 13], GREEDY))


def test_no_piece_of_a_stream_splits_a_character():
    tokenizer = BPETokenizer(merges={})  # every token is one byte
    text = "Zoë ate 3 crêpes — 好吃! 😀"
    pieces = list(text_pieces(tokenizer.encode(text), tokenizer))
    assert "".join(pieces) == text
    assert pieces == list(text)


def test_a_stream_that_ends_inside_a_character_shows_so():
    tokenizer = BPETokenizer(merges={})
    ids = tokenizer.encode("a😀")[:-1]
    assert "".join(text_pieces(ids, tokenizer)) == tokenizer.decode(ids) == "a�"


def test_broken_bytes_join_to_the_decoded_whole():
    tokenizer = BPETokenizer(merges={})
    ids = [0xFF, 0xE5, 0xA5, 0x41, 0xF0, 0x9F, 0xFF, 0x42]
    assert "".join(text_pieces(ids, tokenizer)) == tokenizer.decode(ids)


def test_text_is_the_prompts_continuation_up_to_the_end_of_text(model):
    tokenizer = CharTokenizer(list("abcdefghijk"))
    ids = [tokenizer.end_of_text_id, *tokenizer.encode("abc")]
    expected = tokenizer.decode(list(generate(model, ids, GREEDY, stop_ids={tokenizer.end_of_text_id})))
    assert "".join(generate_text(model, tokenizer, "abc", GREEDY)) == expected
