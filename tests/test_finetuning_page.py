"""The examples of docs/finetuning.md are true."""

import doctest
import json

from gemini_workshop.authoring.instructions import SHARES
from gemini_workshop.data.conversations.reading import conversation_of
from tests.clone import TOP

PAGE = (TOP / "docs" / "finetuning.md").read_text("utf-8")


def test_every_example_of_the_page_gives_what_it_says():
    results = doctest.testfile(str(TOP / "docs" / "finetuning.md"), module_relative=False, encoding="utf-8")
    assert results.attempted > 5
    assert results.failed == 0


def test_the_table_names_every_kind_of_instruction():
    assert [line.split(" | ")[0] for line in PAGE.splitlines() if line.startswith("| ")][1:7] == [
        f"| {kind}" for kind in SHARES
    ]


def test_the_forms_of_conversations_can_be_read():
    lines = [line for line in PAGE.splitlines() if line.startswith("{")]
    assert [len(conversation_of(json.loads(line), "here")) for line in lines] == [2, 2, 2]
