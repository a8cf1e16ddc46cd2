"""Exercise 13.1, ``question_ids``: its cases, and what learners get wrong."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from gemini_workshop.data.media.plain_encoding import question_ids
from gemini_workshop.exercises.core.battery.declaration import Battery
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say

Parts = Sequence[str | tuple[str, int]]
Encode = Callable[[str], list[int]]
Marks = Mapping[str, int]
NAMES = (
    *("end_of_text", "turn_end", "image_start", "image", "image_end"),
    *("audio_start", "audio", "audio_end"),
)


class Pairs:
    """A tokenizer for two letters at a time: texts that are joined first get other tokens."""

    def __call__(self, text: str) -> list[int]:
        """A token for each pair of letters."""
        return [100 + sum(map(ord, text[i : i + 2])) % 97 for i in range(0, len(text), 2)]

    def __deepcopy__(self, memo: dict[Any, Any]) -> "Pairs":
        return self

    def __repr__(self) -> str:
        return "encode"


def _cases(generator: torch.Generator) -> list[Arguments]:
    ids = (3 + torch.randperm(90, generator=generator)[: len(NAMES)]).tolist()
    marks, encode = dict(zip(NAMES, ids, strict=True)), Pairs()
    return [
        (["abc"], encode, marks),
        ([("image", 4), "Which?"], encode, marks),
        (["Hear", ("audio", 2), "and?"], encode, marks),
        ([("image", 1), ("image", 3), "Same"], encode, marks),
        (["a", "b", ("audio", 3), "cde", ("image", 2)], encode, marks),
    ]


def _oracle(parts: Parts, encode: Encode, marks: Marks) -> list[int]:
    words = ["end_of_text"]
    for part in parts:
        kind, places = (None, 0) if isinstance(part, str) else part
        words += [f"={token}" for token in encode(part)] if isinstance(part, str) else [f"{kind}_start"]
        words += [] if kind is None else [*(kind for _ in range(places)), f"{kind}_end"]
    return [int(word[1:]) if word.startswith("=") else marks[word] for word in [*words, "turn_end"]]


def _explain(function: Function, case: Arguments) -> str | None:
    got, needed = function(*case), _oracle(*case)
    parts, _, marks = case
    names = {number: name for name, number in marks.items()}
    if not isinstance(got, list) or got == needed:
        return None
    place = next((i for i, (a, b) in enumerate(zip(got, needed, strict=False)) if a != b), min(len(got), len(needed)))

    def at(ids: list[int]) -> str:
        return names.get(ids[place], f"the token {ids[place]}") if place < len(ids) else "nothing"

    return f"For the parts {list(parts)}, place {place} of the question holds {at(got)}; {at(needed)} is needed there."


def _medium(kind: str, places: int, marks: Marks) -> list[int]:
    return [marks[f"{kind}_start"], *[marks[kind]] * places, marks[f"{kind}_end"]]


def _question(
    parts: Parts,
    encode: Encode,
    marks: Marks,
    *,
    order: Callable[[Parts], Parts] = lambda parts: parts,
    before: Sequence[str] = ("end_of_text",),
    after: Sequence[str] = ("turn_end",),
    medium: Callable[[str, int, Marks], list[int]] = _medium,
    between: Callable[[list[list[int]], Marks], list[list[int]]] = lambda pieces, _: pieces,
) -> list[int]:
    """Right but for the steps: what comes before and after, the order, and what a medium becomes."""
    pieces = [encode(part) if isinstance(part, str) else medium(*part, marks) for part in order(parts)]
    inside = [token for piece in between(pieces, marks) for token in piece]
    return [*(marks[name] for name in before), *inside, *(marks[name] for name in after)]


def _spelled(parts: Parts, encode: Encode, marks: Marks) -> list[int]:
    def text(part: str | tuple[str, int]) -> str:
        if isinstance(part, str):
            return part
        kind, places = part
        return f"<|{kind}_start|>{f'<|{kind}|>' * places}<|{kind}_end|>"

    return [marks["end_of_text"], *encode("".join(map(text, parts))), marks["turn_end"]]


def _media_first(parts: Parts) -> Parts:
    return sorted(parts, key=lambda part: isinstance(part, str))


def _joined(parts: Parts) -> Parts:
    found: list[str | tuple[str, int]] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        else:
            found.append(part)
    return found


def _ended_each(pieces: list[list[int]], marks: Marks) -> list[list[int]]:
    return [*([*piece, marks["turn_end"]] for piece in pieces[:-1]), pieces[-1]]


QUESTION_IDS = Exercise(
    id="13.1",
    minutes=8,
    difficulty=2,
    importance=5,
    reference=question_ids,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    battery=Battery(gradients=False),
    misconceptions={
        "one place per medium": Say(
            "Each medium holds a single place. A patch and a frame is a token of its own: as many places as the "
            "medium has, or their vectors find none."
        ).to(_question, medium=lambda kind, places, marks: _medium(kind, 1, marks)),
        "places without start and end": Say(
            "The places of a medium have no start and no end. Two images side by side would become one."
        ).to(_question, medium=lambda kind, places, marks: [marks[kind]] * places),
        "no start of a medium": Say("A medium has an end and no start. The start says what follows.").to(
            _question, medium=lambda kind, places, marks: _medium(kind, places, marks)[1:]
        ),
        "no end of a medium": Say("A medium has a start and no end. Text that follows belongs to no image.").to(
            _question, medium=lambda kind, places, marks: _medium(kind, places, marks)[:-1]
        ),
        "start and end counted among the places": Say(
            "The start and the end are counted among the places, so that two patches find none. They come in addition."
        ).to(_question, medium=lambda kind, places, marks: _medium(kind, max(places - 2, 0), marks)),
        "marks of images for everything": Say(
            "Audio gets the marks of images. The model projects a frame by another matrix than a patch; the mark says "
            "by which."
        ).to(_question, medium=lambda kind, places, marks: _medium("image", places, marks)),
        "marks spelled out": Say(
            "The marks are written as text and encoded with it. Then they are letters, and no place is held. A mark is "
            "an id of its own, in `marks`."
        ).to(_spelled),
        "id times the number of places": Say(
            "The id of the mark is multiplied by the number of places, which gives another token. A list with the id "
            "in it is repeated: `[marks[kind]] * places`."
        ).to(
            _question,
            medium=lambda kind, places, marks: [marks[f"{kind}_start"], marks[kind] * places, marks[f"{kind}_end"]],
        ),
        "the start for every place": Say(
            "The start of a medium is in each of its places. Places have a mark of their own, `marks[kind]`."
        ).to(
            _question,
            medium=lambda kind, places, marks: [marks[f"{kind}_start"]] * (places + 1) + [marks[f"{kind}_end"]],
        ),
        "no end of text in front": Say(
            "The question does not begin with the end of the text before it. In training every document has it in "
            "front; without it the model reads something that it has never seen."
        ).to(_question, before=()),
        "no end of turn": Say(
            "The end of the turn is missing. It is what says that an answer follows, and not more of the question."
        ).to(_question, after=()),
        "end of text instead of end of turn": Say(
            "The question ends with the end of text. That ends the *answer*; a question ends with the end of turn."
        ).to(_question, after=("end_of_text",)),
        "end of turn and end of text": Say(
            "The end of text follows the end of the turn. The model would answer after its own end: that mark ends the "
            "*answer*."
        ).to(_question, after=("turn_end", "end_of_text")),
        "an end of turn after each part": Say(
            "There is an end of turn after each part. A question is one turn, however many parts it has."
        ).to(_question, between=_ended_each),
        "media before text": Say(
            "All media come first, and the texts after them. The order of the parts is the order of reading."
        ).to(_question, order=_media_first),
        "backwards": Say("The parts come in reverse order. The first part is read first.").to(
            _question, order=lambda parts: list(reversed(parts))
        ),
        "texts joined before they are encoded": Say(
            "Neighboring texts are joined before they are encoded, and at the seam they get other tokens than each of "
            "them has. Encode every part by itself."
        ).to(_question, order=_joined),
        "media left out": Say("The media have no places: only the texts are there.").to(
            _question, order=lambda parts: [part for part in parts if isinstance(part, str)]
        ),
        "text left out": Say("The texts are missing: only the media are there.").to(
            _question, order=lambda parts: [part for part in parts if not isinstance(part, str)]
        ),
    },
    hints=(
        "Walk through the parts in order and let a list grow. A part is either a text or a pair: `isinstance(part, "
        "str)` says which.",
        "A medium of the kind `kind` becomes three pieces: its start, its own mark as often as it has places, its end. "
        'Their names are made of `kind`: `f"{kind}_start"`.',
        'Begin with `[marks["end_of_text"]]`; add `encode(part)`, or `[marks[f"{kind}_start"], *[marks[kind]] * '
        'num_places, marks[f"{kind}_end"]]`; at last `marks["turn_end"]`.',
    ),
)
