"""An image and a voice, or two images, of digits: do they agree, which is greater, what is the sum?

An answer says first what is seen and heard, and then what follows from it: "three seen, four heard: seven". A model
that has to say the sum at once has to find both digits and add them before its first word.
"""

from collections.abc import Sequence

from gemini_workshop.data.media.documents import AudioPart, Part, TextPart
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask, is_here
from gemini_workshop.data.tasks.images import digit_corpus, images_of
from gemini_workshop.data.tasks.splits import HELDOUT_SPEAKER
from gemini_workshop.data.tasks.voices import press, speak
from gemini_workshop.data.tasks.words import WORDS, YES_OR_NO

AGREE = (
    "Do the image and the audio agree?",
    "Is it the same digit that you see and hear?",
    "Do you hear the digit that you see?",
)
TOGETHER = (
    "What is the sum of the digit that you see and the one that you hear?",
    "How much are the image and the audio together?",
    "Add what you see and what you hear.",
)
SAME = ("Is it the same digit?", "Do both images show the same digit?", "Are these two digits equal?")
WHICH = ("Which digit is greater, the first or the second?", "Which one is greater?", "First or second: which is more?")


class ImageSound(DrawnTask):
    """A digit that is seen and one that is heard.

    Args:
        heldout_speaker: who does not speak in training.
    """

    def __init__(self, heldout_speaker: str = HELDOUT_SPEAKER) -> None:
        audio = "spoken-digits" if is_here("spoken-digits") else "dial-tones"
        about = "a digit is seen and one is heard: do they agree? what is their sum?"
        super().__init__("image-sound", about, (digit_corpus(), audio))
        self.heldout_speaker = heldout_speaker

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Half of the questions are about agreement, and half of those pairs agree."""
        is_sum = draw.is_likely(0.5)
        seen, heard = two_digits(draw) if is_sum else equal_or_not(draw)
        media: list[Part] = [images_of(self.corpora[0], draw.split).some(seen, draw), self._audio(heard, draw)]
        if draw.is_training and draw.is_likely(0.5):
            media.reverse()
        both = f"{WORDS[seen]} seen, {WORDS[heard]} heard"
        asked, other = (TOGETHER, f"{both}: {WORDS[seen + heard]}"), (AGREE, f"{both}: {YES_OR_NO[seen == heard]}")
        if not is_sum:
            asked, other = other, asked
        draw.ask_more(other)
        return (*media, TextPart(text=draw.phrase(asked[0]))), asked[1]

    def _audio(self, digit: int, draw: Draw) -> AudioPart:
        if "spoken-digits" in self.corpora:
            return speak(digit, draw, self.heldout_speaker)
        return press(str(digit), draw)


class CompareImages(DrawnTask):
    """Two images of digits."""

    def __init__(self) -> None:
        about = "two images: is it the same digit? which is greater?"
        super().__init__("compare-images", about, (digit_corpus(),))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Half of the questions are about equality, and half of those pairs are equal."""
        asks_greater = draw.is_likely(0.5)
        digits = draw.random.sample(range(10), 2) if asks_greater else equal_or_not(draw)
        images = images_of(self.corpora[0], draw.split)
        question = TextPart(text=draw.phrase(WHICH if asks_greater else SAME))
        answer = ("second", "first")[digits[0] > digits[1]] if asks_greater else YES_OR_NO[digits[0] == digits[1]]
        both = ", ".join(WORDS[digit] for digit in digits)
        return (*(images.some(digit, draw) for digit in digits), question), f"{both}: {answer}"


def equal_or_not(draw: Draw) -> tuple[int, int]:
    """Two digits, equal as often as not."""
    first = draw.random.randrange(10)
    return first, first if draw.is_likely(0.5) else (first + draw.random.randrange(1, 10)) % 10


def two_digits(draw: Draw) -> tuple[int, int]:
    """Any two digits."""
    return draw.random.randrange(10), draw.random.randrange(10)
