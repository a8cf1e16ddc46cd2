"""The storyteller's instructions: every answer of its own is right, by the program that judges the models' answers."""

import re

import pytest

from gemini_workshop.authoring import instructions
from gemini_workshop.authoring.instructions import SHARES, generate_instructions, heldout_instructions
from gemini_workshop.data.batches.reading import is_for_validation
from gemini_workshop.data.conversations.reading import conversation_of, read_conversations
from gemini_workshop.errors import DataError
from gemini_workshop.evaluation.instructions import obeys

SOME = list(generate_instructions(120, seed=3))


def test_every_kind_is_made_and_its_own_answer_is_right():
    assert {each.kind for each in SOME} == set(SHARES)
    assert [each.prompt for each in SOME if not obeys(each.answer, each.check)] == []


def test_the_answer_to_another_instruction_is_wrong():
    """So that the checks can fail: the answers of the same kind, each moved on by one."""
    for kind in SHARES:
        own = [each for each in SOME if each.kind == kind]
        moved = [obeys(after.answer, each.check) for each, after in zip(own, [*own[1:], own[0]], strict=True)]
        assert sum(moved) <= 0.3 * len(own), kind


def test_equal_seeds_make_equal_instructions():
    assert list(generate_instructions(20, seed=3)) == SOME[:20]
    assert list(generate_instructions(20, seed=4)) != SOME[:20]


def test_sums_are_right():
    for each in (each for each in SOME if each.kind == "sum"):
        a, b = map(int, re.findall(r"\d+", each.prompt))
        assert int(each.answer) in (a + b, abs(a - b))


def test_what_is_rewritten_names_nobody_else():
    for each in (each for each in SOME if each.kind == "rewrite"):
        new, old = re.search(r"(?:about|Put) (\w+) (?:instead of|in the place of) (\w+):", each.prompt).groups()
        assert old not in each.answer
        assert each.answer.replace(new, old) == each.prompt.split(": ", 1)[1]


def test_heldout_ones_are_those_that_training_leaves_out():
    assert all(is_for_validation(each.prompt, instructions.HELDOUT_FRACTION) for each in heldout_instructions(5))


def test_a_file_of_them_is_a_file_of_conversations(tmp_path):
    instructions.write_instructions(tmp_path / "a.jsonl", 6, seed=3)
    assert read_conversations(tmp_path / "a.jsonl") == [conversation_of(each.to_json(), "") for each in SOME[:6]]


@pytest.mark.parametrize(("answer", "check", "is_right"), [
    ("Once there was a boy. His name was Omar. He ran.", {"hero": "Omar"}, True),
    ("Once there was a boy. He ran. Omar sat.", {"hero": "Omar"}, False), ("Omara ran.", {"hero": "Omar"}, False),
    ("A Hill, brave.", {"words": ["hill", "brave"]}, True), ("Hilly, brave.", {"words": ["hill", "brave"]}, False),
    ("He ran. The end. ", {"ending": "The end."}, True), ("The end. He ran.", {"ending": "The end."}, False),
    ("12.", {"answer": "12"}, True), ("It is 12", {"answer": "12"}, False), ("", {"answer": "12"}, False),
])  # fmt: skip
def test_a_program_judges(answer, check, is_right):
    assert obeys(answer, check) is is_right


def test_an_unknown_check_is_refused():
    with pytest.raises(DataError, match="There is no check 'herro'"):
        obeys("a", {"herro": "Omar"})
