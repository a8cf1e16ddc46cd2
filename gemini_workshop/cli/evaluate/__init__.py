"""``gemini-workshop evaluate``: how good a trained model is. Without a subcommand, the loss on a text."""

from typing import Any

from typer.core import TyperGroup

from gemini_workshop.cli.evaluate.abilities import abilities
from gemini_workshop.cli.evaluate.choice import choice
from gemini_workshop.cli.evaluate.compare import compare
from gemini_workshop.cli.evaluate.curve import curve
from gemini_workshop.cli.evaluate.instructions import instructions
from gemini_workshop.cli.evaluate.needle import needle
from gemini_workshop.cli.evaluate.perplexity import perplexity
from gemini_workshop.cli.evaluate.programs import code
from gemini_workshop.cli.evaluate.results import results
from gemini_workshop.cli.evaluate.speed import speed
from gemini_workshop.cli.evaluate.stories import stories
from gemini_workshop.cli.options import Commands


class PerplexityFirst(TyperGroup):
    """A group in which ``evaluate CHECKPOINT ...`` means ``evaluate perplexity CHECKPOINT ...``."""

    default_command = "perplexity"

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the default command where none is named."""
        is_completed = ctx.resilient_parsing  # by a shell, which lists the commands where none is named yet
        if not (args or is_completed) or (args and args[0] not in {*self.commands, "-h", "--help"}):
            args = [self.default_command, *args]
        return super().parse_args(ctx, args)


app = Commands(
    cls=PerplexityFirst,
    help="Evaluate a trained model.\n\n"
    "`evaluate CHECKPOINT` is short for `evaluate perplexity CHECKPOINT`: the loss on a text. Every measurement can be "
    "saved as a small JSON file (--result) and as a picture (--picture); `results` shows such files side by side.",
)
app.command()(perplexity)
app.command()(needle)
app.command()(choice)
app.command()(abilities)
app.command()(curve)
app.command()(instructions)
app.command()(code)
app.command()(compare)
app.command()(speed)
app.command()(stories)
app.command()(results)
