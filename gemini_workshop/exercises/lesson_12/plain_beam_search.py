"""Exercise 12.8, ``plain_beam_search``: its cases, and what learners get wrong."""

import math
from collections.abc import Callable, Sequence
from itertools import product

import torch
from torch import Tensor

from gemini_workshop.exercises.core.comparison import number, same
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.generation.plain import plain_beam_search

Beam = tuple[list[int], float]
A, B, C = 0, 1, 2


def garden_path(texts: Sequence[Sequence[int]]) -> Tensor:
    """Token 0 looks best at first, and after token 1 there is a sure continuation."""
    rows = {A: (0.4, 0.35, 0.25), B: (0.9, 0.06, 0.04), C: (0.5, 0.4, 0.1)}
    return torch.tensor([rows[int(text[-1])] for text in texts]).log()


def _after(seed: int, vocab_size: int, sharpness: float) -> Function:
    """A made-up model: probabilities that depend on every token of a text."""

    def log_probs_after(texts: Sequence[Sequence[int]]) -> Tensor:
        rows = []
        for text in texts:
            key = sum((3 * int(token) + 7) * 31**i for i, token in enumerate(text)) % 1_000_003
            generator = torch.Generator().manual_seed(1000 * seed + key)
            rows.append(sharpness * torch.randn(vocab_size, generator=generator))
        return torch.stack(rows).log_softmax(-1)

    return log_probs_after


def _cases(generator: torch.Generator) -> list[Arguments]:
    first, second, third = torch.randint(0, 1000, (3,), generator=generator).tolist()
    return [
        (garden_path, [C], 2, 2),
        (_after(first, 5, 1.0), [2, 0], 3, 4),
        (_after(second, 4, 0.7), [3, 1], 3, 5, 2),
        (_after(third, 4, 1.5), [1], 1, 4),
        (_after(third, 4, 0.5), [0, 2, 1], 4, 4, 0),
        (garden_path, [A], 2, 3, A),
    ]


def _oracle(after: Function, prompt: list[int], num_beams: int, steps: int, stop_id: int | None = None) -> list[Beam]:
    """By ranking all texts of each length that begin as a beam of the length before."""
    beams: list[Beam] = [([], 0.0)]
    for _ in range(steps):
        vocab_size = after([prompt]).shape[-1]
        found = []
        for (text, score), token in product(beams, range(vocab_size)):
            if text[-1:] == [stop_id] and token > 0:
                continue
            is_finished = text[-1:] == [stop_id]
            added = 0.0 if is_finished else float(after([prompt + text])[0, token])
            found.append((text if is_finished else [*text, token], score + added))
        ranks = torch.tensor([score for _, score in found]).argsort(descending=True)
        beams = [found[int(rank)] for rank in ranks[:num_beams]]
    return beams


def _explain(function: Function, case: Arguments) -> str | None:
    got, expected = function(*case), _oracle(*case)
    _, prompt, beams, steps, *stop = case
    given = f"prompt {prompt}, {beams} beam{'s' * (beams > 1)}, {steps} tokens" + (
        f", stop_id={stop[0]}" if stop else ""
    )
    for rank, (mine, needed) in enumerate(zip(got, expected, strict=True)):
        if not same(mine, needed):
            return f"Place {rank} is {_written(mine)}; {_written(needed)} is needed ({given})."
    return None


def _written(beam: Beam) -> str:
    text, score = beam
    return f"{[int(token) for token in text]} with {number(score)}"


def _search(
    log_probs_after: Function,
    prompt_ids: Sequence[int],
    num_beams: int,
    max_new_tokens: int,
    stop_id: int | None = None,
    *,
    read: Callable[[list[int], list[int]], list[int]] = lambda prompt, text: prompt + text,
    total: Callable[[float, float, int], float] = lambda score, new, length: score + new,
    finished: Callable[[Beam], list[Beam]] = lambda beam: [beam],
    is_finished: Callable[[list[int], int | None], bool] = lambda text, stop_id: text[-1:] == [stop_id],
    best: Callable[[list[Beam], int], list[Beam]] = lambda found, n: sorted(found, key=lambda beam: -beam[1])[:n],
    per_beam: int | None = None,
    is_over: Callable[[list[Beam], int | None], bool] = lambda beams, stop_id: False,
    result: Callable[[list[Beam], list[int], int | None], list[Beam]] = lambda beams, prompt, stop_id: beams,
) -> list[Beam]:
    """The right steps, with a place to go wrong at each of them."""
    prompt, beams = list(prompt_ids), [(list[int](), 0.0)]
    for _ in range(max_new_tokens):
        found = []
        for text, score in beams:
            if is_finished(text, stop_id):
                found += finished((text, score))
                continue
            row = enumerate(log_probs_after([read(prompt, text)])[0].tolist())
            own = [([*text, token], total(score, log_prob, len(text))) for token, log_prob in row]
            found += sorted(own, key=lambda beam: -beam[1])[: per_beam if len(beams) > 1 or num_beams == 1 else None]
        if not found:
            break
        beams = best(found, num_beams)
        if is_over(beams, stop_id):
            break
    return result(beams, prompt, stop_id)


