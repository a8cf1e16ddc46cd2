"""What must be scrubbed and what must not; the numbers are of the ranges kept for fiction where a country has one."""

import pytest

from gemini_workshop.data.preprocessing.privacy import EMAIL, PHONE, scrub_emails, scrub_phone_numbers

EMAILS = [
    "jo@example.org",
    "jo.doe+news@mail.example.co.uk",
    "JO_DOE-1@EXAMPLE.MUSEUM",
    "jörg@exämple.de",
    "x@a.io",
    "jo%home@example.com",
    "jo [at] example [dot] org",
    "jo(at)example(dot)org",
]
NO_EMAILS = [
    "@handle said so",
    "root@localhost",
    "icon@2x.png",
    "lodash@4.17.21",
    "5 apples @ 3.50 each",
    "@app.route('/')",
    "clone git@github.com:owner/repository.git",
    "meet at noon. Bring cake",
    "a@b",
    "x = a @ b.T",
    "pkg@v1.0.json",
    "pkg@2.10.beta",
]
PHONES = [
    "+44 20 7946 0958",
    "+442079460958",
    "+49 (0)30 90182-0",
    "+49 30 901820",
    "+1-202-555-0143",
    "+1 (202) 555-0143",
    "0044 20 7946 0958",
    "+33 6 12 34 56 78",
    "+91 98765 43210",
    "(202) 555-0143",
    "202-555-0143",
    "202.555.0143",
    "202 555 0143",
    "1-202-555-0143",
    "020 7946 0958",
    "06 12 34 56 78",
    "030/90182000",
    "(030) 90182000",
    "0151 12345678",
    "03-1234-5678",
]
LABELLED = ["call 555-0143", "Tel.: 5550143", "phone number: 2025550143", "Text me: 555 0143", "Fax 90 18 20 00"]
NO_PHONES = [
    "cell 1000000 of the sheet",
    "text 2.718281828",
    "call 2000 2001 2002 2003",
    "text 1234567 words",
    "2024-01-31",
    "31.12.2024",
    "12/31/2024",
    "01-02-2024 10:30",
    "01.02.2024 1030",
    "2024-01-31T12:30:45",
    "20240131",
    "1999-2004",
    "10.15.7",
    "192.168.100.200",
    "v1.22.333.4444",
    "3.14159265358979",
    "0.1234567890",
    "$1,234,567.89",
    "$202 555 0143",
    "1 000 000 000 €",
    "200 000 0000 €",
    "1,000,000,000 people",
    "1234567890",
    "202555014312345",
    "978-3-16-148410-0",
    "ISBN 0-306-40615-2",
    "4111 1111 1111 1111",
    "12:34:56",
    "pages 100-200",
    "room 101, floor 20, house 3000",
    "0x1234567890",
    "arXiv:2112.11446",
    "RFC 9309",
    "call 1-2 people",
    "call 3 friends at 10:30",
    "text 2024-01-31 12",
    "/archive/202-555-0143",
    "12 34 56 78 90",
    "000-00-0000",
]


@pytest.mark.parametrize("address", EMAILS)
def test_an_address_is_scrubbed_and_the_text_around_it_is_not(address):
    assert scrub_emails(f"Write to {address}, or not.") == (f"Write to {EMAIL}, or not.", 1)
    assert scrub_emails(f"<{address}>")[0] == f"<{EMAIL}>"


@pytest.mark.parametrize("text", NO_EMAILS)
def test_what_is_no_address_stays(text):
    assert scrub_emails(f"So {text}.") == (f"So {text}.", 0)


@pytest.mark.parametrize("number", PHONES)
def test_a_phone_number_is_scrubbed_and_the_text_around_it_is_not(number):
    assert scrub_phone_numbers(f"Ring {number}, or come.") == (f"Ring {PHONE}, or come.", 1)
    assert scrub_phone_numbers(f"It is {number}.") == (f"It is {PHONE}.", 1)


@pytest.mark.parametrize("text", LABELLED)
def test_a_short_number_is_scrubbed_behind_a_word_that_announces_it(text):
    scrubbed, count = scrub_phone_numbers(f"Please {text}, thanks.")
    assert (scrubbed.endswith(f" {PHONE}, thanks."), count) == (True, 1)


@pytest.mark.parametrize("text", NO_PHONES)
def test_dates_versions_prices_and_other_numbers_stay(text):
    for sentence in (f"So {text}, they say.", f"({text})", f"So {text}."):
        assert scrub_phone_numbers(sentence) == (sentence, 0)


def test_two_in_one_line_are_two():
    assert scrub_emails("a@b.org b@b.org") == (f"{EMAIL} {EMAIL}", 2)
    assert scrub_phone_numbers("202-555-0143 or 202-555-0144") == (f"{PHONE} or {PHONE}", 2)


def test_hostile_input_takes_no_time():
    """A pattern that tried every way to part these would not end."""
    for text in ("a." * 20_000 + "@", "0" * 20_000, "+1 " * 20_000, "a@" + "b." * 20_000 + "1", "(0" * 20_000):
        scrub_emails(text)
        scrub_phone_numbers(text)
