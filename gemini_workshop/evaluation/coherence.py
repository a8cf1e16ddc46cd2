"""Whether a story holds together, as far as a program can tell without understanding it.

    names kept          of the names in the second half of a story, the fraction that its first half introduced
    quotes closed       of the paragraphs in which somebody speaks, the fraction that close every quotation mark
    sentences repeated  of the sentences, the fraction that the story has said before, word for word

Each is a sign, not a proof. Measure human stories as well, and compare: they bring in new names late, too.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from tqdm import tqdm

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import DataError
from gemini_workshop.generation.decode import generate_text
from gemini_workshop.generation.fast.lean import lean_copy
from gemini_workshop.models.transformer import Transformer

# A capital that follows a small letter or a comma begins a name; one that follows a full stop may begin any sentence.
NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+\b")
NO_NAMES = {"Mom", "Mommy", "Mama", "Mum", "Mummy", "Dad", "Daddy", "Papa", "Grandma", "Grandpa"}
SENTENCE_END = re.compile(r"(?<=[.!?])[\"”']?\s+")


@dataclass(frozen=True, kw_only=True, slots=True)
class Coherence:
    """The means over the stories in which there was something to measure; None where there was nothing in any."""

    names_kept: float | None
    quotes_closed: float | None
    sentences_repeated: float | None
    words: float


def coherence(stories: Sequence[str]) -> Coherence:
    """Measure stories.

    Raises:
        DataError: there are none.

    Example:
        >>> coherence(['A boy named Tom ran. He saw Tom. "Hi!" said Tom. He saw Tom.'])
        Coherence(names_kept=1.0, quotes_closed=1.0, sentences_repeated=0.2, words=14.0)
    """
    if not stories:
        raise DataError("There are no stories to measure. Give at least one.")
    return Coherence(
        names_kept=_mean(names_kept, stories),
        quotes_closed=_mean(quotes_closed, stories),
        sentences_repeated=_mean(sentences_repeated, stories),
        words=fmean(len(story.split()) for story in stories),
    )


def continued(
    model: Transformer, tokenizer: Tokenizer, stories: Sequence[str], generation: GenerationConfig
) -> tuple[list[str], list[str]]:
    """Continue the first sentence of each story, with a seed of its own.

    Returns:
        What the model made of them; and the stories, cut after as many tokens as it may write.
    """
    fast, written, shortened = lean_copy(model), [], []
    for number, story in enumerate(tqdm(stories, desc="stories", leave=False)):
        beginning = first_sentence(story)
        pieces = generate_text(fast, tokenizer, beginning, replace(generation, seed=generation.seed + number))
        written.append(beginning + "".join(pieces))
        rest = tokenizer.encode(story[len(beginning) :])[: generation.max_new_tokens]
        shortened.append(beginning + tokenizer.decode(rest))
    return written, shortened


def sentences_of(story: str) -> list[str]:
    """The sentences, without what closes a quotation after them."""
    return [sentence.strip() for sentence in SENTENCE_END.split(story) if sentence.strip()]


def first_sentence(story: str) -> str:
    """How a story begins."""
    return sentences_of(story)[0]


def names_in(text: str) -> set[str]:
    """The names in a text, as far as their place in the sentence shows that they are some."""
    return set(NAME.findall(text)) - NO_NAMES


def names_kept(story: str) -> float | None:
    """Of the names in the second half, by sentences, the fraction that occur in the first."""
    sentences = sentences_of(story)
    middle = len(sentences) // 2
    first, later = " ".join(sentences[:middle]), names_in(" ".join(sentences[middle:]))
    known = {name for name in later if re.search(rf"\b{name}\b", first)}
    return len(known) / len(later) if later else None


def quotes_closed(story: str) -> float | None:
    """Of the paragraphs with quotation marks, the fraction in which each that opens is closed."""
    straight = story.replace("“", '"').replace("”", '"')
    speeches = [paragraph for paragraph in straight.splitlines() if '"' in paragraph]
    return fmean(paragraph.count('"') % 2 == 0 for paragraph in speeches) if speeches else None


def sentences_repeated(story: str) -> float | None:
    """Of the sentences, the fraction that occurred before."""
    sentences = sentences_of(story)
    return (len(sentences) - len(set(sentences))) / len(sentences) if sentences else None


def _mean(measure: Callable[[str], float | None], stories: Sequence[str]) -> float | None:
    found = [value for value in map(measure, stories) if value is not None]
    return fmean(found) if found else None
