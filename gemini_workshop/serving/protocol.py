"""What a request may hold: the fields of OpenAI's protocol that a small model can obey, checked one by one.

Fields that change nothing here (``user``, ``metadata`` ...) are read and ignored. A field that would change the answer
and cannot be obeyed is refused, and so is a field that nobody knows: a misspelt one would be lost in silence.

Source: OpenAI's API reference, "Completions" and "Chat". Differs: ``top_k``, ``min_p``, ``typical_p``,
``repetition_penalty`` and ``no_repeat_ngram`` are known, too; what is left out has the default of
``gemini-workshop generate``.
"""

import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gemini_workshop.errors import unknown_name
from gemini_workshop.reading import parse_json, shortened, without_halves
from gemini_workshop.serving.errors import Refusal

MAX_STOPS, MAX_TOP = 16, 20
HALF_CHARACTER = r"\ud"  # how JSON begins one
Count = Annotated[int, Field(ge=1)]
Texts = str | list[str] | list[int] | list[list[int]]


class Strict(BaseModel):
    """Unknown fields are refused, and so are numbers in quotes."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


class StreamOptions(Strict):
    """What a stream holds besides the text."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class Body(Strict):
    """What all requests for text have in common."""

    model: str
    n: Count = 1
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    typical_p: float | None = None
    repetition_penalty: float | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    no_repeat_ngram: int | None = None
    logit_bias: dict[str, Annotated[float, Field(ge=-100, le=100)]] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**62)] | None = None
    stop: str | Annotated[list[str], Field(max_length=MAX_STOPS)] | None = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Count | None = None
    # Read and ignored: they change nothing here.
    user: Any = None
    metadata: Any = None
    store: Any = None
    service_tier: Any = None
    safety_identifier: Any = None
    prompt_cache_key: Any = None

    @property
    def stop_strings(self) -> list[str]:
        """The texts before which an answer ends."""
        return [self.stop] if isinstance(self.stop, str) else self.stop or []

    @property
    def wants_usage(self) -> bool:
        """Whether a stream ends with the number of tokens."""
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionBody(Body):
    """Texts to continue."""

    prompt: Texts
    logprobs: Annotated[int, Field(ge=0, le=MAX_TOP)] | None = None
    echo: Literal[False] | None = None
    suffix: Literal[""] | None = None
    best_of: Literal[1] | None = None

    @property
    def num_top(self) -> int | None:
        """How many of the most likely tokens to report at each place; None: no log-probabilities."""
        return self.logprobs


class TextContent(Strict):
    """Text as a part of a message."""

    type: Literal["text"]
    text: str


class ImageAddress(Strict):
    """An image, in the address itself."""

    url: str
    detail: Any = None


class ImageContent(Strict):
    """An image as a part of a message."""

    type: Literal["image_url"]
    image_url: ImageAddress


class AudioBytes(Strict):
    """A wav file."""

    data: str
    format: Literal["wav"]


class AudioContent(Strict):
    """Audio as a part of a message."""

    type: Literal["input_audio"]
    input_audio: AudioBytes


Content = Annotated[TextContent | ImageContent | AudioContent, Field(discriminator="type")]


class MessageBody(Strict):
    """One turn of a conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Content]
    name: Any = None
    refusal: None = None


class JSONSchema(Strict):
    """A schema that the answer has to match."""

    name: str
    description: Any = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None


class ResponseFormat(Strict):
    """What an answer looks like."""

    type: Literal["text", "json_object", "json_schema"]
    json_schema: JSONSchema | None = None


class ChatBody(Body):
    """A conversation to continue."""

    messages: Annotated[list[MessageBody], Field(min_length=1)]
    max_completion_tokens: Count | None = None
    logprobs: bool | None = False
    top_logprobs: Annotated[int, Field(ge=0, le=MAX_TOP)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: Any = None

    @property
    def num_top(self) -> int | None:
        """How many of the most likely tokens to report at each place; None: no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None


B = TypeVar("B", bound=Strict)
INSTEAD = {
    "echo": "The prompt is not repeated. Leave echo out, and put the prompt before the text yourself.",
    "suffix": "Text is continued, not filled in. Leave suffix out.",
    "best_of": "Every text is returned. Leave best_of out, and choose among n texts yourself.",
    "tools": "This model was not taught to call tools. Leave tools out; response_format can make it write JSON.",
    "tool_choice": "This model was not taught to call tools. Leave tool_choice out.",
}
"""What to do in place of what cannot be obeyed."""


def parse_body(text: str, kind: type[B]) -> B:
    """The fields of a request.

    Raises:
        Refusal: one cannot be understood or obeyed.
        DataError: the text is not JSON.
    """
    content = parse_json(text, "The body")
    if HALF_CHARACTER in text.lower():  # which no encoding can write
        content = json.loads(without_halves(json.dumps(content, ensure_ascii=False)))
    if not isinstance(content, dict):
        raise Refusal(
            400, f"The body is {shortened(text)!r}, not an object. Write {{...}} with the fields of a request."
        )
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise _refusal(error, kind, content) from None


def _refusal(error: ValidationError, kind: type[Strict], content: Any) -> Refusal:
    """The reason in our words: the deepest error says most, where a field may be one of several things."""
    places = [(*_place(detail["loc"], content), detail) for detail in error.errors(include_url=False)]
    steps, value, detail = max(places, key=lambda place: len(place[0]))
    if detail["type"] == "missing":
        steps = [*steps, detail["loc"][-1]]
    place = shortened("".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip("."))
    if detail["type"] == "missing":
        message = f"{place} is missing, and it is needed. Add it."
    elif detail["type"] == "extra_forbidden":
        known = unknown_name("field", place, sorted(kind.model_fields)) if len(steps) == 1 else ""
        message = f"{known or f'There is no field {place!r}.'} Correct it, or leave it out."
    else:
        reason = detail["msg"][:1].lower() + detail["msg"][1:]
        cure = INSTEAD.get(place, "Correct it, or leave it out.")
        message = f"{place}={shortened(repr(value))} is refused: {reason}. {cure}"
    return Refusal(400, message, param=place)


def _place(location: tuple[int | str, ...], content: Any) -> tuple[list[int | str], Any]:
    """A place in the body, without the names of the types that pydantic tried on the way, and what is there."""
    steps: list[int | str] = []
    for step in location:
        if (isinstance(content, list) and isinstance(step, int)) or (isinstance(content, dict) and step in content):
            content = content[step]  # type: ignore[index]
            steps.append(step)
    return steps, content
