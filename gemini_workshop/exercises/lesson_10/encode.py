"""Exercise 10.7, ``encode``: its cases, and what learners get wrong."""

import re
from collections.abc import Callable, Mapping

import torch

from gemini_workshop.data.tokenizers.bpe import Pair, encode
from gemini_workshop.data.tokenizers.byte_pairs import BPETokenizer
from gemini_workshop.data.tokenizers.checks import END_OF_TEXT
from gemini_workshop.data.tokenizers.merging import merge_word, tokens_of
from gemini_workshop.data.tokenizers.splitting import split_words
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say
from gemini_workshop.exercises.lesson_10.apply_merges import APPLY_MERGES
from gemini_workshop.exercises.lesson_10.pre_tokenize import PRE_TOKENIZE

MERGES = {
    (104, 101): 256,  # he
    (116, 256): 257,  # the
    (257, 32): 258,  # "the ", which is in no word
    (32, 257): 259,  # " the"
    (10, 10): 260,
    (195, 169): 261,  # é
    (60, 124): 262,  # <|
    (124, 62): 263,  # |>
    (101, 110): 264,  # en
    (264, 100): 265,  # end
    (33, 32): 266,  # "! ", which is in no word
    (262, 265): 267,  # <|end, which is in no word
}
END = {"<|end|>": 300}
BOTH = {"<|end|>": 300, "<image>": 301}


def _cases(generator: torch.Generator) -> list[Arguments]:
    pieces = ["the", " the", "<|end|>", " ", "é!", "<image>", "en"]
    drawn = "".join(pieces[i] for i in torch.randint(len(pieces), (9,), generator=generator).tolist())
    return [
        ("the the", MERGES, {}),
        ("the end", MERGES, {}),
        ("thé été", MERGES, {}),
        ("he<|end|>he", MERGES, END),
        ("he<|end|>he", MERGES, {}),
        ("<|end|>", MERGES, END),
        ("a <|end|> the <|end|><|end|>b", MERGES, END),
        ("the <image> <|end|>the", MERGES, BOTH),
        ("<end> |end| the|", MERGES, BOTH),
        ("the the! the\n", MERGES, {"the!": 302}),
        ("", MERGES, END),
        (drawn, MERGES, BOTH),
    ]


def _oracle(text: str, merges: Mapping[Pair, int], special_tokens: Mapping[str, int]) -> list[int]:
    """The package's fast tokenizer, with an end of text that does not occur."""
    names = {END_OF_TEXT: 999} | dict(special_tokens)
    return BPETokenizer(merges, special_tokens=names).encode(text, allowed_special=set(special_tokens))


def _explain(function: Function, case: Arguments) -> str | None:
    text, merges, special_tokens = case
    tokens = {i: token.decode(errors="replace") for i, token in enumerate(tokens_of(merges))}
    names = tokens | {i: name for name, i in special_tokens.items()}
    got, expected = function(*case), _oracle(*case)

    def read(ids: object) -> str:
        return " · ".join(f"{i} {names.get(i, '?')!r}" for i in ids) if isinstance(ids, list) else repr(ids)

    return f"{text!r} with the special tokens {special_tokens} became {read(got)}; {read(expected)} is needed."


Merges = Mapping[Pair, int]
Special = Mapping[str, int]


def _word(word: str, merges: Merges) -> list[int]:
    return merge_word(word.encode(), {token: i for i, token in enumerate(tokens_of(merges))})


def _cut(text: str, special_tokens: Special) -> list[str]:
    names = "|".join(map(re.escape, special_tokens))
    return re.split(f"({names})", text) if names else [text]


def _encode(
    text: str,
    merges: Merges,
    special_tokens: Special,
    *,
    cut: Callable[[str, Special], list[str]] = _cut,
    words: Callable[[str], list[str]] = split_words,
    word: Callable[[str, Merges], list[int]] = _word,
    special: Callable[[int], list[int]] = lambda i: [i],
) -> list[int]:
    """Right but for the steps: how the text is cut at special tokens and into words, and what each part becomes."""
    ids: list[int] = []
    for part in cut(text, special_tokens):
        if part in special_tokens:
            ids += special(special_tokens[part])
        else:
            for each in words(part):
                ids += word(each, merges)
    return ids


def _first_only(text: str, special_tokens: Special) -> list[str]:
    names = "|".join(map(re.escape, special_tokens))
    return re.split(f"({names})", text, maxsplit=1) if names else [text]


