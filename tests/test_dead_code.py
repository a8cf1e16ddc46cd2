"""Code that only tests use is dead, unless a lesson or an issue waits for it, by name."""

import re
from collections.abc import Iterable
from pathlib import Path

import pytest
from vulture import Vulture

import gemini_workshop
from tests.clone import TOP
from tests.notebooks.lessons import LESSONS

PACKAGE = Path(gemini_workshop.__file__).parent
KINDS = {"function", "class", "method", "property"}
WAITING = {
    "lesson 14": {"distillation_loss", "dequantise", "quantise_by_groups"},
    "lesson 15": {"answer_log_probs", "bradley_terry_loss", "dpo_loss", "ipo_loss", "render", "simpo_loss"},
    "lesson 16": {"group_advantages", "grpo_loss"},
    "lesson 17": {"bleu"},
}
"""Names that no command, notebook or module uses yet, by the lesson that will."""

CALLED_FROM_OUTSIDE = {
    "ablations": "typer, as a command",
    "lora": "typer, as a command",
    "sft": "typer, as a command",
    "handle_starttag": "html.parser, for each tag of a page",
    "get_code": "importlib, when a kept answer is loaded",
    "format_options": "typer, to draw the panels of --help",
    "list_corpora": "typer, as a command",
    "one_batch": "typer, as a command",
    "over_budget": "nbval, in notebooks/conftest.py",
    "load_ipython_extension": "IPython, when a notebook is built",
    "loss_without": "the learner of lesson 06, in a cell of their own",
    "write_svg": "a cell that is added to a lesson, to draw its figures for the slides",
    "unchecked": "the tests of the committed notebooks",
    "unsupported": "the tests of the committed notebooks",
    "write_multimodal_documents": "programs that prepare questions for `generate --document`",
    "_gradients": "PyTorch, as a registered operator",
    "_run_experts": "PyTorch, as a registered operator",
    "_run_experts_backward": "PyTorch, as a registered operator",
    "_shape_of_output": "PyTorch, as a registered operator",
    "_shapes_of_gradients": "PyTorch, as a registered operator",
    "_shapes_of_outputs": "PyTorch, as a registered operator",
    "_should_skip_dynamo": "PyTorch, before it runs a mode",
}
"""Names that something other than our modules and lessons calls: what does."""


def shown_in_docs() -> set[str]:
    """Words of the programs in the docs, which are run by tests."""
    pages = "".join(path.read_text("utf-8") for path in (TOP / "docs").glob("*.md"))
    return set(re.findall(r"\w+", "".join(re.findall(r"^(?:>>>|\.\.\.) (.*)$", pages, re.MULTILINE))))


def unused_names(paths: Iterable[Path]) -> set[str]:
    """Functions, classes, methods and properties that nothing in these files and folders refers to."""
    finder = Vulture()
    finder.scavenge([str(path) for path in paths])
    return {item.name for item in finder.get_unused_code(min_confidence=60) if item.typ in KINDS}


def test_every_unused_name_waits_for_a_lesson():
    listed = set().union(*WAITING.values(), CALLED_FROM_OUTSIDE)
    unused = unused_names([PACKAGE, TOP / "notebooks" / "sources"])
    assert sorted(unused - listed - shown_in_docs()) == [], "delete these, or say which lesson waits for them"
    assert sorted(listed - unused) == [], "these are used now, or gone: take them off the list"


def test_no_lesson_that_exists_is_waited_for():
    assert WAITING.keys() & {f"lesson {lesson.id}" for lesson in LESSONS} == set()


@pytest.mark.parametrize(("source", "unused"), [("def f(): ...\n", {"f"}), ("def f(): ...\nf()\n", set())])
def test_a_name_is_unused_until_it_is_used(tmp_path, source, unused):
    (tmp_path / "module.py").write_text(source, "utf-8")
    assert unused_names([tmp_path]) == unused
