"""What was written, as the JSON of OpenAI's protocol: whole, or as events of a stream.

Source: OpenAI's API reference, "Chat completion object", "Chat completion chunk object", "Completion object".
"""

import json
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from gemini_workshop.serving.engine import Job
from gemini_workshop.serving.errors import Refusal
from gemini_workshop.serving.protocol import Body, ChatBody
from gemini_workshop.serving.served import Served
from gemini_workshop.serving.texts import Piece, Text

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one request, in the form that its kind has."""

    body: Body
    served: Served
    job: Job
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    @property
    def is_chat(self) -> bool:
        """Whether a conversation was continued, and not a text."""
        return isinstance(self.body, ChatBody)

    async def whole(self) -> Json:
        """Everything, once it has been written."""
        texts, reasons = [""] * len(self.job.texts), [""] * len(self.job.texts)
        num_shown = [0] * len(texts)
        async for piece in self.job.pieces():
            texts[piece.index] += piece.text
            reasons[piece.index] = piece.finish_reason or ""
            num_shown[piece.index] = piece.end
        choices = []
        for text, content, reason, end in zip(self.job.texts, texts, reasons, num_shown, strict=True):
            said = {"message": {"role": "assistant", "content": content}} if self.is_chat else {"text": content}
            choices.append(self._choice(text, said, 0, end, reason))
        return self._object("chat.completion" if self.is_chat else "text_completion", choices) | {
            "usage": self._usage()
        }

    async def events(self) -> AsyncIterator[str]:
        """Pieces as server-sent events; the last one says that there are no more."""
        try:
            if self.is_chat:
                for text in self.job.texts:
                    yield self._event(self._choice(text, {"delta": {"role": "assistant", "content": ""}}, 0, 0, None))
            async for piece in self.job.pieces():
                yield self._event(self._piece(piece))
            if self.body.wants_usage:
                yield _event(self._object(self._kind, []) | {"usage": self._usage()})
        except Refusal as refusal:  # the status has been sent, so this is all that is left to say
            yield _event(refusal.body())
        yield "data: [DONE]\n\n"

    def _piece(self, piece: Piece) -> Json:
        text = self.job.texts[piece.index]
        said: Json = {"delta": {"content": piece.text} if piece.text else {}} if self.is_chat else {"text": piece.text}
        return self._choice(text, said, piece.start, piece.end, piece.finish_reason)

    def _event(self, choice: Json) -> str:
        without_usage = {"usage": None} if self.body.wants_usage else {}
        return _event(self._object(self._kind, [choice]) | without_usage)

    @property
    def _kind(self) -> str:
        return "chat.completion.chunk" if self.is_chat else "text_completion"

    def _object(self, kind: str, choices: Sequence[Json]) -> Json:
        prefix = "chatcmpl" if self.is_chat else "cmpl"
        about = {"id": f"{prefix}-{self.id}", "object": kind, "created": self.created, "model": self.served.name}
        return about | {"choices": list(choices)}

    def _choice(self, text: Text, said: Json, start: int, end: int, reason: str | None) -> Json:
        logprobs = None
        if text.row.num_top is not None:
            logprobs = (chat_logprobs if self.is_chat else text_logprobs)(text, start, end, self.served)
        return {"index": text.index, **said, "logprobs": logprobs, "finish_reason": reason}

    def _usage(self) -> Json:
        prompts = self.job.texts[:: self.body.n]
        read = sum(len(text.row.prompt_ids) for text in prompts)
        written = sum(len(text.row.written.token_ids) for text in self.job.texts)
        return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _event(content: Json) -> str:
    """In ASCII, since some clients take U+2028 for the end of a line."""
    return f"data: {json.dumps(content, separators=(',', ':'))}\n\n"


def chat_logprobs(text: Text, start: int, end: int, served: Served) -> Json:
    """The tokens from ``start`` up to ``end``, with the model's own log-probabilities and the most likely others."""

    def described(token: int, logprob: float) -> Json:
        return {
            "token": served.tokenizer.decode([token]),
            "logprob": logprob,
            "bytes": list(served.bytes_of[token]) if token < len(served.bytes_of) else None,
        }

    written = text.row.written  # it grows, so only what there was with this piece is looked at
    parts = written.token_ids[start:end], written.logprobs[start:end], written.top_logprobs[start:end]
    tokens = [
        described(token, logprob) | {"top_logprobs": [described(*other) for other in top]}
        for token, logprob, top in zip(*parts, strict=True)
    ]
    return {"content": tokens, "refusal": None}


def text_logprobs(text: Text, start: int, end: int, served: Served) -> Json:
    """The same in the form of completions: a list for each property, and where in the text each token begins."""
    decode, written = served.tokenizer.decode, text.row.written
    ids = written.token_ids[start:end]
    top = [
        {decode([other]): logprob for other, logprob in place} if text.row.num_top else None
        for place in written.top_logprobs[start:end]
    ]
    return {
        "tokens": [decode([token]) for token in ids],
        "token_logprobs": written.logprobs[start:end],
        "top_logprobs": top,
        "text_offset": [len(decode(written.token_ids[:place])) for place in range(start, end)],
    }
