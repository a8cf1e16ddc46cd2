"""gemini-workshop chat: write with a model, turn by turn, in a terminal."""

import contextlib
import sys
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gemini_workshop.cli.options import Checkpoint, Device, with_generation_options
from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import ConfigError, WorkshopError, unknown_name

if TYPE_CHECKING:
    from gemini_workshop.generation.chat import ChatPartner, Conversation


class Format(StrEnum):
    """How turns become one text."""

    story = "story"
    dialogue = "dialogue"


WELCOME = {
    "story": (
        "You and {name} write a story, a paragraph each. It continues texts like those it was trained on;\n"
        "it does not answer questions. Write how the story begins, or press Enter and let it continue by itself."
    ),
    "dialogue": "You talk with {name}, as User and Assistant. It answers only as well as it was trained to.",
}
HINT = "/help lists the commands; Ctrl-C interrupts a reply, Ctrl-D ends."


@with_generation_options("max_new_tokens", "temperature", "top_p", "seed", max_new_tokens=120)
def chat(
    *,
    checkpoint: Checkpoint = "stories-small",
    format: Annotated[
        Format, typer.Option(help="story: paragraphs of one story in turn; dialogue: User and Assistant.")
    ] = Format.story,
    system: Annotated[str, typer.Option(help="Text above all turns: a setting, or instructions.")] = "",
    load: Annotated[Path | None, typer.Option(help="Continue a conversation saved with /save.")] = None,
    device: Device = "cpu",
    config: GenerationConfig,
) -> None:
    """Write a story together with the model, turn by turn.

    The bundled model knows children's stories and nothing else: it is a partner for writing one, not for conversation.

    Examples:

        gemini-workshop chat

        gemini-workshop chat --system "A story about a lost dog." --temperature 0.6

        gemini-workshop chat --load dog.json
    """
    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.generation.chat import ChatPartner, Conversation

    conversation = Conversation.load(load) if load else Conversation(format.value, system)
    partner = ChatPartner(*load_pretrained(checkpoint, pick_device(device)))
    terminal = Terminal(partner, conversation, config)
    terminal.say(WELCOME[conversation.format].format(name=Path(checkpoint).name))
    terminal.say(HINT)
    if load:
        terminal.history()
    terminal.run()


class Terminal:
    """Reads turns and commands, shows replies while they are written."""

    def __init__(self, partner: "ChatPartner", conversation: "Conversation", config: GenerationConfig) -> None:
        self.partner, self.conversation, self.config = partner, conversation, config
        self.is_interactive = sys.stdin.isatty()
        self.commands = {
            "help": (self.help, "this list"),
            "history": (self.history, "the whole conversation"),
            "retry": (self.retry, "another reply to the same turn"),
            "undo": (self.undo, "take back your last turn and the reply"),
            "new": (self.new, "start again"),
            "system": (self.system, "TEXT: set the text above all turns; without TEXT, show it"),
            "set": (self.set, "NAME VALUE: temperature, top_p, top_k, max_new_tokens, seed ...; alone, show them"),
            "save": (self.save, "FILE: save the conversation"),
            "load": (self.load, "FILE: continue a saved conversation"),
            "quit": (self.quit, "end (or Ctrl-D)"),
        }
        if self.is_interactive:
            with contextlib.suppress(ImportError):  # Windows has its own
                import readline  # noqa: F401  # arrow keys and earlier lines in input()

    def run(self) -> None:
        """Take turns until the end of the input."""
        while True:
            try:
                line = input("\n> " if self.is_interactive else "")
            except EOFError:
                self.say("")
                return
            except KeyboardInterrupt:
                self.say(f"\n{HINT}")
                continue
            try:
                self.take(line)
            except WorkshopError as error:
                self.say(str(error))
            except KeyboardInterrupt:
                self.say(" [interrupted]")

    def take(self, line: str) -> None:
        """One line of input: a command, or a turn."""
        from gemini_workshop.generation.chat import Turn

        if not line.startswith("/"):
            if line.strip() or self.conversation.format == "story":
                self.conversation.turns.append(Turn("user", line.strip()))
                self.reply()
            return
        name, _, argument = line[1:].partition(" ")
        if name not in self.commands:
            raise WorkshopError(unknown_name("command", name, self.commands))
        self.commands[name][0](argument.strip())

    def reply(self) -> None:
        """Let the model reply, and show the reply as it comes."""
        has_begun = False
        for piece in self.partner.reply(self.conversation, self.config):
            shown = piece if has_begun else piece.lstrip()
            has_begun = has_begun or bool(shown)
            typer.echo(shown, nl=False)
        self.config = self._with_next_seed()
        if self.partner.has_ended:
            typer.echo("\n[The model ended the text here. Write more, or start again with /new.]", nl=False)
        typer.echo()

    def help(self, _: str = "") -> None:
        """List the commands."""
        for name, (_method, explanation) in self.commands.items():
            self.say(f"  /{name:8} {explanation}")

    def history(self, _: str = "") -> None:
        """Show the conversation as the model sees it."""
        said = self.conversation.text().strip() if self.conversation.turns else ""
        self.say(said or "Nothing has been said yet.")

    def retry(self, _: str = "") -> None:
        """Write another reply."""
        turns = self.conversation.turns
        if not turns:
            raise WorkshopError("There is no turn to reply to. Write one first.")
        if turns[-1].role == "model":
            turns.pop()
        self.reply()

    def undo(self, _: str = "") -> None:
        """Take back the last turn."""
        turn = self.conversation.undo()
        self.say("There is nothing to take back." if turn is None else f"Taken back: {turn.text!r}")

    def new(self, _: str = "") -> None:
        """Delete all turns."""
        self.conversation.turns.clear()
        self.say("All turns are deleted. The text above them is kept; /system changes it.")

    def system(self, text: str = "") -> None:
        """Set or show the text above all turns."""
        if text:
            self.conversation.system = text
        self.say(self.conversation.system or "There is no text above the turns.")

    def set(self, assignment: str = "") -> None:
        """Change a setting, or show all."""
        import yaml

        settings = self.config.to_dict()
        if assignment:
            name, _, value = assignment.replace("=", " ", 1).partition(" ")
            if name not in settings:
                raise ConfigError(unknown_name("setting", name, settings))
            self.config = GenerationConfig.from_dict(settings | {name: yaml.safe_load(value)})
            settings = {name: self.config.to_dict()[name]}
        self.say("\n".join(f"  {name} = {value}" for name, value in settings.items()))

    def save(self, file: str = "") -> None:
        """Write the conversation to a file."""
        if not file:
            raise WorkshopError("A file name is missing. Write /save NAME.json.")
        try:
            self.conversation.save(file)
        except OSError as error:
            raise WorkshopError(f"{file} cannot be written: {error.strerror}. Choose another file.") from None
        self.say(f"Saved {len(self.conversation.turns)} turns to {file}.")

    def load(self, file: str = "") -> None:
        """Continue a saved conversation."""
        from gemini_workshop.generation.chat import Conversation

        if not file:
            raise WorkshopError("A file name is missing. Write /load NAME.json.")
        self.conversation = Conversation.load(file)
        self.history()

    def quit(self, _: str = "") -> None:
        """End."""
        raise typer.Exit

    def say(self, text: str) -> None:
        """Show a line that is not part of the conversation."""
        typer.echo(text)

    def _with_next_seed(self) -> GenerationConfig:
        return replace(self.config, seed=self.config.seed + 1)
