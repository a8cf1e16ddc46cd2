"""The examples of docs/tokenizers.md are true."""

import doctest

from tests.clone import TOP


def test_every_example_on_the_page_is_true():
    page = TOP / "docs" / "tokenizers.md"
    results = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted > 10
