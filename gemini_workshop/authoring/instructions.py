"""Instructions with answers, made by the storyteller: what stories-chat learns from, and is examined in.

Each says how an answer is judged, by a program and not by taste (:mod:`gemini_workshop.evaluation.instructions`):

    hero       Write a story about a boy named Omar.                   its first two sentences name Omar
    words      Write a story with the words hill, slide and brave.     all three are in it
    ending     Write a story that ends with: But he knew what to do.   that is its last sentence
    question   (a story) What is the name of the friend?               Leila
    rewrite    Tell this about Mia: Omar wanted to run away.           Mia wanted to run away.
    sum        What is 7 plus 5?                                       12

``python -m gemini_workshop.authoring.instructions FILE.jsonl --count 20000`` writes a file for
``gemini-workshop finetune sft --data FILE.jsonl``. Examples of another seed are other examples; what is held out is
decided by the question's own text, for every seed alike.
"""

import argparse
import json
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from gemini_workshop.authoring.stories.cast import begin_story
from gemini_workshop.authoring.stories.grammar import read_grammar
from gemini_workshop.authoring.stories.plots import plot_names, tell_closing, tell_plot
from gemini_workshop.authoring.stories.teller import Actor, Teller
from gemini_workshop.data.batches.reading import is_for_validation
from gemini_workshop.files import write_atomically

MAX_WORDS = 125  # so that a story with its instruction fits into 256 tokens
NUM_WORDS = 3
MIN_LETTERS = 4
HELDOUT_FRACTION = 0.05  # as of every text
SHARES = {"hero": 0.2, "words": 0.2, "ending": 0.2, "question": 0.2, "rewrite": 0.1, "sum": 0.1}

WRITE = ("Write a story {what}.", "Tell me a story {what}.", "Can you write a short story {what}?")
REWRITE = ("Tell this about {new} instead of {old}: {sentence}", "Put {new} in the place of {old}: {sentence}")
SUMS = ("What is {a} plus {b}?", "How much is {a} and {b}?", "Add {a} and {b}.")
LESS = ("What is {a} minus {b}?", "Take {b} from {a}. What is left?", "How much is {a} less {b}?")


class Story(NamedTuple):
    """A story and who is in it."""

    text: str
    hero: Actor
    friend: Actor

    @property
    def sentences(self) -> list[str]:
        """Its sentences, in their order; one with speech in it may be a part of a longer one."""
        return re.split(r'(?:(?<=[.!?])|(?<=[.!?]"))\s+(?=[A-Z"])', self.text)


class Instruction(NamedTuple):
    """What is asked, a right answer, and what makes an answer right."""

    kind: str
    prompt: str
    answer: str
    check: dict[str, Any]

    def to_json(self) -> dict[str, Any]:
        """As a line of a file of conversations."""
        turns = (("user", self.prompt), ("assistant", self.answer))
        return {"messages": [{"role": role, "content": content} for role, content in turns], "check": self.check}


class Made(NamedTuple):
    """An instruction without the name of its kind."""

    prompt: str
    answer: str
    check: dict[str, Any]


def generate_instructions(count: int, seed: int = 0) -> Iterator[Instruction]:
    """Instructions of all kinds, in a random order."""
    chances, teller = random.Random(f"instructions {seed}"), Teller(seed)
    for _ in range(count):
        [kind] = chances.choices(list(SHARES), list(SHARES.values()))
        yield Instruction(kind, *MAKERS[kind](teller, chances))


def heldout_instructions(count: int, seed: int = 0) -> list[Instruction]:
    """Different instructions that no training reads: those whose question is in the validation split."""
    found: dict[str, Instruction] = {}
    for each in generate_instructions(10**9, seed):
        if len(found) == count:
            break
        if is_for_validation(each.prompt, HELDOUT_FRACTION):
            found.setdefault(each.prompt, each)
    return list(found.values())