ENCODE = Exercise(
    id="10.7",
    minutes=12,
    difficulty=4,
    importance=5,
    reference=encode,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    misconceptions={
        "special tokens not recognized": Say(
            "The names of special tokens are encoded letter by letter. Where a name from `special_tokens` stands in "
            "the text, its id is needed, and no bytes."
        ).to(lambda text, merges, special_tokens: _encode(text, merges, {})),
        "names not escaped": Say(
            "In a regular expression `|` means “or”, so that “<|end|>” matches “<”, “end” and “>”. `re.escape` takes a "
            "name literally."
        ).to(
            _encode,
            cut=lambda text, special_tokens: (
                re.split(f"({'|'.join(special_tokens)})", text) if special_tokens else [text]
            ),
        ),
        "cut everywhere without special tokens": Say(
            "Without special tokens the pattern is empty, and `re.split` cuts at every character. If there are none, "
            "the whole text is one part."
        ).to(_encode, cut=lambda text, special_tokens: re.split(f"({'|'.join(map(re.escape, special_tokens))})", text)),
        "special tokens lost": Say(
            "The text is cut at the special tokens, and they are gone. `re.split` keeps what it splits by if the "
            "pattern stands in parentheses."
        ).to(_encode, special=lambda i: []),
        "first special token only": Say(
            "Only the first special token is recognized. There may be several, and of several kinds."
        ).to(_encode, cut=_first_only),
        "blanks beside special tokens stripped": Say(
            "The blanks beside a special token are gone. They are part of the text."
        ).to(_encode, cut=lambda text, special_tokens: [part.strip() for part in _cut(text, special_tokens)]),
        "special tokens only if a part is nothing else": Say(
            "A special token is recognized only where it is the whole text. It may stand anywhere in it."
        ).to(
            lambda text, merges, special_tokens: _encode(text, merges, special_tokens if text in special_tokens else {})
        ),
        "words not split": Say(
            "The pairs are merged across the whole text, so that tokens span words. The text is cut by `pre_tokenize` "
            "first, as in training."
        ).to(_encode, words=lambda part: [part] if part else []),
        "words by split": Say(
            "The words are those of `str.split`, without their blanks. In training they came from `pre_tokenize`."
        ).to(_encode, words=str.split),
        "a list for each word": Say(
            "The ids come in a list for each word. One list of ids is needed: `extend` or `+=` in place of `append`."
        ).to(
            lambda text, merges, special_tokens: [
                [special_tokens[part]] if part in special_tokens else _word(each, merges)
                for part in _cut(text, special_tokens)
                for each in ([part] if part in special_tokens else split_words(part))
            ]
        ),
        "code points instead of bytes": Say(
            "The words are taken as code points of their characters. The merges are of bytes: “é” is two of them. "
            "`.encode()` gives the bytes of a text."
        ).to(_encode, word=lambda word, merges: _word_of_code_points(word, merges)),
        "merges not applied": Say("These are the bytes, without a merge. Each word goes through `apply_merges`.").to(
            _encode, word=lambda word, merges: list(word.encode())
        ),
        "last part only": Say(
            "Only the last part of the text is encoded. Add the ids of each part to those before it."
        ).to(lambda text, merges, special_tokens: _encode(_cut(text, special_tokens)[-1], merges, special_tokens)),
        "special ids at the end": Say(
            "The ids of the special tokens follow at the end. Each belongs where its name stands."
        ).to(
            lambda text, merges, special_tokens: [
                *_encode(text, merges, special_tokens, special=lambda i: []),
                *(special_tokens[part] for part in _cut(text, special_tokens) if part in special_tokens),
            ]
        ),
    },
    parts=(PRE_TOKENIZE, APPLY_MERGES),
    hints=(
        "Three cuts, one inside the other: the text at special tokens, each part into words, each word into tokens.",
        "`re.split` with the names in parentheses keeps them as parts of their own; `re.escape` makes a name harmless; "
        "without any name there is nothing to split. A part that is in `special_tokens` gives its id.",
        '`parts = re.split(f"({names})", text) if names else [text]` with '
        '`names = "|".join(map(re.escape, special_tokens))`; the words of a part give '
        "`apply_merges(word.encode(), merges)`.",
    ),
)


def _word_of_code_points(word: str, merges: Merges) -> list[int]:
    ids = [ord(character) for character in word]
    for (left, right), new_id in merges.items():
        i = 0
        while i < len(ids) - 1:
            if ids[i : i + 2] == [left, right]:
                ids[i : i + 2] = [new_id]
            i += 1
    return ids
