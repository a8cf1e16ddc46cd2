"""gemini-workshop generate: let a model continue a text."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gemini_workshop.cli.media import MediaFiles, with_media_options
from gemini_workshop.cli.options import Checkpoint, Device, for_answers, refuse_together, with_generation_options
from gemini_workshop.cli.writer import Writer
from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import WorkshopError
from gemini_workshop.reading import MAX_BYTES, decode_text, read_text, without_halves

if TYPE_CHECKING:
    from gemini_workshop.data.tokenizers import Tokenizer
    from gemini_workshop.generation.sampler import Step
    from gemini_workshop.models.transformer import Transformer

DEFAULT_PROMPT = "Once upon a time"


def _option(group: str, help: str, *names: str, **limits: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=group, **limits)


CONSTRAINTS, BEAMS, SPEED, OUTPUT = "Constraints", "Beam search", "Speed", "Output"
Prompt = Annotated[str | None, typer.Argument(help=f"The text to continue; - reads stdin. Default: {DEFAULT_PROMPT}.")]
File = Annotated[Path | None, typer.Option(help="Read the prompt from a file.")]
Bias = Annotated[list[str] | None, _option(CONSTRAINTS, 'Add to the logit of each token of a text: " dog=-5".')]
Stop = Annotated[list[str] | None, _option(CONSTRAINTS, "Stop before this text; \\n is a line break.")]
Regex = Annotated[str | None, _option(CONSTRAINTS, "Generate only text that matches this regular expression.")]
Schema = Annotated[Path | None, _option(CONSTRAINTS, "Generate only JSON that fits the schema in this file.")]
Beams = Annotated[int, _option(BEAMS, "Number of beams; 1 samples instead of searching.", min=1, max=1024)]
BeamGroups = Annotated[int, _option(BEAMS, "Split the beams into groups that differ from each other.", min=1)]
DiversityPenalty = Annotated[float, _option(BEAMS, "Penalty for tokens that earlier groups chose.")]
LengthPenalty = Annotated[float, _option(BEAMS, "Above 0 favors long texts, below 0 short ones.")]
DraftName = Annotated[str | None, _option(SPEED, "Draft tokens with a smaller checkpoint, or with: lookup.")]
Weights = Annotated[
    Literal["fp32", "bf16", "int8"] | None,
    _option(SPEED, "Decode with an optimized copy of the model, with weights in this format."),
]
Samples = Annotated[
    int, _option(OUTPUT, "Number of texts, each with the next seed; of beams, the best.", min=1, max=100_000)
]
LogProbs = Annotated[int | None, _option(OUTPUT, "With --json: add the N most likely tokens at each place.", min=0)]
AsJson = Annotated[bool, _option(OUTPUT, "Print one JSON object per text.", "--json")]


@with_media_options
@with_generation_options()
def generate(
    context: typer.Context,
    *,
    prompt: Prompt = None,
    file: File = None,
    media: MediaFiles,
    checkpoint: Checkpoint = "stories-small",
    device: Device = "cpu",
    config: GenerationConfig,
    bias: Bias = None,
    stop: Stop = None,
    regex: Regex = None,
    json_schema: Schema = None,
    beams: Beams = 1,
    beam_groups: BeamGroups = 1,
    diversity_penalty: DiversityPenalty = 1.0,
    length_penalty: LengthPenalty = 1.0,
    draft: DraftName = None,
    weights: Weights = None,
    samples: Samples = 1,
    logprobs: LogProbs = None,
    as_json: AsJson = False,
) -> None:
    r"""Generate text from a model, or ask a multimodal one.

    Examples:

        gemini-workshop generate "Once upon a time"

        gemini-workshop generate "The dragon" --temperature 0.5 --samples 3

        gemini-workshop generate "A red ball" --checkpoint runs/tiny-stories

        gemini-workshop generate "The cat said:" --stop "." --no-repeat-ngram 4

        gemini-workshop generate "Tom was" --regex " (happy|sad)\." --json

        gemini-workshop generate "One day" --beams 6 --beam-groups 3

        gemini-workshop generate "Which?" --checkpoint runs/mine --image a.png
    """
    refuse_together({"PROMPT": prompt is not None, "--file": file is not None})
    refuse_together({"--draft": draft is not None, "--beams": beams > 1})
    refuse_together({"--draft": draft is not None, "--json": as_json})
    if logprobs is not None and (not as_json or beams > 1):
        raise WorkshopError("--logprobs is printed only as JSON of sampled texts. Add --json, and remove --beams.")
    text, is_given, parts = read_prompt(prompt, file), prompt is not None or file is not None, media.parts()
    model, tokenizer = load_model(checkpoint, device, weights)
    steps = steps_from(tokenizer, bias, regex, json_schema)
    writer = Writer(model, tokenizer, config, text, [unescaped(string) for string in stop or []], steps)
    if parts or (is_given and model.config.media is not None):
        refuse_with_a_question({"--beams": beams > 1, "--draft": draft is not None, "--json": as_json})
        writer.answer([*parts, text] if is_given else parts, samples, for_answers(context, config))
    elif beams > 1:
        penalties = {"length_penalty": length_penalty, "diversity_penalty": diversity_penalty}
        writer.search(samples, as_json, num_beams=beams, num_groups=beam_groups, **penalties)
    elif as_json:
        writer.complete(samples, logprobs)
    else:
        writer.stream(samples, draft)


def refuse_with_a_question(given: dict[str, bool]) -> None:
    """Options that continue a text and cannot answer a question yet."""
    for name, is_given in given.items():
        refuse_together({"A question to a multimodal model": True, name: is_given})


def load_model(checkpoint: str, device: str, weights: Any) -> "tuple[Transformer, Tokenizer]":
    """The model of a checkpoint, or its lean copy with weights in another format."""
    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.generation.fast.lean import lean_copy

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    return (model if weights is None else lean_copy(model, weights)), tokenizer


def read_prompt(prompt: str | None, file: Path | None) -> str:
    """The prompt from where it was given, without the line break that ends a file."""
    if file is not None:
        return read_text(file).removesuffix("\n")
    if prompt == "-":
        return decode_text(sys.stdin.buffer.read(MAX_BYTES + 1), "What comes from stdin").removesuffix("\n")
    return DEFAULT_PROMPT if prompt is None else without_halves(prompt)


def steps_from(
    tokenizer: "Tokenizer", bias: list[str] | None, regex: str | None, json_schema: Path | None
) -> list["Step"]:
    """The steps that come before all others in the sampler: bias and constraint."""
    from gemini_workshop.generation.constrained import Constraint
    from gemini_workshop.generation.sampler import Bias

    refuse_together({"--regex": regex is not None, "--json-schema": json_schema is not None})
    steps: list[Step] = []
    if bias:
        steps.append(Bias(read_bias(tokenizer, bias)))
    if regex is not None:
        steps.append(Constraint.from_regex(regex, tokenizer))
    if json_schema is not None:
        steps.append(Constraint.from_json_schema(read_prompt(None, json_schema), tokenizer))
    return steps


def read_bias(tokenizer: "Tokenizer", assignments: list[str]) -> dict[int, float]:
    """What to add to the logit of each token: {id: amount}."""
    bias: dict[int, float] = {}
    for assignment in assignments:
        text, equals, number = assignment.rpartition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if not equals or not text or math.isnan(amount) or amount == math.inf:
            raise WorkshopError(f'{assignment!r} is not a bias. Write the text, =, and a finite number: " dog=-5".')
        bias |= dict.fromkeys(tokenizer.encode(unescaped(text)), amount)
    return bias


def unescaped(text: str) -> str:
    """Line breaks and tabs as people type them on a command line."""
    return text.replace("\\n", "\n").replace("\\t", "\t")
