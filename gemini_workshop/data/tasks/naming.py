"""Name what is seen: handwritten digits and clothes. And questions about a digit: how great, even or odd, its holes."""

from collections.abc import Sequence

from gemini_workshop.data.media.documents import ImagePart, Part, TextPart
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask
from gemini_workshop.data.tasks.images import digit_corpus, images_of
from gemini_workshop.data.tasks.words import WORDS, YES_OR_NO

CLOTHES = ("t-shirt", "trousers", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot")
WHICH_DIGIT = ("Which digit is this?", "What digit do you see?", "Read the digit.", "Which number is written here?")
WHICH_CLOTHES = ("What is this?", "What do you see?", "Name the piece of clothing.", "Which kind of clothing is it?")
HOLES = {0: 1, 1: 0, 2: 0, 3: 0, 5: 0, 6: 1, 7: 0, 8: 2, 9: 1}
"""How many holes each digit has as it is printed. Not of 4, which some write open and some closed."""

HOW_MANY_HOLES = ("How many holes has the digit?", "How many holes do you see?", "Count the holes.")
EVEN_OR_ODD = ("Is the digit even or odd?", "Even or odd?", "Is this number odd or even?")
GREATER = ("Is it greater than {}?", "Is the digit greater than {}?", "Is this more than {}?")


class ImageNames(DrawnTask):
    """Images of one corpus; the answer is the name of the kind."""

    def __init__(self, corpus: str, about: str, answers: Sequence[str], phrases: Sequence[str]) -> None:
        super().__init__(corpus, about, (corpus,))
        self.answers = answers
        self.phrases = phrases

    def __len__(self) -> int:
        """Every held-out image is asked about once."""
        return len(images_of(self.name, "heldout").labels)

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Any image in training; each once in the held-out split."""
        images = images_of(self.name, draw.split)
        i = draw.random.randrange(len(images.labels)) if draw.is_training else draw.index
        question = TextPart(text=draw.phrase(self.phrases))
        return (ImagePart(image=images.shown(i, draw)), question), self.answers[images.labels[i]]


class DigitQuestions(DrawnTask):
    """Questions about a digit that ask for more than its name."""

    def __init__(self) -> None:
        super().__init__("digit-questions", "is it greater than three? even or odd? how many holes?", (digit_corpus(),))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """One of the three questions."""
        kind = draw.random.choice(("holes", "parity", "greater"))
        digit = _with_holes(draw) if kind == "holes" else draw.random.randrange(10)
        question, answer = _asked(kind, digit, draw)
        return (images_of(self.corpora[0], draw.split).some(digit, draw), TextPart(text=question)), answer


def _with_holes(draw: Draw) -> int:
    """A digit with no, one or two holes, equally often."""
    num_holes = draw.random.randrange(3)
    return draw.random.choice([digit for digit in HOLES if HOLES[digit] == num_holes])


def _asked(kind: str, digit: int, draw: Draw) -> tuple[str, str]:
    if kind == "holes":
        return draw.phrase(HOW_MANY_HOLES), WORDS[HOLES[digit]]
    if kind == "parity":
        return draw.phrase(EVEN_OR_ODD), "odd" if digit % 2 else "even"
    limit = draw.random.randrange(1, 9)
    return draw.phrase(GREATER).format(WORDS[limit]), YES_OR_NO[digit > limit]
