"""What is held out, for all tasks in one place: what one task holds out is in the training data of no other.

images of digits       by place: the last of scikit-learn's, the test split of MNIST and of Fashion-MNIST
emoji                  by hash: for a third of the names, one of the styles in which they are drawn
icons                  by hash: half of those whose name emoji have, too
voices                 one speaker
keys that are dialled  by hash: a tenth of all sequences of three keys or more
pairs of numbers       by hash: a tenth of those with more than one digit, in either order, in arithmetic
hidden facts           by hash: a tenth
stories                by hash of the text, as the training of text models has it
"""

from collections.abc import Sequence

from gemini_workshop.data.batches.reading import is_for_validation
from gemini_workshop.data.preprocessing.splitting import hash_fraction

FIRST_HELDOUT_DIGIT = 1500
"""Of scikit-learn's 1,797 digits. Neighbours resemble each other, so the end is held out and not places in between."""

HELDOUT_SPEAKER = "jackson"
HELDOUT_FRACTION = 0.1
STYLE_FRACTION = 1 / 3
ICON_FRACTION = 0.5
STORY_FRACTION = 0.05
MIN_HELDOUT_KEYS = 3


def heldout_style(name: str, styles: Sequence[str]) -> str | None:
    """The style in which the emoji of this name is not shown in training; None if all are."""
    if hash_fraction(f"emoji {name}") >= STYLE_FRACTION:
        return None
    return styles[int(hash_fraction(f"style {name}") * len(styles))]


def is_icon_held_out(name: str) -> bool:
    """Whether the icon of this name is not shown in training, if there is an emoji of that name."""
    return hash_fraction(f"icon {name}") < ICON_FRACTION


def are_keys_held_out(keys: str) -> bool:
    """Whether this sequence of keys is never dialled in training."""
    return len(keys) >= MIN_HELDOUT_KEYS and hash_fraction(f"keys {keys}") < HELDOUT_FRACTION


def is_pair_held_out(first: int, second: int) -> bool:
    """Whether these two numbers are together in no training example; of single digits there are too few pairs."""
    low, high = sorted((first, second))
    return high > 9 and hash_fraction(f"pair {low} {high}") < HELDOUT_FRACTION


def is_fact_held_out(fact: str) -> bool:
    """Whether this sentence is never hidden in a training text."""
    return hash_fraction(f"fact {fact}") < HELDOUT_FRACTION


def is_story_held_out(story: str) -> bool:
    """Whether a text is in the validation split that ``train`` would make."""
    return is_for_validation(story, STORY_FRACTION)
