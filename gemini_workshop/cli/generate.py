"""gemini-workshop generate: let a model continue a text."""

import json
import math
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gemini_workshop.cli.options import Checkpoint, Device, refuse_together, with_generation_options
from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import WorkshopError

if TYPE_CHECKING:
    from gemini_workshop.data.tokenizers import Tokenizer
    from gemini_workshop.generation.sampler import Step
    from gemini_workshop.generation.speculative import Draft
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
Beams = Annotated[int, _option(BEAMS, "Number of beams; 1 samples instead of searching.", min=1)]
BeamGroups = Annotated[int, _option(BEAMS, "Split the beams into groups that differ from each other.", min=1)]
DiversityPenalty = Annotated[float, _option(BEAMS, "Penalty for tokens that earlier groups chose.")]
LengthPenalty = Annotated[float, _option(BEAMS, "Above 0 favors long texts, below 0 short ones.")]
DraftName = Annotated[str | None, _option(SPEED, "Draft tokens with a smaller checkpoint, or with: lookup.")]
Weights = Annotated[
    Literal["fp32", "bf16", "int8"] | None,
    _option(SPEED, "Decode with an optimized copy of the model, with weights in this format."),
]
Samples = Annotated[int, _option(OUTPUT, "Number of texts, each with the next seed; of beams, the best.", min=1)]
LogProbs = Annotated[int | None, _option(OUTPUT, "With --json: add the N most likely tokens at each place.", min=0)]
AsJson = Annotated[bool, _option(OUTPUT, "Print one JSON object per text.", "--json")]


