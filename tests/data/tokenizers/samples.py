"""What several tests of the tokenizers share: a text with everything in it, and the definition without the package."""

import os
from pathlib import Path

import pytest
import regex
from hypothesis import strategies as st

# Runs of one letter, accents, several scripts, an emoji of four bytes, tabs and double spaces.
TEXT = (
    "aaaa aaab aaaa. The fox's den, the foxes' dens; don't! Ça coûte 12 €, naïve café.\n\n"
    "\tif x ==  10:\n        return 'aaaaaa'\r\n Ελλάδα, 漢字かな \U0001f98a\U0001f98a and   spaces  \n"
) * 3

MIRROR = Path(os.environ.get("GEMINI_WORKSHOP_MIRROR") or "absent")
needs_mirror = pytest.mark.skipif(
    not (MIRROR / "tiktoken-cache").is_dir(), reason="needs GEMINI_WORKSHOP_MIRROR with tiktoken-cache"
)

# Any text, and text from the characters that word patterns and byte boundaries turn on, so that they meet.
TRICKY = (
    "aZ09 '/.,-_\n\r\t\v\f\x00\x1c\x1f\x7f\x85\xa0éÉàſKʕǅ١½²\u0300\u0558\u1680\u2000\u200a\u200b\u2028\u202f\u205f"
    "\u3000漢字あ\u0e33\ud800\udc00\U0001f98a\U00010940\U000e0100sStTmMdDlLvVrReE"
)
PHRASES = ["don't", "'Ll", " the", "\n\n", "   ", "123456", "HTTPServer's", "; \n"]
ANY_TEXT = st.one_of(
    st.text(),
    st.text(st.characters()),
    st.text(TRICKY, max_size=40),
    st.lists(st.sampled_from([*TRICKY, *PHRASES])).map("".join),
)


def words_of(text: str) -> list[bytes]:
    """GPT-2's words, by its own pattern."""
    pattern = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
    return [word.encode() for word in regex.findall(pattern, text)]


def recounted_merges(words: list[bytes], num_merges: int) -> dict[tuple[int, int], int]:
    """The definition, word for word and without the package: scan all, take the best, first seen wins."""
    sequences = [list(word) for word in words]
    merges = {}
    for new_id in range(256, 256 + num_merges):
        seen, counts = [], {}
        for sequence in sequences:
            for i in range(len(sequence) - 1):
                pair = (sequence[i], sequence[i + 1])
                if pair not in counts:
                    seen.append(pair)
                    counts[pair] = 0
                counts[pair] += 1
        best = seen[0]
        for pair in seen:
            if counts[pair] > counts[best]:
                best = pair
        merges[best] = new_id
        for sequence in sequences:
            i = 0
            while i < len(sequence) - 1:
                if (sequence[i], sequence[i + 1]) == best:
                    sequence[i : i + 2] = [new_id]
                i += 1
    return merges
