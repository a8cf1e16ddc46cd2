"""Exercise 10.6, ``apply_merges``: its cases, and what learners get wrong."""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch

from gemini_workshop.data.tokenizers.bpe import NUM_BYTES, Pair, apply_merges, count_pairs
from gemini_workshop.data.tokenizers.merging import merge_word, tokens_of
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_10.merge_pair import MERGE_PAIR
from gemini_workshop.exercises.lesson_10.tools import letters, merge_all

Merges = Mapping[Pair, int]
CONFLICT = {(98, 99): 256, (97, 98): 257, (97, 256): 258}
RUNS = {(97, 97): 256, (256, 256): 257, (257, 98): 258}
OFTEN = {(98, 99): 256, (97, 98): 257, (257, 97): 258, (256, 256): 259, (99, 97): 260}
LONGER = {(97, 98): 256, (99, 256): 257, (256, 256): 258}
NO_ABC = {(97, 98): 256, (98, 99): 257, (257, 100): 258}


def _cases(generator: torch.Generator) -> list[Arguments]:
    return [
        (b"abc", CONFLICT),
        (b"aaa", RUNS),
        (b"xab", CONFLICT),
        (b"aaaaaaa", RUNS),
        (b"ababab", {(97, 98): 256, (256, 256): 257}),
        (b"a", CONFLICT),
        (b"xyz", CONFLICT),
        (b"abcd", NO_ABC),
        (b"ababc", OFTEN),
        (b"aaaab", RUNS),
        (b"cabab", LONGER),
        (b"cababbc", OFTEN),
        (list(b"bcabcaab"), OFTEN),
        (bytes(letters(generator, 12)), OFTEN),
        (bytes(letters(generator, 12)), CONFLICT),
    ]


def _beyond(generator: torch.Generator) -> list[Arguments]:
    """One token of sixteen merges, whose ids do not begin at 256."""
    word = letters(generator, 17)
    merges: dict[Pair, int] = {}
    for i, letter in enumerate(word[1:]):
        merges[299 + i if i else word[0], letter] = 300 + i
    return [(bytes(word), merges)]


def _oracle(ids: Sequence[int], merges: Merges) -> list[int]:
    """By the bytes of the tokens and their ranks, on a heap."""
    tokens = {i: bytes([i]) for i in range(NUM_BYTES)}
    for (left, right), new in merges.items():  # in the order of training
        tokens[new] = tokens[left] + tokens[right]
    return merge_word(bytes(ids), {token: i for i, token in tokens.items()})


def _explain(function: Function, case: Arguments) -> str | None:
    ids, merges = case
    got, expected = function(*case), _oracle(*case)
    return f"{bytes(ids)!r} with the merges {merges} became {got}; {expected} is needed."


def _apply(
    ids: Sequence[int],
    merges: Merges,
    *,
    choose: Callable[[list[int], Merges, list[Pair]], Pair] = lambda ids, merges, known: min(
        known, key=merges.__getitem__
    ),
    merge: Callable[[Sequence[int], Pair, int], list[int]] = merge_all,
    rounds: int = 1000,
) -> list[int]:
    """Right but for the steps: which of the pairs present is merged, how, and how many times."""
    ids = list(ids)
    for _ in range(rounds):
        known = [pair for pair in pairwise(ids) if pair in merges]
        if not known:
            break
        pair = choose(ids, merges, known)
        ids = merge(ids, pair, merges[pair])
    return ids


def _longest_first(ids: Sequence[int], merges: Merges) -> list[int]:
    """From left to right the longest token that fits, as WordPiece does."""
    tokens = {token: i for i, token in enumerate(tokens_of(merges))}
    rest, found = bytes(ids), []
    while rest:
        longest = max((token for token in tokens if rest.startswith(token)), key=len)
        found.append(tokens[longest])
        rest = rest[len(longest) :]
    return found