def _without_stop(beams: list[Beam], prompt: list[int], stop_id: int | None) -> list[Beam]:
    return [(text[:-1] if text[-1:] == [stop_id] else text, score) for text, score in beams]


def _finished_by_the_prompt(after: Function, prompt: list[int], *numbers: int) -> list[Beam]:
    return [([], 0.0)] if prompt[-1:] == [*numbers[2:]] else _search(after, prompt, *numbers)


PLAIN_BEAM_SEARCH = Exercise(
    id="12.8",
    minutes=12,
    difficulty=5,
    importance=2,
    reference=plain_beam_search,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "greedy": Say(
            "There is one beam, whatever `num_beams` says, so this is greedy decoding. Keep the best `num_beams` "
            "candidates of each step."
        ).to(lambda after, prompt, beams, *args: _search(after, prompt, 1, *args)),
        "the best of each beam": Say(
            "Each beam is continued by its own best token. The candidates of *all* beams compete: two of the next "
            "beams may continue the same one, and another may end."
        ).to(_search, per_beam=1),
        "only the last token counts": Say(
            "A candidate's score is the log-probability of its last token. It has to be the sum over all its tokens."
        ).to(_search, total=lambda score, new, length: new),
        "probabilities added": Say(
            "Probabilities are added. The probability of a text is the *product* of those of its tokens: add the "
            "logarithms."
        ).to(_search, total=lambda score, new, length: score + math.exp(new)),
        "logarithms multiplied": Say(
            "The log-probabilities are multiplied, and with the first score of 0 every product is 0. Probabilities are "
            "multiplied; their logarithms are added."
        ).to(_search, total=lambda score, new, length: score * new),
        "probabilities instead of logarithms": Say(
            "The texts are right, and the scores are probabilities. What is wanted is the sum of log-probabilities: "
            "the product gets too small for a float in a long text."
        ).to(_search, result=lambda beams, prompt, stop_id: [(text, math.exp(score)) for text, score in beams]),
        "the worst": Say("The *least* likely candidates are kept. In which direction is it sorted?").to(
            _search, best=lambda found, n: sorted(found, key=lambda beam: beam[1])[:n]
        ),
        "best last": Say("The texts are right, with the best one last. It should come first.").to(
            _search, result=lambda beams, prompt, stop_id: beams[::-1]
        ),
        "mean instead of sum": Say(
            "The score is the mean per token. Here it is the sum; dividing by the length is a refinement, and changes "
            "which texts win."
        ).to(_search, total=lambda score, new, length: (score * length + new) / (length + 1)),
        "prompt forgotten": Say(
            "The model sees the new tokens without the prompt. The text to be continued is both together."
        ).to(_search, read=lambda prompt, text: text or prompt),
        "prompt only": Say(
            "The model sees the prompt and none of the new tokens. The text to be continued is both together."
        ).to(_search, read=lambda prompt, text: prompt),
        "prompt included": Say("The prompt is part of the texts. Only the new tokens are wanted.").to(
            _search, result=lambda beams, prompt, stop_id: [(prompt + text, score) for text, score in beams]
        ),
        "finished texts continued": Say(
            "Texts continue after their stop token. A finished text stays as it is, and keeps its place by its score."
        ).to(_search, is_finished=lambda text, stop_id: False),
        "finished by the prompt": Say(
            "The prompt ends with the stop token, and so nothing is written. Only a *new* token can finish a text: a "
            "story begins after the end-of-text token."
        ).to(_finished_by_the_prompt),
        "finished texts lost": Say(
            "A text is lost as soon as it is finished. It has to stay among the candidates, as it is."
        ).to(_search, finished=lambda beam: []),
        "ends with the first finished text": Say(
            "The search ends as soon as one text is finished. Others may still become better: continue, and let "
            "them compete."
        ).to(_search, is_over=lambda beams, stop_id: any(text[-1:] == [stop_id] for text, _ in beams)),
        "stop token left out": Say("The stop token is missing at the end of the finished texts. Here it stays.").to(
            _search, result=_without_stop
        ),
        "a finished text pays again": Say(
            "The score of a finished text changes from step to step. It has no next token, so nothing is added."
        ).to(_search, finished=lambda beam: [(beam[0], beam[1] + beam[1] / len(beam[0]))]),
        "only the best text": Say("Only the best text is returned. All beams are wanted, best first.").to(
            _search, result=lambda beams, prompt, stop_id: beams[:1]
        ),
        "one token too few": Say("The texts are one token too short.").to(
            lambda after, prompt, beams, steps, *stop: _search(after, prompt, beams, steps - 1, *stop)
        ),
    },
    hints=(
        "A beam is a text and its score. A step makes candidates of all beams, and keeps the best. What are the "
        "candidates of a finished beam? Of any other?",
        "Begin with one empty text of score 0. An unfinished beam has a candidate for each token of the vocabulary, "
        "with its log-probability added to the score; a finished one is its own only candidate.",
        "`beams = sorted(candidates, key=lambda beam: -beam[1])[:num_beams]` after the candidates of all beams are in "
        "one list; `log_probs_after([list(prompt_ids) + text])[0]` has the row of one beam.",
    ),
)
