"""Clean texts without changing what they say: invisible characters, wrong decodings, white space."""

import ftfy
import regex

# What is not text: control characters but tab and line ends, halves of characters, marks that show nothing (soft
# hyphen, zero-width space, byte order mark) and those that reverse the direction of writing. The joiners U+200C and
# U+200D stay: emoji, Persian and the scripts of India are spelled with them.
INVISIBLE = regex.compile(r"[\p{Cc}\p{Cs}\xad\u200b\ufeff\u202a-\u202e\u2066-\u2069--[\t\n\v\f\r\x85]]", flags=regex.V1)
LINE_ENDS = regex.compile(r"\r\n|[\v\f\r\x85\u2028\u2029]")
OTHER_SPACES = regex.compile(r"[\p{Zs}--[ ]]", flags=regex.V1)
EMPTY_LINES = regex.compile(r"\n{3,}")


def remove_invisible(text: str) -> str:
    r"""Drop control characters and marks that show nothing.

    Example:
        >>> remove_invisible("so\xadft\x00\tnew\n")
        'soft\tnew\n'
    """
    return INVISIBLE.sub("", text)


def repair_mojibake(text: str) -> str:
    r"""Undo wrong decodings, such as UTF-8 that was read as Windows-1252, by ftfy.

    Only what is hardly ever meant as it is gets repaired.

    Example:
        >>> repair_mojibake("â€œYes,â€\x9d he said in the cafÃ©. Ça va, « passé\xa0».")
        '“Yes,” he said in the café. Ça va, « passé\xa0».'
        >>> repair_mojibake("It\x92s \x93well\x94 \x97 done\x85")
        'It’s “well” — done…'
    """
    return ftfy.fix_encoding(text)


def regular_whitespace(text: str) -> str:
    r"""One kind of line end and of space, none at the end of a line, one empty line at most.

    Spaces and tabs before and between words stay: in code and tables they mean something.

    Example:
        >>> regular_whitespace("one  two \r\n\tthree\n\n\n\nfour\n")
        'one  two\n\tthree\n\nfour'
    """
    text = OTHER_SPACES.sub(" ", LINE_ENDS.sub("\n", text))
    text = "\n".join(line.rstrip(" \t") for line in text.split("\n"))
    return EMPTY_LINES.sub("\n\n", text).strip("\n")
