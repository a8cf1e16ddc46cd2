r"""Constrained decoding: the text must match a regular expression, a JSON schema, or one of several choices.

    step = Constraint.from_regex(r"\d{3}", tokenizer)
    sampler = sampler_from(config, first=[step])

Before each token, every token after which the text could no longer match is cut off; so is the end of the text until
it does match. The library llguidance finds these tokens: it follows the pattern through the bytes of all of them.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sentencepiece
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gemini_workshop.data.tokenizers import BPETokenizer, SentencePieceTokenizer, Tokenizer
from gemini_workshop.errors import WorkshopError
from gemini_workshop.generation.penalties import ABSENT
from gemini_workshop.generation.sampler import Past
from gemini_workshop.generation.sampling import CUT_OFF
from gemini_workshop.reading import parse_json, shortened

REMEMBERED_TEXTS = 256
JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}  # as json.dumps writes


class Constraint:
    """A step of a :class:`~.sampler.Sampler` that allows only tokens after which the text can still match.

    It looks at the generated text, not at the prompt. Make it with one of the methods ``from_...``.
    """

    def __init__(self, grammar: str, tokenizer: Tokenizer, source: str) -> None:
        llguidance = _library()
        self._matcher_of: dict[tuple[int, ...], Any] = {}  # of the newest texts
        vocabulary = llguidance.LLTokenizer(llguidance.TokenizerWrapper(_Vocabulary(tokenizer)))
        self._matcher_at_start = llguidance.LLMatcher(vocabulary, grammar, log_level=0)
        self.end_id, self.source = tokenizer.end_of_text_id, source
        error = self._matcher_at_start.get_error()
        if error:
            raise WorkshopError(f"{source} cannot be used as a constraint: {error.strip()} Fix it.")

    @classmethod
    def from_regex(cls, pattern: str, tokenizer: Tokenizer) -> "Constraint":
        """The whole text must match a regular expression (without look-around and back-references)."""
        return cls(_library().LLMatcher.grammar_from_regex(pattern), tokenizer, f"The pattern {pattern!r}")

    @classmethod
    def from_json_schema(cls, schema: Mapping[str, Any] | str, tokenizer: Tokenizer) -> "Constraint":
        """The text must be JSON that matches a schema, on one line as ``json.dumps`` writes it."""
        text = schema if isinstance(schema, str) else json.dumps(schema)
        content = parse_json(text, "The schema")
        if not isinstance(content, dict | bool):
            raise WorkshopError(f"The schema is {shortened(text)!r}, not an object. Write for example {{}}.")
        grammar = _library().LLMatcher.grammar_from_json_schema(text, overrides=JSON_STYLE)
        return cls(grammar, tokenizer, "The schema")

    @classmethod
    def from_choices(cls, choices: Sequence[str], tokenizer: Tokenizer) -> "Constraint":
        """The text must be one of these."""
        lark = "start: " + " | ".join(json.dumps(choice) for choice in choices)
        return cls(_library().LLMatcher.grammar_from_lark(lark), tokenizer, f"The list {list(choices)}")

    def __call__(self, logits: Float[Tensor, "B V"], past: Past) -> Float[Tensor, "B V"]:
        """Cut off the tokens that do not match."""
        texts = [tuple(token for token in text if token != ABSENT) for text in past.written.tolist()]
        allowed = torch.stack([self.allowed(text, logits.shape[-1]) for text in texts])
        return logits.masked_fill(~allowed.to(logits.device), CUT_OFF)

    def allowed(self, text: Sequence[int], vocab_size: int) -> Bool[Tensor, " V"]:
        """Which tokens may follow a text.

        Raises:
            WorkshopError: no token matches, and the text cannot end here either.
        """
        matcher = self._matcher(tuple(text))
        mask = torch.frombuffer(bytearray(matcher.compute_logit_bias()), dtype=torch.uint8) > 0
        if matcher.is_error():
            raise WorkshopError(
                f"{self.source} cannot be matched after {len(text)} tokens: no token fits what must come next. "
                "Choose another constraint, or a checkpoint whose tokenizer covers all bytes."
            )
        allowed = torch.zeros(vocab_size, dtype=torch.bool)
        if matcher.is_stopped():  # the end was generated, or the text stopped matching earlier
            allowed[self.end_id] = True
            return allowed
        allowed[: len(mask)] = mask[:vocab_size]
        return allowed

    def _matcher(self, text: tuple[int, ...]) -> Any:
        """The state of the matcher after a text: that of the text without its last token, one token further."""
        if text not in self._matcher_of:
            before = self._matcher_of.get(text[:-1])
            matcher = (before or self._matcher_at_start).deep_copy()
            matcher.try_consume_tokens(list(text[-1:] if before else text))
            self._matcher_of[text] = matcher
            if len(self._matcher_of) > REMEMBERED_TEXTS:
                self._matcher_of.pop(next(iter(self._matcher_of)))
        return self._matcher_of[text]


def token_bytes(tokenizer: Tokenizer) -> list[bytes]:
    """The bytes of each token id; none for special tokens and for ids that are not used."""
    special = set(tokenizer.special_tokens.values())
    if isinstance(tokenizer, BPETokenizer):
        tokens = [b"" if i >= len(tokenizer.tokens) else tokenizer.tokens[i] for i in range(tokenizer.vocab_size)]
    elif isinstance(tokenizer, SentencePieceTokenizer):
        tokens = _piece_bytes(tokenizer)
    else:
        tokens = [tokenizer.decode([i]).encode() for i in range(tokenizer.vocab_size)]
    return [b"" if i in special or token == "�".encode() else token for i, token in enumerate(tokens)]


def _piece_bytes(tokenizer: SentencePieceTokenizer) -> list[bytes]:
    pieces = sentencepiece.SentencePieceProcessor(model_proto=tokenizer.model)
    tokens = []
    for i in range(tokenizer.vocab_size):
        piece = pieces.id_to_piece(i)
        if pieces.is_byte(i):
            tokens.append(bytes([int(piece[3:-1], 16)]))  # <0x0A>
        else:
            tokens.append(b"" if pieces.is_control(i) or pieces.is_unknown(i) else piece.replace("▁", " ").encode())
    return tokens


class _Vocabulary:
    """A tokenizer with the interface that llguidance needs."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.eos_token_id, self.bos_token_id = tokenizer.end_of_text_id, None
        self.tokens = [token or f"\xff<{i}>".encode("latin-1") for i, token in enumerate(token_bytes(tokenizer))]
        self.special_token_ids = [i for i, token in enumerate(self.tokens) if token.startswith(b"\xff<")]
        self.encode = tokenizer.encode
        self.id_of = {token: i for i, token in enumerate(self.tokens)}
        self.longest = max(map(len, self.tokens))

    def __call__(self, text: str | bytes) -> list[int]:
        """Tokens with exactly these bytes: some tokenizers drop spaces, so their own encoding may differ."""
        content = text.encode() if isinstance(text, str) else text
        ids = self.encode(content.decode())
        return ids if b"".join(self.tokens[i] for i in ids) == content else self._longest_first(content)

    def _longest_first(self, content: bytes) -> list[int]:
        ids = []
        while content:
            fitting = (content[:n] for n in range(self.longest, 0, -1) if content[:n] in self.id_of)
            token = next(fitting, content[:1])
            ids += [self.id_of[token]] if token in self.id_of else []
            content = content[len(token) :]
        return ids


def _library() -> Any:
    try:
        import llguidance
    except ImportError:
        raise WorkshopError(
            "Constrained decoding needs the library llguidance, which is not installed. "
            'Install it: pip install "gemini-from-scratch[constrained]".'
        ) from None
    return llguidance
