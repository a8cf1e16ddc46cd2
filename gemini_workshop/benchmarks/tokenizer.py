"""Training, encoding and decoding against tiktoken, Hugging Face's tokenizers and minbpe.

All in one process and on one thread, by CPU seconds, the contestants in turns. That they give the same is checked
before encoding and decoding are timed, and after training by minbpe's algorithm: the same ids, text and merges.

    cold    nothing remembered: every piece of the text is merged again
    warm    the text was encoded before, so that every piece is remembered
"""

import importlib.util
import os
from collections.abc import Callable
from functools import partial
from types import SimpleNamespace
from typing import Any

from gemini_workshop.benchmarks.measure import Comparison, comparison_table, cpu_seconds
from gemini_workshop.data.corpora import VOCABULARY_FILES, find_corpus, find_here, load_vocabulary
from gemini_workshop.data.tokenizers import BPETokenizer, count_words, split_words, train_bpe, train_bpe_fast
from gemini_workshop.data.tokenizers.pretrained import byte_letters
from gemini_workshop.data.tokenizers.splitting import PATTERNS
from gemini_workshop.errors import WorkshopError

CORPORA = ["shakespeare", "stories"]  # the first that is on this machine
FEW_MERGES, SOME_MERGES, MANY_MERGES = 16, 512, 8000
# Times as fast as the peer: what is promised, and what is aimed at.
GOALS: dict[tuple[str, str], tuple[float, float]] = {
    ("train", "tokenizers"): (0.75, 1.0),
    ("train", "minbpe"): (300, 400),
    ("gpt2", "tiktoken, list, cold"): (0.31, 0.5),
    ("gpt2", "tiktoken, list, warm"): (0.95, 1.2),
    ("gpt2", "tiktoken, array, warm"): (1.2, 1.6),
    ("gpt2", "tokenizers, cold"): (3.5, 5),
    ("gpt2", "tokenizers, warm"): (9, 13),
    ("cl100k_base", "tiktoken, list, warm"): (0.58, 0.95),
}

Merges = dict[tuple[int, int], int]


def report(rounds: int = 7, is_thorough: bool = False) -> str:
    """The tables of all measurements on the best text and the vocabularies that are on this machine.

    Args:
        is_thorough: train by counting afresh for all of 512 merges, which takes minutes, against minbpe too if it is
            installed; else for 16.
    """
    peers = load_peers()
    corpus, text = read_text()
    tables = [
        f"Text: corpus {corpus}, {len(text.encode()):,} bytes, one document.",
        comparison_table("\nTraining on GPT-2's words, counting included", training(text, peers, rounds, is_thorough)),
    ]
    for name, tokenizer in vocabularies(text).items():
        theirs = encoders(name, tokenizer, peers)
        comparisons = encoding(name, tokenizer, theirs, text, rounds) + decoding(tokenizer, theirs, text, rounds)
        tables.append(comparison_table(f"\nVocabulary {name}", comparisons))
    return "\n".join(tables)


def load_peers() -> SimpleNamespace:
    """Tiktoken and tokenizers, held to one thread.

    Raises:
        WorkshopError: one of them is not installed.
    """
    missing = [name for name in ("tiktoken", "tokenizers") if importlib.util.find_spec(name) is None]
    if missing:
        raise WorkshopError(
            f"The measurement is against {' and '.join(missing)}, not installed here. pip install {' '.join(missing)}"
        )
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    os.environ["RAYON_NUM_THREADS"] = "1"
    import tiktoken
    import tokenizers

    return SimpleNamespace(tiktoken=tiktoken, tokenizers=tokenizers)


def read_text() -> tuple[str, str]:
    """The name and the whole text of the first of the corpora that needs no download; the embedded one never does."""
    here = {name: found[1] for name in CORPORA if (found := find_here(find_corpus(name), "all"))}
    name, (path,) = next(iter(here.items()))
    return name, path.read_text("utf-8")


