"""The teller fills in sentences so that a story agrees with itself.

A plot is a row of beats. A beat offers several sentences, one of which is dealt and filled in:

    [big|small]            one of these, chosen at random; they may be nested
    @glad                  one of the words listed under that name
    {hero} {hero.his}      the name of somebody in the cast, or a pronoun
    {thing} {Thing}        a fact fixed earlier in this story; with a capital it begins a sentence
    <hero ask: Where?>     direct speech, with a tag that suits: "Where?" asked Mia.
    <hero~ say: Here.>     the same, with a pronoun: "Here," she said.

They are filled in in this order, so a choice may hold any of the others. Facts are fixed before they are told, so
what is lost is what is found. Each beat deals its sentences like a deck of cards, all of them before any comes again,
so that no sentence begins or ends too many stories.

A friend is introduced at the first mention ("her friend Ben"). Which mention comes first is known only when the whole
story is there, so until then each of the friend's names carries a mark, a control character.
"""

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

# Before a name that may need an introduction: where a sentence may begin, and inside the tag of a speech.
MARK, MARK_INSIDE = "\x01", "\x02"
_PRONOUNS = {
    "he": {"he": "he", "him": "him", "his": "his"},
    "she": {"he": "she", "him": "her", "his": "her"},
}
_SPEECH = re.compile(r"<(\w+)(~?) (\w+): ([^<>]+)>")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_ARTICLE = re.compile(r"\b([Aa])n? (?=([a-z]+))")
# Each mood: verbs that may stand before or after the words spoken, and longer tags that stand after them.
_TAGS = {
    "say": (["said"], ["said with a nod", "said after a moment", "said in a clear voice", "said at last"]),
    "ask": (["asked"], ["wanted to know", "asked quietly"]),
    "reply": (
        ["said", "answered", "replied"],
        ["said with a nod", "answered at once", "replied quickly", "said after a moment"],
    ),
    "glad": (
        ["cried", "shouted", "laughed", "cheered", "said"],
        ["said with a big smile", "cried happily", "said and clapped", "shouted with joy"],
    ),
    "sad": (["sobbed", "sighed", "whispered", "said"], ["said sadly", "said in a small voice"]),
    "soft": (
        ["said", "whispered", "said"],
        ["said gently", "said with a warm smile", "said kindly", "said in a soft voice"],
    ),
    "loud": (["cried", "shouted", "called", "yelled"], ["cried out loud", "shouted very loudly"]),
    "low": (["said", "whispered", "mumbled"], ["said in a small voice", "said very quietly"]),
    "firm": (["said", "said", "warned"], ["said firmly", "said in a serious voice"]),
}
_CAN_PRECEDE = {"said", "asked", "cried", "shouted", "answered", "replied", "whispered", "sighed", "called"}


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody in a story: ``{hero}`` is the name, ``{hero.his}`` a pronoun, ``{hero.His}`` one that begins a sentence.

    Args:
        gender: he or she.
        trait: an adjective that the story gives the actor.
        hand: what it has for a hand.
        mark: put before the name until :meth:`Teller.text` introduces the actor.
    """

    name: str
    kind: str
    gender: str
    trait: str = ""
    hand: str = "hand"
    mark: str = ""

    def __str__(self) -> str:
        return self.mark + self.name

    @property
    def a(self) -> str:
        """What the actor is: ``a shy fox``."""
        return f"a {self.trait} {self.kind}"

    def __getattr__(self, word: str) -> str:
        pronouns = _PRONOUNS[self.gender]
        if word.lower() not in pronouns:
            raise AttributeError(word)
        pronoun = pronouns[word.lower()]
        return pronoun.capitalize() if word[0].isupper() else pronoun


class Teller:
    """Deals sentences, fills them in and keeps the story told so far; the decks last from story to story."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self._decks: dict[Any, list[Any]] = {}
        self._words: dict[str, list[str]] = {}
        self.begin({}, {})

    def begin(self, cast: dict[str, Any], words: dict[str, list[str]], friend_intro: str = "") -> None:
        """Start a new story.

        Args:
            cast: what slots stand for.
            words: what each @name may become.
            friend_intro: how the friend is called when first mentioned.
        """
        self.cast = dict(cast)
        self._friend_intro = friend_intro
        self._words = words
        self._paragraphs: list[list[str]] = [[]]

    def deal(self, options: Sequence[Any], key: Any = None) -> Any:
        """One of the options: all are dealt, in a shuffled order, before any is dealt again. The key names the deck."""
        deck = self._decks.setdefault(repr(options) if key is None else key, [])
        if not deck:
            deck.extend(options)
            self.rng.shuffle(deck)
        return deck.pop()

    def two_of(self, words: str) -> list[str]:
        """Two different words of a list; the list's name may hold slots."""
        return self.rng.sample(self._words[self.fill(words)], 2)

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self.rng.random() < probability

    def fix(self, **facts: str) -> None:
        """Add facts to the cast: filled in once, they stay the same throughout the story. {Name} begins a sentence."""
        for name, text in facts.items():
            filled = self.cast[name] = self.fill(text)
            self.cast[name.capitalize()] = filled[:1].upper() + filled[1:]

    def tell(self, sentences: str, probability: float = 1.0) -> None:
        """Add one of the lines to the story; with a probability below 1, perhaps none."""
        if probability == 1 or self.chance(probability):
            lines = [line.strip() for line in sentences.strip().splitlines()]
            self._paragraphs[-1].append(self.fill(self._name_the_hero(self.deal(lines, sentences))))

    def paragraph(self) -> None:
        """Begin a new paragraph, unless the current one is empty."""
        if self._paragraphs[-1]:
            self._paragraphs.append([])

    def fill(self, text: str) -> str:
        """Replace choices, lists and slots, and write speech out."""
        while match := _CHOICE.search(text):
            text = text[: match.start()] + self.rng.choice(match[1].split("|")) + text[match.end() :]
        text = re.sub(r"@(\w+)", lambda match: self.deal(self._words[match[1]], match[1]), text)
        text = text.format_map(self.cast)
        return _SPEECH.sub(self._speech, text)

    def text(self) -> str:
        """The story told so far, with each a or an as the next word wants it."""
        text = "\n\n".join(" ".join(sentences) for sentences in self._paragraphs if sentences)
        text = self._introduce(text)
        return _ARTICLE.sub(lambda match: match[1] + ("n " if _begins_with_vowel(match[2]) else " "), text)

    def _name_the_hero(self, line: str) -> str:
        """Begin with the name instead of a pronoun if the sentence before ended with somebody else."""
        told = " ".join(sentence for sentences in self._paragraphs for sentence in sentences)
        places = {key: told.rfind(actor.name) for key, actor in self.cast.items() if isinstance(actor, Actor)}
        if max(places, key=places.__getitem__) == "hero":
            return line
        for pronoun, name in (("{hero.He}", "{hero}"), ("{hero.His}", "{hero}'s"), ("<hero~", "<hero")):
            if line.startswith(pronoun):
                return name + line.removeprefix(pronoun)
        return line

    def _introduce(self, text: str) -> str:
        """Call the friend by more than the name at the first mention, unless the story knows the name already."""
        friend = self.cast["friend"]
        before, mark, _ = re.split(f"([{MARK}{MARK_INSIDE}]|$)", text, maxsplit=1)
        if mark and friend.name not in before:
            begins = mark == MARK and re.search(r'(^|[.!?]"? |\n)$', before)
            intro = self._friend_intro[0].upper() + self._friend_intro[1:] if begins else self._friend_intro
            text = text.replace(mark + friend.name, intro, 1)
        return text.replace(MARK, "").replace(MARK_INSIDE, "")

    def _speech(self, match: re.Match[str]) -> str:
        key, is_pronoun, mood, words = match.groups()
        before = re.split(r"(?<=[.!?]) ", match.string[: match.start()].rstrip())[-1]
        if isinstance(self.cast[key], Actor) and before.startswith(str(self.cast[key])) and "<" not in before:
            is_pronoun = "~" if self._mentions_only(key, before) else ""
        speaker = self.cast[key].he if is_pronoun else str(self.cast[key])
        verbs, phrases = _TAGS[mood]
        verb = self.rng.choice(verbs)
        first, rest = words, ""
        if mood != "ask":
            first, _, rest = re.sub(r"(?<=[.!?]) ", "\n", words, count=1).partition("\n")
        form = self.rng.random()
        if form < 0.25 and verb in _CAN_PRECEDE:
            return f'{speaker[0].upper()}{speaker[1:]} {verb}, "{words}"'
        if form > 0.8:
            tag = f"{speaker} {self.rng.choice(phrases)}"
        elif is_pronoun or form > 0.6:
            tag = f"{speaker} {verb}"
        else:
            tag = f"{verb} {speaker}"
        tag = tag.replace(MARK, MARK_INSIDE)
        first = f"{first[:-1]}," if first.endswith(".") else first
        return f'"{first}" {tag}. "{rest}"' if rest else f'"{first}" {tag}.'

    def _mentions_only(self, key: str, sentence: str) -> bool:
        others = (actor for name, actor in self.cast.items() if name != key and isinstance(actor, Actor))
        return not any(other.name in sentence for other in others)


def _begins_with_vowel(word: str) -> bool:
    return word.startswith(("hour", "honest")) or (word[0] in "aeiou" and not word.startswith(("one", "use", "uni")))
