"""Replace e-mail addresses and phone numbers, and leave dates, versions, prices and other numbers alone.

A rule of this kind errs on both sides. It knows the shapes in which such data are usually written; names, street
addresses and numbers written in words pass it. ``tests/data/preprocessing/test_privacy.py`` lists what it must and
must not take.
"""

import regex

EMAIL, PHONE = "<EMAIL>", "<PHONE>"

# A name, "@" (or " [at] "), a domain with a dot in it and letters behind the last dot. Left alone: icon@2x.png, and
# git@host.org:path, which is the address of a repository, and package@v1.0.json, a version.
EMAIL_PATTERN = regex.compile(
    r"""
    (?<![\w.+%-])
    (?>[\w.+%-]+ (?:@(?!v?\d+\.\d)|\s?[\[(]\s?at\s?[\])]\s?) (?:[\w-]+ (?:\.|\s?[\[(]\s?dot\s?[\])]\s?))+ \p{L}{2,}+)
    (?<!\.(?:png|jpe?g|gif|svg|webp)) (?![\w-]|:[\w/~])
    """,
    flags=regex.VERBOSE | regex.IGNORECASE,
)

_NOT_INSIDE = r"(?<![\w.,:/$€£¥#=+-])(?<![$€£¥]\ )"  # not in the middle of a number, a price, a path or a word
_NOT_BEFORE = r"(?![\w€£¥%]|[.,:/-]\d|\ ?[€£¥%])"
_GAP = r"[\ .\-/\N{NO-BREAK SPACE}\N{NON-BREAKING HYPHEN}]?"
_DATE = r"\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d|(?:19|20)\d\d[./-]"

_YEAR = r"(?:19|20)\d\d"
# 2.718281828, 1000000, 1234567 rows, and years in a row
_COUNT = (
    rf"\d\.\d+(?![\d.\-\ ]*\d)|\d+0{{5,}}(?!\d)|\d+\ (?:of|times|people|rows|lines|words|bytes|items|characters)\b"
    rf"|{_YEAR}(?:[\ ,/\-]{{1,2}}{_YEAR})+(?!\d)"
)

PHONE_PATTERN = regex.compile(
    rf"""
    {_NOT_INSIDE} (?!{_DATE})
    (?:
        (?:\+|00{_GAP})[1-9]\d{{0,2}} {_GAP} (?:\(0\){_GAP})? (?:\(\d{{1,4}}\){_GAP})? (?:\d{_GAP}){{6,12}}\d  # country
      | (?:1[\ .-])? (?:\([2-9]\d\d\)[\ -]?|[2-9]\d\d[\ .-]) \d{{3}}[.\ -]\d{{4}}                             # America
      | (?:\(0[1-9]\d{{0,3}}\)|0[1-9]\d{{0,3}}) [\ ./-] (?:\d{_GAP}){{5,8}}\d                                 # trunk 0
    )
    {_NOT_BEFORE}
    """,
    flags=regex.VERBOSE,
)
# Behind a word that announces one, seven digits in any grouping are a phone number.
LABELLED_PATTERN = regex.compile(
    rf"\b(?P<label>(?:tele)?(?:phone|fon|fax)|tel|t[ée]l|mobile|mobil|cell|call|whatsapp|text)\b(?P<gap>[^\w\n]{{0,3}}"
    rf"(?:(?:me|us|him|her|number|no)\b[^\w\n]{{0,3}}){{0,2}})"
    rf"(?<![$€£¥])(?!{_DATE}|{_COUNT})\+?\(?\d(?:[\ .\-/()]{{0,2}}\d){{6,14}}{_NOT_BEFORE}",
    flags=regex.IGNORECASE,
)


def scrub_emails(text: str) -> tuple[str, int]:
    """The text with ``<EMAIL>`` in place of each address, and how many there were.

    Example:
        >>> scrub_emails("Write to jo.doe@example.org.")
        ('Write to <EMAIL>.', 1)
    """
    return EMAIL_PATTERN.subn(EMAIL, text)


def scrub_phone_numbers(text: str) -> tuple[str, int]:
    """The text with ``<PHONE>`` in place of each phone number, and how many there were.

    Example:
        >>> scrub_phone_numbers("On 2024-01-31 call (555) 123-4567.")
        ('On 2024-01-31 call <PHONE>.', 1)
    """
    text, num_plain = PHONE_PATTERN.subn(PHONE, text)
    text, num_labelled = LABELLED_PATTERN.subn(rf"\g<label>\g<gap>{PHONE}", text)
    return text, num_plain + num_labelled