def vocabularies(text: str) -> dict[str, BPETokenizer]:
    """The published vocabularies that are here, else one learned from the text."""
    here = {
        name: load_vocabulary(name)
        for name, (corpus, _) in VOCABULARY_FILES.items()
        if find_here(find_corpus(corpus), "all")
    }
    return here or {f"learned here, {MANY_MERGES:,} merges": BPETokenizer.train([text], MANY_MERGES + 257)}


# --- Training ---


def training(text: str, peers: SimpleNamespace, rounds: int, is_thorough: bool) -> list[Comparison]:
    """Against tokenizers, and against counting all pairs afresh before each merge: the taught form, and minbpe's."""
    num_merges = SOME_MERGES if is_thorough else FEW_MERGES
    seconds = cpu_seconds(
        {
            "many": lambda: _train(text, MANY_MERGES),
            "tokenizers": lambda: _train_by_tokenizers(text, MANY_MERGES, peers),
            "fewer": lambda: _train(text, num_merges),
        },
        rounds=rounds,
        title="training",
    )
    comparisons = [_comparison("train", "tokenizers", MANY_MERGES, seconds["many"], seconds["tokenizers"])]
    slow_ones = {"naive": _train_naively}
    if is_thorough and importlib.util.find_spec("minbpe"):
        slow_ones["minbpe"] = _train_by_minbpe
    for peer, train in slow_ones.items():
        learned: list[Merges] = []
        once = {peer: partial(_keep, learned, train, text, num_merges)}
        peer_seconds = cpu_seconds(once, rounds=1, warmups=0, title=peer)[peer]
        _check_same(peer, "merges", list(_train(text, num_merges).items()), list(learned[0].items()))
        comparisons.append(_comparison("train", peer, num_merges, seconds["fewer"], peer_seconds))
    return comparisons


def _comparison(kind: str, peer: str, num_merges: int, ours: float, theirs: float) -> Comparison:
    must, aim = GOALS.get((kind, peer), (None, None))
    setting = f"{kind} {num_merges:,} merges: {peer}"
    return Comparison(setting=setting, ours_seconds=ours, peer_seconds=theirs, must=must, aim=aim)


def _keep(learned: list[Merges], train: Callable[[str, int], Merges], text: str, num_merges: int) -> None:
    learned.append(train(text, num_merges))


def _train(text: str, num_merges: int) -> Merges:
    return train_bpe_fast(count_words([text]), num_merges)


def _train_naively(text: str, num_merges: int) -> Merges:
    return train_bpe([word.encode() for word in split_words(text)], num_merges)


def _train_by_minbpe(text: str, num_merges: int) -> Merges:
    from minbpe import RegexTokenizer

    tokenizer = RegexTokenizer(PATTERNS["gpt2"].unicode)
    tokenizer.train(text, 256 + num_merges)
    return tokenizer.merges


