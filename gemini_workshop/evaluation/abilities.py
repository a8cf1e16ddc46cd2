"""What a multimodal model can do: its answers to held-out examples of each task, compared with the right ones.

The model writes its answer with the most likely token at each place; it counts if it is the right one, word for word.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.batches.batch import stack_media
from gemini_workshop.data.media.encoding import MediaEncoder
from gemini_workshop.data.tasks.example import Example, Task
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.generation.ask import media_of
from gemini_workshop.generation.decode import generate_batch
from gemini_workshop.models.transformer import Transformer

LONGEST_ANSWER = 24  # in tokens
CONFIDENCE = 0.95
NUM_SHOWN = 20  # of the wrong answers
TEXT_ONLY = "stories"  # a task without a question, whose loss is measured by evaluation.scores


@dataclass(frozen=True, kw_only=True, slots=True)
class Ability:
    """How many examples of a task were answered correctly.

    Args:
        wrong: examples of what went wrong: the right answer and the one given.
        outcomes: for each example that was asked, in order, whether its answer was right.
    """

    task: str
    num_right: int
    num_asked: int
    wrong: tuple[tuple[str, str], ...] = ()
    outcomes: tuple[bool, ...] = ()

    @property
    def accuracy(self) -> float:
        """The fraction of right answers."""
        return self.num_right / self.num_asked

    @property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy on ever more such examples lies, with a confidence of 95 %."""
        return wilson_interval(self.num_right, self.num_asked)


def score_answers(given: Sequence[str], expected: Sequence[str]) -> tuple[float, float, float]:
    """The fraction of right answers, and the interval in which it would lie on ever more questions, with 95 %.

    An answer is right if it is the expected one, word for word; white space around it does not count.

    Example:
        >>> [round(number, 2) for number in score_answers(["two ", "four"], ["two", "three"])]
        [0.5, 0.09, 0.91]
    """
    num_right = sum(one.strip() == other for one, other in zip(given, expected, strict=True))
    return num_right / len(expected), *wilson_interval(num_right, len(expected))


def wilson_interval(num_right: int, num_asked: int) -> tuple[float, float]:
    """Where the fraction of right answers to ever more questions lies, with a confidence of 95 %.

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference".

    Example:
        >>> [round(number, 2) for number in wilson_interval(4, 4)]
        [0.51, 1.0]
    """
    n, p = num_asked, num_right / num_asked
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    center = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = (z2 * (p * (1 - p) / n + z2 / (4 * n * n))) ** 0.5 / (1 + z2 / n)
    return center - half, center + half


def answer(
    model: Transformer, tokenizer: Tokenizer, examples: Sequence[Example], max_new_tokens: int = LONGEST_ANSWER
) -> list[str]:
    """The model's answers to examples, all read in one batch.

    Raises:
        WorkshopError: the model takes text alone, or an example is longer than the model reads.
    """
    encoder = MediaEncoder(tokenizer, media_of(model))
    questions = [encoder.question(example.prompt) for example in examples]
    greedy = GenerationConfig(max_new_tokens=max_new_tokens, temperature=0.0)
    rows = generate_batch(
        model,
        [question.ids for question in questions],
        greedy,
        stop_ids={tokenizer.end_of_text_id},
        media=stack_media([question.media for question in questions]),
    )
    return [tokenizer.decode(row.token_ids).strip() for row in rows]


def measure_abilities(
    model: Transformer,
    tokenizer: Tokenizer,
    tasks: Mapping[str, Task],
    limit: int | None = None,
    batch_size: int = 32,
    progress: Callable[[int], object] = lambda _: None,
) -> list[Ability]:
    """Ask the held-out examples of each task; of a task with more than ``limit``, some spread evenly over them.

    Args:
        progress: called after each batch with the number of examples in it.
    """
    found = []
    for name, task in tasks.items():
        indices = spread(len(task), limit)
        pairs = []
        for examples in _batches(task, indices, batch_size):
            given = answer(model, tokenizer, examples)
            pairs += [(example.answer, text) for example, text in zip(examples, given, strict=True)]
            progress(len(examples))
        outcomes = tuple(right == text for right, text in pairs)
        wrong = tuple(pair for pair in pairs if pair[0] != pair[1])[:NUM_SHOWN]
        found.append(Ability(task=name, num_right=sum(outcomes), num_asked=len(pairs), wrong=wrong, outcomes=outcomes))
    return found


def spread(number: int, limit: int | None) -> list[int]:
    """All indices, or ``limit`` of them spread evenly.

    Example:
        >>> spread(5, None), spread(10, 3)
        ([0, 1, 2, 3, 4], [0, 3, 6])
    """
    if limit is None or number <= limit:
        return list(range(number))
    return [i * number // limit for i in range(limit)]


def _batches(task: Task, indices: Sequence[int], batch_size: int) -> Iterator[list[Example]]:
    for first in range(0, len(indices), batch_size):
        yield [task.example(i, "heldout") for i in indices[first : first + batch_size]]
