"""A conversation: turns, how they become one text for the model, and replies that continue from the cache.

A model knows only text. A :class:`ChatFormat` writes the turns as one text, and defines where a reply ends:

    story      turns are paragraphs of one story that both write: for a model trained on stories
    dialogue   "User: ..." and "Assistant: ..." in turn: for a model trained on dialogue
    question   each turn is a question of its own, with the files that it names: for a model trained on questions
    template   turns stand between the marks of a chat template, for a model that was taught it; its tokens, not this
               class, say where a reply ends

From turn to turn all but questions only grow, so the cache holds nearly all of it, and only what is new is read. Of
questions the model reads the last one alone, as in its training.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.conversations.templates import Message, Role, taught_template
from gemini_workshop.data.media.documents import TextPart
from gemini_workshop.data.media.mentions import parts_of
from gemini_workshop.data.tokenizers import Tokenizer, prompt_ids, stop_ids
from gemini_workshop.errors import DataError
from gemini_workshop.files import write_result
from gemini_workshop.generation.ask import ask
from gemini_workshop.generation.decode import generate
from gemini_workshop.generation.reader import Reader
from gemini_workshop.generation.sampler import Sampler
from gemini_workshop.generation.streaming import StopFilter, text_pieces
from gemini_workshop.models.transformer import Transformer
from gemini_workshop.reading import read_json, without_halves


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatFormat:
    """How turns become one text: a template for each role, in which ``{}`` is the turn.

    Attributes:
        stop_strings: where a reply ends.
    """

    system: str
    user: str
    model: str
    stop_strings: tuple[str, ...]

    def opening(self) -> str:
        """The text before a reply, without a space: that is part of the reply's first token."""
        return self.model.partition("{}")[0]


FORMATS = {
    "story": ChatFormat(system="{}\n\n", user="{}", model="{}\n\n", stop_strings=("\n",)),
    "dialogue": ChatFormat(
        system="{}\n\n", user="User: {}\n", model="Assistant:{}\n", stop_strings=("\nUser:", "\nAssistant:")
    ),
    "question": ChatFormat(system="{}\n\n", user="{}\n", model="{}\n\n", stop_strings=()),
    "template": ChatFormat(system="{}\n\n", user="{}\n\n", model="{}\n\n", stop_strings=()),
}


@dataclass(slots=True)
class Turn:
    """What the user or the model said."""

    role: Literal["user", "model"]
    text: str