def _train_by_tokenizers(text: str, num_merges: int, peers: SimpleNamespace) -> Any:
    tokenizer = peers.tokenizers.Tokenizer(peers.tokenizers.models.BPE())
    tokenizer.pre_tokenizer = peers.tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = peers.tokenizers.trainers.BpeTrainer(
        vocab_size=256 + num_merges,
        initial_alphabet=peers.tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([text], trainer)
    return tokenizer


# --- Encoding and decoding ---


def encoders(name: str, tokenizer: BPETokenizer, peers: SimpleNamespace) -> SimpleNamespace:
    """Tiktoken and, for GPT-2's words, tokenizers, with our vocabulary."""
    return SimpleNamespace(
        tiktoken=peers.tiktoken.Encoding(
            name,
            pat_str=_pattern_of_tiktoken(tokenizer.pattern),
            mergeable_ranks=tokenizer.ranks,
            special_tokens=tokenizer.special_tokens,
        ),
        tokenizers=_with_our_merges(tokenizer, peers) if tokenizer.pattern == "gpt2" else None,
    )


def _pattern_of_tiktoken(pattern: str) -> str:
    """As tiktoken writes it: GPT-2's in a form that has the same words and that its engine runs faster."""
    if pattern == "gpt2":
        return r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"
    return PATTERNS[pattern].unicode.replace(r"\Z", "$")


def _with_our_merges(tokenizer: BPETokenizer, peers: SimpleNamespace) -> Any:
    letters = byte_letters()
    names = ["".join(letters[byte] for byte in token) for token in tokenizer.tokens]
    merges = [(names[left], names[right]) for left, right in tokenizer.merges]
    theirs = peers.tokenizers.Tokenizer(peers.tokenizers.models.BPE({name: i for i, name in enumerate(names)}, merges))
    theirs.pre_tokenizer = peers.tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    theirs.decoder = peers.tokenizers.decoders.ByteLevel()
    return theirs


def encoding(name: str, tokenizer: BPETokenizer, theirs: SimpleNamespace, text: str, rounds: int) -> list[Comparison]:
    """To a list and to an array; cold before warm, so that the cold one leaves its memory to the others."""

    def encode_cold() -> list[int]:
        tokenizer.forget()
        return tokenizer.encode(text)

    contestants: dict[str, Callable[[], Any]] = {
        "list, cold": encode_cold,
        "list, warm": lambda: tokenizer.encode(text),
        "array, warm": lambda: tokenizer.encode_array(text),
        "tiktoken, list": lambda: theirs.tiktoken.encode_ordinary(text),
        "tiktoken, array": lambda: theirs.tiktoken.encode_to_numpy(text, disallowed_special=()),
    }
    if theirs.tokenizers:
        contestants["tokenizers"] = lambda: theirs.tokenizers.encode(text).ids
    ids = tokenizer.encode(text)
    for contestant, encode in contestants.items():
        _check_same(contestant, "ids", ids, list(encode()))
    seconds = cpu_seconds(contestants, rounds=rounds, title=f"encoding, {name}")
    pairs = {
        "tiktoken, list, cold": ("list, cold", "tiktoken, list"),
        "tiktoken, list, warm": ("list, warm", "tiktoken, list"),
        "tiktoken, array, warm": ("array, warm", "tiktoken, array"),
        "tokenizers, cold": ("list, cold", "tokenizers"),
        "tokenizers, warm": ("list, warm", "tokenizers"),
    }
    comparisons = []
    for setting, (ours, peer) in pairs.items():
        if peer in seconds:
            must, aim = GOALS.get((name, setting), (None, None))
            times = {"ours_seconds": seconds[ours], "peer_seconds": seconds[peer]}
            comparisons.append(Comparison(setting=f"encode: {setting}", **times, must=must, aim=aim))
    return comparisons


def decoding(tokenizer: BPETokenizer, theirs: SimpleNamespace, text: str, rounds: int) -> list[Comparison]:
    """From a list of ids; nothing is remembered."""
    ids = tokenizer.encode(text)
    contestants: dict[str, Callable[[], str]] = {
        "ours": lambda: tokenizer.decode(ids),
        "tiktoken": lambda: theirs.tiktoken.decode(ids),
    }
    if theirs.tokenizers:
        contestants["tokenizers"] = lambda: theirs.tokenizers.decode(ids, skip_special_tokens=False)
    for contestant, decode in contestants.items():
        _check_same(contestant, "text", text, decode())
    seconds = cpu_seconds(contestants, rounds=rounds, title="decoding")
    ours = seconds.pop("ours")
    return [
        Comparison(setting=f"decode: {peer}", ours_seconds=ours, peer_seconds=peer_seconds)
        for peer, peer_seconds in seconds.items()
    ]


def _check_same(contestant: str, what: str, expected: object, given: object) -> None:
    """A ratio between different results would mean nothing."""
    if given != expected:
        raise WorkshopError(f"{contestant} gives other {what} than expected: the two cannot be compared. Report this.")
