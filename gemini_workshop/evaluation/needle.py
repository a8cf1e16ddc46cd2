"""A needle in a haystack: does a model find one sentence in a long text, wherever it is?

One sentence that does not belong there is put into a book, at a depth from 0 (the beginning) to 1 (the end); after the
book comes its beginning again, and the retriever has to choose the word that it ended with. Lengths are tokens of the
model's own tokenizer. A retriever is a function from the text and the words to choose from to the place of its choice:

    oracle        reads the text and finds the sentence: the test can be passed
    blind         guesses: 1 / number of words
    most_likely   a model, by what the text adds to the log-probability of each word

Source: Kamradt 2023, "Needle In A Haystack: pressure testing LLMs".
Differs: the answer is chosen, not written, so that small models can be tested and the level of chance is known.
"""

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gemini_workshop.data.tokenizers import Tokenizer, start_ids
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.likelihood import continuation_log_probs
from gemini_workshop.models.transformer import Transformer

NAMES = ("Lily", "Tom", "Ben", "Anna", "Max", "Mia", "Sam", "Lucy")
WORDS = ("bed", "tree", "box", "chair", "car", "hat", "boat", "cake", "rock", "door")
BEGINNING = "{name} hid the red key under the"
Retriever = Callable[[str, Sequence[str]], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class NeedleCase:
    """One text with a needle.

    Args:
        text: the book with the needle in it, then the needle's beginning.
        answer: the place among ``WORDS`` of the word that it ended with.
    """

    text: str
    answer: int


@dataclass(frozen=True, kw_only=True, slots=True)
class NeedleResult:
    """How often the needle was found.

    Args:
        found: the fraction for each depth (rows) and length (columns).
        trials: cases for each of them.
    """

    lengths: tuple[int, ...]
    depths: tuple[float, ...]
    found: tuple[tuple[float, ...], ...]
    trials: int
    chance: float

    @property
    def mean(self) -> float:
        """The mean over the whole grid."""
        return sum(map(sum, self.found)) / (len(self.lengths) * len(self.depths))


class Haystack:
    """A book, sentence by sentence, with the number of tokens of each.

    Raises:
        DataError: it has no sentence.
    """

    def __init__(self, book: str, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.sentences = [
            " ".join(sentence.split()) for sentence in re.split(r"(?<=[.!?])\s+", book) if sentence.strip()
        ]
        self.tokens = [self._count(f" {sentence}") for sentence in self.sentences]
        if not self.sentences:
            raise DataError("The book has 0 sentences. Use another text.")

    def case(self, num_tokens: int, depth: float, generator: random.Random) -> NeedleCase:
        """A text of at most this many tokens, with a needle at a depth.

        Raises:
            DataError: the book is too short, or the length has no room for the needle and its beginning.
        """
        beginning = BEGINNING.format(name=generator.choice(NAMES))
        answer = generator.randrange(len(WORDS))
        needle = f"{beginning} {WORDS[answer]}."
        room = num_tokens - self._count(f" {needle}") - self._count(f" {beginning}") - 1
        hay = self._stretch(room, generator)
        place = self._place(hay, depth)
        sentences = [self.sentences[i] for i in hay]
        return NeedleCase(text=" ".join([*sentences[:place], needle, *sentences[place:], beginning]), answer=answer)

    def _stretch(self, room: int, generator: random.Random) -> range:
        """Sentences from somewhere in the book, as many as there is room for."""
        if not 0 <= room < sum(self.tokens):
            raise DataError(
                f"A text of the book and a needle has room for {room} tokens of the book, which has "
                f"{sum(self.tokens)}. Choose a {'greater' if room < 0 else 'smaller'} length"
                f"{'.' if room < 0 else ', or a longer book.'}"
            )
        latest, after = len(self.tokens), 0
        while after <= room:
            latest -= 1
            after += self.tokens[latest]
        first = last = generator.randrange(latest + 1)
        while last < len(self.tokens) and self.tokens[last] <= room:
            room -= self.tokens[last]
            last += 1
        return range(first, last)

    def _place(self, hay: range, depth: float) -> int:
        """The border between sentences that comes nearest to the depth."""
        borders = [0]
        for i in hay:
            borders.append(borders[-1] + self.tokens[i])
        return min(range(len(borders)), key=lambda place: abs(borders[place] - depth * borders[-1]))

    def _count(self, text: str) -> int:
        return len(self.tokenizer.encode(text))


def needle_grid(
    retriever: Retriever,
    haystack: Haystack,
    lengths: Sequence[int],
    depths: Sequence[float],
    trials: int = 10,
    seed: int = 0,
) -> NeedleResult:
    """Ask for needles at every depth of texts of every length; every retriever gets the same ones for a seed."""
    found = []
    for row, depth in enumerate(depths):
        row_found = []
        for length in lengths:
            cases = [haystack.case(length, depth, random.Random(f"{seed} {row} {length} {i}")) for i in range(trials)]
            row_found.append(sum(retriever(case.text, WORDS) == case.answer for case in cases) / trials)
        found.append(tuple(row_found))
    return NeedleResult(
        lengths=tuple(lengths),
        depths=tuple(map(float, depths)),
        found=tuple(found),
        trials=trials,
        chance=1 / len(WORDS),
    )


def oracle(text: str, words: Sequence[str]) -> int:
    """Finds the sentence that begins as the text ends."""
    name = text.split()[-len(BEGINNING.split())]
    found = re.search(re.escape(BEGINNING.format(name=name)) + r" (\w+)\.", text)
    return words.index(found[1]) if found else 0


def blind(seed: int = 0) -> Retriever:
    """Guesses without looking."""
    generator = random.Random(seed)
    return lambda _, words: generator.randrange(len(words))


def most_likely(model: Transformer, tokenizer: Tokenizer) -> Retriever:
    """The word that the text makes more likely than its last sentence alone does, by a model.

    Of a text that does not fit into its window, a model reads the end.
    """
    start = start_ids(tokenizer) or [tokenizer.end_of_text_id]

    def choose(text: str, words: Sequence[str]) -> int:
        beginning = " ".join(text.split()[-len(BEGINNING.split()) :])
        continuations = [tokenizer.encode(f" {word}.") for word in words]
        whole, alone = (
            [float(each.sum()) for each in continuation_log_probs(model, start + tokenizer.encode(read), continuations)]
            for read in (text, beginning)
        )
        gains = [with_text - without for with_text, without in zip(whole, alone, strict=True)]
        return max(range(len(words)), key=gains.__getitem__)

    return choose
