"""Exercise 10.4, ``train_bpe``: its cases, and what learners get wrong."""

from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, pairwise

import torch

from gemini_workshop.data.tokenizers.bpe import Pair, count_pairs, train_bpe
from gemini_workshop.data.tokenizers.training import train_bpe_fast
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_10.merge_pair import MERGE_PAIR
from gemini_workshop.exercises.lesson_10.tools import letters, merge_all

TEXT = "the cat saw the hat; the thin cat hid. Zoë aaaa aaaaaa été 🙂🙂🙂 mississippi missed the sea"


def _cases(generator: torch.Generator) -> list[Arguments]:
    drawn = [bytes(letters(generator, length)) for length in (5, 3, 6, 4, 7, 2, 6)]
    return [
        ([b"low", b" lower", b" low"], 2),
        ([b"zy", b"ab", b"zy", b"ab"], 2),
        ([b"ab", b"cd", b"ab", b"cd", b"ab"], 2),
        ([b"aaaaaaa", b"b"], 2),
        ([word.encode() for word in TEXT.split(" ")], 30),
        (drawn, 6),
    ]


def _oracle(words: Sequence[Sequence[int]], num_merges: int) -> dict[Pair, int]:
    return train_bpe_fast(Counter(map(bytes, words)), num_merges)


def _explain(function: Function, case: Arguments) -> str | None:
    words, num_merges = case
    got, expected = function(*case), _oracle(*case)
    if not isinstance(got, dict) or len(words) > 7 or num_merges > 2:
        return _first_difference(got, expected)
    return f"{words} with {num_merges} merges gave {got}; {expected} is needed."


def _first_difference(got: object, expected: dict[Pair, int]) -> str | None:
    if not isinstance(got, dict):
        return None
    for pair, new_id in expected.items():
        if got.get(pair) != new_id:
            found = f"has the id {got[pair]}" if pair in got else "is missing"
            return f"In a longer text the pair {pair} {found}; {new_id} is needed."
    return f"{len(got)} merges came back; {len(expected)} are needed."


Counts = Counter[Pair]


def _count(words: Sequence[Sequence[int]]) -> Counts:
    """Counts of the pairs within words, the first seen first."""
    return Counter(chain.from_iterable(map(pairwise, words)))


def _most_frequent(counts: Counts) -> Pair:
    return max(counts, key=counts.__getitem__)


def _overlap(ids: Sequence[int], pair: Pair, new_id: int) -> list[int]:
    begins = [tuple(ids[i : i + 2]) == pair for i in range(len(ids))]
    return [new_id if begins[i] else ids[i] for i in range(len(ids)) if begins[i] or not (i and begins[i - 1])]


def _train(
    words: Sequence[Sequence[int]],
    num_merges: int,
    *,
    first: int = 256,
    fewer: int = 0,
    count: Callable[[Sequence[Sequence[int]]], Counts] = _count,
    choose: Callable[[Counts], Pair] = _most_frequent,
    merge: Callable[[Sequence[int], Pair, int], list[int]] = merge_all,
) -> dict[Pair, int]:
    """Right but for the steps."""
    words = [list(word) for word in words]
    merges: dict[Pair, int] = {}
    for new_id in range(first, first + num_merges - fewer):
        counts = count(words)
        if not counts:
            break
        pair = choose(counts)
        merges[pair] = new_id
        words = [merge(word, pair, new_id) for word in words]
    return merges


def _counted_once(words: Sequence[Sequence[int]], num_merges: int) -> dict[Pair, int]:
    """The most frequent pairs of bytes: no merge changes anything."""
    return {pair: 256 + i for i, (pair, _) in enumerate(_count(words).most_common(num_merges))}


def _count_in_last_word(words: Sequence[Sequence[int]]) -> Counts:
    return next((counts for word in words[::-1] if (counts := count_pairs(word))), Counter())


