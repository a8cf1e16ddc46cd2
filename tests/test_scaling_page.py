"""The examples of docs/scaling.md are true."""

import doctest

from tests.clone import TOP


def test_every_example_on_the_page_is_true():
    results = doctest.testfile(str(TOP / "docs" / "scaling.md"), module_relative=False, encoding="utf-8")
    assert results.failed == 0
    assert results.attempted > 5