def short_story(teller: Teller) -> Story:
    """The next story of the teller that is not too long."""
    while True:
        begin_story(teller)
        tell_plot(teller, teller.deal(plot_names(), "plots"))
        tell_closing(teller)
        text = teller.text()
        if len(text.split()) <= MAX_WORDS:
            return Story(text, teller.cast["hero"], teller.cast["friend"])


def _about_a_hero(teller: Teller, chances: random.Random) -> Made:
    story = short_story(teller)
    hero = story.hero
    named = chances.choice((f"about a {hero.kind} named {hero.name}", f"about {hero.name} the {hero.kind}"))
    if hero.kind in ("boy", "girl"):
        named = f"about a {hero.kind} named {hero.name}"
    return Made(_asked(chances, named), story.text, {"hero": hero.name})


def _with_words(teller: Teller, chances: random.Random) -> Made:
    while True:
        story = short_story(teller)
        usable = sorted(set(re.findall(rf"(?<=[a-z] )[a-z]{{{MIN_LETTERS},}}\b", story.text)))
        if len(usable) >= NUM_WORDS:
            words = chances.sample(usable, NUM_WORDS)
            return Made(
                _asked(chances, f"with the words {', '.join(words[:-1])} and {words[-1]}"), story.text, {"words": words}
            )


def _with_an_ending(teller: Teller, chances: random.Random) -> Made:
    while True:
        story = short_story(teller)
        ending = story.sentences[-1]
        if '"' not in ending:
            asked = _asked(chances, "that ends with").rstrip("?.")
            return Made(f"{asked}: {ending}", story.text, {"ending": ending})


def _question(teller: Teller, chances: random.Random) -> Made:
    story = short_story(teller)
    asked: list[tuple[str, str]] = [("Who is the story about?", story.hero.name)]
    if story.friend.name in story.text:
        asked.append((f"What is the name of {story.hero.name}'s friend?", story.friend.name))
    if story.hero.kind not in ("boy", "girl") and story.hero.kind in story.text:
        asked.append((f"What kind of animal is {story.hero.name}?", f"a {story.hero.kind}"))
    question, answer = chances.choice(asked)
    return Made(f"{story.text}\n\n{question}", answer, {"answer": answer})


def _rewrite(teller: Teller, chances: random.Random) -> Made:
    while True:
        story = short_story(teller)
        hero = story.hero
        about = [
            sentence
            for sentence in story.sentences
            if hero.name in sentence and story.friend.name not in sentence and '"' not in sentence
        ]
        names = read_grammar("cast")["boys" if hero.gender == "he" else "girls"]
        if about:
            sentence, new = chances.choice(about), chances.choice([name for name in names if name != hero.name])
            prompt = chances.choice(REWRITE).format(new=new, old=hero.name, sentence=sentence)
            answer = re.sub(rf"\b{hero.name}\b", new, sentence)
            return Made(prompt, answer, {"answer": answer})


def _sum(_: Teller, chances: random.Random) -> Made:
    a, b = chances.randint(1, 20), chances.randint(1, 20)
    if chances.random() < 0.5:
        prompt, answer = chances.choice(SUMS).format(a=a, b=b), str(a + b)
    else:
        a, b = max(a, b), min(a, b)
        prompt, answer = chances.choice(LESS).format(a=a, b=b), str(a - b)
    return Made(prompt, answer, {"answer": answer})


def _asked(chances: random.Random, what: str) -> str:
    return chances.choice(WRITE).format(what=what)


MAKERS: dict[str, Callable[[Teller, random.Random], Made]] = {
    "hero": _about_a_hero,
    "words": _with_words,
    "ending": _with_an_ending,
    "question": _question,
    "rewrite": _rewrite,
    "sum": _sum,
}


def write_instructions(path: str | Path, count: int, seed: int = 0) -> None:
    """Write a file of conversations, one a line."""
    lines = (json.dumps(each.to_json(), ensure_ascii=False) + "\n" for each in generate_instructions(count, seed))
    write_atomically(path, "".join(lines).encode())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write instructions with answers to a file of JSON lines.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_instructions(arguments.file, arguments.count, arguments.seed)
