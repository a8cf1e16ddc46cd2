"""The model that a server answers with, and how it is spoken to."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from gemini_workshop.data.conversations.templates import ChatTemplate, template_of
from gemini_workshop.data.tokenizers import Tokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.constrained import token_bytes
from gemini_workshop.models.transformer import Transformer

Format = Literal["template", "question", "story", "dialogue"]
"""How a conversation becomes a text: by the marks that the model was taught, or, for models that know none, as
:mod:`gemini_workshop.generation.chat` does it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """A model under its public name.

    Args:
        name: what clients call it; never a path.
        format: of conversations.
        bytes_of: the bytes of each token.
    """

    name: str
    model: Transformer
    tokenizer: Tokenizer
    format: Format
    template: ChatTemplate | None
    bytes_of: list[bytes] = field(repr=False)

    @property
    def context_tokens(self) -> int:
        """The longest text that the model reads."""
        return self.model.config.context_tokens


def served(model: Transformer, tokenizer: Tokenizer, checkpoint: str, format: Format | None = None) -> Served:
    """A model as it is served.

    Args:
        format: by default the template of a model that was taught one, questions for a model that reads images, and a
            story for every other.

    Raises:
        WorkshopError: the model cannot be spoken to in this format.
    """
    template = template_of(tokenizer)
    usual: Format = "template" if template else "question" if model.config.media is not None else "story"
    format = format or usual
    if format not in get_args(Format):
        raise WorkshopError(f"There is no format {format!r}. Choose one of {', '.join(get_args(Format))}.")
    if format == "template" and template is None:
        raise WorkshopError(
            "The tokenizer has the marks of no chat template, so this model was not taught to chat. "
            "Leave --format out, or finetune the model on conversations first: gemini-workshop finetune sft."
        )
    if format == "question" and model.config.media is None:
        raise WorkshopError("--format question is for models that read images. Choose story or dialogue.")
    name = Path(checkpoint).resolve().name
    return Served(
        name=name,
        model=model,
        tokenizer=tokenizer,
        format=format,
        template=template if format == "template" else None,
        bytes_of=token_bytes(tokenizer),
    )
