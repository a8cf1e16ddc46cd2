"""How varied texts are, and how similar to references.

    distinct-n    different sequences of n words, divided by all: 1 if none is ever repeated
    self-BLEU     how much of each text occurs in the others, from 0 to 100: high if all texts are alike
    BLEU          how much of a text occurs in a reference; waits for lesson 17, which compares it with pass@k

Distinct-n falls with length; compare texts of equal length only.

Source: Li et al. 2016, arXiv:1510.03055, section 5 (distinct-n, there per token); Zhu et al. 2018, arXiv:1802.01886,
section 2.2.3 (self-BLEU); Papineni et al. 2002 (BLEU).
"""

import importlib
from collections.abc import Sequence
from types import ModuleType

from gemini_workshop.errors import DataError


def distinct_n(texts: Sequence[str], n: int) -> float:
    """Different sequences of n words, divided by all sequences of n words in the texts.

    Raises:
        DataError: no text has n words.

    Example:
        >>> distinct_n(["a b a b"], n=2)  # a b, b a, a b
        0.6666666666666666
    """
    grams = [tuple(words[i : i + n]) for words in map(str.split, texts) for i in range(len(words) - n + 1)]
    if not grams:
        raise DataError(f"None of {len(texts)} texts has n={n} words. Use longer texts, or a smaller n.")
    return len(set(grams)) / len(grams)


def self_bleu(texts: Sequence[str]) -> float:
    """The mean BLEU of each text with all others as its references, from 0 to 100.

    Raises:
        DataError: there are fewer than two texts, or sacrebleu is not installed.
    """
    if len(texts) < 2:
        raise DataError(f"{len(texts)} text has no others to be compared with. Give two or more.")
    sacrebleu = library("sacrebleu")
    others = [[*texts[:i], *texts[i + 1 :]] for i in range(len(texts))]
    scores = [sacrebleu.sentence_bleu(text, rest).score for text, rest in zip(texts, others, strict=True)]
    return sum(scores) / len(scores)


def bleu(texts: Sequence[str], references: Sequence[str]) -> float:
    """BLEU of a corpus with one reference per text, from 0 to 100, by sacrebleu (its default tokenization).

    Raises:
        DataError: their numbers differ, or sacrebleu is not installed.
    """
    _need_pairs(texts, references)
    return library("sacrebleu").corpus_bleu(list(texts), [list(references)]).score


def library(name: str) -> ModuleType:
    """A library of the extra ``metrics``.

    Raises:
        DataError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError:
        package = name.partition(".")[0].replace("_", "-")
        raise DataError(f'{package} is not installed. Install it: pip install -e ".[metrics]"') from None


def _need_pairs(texts: Sequence[str], references: Sequence[str]) -> None:
    if not texts or len(texts) != len(references):
        raise DataError(f"{len(texts)} texts and {len(references)} references make no pairs. Give one for each.")
