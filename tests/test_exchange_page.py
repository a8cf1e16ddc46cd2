"""The examples of docs/exchange.md are true."""

import doctest

from gemini_workshop.models.families import model_types, published_names
from tests.clone import TOP

PAGE = (TOP / "docs" / "exchange.md").read_text("utf-8")


def test_every_example_of_the_page_gives_what_it_says():
    results = doctest.testfile(str(TOP / "docs" / "exchange.md"), module_relative=False, encoding="utf-8")
    assert results.attempted > 5
    assert results.failed == 0


def test_the_table_names_every_family():
    table = [line for line in PAGE.splitlines() if line.startswith("| ")]
    for model_type in model_types():
        assert sum(f"`{model_type}`" in line for line in table) == 1, model_type


def test_the_sizes_that_the_page_names_exist():
    for name in ("llama-3-8b", "gemma-2b", "gemma-3-27b", "gemma-4-e2b", "qwen3-0.6b", "qwen3-30b-a3b", "olmoe-1b-7b"):
        assert f"`{name}`" in PAGE
        assert name in published_names()
