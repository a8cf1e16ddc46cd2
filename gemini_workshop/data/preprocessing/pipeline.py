"""The whole pipeline, as a stream: a document comes in, is cleaned and judged, and goes out or is dropped.

Only hashes of earlier documents are kept, so the corpus may be larger than memory.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from gemini_workshop.data.preprocessing.cleaning import regular_whitespace, remove_invisible, repair_mojibake
from gemini_workshop.data.preprocessing.deduplication import MinHash, NearDuplicateIndex
from gemini_workshop.data.preprocessing.privacy import scrub_emails, scrub_phone_numbers
from gemini_workshop.data.preprocessing.quality import QualityLimits, quality_fault
from gemini_workshop.data.preprocessing.report import Report
from gemini_workshop.data.preprocessing.splitting import Split, SplitFractions, choose_split
from gemini_workshop.data.tokenizers.checks import check_documents
from gemini_workshop.data.tokenizers.normalization import Normalization, normalize
from gemini_workshop.errors import DataError


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """How to treat the documents.

    Args:
        duplicate_similarity: a document this similar (Jaccard, 0 to 1) to an earlier one is dropped.
        related_similarity: one this similar to an earlier one shares its split. Lower, since a wrong guess costs
            nothing here: dropping needs certainty, splitting needs caution.
    """

    form: Normalization = "NFC"
    scrubs_private_data: bool = True
    quality: QualityLimits = field(default_factory=QualityLimits)
    duplicate_similarity: float = 0.8
    related_similarity: float = 0.5
    fractions: SplitFractions = field(default_factory=SplitFractions)

    def __post_init__(self) -> None:
        if not 0 < self.related_similarity <= self.duplicate_similarity:
            raise DataError(
                f"related_similarity={self.related_similarity} and duplicate_similarity={self.duplicate_similarity}: "
                "what is a duplicate must be related too. Choose 0 < related_similarity <= duplicate_similarity."
            )


class CleanDocument(NamedTuple):
    """A document that goes out; ``sha256`` is that of its text, in hexadecimal."""

    text: str
    split: Split
    sha256: str


def preprocess(documents: Iterable[str], recipe: Recipe, report: Report) -> Iterator[CleanDocument]:
    """The documents worth keeping, cleaned and each with its split; the report counts the others too."""
    gate = _Gate(recipe)
    for raw in check_documents(documents):
        report.read(raw)
        text = clean(raw, recipe, report)
        split, fault = gate.judge(text)
        if split is None:
            report.drop(text, fault)
        else:
            report.keep(text, split)
            yield CleanDocument(text, split, hashlib.sha256(text.encode("utf-8")).hexdigest())


def clean(text: str, recipe: Recipe, report: Report) -> str:
    """Fix what can be fixed within a document; the report counts the changes."""
    for what, step in _steps(recipe):
        changed = step(text)
        if changed != text:
            report.change(text, changed, what)
        text = changed
    return text


def _steps(recipe: Recipe) -> Iterator[tuple[str, Callable[[str], str]]]:
    yield "mojibake repaired", repair_mojibake
    yield "invisible characters removed", remove_invisible
    yield f"normalized to {recipe.form}", lambda text: normalize(text, recipe.form)
    yield "white space made regular", regular_whitespace
    if recipe.scrubs_private_data:
        yield "e-mail addresses scrubbed", lambda text: scrub_emails(text)[0]
        yield "phone numbers scrubbed", lambda text: scrub_phone_numbers(text)[0]


class _Judgement(NamedTuple):
    split: Split | None
    fault: str = ""


class _Gate:
    """Lets a document through or says why not; remembers the hash, signature and split of those it let through."""

    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self._minhash = MinHash()
        self._index = NearDuplicateIndex()
        self._digests: set[bytes] = set()
        self._splits: list[Split] = []

    def judge(self, text: str) -> _Judgement:
        """The split of a document that may pass, or what is wrong with it."""
        if fault := quality_fault(text, self.recipe.quality):
            return _Judgement(None, fault)
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        if digest in self._digests:
            return _Judgement(None, "exact duplicate")
        signature = self._minhash.signature(text)
        relatives = self._index.neighbours(signature, self.recipe.related_similarity)
        if relatives and relatives[0].similarity >= self.recipe.duplicate_similarity:
            return _Judgement(None, "near-duplicate")
        split = choose_split(text, [self._splits[relative.number] for relative in relatives], self.recipe.fractions)
        if split is None:
            return _Judgement(None, "between two splits")
        self._digests.add(digest)
        self._index.add(signature)
        self._splits.append(split)
        return _Judgement(split)
