"""What ``gemini-workshop chat`` does with each line: turns, questions with files, and commands."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import typer

from gemini_workshop.config import GenerationConfig
from gemini_workshop.config.section import MOST
from gemini_workshop.errors import ConfigError, WorkshopError, unknown_name

if TYPE_CHECKING:
    from gemini_workshop.generation.chat import ChatPartner, Conversation

HINT = "/help lists the commands; Ctrl-C interrupts a reply, Ctrl-D ends."
MEDIA = {
    "image": "FILE: ask about an image; of an animation, its first frame",
    "audio": "FILE: ask about a wav file",
    "video": "FILE: ask about an animation or a folder of images",
    "document": "FILE: ask with text and media mixed, from a file of one document",
}


class Terminal:
    """Reads turns and commands, shows replies while they are written."""

    def __init__(self, partner: "ChatPartner", conversation: "Conversation", config: GenerationConfig) -> None:
        self.partner, self.conversation, self.config = partner, conversation, config
        self.is_interactive = sys.stdin.isatty()
        self.attached: list[str] = []  # files that the next question is about
        self.commands: dict[str, tuple[Callable[[str], None], str]] = {
            **{kind: (partial(self.attach, kind), explanation) for kind, explanation in MEDIA.items()},
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
            except typer.Exit:  # which is a RuntimeError
                return
            except WorkshopError as error:
                self.say(str(error))
            except (OSError, ValueError, RuntimeError, MemoryError) as error:
                self.say(
                    f"That failed ({type(error).__name__}: {error}). The conversation is kept; /save NAME saves it."
                )
            except KeyboardInterrupt:
                self.say(" [interrupted]")

    def take(self, line: str) -> None:
        """One line of input: a command, or a turn."""
        from gemini_workshop.data.media.mentions import begins_with_file

        if self.conversation.format == "question" and (not line.startswith("/") or begins_with_file(line)):
            self.ask(line.strip())
            return
        if not line.startswith("/"):
            if line.strip() or self.conversation.format == "story":
                self.turn(line.strip())
            return
        name, _, argument = line[1:].partition(" ")
        if name not in self.commands:
            raise WorkshopError(unknown_name("command", name, self.commands))
        self.commands[name][0](argument.strip())

    def turn(self, text: str) -> None:
        """A turn of the user, and the reply to it."""
        from gemini_workshop.generation.chat import Turn

        with self._unless_refused():
            self.conversation.turns.append(Turn("user", text))
            self.reply()

    def ask(self, line: str) -> None:
        """A question; a line of files alone, whose content is read at once, is attached to the next one."""
        from gemini_workshop.data.media.documents import TextPart
        from gemini_workshop.data.media.mentions import parts_of, with_quotes
        from gemini_workshop.data.tasks.cards import shown

        line = with_quotes(line)
        parts = parts_of(line)
        if parts and not any(isinstance(part, TextPart) for part in parts):
            self.attached.append(line)
            self.say(f"{' '.join(map(shown, parts))} Ask about it, or press Enter to ask without words.")
        elif question := " ".join([*self.attached, line]).strip():
            attached, self.attached = self.attached, []
            try:
                self.turn(question)
            except WorkshopError:
                self.attached = attached
                raise

    def attach(self, kind: str, _: str) -> None:
        """Refuse a file where the model answers no questions; where it does, :meth:`ask` takes the line."""
        raise WorkshopError(
            f"/{kind} attaches a file to a question, and turns are parts of a {self.conversation.format} here. Start "
            "again with --format question and a checkpoint that reads images and audio."
        )

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
        elif not has_begun:
            typer.echo("[The model wrote nothing.]", nl=False)
        typer.echo()

    def help(self, _: str = "") -> None:
        """List the commands."""
        is_question = self.conversation.format == "question"
        for name, (_method, explanation) in self.commands.items():
            if name not in MEDIA or is_question:
                self.say(f"  /{name:8} {explanation}")

    def history(self, _: str = "") -> None:
        """Show the conversation as the model sees it."""
        said = self.conversation.text().strip() if self.conversation.turns else ""
        self.say(said or "Nothing has been said yet.")
        if self.attached:
            self.say(f"Attached to the next question: {' '.join(self.attached)}")

    def retry(self, _: str = "") -> None:
        """Write another reply."""
        turns = self.conversation.turns
        if not turns:
            raise WorkshopError("There is no turn to reply to. Write one first.")
        with self._unless_refused():
            if turns[-1].role == "model":
                turns.pop()
            self.reply()

    def undo(self, _: str = "") -> None:
        """Take back the last turn, or what was attached after it."""
        if self.attached:
            self.say(f"Taken back: {self.attached.pop()!r}")
            return
        turn = self.conversation.undo()
        self.say("There is nothing to take back." if turn is None else f"Taken back: {turn.text!r}")

    def new(self, _: str = "") -> None:
        """Delete all turns."""
        self.conversation.turns.clear()
        self.attached.clear()
        self.say("All turns are deleted. The text above them is kept; /system changes it.")

    def system(self, text: str = "") -> None:
        """Set or show the text above all turns."""
        if text:
            self.conversation.system = text
        self.say(self.conversation.system or "There is no text above the turns.")

    def set(self, assignment: str = "") -> None:
        """Change a setting, or show all."""
        from gemini_workshop.config.workshop import read_value

        settings = self.config.to_dict()
        if assignment:
            name, _, value = assignment.replace("=", " ", 1).partition(" ")
            if name not in settings:
                raise ConfigError(unknown_name("setting", name, settings))
            self.config = GenerationConfig.from_dict(settings | {name: read_value(name, value)})
            settings = {name: self.config.to_dict()[name]}
        self.say("\n".join(f"  {name} = {value}" for name, value in settings.items()))

    def save(self, file: str = "") -> None:
        """Write the conversation to a file."""
        if not file:
            raise WorkshopError("A file name is missing. Write /save NAME.json.")
        self.conversation.save(file)
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

    @contextlib.contextmanager
    def _unless_refused(self) -> Iterator[None]:
        """Keep all turns as they were if the model refuses to reply."""
        turns = list(self.conversation.turns)
        try:
            yield
        except (WorkshopError, OSError, ValueError, RuntimeError, MemoryError):
            self.conversation.turns[:] = turns
            raise

    def _with_next_seed(self) -> GenerationConfig:
        return replace(self.config, seed=self.config.seed + 1 if self.config.seed < MOST else 0)
