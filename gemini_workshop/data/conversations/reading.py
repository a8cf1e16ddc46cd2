"""Conversations from files of JSON lines or JSON, in the forms in which they are published.

{"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}]}     chat models
{"instruction": "...", "input": "...", "output": "..."}                                         Alpaca's form
{"prompt": "...", "response": "..."}                                                            one question, one answer
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gemini_workshop.data.conversations.templates import ROLES, Message, check_order
from gemini_workshop.errors import DataError
from gemini_workshop.reading import read_json, read_json_lines

Conversation = tuple[Message, ...]


def read_conversations(path: str | Path) -> list[Conversation]:
    """All conversations of a file; .json is one list, everything else a JSON object a line.

    Raises:
        DataError: the file cannot be read, holds no conversation, or one is of no known form; the message says where.
    """
    found = [conversation_of(value, where) for where, value in _values(Path(path))]
    if not found:
        raise DataError(f"{path} holds no conversation. Write one JSON object a line, with a list of messages in each.")
    return found


def conversation_of(value: Any, where: str) -> Conversation:
    """One conversation, from any of the forms; it ends with what the model says.

    Raises:
        DataError: it is of none of the forms, or the model says nothing in it.
    """
    if not isinstance(value, dict):
        raise DataError(
            f"{where} is not a conversation: it is not a JSON object. Write messages, or a prompt and a response."
        )
    try:
        messages = tuple(_messages(value))
        check_order(messages)
    except DataError as error:
        raise DataError(f"{where} is not a conversation: {error}") from None
    if messages[-1].role != "assistant":
        raise DataError(f"{where} is not a conversation to learn from: the user has the last word. Add an answer.")
    return messages


def _messages(value: Mapping[str, Any]) -> Iterator[Message]:
    if "messages" in value:
        messages = value["messages"]
        if not isinstance(messages, list):
            raise DataError(f"messages={messages!r} is not a list.")
        for message in messages:
            if not isinstance(message, dict):
                raise DataError(f"{message!r} is not a message with a role and a content.")
            role = message.get("role")
            if role not in ROLES:
                raise DataError(f"role={role!r} is none of {', '.join(ROLES)}.")
            yield Message(role, _text(message, "content"))
    elif "instruction" in value:
        given = _text(value, "input") if value.get("input") else ""
        yield Message("user", "\n\n".join(part for part in (_text(value, "instruction"), given) if part))
        yield Message("assistant", _text(value, "output"))
    elif "prompt" in value:
        yield Message("user", _text(value, "prompt"))
        yield Message("assistant", _text(value, "response"))
    else:
        raise DataError(f"it has {', '.join(map(str, value)) or 'nothing'}, and needs messages, instruction or prompt.")


def _text(value: Mapping[str, Any], name: str) -> str:
    text = value.get(name)
    if not isinstance(text, str):
        raise DataError(f"{name}={text!r} is not a text.")
    return text


def _values(path: Path) -> Iterator[tuple[str, Any]]:
    if path.suffix.lower() != ".json":
        yield from read_json_lines(path, "a file of conversations")
        return
    content = read_json(path, "a file of conversations")
    if not isinstance(content, list):
        raise DataError(
            f"{path} is not a list of conversations. Write [ ... ], or one JSON object a line in a .jsonl file."
        )
    yield from ((f"{path}, entry {i},", value) for i, value in enumerate(content, start=1))