@dataclass(slots=True)
class Conversation:
    """All turns so far.

    Attributes:
        system: the text above all turns: the setting of the story, or instructions; of questions, the text before each.
    """

    format: str = "story"
    system: str = ""
    turns: list[Turn] = field(default_factory=list)

    def text(self) -> str:
        """Everything as one text, up to where the next reply begins."""
        form = FORMATS[self.format]
        parts = [form.system.replace("{}", self.system)] if self.system else []
        parts += [(form.user if turn.role == "user" else form.model).replace("{}", turn.text) for turn in self.turns]
        return "".join(parts) + form.opening()

    def messages(self) -> list[Message]:
        """The turns for a chat template."""
        roles: dict[str, Role] = {"user": "user", "model": "assistant"}
        system = [Message("system", self.system)] if self.system else []
        return [*system, *(Message(roles[turn.role], turn.text) for turn in self.turns)]

    def undo(self) -> Turn | None:
        """Remove the last reply and the turn it replied to; return that turn."""
        while self.turns:
            turn = self.turns.pop()
            if turn.role == "user":
                return turn
        return None

    def save(self, path: str | Path) -> None:
        """Write a JSON file for :meth:`load`."""
        turns = [{"role": turn.role, "text": turn.text} for turn in self.turns]
        content = {"format": self.format, "system": self.system, "turns": turns}
        write_result(path, without_halves(json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode())

    @classmethod
    def load(cls, path: str | Path) -> "Conversation":
        """Read what :meth:`save` wrote.

        Raises:
            DataError: there is no such file, or it is not a conversation.
        """
        content = read_json(path, "a saved conversation")
        if not _is_conversation(content):
            raise DataError(
                f"{path} is not a conversation. It needs a format ({', '.join(FORMATS)}), a system text, and turns, "
                "each with a role (user or model) and a text."
            )
        turns = [Turn(turn["role"], turn["text"]) for turn in content["turns"]]
        return cls(content["format"], content["system"], turns)


def _is_conversation(content: Any) -> bool:
    return (
        isinstance(content, dict)
        and content.get("format") in FORMATS
        and isinstance(content.get("system"), str)
        and isinstance(content.get("turns"), list)
        and all(
            isinstance(turn, dict) and turn.get("role") in ("user", "model") and isinstance(turn.get("text"), str)
            for turn in content["turns"]
        )
    )


class ChatPartner:
    """A model that replies, and keeps what it has read in its cache.

    Attributes:
        reader: the model with what it has read of the conversation.
        has_ended: the last reply ended with the model's end-of-text token.
    """

    def __init__(self, model: Transformer, tokenizer: Tokenizer) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.reader = Reader(model)
        self.has_ended = False

    def reply(
        self, conversation: Conversation, config: GenerationConfig, *, sampler: Sampler | None = None
    ) -> Iterator[str]:
        """Yield the next reply in pieces, and add each piece that was taken to the conversation.

        Raises:
            WorkshopError: a question names a file that cannot be read, or cannot be asked, or the model was taught no
                template; no turn is added.
        """
        turn = Turn("model", "")
        if conversation.format == "question":
            pieces = self._answer(conversation, config, sampler)
        elif conversation.format == "template":
            pieces = self._templated(conversation, config, sampler)
        else:
            prompt = prompt_ids(self.tokenizer, conversation.text())
            pieces = text_pieces(self._tokens(prompt, config, sampler), self.tokenizer)
        conversation.turns.append(turn)
        try:
            for piece in until_stop(pieces, FORMATS[conversation.format].stop_strings):
                turn.text += piece
                yield piece
        except KeyboardInterrupt:
            self.reader = Reader(self.model)  # some layers may have read a token that others have not
            raise

    def _answer(self, conversation: Conversation, config: GenerationConfig, sampler: Sampler | None) -> Iterator[str]:
        self.has_ended = False
        before = [TextPart(text=conversation.system)] if conversation.system else []
        parts = [*before, *parts_of(conversation.turns[-1].text)]
        return ask(self.model, self.tokenizer, *parts, config=config, sampler=sampler)

    def _templated(
        self, conversation: Conversation, config: GenerationConfig, sampler: Sampler | None
    ) -> Iterator[str]:
        template, prompt = taught_template(self.tokenizer), conversation.messages()
        ids = template.encode(prompt, self.tokenizer, add_generation_prompt=True).ids
        ends = {self.tokenizer.special_tokens[template.end], *stop_ids(self.tokenizer)}
        self.has_ended = False  # the end of a turn is not the end of the conversation
        tokens = generate(self.model, ids, config, stop_ids=ends, sampler=sampler, reader=self.reader)
        return text_pieces(tokens, self.tokenizer)

    def _tokens(self, prompt: list[int], config: GenerationConfig, sampler: Sampler | None) -> Iterator[int]:
        self.has_ended = False
        number, ends = 0, stop_ids(self.tokenizer)
        for token in generate(self.model, prompt, config, stop_ids=ends, sampler=sampler, reader=self.reader):
            number += 1
            yield token
        self.has_ended = number < config.max_new_tokens


def until_stop(pieces: Iterator[str], stop_strings: tuple[str, ...]) -> Iterator[str]:
    r"""The pieces up to a stop string; white space at the very beginning does not count as one.

    Example:
        >>> list(until_stop(iter(["\n", " The", " end.\n", "More"]), ("\n",)))
        ['\n', ' The', ' end.']
    """
    stop = StopFilter(stop_strings, skips_space=True)
    for piece in pieces:
        if shown := stop.push(piece):
            yield shown
        if stop.stop is not None:
            return
    if rest := stop.finish():
        yield rest
