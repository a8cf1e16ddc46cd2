"""gemini-workshop generate: let a model go on with a text."""

import json
import math
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gemini_workshop.errors import WorkshopError

if TYPE_CHECKING:
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.data.tokenizer import Tokenizer
    from gemini_workshop.generation.sampler import Step
    from gemini_workshop.generation.speculative import Draft
    from gemini_workshop.models.transformer import Transformer

BEGINNING = "Once upon a time"


class EarlyStopping(StrEnum):
    """When beam search ends."""

    yes = "yes"
    no = "no"
    never = "never"


class Weights(StrEnum):
    """Number formats in which a copy for decoding can keep its matrices."""

    fp32 = "fp32"
    bf16 = "bf16"
    int8 = "int8"


def generate(
    prompt: Annotated[
        str | None, typer.Argument(help=f"The beginning of the text; - reads it from stdin. Default: {BEGINNING}.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Read the beginning of the text from a file.")] = None,
    checkpoint: Annotated[
        str, typer.Option(help="A checkpoint that ships, or the folder of a run: runs/NAME.")
    ] = "stories-small",
    max_new_tokens: Annotated[int, typer.Option(help="Most tokens to add to the prompt.")] = 200,
    temperature: Annotated[float, typer.Option(help="Below 1 safer, above 1 wilder; 0 takes the likeliest.")] = 0.8,
    top_k: Annotated[int | None, typer.Option(help="Draw among the k likeliest tokens only.")] = None,
    top_p: Annotated[float, typer.Option(help="Draw among the fewest tokens whose shares reach p.")] = 0.95,
    min_p: Annotated[
        float | None, typer.Option(help="Draw among tokens at least this much as likely as the likeliest.")
    ] = None,
    typical_p: Annotated[
        float | None, typer.Option(help="Draw among the most typical tokens whose shares reach p.")
    ] = None,
    repetition_penalty: Annotated[
        float, typer.Option(help="Above 1, tokens of the text so far become less likely.")
    ] = 1.0,
    presence_penalty: Annotated[float, typer.Option(help="What a token loses once it was written.")] = 0.0,
    frequency_penalty: Annotated[float, typer.Option(help="What a token loses each time it was written.")] = 0.0,
    no_repeat_ngram: Annotated[int | None, typer.Option(help="Never write so many tokens in a row twice.")] = None,
    bias: Annotated[
        list[str] | None, typer.Option(help='Add to the score of each token of a text: " dog=-5", " cat=-inf".')
    ] = None,
    stop: Annotated[list[str] | None, typer.Option(help="End before this text; \\n is a line break.")] = None,
    regex: Annotated[str | None, typer.Option(help="Write only what matches this regular expression.")] = None,
    json_schema: Annotated[Path | None, typer.Option(help="Write only JSON that fits the schema in this file.")] = None,
    beams: Annotated[int, typer.Option(help="Search for the likeliest texts, so many at a time; 1 draws.", min=1)] = 1,
    beam_groups: Annotated[int, typer.Option(help="Part the beams into groups that go different ways.", min=1)] = 1,
    diversity_penalty: Annotated[float, typer.Option(help="How much groups avoid the tokens of others.")] = 1.0,
    length_penalty: Annotated[float, typer.Option(help="Of beams: above 0 favours long texts, below short.")] = 1.0,
    early_stopping: Annotated[
        EarlyStopping, typer.Option(help="Of beams: end when enough texts are finished, or look for better ones.")
    ] = EarlyStopping.no,
    draft: Annotated[
        str | None,
        typer.Option(help="Guess tokens ahead: a smaller checkpoint with the same tokenizer, or lookup."),
    ] = None,
    samples: Annotated[
        int, typer.Option(help="Number of texts, each with the next seed; of beams, the best.", min=1)
    ] = 1,
    logprobs: Annotated[
        int | None, typer.Option(help="With --json: note so many of the likeliest tokens for each place.", min=0)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, one text a line, in place of the text.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the draws: the same seed writes the same text.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "cpu",
    weights: Annotated[
        Weights | None, typer.Option(help="Write by a faster copy of the model, its matrices in this format.")
    ] = None,
) -> None:
    r"""Write a text with a trained model, word by word.

    Examples:

        gemini-workshop generate "Once upon a time"

        gemini-workshop generate "The dragon" --temperature 0.5 --samples 3

        gemini-workshop generate "A red ball" --checkpoint runs/tiny-stories

        gemini-workshop generate "The cat said:" --stop "." --no-repeat-ngram 4

        gemini-workshop generate "Tom was" --regex " (happy|sad)\." --json

        gemini-workshop generate "One day" --beams 6 --beam-groups 3 --samples 1
    """
    from gemini_workshop.config import GenerationConfig
    from gemini_workshop.devices import pick_device
    from gemini_workshop.generation.lean import lean_copy
    from gemini_workshop.training.checkpointing import load_pretrained

    refuse_together({"PROMPT": prompt is not None, "--file": file is not None})
    refuse_together({"--draft": draft is not None, "--beams": beams > 1})
    refuse_together({"--draft": draft is not None, "--json": as_json})
    if logprobs is not None and (not as_json or beams > 1):
        raise WorkshopError("--logprobs has no place to be shown. Add --json, and draw instead of --beams.")
    config = GenerationConfig(
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        min_p=min_p,
        typical_p=typical_p,
        repetition_penalty=repetition_penalty,
        presence_penalty=presence_penalty,
        frequency_penalty=frequency_penalty,
        no_repeat_ngram=no_repeat_ngram,
        seed=seed,
    )
    text = read_prompt(prompt, file)
    stop_strings = [unescaped(string) for string in stop or []]
    model, tokenizer = load_pretrained(checkpoint, pick_device(device))
    if weights is not None:
        model = lean_copy(model, weights.value)
    writer = Writer(model, tokenizer, config, text, stop_strings, steps_from(tokenizer, bias, regex, json_schema))
    if beams > 1:
        search = {
            "num_beams": beams,
            "num_groups": beam_groups,
            "diversity_penalty": diversity_penalty,
            "length_penalty": length_penalty,
            "early_stopping": {"yes": True, "no": False, "never": "never"}[early_stopping],
        }
        writer.search(samples, search, as_json=as_json)
    elif as_json:
        writer.complete(samples, logprobs)
    else:
        writer.stream(samples, draft)


@dataclass
class Writer:
    """One way of writing for each way of asking."""

    model: "Transformer"
    tokenizer: "Tokenizer"
    config: "GenerationConfig"
    prompt: str
    stop_strings: list[str]
    steps: list["Step"]

    def stream(self, samples: int, draft: str | None) -> None:
        """Print each text while it is written."""
        from gemini_workshop.generation.decode import generate
        from gemini_workshop.generation.sampler import sampler_from
        from gemini_workshop.generation.speculative import generate_speculatively
        from gemini_workshop.generation.streaming import text_pieces

        end, helper = self.tokenizer.end_of_text_id, self._draft(draft)
        for number in range(samples):
            config = replace(self.config, seed=self.config.seed + number)
            how: dict[str, Any] = {"stop_ids": {end}, "sampler": sampler_from(config, self.steps)}
            ids = [end, *self.tokenizer.encode(self.prompt)]
            if helper is None:
                tokens = generate(self.model, ids, config, **how)
            else:
                tokens = generate_speculatively(self.model, helper, ids, config, **how)
            typer.echo(("\n---\n" if number else "") + self.prompt, nl=False)
            for piece in text_pieces(tokens, self.tokenizer, self.stop_strings):
                typer.echo(piece, nl=False)
            typer.echo()

    def complete(self, samples: int, num_top: int | None) -> None:
        """Print each text as JSON, all of them written at once."""
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
            record: dict[str, Any] = {"seed": self.config.seed + number, "stopped_by": row.stopped_by}
            record |= {"num_tokens": len(row.token_ids)}
            if num_top is not None:
                places = zip(row.token_ids, row.logprobs, row.top_logprobs, strict=True)
                record["tokens"] = [
                    self._token(token, logprob) | {"top": [self._token(*other) for other in top]}
                    for token, logprob, top in places
                ]
            self._print_json(row.text, record)

    def search(self, num_best: int, search: dict[str, Any], *, as_json: bool) -> None:
        """Print the best texts that beam search finds."""
        from gemini_workshop.generation.beam_search import beam_search
        from gemini_workshop.generation.sampler import sampler_from
        from gemini_workshop.generation.streaming import text_pieces

        end = self.tokenizer.end_of_text_id
        found = beam_search(
            self.model,
            [end, *self.tokenizer.encode(self.prompt)],
            max_new_tokens=self.config.max_new_tokens,
            stop_ids={end},
            num_best=num_best,
            steps=sampler_from(replace(self.config, temperature=0.0), self.steps).steps,
            **search,
        )
        for number, hypothesis in enumerate(found):
            text = "".join(text_pieces(hypothesis.token_ids, self.tokenizer, self.stop_strings))
            if as_json:
                stopped_by = "id" if hypothesis.is_finished else "limit"
                self._print_json(text, {"score": hypothesis.score, "stopped_by": stopped_by})
            else:
                typer.echo(("\n---\n" if number else "") + self.prompt + text)

    def _print_json(self, text: str, record: dict[str, Any]) -> None:
        typer.echo(json.dumps({"prompt": self.prompt, "text": text} | record, ensure_ascii=False))

    def _token(self, token: int, logprob: float) -> dict[str, Any]:
        return {"id": token, "text": self.tokenizer.decode([token]), "logprob": round(logprob, 4)}

    def _draft(self, name: str | None) -> "Draft | None":
        from gemini_workshop.generation.speculative import DraftModel, PromptLookup
        from gemini_workshop.training.checkpointing import load_pretrained

        if name is None or name == "lookup":
            return PromptLookup(self.model.config.vocab_size) if name else None
        model, tokenizer = load_pretrained(name, self.model.embedding.weight.device)
        everything = range(min(tokenizer.vocab_size, self.tokenizer.vocab_size))
        if tokenizer.vocab_size != self.tokenizer.vocab_size or any(
            tokenizer.decode([i]) != self.tokenizer.decode([i]) for i in everything
        ):
            raise WorkshopError(
                f"{name} has another tokenizer than the checkpoint it should draft for. "
                "Its guesses would be other words. Choose one with the same tokenizer, or --draft lookup."
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
            raise WorkshopError(f"{file} is no text: {error.reason} at byte {error.start}. Save it as UTF-8.") from None
    if prompt == "-":
        return sys.stdin.read().removesuffix("\n")
    return BEGINNING if prompt is None else prompt


def steps_from(
    tokenizer: "Tokenizer", bias: list[str] | None, regex: str | None, json_schema: Path | None
) -> list["Step"]:
    """What goes before all other steps of the sampler."""
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
    """What to add to the score of which token."""
    bias: dict[int, float] = {}
    for assignment in assignments:
        text, equals, number = assignment.rpartition("=")
        try:
            amount = float(number)
        except ValueError:
            amount = math.nan
        if not equals or not text or math.isnan(amount):
            raise WorkshopError(f'{assignment!r} is no bias. Write the text, =, and a number: " dog=-5".')
        bias |= dict.fromkeys(tokenizer.encode(unescaped(text)), amount)
    return bias


def unescaped(text: str) -> str:
    """Line breaks and tabs as people type them on a command line."""
    return text.replace("\\n", "\n").replace("\\t", "\t")


def refuse_together(given: dict[str, bool]) -> None:
    """Options of which only one can be given.

    Raises:
        WorkshopError: there are several.
    """
    names = [name for name, is_given in given.items() if is_given]
    if len(names) > 1:
        raise WorkshopError(f"{' and '.join(names)} cannot go together. Choose one.")
