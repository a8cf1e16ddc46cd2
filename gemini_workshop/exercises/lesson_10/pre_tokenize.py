"""Exercise 10.3, ``pre_tokenize``: its cases, and what learners get wrong."""

import re

import regex
import torch

from gemini_workshop.data.tokenizers.bpe import pre_tokenize
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Invariant, Say

SAMPLE = " it's Tom 42 -- 7 \n\t\u00e9t\u00e9"
CONTRACTIONS, LETTERS, DIGITS, SIGNS, BLANKS = (
    r"'(?:s|t|re|ve|m|ll|d)",
    r" ?\p{L}+",
    r" ?\p{N}+",
    r" ?[^\s\p{L}\p{N}]+",
    r"\s+(?!\S)|\s+",
)


def _cases(generator: torch.Generator) -> list[Arguments]:
    pieces = re.findall(r"\S+|\s", SAMPLE)
    drawn = "".join(pieces[i] for i in torch.randint(len(pieces), (12,), generator=generator).tolist())
    return [
        ("The dog.",),
        ("Tom's dog",),
        ("he'll, we've, I'm",),
        ("DON'T 'tis",),
        ("12345 7x9",),
        ("a  b   c\n",),
        ("if x:\n    go()\n\n",),
        ("Zoë été",),
        ("собака 東京 🙂🙂!",),
        ("wait... what?!",),
        (" a\tb ",),
        ("snake_case",),
        (drawn,),
    ]


def _kind(character: str) -> str:
    if character.isspace():
        return "blank"
    return "letter" if character.isalpha() else "digit" if character.isnumeric() else "sign"


def _oracle(text: str) -> list[str]:
    """Runs of one kind of characters, found one by one; a space joins the run after it."""
    words: list[str] = []
    i = 0
    while i < len(text):
        start = i
        contraction = next((c for c in ("s", "t", "re", "ve", "m", "ll", "d") if text.startswith("'" + c, i)), None)
        if contraction:
            i += 1 + len(contraction)
        else:
            i += text[i] == " " and i + 1 < len(text) and not text[i + 1].isspace()
            kind = _kind(text[i])
            while i < len(text) and _kind(text[i]) == kind:
                i += 1
            if kind == "blank" and i < len(text) and i - start > 1:
                i -= 1  # the last blank is left to the word after it
        words.append(text[start:i])
    return words


def _explain(function: Function, case: Arguments) -> str | None:
    [text] = case
    return f"{text!r} was cut into {function(text)}; {_oracle(text)} is needed."


def _loses_text(function: Function) -> str | None:
    for text in ("The dog.", "a  b\n c", "Zoë's 42 🙂!\t"):
        words = function(text)
        if not all(isinstance(word, str) for word in words):
            return f"{text!r} was cut into {words!r}; a list of strings is needed."
        if "".join(words) != text:
            return f"{text!r} was cut into {words}. Joined, they are {''.join(words)!r}; the text itself is needed."
    return None


def _split(
    text: str,
    *,
    contractions: str = CONTRACTIONS,
    letters: str = LETTERS,
    digits: str = DIGITS,
    signs: str = SIGNS,
    blanks: str = BLANKS,
) -> list[str]:
    """The pattern in its parts, one of which may be wrong; "" leaves it out."""
    parts = [part for part in (contractions, letters, digits, signs, blanks) if part]
    return regex.findall("|".join(parts), text)


