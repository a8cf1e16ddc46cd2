"""Options that several commands share, and help in which options stand in groups.

The options that shape generated text are the fields of :class:`~gemini_workshop.config.GenerationConfig`: their names,
types, defaults and sentences are written there and nowhere else.
"""

import dataclasses
import functools
import inspect
import json
import math
from collections.abc import Callable, Collection
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from gemini_workshop.config import GenerationConfig
from gemini_workshop.config.section import MOST
from gemini_workshop.errors import WorkshopError
from gemini_workshop.reading import shortened

Checkpoint = Annotated[str, typer.Option(help="A bundled checkpoint, or the folder of a run: runs/NAME.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for scripts.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


class Commands(typer.Typer):
    """A group of commands, each of which refuses numbers that none can mean."""

    def command(self, *args: Any, cls: type[TyperCommand] | None = None, **kwargs: Any) -> Any:
        """Add a command."""
        return super().command(*args, cls=cls or CheckedCommand, **kwargs)


class CheckedCommand(TyperCommand):
    """A command whose numbers are finite, and no larger than files and tensors can hold."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command.

        Raises:
            WorkshopError: a number was given that cannot be meant.
        """
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            if isinstance(value, float | int) and not -MOST <= value <= MOST:
                given = f"{parameter.opts[0]} {shortened(str(value))}"
                raise WorkshopError(f"{given} is too large, or is not a number. Choose one up to {MOST:,}.")
        return super().invoke(ctx)


class GroupedHelp(CheckedCommand):
    """A command whose help shows its options in groups, each under the title given as ``rich_help_panel``."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write arguments, then each group of options, in the order in which they first appear."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            if record := parameter.get_help_record(ctx):
                kind = "Arguments" if parameter.param_type_name == "argument" else "Options"
                groups.setdefault(getattr(parameter, "rich_help_panel", None) or kind, []).append(record)
        for title, records in groups.items():
            with formatter.section(title):
                formatter.write_dl(records)


def with_generation_options(*names: str, **defaults: Any) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command options for fields of GenerationConfig; it gets the configuration as its argument ``config``.

    Args:
        names: of the fields; all of them, if left out.
        defaults: of this command, where they differ from those of the fields.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        fields = [field for field in dataclasses.fields(GenerationConfig) if not names or field.name in names]
        options = [_option_of(field, defaults.get(field.name, field.default), "Sampling") for field in fields]
        return with_options(command, "config", GenerationConfig, options)

    return decorate


def with_section_options(
    name: str, section: type[Any], panel: str, leave_out: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command an option for each field of a section; it gets the section as its argument ``name``."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        fields = [field for field in dataclasses.fields(section) if field.name not in leave_out]
        return with_options(command, name, section, [_option_of(field, field.default, panel) for field in fields])

    return decorate


def with_options(
    command: Callable[..., None], name: str, gather: Callable[..., Any], options: list[inspect.Parameter]
) -> Callable[..., None]:
    """The command with options in place of its argument ``name``, which is what ``gather`` makes of them."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        settings = {option.name: given.pop(option.name) for option in options}
        command(**{name: gather(**settings)}, **given)

    own = inspect.signature(command, eval_str=True).parameters
    parameters = [new for argument in own for new in (options if argument == name else [own[argument]])]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in parameters]
    )
    return run


def _option_of(field: dataclasses.Field[Any], default: Any, panel: str) -> inspect.Parameter:
    kind = Annotated[field.type, typer.Option(help=field.metadata["help"], rich_help_panel=panel)]
    return inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def print_json(result: Any) -> None:
    """Print a result as JSON, with null in place of infinity and what is not a number."""
    typer.echo(json.dumps(_finite(result), indent=1, ensure_ascii=False))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(member) for key, member in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(member) for member in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def for_answers(context: typer.Context, config: GenerationConfig) -> GenerationConfig:
    """The configuration for an answer to a question: the most likely one, unless a temperature was given."""
    source = context.get_parameter_source("temperature")
    is_given = source is not None and source.name != "DEFAULT"
    return config if is_given else dataclasses.replace(config, temperature=0.0)


def refuse_together(given: dict[str, bool]) -> None:
    """Options of which only one can be given.

    Raises:
        WorkshopError: there are several.
    """
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise WorkshopError(f"{' and '.join(names)} cannot be combined. Choose one.")
