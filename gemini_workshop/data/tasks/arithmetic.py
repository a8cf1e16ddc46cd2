"""Sums, differences and comparisons of numbers up to three digits, as formulas, questions and short stories.

Numbers of one, two and three digits are equally frequent. Numbers are written in figures, in the answer, too.
"""

from collections.abc import Sequence

from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask
from gemini_workshop.data.tasks.splits import is_pair_held_out

ADD = ("What is {a} + {b}?", "{a} + {b} =", "Add {a} and {b}.", "How much is {a} plus {b}?")
TAKE = ("What is {a} - {b}?", "{a} - {b} =", "Take {b} from {a}.", "How much is {a} minus {b}?")
GREATER = ("Which is greater, {a} or {b}?", "{a} or {b}: which is more?", "Choose the greater number: {a} or {b}.")
SMALLER = ("Which is smaller, {a} or {b}?", "{a} or {b}: which is less?", "Choose the smaller number: {a} or {b}.")
NAMES = ("Lily", "Tom", "Ben", "Anna", "Max", "Mia", "Sam", "Lucy")
THINGS = ("apples", "shells", "stickers", "books", "marbles", "nuts", "stones", "cards")
GETS = (
    "{one} has {a} {things}. {other} gives {one} {b} more. How many {things} does {one} have now?",
    "There are {a} {things} in a box. {one} puts {b} more into it. How many {things} are in the box now?",
    "{one} has {a} {things} and {other} has {b}. How many {things} do they have together?",
)
LOSES = (
    "{one} has {a} {things}. {one} gives {b} of them to {other}. How many {things} does {one} have now?",
    "There are {a} {things} on a table. {one} takes {b} of them. How many {things} are left?",
    "{one} has {a} {things} and {other} has {b}. How many more {things} does {one} have?",
)
QUESTIONS = {"add": ADD, "take": TAKE, "greater": GREATER, "smaller": SMALLER, "gets": GETS, "loses": LOSES}
MAX_DIGITS = 3


class Arithmetic(DrawnTask):
    """Two numbers and a question; the answer is a number."""

    def __init__(self) -> None:
        super().__init__("arithmetic", "sums, differences and comparisons, also in small word problems")

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """All six kinds of question are equally frequent."""
        kind = draw.random.choice(list(QUESTIONS))
        a, b = _numbers(draw, is_ordered=kind in ("take", "loses"))
        one, other = draw.random.sample(NAMES, 2)
        phrase = draw.phrase(QUESTIONS[kind])
        question = phrase.format(a=a, b=b, one=one, other=other, things=draw.random.choice(THINGS))
        return (TextPart(text=question),), str(_answer(kind, a, b))


def _answer(kind: str, a: int, b: int) -> int:
    if kind in ("add", "gets"):
        return a + b
    if kind in ("take", "loses"):
        return a - b
    return max(a, b) if kind == "greater" else min(a, b)


def _numbers(draw: Draw, is_ordered: bool) -> tuple[int, int]:
    """Two different numbers, the greater one first if asked for; whether their pair is held out decides the split."""
    while True:
        a, b = _number(draw), _number(draw)
        if a != b and is_pair_held_out(a, b) is not draw.is_training:
            return (max(a, b), min(a, b)) if is_ordered else (a, b)


def _number(draw: Draw) -> int:
    """Of one to three digits; 0 is one of them."""
    num_digits = draw.random.randint(1, MAX_DIGITS)
    return draw.random.randrange(0 if num_digits == 1 else 10 ** (num_digits - 1), 10**num_digits)