def _overlap(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    begins = [tuple(ids[i : i + 2]) == pair for i in range(len(ids))]
    return [new_id if begins[i] else ids[i] for i in range(len(ids)) if begins[i] or not (i and begins[i - 1])]


def _merged_once(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    at = next(i for i in range(len(ids)) if tuple(ids[i : i + 2]) == pair)
    return [*ids[:at], new_id, *ids[at + 2 :]]


APPLY_MERGES = Exercise(
    id="10.6",
    minutes=10,
    difficulty=3,
    importance=5,
    reference=apply_merges,
    oracle=_oracle,
    cases=_cases,
    battery=Battery(beyond=_beyond),
    explain=_explain,
    misconceptions={
        "leftmost pair first": Say(
            "The word is merged from left to right, as pairs turn up. Of all pairs that are present, take the one that "
            "was learned earliest, wherever it stands: that is the order of training."
        ).to(_apply, choose=lambda ids, merges, known: known[0], merge=_merged_once),
        "leftmost pair first, everywhere": Say(
            "The first pair from the left decides what is merged. Of all pairs that are present, take the one that "
            "was learned earliest, wherever it stands: that is the order of training."
        ).to(_apply, choose=lambda ids, merges, known: known[0]),
        "longest token first": Say(
            "From the left, the longest token that fits is taken. WordPiece does that; byte-pair encoding repeats the "
            "merges of training, the earliest first, and may end with shorter tokens."
        ).to(_longest_first),
        "latest merge first": Say(
            "The pair learned latest is merged first. Training made its merges in the other order: smallest id first."
        ).to(_apply, choose=lambda ids, merges, known: max(known, key=merges.__getitem__)),
        "most frequent pair first": Say(
            "The pair that is most frequent in this word is merged first. Frequency counted in training; now only the "
            "order of learning counts, so that a word has the same ids wherever it stands."
        ).to(_apply, choose=lambda ids, merges, known: max(known, key=count_pairs(ids).__getitem__)),
        "smallest pair first": Say(
            "`min` compares the pairs themselves. It needs a key: the id that a pair has in `merges`."
        ).to(_apply, choose=lambda ids, merges, known: min(known)),
        "one merge only": Say(
            "After one merge it stops. The new token may be half of another pair: go on until no pair is known."
        ).to(_apply, rounds=1),
        "two rounds": Say("After two merges it stops. Go on until no pair is known.").to(_apply, rounds=2),
        "overlapping merges": Say(
            "In a run such as “aaa” one letter takes part in two merges, so the result stands for more letters than "
            "there are. `merge_pair` does it right."
        ).to(_apply, merge=_overlap),
        "from the right": Say(
            "In a run such as “aaa” the merge is made from the right. Training merged from left to right."
        ).to(_apply, merge=lambda ids, pair, new_id: merge_all(ids[::-1], pair[::-1], new_id)[::-1]),
        "nothing merged": Say(
            "The bytes come back as they were. Keep what `merge_pair` returns: it does not change its argument."
        ).to(lambda ids, merges: list(ids)),
        "stops at an unknown pair": Say(
            "It stops when the first pair from the left is unknown. Another one further right may be known."
        ).to(lambda ids, merges: _while_first_is_known(list(ids), merges)),
        "every known pair in one pass": Say(
            "One pass from left to right merges each known pair that it meets. One merge at a time: the pair that was "
            "learned earliest, everywhere in the word, and then look again."
        ).to(lambda ids, merges: _in_one_pass(list(ids), merges)),
        "longest new token first": Say(
            "Of the pairs that are present, the one that makes the longest token is merged first. The order of "
            "training decides, whatever comes out."
        ).to(
            _apply, choose=lambda ids, merges, known: max(known, key=lambda pair: len(tokens_of(merges)[merges[pair]]))
        ),
        "stopped by any unknown pair": Say(
            "It stops as soon as one pair in the word is unknown, though others are known. Unknown pairs come last, "
            "and it stops when no known one is left."
        ).to(lambda ids, merges: _while_all_are_known(list(ids), merges)),
        "counts instead of ids": Say(
            "A merged token has got the number of its merge, counted from 0. `merges` holds its id, which is 256 more."
        ).to(lambda ids, merges: [i - NUM_BYTES if i >= NUM_BYTES else i for i in _apply(ids, merges)]),
    },
    parts=(MERGE_PAIR,),
    hints=(
        "Repeat what training did, in its order. Of the pairs that stand in the word now, which one was learned first?",
        "In a loop: list the neighbors with `pairwise(ids)`, choose the one whose id in `merges` is smallest, and "
        "merge it with `merge_pair`. Stop when none of them is in `merges`.",
        "`pair = min(pairwise(ids), key=lambda pair: merges.get(pair, math.inf))`. If it is not in `merges`, none is. "
        "A word of one byte has no pair at all.",
    ),
)


def _while_first_is_known(ids: list[int], merges: Merges) -> list[int]:
    while tuple(ids[:2]) in merges:
        known = [pair for pair in pairwise(ids) if pair in merges]
        pair = min(known, key=merges.__getitem__)
        ids = merge_all(ids, pair, merges[pair])
    return ids


def _while_all_are_known(ids: list[int], merges: Merges) -> list[int]:
    while len(ids) > 1 and all(pair in merges for pair in pairwise(ids)):
        pair = min(pairwise(ids), key=merges.__getitem__)
        ids = merge_all(ids, pair, merges[pair])
    return ids


def _in_one_pass(ids: list[int], merges: Merges) -> list[int]:
    merged: list[int] = []
    while ids:
        known = merges.get((ids[0], ids[1])) if len(ids) > 1 else None
        merged.append(ids[0] if known is None else known)
        ids = ids[1 if known is None else 2 :]
    return merged
