"""Unicode normalization: one form for texts that look the same. It cannot be undone."""

import unicodedata
from typing import Literal, get_args

from gemini_workshop.errors import DataError, unknown_name

Normalization = Literal["NFC", "NFD", "NFKC", "NFKD"]


def normalize(text: str, form: Normalization | None) -> str:
    r"""The text in a normal form; None leaves it as it is. Encoding then decoding gives this, not what was typed.

    What each form loses:

    NFC
        Whether an accented letter was typed as one character or as two; it becomes one. Some doubles give way to
        their twin: the Angstrom sign to the letter Å, compatibility ideographs to the common ones.
    NFD
        The same distinctions, but the accented letter becomes two characters: texts grow, and a word pattern that
        knows letters only (gpt2, cl100k) splits a word at its accents.
    NFKC
        In addition the form of a character: ligatures, superscripts, circled and full-width letters, no-break spaces
        and the ellipsis become plain ones. "2⁵" becomes "25": the meaning may change, so keep it from code and
        formulas.
    NFKD
        What NFKC and NFD lose together.

    Example:
        >>> [len(normalize("e\u0301", form)) for form in (None, "NFC", "NFD")]
        [2, 1, 2]
        >>> normalize("ﬁne… 2⁵", "NFKC")
        'fine... 25'
    """
    return text if form is None else unicodedata.normalize(form, text)


def check_normalization(form: object) -> None:
    """Raise a DataError unless this is None or the name of a form."""
    if form is not None and form not in get_args(Normalization):
        raise DataError(unknown_name("normalization", str(form), get_args(Normalization)))
