"""How the turns of a conversation become tokens: marks around each turn, the role, and what is said.

    Gemma     <start_of_turn>user⏎What is 2 + 2?<end_of_turn>⏎<start_of_turn>model⏎Four.<end_of_turn>⏎
    ChatML    <|im_start|>user⏎What is 2 + 2?<|im_end|>⏎<|im_start|>assistant⏎Four.<|im_end|>⏎

The marks are special tokens: what a user types never becomes one, so nobody can write the model's turn for it.

Source: Gemma Team 2025, arXiv:2503.19786, table 4 ("formatting"); OpenAI 2023, "Chat Markup Language".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import DataError

Role = Literal["system", "user", "assistant"]
ROLES: tuple[Role, ...] = ("system", "user", "assistant")


@dataclass(frozen=True, slots=True)
class Message:
    """One turn.

    Args:
        content: what is said; white space around it is dropped.
    """

    role: Role
    content: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "content", self.content.strip())


class EncodedChat(NamedTuple):
    """A conversation as tokens, and which of them the model says: its words and the end of each of its turns."""

    ids: list[int]
    is_answer: list[bool]


@dataclass(frozen=True, kw_only=True)
class ChatTemplate:
    """Marks and names.

    Args:
        start, end: the marks around a turn.
        names: what the roles are called; a role that is missing has no turns of its own, and a system message is then
            put before the first thing that the user says.
    """

    start: str
    end: str
    names: Mapping[Role, str] = field(default_factory=lambda: {role: role for role in ROLES})

    @property
    def marks(self) -> tuple[str, str]:
        """The special tokens that a vocabulary needs."""
        return self.start, self.end

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """The conversation as a text, without the beginning-of-text token.

        Args:
            add_generation_prompt: end with the beginning of the model's turn.

        Example:
            >>> print(CHATML.render([Message("user", "Hello")], add_generation_prompt=True))
            <|im_start|>user
            Hello<|im_end|>
            <|im_start|>assistant
            <BLANKLINE>
        """
        turns = [
            f"{self.start}{self.names[message.role]}\n{message.content}{self.end}\n"
            for message in self._turns(messages)
        ]
        return "".join(turns) + (f"{self.start}{self.names['assistant']}\n" if add_generation_prompt else "")

    def encode(
        self, messages: Sequence[Message], tokenizer: Tokenizer, add_generation_prompt: bool = False
    ) -> EncodedChat:
        """The conversation as tokens, from the end of the text before it.

        Raises:
            DataError: the tokenizer lacks the marks, or the roles are in no order that a conversation can have.
        """
        start, end = (self._id(mark, tokenizer) for mark in self.marks)
        pieces: list[tuple[list[int], bool]] = [([tokenizer.end_of_text_id], False)]
        for message in self._turns(messages):
            pieces += [
                ([start, *tokenizer.encode(f"{self.names[message.role]}\n")], False),
                ([*tokenizer.encode(message.content), end], message.role == "assistant"),
                (tokenizer.encode("\n"), False),
            ]
        if add_generation_prompt:
            pieces.append(([start, *tokenizer.encode(f"{self.names['assistant']}\n")], False))
        return EncodedChat(
            [token for ids, _ in pieces for token in ids], [is_answer for ids, is_answer in pieces for _ in ids]
        )

    def _turns(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as turns, a system message where the template has a place for it."""
        check_order(messages)
        first, *rest = messages
        if first.role != "system" or "system" in self.names:
            return list(messages)
        user, *rest = rest
        return [Message("user", f"{first.content}\n\n{user.content}"), *rest]

    def _id(self, mark: str, tokenizer: Tokenizer) -> int:
        if mark not in tokenizer.special_tokens:
            raise DataError(
                f"The tokenizer has no token {mark}, so it cannot say where a turn begins or ends. Give it the tokens "
                f"of the template with `gemini_workshop.finetuning.vocabulary.with_tokens`, or choose a model that was "
                "taught to chat, such as stories-chat."
            )
        return tokenizer.special_tokens[mark]


def check_order(messages: Sequence[Message]) -> None:
    """Refuse what cannot be a conversation.

    Raises:
        DataError: it is empty, or the roles are not user and assistant in turn, after at most one system message.
    """
    roles = [message.role for message in messages]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or any(role != ("user", "assistant")[i % 2] for i, role in enumerate(turns)):
        raise DataError(
            f"The roles are {', '.join(roles) or 'none'}. Let user and assistant take turns, beginning with user; "
            "one system message may come before."
        )


def template_of(tokenizer: Tokenizer) -> "ChatTemplate | None":
    """The template whose marks a tokenizer knows; None if its model was not taught to chat."""
    return next((each for each in TEMPLATES.values() if set(each.marks) <= set(tokenizer.special_tokens)), None)


def taught_template(tokenizer: Tokenizer) -> "ChatTemplate":
    """The same, of a model that must have been taught one.

    Raises:
        DataError: the tokenizer knows the marks of none.
    """
    if (template := template_of(tokenizer)) is None:
        raise DataError(
            f"The tokenizer has the marks of no chat template ({', '.join(TEMPLATES)}), so this model was not taught "
            "to chat. `gemini-workshop finetune sft` teaches one; another --format needs none."
        )
    return template


GEMMA = ChatTemplate(start="<start_of_turn>", end="<end_of_turn>", names={"user": "user", "assistant": "model"})
CHATML = ChatTemplate(start="<|im_start|>", end="<|im_end|>")
TEMPLATES = {"gemma": GEMMA, "chatml": CHATML}