PRE_TOKENIZE = Exercise(
    id="10.3",
    minutes=10,
    difficulty=3,
    importance=3,
    reference=pre_tokenize,
    oracle=_oracle,
    cases=_cases,
    explain=_explain,
    invariants=(Invariant(name="joined, the words are the text", broken=_loses_text),),
    misconceptions={
        "blanks thrown away": Say(
            "The blanks are gone, so the text cannot be put together again. Each blank has to be in some word."
        ).to(lambda text: text.split()),
        "blanks not matched": Say(
            "Blanks that stand before another blank, and line ends, are in no word. `findall` passes over what no part "
            "of the pattern matches."
        ).to(_split, blanks=""),
        "space at the end of a word": Say(
            "The space belongs to the word before it. It has to be the first character of the word after it, so that "
            "“ dog” is one token wherever it stands in a sentence."
        ).to(lambda text: regex.findall(r"'(?:s|t|re|ve|m|ll|d) ?|\p{L}+ ?|\p{N}+ ?|[^\s\p{L}\p{N}]+ ?|\s+", text)),
        "space by itself": Say(
            "Each space is a word by itself. Then every word of a sentence costs two tokens. One space may belong to "
            "the word after it: ` ?`."
        ).to(_split, letters=r"\p{L}+", digits=r"\p{N}+", signs=r"[^\s\p{L}\p{N}]+"),
        "cut at blanks only": Say(
            "Only blanks separate words, so that “dog.” and “dog!” are learned apart from “dog”. Letters, digits and "
            "signs do not mix."
        ).to(lambda text: regex.findall(r" ?\S+|\s+(?!\S)|\s+", text)),
        "signs by what is not blank": Say(
            "A run of signs takes the letters and digits after it along: `\\S` is everything but a blank. Rule 4 is "
            "about what is neither a blank nor a letter nor a digit."
        ).to(_split, signs=r" ?\S+"),
        "line ends taken for signs": Say(
            "A run of signs takes tabs and line ends along. A space is not the only blank: `\\s` is any of them."
        ).to(_split, signs=r" ?[^ \p{L}\p{N}]+"),
        "contractions left out": Say(
            "A contraction such as “'s” is torn apart. It is a word of its own, and has to be tried before the signs."
        ).to(_split, contractions=""),
        "contractions in capitals, too": Say(
            "“DON'T” is split before “'T”. This pattern, like GPT-2's, knows contractions in lower case only."
        ).to(_split, contractions=r"(?i:'(?:s|t|re|ve|m|ll|d))"),
        "letters and digits together": Say(
            "Letters and digits are in one word. Then “x1”, “x2” and “x3” have nothing in common."
        ).to(_split, letters=r" ?[\p{L}\p{N}]+", digits=""),
        "underscore as a letter": Say(
            "`\\w` is more than letters and digits: the underscore counts, too. Here it is a sign."
        ).to(_split, letters=r" ?(?:\p{L}|_)+", signs=r" ?[^\s\p{L}\p{N}_]+"),
        "letters of English only": Say(
            "Only a to z count as letters, so that “été” falls into three words and other scripts are taken for signs. "
            "`\\p{L}` is a letter of any script."
        ).to(_split, letters=r" ?[a-zA-Z]+", signs=r" ?[^\sa-zA-Z\p{N}]+"),
        "three digits at most": Say(
            "Digits are cut in groups of three. That is GPT-4's rule; here a run of digits is one word, however long."
        ).to(_split, digits=r" ?\p{N}{1,3}"),
        "each digit by itself": Say(
            "Each digit is a word. Llama 2 and Gemma do that; here a run of digits is one word, however long."
        ).to(_split, digits=r" ?\p{N}"),
        "each sign by itself": Say("Signs are cut one by one. A run of signs, such as “...”, is one word.").to(
            _split, signs=r" ?[^\s\p{L}\p{N}]"
        ),
        "each blank by itself": Say(
            "Each blank is a word by itself, so that an indentation of eight spaces can never become one token."
        ).to(_split, blanks=r"\s"),
        "blanks take the space of the next word": Say(
            "A run of blanks swallows the space that belongs to the word after it. It has to stop one blank earlier: "
            "`(?!\\S)` looks ahead without consuming anything."
        ).to(_split, blanks=r"\s+"),
        "more than one space before a word": Say(
            "A word takes all spaces before it. It takes one at most, or “dog” after two spaces is another token."
        ).to(_split, letters=r" *\p{L}+", digits=r" *\p{N}+", signs=r" *[^\s\p{L}\p{N}]+"),
    },
    hints=(
        "Turn each row of the table into a pattern, then join them by `|` in the same order: the first that fits wins.",
        "` ?` is a space that may be missing, `\\p{L}` a letter, `\\p{N}` a digit, `[^\\s\\p{L}\\p{N}]` anything else "
        "but a blank, each with `+` for a run. Contractions: `'(?:s|t|re|ve|m|ll|d)`.",
        "For blanks two patterns: `\\s+(?!\\S)` is a run that no word follows directly, so it leaves the last blank "
        "over; `\\s+` takes what is still left. `regex.findall(pattern, text)` does the rest.",
    ),
)