@with_generation_options()
def generate(
    *,
    prompt: Prompt = None,
    file: File = None,
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
    r"""Generate text from a trained model.

    Examples:

        gemini-workshop generate "Once upon a time"

        gemini-workshop generate "The dragon" --temperature 0.5 --samples 3

        gemini-workshop generate "A red ball" --checkpoint runs/tiny-stories

        gemini-workshop generate "The cat said:" --stop "." --no-repeat-ngram 4

        gemini-workshop generate "Tom was" --regex " (happy|sad)\." --json

        gemini-workshop generate "One day" --beams 6 --beam-groups 3
    """
    refuse_together({"PROMPT": prompt is not None, "--file": file is not None})
    refuse_together({"--draft": draft is not None, "--beams": beams > 1})
    refuse_together({"--draft": draft is not None, "--json": as_json})
    if logprobs is not None and (not as_json or beams > 1):
        raise WorkshopError("--logprobs is printed only as JSON of sampled texts. Add --json, and remove --beams.")
    text = read_prompt(prompt, file)
    model, tokenizer = load_model(checkpoint, device, weights)
    steps = steps_from(tokenizer, bias, regex, json_schema)
    writer = Writer(model, tokenizer, config, text, [unescaped(string) for string in stop or []], steps)
    if beams > 1:
        penalties = {"length_penalty": length_penalty, "diversity_penalty": diversity_penalty}
        writer.search(samples, as_json, num_beams=beams, num_groups=beam_groups, **penalties)
    elif as_json:
        writer.complete(samples, logprobs)
    else:
        writer.stream(samples, draft)


def load_model(checkpoint: str, device: str, weights: Any) -> "tuple[Transformer, Tokenizer]":
    """The model of a checkpoint, or its lean copy with weights in another format."""
    from gemini_workshop.checkpoint import load_pretrained
    from gemini_workshop.devices import pick_device
    from gemini_workshop.generation.fast.lean import lean_copy

    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    return (model if weights is None else lean_copy(model, weights)), tokenizer


@dataclass
class Writer:
    """Generates and prints texts, in one way for each way of asking."""

    model: "Transformer"
    tokenizer: "Tokenizer"
    config: "GenerationConfig"
    prompt: str
    stop_strings: list[str]
    steps: list["Step"]

    def stream(self, samples: int, draft: str | None) -> None:
        """Print each text while it is generated."""
        from gemini_workshop.generation.decode import generate
        from gemini_workshop.generation.sampler import sampler_from
        from gemini_workshop.generation.speculative import generate_speculatively
        from gemini_workshop.generation.streaming import text_pieces

        helper = self._draft(draft)
        for number in range(samples):
            config = replace(self.config, seed=self.config.seed + number)
            how = {"stop_ids": {self.tokenizer.end_of_text_id}, "sampler": sampler_from(config, self.steps)}
            if helper is None:
                tokens = generate(self.model, self._prompt_ids(), config, **how)  # type: ignore[arg-type]
            else:
                tokens = generate_speculatively(self.model, helper, self._prompt_ids(), config, **how)  # type: ignore[arg-type]
            typer.echo(("\n---\n" if number else "") + self.prompt, nl=False)
            for piece in text_pieces(tokens, self.tokenizer, self.stop_strings):
                typer.echo(piece, nl=False)
            typer.echo()

    def complete(self, samples: int, num_top: int | None) -> None:
        """Print each text as JSON; all are generated in one batch."""
        from gemini_workshop.generation.decode import complete
        from gemini_workshop.generation.sampler import sampler_from

        rows = complete(
            self.model,
            self.tokenizer,
            [self.prompt] * samples,
            self.config,
            stop_strings=self.stop_strings,
            sampler=sampler_from(self.config, self.steps),
            num_top=num_top or 0,
        )
        for number, row in enumerate(rows):
            facts = {"seed": self.config.seed + number, "stopped_by": row.stopped_by}
            record: dict[str, Any] = facts | {"num_tokens": len(row.token_ids)}
            if num_top is not None:
                places = zip(row.token_ids, row.logprobs, row.top_logprobs, strict=True)
                record["tokens"] = [
                    self._token(token, logprob) | {"top": [self._token(*other) for other in top]}
                    for token, logprob, top in places
                ]
            self._print_json(row.text, record)

    def search(self, num_best: int, as_json: bool, **options: Any) -> None:
        """Print the best texts that beam search finds."""
        from gemini_workshop.generation.beam_search import BeamSettings, beam_search
        from gemini_workshop.generation.sampler import sampler_from
        from gemini_workshop.generation.streaming import text_pieces

        settings = BeamSettings(
            max_new_tokens=self.config.max_new_tokens,
            stop_ids={self.tokenizer.end_of_text_id},
            num_best=num_best,
            **options,
        )
        steps = sampler_from(replace(self.config, temperature=0.0), self.steps).steps
        found = beam_search(self.model, self._prompt_ids(), settings, steps)
        for number, hypothesis in enumerate(found):
            text = "".join(text_pieces(hypothesis.token_ids, self.tokenizer, self.stop_strings))
            if as_json:
                stopped_by = "id" if hypothesis.is_finished else "limit"
                self._print_json(text, {"score": hypothesis.score, "stopped_by": stopped_by})
            else:
                typer.echo(("\n---\n" if number else "") + self.prompt + text)

    def _prompt_ids(self) -> list[int]:
        return [self.tokenizer.end_of_text_id, *self.tokenizer.encode(self.prompt)]

    def _print_json(self, text: str, record: dict[str, Any]) -> None:
        typer.echo(json.dumps({"prompt": self.prompt, "text": text} | record, ensure_ascii=False))

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        return {"id": token, "text": self.tokenizer.decode([token]), "logprob": round(logprob, 4)}

    def _draft(self, name: str | None) -> "Draft | None":
        from gemini_workshop.checkpoint import load_pretrained
        from gemini_workshop.generation.speculative import DraftModel, PromptLookup

        if name is None or name == "lookup":
            return PromptLookup(self.model.config.vocab_size) if name else None
        model, tokenizer = load_pretrained(name, self.model.embedding.weight.device)
        everything = range(min(tokenizer.vocab_size, self.tokenizer.vocab_size))
        if tokenizer.vocab_size != self.tokenizer.vocab_size or any(
            tokenizer.decode([i]) != self.tokenizer.decode([i]) for i in everything
        ):
            raise WorkshopError(
                f"{name} has another tokenizer than the checkpoint that it would draft for. "
                "Choose a checkpoint with the same tokenizer, or --draft lookup."
            )
        return DraftModel(model)


def read_prompt(prompt: str | None, file: Path | None) -> str:
    """The prompt from where it was given, without the line break that ends a file."""
    if file is not None:
        try:
            return file.read_text("utf-8").removesuffix("\n")
        except OSError as error:
            raise WorkshopError(f"{file} cannot be read: {error.strerror}. Give the name of a text file.") from None
        except UnicodeDecodeError as error:
            raise WorkshopError(
                f"{file} is not text: {error.reason} at byte {error.start}. Save it as UTF-8."
            ) from None
    if prompt == "-":
        return sys.stdin.read().removesuffix("\n")
    return DEFAULT_PROMPT if prompt is None else prompt


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
        if not equals or not text or math.isnan(amount):
            raise WorkshopError(f'{assignment!r} is not a bias. Write the text, =, and a number: " dog=-5".')
        bias |= dict.fromkeys(tokenizer.encode(unescaped(text)), amount)
    return bias


def unescaped(text: str) -> str:
    """Line breaks and tabs as people type them on a command line."""
    return text.replace("\\n", "\n").replace("\\t", "\t")
