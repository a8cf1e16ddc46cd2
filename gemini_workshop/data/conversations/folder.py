"""Conversations of a run on disk: both splits, the template and the tokenizer.

FOLDER/conversations.json     the name of the template
       train.jsonl            one conversation a line
       validation.jsonl
       tokenizer.json
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gemini_workshop.config import WorkshopConfig
from gemini_workshop.data.batches.reading import is_for_validation
from gemini_workshop.data.conversations.reading import Conversation, read_conversations
from gemini_workshop.data.conversations.rows import ConversationRows, ConversationSource
from gemini_workshop.data.conversations.templates import TEMPLATES, ChatTemplate
from gemini_workshop.data.tokenizers import Tokenizer, load_tokenizer
from gemini_workshop.errors import DataError, unknown_name
from gemini_workshop.files import write_atomically
from gemini_workshop.reading import read_json

CONVERSATIONS_FILE = "conversations.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversations:
    """Both splits of conversations, and the tokenizer that writes them."""

    folder: Path
    tokenizer: Tokenizer
    template: ChatTemplate
    train: list[Conversation]
    validation: list[Conversation]

    @classmethod
    def open(cls, folder: str | Path) -> "Conversations":
        """What was written to a folder.

        Raises:
            DataError: a file is missing or damaged.
        """
        folder = Path(folder)
        content = read_json(folder / CONVERSATIONS_FILE)
        name = content.get("template") if isinstance(content, dict) else None
        return cls(
            folder=folder,
            tokenizer=load_tokenizer(folder / "tokenizer.json"),
            template=template_named(name),
            train=read_conversations(folder / "train.jsonl"),
            validation=read_conversations(folder / "validation.jsonl"),
        )

    def source(self, config: WorkshopConfig) -> ConversationSource:
        """Its batches, as a configuration asks for them.

        Raises:
            DataError: the tokenizer's vocabulary is not the model's, or no answer fits into a row.
        """
        if self.tokenizer.vocab_size != config.model.vocab_size:
            raise DataError(
                f"The tokenizer of {self.folder} has vocab_size={self.tokenizer.vocab_size}, but the model has "
                f"vocab_size={config.model.vocab_size}. Give the model the tokens of the template first."
            )
        train, validation = (
            ConversationRows(split, self.tokenizer, self.template, config.row_tokens)
            for split in (self.train, self.validation)
        )
        return ConversationSource(
            train_rows=train,
            validation_rows=validation,
            batch_size=config.training.batch_size,
            seed=config.training.seed,
        )


def template_named(name: object) -> ChatTemplate:
    """A template by its name.

    Raises:
        DataError: there is none.
    """
    if not isinstance(name, str) or name not in TEMPLATES:
        raise DataError(unknown_name("template", str(name), TEMPLATES))
    return TEMPLATES[name]


def write_conversations(
    folder: Path,
    conversations: Sequence[Conversation],
    tokenizer: Tokenizer,
    template: str,
    validation_fraction: float,
) -> Conversations:
    """Write both splits to a folder; what the user says first decides the split, so that no question is in both.

    Raises:
        DataError: there is no such template, or a split would be empty.
    """
    template_named(template)
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "validation"):
        chosen = [
            each
            for each in conversations
            if is_for_validation(_question(each), validation_fraction) == (split == "validation")
        ]
        if not chosen:
            raise DataError(
                f"Of {len(conversations)} conversations none is left for {split} at "
                f"validation_fraction={validation_fraction}. Use more conversations, or another fraction."
            )
        write_atomically(folder / f"{split}.jsonl", "".join(map(_line, chosen)).encode())
    tokenizer.save(folder / "tokenizer.json")
    write_atomically(folder / CONVERSATIONS_FILE, json.dumps({"template": template}).encode())
    return Conversations.open(folder)


def _question(conversation: Conversation) -> str:
    return next(message.content for message in conversation if message.role == "user")


def _line(conversation: Conversation) -> str:
    messages = [{"role": message.role, "content": message.content} for message in conversation]
    return json.dumps({"messages": messages}, ensure_ascii=False) + "\n"
