"""Exercise 12.7, ``plain_generate``: its cases, and what learners get wrong."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.config import ModelConfig, RotaryConfig
from gemini_workshop.exercises.core.attempt import UnfitAnswer
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.generation.cache import KVCache, new_cache
from gemini_workshop.generation.plain import plain_generate
from gemini_workshop.generation.sampling import greedy
from gemini_workshop.models.transformer import Transformer

TINY = ModelConfig(
    vocab_size=13,
    context_tokens=32,
    embed_dim=8,
    num_layers=2,
    num_heads=2,
    num_kv_heads=1,
    head_dim=4,
    ffn_dim=12,
    tied_head=True,
    norm_eps=1e-6,
    activation="silu",
    rope=RotaryConfig(base=10_000.0),
)


class CountingTransformer(Transformer):
    """A model that counts the tokens that it reads."""

    num_read = 0

    def hidden_states(self, token_ids: Tensor, *args: Any, **named: Any) -> Tensor:  # noqa: D102
        self.num_read += token_ids.numel()
        return super().hidden_states(token_ids, *args, **named)


@dataclass(frozen=True)
class TinyModel:
    """A model of a case: the same weights whenever it is built."""

    seed: int

    def __repr__(self) -> str:
        return f"a tiny model with {TINY.vocab_size} tokens"

    def built(self) -> CountingTransformer:
        """The model, which has read nothing yet."""
        model = CountingTransformer(TINY)
        model.load_state_dict(_weights(self.seed))
        return model.eval()


SAYS_0 = TinyModel(6)  # after the prompt 4 2 6, greedily, as its fourth token


@cache
def _weights(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = CountingTransformer(TINY).state_dict()
    return {name: torch.randn(weight.shape, generator=generator) for name, weight in weights.items()}


@dataclass(frozen=True, kw_only=True)
class GenerateExercise(Exercise):
    """Judged are the new tokens and, if they are right, how many tokens the model read for them."""

    def as_function(self, answer: Function) -> Function:  # noqa: D102 (as in Exercise)
        def run(tiny: TinyModel, prompt_ids: list[int], *args: Any) -> Any:
            model = tiny.built()
            found = answer(model, prompt_ids, *args)
            enough = len(prompt_ids) + args[1]
            if model.num_read > enough and found == self.oracle(tiny, prompt_ids, *args):
                raise UnfitAnswer(
                    f"The tokens are right, but for {args[1]} new tokens after a prompt of {len(prompt_ids)} the model "
                    f"read {model.num_read}; {enough} are needed at most. What it has read is in the cache."
                )
            return found

        return run


def second(logits: Tensor) -> Tensor:
    """The second most likely token."""
    return logits.topk(2, dim=-1).indices[..., 1]


def _cases(generator: torch.Generator) -> list[Arguments]:
    seed = int(torch.randint(0, 1000, (1,), generator=generator))
    one, two = TinyModel(seed), TinyModel(seed + 1)
    prompt = [3, 1, 4, 1, 5]
    long = _oracle(two, prompt, second, 8)
    stop = next((token for i, token in enumerate(long) if i > 1 and token not in long[:i]), long[-1])
    return [
        (one, prompt, greedy, 4),
        (two, prompt, second, 8),
        (two, prompt, second, 8, stop),
        (one, [7], second, 6),
        (two, [stop, *prompt], greedy, 6, stop),
        (SAYS_0, [4, 2, 6], greedy, 6, 0),
    ]


def _oracle(
    tiny: TinyModel, prompt_ids: list[int], choose: Function, number: int, stop_id: int | None = None
) -> list[int]:
    """Without a cache: the whole text again for each token."""
    model, text = tiny.built(), list(prompt_ids)
    with torch.inference_mode():
        for _ in range(number):
            text.append(int(choose(model(torch.tensor([text]))[:, -1])))
    new = text[len(prompt_ids) :]
    return new[: new.index(stop_id)] if stop_id in new else new


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    _, prompt, choose, number, *stop = case
    ends = f", and stop_id={stop[0]}" if stop else ""
    return (
        f"After {prompt}, choosing the {'most' if choose is greedy else 'second most'} likely of 13 tokens {number} "
        f"times{ends}, it gave {got}; {expected} is needed."
    )


def _unread(prompt: list[int], new: list[int]) -> list[int]:
    return new[-1:] or prompt


@torch.inference_mode()
def _generate(
    model: Transformer,
    prompt_ids: Sequence[int],
    choose: Function,
    number: int,
    stop_id: int | None = None,
    *,
    unread: Callable[[list[int], list[int]], list[int]] = _unread,
    stored: Callable[[KVCache], KVCache | None] = lambda cache: cache,
    place: int = -1,
    is_full: Callable[[int, int], bool] = lambda length, number: length >= number,
    is_end: Callable[[int, int | None, list[int]], bool] = lambda token, stop_id, text: token == stop_id,
    keeps_end: bool = False,
    result: Callable[[list[int], list[int]], list[Any]] = lambda prompt, new: new,
) -> list[Any]:
    """The right steps, with a place to go wrong at each of them."""
    cache, prompt, new = new_cache(model, 1, 1000), list(prompt_ids), list[int]()
    while not is_full(len(new), number):
        logits = model(torch.tensor([unread(prompt, new)]), stored(cache))[:, place]
        token = int(choose(logits))
        if is_end(token, stop_id, [*prompt, *new, token]):
            new += [token] if keeps_end else []
            break
        new.append(token)
    return result(prompt, new)


PLAIN_GENERATE = GenerateExercise(
    id="12.7",
    minutes=10,
    difficulty=4,
    importance=5,
    reference=plain_generate,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "no cache": Say(
            "The tokens are right, and the whole text is read again for each of them. Give the model the cache, and "
            "only what it has not read yet."
        ).to(_generate, stored=lambda cache: None, unread=lambda prompt, new: prompt + new),
        "the whole text into the cache": Say(
            "The whole text is read again at each step *and* stored in the cache, so the model sees it several times "
            "over. What was read is in the cache: give it only the newest token."
        ).to(_generate, unread=lambda prompt, new: prompt + new),
        "only the newest token, without the cache": Say(
            "After the prompt the model sees the newest token and nothing before it. Pass the cache at every step."
        ).to(_generate, stored=lambda cache: None),
        "the prompt again and again": Say(
            "The prompt is read at every step, and the new tokens never. What the model reads next is the token that "
            "was just chosen."
        ).to(_generate, unread=lambda prompt, new: prompt),
        "the prompt without the cache": Say(
            "Every step reads the prompt alone, so the model never sees what it has generated. What it reads next is "
            "the token that was just chosen."
        ).to(_generate, unread=lambda prompt, new: prompt, stored=lambda cache: None),
        "only the prompt's last token": Say(
            "Only the last token of the prompt is read. The first pass reads all of it."
        ).to(_generate, unread=lambda prompt, new: new[-1:] or prompt[-1:]),
        "the prompt's last token twice": Say(
            "The last token of the prompt is read twice: once with the prompt, and again before the first new token. "
            "The logits after the prompt choose the first token already."
        ).to(
            lambda model, prompt, *args: _generate(
                model, prompt, *args, unread=lambda prompt, new: new[-1:] or [*prompt, prompt[-1]]
            )
        ),
        "logits of the first token": Say(
            "The token is chosen by the logits after the *first* token that was read. What comes next is decided after "
            "the last one."
        ).to(_generate, place=0),
        "always greedy": Say("The most likely token is taken at every step; `choose` is not used.").to(
            lambda model, prompt_ids, choose, *args: _generate(model, prompt_ids, greedy, *args)
        ),
        "prompt included": Say("The prompt is part of the result. Only the new tokens are wanted.").to(
            _generate, result=lambda prompt, new: prompt + new
        ),
        "tensors instead of numbers": Say(
            "The tokens are right, and each is a tensor of one entry. What is wanted are numbers: a tokenizer cannot "
            "decode tensors."
        ).to(_generate, result=lambda prompt, new: [torch.tensor([token]) for token in new]),
        "stop token included": Say("The stop token is part of the result. It ends the text and is not shown.").to(
            _generate, keeps_end=True
        ),
        "stop token ignored": Say("The text continues after the stop token.").to(
            _generate, is_end=lambda token, stop_id, text: False
        ),
        "a stop token in the prompt": Say(
            "A stop token in the *prompt* ends the text at once. Only a new token can end it: prompts often begin with "
            "the end-of-text token."
        ).to(_generate, is_end=lambda token, stop_id, text: stop_id in text),
        "token 0 cannot stop": Say(
            "Token 0 does not end the text: `if stop_id` takes 0 for nothing. Compare with `is not None`, or compare "
            "the token with `stop_id` directly."
        ).to(_generate, is_end=lambda token, stop_id, text: bool(stop_id) and token == stop_id),
        "one token too many": Say("There is one token too many.").to(
            _generate, is_full=lambda length, number: length > number
        ),
        "one token too few": Say(
            "There is one token too few. The pass over the prompt gives the first new token already."
        ).to(_generate, is_full=lambda length, number: length >= number - 1),
    },
    hints=(
        "What has the model not read yet? At first the whole prompt, and after that one token. Keep that in a variable "
        "and the loop has one body for both.",
        "`cache = new_cache(model, 1, ...)`, with room for the prompt and all new tokens. In the loop: logits after "
        "the unread tokens, choose, stop or append, and what is unread now?",
        "`logits = model(torch.tensor([unread]), cache)[:, -1]`, then `token = int(choose(logits))`; at the end of the "
        "body `unread = [token]`.",
    ),
)
