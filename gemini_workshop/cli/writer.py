"""What ``gemini-workshop generate`` prints: texts and answers while they are generated, beams, and JSON."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import typer

from gemini_workshop.config import GenerationConfig
from gemini_workshop.errors import WorkshopError

if TYPE_CHECKING:
    from gemini_workshop.data.media.documents import Part
    from gemini_workshop.data.tokenizers import Tokenizer
    from gemini_workshop.generation.sampler import Step
    from gemini_workshop.generation.speculative import Draft
    from gemini_workshop.models.transformer import Transformer


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
        from gemini_workshop.data.tokenizers import stop_ids
        from gemini_workshop.generation.decode import generate
        from gemini_workshop.generation.sampler import sampler_from
        from gemini_workshop.generation.speculative import generate_speculatively
        from gemini_workshop.generation.streaming import text_pieces

        helper = self._draft(draft)
        for number in range(samples):
            config = replace(self.config, seed=self.config.seed + number)
            how = {"stop_ids": stop_ids(self.tokenizer), "sampler": sampler_from(config, self.steps)}
            if helper is None:
                tokens = generate(self.model, self._prompt_ids(), config, **how)  # type: ignore[arg-type]
            else:
                tokens = generate_speculatively(self.model, helper, self._prompt_ids(), config, **how)  # type: ignore[arg-type]
            typer.echo(("\n---\n" if number else "") + self.prompt, nl=False)
            for piece in text_pieces(tokens, self.tokenizer, self.stop_strings):
                typer.echo(piece, nl=False)
            typer.echo()

    def answer(self, question: "Sequence[Part | str]", samples: int, settings: "GenerationConfig") -> None:
        """Print each answer, and only the answer, while it is generated."""
        from gemini_workshop.generation.ask import ask
        from gemini_workshop.generation.sampler import sampler_from

        for number in range(samples):
            config = replace(settings, seed=settings.seed + number)
            how: dict[str, Any] = {"stop_strings": self.stop_strings, "sampler": sampler_from(config, self.steps)}
            pieces = ask(self.model, self.tokenizer, *question, config=config, **how)
            typer.echo("\n---\n" if number else "", nl=False)
            for piece in pieces:
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
        from gemini_workshop.data.tokenizers import stop_ids
        from gemini_workshop.generation.beam_search import BeamSettings, beam_search
        from gemini_workshop.generation.sampler import sampler_from
        from gemini_workshop.generation.streaming import text_pieces

        settings = BeamSettings(
            max_new_tokens=self.config.max_new_tokens,
            stop_ids=stop_ids(self.tokenizer),
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
        from gemini_workshop.data.tokenizers import prompt_ids

        return prompt_ids(self.tokenizer, self.prompt)

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