TRAIN_BPE = Exercise(
    id="10.4",
    minutes=12,
    difficulty=3,
    importance=5,
    reference=train_bpe,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "counted once": Say(
            "The pairs are counted once, at the beginning. Each merge makes new pairs and breaks others, so count "
            "again after each."
        ).to(_counted_once),
        "words stay as they were": Say(
            "The words are never replaced by the merged ones, so that the same pair wins every time. Keep what "
            "`merge_pair` returns: it does not change its argument."
        ).to(_train, merge=lambda ids, pair, new_id: list(ids)),
        "ids from 257": Say("The first new id is 257. The bytes are 0 to 255, so the next free one is 256.").to(
            _train, first=257
        ),
        "ids from 255": Say("The first new id is 255, but that is a byte already. The next free one is 256.").to(
            _train, first=255
        ),
        "ids from 0": Say("The new ids begin at 0 and are mistaken for bytes. The next free one is 256.").to(
            _train, first=0
        ),
        "last seen wins": Say(
            "Of pairs that are equally frequent, the last one wins. The one seen first in the text should, so that "
            "everybody learns the same tokens. `max` returns the first of several maxima: in which order are they?"
        ).to(_train, choose=lambda counts: max(reversed(counts), key=counts.__getitem__)),
        "largest pair wins": Say(
            "Of pairs that are equally frequent, the one with the larger ids wins: tuples of count and pair are "
            "compared to the end. Compare the counts alone."
        ).to(_train, choose=lambda counts: max((count, pair) for pair, count in counts.items())[1]),
        "smallest pair wins": Say(
            "Of pairs that are equally frequent, the one with the smaller ids wins. The one seen first in the text "
            "should."
        ).to(_train, choose=lambda counts: min((-count, pair) for pair, count in counts.items())[1]),
        "largest ids instead of counts": Say(
            "`max` compares the pairs themselves and not how often they occur. It needs a `key`."
        ).to(_train, choose=lambda counts: max(counts)),
        "least frequent": Say("The least frequent pair is merged. It is the most frequent one that saves most.").to(
            _train, choose=lambda counts: min(counts, key=counts.__getitem__)
        ),
        "pairs span words": Say(
            "Pairs are counted across the border of two words. Count in each word separately, then add up: "
            "a `Counter` can be updated."
        ).to(_train, count=lambda words: count_pairs([*chain.from_iterable(words)])),
        "one long text": Say(
            "The words are joined into one text, so that pairs are merged across the border of two words. Keep a list "
            "for each word, and count in each separately."
        ).to(lambda words, num_merges: _train([[*chain.from_iterable(words)]], num_merges)),
        "each word counts once": Say(
            "Each distinct word is counted once, however often it occurs in the text. A pair in “ the” should weigh as "
            "much as “ the” is frequent."
        ).to(lambda words, num_merges: _train([*dict.fromkeys(map(bytes, words))], num_merges)),
        "last word only": Say(
            "The counts of a word replace those of the words before it. They have to be added up."
        ).to(_train, count=_count_in_last_word),
        "each pair once in a word": Say(
            "A pair that occurs twice in a word is counted once there. Add up the counts, not the presence."
        ).to(_train, count=lambda words: Counter(chain.from_iterable(dict.fromkeys(pairwise(word)) for word in words))),
        "one merge too few": Say("One merge is missing at the end. `num_merges` is how many are learned.").to(
            _train, fewer=1
        ),
        "no merges": Say(
            "There is no merge in the result. Does the loop run, and is each merge written down? `num_merges` counts "
            "the merges alone, without the 256 bytes."
        ).to(lambda words, num_merges: {}),
        "overlapping merges": Say(
            "In a run such as “aaa” one letter takes part in two merges. Does your loop use `merge_pair`?"
        ).to(_train, merge=_overlap),
        "keys and values exchanged": Say(
            "The result maps ids to pairs. It is needed the other way round: which id has a pair?"
        ).to(lambda words, num_merges: {new_id: pair for pair, new_id in _train(words, num_merges).items()}),
    },
    parts=(MERGE_PAIR,),
    hints=(
        "You have the two halves: `count_pairs` and `merge_pair`. Repeat `num_merges` times: count, choose, merge.",
        "One `Counter` for all words: `counts.update(count_pairs(word))`. Then the pair with the largest count, and "
        "every word replaced by its merged form.",
        "`pair = max(counts, key=counts.get)`; `words = [merge_pair(word, pair, new_id) for word in words]`; "
        "`merges[pair] = new_id`, for `new_id` from 256 on.",
    ),
)
