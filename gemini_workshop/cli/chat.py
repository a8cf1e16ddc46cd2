"""gemini-workshop chat: write with a model, or ask it, turn by turn, in a terminal."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gemini_workshop.cli.options import Device, for_answers, refuse_together, with_generation_options
from gemini_workshop.cli.terminal import HINT, Terminal
from gemini_workshop.config import GenerationConfig


class Format(StrEnum):
    """How turns become one text."""

    story = "story"
    dialogue = "dialogue"
    question = "question"
    template = "template"


WELCOME = {
    "story": (
        "You and {name} write a story, a paragraph each. It continues texts like those it was trained on;\n"
        "it does not answer questions. Write how the story begins, or press Enter and let it continue by itself."
    ),
    "dialogue": "You talk with {name}, as User and Assistant. It answers only as well as it was trained to.",
    "question": (
        "You ask {name} about images, audio, videos and text: Which digit is it? seven.png\n"
        "It answers one question at a time, of the kinds it was trained on, and does not remember earlier ones."
    ),
    "template": "You ask {name}, which was taught to answer. It knows what it was trained on, and nothing else.",
}
NAME = "stories-small"


Name = Annotated[
    str | None,
    typer.Argument(metavar="CHECKPOINT", help=f"The same as --checkpoint. Default: {NAME}."),
]
CheckpointName = Annotated[str | None, typer.Option(help="A bundled checkpoint, or the folder of a run: runs/NAME.")]
FormatName = Annotated[
    Format | None,
    typer.Option(
        help="story: paragraphs of one story in turn; dialogue: User and Assistant; question: each turn is a "
        "question with files; template: turns between the marks that the model was taught. Default: template where it "
        "was taught one, question where it reads images, else story."
    ),
]


@with_generation_options("max_new_tokens", "temperature", "top_p", "seed", max_new_tokens=120)
def chat(
    context: typer.Context,
    *,
    name: Name = None,
    checkpoint: CheckpointName = None,
    format: FormatName = None,
    system: Annotated[str, typer.Option(help="Text above all turns: a setting, or instructions.")] = "",
    load: Annotated[Path | None, typer.Option(help="Continue a conversation saved with /save.")] = None,
    device: Device = "cpu",
    config: GenerationConfig,
) -> None:
    """Write a story with a model, or ask it about files.

    stories-small knows children's stories and nothing else: it is a partner for writing one, not for conversation.

    A checkpoint that reads images and audio answers questions about your files. Name them anywhere in the question, or
    attach them before it with /image, /audio or /video. It was trained on single questions of certain kinds: it
    answers one at a time, remembers none, and answers others all the same. Its answers are greedy unless --temperature
    is given.

    Examples:

        gemini-workshop chat

        gemini-workshop chat --system "A story about a lost dog." --temperature 0.6

        gemini-workshop chat --load dog.json

        gemini-workshop chat runs/mini-gemini-tasks

        gemini-workshop chat runs/stories-small-sft
    """
    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.data.conversations.templates import taught_template, template_of
    from gemini_workshop.devices import pick_device
    from gemini_workshop.generation.ask import media_of
    from gemini_workshop.generation.chat import ChatPartner, Conversation

    refuse_together({"CHECKPOINT": name is not None, "--checkpoint": checkpoint is not None})
    checkpoint = name or checkpoint or NAME
    loaded = Conversation.load(load) if load else None
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    usual = Format.story if model.config.media is None else Format.question
    if template_of(tokenizer) is not None:
        usual = Format.template
    conversation = loaded or Conversation((format or usual).value, system)
    if conversation.format == Format.question:
        media_of(model)
        config = for_answers(context, config)
    if conversation.format == Format.template:
        taught_template(tokenizer)
    terminal = Terminal(ChatPartner(model, tokenizer), conversation, config)
    terminal.say(WELCOME[conversation.format].format(name=Path(checkpoint).name))
    terminal.say(HINT)
    if load:
        terminal.history()
    terminal.run()
