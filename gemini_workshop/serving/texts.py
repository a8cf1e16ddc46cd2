"""A request as texts to be written: each a row of the batch, with its sampler, its seed, and where it stops."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from gemini_workshop.config import GenerationConfig
from gemini_workshop.data.tokenizers.checks import check_ids
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.batching import Row, check_prompt
from gemini_workshop.generation.constrained import Constraint
from gemini_workshop.generation.sampler import Bias, Sampler, Step, sampler_from
from gemini_workshop.generation.streaming import TextStream
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.prompts import Prompt, prompt_of, prompts_of
from gemini_workshop.serving.protocol import Body, ChatBody, CompletionBody, ResponseFormat
from gemini_workshop.serving.served import Served
from gemini_workshop.serving.settings import ServerSettings

SEED_BITS = 31
FINISH = {"id": "stop", "string": "stop", "limit": "length"}
SAMPLING = (
    *("temperature", "top_p", "top_k", "min_p", "typical_p"),
    *("repetition_penalty", "presence_penalty", "frequency_penalty", "no_repeat_ngram"),
)


@dataclass(frozen=True, slots=True)
class Piece:
    """What one step added to a text.

    Attributes:
        start, end: the tokens that came with it, of all that were written.
        finish_reason: why the text ended, if it did.
    """

    index: int
    text: str
    start: int
    end: int
    finish_reason: str | None = None
    error: Refusal | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class Text:
    """One text of a request on its way.

    Attributes:
        row: its row of the batch.
        held: text that the next piece will show.
        num_sent: tokens that pieces have named.
    """

    index: int
    row: Row
    stream: TextStream
    held: str = field(default="", init=False)
    num_sent: int = field(default=0, init=False)

    def push(self, token: int) -> bool:
        """Take one more token; return whether a stop string ended the text."""
        self.held += self.stream.push(token)
        return self.stream.stop is not None

    def next_piece(self) -> Piece | None:
        """What can be shown since the last piece; None, as long as that is nothing."""
        row = self.row
        if row.error is not None:
            return Piece(self.index, "", self.num_sent, self.num_sent, "error", Refusal(400, str(row.error)))
        if row.has_ended:
            self.held += self.stream.finish()
        elif not self.held:
            return None
        reason = FINISH[row.written.stopped_by] if row.written.stopped_by is not None else None
        piece = Piece(self.index, self.held, self.num_sent, self._num_shown(), reason)
        self.held, self.num_sent = "", piece.end
        return piece

    def _num_shown(self) -> int:
        """How many of the tokens are shown: none that lie in a stop string as a whole."""
        ids = self.row.written.token_ids
        if self.row.written.stopped_by != "string":
            return len(ids)
        lengths = (len(self.stream.tokenizer.decode(ids[:end])) for end in range(self.num_sent, len(ids) + 1))
        wanted = len(self.stream.text)
        return next((end for end, length in enumerate(lengths, self.num_sent) if length >= wanted), len(ids))


def texts_of(body: Body, served: Served, settings: ServerSettings) -> list[Text]:
    """The texts that a request asks for: ``n`` for each prompt.

    Raises:
        Refusal: they are too many, or the prompt or a setting cannot be.
        WorkshopError: the same; the message says why.
    """
    if isinstance(body, ChatBody):
        prompts, max_tokens = [prompt_of(body.messages, served)], body.max_completion_tokens or body.max_tokens
    else:
        assert isinstance(body, CompletionBody)  # there are two kinds
        prompts, max_tokens = prompts_of(body.prompt, served), body.max_tokens
    if (number := len(prompts) * body.n) > settings.max_texts:
        raise Refusal(
            400,
            f"The request asks for {number} texts, and at most {settings.max_texts} are written for one. "
            "Send several requests.",
            param="n",
        )
    for prompt in prompts:
        _check(prompt, served)
    is_greedy = isinstance(body, ChatBody) and served.format == "question"
    config = _config(body, max_tokens, is_greedy)
    sampler, num_top = sampler_from(config, _steps(body, served)), body.num_top
    wanted = [prompt for prompt in prompts for _ in range(body.n)]
    return [
        _text(i, prompt, replace(config, seed=config.seed + i), sampler, body.stop_strings, num_top, served)
        for i, prompt in enumerate(wanted)
    ]


def _text(
    index: int,
    prompt: Prompt,
    config: GenerationConfig,
    sampler: Sampler,
    stop_strings: Sequence[str],
    num_top: int | None,
    served: Served,
) -> Text:
    row = Row(
        prompt_ids=prompt.ids,
        sampler=sampler,
        seed=config.seed,
        max_new_tokens=config.max_new_tokens,
        stop_ids=prompt.stop_ids,
        num_top=num_top,
        media=prompt.media,
    )
    stops = [*prompt.stop_strings, *stop_strings]
    text = Text(index=index, row=row, stream=TextStream(served.tokenizer, stops, skips_space=prompt.skips_space))
    row.is_finished = text.push
    return text


def _check(prompt: Prompt, served: Served) -> None:
    try:
        check_prompt(prompt.ids, served.model)
    except WorkshopError as error:
        is_long = len(prompt.ids) > served.context_tokens
        raise Refusal(400, str(error), code="context_length_exceeded" if is_long else None) from None


def _config(body: Body, max_tokens: int | None, is_greedy: bool) -> GenerationConfig:
    """The settings that the request names, and the usual ones for the rest."""
    named = {name: value for name in SAMPLING if (value := getattr(body, name)) is not None}
    if is_greedy:
        named.setdefault("temperature", 0.0)
    if max_tokens is not None:
        named["max_new_tokens"] = max_tokens
    seed = secrets.randbits(SEED_BITS) if body.seed is None else body.seed
    return GenerationConfig(seed=seed, **named)


def _steps(body: Body, served: Served) -> list[Step]:
    """What comes before all other steps of the sampler: bias and schema."""
    steps: list[Step] = []
    if body.logit_bias:
        wrong = [token for token in body.logit_bias if not (token.isascii() and token.isdecimal() and len(token) < 10)]
        if wrong:
            message = f"logit_bias has the key {wrong[0][:60]!r}. Its keys are ids of tokens in quotes."
            raise Refusal(400, message, param="logit_bias")
        bias = {int(token): amount for token, amount in body.logit_bias.items()}
        check_ids(list(bias), served.model.config.vocab_size)
        steps.append(Bias(bias))
    if isinstance(body, ChatBody) and body.response_format is not None:
        steps += _schema_step(body.response_format, served)
    return steps


def _schema_step(wanted: ResponseFormat, served: Served) -> list[Step]:
    if wanted.type == "text":
        return []
    if wanted.type == "json_object":
        return [Constraint.from_json_schema({"type": "object"}, served.tokenizer)]
    if wanted.json_schema is None:
        message = "response_format.json_schema is missing, and the type json_schema needs it. Add it."
        raise Refusal(400, message, param="response_format")
    return [Constraint.from_json_schema(wanted.json_schema.schema_, served.tokenizer)]
