"""Exercise 10.2, ``merge_pair``: its cases, and what learners get wrong."""

from collections.abc import Callable, Sequence

import torch

from gemini_workshop.data.tokenizers.bpe import Pair, merge_pair
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_10.tools import letters, merge_all


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (list(b"xabyab"), (97, 98), 256),
        (list(b"aaab"), (97, 97), 256),
        (list(b"baabaaa"), (97, 97), 256),
        (list(b"aaaaa"), (97, 97), 257),
        ([5, 256, 98, 256, 256, 98, 7], (256, 98), 300),
        (list(b"ababa"), (98, 97), 256),
        (list(b"cbabca"), (97, 99), 256),
        ([97], (97, 98), 256),
        ([197, 97, 970, 97, 97], (97, 97), 256),
        ([256, 256, 97, 98, 98], (97, 98), 257),
        (letters(generator, 20), (97, 98), 256),
    ]


def _oracle(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    return merge_all(ids, pair, new_id)


def _explain(function: Function, case: Arguments) -> str | None:
    ids, pair, new_id = case
    got, expected = function(*case), _oracle(*case)
    return f"{ids} with {pair} merged to {new_id} became {got}; {expected} is needed."


def _merge(
    ids: Sequence[int],
    pair: Pair,
    new_id: int,
    *,
    step: int = 2,
    keep: bool = False,
    most: int = 1000,
    end: int = 0,
    either: bool = False,
    is_pair: Callable[[tuple[int, ...], Pair], bool] = lambda two, pair: two == pair,
) -> list[int]:
    """Right but for the steps: how far to go after a merge, what stays, how many merges, which pairs, where to end."""
    merged: list[int] = []
    i, done = 0, 0
    while i < len(ids) - end:
        two = tuple(ids[i : i + 2])
        if done < most and (is_pair(two, pair) or (either and two == pair[::-1])):
            merged += [*pair, new_id] if keep else [new_id]
            i += step
            done += 1
        else:
            merged.append(ids[i])
            i += 1
    return merged


def _overlapping(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Every place where the pair begins gives a new id; what no pair covers stays."""
    begins = [tuple(ids[i : i + 2]) == pair for i in range(len(ids))]
    return [new_id if begins[i] else ids[i] for i in range(len(ids)) if begins[i] or not (i and begins[i - 1])]


def _by_length(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    """Only pairs that begin at an even place."""
    merged: list[int] = []
    for i in range(0, len(ids), 2):
        two = tuple(ids[i : i + 2])
        merged += [new_id] if two == pair else list(two)
    return merged


MERGE_PAIR = Exercise(
    id="10.2",
    minutes=6,
    difficulty=2,
    importance=5,
    reference=merge_pair,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "overlapping pairs merged twice": Say(
            "One token takes part in two merges: “aaa” has become two new tokens, which stand for four letters. After "
            "a merge, go on behind both of its tokens."
        ).to(_overlapping),
        "second token left standing": Say(
            "The second token of the pair is still there. The new token stands for both, so skip both."
        ).to(_merge, step=1),
        "only the first token compared": Say(
            "Whatever follows the pair's first token is merged with it. Both tokens have to be those of the pair."
        ).to(_merge, is_pair=lambda two, pair: len(two) == 2 and two[0] == pair[0]),
        "pair turned round": Say(
            "The tokens are compared in the other order: the pair's first token has to come first in the text, too."
        ).to(_merge, is_pair=lambda two, pair: two == pair[::-1]),
        "one too many skipped": Say(
            "After a merge, a token that does not belong to the pair is lost. The new token stands for two."
        ).to(_merge, step=3),
        "first occurrence only": Say(
            "Only the first occurrence is merged. Training replaces the pair wherever it stands."
        ).to(_merge, most=1),
        "from right to left": Say(
            "The merges are done from the right. In “aaab” this leaves the other “a” over: the first two belong "
            "together, so go from left to right."
        ).to(lambda ids, pair, new_id: merge_all(ids[::-1], pair[::-1], new_id)[::-1]),
        "either order": Say(
            "(b, a) is merged like (a, b). The new token stands for one order only, or decoding could not undo it."
        ).to(_merge, either=True),
        "last token lost": Say(
            "The last token is lost where it does not end a pair: the loop ends one step early. What is left over has "
            "to be copied, too."
        ).to(_merge, end=1),
        "pair kept beside the new id": Say(
            "The two old tokens are still there, beside the new one. It takes their place."
        ).to(_merge, keep=True),
        "even places only": Say(
            "Only pairs that begin at an even place are found. After a token that is not merged, look again one step "
            "further."
        ).to(_by_length),
        "each of the two replaced": Say(
            "Each token of the pair is replaced, wherever it stands. Only where both stand side by side are they "
            "merged, and into one."
        ).to(lambda ids, pair, new_id: [new_id if i in pair else i for i in ids]),
        "everything else dropped": Say(
            "Only the merged tokens are returned. What is not part of a pair stays as it was."
        ).to(lambda ids, pair, new_id: [new_id] * merge_all(ids, pair, new_id).count(new_id)),
        "nothing merged": Say(
            "Nothing is merged. Are two things of a kind compared? A list is never equal to a tuple."
        ).to(lambda ids, pair, new_id: list(ids)),
    },
    hints=(
        "Walk through the list with an index of your own. In some steps it moves by one, in others by two.",
        "`while i < len(ids)`: if this token and the next one are the pair, append the new id and move by 2, else "
        "append the token and move by 1. Mind the last token, which has no next one.",
        "`if tuple(ids[i : i + 2]) == pair:` works at the last token, too: a slice may be short.",
    ),
)
