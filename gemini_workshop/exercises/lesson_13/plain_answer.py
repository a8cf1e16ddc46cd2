"""Exercise 13.7, ``plain_answer``: its cases, and what learners get wrong."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gemini_workshop.config import MediaConfig, ModelConfig, RotaryConfig
from gemini_workshop.exercises.core.attempt import UnfitAnswer
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.generation.cache import KVCache, new_cache
from gemini_workshop.generation.plain import plain_answer
from gemini_workshop.generation.sampling import greedy
from gemini_workshop.models.multimodal.stream import Media
from gemini_workshop.models.transformer import Transformer

IMAGE, AUDIO = 11, 12
TINY = ModelConfig(
    vocab_size=13,
    context_tokens=48,
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
    layer_pattern=("local", "global"),
    window_tokens=16,
    media=MediaConfig(image_token_id=IMAGE, audio_token_id=AUDIO, patch_pixels=2, patch_dim=6, frame_dim=5),
)


class CountingTransformer(Transformer):
    """A model that counts the tokens that it reads, and how often it is given media."""

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


@cache
def _weights(seed: int) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    weights = CountingTransformer(TINY).state_dict()
    return {name: torch.randn(weight.shape, generator=generator) for name, weight in weights.items()}


@dataclass(frozen=True, kw_only=True)
class AnswerExercise(Exercise):
    """Judged are the new tokens and, if they are right, how many tokens the model read for them."""

    def as_function(self, answer: Function) -> Function:  # noqa: D102 (as in Exercise)
        def run(tiny: TinyModel, question: list[int], media: Media, choose: Function, number: int, stops: Any) -> Any:
            model = tiny.built()
            found = answer(model, question, media, choose, number, stops)
            enough = len(question) + number
            if model.num_read > enough and found == _oracle(tiny, question, media, choose, number, stops):
                raise UnfitAnswer(
                    f"The tokens are right, but for {number} new tokens after a question of {len(question)} the model "
                    f"read {model.num_read}; {enough} are needed at most. What it has read is in the cache."
                )
            return found

        return run


def second(logits: Tensor) -> Tensor:
    """The second most likely token."""
    return logits.topk(2, dim=-1).indices[..., 1]


def never_media(logits: Tensor) -> Tensor:
    """The most likely token that is not a place of a medium."""
    return logits[..., :IMAGE].argmax(-1)


def _media(generator: torch.Generator, num_patches: int, num_frames: int) -> Media:
    places = torch.arange(num_patches)[:, None].expand(-1, 2) % 2
    return Media(
        torch.randn(1, num_patches, 3 * 4, generator=generator),
        places[None],
        torch.randn(1, num_frames, 5, generator=generator),
    )


def _cases(generator: torch.Generator) -> list[Arguments]:
    seed = int(torch.randint(0, 1000, (1,), generator=generator))
    one, two = TinyModel(seed), TinyModel(seed + 1)
    seen, both = _media(generator, 4, 0), _media(generator, 2, 3)
    look = [1, IMAGE, IMAGE, IMAGE, IMAGE, 4, 5]
    listen = [3, AUDIO, AUDIO, AUDIO, 2, IMAGE, IMAGE, 6]
    long = _oracle(two, listen, both, never_media, 8, ())
    stop = next((token for i, token in enumerate(long) if i > 1 and token not in long[:i]), long[-1])
    begin = next(  # a token that the answer to a question that begins with it does not contain at once
        (token for token in range(IMAGE) if token not in _oracle(two, [token, *listen], both, never_media, 2, ())), 0
    )
    return [
        (one, look, seen, never_media, 4, [0]),
        (two, listen, both, never_media, 8, []),
        (two, listen, both, never_media, 8, [99, stop]),
        (one, look, seen, second_of_text, 6, []),
        (two, [begin, *listen], both, never_media, 6, [begin, 99]),
        (one, listen, both, never_media, 1, []),
    ]


def second_of_text(logits: Tensor) -> Tensor:
    """The second most likely token that is not a place of a medium."""
    return second(logits[..., :IMAGE])


@torch.inference_mode()
def _oracle(
    tiny: TinyModel, question: list[int], media: Media, choose: Function, number: int, stop_ids: Collection[int]
) -> list[int]:
    """No cache: the whole text with its media again for each token."""
    model, text = tiny.built(), list(question)
    for _ in range(number):
        token = int(choose(model(torch.tensor([text]), media=media)[:, -1]))
        if token in stop_ids:
            break
        text.append(token)
    return text[len(question) :]


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    _, question, media, _, number, stops = case
    return (
        f"After a question of {len(question)} tokens with {media.patches.shape[1]} patches and {media.frames.shape[1]} "
        f"frames, at most {number} new tokens and stop_ids={list(stops)}, it gave {got}; {needed} is needed."
    )


@torch.inference_mode()
def _answer(
    model: Transformer,
    question_ids: list[int],
    media: Media,
    choose: Function,
    number: int,
    stop_ids: Collection[int],
    *,
    first: Callable[[list[int]], list[int]] = lambda question: question,
    unread: Callable[[list[int], list[int]], list[int]] = lambda question, new: new[-1:],
    shown: Callable[[Media], Media | None] = lambda media: media,
    stored: Callable[[KVCache], KVCache | None] = lambda cache: cache,
    place: int = -1,
    is_full: Callable[[int, int], bool] = lambda length, number: length >= number,
    is_end: Callable[[int, Collection[int], list[int]], bool] = lambda token, stop_ids, text: token in stop_ids,
    keeps_end: bool = False,
    result: Callable[[list[int], list[int]], list[Any]] = lambda question, new: new,
) -> list[Any]:
    """The right steps, with a place to go wrong at each of them."""
    cache, question, new = new_cache(model, 1, 1000), list(question_ids), list[int]()
    reads = first(question)
    while not is_full(len(new), number):
        has_media = any(token in (IMAGE, AUDIO) for token in reads)
        logits = model(torch.tensor([reads]), stored(cache), media=shown(media) if has_media else None)[:, place]
        token = int(choose(logits))
        if is_end(token, stop_ids, [*question, *new, token]):
            new += [token] if keeps_end else []
            break
        new.append(token)
        reads = unread(question, new)
    return result(question, new)


PLAIN_ANSWER = AnswerExercise(
    id="13.7",
    minutes=12,
    difficulty=4,
    importance=5,
    reference=plain_answer,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(gradients=False),
    misconceptions={
        "media left out": Say(
            "The model is not given the media: their places are read as if they were words. Pass `media` with the "
            "question."
        ).to(_answer, shown=lambda media: None),
        "no cache": Say(
            "The tokens are right, and question and media are read again for each of them. Give the model the cache, "
            "and after the question only the newest token."
        ).to(_answer, stored=lambda cache: None, unread=lambda question, new: question + new),
        "the whole text into the cache": Say(
            "The question is read again at each step *and* stored in the cache, so the model sees it several times "
            "over. What was read is in the cache: give it only the newest token."
        ).to(_answer, unread=lambda question, new: question + new),
        "only the newest token, without the cache": Say(
            "After the question the model sees the newest token and nothing before it, no image and no sound. Pass the "
            "cache at every step."
        ).to(_answer, stored=lambda cache: None),
        "the question again and again": Say(
            "The question is read at every step, and the new tokens never. What the model reads next is the token that "
            "was just chosen."
        ).to(_answer, unread=lambda question, new: question),
        "the question's last token twice": Say(
            "The last token of the question is read twice, the second time before the first new token. The logits "
            "after the question choose the first token already."
        ).to(_answer, first=lambda question: [*question, question[-1]]),
        "logits of the first token": Say(
            "The token is chosen by the logits after the *first* token that was read. What comes next is decided after "
            "the last one."
        ).to(_answer, place=0),
        "always greedy": Say("The most likely token is taken at every step; `choose` is not used.").to(
            lambda model, question, media, choose, *rest: _answer(model, question, media, greedy, *rest)
        ),
        "question included": Say("The question is part of the result. Only the new tokens are wanted.").to(
            _answer, result=lambda question, new: question + new
        ),
        "tensors instead of numbers": Say(
            "The tokens are right, and each is a tensor of one entry. What is wanted are numbers: a tokenizer cannot "
            "decode tensors."
        ).to(_answer, result=lambda question, new: [torch.tensor([token]) for token in new]),
        "stop token included": Say("The stop token is part of the result. It ends the answer and is not shown.").to(
            _answer, keeps_end=True
        ),
        "stop tokens ignored": Say("The answer continues after a stop token.").to(
            _answer, is_end=lambda token, stop_ids, text: False
        ),
        "first stop token only": Say(
            "Only the first of the stop tokens ends the answer. Any of them does: `token in stop_ids`."
        ).to(_answer, is_end=lambda token, stop_ids, text: token in list(stop_ids)[:1]),
        "a stop token in the question": Say(
            "A stop token in the *question* ends the answer at once. Questions begin with one; only a new token can "
            "end the answer."
        ).to(_answer, is_end=lambda token, stop_ids, text: bool(set(stop_ids) & set(text))),
        "one token too many": Say("There is one token too many.").to(
            _answer, is_full=lambda length, number: length > number
        ),
        "one token too few": Say(
            "There is one token too few. The pass over the question gives the first new token already."
        ).to(_answer, is_full=lambda length, number: length >= number - 1),
    },
    hints=(
        "It is `plain_generate` of lesson 12, and one pass differs from the others. In which pass are there places for "
        "media?",
        "First pass: the question, the cache and the media. All others: the newest token and the cache. In between: "
        "choose, stop or append.",
        "`logits = model(torch.tensor([question_ids]), cache, media=media)[:, -1]` before the loop; at its end "
        "`logits = model(torch.tensor([[token]]), cache)[:, -1]`.",
    ),
)
