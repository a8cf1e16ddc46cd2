"""Make texts regular without changing what they say: characters that nobody sees, wrong decodings, white space."""

import unicodedata
from typing import Literal

import regex

Form = Literal["NFC", "NFD", "NFKC", "NFKD"]

# What is not text: control characters but tab and line ends, halves of characters, marks that show nothing (soft
# hyphen, zero-width space, byte order mark) and those that turn the direction of writing round. The joiners U+200C and
# U+200D stay: emoji, Persian and the scripts of India are spelled with them.
INVISIBLE = regex.compile(r"[\p{Cc}\p{Cs}\xad\u200b\ufeff\u202a-\u202e\u2066-\u2069--[\t\n\v\f\r\x85]]", flags=regex.V1)
LINE_ENDS = regex.compile(r"\r\n|[\v\f\r\x85\u2028\u2029]")
OTHER_SPACES = regex.compile(r"[\p{Zs}--[ ]]", flags=regex.V1)
SPACE_AT_LINE_END = regex.compile(r"[ \t]+(?=\n|\Z)")
EMPTY_LINES = regex.compile(r"\n{3,}")

# UTF-8 read as Windows-1252: a first byte tells how many bytes from 80 to BF follow. "é »" with a no-break space is
# such a sequence too, so a single one counts only where its beginning is not written otherwise.
_EARLY = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ\\x80-\\x9f"  # the bytes 80 to 9F
_LATER = _EARLY + "\\xa0-\\xbf"  # the bytes 80 to BF
MOJIBAKE = regex.compile(
    rf"(?:[Â-ß][{_LATER}]|[à-ï][{_LATER}]{{2}}|[ð-ô][{_LATER}]{{3}}){{2,}}"
    rf"|[ÂÃ][{_LATER}]|â[{_EARLY}][{_LATER}]|ï[»¼½¿][{_LATER}]|ðŸ[{_LATER}]{{2}}"
)
CONTROL_AS_MEANT = {
    byte: bytes([byte]).decode("cp1252") for byte in range(0x80, 0xA0) if byte not in b"\x81\x8d\x8f\x90\x9d"
}


def remove_invisible(text: str) -> str:
    r"""Drop control characters and marks that show nothing.

    Example:
        >>> remove_invisible("so\xadft\x00\tnew\n")
        'soft\tnew\n'
    """
    return INVISIBLE.sub("", text)


def repair_mojibake(text: str) -> str:
    r"""Undo two wrong decodings: UTF-8 that was read as Windows-1252, and Windows-1252 that was read as Latin-1.

    The second leaves control characters where curly quotes and dashes were. Of the first, only what is hardly ever
    meant as it stands is repaired: the remains of Latin-1 letters, of curly quotes and dashes and of emoji, and two or
    more wrong characters of any kind in a row. What was read wrongly twice is repaired once.

    Example:
        >>> repair_mojibake("â€œYes,â€\x9d he said in the cafÃ©. Ça va, « passé\xa0».")
        '“Yes,” he said in the café. Ça va, « passé\xa0».'
        >>> repair_mojibake("It\x92s \x93well\x94 \x97 done\x85")
        'It’s “well” — done…'
    """
    return MOJIBAKE.sub(lambda found: _read_again(found[0]), text).translate(CONTROL_AS_MEANT)


def _read_again(run: str) -> str:
    try:
        return b"".join(map(_windows_1252, run)).decode("utf-8")
    except UnicodeDecodeError:
        return run


def _windows_1252(character: str) -> bytes:
    """The byte that was read as this character; the five that Windows-1252 leaves open are read as Latin-1."""
    try:
        return character.encode("cp1252")
    except UnicodeEncodeError:
        return character.encode("latin-1")


def normalize_unicode(text: str, form: Form = "NFC") -> str:
    """One spelling for what looks the same.

    NFC and NFD lose nothing that a reader sees. NFKC and NFKD also write ﬁ as fi, ② as 2, x² as x2: good for search,
    a loss for training.

    Example:
        >>> normalize_unicode("e\N{COMBINING ACUTE ACCENT}") == "é", normalize_unicode("x²", "NFKC")
        (True, 'x2')
    """
    return unicodedata.normalize(form, text)


def regular_whitespace(text: str) -> str:
    r"""One kind of line end and of space, none at the end of a line, one empty line at most.

    Spaces and tabs before and between words stay: in code and tables they mean something.

    Example:
        >>> regular_whitespace("one  two \r\n\tthree\n\n\n\nfour\n")
        'one  two\n\tthree\n\nfour'
    """
    text = OTHER_SPACES.sub(" ", LINE_ENDS.sub("\n", text))
    return EMPTY_LINES.sub("\n\n", SPACE_AT_LINE_END.sub("", text)).strip("\n")
