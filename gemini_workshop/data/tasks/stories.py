"""Text alone: stories to continue, and stories in which a sentence is hidden that is asked about at the end."""

import functools
import re
from collections.abc import Callable, Iterator, Sequence

from gemini_workshop.data.corpora import load_documents
from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask, is_here
from gemini_workshop.data.tasks.example import Split
from gemini_workshop.data.tasks.splits import is_fact_held_out, is_story_held_out

CORPORA = ("stories", "tinystories")
MISREAD = "â€"  # a quotation mark that was decoded wrongly
COLOURS = ("red", "blue", "green", "white", "black", "grey", "golden", "brown", "purple", "silver")
ANIMALS = ("fox", "owl", "bear", "cat", "dog", "frog", "horse", "duck", "mouse", "wolf", "hen", "lion", "goat", "pig")
FACT = "The secret number of the {who} is {number}."
WHICH_NUMBER = (
    "What is the secret number of the {who}?",
    "Which secret number has the {who}?",
    "Say the secret number of the {who}.",
)
MIN_WORDS = 20


class Stories(DrawnTask):
    """Whole stories, with nothing before them.

    Args:
        corpora: where they are from; all that are on this machine, if left out.
    """

    def __init__(self, corpora: Sequence[str] | None = None) -> None:
        super().__init__("stories", "tell a story: text alone, with an empty prompt", corpora or _corpora())

    def __len__(self) -> int:
        """Every held-out story counts once."""
        return len(stories_of("heldout", self.corpora))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Any story in training; each once in the held-out split."""
        stories = stories_of(draw.split, self.corpora)
        return (), draw.random.choice(stories) if draw.is_training else stories[draw.index]


class Needle(DrawnTask):
    """A fact that does not belong there, hidden in stories; the answer is the number in it.

    The held-out examples are a grid: each length with each depth, ``repeats`` times; see :meth:`cell`.

    Args:
        lengths: most words of the stories around the fact; training has all lengths up to the greatest.
        depths: where the fact is, from 0, before the first sentence, to 1, after the last.
        repeats: held-out examples for each length and depth.
        corpora: where the stories are from; all that are on this machine, if left out.
        count: how long a sentence is: its words, if left out.
        spared: how much of each length is kept free, for the fact and the question.
    """

    def __init__(
        self,
        lengths: Sequence[int] = (40, 80, 160, 320),
        depths: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
        repeats: int = 25,
        corpora: Sequence[str] | None = None,
        count: Callable[[str], int] = lambda sentence: len(sentence.split()),
        spared: int = 0,
    ) -> None:
        super().__init__("needle", "find a number that is hidden in stories, at any depth", corpora or _corpora())
        self.lengths, self.depths, self.repeats = tuple(lengths), tuple(depths), repeats
        self.count, self.spared = count, spared

    def __len__(self) -> int:
        """One for each repeat of each cell of the grid."""
        return len(self.lengths) * len(self.depths) * self.repeats

    def cell(self, index: int) -> tuple[int, float]:
        """Length and depth of a held-out example."""
        row, column = divmod(index // self.repeats, len(self.depths))
        return self.lengths[row], self.depths[column]

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """A haystack of the split's stories, the fact in it, and the question."""
        who, number = _fact(draw)
        if draw.is_training:
            length, depth = draw.random.randint(MIN_WORDS, max(self.lengths)), draw.random.random()
        else:
            length, depth = self.cell(draw.index)
        sentences = _haystack(length - self.spared, self.count, draw, self.corpora)
        sentences.insert(round(depth * len(sentences)), FACT.format(who=who, number=number))
        if draw.is_training:
            self._hide_another(who, sentences, draw)
        question = draw.phrase(WHICH_NUMBER).format(who=who)
        return (TextPart(text=f"{' '.join(sentences)}\n\n{question}"),), str(number)

    def _hide_another(self, but_not: str, sentences: list[str], draw: Draw) -> None:
        """Somebody else's number too, and ask for it: whose number it is must be read."""
        who, number = _fact(draw)
        if who != but_not:
            sentences.insert(draw.random.randint(0, len(sentences)), FACT.format(who=who, number=number))
            draw.ask_more(([phrase.format(who=who) for phrase in WHICH_NUMBER], str(number)))


@functools.cache
def stories_of(split: Split, corpora: tuple[str, ...]) -> list[str]:
    """The stories of a split, without those that were decoded wrongly."""
    documents = (document for corpus in corpora for document in load_documents(corpus))
    return [
        document
        for document in documents
        if MISREAD not in document and is_story_held_out(document) is (split == "heldout")
    ]


def _corpora() -> tuple[str, ...]:
    return tuple(corpus for corpus in CORPORA if is_here(corpus))


def _fact(draw: Draw) -> tuple[str, int]:
    """Whose number it is, and the number; in the held-out split, a sentence that is never hidden in training."""
    while True:
        who = f"{draw.random.choice(COLOURS)} {draw.random.choice(ANIMALS)}"
        number = draw.random.randint(10, 99)
        if is_fact_held_out(FACT.format(who=who, number=number)) is not draw.is_training:
            return who, number


def _haystack(length: int, count: Callable[[str], int], draw: Draw, corpora: tuple[str, ...]) -> list[str]:
    """Sentences that follow each other in stories, until they are long enough."""
    sentences: list[str] = []
    total = 0
    for sentence in _sentences(draw, corpora):
        total += count(sentence)
        if sentences and total > length:
            break
        sentences.append(sentence)
    return sentences


def _sentences(draw: Draw, corpora: tuple[str, ...]) -> Iterator[str]:
    stories = stories_of(draw.split, corpora)
    while True:
        yield from re.split(r"(?<=[.!?])\s+", " ".join(draw.random.choice(stories).split()))
