"""One text as the tokens of several tokenizers, and single tokens as text."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gemini_workshop.data.corpora.vocabularies import VOCABULARY_FILES
from gemini_workshop.errors import WorkshopError

if TYPE_CHECKING:
    from gemini_workshop.data.tokenizers import Tokenizer
    from gemini_workshop.demos.shelf import Shelf
    from gemini_workshop.serving.served import Served

BYTES = "bytes"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cut:
    """A text as tokens.

    Args:
        tokens: the bytes of each, and its id.
        vocab_size: of the tokenizer.
    """

    name: str
    tokens: list[tuple[bytes, int]]
    vocab_size: int
    num_bytes: int

    @property
    def bytes_per_token(self) -> float:
        """How much text a token holds."""
        return self.num_bytes / max(len(self.tokens), 1)


def cuts(text: str, shelf: "Shelf") -> list[Cut]:
    """A text by bytes, by the tokenizers of the models, and by the published vocabularies that are on this machine."""
    from gemini_workshop.generation.constrained import token_bytes

    content = text.encode()
    found = [Cut(name=BYTES, tokens=[(bytes([b]), b) for b in content], vocab_size=256, num_bytes=len(content))]
    tokenizers = {name: shelf.get(name).served.tokenizer for name in shelf.names} | published()
    for name, tokenizer in tokenizers.items():
        ids = tokenizer.encode(text)
        bytes_of = token_bytes(tokenizer)
        tokens = [(bytes_of[i] or tokenizer.decode([i]).encode(), i) for i in ids]
        found.append(Cut(name=name, tokens=tokens, vocab_size=tokenizer.vocab_size, num_bytes=len(content)))
    return found


@cache
def published() -> dict[str, "Tokenizer"]:
    """The published vocabularies whose files are here. None is fetched."""
    from gemini_workshop.data.corpora import find_corpus, find_here, load_vocabulary

    found: dict[str, Tokenizer] = {}
    for name, (corpus, _) in VOCABULARY_FILES.items():
        try:
            if find_here(find_corpus(corpus), "all") is not None:
                found[name] = load_vocabulary(name)
        except WorkshopError:  # a damaged file is as good as none
            continue
    return found


def token_texts(served: "Served", token_ids: Sequence[int]) -> list[str]:
    """Each token by itself; of a special token its mark, of half a character its bytes."""
    marks = {i: mark for mark, i in served.tokenizer.special_tokens.items()}
    return [marks.get(i) or token_text(served.bytes_of[i] or served.tokenizer.decode([i]).encode()) for i in token_ids]


def token_text(token: bytes) -> str:
    r"""The text of a token; in hexadecimal, if it is half a character.

    Example:
        >>> token_text(b" dog"), token_text("é".encode()), token_text(b"\xf0\x9f")
        (' dog', 'é', 'F0 9F')
    """
    try:
        return token.decode()
    except UnicodeDecodeError:
        return token.hex(" ").upper()
