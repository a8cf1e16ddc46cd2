"""Write down what is heard: the keys that are dialled, and the digit that is said."""

from collections.abc import Sequence

from gemini_workshop.data.media.audio import MAX_KEYS, MIN_KEYS
from gemini_workshop.data.media.dial_tones import KEYS
from gemini_workshop.data.media.documents import Part, TextPart
from gemini_workshop.data.tasks.drawn import Draw, DrawnTask
from gemini_workshop.data.tasks.splits import HELDOUT_SPEAKER, are_keys_held_out
from gemini_workshop.data.tasks.voices import press, recordings, spoken
from gemini_workshop.data.tasks.words import WORDS

WHICH_KEYS = ("Which keys were dialled?", "Write down the keys.", "What was dialled?", "Which number was called?")
WHICH_DIGIT = ("Which digit do you hear?", "Which digit is said?", "What does the voice say?", "What number is that?")


class DialTones(DrawnTask):
    """Telephone keys by their tones: "4 2 7"."""

    def __init__(self) -> None:
        super().__init__("dial-tones", "write down the telephone keys that are dialled", ("dial-tones",))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Three to seven keys; in training, also fewer, which are easier to learn from."""
        keys = _keys(draw)
        while are_keys_held_out(keys) is draw.is_training:
            keys = _keys(draw)
        return (press(keys, draw), TextPart(text=draw.phrase(WHICH_KEYS))), " ".join(keys)


class SpokenDigits(DrawnTask):
    """One digit, said by a voice that is never heard in training.

    Args:
        heldout_speaker: whose recordings are held out.
    """

    def __init__(self, heldout_speaker: str = HELDOUT_SPEAKER) -> None:
        super().__init__("spoken-digits", "which digit does a voice say that was never heard?", ("spoken-digits",))
        self.heldout_speaker = heldout_speaker

    def __len__(self) -> int:
        """Every recording of the held-out speaker is asked about once."""
        return len(recordings("heldout", self.heldout_speaker))

    def drawn(self, draw: Draw) -> tuple[Sequence[Part], str]:
        """Any recording in training; each once in the held-out split."""
        said = recordings(draw.split, self.heldout_speaker)
        digit, samples = draw.random.choice(said) if draw.is_training else said[draw.index]
        return (spoken(samples, draw), TextPart(text=draw.phrase(WHICH_DIGIT))), WORDS[digit]


def _keys(draw: Draw) -> str:
    num_keys = draw.random.randint(1 if draw.is_training else MIN_KEYS, MAX_KEYS)
    return "".join(draw.random.choices(KEYS, k=num_keys))
